#include "libvirtio/ring/packed.hpp"

namespace virtio {

void PackedRing::attach(PackedMemory memory, std::span<Slot> slots, std::byte* tables, DmaAddress tables_address, const Setup& setup,
                        std::uint16_t first) noexcept {
    *this = PackedRing{};
    memory_ = memory;
    slots_ = slots.data();
    size_ = setup.size;
    end_ = PackedPlace::of(size_);
    tables_ = tables;
    tables_address_ = tables_address;
    templates_ = setup.templates;
    indirect_entries_ = tables == nullptr ? std::uint16_t{0} : setup.indirect_entries;
    presets_ = setup.fixed || indirect_entries_ < kPresetParts ? std::uint16_t{0} : setup.presets;
    ids_ = setup.fixed ? Ids::chosen : presets_ != 0 ? Ids::listed : Ids::parked;
    in_order_ = setup.in_order;
    event_index_ = setup.event_index;
    strict_length_ = setup.strict_length;
    ordering_ = setup.ordering;
    next_ = used_ = published_ = PackedPlace::of(static_cast<std::uint32_t>(first % size_));
    const bool wrap = first / size_ % 2 == 0; // both counters begin with 1
    available_flags_ = published_wrap_ = wrap ? packed_flag::kAvailable : packed_flag::kUsed;
    used_flags_ = wrap ? kBoth : std::uint16_t{0};
    for (std::uint16_t i = 0; i < size_; ++i) slots_[i] = {nullptr, 0, 1, kNone};
    switch (ids_) {
    case Ids::parked:
        parked_ = size_;
        for (std::uint16_t i = 0; i < size_; ++i) slots_[i].next = i;
        break;
    case Ids::listed:
        presets_open_ = presets_;
        general_free_ = static_cast<std::uint16_t>(size_ - presets_);
        free_id_ = presets_;
        for (std::uint16_t i = presets_; i < size_; ++i) slots_[i].count = i + 1 == size_ ? kNone : static_cast<std::uint16_t>(i + 1);
        break;
    case Ids::chosen: fixed_ = size_; break;
    }
}

Result<> PackedRing::add_any(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept {
    const std::size_t count = readable.size() + writable.size();
    if (count == 0 && !mutant(52)) return fail(Error::empty_request);
    if (broken() && !mutant(54)) return fail(Error::queue_broken);
    if (count > size_ && !mutant(53)) return fail(Error::too_many_segments); // indirect too: the queue's size is the limit (2.8.5)
    if (request.state == Request::State::in_flight && !mutant(55)) return fail(Error::request_in_flight);

    std::uint64_t bytes = 0;
    std::uint64_t bytes_writable = 0;
    for (const Segment& segment : readable) {
        if (segment.length == 0 && !mutant(56)) return fail(Error::invalid_argument);
        bytes += segment.length;
    }
    for (const Segment& segment : writable) {
        if (segment.length == 0 && !mutant(57)) return fail(Error::invalid_argument);
        bytes_writable += segment.length;
    }
    if (bytes + bytes_writable > 0xffff'ffffu && !mutant(58)) return fail(Error::invalid_argument);

    // A table costs one read more for the device, so it is used where it saves ring space that matters: three or more parts,
    // or a ring too full for the direct chain.
    const std::uint16_t room = ids_ == Ids::chosen ? std::uint16_t{0} : free_descriptors();
    const bool indirect = count <= indirect_entries_ && (count >= 3 || count > room);
    const std::size_t needed = indirect ? 1 : count;
    const std::size_t most = ids_ == Ids::chosen ? 0u : static_cast<std::size_t>(size_ - presets_);
    if (needed > most && !mutant(59)) return fail(Error::too_many_segments);
    if (needed > room && !mutant(60)) return fail(Error::ring_full);

    const std::uint16_t id = take_id();
    Slot& slot = slots_[id];
    slot.request = &request;
    slot.writable = static_cast<std::uint32_t>(bytes_writable);
    slot.count = static_cast<std::uint16_t>(needed | (ids_ == Ids::listed ? kListed : 0));
    request.state = Request::State::in_flight;
    if (ids_ == Ids::listed) general_free_ = static_cast<std::uint16_t>(general_free_ - needed);
    without_request_ = static_cast<std::uint16_t>(without_request_ + needed - 1);

    if (indirect) {
        const std::size_t table = std::size_t{id} * indirect_entries_ * sizeof(PackedDescriptor);
        std::size_t index = 0;
        const auto entry = [&](const Segment& segment, std::uint16_t write) { // WRITE is the only flag that a table knows: PACKED-011
            store_table_entry(tables_ + table, index++,
                              PackedDescriptor{Le64{segment.address.value}, Le32{segment.length}, Le16{0}, Le16{write}});
        };
        for (const Segment& segment : readable) entry(segment, 0);
        for (const Segment& segment : writable) entry(segment, descriptor_flag::kWrite);
        put(tables_address_ + table, static_cast<std::uint32_t>(count * sizeof(PackedDescriptor)), id, descriptor_flag::kIndirect);
        return {};
    }
    std::size_t left = count;
    const auto descriptor = [&](const Segment& segment, std::uint16_t write) {
        // The first slot's id is the request's; those of the others wait until the chain comes back.
        if (left != count && ids_ == Ids::parked && !in_order_) {
            const std::uint16_t unused = slot_at(next_).next;
            slot_at(next_).next = kNone;
            slots_[unused].count = spare_;
            spare_ = unused;
        }
        --left;
        put(segment.address, segment.length, id,
            static_cast<std::uint16_t>(write | (left != 0 ? descriptor_flag::kNext : std::uint16_t{0})));
    };
    for (const Segment& segment : readable) descriptor(segment, 0);
    for (const Segment& segment : writable) descriptor(segment, descriptor_flag::kWrite);
    return {};
}

std::uint16_t PackedRing::take_id() noexcept {
    Slot& here = slot_at(next_);
    std::uint16_t id = here.next;
    if (ids_ == Ids::parked) {
        here.next = kNone;
    } else {
        id = free_id_;
        free_id_ = slots_[id].count;
        here.next = id; // for IN_ORDER
    }
    return id;
}

PackedRing::Taken PackedRing::take_slowly(Slot& slot, std::uint16_t id, std::uint32_t length) noexcept {
    // Where nothing was lent for writing, the length is reserved and to be ignored (2.8.4). The WRITE flag of the used descriptor does
    // not tell: devices leave it out.
    const bool clamped = length > slot.writable && slot.writable != 0;
    if (clamped && strict_length_ && !mutant(61)) return break_ring(RingFault::used_length);
    Request& request = *slot.request;
    finish(request, length < slot.writable ? length : slot.writable);
    request.length_clamped = clamped;
    lengths_clamped_ += clamped ? 1 : 0;

    std::uint16_t count = slot.count;
    slot.request = nullptr;
    if (ids_ != Ids::chosen) slot.writable = 0;
    if ((count & kListed) != 0 && ids_ == Ids::listed) {
        count &= static_cast<std::uint16_t>(~kListed);
        general_free_ = static_cast<std::uint16_t>(general_free_ + count);
        slot.count = free_id_;
        free_id_ = id;
    } else if (ids_ == Ids::parked) {
        slot.count = 1;
        slot_at(used_).next = id;
        for (std::uint16_t i = 1; i < count && !in_order_; ++i) {
            PackedPlace place = used_ + i;
            if (place >= end_) place = place - end_;
            slot_at(place).next = spare_;
            spare_ = slots_[spare_].count;
            slots_[slot_at(place).next].count = 1;
        }
    }
    without_request_ = static_cast<std::uint16_t>(without_request_ - (count - 1));
    advance_used(count);
    return {&request, id};
}

void PackedRing::end(RingFault fault) noexcept {
    fault_ = fault;
    used_flags_ |= kBroken;
    batch_last_ = kNone;
    parked_ = fixed_ = presets_open_ = 0;
}

void PackedRing::preset(std::uint16_t slot, const Segment& first, const Segment& last) noexcept {
    const std::size_t table = std::size_t{slot} * indirect_entries_ * sizeof(PackedDescriptor);
    store_table_entry(tables_ + table, 0, PackedDescriptor{Le64{first.address.value}, Le32{first.length}, Le16{0}, Le16{0}});
    store_table_entry(tables_ + table, 2,
                      PackedDescriptor{Le64{last.address.value}, Le32{last.length}, Le16{0}, Le16{descriptor_flag::kWrite}});
    templates_[slot] = {tables_address_ + table, kPresetParts * sizeof(PackedDescriptor), last.length, descriptor_flag::kIndirect};
}

Result<> PackedRing::add_preset(std::uint16_t slot, const Segment& data, bool device_writes, Request& request) noexcept {
    if ((slot >= presets_open_ && !mutant(62)) || (data.length == 0 && !mutant(63)))
        return fail(slot < presets_ && broken() && data.length != 0 ? Error::queue_broken : Error::invalid_argument);
    Slot& its = slots_[slot];
    if ((its.request != nullptr && !mutant(64)) || (request.state == Request::State::in_flight && !mutant(65)))
        return fail(Error::request_in_flight);
    const std::uint32_t last = templates_[slot].writable;
    const std::uint32_t writable = device_writes ? data.length + last : last;
    if (writable < last && !mutant(66)) return fail(Error::invalid_argument);
    const std::size_t table = std::size_t{slot} * indirect_entries_ * sizeof(PackedDescriptor);
    store_table_entry(tables_ + table, 1,
                      PackedDescriptor{Le64{data.address.value}, Le32{data.length}, Le16{0},
                                       Le16{device_writes ? descriptor_flag::kWrite : std::uint16_t{0}}});
    its.request = &request;
    its.writable = writable;
    request.state = Request::State::in_flight;
    slot_at(next_).next = slot; // for IN_ORDER
    put(templates_[slot].address, templates_[slot].length, slot, descriptor_flag::kIndirect);
    return {};
}

Result<> PackedRing::fix_table(std::uint16_t slot, std::span<const Segment> readable) noexcept {
    if (((slot >= size_ || ids_ != Ids::chosen) && !mutant(67)) || (readable.empty() && !mutant(68))) return fail(Error::invalid_argument);
    if (readable.size() > indirect_entries_ && !mutant(69)) return fail(Error::too_many_segments);
    const std::size_t table = std::size_t{slot} * indirect_entries_ * sizeof(PackedDescriptor);
    for (std::size_t i = 0; i < readable.size(); ++i) {
        if (readable[i].length == 0 && !mutant(70)) return fail(Error::invalid_argument);
        store_table_entry(tables_ + table, i,
                          PackedDescriptor{Le64{readable[i].address.value}, Le32{readable[i].length}, Le16{0}, Le16{0}});
    }
    const Segment whole{tables_address_ + table, static_cast<std::uint32_t>(readable.size() * sizeof(PackedDescriptor))};
    fix(slot, whole, 0, descriptor_flag::kIndirect);
    return {};
}

Result<> PackedRing::refuse_fixed(std::uint16_t slot) const noexcept {
    if (broken()) return fail(Error::queue_broken);
    return fail(slot >= fixed_ ? Error::invalid_argument : Error::request_in_flight);
}

Request* PackedRing::reclaim(std::uint16_t& cursor) noexcept {
    for (; cursor < size_ && in_flight() != 0; ++cursor) {
        Request* request = slots_[cursor].request;
        if (request == nullptr) continue;
        slots_[cursor].request = nullptr;
        ++without_request_;
        return request;
    }
    return nullptr;
}

} // namespace virtio
