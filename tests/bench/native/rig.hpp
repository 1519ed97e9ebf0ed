// One queue of 256 between the library's Virtqueue, as shipped, and the referee's cheapest honest device; EVENT_IDX, and no wish
// for notifications. submit() and collect() are the driver's part (driver.hpp), serve() is the device's.
//
//     bench::Rig rig{bench::Ring::split, bench::Shape::one};
//     rig.submit(32); rig.serve(); rig.collect(32);
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "libvirtio/virtqueue.hpp"
#include "tests/bench/native/driver.hpp"
#include "tests/bench/native/shapes.hpp"
#include "tests/referee/cheap.hpp"

namespace bench {

class Memory final : public virtio::Platform {
public:
    void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override;
    void dma_free(void* memory, std::size_t bytes) noexcept override;
    virtio::DmaAddress dma_address(const void* memory) noexcept override { return {reinterpret_cast<std::uintptr_t>(memory)}; }
    std::uint64_t now_ns() noexcept override { return 0; }
};

/// What a request lends.
struct alignas(64) Payload {
    std::uint64_t header = 0;
    std::array<std::uint64_t, 4> data{};
    std::uint8_t status = 0xff;
};

class Rig {
public:
    Rig(Ring ring, Shape shape);
    ~Rig();
    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;

    /// The driver's part: `count` requests (a power of two, up to 32) of those that are not in flight. False: one was refused.
    bool submit(unsigned count) {
        const std::size_t at = submitted_ % most_;
        submitted_ += count;
        return submit_(queue_, &operations_[at], &parts_[3 * at], count);
    }
    /// The device's part: uses everything that is available. Returns how many.
    unsigned serve();
    /// The driver's part: up to `budget` completions. Returns how many.
    unsigned collect(unsigned budget) { return driver_collect(queue_, budget); }

    /// How many requests may be in flight.
    [[nodiscard]] unsigned most() const noexcept { return most_; }

    /// Batches of `batch` past the wrap of every index; the device looks at every chain and writes to it, and each request is done
    /// once. What is wrong, or nothing.
    std::string check(unsigned batch);

private:
    bool look_at_new();
    bool look_at_chain(std::uint64_t table, std::uint32_t index, std::uint32_t end, bool packed);
    bool look_at_parts(const std::vector<virtio::Segment>& parts, std::size_t readable);

    Ring ring_;
    Shape shape_;
    Memory memory_;
    virtio::Virtqueue queue_;
    std::variant<referee::CheapSplit, referee::CheapPacked> device_;
    bool (*submit_)(virtio::Virtqueue&, Operation*, const virtio::Segment*, unsigned) = nullptr;
    std::vector<Operation> operations_;
    std::vector<Payload> payloads_;
    std::vector<virtio::Segment> parts_; // three a request
    unsigned most_ = 0;
    std::uint64_t submitted_ = 0;

    // check(): the next chain that the device has not looked at.
    std::uint64_t looked_ = 0;
    std::uint16_t index_ = 0;
    bool wrap_ = true;
};

} // namespace bench
