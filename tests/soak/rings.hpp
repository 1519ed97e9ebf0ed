// What both soak programs share: one ring of each kind with its memory, payload buffers whose content follows from the request's number,
// and a device that checks what it reads and answers what the driver can check.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "libvirtio/ring/packed.hpp"
#include "libvirtio/ring/split.hpp"
#include "tests/referee/cheap.hpp"

namespace soak {

inline constexpr std::uint16_t kSize = 256;

inline void check(bool holds, const char* what, std::uint64_t operation) noexcept {
    if (holds) [[likely]]
        return;
    std::fprintf(stderr, "operation %llu: %s\n", static_cast<unsigned long long>(operation), what);
    std::exit(1);
}

/// One slot's payload: the driver writes `sent` before it lends the slot, the device `received` before it gives it back.
struct Payload {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
};
[[nodiscard]] constexpr std::uint64_t answer_to(std::uint64_t sent) noexcept { return sent * 0x9e37'79b9'7f4a'7c15 ^ (sent >> 7); }

template<class RingType> struct Bench {
    static constexpr bool kPacked = std::is_same_v<RingType, virtio::PackedRing>;
    using Memory = std::conditional_t<kPacked, virtio::PackedMemory, virtio::SplitMemory>;
    static constexpr std::size_t kBytes = kPacked ? virtio::packed_layout(kSize).total : virtio::split_layout(kSize).total;
    static constexpr std::size_t kDriver = kPacked ? virtio::packed_layout(kSize).driver : virtio::split_layout(kSize).driver;
    static constexpr std::size_t kDevice = kPacked ? virtio::packed_layout(kSize).device : virtio::split_layout(kSize).device;

    alignas(4096) std::array<std::byte, kBytes> memory{};
    std::array<virtio::RingSlot, kSize> slots{};
    std::array<virtio::Request, kSize> requests{};
    std::array<Payload, kSize> payloads{};
    RingType ring;
    bool in_order = false;

    void attach(bool keeps_order) noexcept {
        in_order = keeps_order;
        virtio::RingSetup setup;
        setup.size = kSize;
        setup.in_order = keeps_order;
        setup.event_index = true;
        ring.attach(Memory{memory.data(), kSize}, slots, nullptr, virtio::DmaAddress{0}, setup);
    }
    /// The payload that a descriptor's address names.
    [[nodiscard]] Payload& payload_at(std::uint64_t address, std::uint64_t operation) noexcept {
        check(address % sizeof(Payload) == 0 && address / sizeof(Payload) < kSize, "a descriptor names no payload", operation);
        return payloads[address / sizeof(Payload)];
    }
    [[nodiscard]] virtio::Segment segment(std::size_t number) const noexcept {
        return {virtio::DmaAddress{number * sizeof(Payload)}, sizeof(Payload)};
    }
};

/// Walks the ring with code of its own, and does the work of each buffer: reads its payload, answers it. Runs beside the driver.
template<class RingType> class Device {
public:
    explicit Device(Bench<RingType>& bench) noexcept : bench_(bench) {}

    /// Serves at most `most` buffers; returns how many.
    unsigned serve(unsigned most) noexcept {
        if constexpr (Bench<RingType>::kPacked)
            return serve_packed(most);
        else
            return serve_split(most);
    }

private:
    void work(std::uint64_t address) noexcept {
        Payload& payload = bench_.payload_at(address, operation_++);
        payload.received = answer_to(payload.sent);
    }
    unsigned serve_split(unsigned most) noexcept {
        std::byte* const memory = bench_.memory.data();
        std::byte* const available = memory + bench_.kDriver;
        std::byte* const used = memory + bench_.kDevice;
        const std::uint16_t end = referee::load16(available + 2);
        unsigned count = 0;
        std::uint16_t head = 0;
        for (; seen_ != end && count < most; ++count, ++seen_) {
            head = referee::load16(available + 4 + 2 * (seen_ % kSize), std::memory_order_relaxed);
            check(head < kSize, "an available entry out of range", operation_);
            work(reinterpret_cast<const virtio::Descriptor*>(memory)[head].address.load());
            if (bench_.in_order) continue;
            element(used, static_cast<std::uint16_t>(used_index_ + count), head);
        }
        if (count == 0) return 0;
        if (bench_.in_order) element(used, used_index_, head); // one entry for all of them
        used_index_ = static_cast<std::uint16_t>(used_index_ + count);
        referee::store16(used + 2, used_index_);
        return count;
    }
    static void element(std::byte* used, std::uint16_t index, std::uint16_t id) noexcept {
        referee::store32(used + 4 + 8 * (index % kSize), id);
        referee::store32(used + 8 + 8 * (index % kSize), sizeof(Payload));
    }
    unsigned serve_packed(unsigned most) noexcept {
        std::byte* const memory = bench_.memory.data();
        unsigned count = 0;
        std::uint16_t first = slot_;
        bool first_wrap = wrap_;
        std::uint16_t id = 0;
        while (count < most) {
            std::byte* const at = memory + 16 * std::size_t{slot_};
            const std::uint16_t flags = referee::load16(at + 14);
            if (((flags >> 7 & 1) != 0) != wrap_ || ((flags >> 15 & 1) != 0) == wrap_) break;
            const auto& descriptor = *reinterpret_cast<const virtio::PackedDescriptor*>(at);
            work(descriptor.address.load());
            id = descriptor.id.load();
            if (!bench_.in_order) used(slot_, wrap_, id);
            ++count;
            if (++slot_ == kSize) {
                slot_ = 0;
                wrap_ = !wrap_;
            }
        }
        if (count != 0 && bench_.in_order) used(first, first_wrap, id);
        return count;
    }
    void used(std::uint16_t slot, bool wrap, std::uint16_t id) noexcept {
        std::byte* const at = bench_.memory.data() + 16 * std::size_t{slot};
        referee::store32(at + 8, sizeof(Payload));
        referee::store16(at + 12, id, std::memory_order_relaxed);
        referee::store16(at + 14, static_cast<std::uint16_t>(wrap ? 0x8082 : 0x0002));
    }

    Bench<RingType>& bench_;
    std::uint64_t operation_ = 0;
    std::uint16_t seen_ = 0;
    std::uint16_t used_index_ = 0;
    std::uint16_t slot_ = 0;
    bool wrap_ = true;
};

/// The driver's side: keeps the ring busy by batches, checks every completion.
template<class RingType> class Driver {
public:
    explicit Driver(Bench<RingType>& bench) noexcept : bench_(bench) {
        for (std::uint16_t i = 0; i < kSize; ++i) free_[i] = i;
    }
    /// Adds up to `most` requests and publishes them.
    void submit(unsigned most) noexcept {
        for (; most != 0 && free_count_ != 0; --most) {
            const std::uint16_t number = free_[--free_count_];
            bench_.payloads[number].sent = ++sent_;
            bench_.payloads[number].received = 0;
            check(bench_.ring.add_writable(bench_.segment(number), bench_.requests[number]).has_value(), "a request is refused", sent_);
        }
        bench_.ring.publish();
    }
    /// Takes up to `most` completions; returns how many.
    unsigned collect(unsigned most) noexcept {
        const unsigned done = bench_.ring.drain(most, [this](virtio::Request& request) noexcept {
            const auto number = static_cast<std::size_t>(&request - bench_.requests.data());
            const Payload& payload = bench_.payloads[number];
            check(request.length == sizeof(Payload) && !request.length_clamped, "a completion's length", done_);
            check(payload.received == answer_to(payload.sent), "a completion's payload", done_);
            request.state = virtio::Request::State::idle;
            free_[free_count_++] = static_cast<std::uint16_t>(number);
            ++done_;
        });
        check(!bench_.ring.broken(), "the ring is broken", done_);
        return done;
    }
    [[nodiscard]] std::uint64_t done() const noexcept { return done_; }
    [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }

private:
    Bench<RingType>& bench_;
    std::array<std::uint16_t, kSize> free_{};
    unsigned free_count_ = kSize;
    std::uint64_t sent_ = 0;
    std::uint64_t done_ = 0;
};

/// Runs `work<Ring>(operations, in_order)` for the ring that the command line names.
template<class Work> int main(int count, char** arguments, Work work) noexcept {
    if (count != 3) {
        std::fprintf(stderr, "usage: %s split|packed|split_in_order|packed_in_order OPERATIONS\n", arguments[0]);
        return 2;
    }
    const std::string_view name = arguments[1];
    const std::uint64_t operations = std::strtoull(arguments[2], nullptr, 10);
    const bool in_order = name.ends_with("_in_order");
    if (operations == 0 || !(name.starts_with("split") || name.starts_with("packed"))) return 2;
    return name.starts_with("split") ? work.template operator()<virtio::SplitRing>(operations, in_order)
                                     : work.template operator()<virtio::PackedRing>(operations, in_order);
}

} // namespace soak
