// The self-test image: checks the kernel and every device from inside the guest, with data, prints a line for each check and then
// "N passed, N failed". Words on the command line:
//   probe=NAME   does one thing that the memory protection must stop, and nothing else
//   only=PREFIX  only checks whose group begins so: only=disks
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
    {"memory", selftest::check_memory},   {"tasks", selftest::check_tasks},     {"clock", selftest::check_clock},
    {"library", selftest::check_library}, {"entropy", selftest::check_entropy}, {"disks", selftest::check_disks},
    {"ports", selftest::check_channels},  {"net", selftest::check_network},     {"sockets", selftest::check_sockets},
};

} // namespace

int main() {
    if (const auto probe = kernel::command_line_value("probe")) {
        const auto outcome = kernel::run_probe(*probe);
        std::printf("FAIL probe.%.*s: %s\n", static_cast<int>(probe->size()), probe->data(), virtio::message(outcome.error()));
        return 1;
    }
    const std::string_view only = kernel::command_line_value("only").value_or("");
    for (const Group& group : kGroups)
        if (group.name.starts_with(only)) group.run();
    const selftest::Totals totals = selftest::totals();
    if (totals.skipped != 0) std::printf("%u skipped\n", totals.skipped);
    std::printf("%u passed, %u failed\n", totals.passed, totals.failed);
    std::fflush(stdout);
    if (kernel::command_line_value("agent")) selftest::run_agent();
    return totals.failed == 0 && totals.passed != 0 ? 0 : 1;
}
