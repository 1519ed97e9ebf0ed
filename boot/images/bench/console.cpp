// Output through a console port, as a program does it: open and write. A megabyte at once, in pieces of 1 KiB and of 64 bytes; the end
// is when the device has everything.
#include <algorithm>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

#include "boot/images/bench/measurement.hpp"
#include "kernel/console/console_service.hpp"
#include "kernel/time/clock.hpp"

namespace bench {
namespace {

constexpr std::size_t kBytes = std::size_t{1} << 20;
constexpr const char* kPort = "/dev/virtio-ports/ringside.bench";
constexpr std::uint64_t kPatienceNs = 1'000'000'000;

void write_in_pieces(const char* name, int port, virtio::ConsolePort& driver, const virtio::Device& device, std::size_t piece) {
    if (!wanted(name)) return;
    const std::vector<char> text(piece, 'x');
    Measurement measure(name, device);
    for (std::size_t done = 0; done < kBytes && !failed();) {
        const auto written = ::write(port, text.data(), std::min(piece, kBytes - done));
        if (written <= 0) fail(name);
        done += static_cast<std::size_t>(written);
    }
    if (const auto drained = driver.drain(kernel::now_ns() + kPatienceNs); !drained) fail(name, drained.error());
    measure.end(kBytes);
}

} // namespace

void measure_console() {
    kernel::Channel* channel = kernel::find_channel("ringside.bench");
    if (channel == nullptr) return;
    const int port = ::open(kPort, O_WRONLY);
    if (port < 0) return fail("opening the port");
    for (kernel::ConsoleService* service = kernel::first_console(); service != nullptr; service = service->next()) {
        if (service->find("ringside.bench") != channel) continue;
        const virtio::Device& device = service->device().device();
        write_in_pieces("1mib", port, channel->port(), device, kBytes);
        write_in_pieces("1k", port, channel->port(), device, 1024);
        write_in_pieces("64b", port, channel->port(), device, 64);
    }
    ::close(port);
}

} // namespace bench
