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

    // A table takes one slot instead of as many as there are parts, and costs the device one read more. From three parts on it is the
    // cheaper way for the driver too (`bench native`: a third fewer instructions than the direct chain, which has to keep an id and a
    // slot for each part); below that only a ring too full for the direct chain is worth it.
    const std::uint16_t room = ids_ == Ids::chosen ? std::uint16_t{0} : free_descriptors();
    const bool indirect = count <= indirect_entries_ && (count >= 3 || count > room);
    const std::size_t needed = indirect ? 1 : count;
    const std::size_t most = ids_ == Ids::chosen ? 0u : static_cast<std::size_t>(size_ - presets_);
    if (needed > most && !mutant(59)) return fail(Error::too_many_segments);
    if (needed > room && !mutant(60)) return fail(Error::ring_full);

    const std::uint16_t id = take_id(static_cast<std::uint16_t>(needed));
    Slot& slot = slots_[id];
    slot.request = &request;
    slot.writable = static_cast<std::uint32_t>(bytes_writable) + 1;
    request.state = Request::State::in_flight;
    if (indirect) {
        std::byte* const table = tables_ + std::size_t{id} * indirect_entries_ * sizeof(PackedDescriptor);
        std::size_t index = 0; // WRITE is the only flag that a table knows: PACKED-011
        for (const Segment& segment : readable)
            store_table_entry(table, index++, PackedDescriptor{Le64{segment.address.value}, Le32{segment.length}, Le16{0}, Le16{0}});
        for (const Segment& segment : writable)
            store_table_entry(table, index++,
                              PackedDescriptor{Le64{segment.address.value}, Le32{segment.length}, Le16{0}, Le16{descriptor_flag::kWrite}});
        put(tables_address_ + static_cast<std::size_t>(table - tables_), static_cast<std::uint32_t>(count * sizeof(PackedDescriptor)), id,
            descriptor_flag::kIndirect);
    } else if (ids_ == Ids::parked && !in_order_) {
        put_chain<true>(readable, writable, id);
    } else {
        put_chain<false>(readable, writable, id);
    }
    return {};
}

// Direct descriptors. With `spares` the ids parked in the slots after the first go to the spare list until the chain comes back.
template<bool spares>
void PackedRing::put_chain(std::span<const Segment> readable, std::span<const Segment> writable, std::uint16_t id) noexcept {
    PackedMemory memory = memory_;
    const PackedPlace end = end_;
    PackedPlace at = next_;
    std::uint16_t flags = available_flags_;
    std::size_t left = readable.size() + writable.size();
    bool first = true;
    const auto put_all = [&](std::span<const Segment> segments, std::uint16_t write) __attribute__((always_inline)) {
        for (const Segment& segment : segments) {
            memory.store_body(at, segment.address, segment.length, id);
            const auto its = static_cast<std::uint16_t>(flags | write | (--left != 0 ? descriptor_flag::kNext : 0u));
            if (!first) {
                if constexpr (spares) {
                    std::uint16_t& parked = slot_at(at).next;
                    slots_[parked].count = spare_;
                    spare_ = parked;
                    parked = kNone;
                }
                memory.store_flags(at, its);
            } else if (first_flags_ != 0) {
                memory.store_flags(at, its);
            } else {
                first_flags_ = its; // the batch's first
            }
            first = false;
            at = at + 1;
            if (at == end) [[unlikely]]
                turn(at, flags);
        }
    };
    put_all(readable, 0);
    put_all(writable, descriptor_flag::kWrite);
    next_ = at;
    available_flags_ = flags;
}

// The id of a request that begins where the ring has come to, and that takes `slots` of it.
inline std::uint16_t PackedRing::take_id(std::uint16_t slots) noexcept {
    without_request_ = static_cast<std::uint16_t>(without_request_ + slots - 1);
    Slot& here = slot_at(next_);
    std::uint16_t id = here.next;
    if (ids_ == Ids::listed) {
        id = free_id_;
        free_id_ = slots_[id].count;
        slots_[id].count = slots | kListed;
        general_free_ = static_cast<std::uint16_t>(general_free_ - slots);
        here.next = id; // for IN_ORDER
    } else {
        here.next = kNone;
        slots_[id].count = slots;
    }
    return id;
}

bool PackedRing::open_batch() noexcept {
    if (!used_here()) return false;
    arch::take_barrier(ordering_);
    const std::uint16_t last = memory_.load_used_id(used_);
    const std::uint32_t length = memory_.load_used_length(used_);
    RingFault fault = RingFault::none;
    if (last >= size_ && !mutant(49))
        fault = RingFault::used_id_out_of_range;
    else if (slots_[last].request == nullptr && !mutant(50))
        fault = RingFault::out_of_order; // whatever is in flight lies ahead: the requests end one after the other until it is reached
    if (fault != RingFault::none) {
        end(fault);
        return false;
    }
    batch_last_ = last;
    batch_length_ = length;
    return true;
}

PackedRing::Taken PackedRing::take_in_order_slowly(Slot& slot, std::uint16_t id) noexcept {
    if (id != batch_last_) return take_slowly(slot, id, slot.writable - 1);
    batch_last_ = kNone;
    return take_slowly(slot, id, batch_length_);
}

PackedRing::Taken PackedRing::take_slowly(Slot& slot, std::uint16_t id, std::uint32_t length) noexcept {
    if (slot.request == nullptr && !mutant(41)) return break_ring(RingFault::used_id_not_in_flight);
    // Where nothing was lent for writing, the length is reserved and to be ignored (2.8.4). The WRITE flag of the used descriptor does
    // not tell: devices leave it out.
    const std::uint32_t lent = slot.writable - 1;
    const bool clamped = length > lent && lent != 0 && !mutant(51);
    if (clamped && strict_length_ && !mutant(61)) return break_ring(RingFault::used_length);
    Request& request = *slot.request;
    finish(request, clamped || lent == 0 ? lent : length);
    request.length_clamped = clamped;
    lengths_clamped_ += clamped ? 1 : 0;

    if (ids_ == Ids::parked)
        release_parked(slot, id);
    else
        release_listed(slot, id);
    return {&request, id};
}

PackedRing::Taken PackedRing::take_chain(Slot& slot, std::uint16_t id, std::uint32_t length) noexcept {
    if (ids_ != Ids::parked || in_order_) return take_slowly(slot, id, length);
    Request& request = *slot.request;
    finish(request, length);
    release_parked(slot, id);
    return {&request, id};
}

inline void PackedRing::release_parked(Slot& slot, std::uint16_t id) noexcept {
    Slot* const slots = slots_;
    const PackedPlace end = end_;
    PackedPlace at = used_;
    const std::uint16_t count = slot.count;
    slot.request = nullptr;
    slot.writable = 0;
    slot.count = 1;
    slot_at(at).next = id;
    without_request_ = static_cast<std::uint16_t>(without_request_ - (count - 1));
    if (in_order_) { // the ids of its other slots have stayed where they were
        at = at + count;
        if (at >= end) turn(at, used_flags_);
        used_ = at;
        return;
    }
    std::uint16_t spare = spare_;
    for (std::uint16_t left = count;;) {
        at = at + 1;
        if (at == end) [[unlikely]]
            turn(at, used_flags_);
        if (--left == 0) break;
        slot_at(at).next = spare;
        Slot& other = slots[spare];
        spare = other.count;
        other.count = 1;
    }
    spare_ = spare;
    used_ = at;
}

void PackedRing::release_listed(Slot& slot, std::uint16_t id) noexcept {
    std::uint16_t count = slot.count;
    slot.request = nullptr;
    slot.writable = 0;
    if ((count & kListed) != 0) { // a general chain beside presets; these and fixed slots have one descriptor each, and their own id
        count &= static_cast<std::uint16_t>(~kListed);
        general_free_ = static_cast<std::uint16_t>(general_free_ + count);
        slot.count = free_id_;
        free_id_ = id;
    }
    without_request_ = static_cast<std::uint16_t>(without_request_ - (count - 1));
    used_ = used_ + count;
    if (used_ >= end_) turn(used_, used_flags_);
}

void PackedRing::end(RingFault fault) noexcept {
    fault_ = fault;
    used_flags_ |= kBroken;
    batch_last_ = kNone;
    parked_ = fixed_ = presets_open_ = 0;
}

Result<> PackedRing::preset(std::uint16_t slot, const Segment& first, const Segment& last) noexcept {
    if (slot >= presets_ && !mutant(71)) return fail(Error::invalid_argument);
    const std::size_t table = std::size_t{slot} * indirect_entries_ * sizeof(PackedDescriptor);
    store_table_entry(tables_ + table, 0, PackedDescriptor{Le64{first.address.value}, Le32{first.length}, Le16{0}, Le16{0}});
    store_table_entry(tables_ + table, 2,
                      PackedDescriptor{Le64{last.address.value}, Le32{last.length}, Le16{0}, Le16{descriptor_flag::kWrite}});
    // `length` is where its table begins: that of the descriptor is always the same.
    templates_[slot] = {tables_address_ + table, static_cast<std::uint32_t>(table), last.length, descriptor_flag::kIndirect};
    return {};
}

Result<> PackedRing::refuse_preset(std::uint16_t slot, const Segment& data, const Request& request) const noexcept {
    if (slot >= presets_ || data.length == 0) return fail(Error::invalid_argument);
    if (broken()) return fail(Error::queue_broken);
    const bool in_flight = slots_[slot].request != nullptr || request.state == Request::State::in_flight;
    return fail(in_flight ? Error::request_in_flight : Error::invalid_argument);
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
