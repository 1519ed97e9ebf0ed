// What the split ring does besides its fast paths, which stand in the header: chains, tables, templates, every refusal, and what a
// device gets wrong.
#include "libvirtio/ring/split.hpp"

namespace virtio {
namespace {

constexpr std::uint16_t kWrite = descriptor_flag::kWrite;
constexpr std::uint16_t kNext = descriptor_flag::kNext;

constexpr Descriptor descriptor(const Segment& segment, std::uint16_t flags, std::uint16_t next) noexcept {
    return {Le64{segment.address.value}, Le32{segment.length}, Le16{flags}, Le16{next}};
}
constexpr Descriptor table_descriptor(DmaAddress table, std::size_t entries) noexcept {
    return {Le64{table.value}, Le32{static_cast<std::uint32_t>(entries * sizeof(Descriptor))}, Le16{descriptor_flag::kIndirect}, Le16{0}};
}

} // namespace

void SplitRing::attach(SplitMemory memory, std::span<Slot> slots, std::byte* tables, DmaAddress tables_address, const Setup& setup,
                       std::uint16_t first_index) noexcept {
    *this = SplitRing{};
    memory_ = memory;
    slots_ = slots.data();
    tables_ = tables;
    tables_address_ = tables_address;
    templates_ = setup.templates;
    size_ = setup.size;
    mask_ = (setup.size - 1u) * SplitPlace::kStep;
    fixed_ = setup.fixed;
    indirect_entries_ = tables == nullptr ? std::uint16_t{0} : setup.indirect_entries;
    event_index_ = setup.event_index;
    strict_length_ = setup.strict_length;
    ordering_ = setup.ordering;
    checked_ = first_index;
    available_ = published_ = last_used_ = used_seen_ = skipped_until_ = batch_end_ = first_index * SplitPlace::kStep;
    if (setup.in_order) {
        mode_ = Mode::in_order;
        in_order_ = true;
        const std::size_t templates = templates_ == nullptr ? 0 : template_count(setup);
        for (std::size_t i = 0; i < templates; ++i) templates_[i] = {};
        presets_ = fixed_ || indirect_entries_ == 0 || templates == 0 ? std::uint16_t{0} : setup.presets;
        listed_ = (available_ & mask_) != 0; // descriptors start at 0 all the same (2.7.5, IN_ORDER)
    } else if (fixed_) {
        mode_ = Mode::fixed;
        fixed_turn_slots_ = slots_;
        fixed_turn_mask_ = mask_;
    } else {
        presets_ = setup.presets;
        reserved_ = setup.presets * 3u;
        listed_ = presets_ != 0;
    }
    if (!listed_ && !fixed_) {
        turn_slots_ = slots_;
        turn_mask_ = mask_;
    }
    free_head_ = static_cast<std::uint16_t>(reserved_);
    free_count_ = static_cast<std::uint16_t>(size_ - reserved_);
    for (std::uint32_t i = 0; i < size_; ++i) {
        slots_[i] = {nullptr, 0, 0, listed_ ? static_cast<std::uint16_t>(i + 1) : std::uint16_t{0}};
        // Where they are taken in turn, nothing else is ever written.
        if (!listed_) memory_.store_available(SplitPlace::of(i), static_cast<std::uint16_t>(i));
    }
}

// --- adding ---

Result<> SplitRing::add(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept {
    const std::size_t count = readable.size() + writable.size();
    if (request.state != Request::State::in_flight) [[likely]] {
        if (use_table(count, count)) {
            if (slot_at(turn_slots_, available_ & turn_mask_).request == nullptr) [[likely]]
                return add_table(readable, writable, request);
        } else if (mode_ == Mode::listed && count != 0 && count <= free_count_) [[likely]] {
            return add_direct<false>(readable, writable, request);
        }
    }
    return add_slowly(readable, writable, request);
}

Result<> SplitRing::add_slowly(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept {
    const std::size_t count = readable.size() + writable.size();
    if (count == 0 && !mutant(11)) return fail(Error::empty_request);
    // Indirect chains too may not exceed the queue (VIRTIO 1.4, 2.7.5.3.1).
    if (count > size_ && !mutant(12)) return fail(Error::too_many_segments);
    if (const Error error = refused(request); error != Error::none) return fail(error);
    const std::uint16_t room = free_descriptors();
    const bool indirect = use_table(count, room);
    const std::size_t needed = indirect ? 1 : count;
    // A ring of fixed slots takes no chains at all.
    if ((fixed_ || needed > size_ - reserved_) && !mutant(18)) return fail(Error::too_many_segments);
    if (needed > room && !mutant(19)) return fail(Error::ring_full);
    if (mode_ == Mode::plain && (listed_ || needed != 1 || slot_at(slots_, available_ & mask_).request != nullptr)) leave_alignment();
    if (in_order_ && needed != 1 && !listed_) leave_alignment();
    if (indirect) return add_table(readable, writable, request);
    return in_order_ ? add_direct<true>(readable, writable, request) : add_direct<false>(readable, writable, request);
}

Result<> SplitRing::add_one(Segment segment, bool write, Request& request) noexcept {
    const std::span<const Segment> one{&segment, 1};
    return write ? add({}, one, request) : add(one, {}, request);
}

/// The descriptor whose turn it is; there is room. Nothing is taken yet.
std::uint16_t SplitRing::next_descriptor() const noexcept {
    return listed_ ? free_head_ : static_cast<std::uint16_t>((available_ & mask_) / SplitPlace::kStep);
}

/// The last step: the chain at `head`, of `count` descriptors, becomes the next available entry. `next` is the descriptor after it.
[[gnu::always_inline]] inline void SplitRing::lend(SplitPlace head, std::uint16_t next, Request& request, std::uint32_t writable,
                                                   std::uint16_t count) noexcept {
    Slot& slot = slot_at(slots_, head.offset());
    slot.request = &request;
    slot.writable = count == kTemplate ? writable : writable + 1;
    if (listed_) {
        slot.count = count;
        if (in_order_) slot.next = index_of(available_); // which of all requests this is
        free_head_ = next;
        free_count_ = static_cast<std::uint16_t>(free_count_ - (count == kTemplate ? 1 : count));
        memory_.store_available(SplitPlace{available_ & mask_}, head.number());
    } else if (count == kTemplate) {
        slot.count = count;
    }
    request.state = Request::State::in_flight;
    step(available_);
}

Result<> SplitRing::add_table(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept {
    const SplitPlace head = SplitPlace::of(next_descriptor());
    const std::size_t table = std::size_t{head.number()} * indirect_entries_ * sizeof(Descriptor);
    std::byte* entry = tables_ + table;
    std::uint16_t next = 1; // entries follow each other, as IN_ORDER demands (2.7.5.3.1)
    std::uint64_t bytes_readable = 0;
    std::uint64_t bytes_writable = 0;
    for (const Segment& segment : readable) {
        if (is_empty(segment)) [[unlikely]]
            return fail(Error::invalid_argument);
        bytes_readable += segment.length;
        store_table_entry(entry, 0, descriptor(segment, kNext, next++));
        entry += sizeof(Descriptor);
    }
    for (const Segment& segment : writable) {
        if (is_empty(segment)) [[unlikely]]
            return fail(Error::invalid_argument);
        bytes_writable += segment.length;
        store_table_entry(entry, 0, descriptor(segment, kNext | kWrite, next++));
        entry += sizeof(Descriptor);
    }
    if (too_long(bytes_readable + bytes_writable)) [[unlikely]]
        return fail(Error::invalid_argument);
    entry -= sizeof(Descriptor);
    store_table_entry(entry, 0, writable.empty() ? descriptor(readable.back(), 0, 0) : descriptor(writable.back(), kWrite, 0));
    memory_.store_descriptor_part(head, tables_address_ + table, (next - 1u) * std::uint32_t{sizeof(Descriptor)},
                                  descriptor_flag::kIndirect);
    lend(head, following(head.number()), request, static_cast<std::uint32_t>(bytes_writable), 1);
    return {};
}

/// A direct chain, of one part where descriptors are taken in turn.
template<bool kInOrder>
Result<> SplitRing::add_direct(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept {
    // Copies, which no store below can change.
    SplitMemory memory = memory_;
    Slot* const slots = slots_;
    const std::uint32_t mask = size_ - 1;
    const auto after = [=](std::uint32_t at) noexcept { return kInOrder ? static_cast<std::uint16_t>((at + 1) & mask) : slots[at].next; };
    const std::uint16_t head = next_descriptor();
    std::uint16_t next = head;
    SplitPlace last = SplitPlace::of(head);
    std::uint64_t bytes_readable = 0;
    std::uint64_t bytes_writable = 0;
    for (const Segment& segment : readable) {
        if (is_empty(segment)) [[unlikely]]
            return fail(Error::invalid_argument);
        bytes_readable += segment.length;
        last = SplitPlace::of(next);
        next = after(next);
        memory.store_descriptor(last, descriptor(segment, kNext, next));
    }
    for (const Segment& segment : writable) {
        if (is_empty(segment)) [[unlikely]]
            return fail(Error::invalid_argument);
        bytes_writable += segment.length;
        last = SplitPlace::of(next);
        next = after(next);
        memory.store_descriptor(last, descriptor(segment, kNext | kWrite, next));
    }
    if (too_long(bytes_readable + bytes_writable)) [[unlikely]]
        return fail(Error::invalid_argument);
    memory.end_chain(last, writable.empty() ? std::uint16_t{0} : kWrite);
    lend(SplitPlace::of(head), next, request, static_cast<std::uint32_t>(bytes_writable),
         static_cast<std::uint16_t>(readable.size() + writable.size()));
    return {};
}

/// Descriptors are no longer taken in turn: every free one is listed, every one in flight will be.
void SplitRing::leave_alignment() noexcept {
    if (!listed_) {
        const std::uint32_t cursor = (available_ & mask_) / SplitPlace::kStep;
        const bool in_order = in_order_;
        free_count_ = free_descriptors();
        free_head_ = static_cast<std::uint16_t>(cursor);
        std::uint16_t* last = &free_head_;
        for (std::uint32_t i = 0; i < size_; ++i) {
            const auto number = static_cast<std::uint16_t>((cursor + i) & (size_ - 1u));
            Slot& slot = slots_[number];
            if (slot.request != nullptr) {
                if (slot.count == 0) slot.count = 1;
            } else if (!in_order) {
                *last = number;
                last = &slot.next;
            }
        }
        if (in_order) {
            oldest_ = static_cast<std::uint16_t>((last_used_ & mask_) / SplitPlace::kStep);
            std::uint16_t order = last_used();
            for (std::uint32_t i = 0; i < in_flight(); ++i, ++order) slots_[(oldest_ + i) & (size_ - 1u)].next = order;
        }
        listed_ = true;
        turn_slots_ = &taken_;
        turn_mask_ = 0;
    }
    if (mode_ == Mode::plain) {
        mode_ = Mode::listed;
        used_seen_ = last_used_; // whoever is taking requests looks again, and sees the new mode
    } else {
        skipped_until_ = last_used_;
    }
}

// --- presets and fixed slots ---

Result<> SplitRing::preset(std::uint16_t slot, const Segment& first, const Segment& last) noexcept {
    if ((slot >= presets_ || last.length > 0xfffe) && !mutant(27)) return fail(Error::invalid_argument);
    if (in_order_) {
        std::byte* const table = tables_ + preset_table(slot);
        store_table_entry(table, 0, descriptor(first, kNext, 1));
        store_table_entry(table, 2, descriptor(last, kWrite, 0));
        templates_[slot] = {{}, last.length, 0, 0, false};
        return {};
    }
    const auto at = static_cast<std::uint16_t>(slot * 3);
    memory_.store_descriptor(SplitPlace::of(at), descriptor(last, kWrite, 0));
    memory_.store_descriptor(SplitPlace::of(at + 1u), descriptor(first, kNext, static_cast<std::uint16_t>(at + 2)));
    memory_.store_descriptor(SplitPlace::of(at + 2u), descriptor({}, kNext, at));
    slots_[at + 1u].next = static_cast<std::uint16_t>(last.length + 1);
    return {};
}

Result<> SplitRing::add_preset_slowly(std::uint16_t slot, Segment data, bool device_writes, Request& request) noexcept {
    if ((slot >= presets_ || data.length == 0) && !mutant(32)) return fail(Error::invalid_argument);
    if (const Error error = refused(request); error != Error::none) return fail(error);
    if (preset_in_flight(slot) && !mutant(34)) return fail(Error::request_in_flight);
    if (!in_order_) return fail(Error::invalid_argument); // 4 GiB in all
    RingTemplate& its = templates_[slot];
    its.writable = device_writes ? data.length + its.length : its.length;
    if (its.writable < its.length && !mutant(35)) return fail(Error::invalid_argument);
    const std::size_t table = preset_table(slot);
    store_table_entry(tables_ + table, 1, descriptor(data, device_writes ? kNext | kWrite : kNext, 2));
    return add_template(slot, table_descriptor(tables_address_ + table, 3), request);
}

Result<> SplitRing::fix_table(std::uint16_t slot, std::span<const Segment> readable) noexcept {
    if (!fixed_ || no_slot(slot)) return fail(Error::invalid_argument);
    if (readable.size() > indirect_entries_ && !mutant(37)) return fail(Error::too_many_segments);
    bool empty = readable.empty();
    for (const Segment& segment : readable) empty = empty || segment.length == 0;
    if (empty && !mutant(38)) return fail(Error::invalid_argument);
    const std::size_t table = std::size_t{slot} * indirect_entries_ * sizeof(Descriptor);
    for (std::size_t i = 0; i < readable.size(); ++i) {
        const bool last = i + 1 == readable.size();
        store_table_entry(tables_ + table, i,
                          descriptor(readable[i], last ? std::uint16_t{0} : kNext, static_cast<std::uint16_t>(last ? 0 : i + 1)));
    }
    const Descriptor its = table_descriptor(tables_address_ + table, readable.size());
    if (!in_order_) {
        memory_.store_descriptor(SplitPlace::of(slot), its);
        slots_[slot].writable = 1;
    } else {
        templates_[slot] = {{its.address.load()}, its.length.load(), 0, its.flags.load(), false};
    }
    return {};
}

Result<> SplitRing::add_fixed_slowly(std::uint16_t slot, Request& request) noexcept {
    if (!fixed_ || no_slot(slot)) return fail(Error::invalid_argument);
    if (is_shut()) return fail(Error::queue_broken);
    if (in_order_) {
        if (templates_[slot].in_flight && !mutant(39)) return fail(Error::request_in_flight);
        const RingTemplate& its = templates_[slot];
        return add_template(slot, {Le64{its.address.value}, Le32{its.length}, Le16{its.flags}, Le16{0}}, request);
    }
    Slot& its = slots_[slot];
    if (its.request != nullptr && !mutant(33)) return fail(Error::request_in_flight);
    // The first slot out of turn: from here on each one's number is written.
    fixed_turn_slots_ = &taken_;
    fixed_turn_mask_ = 0;
    fixed_slots_ = size_;
    its.request = &request;
    request.state = Request::State::in_flight;
    memory_.store_available(SplitPlace{available_ & mask_}, slot);
    step(available_);
    return {};
}

/// IN_ORDER: a preset or fixed slot, as the one descriptor whose turn it is.
Result<> SplitRing::add_template(std::uint16_t slot, const Descriptor& its, Request& request) noexcept {
    if (free_descriptors() == 0 && !mutant(16)) return fail(Error::ring_full);
    const SplitPlace head = SplitPlace::of(next_descriptor());
    memory_.store_descriptor(head, its);
    lend(head, following(head.number()), request, slot, kTemplate);
    templates_[slot].in_flight = true;
    ++templates_out_;
    return {};
}

// --- taking ---

SplitRing::Taken SplitRing::take_unknown() noexcept {
    shut(RingFault::used_id_out_of_range);
    return {};
}

SplitRing::Taken SplitRing::take_checked(Slot& slot, std::uint32_t length) noexcept {
    if (slot.request == nullptr && !mutant(3)) {
        shut(RingFault::used_id_not_in_flight);
        return {};
    }
    return complete(slot, slot.writable - 1, length);
}

SplitRing::Taken SplitRing::take_in_order_checked() noexcept {
    if (last_used_ == batch_end_) {
        if (!begin_batch()) return {};
        if (last_used_ != skipped_until_) return take_skipped(slot_at(slots_, last_used_ & mask_));
    }
    Slot& head = listed_ ? slots_[oldest_] : slot_at(slots_, last_used_ & mask_);
    const bool last = last_used_ + SplitPlace::kStep == batch_end_;
    if (last && head.count == 0 && batch_length_ < head.writable) [[likely]] { // aligned, no template, and no more than was lent
        Request& request = *head.request;
        head = {};
        step(last_used_);
        skipped_until_ = last_used_;
        return finish(request, batch_length_, head);
    }
    const std::uint32_t lent = head.count == kTemplate ? templates_[head.writable].writable : head.writable - 1;
    const Taken taken = complete(head, lent, last ? batch_length_ : lent);
    skipped_until_ = last_used_;
    return taken;
}

/// One used element stands for all requests up to the one that it names; it lies where the first of them would have its own, and the
/// used index moves by their number (2.7.9, IN_ORDER).
bool SplitRing::begin_batch() noexcept {
    const std::uint32_t at = last_used_;
    if (at == used_seen_ && !look()) return false;
    const UsedElement element = memory_.load_used(SplitPlace{at & mask_});
    const std::uint32_t id = element.id.load();
    if (id >= size_ && !mutant(8)) {
        shut(RingFault::used_id_out_of_range);
        return false;
    }
    // How many requests the batch has before the one that it names.
    const Slot& slot = slots_[id];
    const std::uint32_t skipped =
        listed_ ? static_cast<std::uint16_t>(slot.next - last_used()) : ((id * SplitPlace::kStep - at) & mask_) / SplitPlace::kStep;
    if ((skipped >= index_of(used_seen_ - at) && !mutant(9)) || (slot.request == nullptr && !mutant(10))) {
        shut(RingFault::out_of_order);
        return false;
    }
    skipped_until_ = at + skipped * SplitPlace::kStep;
    batch_end_ = skipped_until_ + SplitPlace::kStep;
    batch_length_ = element.length.load();
    if (listed_ || templates_out_ != 0) skipped_until_ = at;
    return true;
}

SplitRing::Taken SplitRing::complete(Slot& head, std::uint32_t lent, std::uint32_t length) noexcept {
    const bool clamped = length > lent && !mutant(4);
    if (clamped) {
        if (strict_length_) {
            shut(RingFault::used_length);
            return {};
        }
        length = lent;
        ++lengths_clamped_;
    }
    Request& request = *head.request;
    release(head);
    const Taken taken = finish(request, length, head);
    request.length_clamped = clamped;
    return taken;
}

/// The chain is its owner's again, and nothing of it is left here.
void SplitRing::release(Slot& head) noexcept {
    step(last_used_);
    head.request = nullptr;
    if (in_order_) {
        std::uint16_t count = head.count;
        if (count == kTemplate) {
            templates_[head.writable].in_flight = false;
            --templates_out_;
            count = 1;
        }
        head = {};
        if (listed_) {
            oldest_ = static_cast<std::uint16_t>((number_of(head) + count) & (size_ - 1));
            free_count_ = static_cast<std::uint16_t>(free_count_ + count);
        }
    } else if (!fixed_) {
        head.writable = 0;
        give_back(head);
    }
}

/// Broken or closed: nothing is taken, and every add() goes where it is refused.
void SplitRing::shut(RingFault fault) noexcept {
    fault_ = fault;
    mode_ = Mode::shut;
    used_seen_ = skipped_until_ = batch_end_ = last_used_;
    turn_slots_ = fixed_turn_slots_ = &taken_;
    turn_mask_ = fixed_turn_mask_ = 0;
    reserved_ = fixed_slots_ = 0;
}

Request* SplitRing::reclaim(std::uint16_t& cursor) noexcept {
    for (; cursor < size_ && in_flight() != 0; ++cursor) {
        Request* const request = slots_[cursor].request;
        if (request == nullptr) continue;
        release(slots_[cursor]);
        return request;
    }
    return nullptr;
}

} // namespace virtio
