// One split queue on a started fake device, without a front end.
#pragma once

#include <doctest/doctest.h>

#include <deque>

#include "libvirtio/virtqueue.hpp"
#include "tests/unit/support/fake_device.hpp"

/// Requests that it hands out live as long as it does: some are still in flight when its destructor ends them.
struct SplitBench {
    explicit SplitBench(std::uint16_t size, virtio::FeatureSet ring_features = {}, virtio::QueueOptions options = {})
        : device{{.type = 2,
                  .features = ring_features | virtio::FeatureSet::of(virtio::RingFeature::version_1),
                  .config = std::vector<std::uint8_t>(64),
                  .queue_sizes = {size}}} {
        device.accepted = ring_features;
        features = ring_features;
        REQUIRE(queue.create(platform, *domain(), 0, size, ring_features, options));
        REQUIRE(device.set_status(1));
        REQUIRE(device.set_status(3));
        REQUIRE(device.set_status(11));
        auto grant = device.queue_enable(
            0, {queue.size(), queue.descriptor_address(), queue.driver_address(), queue.device_address(), virtio::kNoVector, false});
        REQUIRE(grant);
        queue.connect(grant->doorbell, virtio::kNoVector);
        REQUIRE(device.set_status(15));
        device.accepted = ring_features;
        queue.start();
    }
    ~SplitBench() {
        queue.destroy(virtio::Error::closed);
        CHECK(platform.live.empty());
    }
    virtio::DmaDomain* domain() { return *platform.dma_domain({}, false); }
    virtio::Segment segment(void* data, std::uint32_t length) {
        return {virtio::DmaAddress{reinterpret_cast<std::uintptr_t>(data)}, length};
    }
    virtio::Result<> add_out(virtio::Request& request, std::uint32_t length = 16) {
        const virtio::Segment out = segment(bytes.data(), length);
        return queue.add({&out, 1}, {}, request);
    }
    virtio::Result<> add_in(virtio::Request& request, std::uint32_t length = 16) {
        const virtio::Segment in = segment(bytes.data() + 2048, length);
        return queue.add({}, {&in, 1}, request);
    }

    fake::HostPlatform platform;
    fake::FakeDevice device;
    virtio::FeatureSet features;
    virtio::Virtqueue queue;
    std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(4096);

    virtio::Request& request() { return requests(1)[0]; }
    std::vector<virtio::Request>& requests(std::size_t count) { return pool.emplace_back(count); }
    std::deque<std::vector<virtio::Request>> pool;
};
