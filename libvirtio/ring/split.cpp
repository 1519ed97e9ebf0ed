#include "libvirtio/ring/split.hpp"

namespace virtio {

void SplitRing::attach(SplitMemory memory, std::span<Slot> slots, std::byte* tables, DmaAddress tables_address, const Setup& setup,
                       std::uint16_t first_index) noexcept {
    *this = SplitRing{};
    memory_ = memory;
    slots_ = slots.data();
    tables_ = tables;
    tables_address_ = tables_address;
    size_ = setup.size;
    mask_ = static_cast<std::uint16_t>(setup.size - 1);
    fixed_ = setup.fixed;
    reserved_ = fixed_ ? setup.size : static_cast<std::uint16_t>(setup.presets * 3);
    indirect_entries_ = tables == nullptr ? std::uint16_t{0} : setup.indirect_entries;
    event_index_ = setup.event_index;
    strict_length_ = setup.strict_length;
    ordering_ = setup.ordering;
    available_ = published_ = checked_ = last_used_ = used_seen_ = first_index;
    free_head_ = reserved_;
    free_count_ = static_cast<std::uint16_t>(size_ - reserved_);
    for (std::uint16_t i = 0; i < size_; ++i) slots_[i] = {nullptr, 0, 0, static_cast<std::uint16_t>(i + 1)};
}

void SplitRing::make_available(std::uint16_t head, Request& request, std::uint32_t writable, std::uint16_t count) noexcept {
    slots_[head].request = &request;
    slots_[head].writable = writable;
    slots_[head].count = count;
    request.state = Request::State::in_flight;
    ++in_flight_;
    memory_.store_available(available_ & mask_, head);
    ++available_;
}

Result<> SplitRing::add(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept {
    const std::size_t count = readable.size() + writable.size();
    if (count == 0) return fail(Error::empty_request);
    if (count > size_) return fail(Error::too_many_segments); // indirect chains too may not exceed the queue (VIRTIO 1.4, 2.7.5.3.1)
    if (broken()) return fail(Error::queue_broken);
    if (request.state == Request::State::in_flight) return fail(Error::request_in_flight);

    std::uint64_t bytes = 0;
    std::uint64_t bytes_writable = 0;
    for (const Segment& segment : readable) {
        if (segment.length == 0) return fail(Error::invalid_argument);
        bytes += segment.length;
    }
    for (const Segment& segment : writable) {
        if (segment.length == 0) return fail(Error::invalid_argument);
        bytes_writable += segment.length;
    }
    if (bytes + bytes_writable > 0xffff'ffffu) return fail(Error::invalid_argument);

    // A table costs one read more for the device, so it is used where it saves ring space that matters: three or more parts,
    // or a ring too full for the direct chain.
    const bool indirect = count <= indirect_entries_ && (count >= 3 || (count > free_count_));
    const std::size_t needed = indirect ? 1 : count;
    if (needed > static_cast<std::size_t>(size_ - reserved_)) return fail(Error::too_many_segments);
    if (needed > free_count_) return fail(Error::ring_full);

    const std::uint16_t head = free_head_;
    if (indirect) {
        const std::size_t table = std::size_t{head} * indirect_entries_ * sizeof(Descriptor);
        std::size_t index = 0;
        const auto entry = [&](const Segment& segment, std::uint16_t write) {
            const std::uint16_t next = index + 1 < count ? descriptor_flag::kNext : std::uint16_t{0};
            store_table_entry(tables_ + table, index,
                              {Le64{segment.address.value}, Le32{segment.length}, Le16{static_cast<std::uint16_t>(write | next)},
                               Le16{static_cast<std::uint16_t>(next != 0 ? index + 1 : 0)}});
            ++index;
        };
        for (const Segment& segment : readable) entry(segment, 0);
        for (const Segment& segment : writable) entry(segment, descriptor_flag::kWrite);
        memory_.store_descriptor(head, {Le64{(tables_address_ + table).value}, Le32{static_cast<std::uint32_t>(count * sizeof(Descriptor))},
                                        Le16{descriptor_flag::kIndirect}, Le16{0}});
        free_head_ = slots_[head].next;
    } else {
        std::uint16_t index = head;
        std::size_t left = count;
        const auto descriptor = [&](const Segment& segment, std::uint16_t write) {
            const std::uint16_t following = slots_[index].next;
            --left;
            memory_.store_descriptor(index,
                                     {Le64{segment.address.value}, Le32{segment.length},
                                      Le16{static_cast<std::uint16_t>(write | (left != 0 ? descriptor_flag::kNext : std::uint16_t{0}))},
                                      Le16{left != 0 ? following : std::uint16_t{0}}});
            index = following;
        };
        for (const Segment& segment : readable) descriptor(segment, 0);
        for (const Segment& segment : writable) descriptor(segment, descriptor_flag::kWrite);
        free_head_ = index;
    }
    free_count_ = static_cast<std::uint16_t>(free_count_ - needed);
    make_available(head, request, static_cast<std::uint32_t>(bytes_writable), static_cast<std::uint16_t>(needed));
    return {};
}

void SplitRing::preset(std::uint16_t slot, const Segment& first, const Segment& last) noexcept {
    const auto head = static_cast<std::uint16_t>(slot * 3);
    memory_.store_descriptor(
        head, {Le64{first.address.value}, Le32{first.length}, Le16{descriptor_flag::kNext}, Le16{static_cast<std::uint16_t>(head + 1)}});
    memory_.store_descriptor(static_cast<std::uint16_t>(head + 2),
                             {Le64{last.address.value}, Le32{last.length}, Le16{descriptor_flag::kWrite}, Le16{0}});
    slots_[head + 2].writable = last.length;
}

Result<> SplitRing::add_preset(std::uint16_t slot, const Segment& data, bool device_writes, Request& request) noexcept {
    const auto head = static_cast<std::uint16_t>(slot * 3);
    if (head >= reserved_ || data.length == 0) return fail(Error::invalid_argument);
    if (broken()) return fail(Error::queue_broken);
    if (slots_[head].request != nullptr || request.state == Request::State::in_flight) return fail(Error::request_in_flight);
    const std::uint32_t last = slots_[head + 2].writable;
    const std::uint32_t writable = device_writes ? data.length + last : last;
    if (writable < last) return fail(Error::invalid_argument);
    const std::uint16_t flags = device_writes ? descriptor_flag::kNext | descriptor_flag::kWrite : descriptor_flag::kNext;
    memory_.store_descriptor(static_cast<std::uint16_t>(head + 1),
                             {Le64{data.address.value}, Le32{data.length}, Le16{flags}, Le16{static_cast<std::uint16_t>(head + 2)}});
    make_available(head, request, writable, 3);
    return {};
}

void SplitRing::free_chain(std::uint16_t head) noexcept {
    Slot& slot = slots_[head];
    std::uint16_t tail = head;
    for (std::uint16_t i = 1; i < slot.count; ++i) tail = slots_[tail].next;
    slots_[tail].next = free_head_;
    free_head_ = head;
    free_count_ = static_cast<std::uint16_t>(free_count_ + slot.count);
    slot.writable = 0;
    slot.count = 0;
}

Result<> SplitRing::fix_table(std::uint16_t slot, std::span<const Segment> readable) noexcept {
    if (slot >= reserved_ || readable.empty()) return fail(Error::invalid_argument);
    if (readable.size() > indirect_entries_) return fail(Error::too_many_segments);
    const std::size_t table = std::size_t{slot} * indirect_entries_ * sizeof(Descriptor);
    for (std::size_t i = 0; i < readable.size(); ++i) {
        if (readable[i].length == 0) return fail(Error::invalid_argument);
        const bool last = i + 1 == readable.size();
        store_table_entry(tables_ + table, i,
                          {Le64{readable[i].address.value}, Le32{readable[i].length},
                           Le16{last ? std::uint16_t{0} : descriptor_flag::kNext}, Le16{static_cast<std::uint16_t>(last ? 0 : i + 1)}});
    }
    memory_.store_descriptor(slot,
                             {Le64{(tables_address_ + table).value}, Le32{static_cast<std::uint32_t>(readable.size() * sizeof(Descriptor))},
                              Le16{descriptor_flag::kIndirect}, Le16{0}});
    slots_[slot].writable = 0;
    return {};
}

Request* SplitRing::reclaim(std::uint16_t& cursor) noexcept {
    for (; cursor < size_ && in_flight_ != 0; ++cursor) {
        Request* request = slots_[cursor].request;
        if (request == nullptr) continue;
        release(cursor);
        return request;
    }
    return nullptr;
}

} // namespace virtio
