// The main program of the unit tests: doctest; and, where a validation is switched off (RINGSIDE_MUTANT), a listener that says on
// standard error which test case begins, so that the mutation tests' runner knows where a crash or a hang happened, and which
// checks it has set off.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/policy/mutant.hpp"

namespace {

struct Announcer : doctest::IReporter {
    explicit Announcer(const doctest::ContextOptions&) {}
    void test_case_start(const doctest::TestCaseData& test) override {
        if (wanted_) std::fprintf(stderr, "@ %s\n", test.m_name);
    }
    void test_case_end(const doctest::CurrentTestCaseStats& its) override {
        if (!wanted_) return;
        std::fprintf(stderr, "= %.4f\n~", its.seconds);
        auto& asked = virtio::asked_mutants();
        for (std::size_t number = 0; number < asked.size(); ++number)
            if (asked[number].exchange(false)) std::fprintf(stderr, " %zu", number);
        std::fprintf(stderr, "\n");
    }
    void report_query(const doctest::QueryData&) override {}
    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats&) override {}
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void test_case_exception(const doctest::TestCaseException&) override {}
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData&) override {}
    void log_message(const doctest::MessageData&) override {}
    void test_case_skipped(const doctest::TestCaseData&) override {}

private:
    bool wanted_ = std::getenv("RINGSIDE_MUTANT") != nullptr;
};

} // namespace

DOCTEST_REGISTER_LISTENER("announcer", 1, Announcer);
