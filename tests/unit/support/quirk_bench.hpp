// What the tests of hypervisors' quirks share: a device with one queue, and a driver that only lends single bytes to it.
//
//     QuirkBench bench{{.features = ..., .queue_sizes = {64}}};
//     REQUIRE(bench.start());
//     CHECK(bench.round_trips(100) == 100);
#pragma once

#include <doctest/doctest.h>

#include "libvirtio/device.hpp"
#include "tests/unit/support/fake_device.hpp"

namespace fake {

struct QuirkBench {
    explicit QuirkBench(FakeDevice::Options options)
        : device([&] {
              options.type = 4;
              return options;
          }()) {}
    ~QuirkBench() { static_cast<void>(driver.stop()); }

    virtio::Result<> start(virtio::Platform& port, const virtio::QueueOptions& queue_options = {}) {
        if (auto done = driver.begin(port, device, 4); !done) return done;
        if (auto done = driver.negotiate({}, {}); !done) return done;
        driver.connect_interrupts(1);
        if (auto done = driver.add_queue(0, queue, queue_options); !done) return done;
        return driver.run();
    }
    virtio::Result<> start(const virtio::QueueOptions& queue_options = {}) { return start(platform, queue_options); }

    /// Lends a byte, lets the device use it, takes it back; how often that worked.
    unsigned round_trips(unsigned count) {
        unsigned done = 0;
        for (unsigned i = 0; i < count; ++i) {
            const auto memory = driver.domain().map(&byte, 1, virtio::DmaDirection::from_device);
            if (!memory) break;
            virtio::Request request;
            const bool lent = queue.add_writable({memory->address, 1}, request).has_value();
            queue.kick();
            queue.suppress_interrupts();
            const auto chain = lent ? device.take(0) : std::nullopt;
            if (chain) device.use(0, *chain, 1);
            done += queue.poll(1);
            static_cast<void>(queue.arm_interrupts());
            driver.domain().unmap(*memory, virtio::DmaDirection::from_device);
        }
        return done;
    }

    HostPlatform platform;
    FakeDevice device;
    virtio::Virtqueue queue;
    virtio::Device driver;
    std::byte byte{};
};

} // namespace fake
