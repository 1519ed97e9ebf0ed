// libvirtio's MMIO transport, device and two queues at the referee's registers, memory and interrupts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libvirtio/device.hpp"
#include "libvirtio/transport/mmio.hpp"
#include "tests/conformance/ring_bench.hpp"

namespace conformance {

class OurDevice {
public:
    static constexpr std::uint64_t kBase = 0x0a00'0000;

    /// An echo device with two queues that offers `features`; brought up and running unless mistakes says why not.
    OurDevice(std::uint64_t features, std::uint16_t queue_size, const referee::Script& script);
    ~OurDevice();
    OurDevice(const OurDevice&) = delete;
    OurDevice& operator=(const OurDevice&) = delete;

    /// Sends a buffer through a queue and waits for it; false when it does not come back.
    bool echo(unsigned queue);
    /// Puts a buffer into a queue and leaves it with the device.
    bool send(unsigned queue);
    void step() { machine.step(); }

    referee::Machine machine;
    GuestPlatform platform;
    virtio::MmioTransport transport;
    virtio::Device device;
    virtio::Virtqueue queues[2];
    std::vector<std::string> mistakes;
    std::uint16_t size_at_first = 0, size_at_last = 0; // of queue 1, before its reset and after

private:
    struct Buffer : virtio::Request {
        std::uint64_t memory = 0; // guest
    };
    std::vector<std::unique_ptr<Buffer>> buffers_;
};

} // namespace conformance
