// The cheapest honest device, for benchmarks: uses everything that is available, with the least code that keeps the rules of both
// sides (EVENT_IDX and suppression flags, wrap counters, acquire and release). It judges nothing and believes the driver. A plain
// object over the ring's memory; one thread at a time, which may be another than the driver's.
//
//     referee::CheapSplit device{descriptors, available, used, 256, {.event_index = true}};
//     ... driver publishes ...; if (device.serve() && device.wants_interrupt()) my_interrupt();
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tests/referee/memory.hpp"
#include "tests/referee/wire.hpp"

namespace referee {

struct CheapOptions {
    bool event_index = false;
    bool in_order = false;    // one used entry for everything that serve() found
    bool want_kicks = false;  // ask for a notification each time the ring is empty; else the device polls and asks for none
    std::uint32_t length = 0; // the used length of every buffer
    std::uint16_t first = 0;  // split: where both indices start
};

/// Split. `serve()` costs one load of avail.idx, per buffer one load of its ring entry and one store of a used element, and one
/// release store of used.idx.
class CheapSplit {
public:
    CheapSplit() = default;
    CheapSplit(std::byte* descriptors, std::byte* available, std::byte* used, std::uint16_t size, const CheapOptions& options) noexcept
        : available_(available), used_(used), mask_(static_cast<std::uint16_t>(size - 1)), size_(size), seen_(options.first),
          index_(options.first), told_(options.first), options_(options) {
        static_cast<void>(descriptors);
        ask();
    }

    /// Uses at most `most` buffers; returns how many.
    unsigned serve(unsigned most = 0xffff) noexcept {
        const std::uint16_t end = load16(available_ + 2);
        auto count = static_cast<unsigned>(static_cast<std::uint16_t>(end - seen_));
        if (count == 0) return 0;
        if (count > most) count = most;
        if (options_.in_order) {
            const auto last = static_cast<std::uint16_t>(seen_ + count - 1);
            element(index_ & mask_, load16(available_ + 4 + 2 * (last & mask_), std::memory_order_relaxed));
        } else {
            for (unsigned i = 0; i < count; ++i)
                element((index_ + i) & mask_, load16(available_ + 4 + 2 * ((seen_ + i) & mask_), std::memory_order_relaxed));
        }
        seen_ = static_cast<std::uint16_t>(seen_ + count);
        index_ = static_cast<std::uint16_t>(index_ + count);
        store16(used_ + 2, index_);
        if (options_.want_kicks && options_.event_index) ask();
        return count;
    }
    /// Whether the driver wants to hear of what was used since the last call.
    [[nodiscard]] bool wants_interrupt() noexcept {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        const std::uint16_t old = told_;
        told_ = index_;
        if (options_.event_index) return passes(load16(available_ + 4 + 2 * std::size_t{size_}, std::memory_order_relaxed), index_, old);
        return index_ != old && (load16(available_, std::memory_order_relaxed) & 1) == 0;
    }
    /// Something is available that serve() has not used: the second look after asking for notifications.
    [[nodiscard]] bool pending() const noexcept {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        return load16(available_ + 2) != seen_;
    }

private:
    void element(std::size_t slot, std::uint16_t id) noexcept {
        store32(used_ + 4 + 8 * slot, id);
        store32(used_ + 8 + 8 * slot, options_.length);
    }
    void ask() noexcept {
        if (options_.event_index)
            store16(used_ + 4 + 8 * std::size_t{size_}, static_cast<std::uint16_t>(options_.want_kicks ? seen_ : seen_ - 1),
                    std::memory_order_relaxed);
        else
            store16(used_, options_.want_kicks ? 0 : 1, std::memory_order_relaxed);
    }

    std::byte* available_ = nullptr;
    std::byte* used_ = nullptr;
    std::uint16_t mask_ = 0;
    std::uint16_t size_ = 0;
    std::uint16_t seen_ = 0;  // next available entry
    std::uint16_t index_ = 0; // next used entry
    std::uint16_t told_ = 0;  // index_ at the last wants_interrupt()
    CheapOptions options_;
};

/// Packed. Buffers are used in the order in which they came, so the used descriptor always overwrites the first of its list.
class CheapPacked {
public:
    CheapPacked() = default;
    CheapPacked(std::byte* descriptors, std::byte* driver_event, std::byte* device_event, std::uint16_t size,
                const CheapOptions& options) noexcept
        : ring_(descriptors), driver_(driver_event), device_(device_event), size_(size), options_(options) {
        ask();
    }

    /// Uses at most `most` buffers; returns how many.
    unsigned serve(unsigned most = 0xffff) noexcept {
        const std::uint16_t head = slot_;
        const bool head_wrap = wrap_;
        std::uint16_t last_id = 0;
        unsigned count = 0;
        while (count < most) {
            const std::uint16_t first = slot_;
            const bool first_wrap = wrap_;
            std::uint16_t flags = load16(flags_at(slot_));
            if (((flags & desc::kAvail) != 0) != wrap_ || ((flags & desc::kUsed) != 0) == wrap_) break;
            const bool writes = (flags & desc::kWrite) != 0;
            bool any = writes;
            while ((flags & desc::kNext) != 0) {
                advance();
                flags = load16(flags_at(slot_), std::memory_order_relaxed);
                any = any || (flags & desc::kWrite) != 0;
            }
            last_id = load_id(slot_);
            any = any || (flags & desc::kIndirect) != 0;
            advance();
            if (!options_.in_order) write(first, first_wrap, last_id, any);
            any_ = any;
            ++count;
        }
        if (options_.in_order && count != 0) write(head, head_wrap, last_id, any_);
        if (count != 0 && options_.want_kicks && options_.event_index) ask();
        return count;
    }
    /// Whether the driver wants to hear of what was used since the last call.
    [[nodiscard]] bool wants_interrupt() noexcept {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        const std::uint32_t old = told_;
        const std::uint32_t now = static_cast<std::uint32_t>(slot_) | (static_cast<std::uint32_t>(wrap_) << 15);
        told_ = now;
        if (old == now) return false;
        const std::uint16_t flags = load16(driver_ + 2) & 3;
        if (flags != event::kDesc || !options_.event_index) return flags != event::kDisable;
        // Distances forward along the ring from the last time; a descriptor already passed then lies a turn ahead.
        const std::uint16_t wanted = load16(driver_, std::memory_order_relaxed);
        return distance(old, wanted) < distance(old, static_cast<std::uint16_t>(now));
    }
    [[nodiscard]] bool pending() const noexcept {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        const std::uint16_t flags = load16(flags_at(slot_));
        return ((flags & desc::kAvail) != 0) == wrap_ && ((flags & desc::kUsed) != 0) != wrap_;
    }

private:
    [[nodiscard]] std::byte* flags_at(std::uint16_t slot) const noexcept { return ring_ + 16 * std::size_t{slot} + 14; }
    [[nodiscard]] std::uint16_t load_id(std::uint16_t slot) const noexcept {
        std::uint16_t id = 0;
        std::memcpy(&id, ring_ + 16 * std::size_t{slot} + 12, 2);
        return id;
    }
    void advance() noexcept {
        if (++slot_ == size_) {
            slot_ = 0;
            wrap_ = !wrap_;
        }
    }
    void write(std::uint16_t slot, bool wrap, std::uint16_t id, bool wrote) noexcept {
        std::byte* at = ring_ + 16 * std::size_t{slot};
        store32(at + 8, options_.length);
        store16(at + 12, id, std::memory_order_relaxed);
        const auto flags = static_cast<std::uint16_t>((wrap ? desc::kAvail | desc::kUsed : 0) | (wrote ? desc::kWrite : 0));
        store16(at + 14, flags);
    }
    /// Slots from one position (wrap counter in bit 15) forward to another, within the two turns that positions tell apart.
    [[nodiscard]] std::uint32_t distance(std::uint32_t from, std::uint32_t to) const noexcept {
        const std::uint32_t two = 2u * size_;
        const auto flat = [this](std::uint32_t position) {
            return (position & 0x7fff) + ((position & 0x8000) != 0 ? 0u : std::uint32_t{size_});
        };
        return (flat(to) + two - flat(from)) % two;
    }
    void ask() noexcept {
        const auto position = static_cast<std::uint32_t>(slot_ | (wrap_ ? 0x8000 : 0));
        const std::uint32_t flags = !options_.want_kicks ? event::kDisable : options_.event_index ? event::kDesc : event::kEnable;
        store32(device_, position | (flags << 16), std::memory_order_release);
    }

    std::byte* ring_ = nullptr;
    std::byte* driver_ = nullptr;
    std::byte* device_ = nullptr;
    std::uint16_t size_ = 0;
    std::uint16_t slot_ = 0;
    std::uint32_t told_ = 0x8000;
    bool wrap_ = true;
    bool any_ = false;
    CheapOptions options_;
};

} // namespace referee
