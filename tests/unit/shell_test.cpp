// The shell with commands of the test's own: statuses, usage, help, interruption.
#include "boot/images/appliance/shell.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace appliance;

namespace {

constexpr Command kCommands[] = {
    {"ok", "", "does nothing", 0, 0, [](Session&, Arguments) { return kDone; }},
    {"echo", "WORD...", "prints", 1, 3,
     [](Session& session, Arguments words) {
         for (std::string_view word : words.subspan(1)) {
             session.out.write(word);
             session.out.write(".");
         }
         return kDone;
     }},
    {"bad", "[STATUS]", "fails", 0, 1,
     [](Session& session, Arguments words) {
         return words.size() > 1 ? static_cast<int>(*decimal(words[1])) : session.fail("no %s", "luck");
     }},
};

struct Run {
    Text output{4096};
    struct TestSession final : Session {
        using Session::Session;
    } session{output};
    Shell shell{kCommands, session};
    int status;
    std::string text;

    explicit Run(std::string_view line) : status(shell.run(line)), text(output.view()) {}
};

} // namespace

TEST_CASE("words reach the command, and commands run one after another") {
    const Run run("echo 'a b' c; echo \"d;e\"; ok");
    CHECK(run.status == kDone);
    CHECK(run.text == "a b.c.d;e.");
}

TEST_CASE("the status is that of the first command that failed; the rest still runs") {
    const Run run("ok; bad 7; bad 9; echo x");
    CHECK(run.status == 7);
    CHECK(run.text == "x.");
    CHECK(Run("").status == kDone);
    CHECK(Run("; ;").status == kDone);
}

TEST_CASE("failures say who and why") {
    const Run run("bad");
    CHECK(run.status == kFailed);
    CHECK(run.text == "bad: no luck\n");
}

TEST_CASE("a wrong number of operands, or a command that says so, prints how it is used") {
    CHECK(Run("echo").text == "usage: echo WORD...\n");
    CHECK(Run("echo 1 2 3 4").status == kWrongUsage);
    CHECK(Run("ok 1").text == "usage: ok\n");
    CHECK(Run("bad 2").text == "usage: bad [STATUS]\n");
}

TEST_CASE("unknown commands, open quotes, too many words") {
    CHECK(Run("nonsense; echo a").status == kUnknownCommand);
    CHECK(Run("nonsense; echo a").text == "nonsense: there is no such command; 'help' lists all\na.");
    CHECK(Run("\x1b[2J").text == ".[2J: there is no such command; 'help' lists all\n");
    CHECK(Run("echo a; echo 'b").status == kWrongUsage);
    CHECK(Run("bad 5; echo 'b").status == 5);
    CHECK(Run("echo " + std::string(Words::kMostBytes, 'x')).status == kWrongUsage);
}

TEST_CASE("an interrupted command ends the line") {
    const Run run("echo a; bad 100; echo b");
    CHECK(run.status == kInterrupted);
    CHECK(run.text == "a.");
}

TEST_CASE("help lists everything, or one") {
    const Run all("help");
    CHECK(all.status == kDone);
    for (const char* part : {"ok ", "echo WORD...", "bad [STATUS]", "help [COMMAND]", "prints"})
        CHECK(all.text.find(part) != std::string::npos);
    CHECK(Run("help echo").text.find("echo WORD...") != std::string::npos);
    CHECK(Run("help echo").text.find("bad") == std::string::npos);
    CHECK(Run("help x").status == kFailed);
}
