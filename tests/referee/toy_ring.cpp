#include "tests/referee/toy_ring.hpp"

#include <algorithm>
#include <cstring>

namespace referee::toy {

Ring::Ring(Memory& memory, std::uint16_t size, std::uint64_t features, std::uint16_t first)
    : memory_(memory), features_(features), size_(size), first_(first) {
    const std::size_t bytes[] = {16u * size, packed() ? 4u : 6u + 2u * size, packed() ? 4u : 6u + 8u * size};
    std::uint64_t* const areas[] = {&descriptors_, &driver_, &device_};
    for (int i = 0; i < 3; ++i) {
        *areas[i] = memory.allocate(bytes[i], 16);
        std::memset(memory.at(*areas[i], bytes[i]), 0, bytes[i]);
    }
    for (std::uint16_t i = 0; i < size; ++i) free_.push_back(i);
    available_ = published_ = checked_ = used_ = first;
    room_ = size;
    if (packed()) {
        next_ = done_ = told_ = {static_cast<std::uint16_t>(first & 0x7fff), (first & 0x8000) == 0};
    } else {
        store16(driver() + 2, first);
        store16(device() + 2, first);
    }
}

QueueSetup Ring::setup(std::uint16_t index) const {
    return {.size = size_,
            .descriptors = descriptors_,
            .driver = driver_,
            .device = device_,
            .features = features_,
            .index = index,
            .first = first_};
}

void Ring::advance(Place& place, std::size_t by) const noexcept {
    const std::size_t to = place.slot + by;
    if (to >= size_) place.wrap = !place.wrap;
    place.slot = static_cast<std::uint16_t>(to % size_);
}

void Ring::store(std::byte* at, std::uint64_t address, std::uint32_t length, std::uint16_t third, std::uint16_t fourth) {
    std::memcpy(at, &address, 8);
    std::memcpy(at + 8, &length, 4);
    std::memcpy(at + 12, &third, 2);
    std::memcpy(at + 14, &fourth, 2);
}

std::uint64_t Ring::make_table(const std::vector<Part>& parts) {
    const std::uint64_t table = memory_.allocate(16 * parts.size(), 16);
    std::byte* at = memory_.at(table, 16 * parts.size());
    for (std::size_t i = 0; i < parts.size(); ++i, at += 16) {
        const std::uint16_t write = parts[i].writable ? desc::kWrite : 0;
        const bool more = !packed() && i + 1 < parts.size();
        const auto flags = static_cast<std::uint16_t>(write | (more ? desc::kNext : 0));
        if (packed())
            store(at, parts[i].address, parts[i].length, 0, flags);
        else
            store(at, parts[i].address, parts[i].length, flags, static_cast<std::uint16_t>(more ? i + 1 : 0));
    }
    return table;
}

std::optional<std::uint64_t> Ring::add(const std::vector<Part>& parts, bool indirect) {
    const std::size_t needed = indirect ? 1 : parts.size();
    if (packed() ? needed > room_ || free_.empty() : needed > free_.size()) return std::nullopt;
    Lent lent{.number = numbers_++};
    for (const Part& part : parts) lent.writable += part.writable ? part.length : 0;
    if (indirect) lent.table = make_table(parts);

    if (packed()) {
        lent.id = free_.front();
        free_.pop_front();
        const Place first = next_;
        for (std::size_t i = 0; i < needed; ++i) {
            const bool more = i + 1 < needed;
            auto flags = static_cast<std::uint16_t>(next_.wrap ? desc::kAvail : desc::kUsed);
            if (more) flags |= desc::kNext;
            if (indirect)
                flags |= desc::kIndirect;
            else if (parts[i].writable)
                flags |= desc::kWrite;
            std::byte* const at = descriptor(next_.slot);
            const std::uint64_t address = indirect ? lent.table : parts[i].address;
            const auto length = indirect ? static_cast<std::uint32_t>(16 * parts.size()) : parts[i].length;
            std::memcpy(at, &address, 8);
            std::memcpy(at + 8, &length, 4);
            std::memcpy(at + 12, &lent.id, 2);
            if (i == 0 && !held_back_) {
                held_back_ = first;
                held_flags_ = flags;
            } else {
                store16(at + 14, flags, std::memory_order_relaxed);
            }
            lent.slots.push_back(next_.slot);
            advance(next_, 1);
        }
        room_ = static_cast<std::uint16_t>(room_ - needed);
    } else {
        for (std::size_t i = 0; i < needed; ++i) {
            lent.slots.push_back(free_.front());
            free_.pop_front();
        }
        for (std::size_t i = 0; i < needed; ++i) {
            const bool more = i + 1 < needed;
            const std::uint16_t next = more ? lent.slots[i + 1] : std::uint16_t{0};
            std::uint16_t flags = more ? desc::kNext : 0;
            if (indirect)
                flags |= desc::kIndirect;
            else if (parts[i].writable)
                flags |= desc::kWrite;
            store(descriptor(lent.slots[i]), indirect ? lent.table : parts[i].address,
                  indirect ? static_cast<std::uint32_t>(16 * parts.size()) : parts[i].length, flags, next);
        }
        lent.id = lent.slots.front();
        store16(driver() + 4 + 2 * (available_ % size_), lent.id, std::memory_order_relaxed);
        ++available_;
    }
    by_id_[lent.id] = lent.number;
    lent_.emplace(lent.number, lent);
    return lent.number;
}

void Ring::publish() {
    if (packed()) {
        if (held_back_) store16(descriptor(held_back_->slot) + 14, held_flags_);
        held_back_.reset();
    } else {
        published_ = available_;
        store16(driver() + 2, published_);
    }
}

bool Ring::needs_kick() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!packed()) {
        const std::uint16_t old = checked_;
        checked_ = published_;
        if ((features_ & feature::kEventIdx) != 0) return passes(load16(device() + 4 + 8 * std::size_t{size_}), published_, old);
        return published_ != old && (load16(device()) & 1) == 0;
    }
    const Place old = told_;
    told_ = next_;
    if (old.slot == next_.slot && old.wrap == next_.wrap) return false;
    const std::uint32_t both = load32(device(), std::memory_order_acquire);
    const std::uint32_t flags = both >> 16 & 3;
    if (flags != event::kDesc) return flags != event::kDisable;
    const auto flat = [this](std::uint32_t slot, bool wrap) { return slot + (wrap ? 0 : size_); };
    const auto distance = [&](std::uint32_t to) { return (to + 2u * size_ - flat(old.slot, old.wrap)) % (2u * size_); };
    return distance(flat(both & 0x7fff, (both & 0x8000) != 0)) < distance(flat(next_.slot, next_.wrap));
}

std::uint16_t Ring::position() const noexcept {
    return packed() ? static_cast<std::uint16_t>(next_.slot | (next_.wrap ? 0x8000 : 0)) : published_;
}

std::uint32_t Ring::kick_value(std::uint16_t index) const {
    return (features_ & feature::kNotificationData) != 0 ? index | (std::uint32_t{position()} << 16) : index;
}

std::optional<Back> Ring::finish(std::uint32_t id, std::uint32_t length) {
    if (id >= size_) {
        fault_ = "id out of range";
        return std::nullopt;
    }
    const auto found = by_id_.find(static_cast<std::uint16_t>(id));
    if (found == by_id_.end()) {
        fault_ = "id not in flight";
        return std::nullopt;
    }
    const std::uint64_t number = found->second;
    // IN_ORDER: whatever was lent before came back with it, whole.
    std::vector<std::uint64_t> numbers;
    if ((features_ & feature::kInOrder) != 0)
        for (const auto& [earlier, lent] : lent_)
            if (earlier < number) numbers.push_back(earlier);
    numbers.push_back(number);
    for (const std::uint64_t each : numbers) {
        const Lent& lent = lent_.at(each);
        if (each == number && length > lent.writable) {
            fault_ = "length too long";
            return std::nullopt;
        }
        batch_.push_back({each, each == number ? length : static_cast<std::uint32_t>(lent.writable)});
        if (lent.table != 0) memory_.release(lent.table);
        if (packed()) {
            free_.push_back(lent.id);
            room_ = static_cast<std::uint16_t>(room_ + lent.slots.size());
            advance(done_, lent.slots.size());
        } else {
            for (const std::uint16_t slot : lent.slots) free_.push_back(slot);
            ++used_;
        }
        by_id_.erase(lent.id);
        lent_.erase(each);
    }
    const Back back = batch_.front();
    batch_.pop_front();
    return back;
}

std::optional<Back> Ring::take_packed() {
    const std::byte* const at = descriptor(done_.slot);
    const std::uint16_t flags = load16(at + 14);
    const bool available = (flags & desc::kAvail) != 0;
    const bool used = (flags & desc::kUsed) != 0;
    if (available != done_.wrap || used != done_.wrap || lent_.empty()) return std::nullopt;
    return finish(load16(at + 12, std::memory_order_relaxed), (flags & desc::kWrite) != 0 ? load32(at + 8) : 0);
}

std::optional<Back> Ring::take() {
    if (fault_ != nullptr) return std::nullopt;
    if (!batch_.empty()) {
        const Back back = batch_.front();
        batch_.pop_front();
        return back;
    }
    if (packed()) return take_packed();
    const std::uint16_t index = load16(device() + 2);
    if (index == used_) return std::nullopt;
    if (static_cast<std::uint16_t>(index - used_) > lent_.size()) {
        fault_ = "index jumped";
        return std::nullopt;
    }
    const std::byte* const element = device() + 4 + 8 * (std::size_t{used_} % size_);
    return finish(load32(element), load32(element + 4));
}

void Ring::suppress() {
    if (packed())
        store16(driver() + 2, event::kDisable);
    else if ((features_ & feature::kEventIdx) == 0)
        store16(driver(), 1, std::memory_order_relaxed);
}

bool Ring::arm() {
    if (packed()) {
        if ((features_ & feature::kEventIdx) != 0) {
            store16(driver(), static_cast<std::uint16_t>(done_.slot | (done_.wrap ? 0x8000 : 0)), std::memory_order_relaxed);
            store16(driver() + 2, event::kDesc);
        } else {
            store16(driver() + 2, event::kEnable);
        }
    } else if ((features_ & feature::kEventIdx) != 0) {
        store16(driver() + 4 + 2 * std::size_t{size_}, used_, std::memory_order_relaxed);
    } else {
        store16(driver(), 0, std::memory_order_relaxed);
    }
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!packed()) return load16(device() + 2) != used_;
    const std::uint16_t flags = load16(descriptor(done_.slot) + 14);
    return ((flags & desc::kAvail) != 0) == done_.wrap && ((flags & desc::kUsed) != 0) == done_.wrap && !lent_.empty();
}

} // namespace referee::toy
