#include "tests/conformance/clause_check.hpp"

#include <map>

namespace conformance {
namespace {

/// What came of one run.
struct Outcome {
    std::string run;
    referee::Verdict verdict;
    std::vector<std::string> mistakes;
};

std::vector<referee::Script> usual_devices(const Combination& it) {
    using namespace referee;
    const Order order = it.in_order ? Order::batches : Order::random;
    return {
        {.seed = 1, .order = order},
        {.seed = 2, .order = order, .delay = 2, .budget = 3, .notify = Notify::busy, .spurious = 4},
        {.seed = 3, .order = order, .notify = Notify::random, .junk_events = true, .eager = true},
        {.seed = 4, .order = order, .notify = Notify::ahead, .ahead = 3, .junk_events = true, .deaf = true},
    };
}

constexpr const char* kWays[]{" general", " presets", " fixed"};

const std::vector<Outcome>& usual_runs(const Combination& it) {
    static std::map<std::string, std::vector<Outcome>> made;
    std::vector<Outcome>& runs = made[it.name()];
    if (!runs.empty()) return runs;
    for (const referee::Script& script : usual_devices(it))
        for (const Way way : {Way::general, Way::presets, Way::fixed}) {
            OurRing ring{it, script, way};
            ring.traffic(150);
            runs.push_back({script.text() + kWays[static_cast<unsigned>(way)], ring.judge.verdict(), ring.mistakes});
        }
    // A device that polls, and works between any two accesses of the driver: what it must not see half done it would.
    for (const Way way : {Way::general, Way::presets, Way::fixed}) {
        const referee::Script script{.seed = 5, .order = usual_devices(it)[0].order, .notify = referee::Notify::never};
        OurRing ring{it, script, way};
        ring.on_store = ring.on_load = [&](virtio::SharedWord) { ring.step(); };
        ring.traffic(150);
        runs.push_back({script.text() + kWays[static_cast<unsigned>(way)] + " at every access", ring.judge.verdict(), ring.mistakes});
    }
    return runs;
}

} // namespace

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
}

std::vector<std::string> violated(const referee::Verdict& verdict) {
    std::vector<std::string> ids;
    for (const referee::Finding& finding : verdict.violations) ids.emplace_back(finding.id);
    return ids;
}

void check_kept(const std::string& clause, const Where& where) {
    for (const Combination& it : combinations(where)) {
        INFO(it.name());
        bool held = false;
        for (const Outcome& outcome : usual_runs(it)) {
            INFO(outcome.run);
            CHECK_MESSAGE(outcome.mistakes.empty(), joined(outcome.mistakes));
            CHECK_MESSAGE(outcome.verdict.clean(), outcome.verdict.text());
            held = held || outcome.verdict.of(clause) == referee::Value::held;
        }
        CHECK_MESSAGE(held, clause << " was not exercised");
    }
}

void check_kept(const std::string& clause, const Where& where, const referee::Script& script,
                const std::function<void(OurRing&)>& scenario) {
    for (const Combination& it : combinations(where)) {
        INFO(it.name());
        OurRing ring{it, script};
        scenario(ring);
        const referee::Verdict verdict = ring.judge.verdict();
        CHECK_MESSAGE(ring.mistakes.empty(), joined(ring.mistakes));
        CHECK_MESSAGE(verdict.clean(), verdict.text());
        CHECK_MESSAGE(verdict.of(clause) == referee::Value::held, clause << " was not exercised");
    }
}

void check_twin(const std::vector<std::string>& clauses, const Where& where, Fault fault, const referee::Script& script,
                const Scenario& scenario) {
    const auto usual = [](ScriptedRing& ring) {
        ring.traffic(6);
        ring.driver->misbehave();
        ring.traffic(8);
    };
    for (const Combination& it : combinations(where)) {
        INFO(it.name());
        for (const Fault what : {Fault::none, fault}) {
            ScriptedRing ring{it, what, script};
            if (ring.enabled) scenario ? scenario(ring) : usual(ring);
            const referee::Verdict verdict = ring.judge.verdict();
            INFO(verdict.text());
            if (what == Fault::none) {
                CHECK(ring.enabled);
                CHECK(verdict.clean());
                CHECK(verdict.of(clauses.front()) == referee::Value::held);
            } else {
                CHECK(joined(violated(verdict)) == joined(clauses));
            }
        }
    }
}

void check_twin_at_end(const std::vector<std::string>& clauses, const Where& where, Fault fault, scripted::Shape how, const Shape& shape,
                       const referee::Script& script) {
    check_twin(clauses, where, fault, script, [&](ScriptedRing& ring) {
        ring.traffic(6);
        ring.drain();
        ring.driver->misbehave();
        ring.one(shape, how);
    });
}

} // namespace conformance
