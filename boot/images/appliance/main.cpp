// The appliance: a small real thing to start from. It serves the files of a tar archive on a disk and a page about itself on port 80,
// has a shell on the console, follows the host's balloon, and goes on with whatever devices there are.
#include <array>
#include <cstdio>

#include "boot/images/appliance/echo.hpp"
#include "boot/images/appliance/ending.hpp"
#include "boot/images/appliance/files.hpp"
#include "boot/images/appliance/site.hpp"
#include "boot/images/appliance/terminal.hpp"
#include "kernel/app.hpp"
#include "kernel/device_manager/device_manager.hpp"
#include "kernel/firmware/command_line.hpp"
#include "kernel/log/log.hpp"

namespace {

using kernel::LogLevel;

/// What a person at the console should know first: what is missing.
void greet() {
    std::printf("Ringside appliance. 'help' lists the commands.\n");
    if (ringside::disks().empty())
        std::printf("There is no disk: no files are served.\n");
    else if (appliance::files().disk == nullptr)
        std::printf("No disk has a tar archive on it: no files are served.\n");
    if (kernel::net_links().empty()) std::printf("There is no network device: no web page.\n");
    if (kernel::balloon_service() == nullptr) std::printf("There is no balloon device.\n");
    for (const kernel::DeviceEntry& device : kernel::devices())
        if (device.problem()[0] != 0) std::printf("%s is not used: %s\n", device.where(), device.problem());
}

void start_services() {
    appliance::files().open();
    if (kernel::net_links().empty()) return kernel::log(LogLevel::info, "no network device: no web server");
    appliance::start_echo();
    if (auto started = appliance::web_server().start(); !started)
        kernel::log(LogLevel::error, "web server: %s", virtio::message(started.error()));
}

/// The value of command=: what `ringside run --command` asks for.
int run_commands(std::string_view encoded) {
    std::array<char, 4096> decoded;
    if (const auto line = kernel::percent_decode(encoded, decoded)) return appliance::run_batch(*line);
    std::printf("command= is not percent-encoded\n");
    return 2;
}

} // namespace

int main() {
    start_services();
    if (const auto commands = kernel::command_line_value("command")) appliance::power_off(run_commands(*commands));
    greet();
    appliance::run_terminal();
}
