// The self-test image: checks the kernel and every device from inside the guest, with data, prints a line for each check and then
// "N passed, N failed". Words on the command line:
//   probe=NAME   does one thing that the memory protection must stop, and nothing else
//   only=GROUP   only this group of checks, and those of other only= words; only=none: no checks
//   agent        stays, and does what a test on the host tells it (agent.hpp)
#include <cstdio>
#include <string_view>

#include "boot/images/selftest/agent.hpp"
#include "boot/images/selftest/check.hpp"
#include "kernel/firmware/command_line.hpp"
#include "kernel/panic/probes.hpp"

namespace {

struct Group {
    std::string_view name;
    void (*run)();
};
constexpr Group kGroups[] = {
    {"memory", selftest::check_memory},         {"tasks", selftest::check_tasks},     {"clock", selftest::check_clock},
    {"library", selftest::check_library},       {"entropy", selftest::check_entropy}, {"disks", selftest::check_disks},
    {"ports", selftest::check_channels},        {"net", selftest::check_network},     {"sockets", selftest::check_sockets},
    {"processors", selftest::check_processors},
};

/// Without any only= everything is wanted.
bool wanted(std::string_view group) {
    bool chosen = false;
    for (const kernel::CommandLineWord& word : kernel::command_line()) {
        if (word.key != "only") continue;
        if (word.value == group) return true;
        chosen = true;
    }
    return !chosen;
}

} // namespace

int main() {
    if (const auto probe = kernel::command_line_value("probe")) {
        const auto outcome = kernel::run_probe(*probe);
        std::printf("FAIL probe.%.*s: %s\n", static_cast<int>(probe->size()), probe->data(), virtio::message(outcome.error()));
        return 1;
    }
    for (const Group& group : kGroups)
        if (wanted(group.name)) group.run();
    const selftest::Totals totals = selftest::totals();
    if (totals.skipped != 0) std::printf("%u skipped\n", totals.skipped);
    std::printf("%u passed, %u failed\n", totals.passed, totals.failed);
    std::fflush(stdout);
    if (kernel::command_line_value("agent")) selftest::run_agent();
    return totals.failed == 0 && totals.passed != 0 ? 0 : 1;
}
