// What the split ring does besides one-segment requests in turn (those stand in the header): chains, tables, templates, every
// refusal, and what a device gets wrong.
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
    mask_ = static_cast<std::uint16_t>(setup.size - 1);
    fixed_ = setup.fixed;
    mode_ = setup.in_order ? Mode::in_order : setup.fixed ? Mode::fixed : Mode::general;
    indirect_entries_ = tables == nullptr ? std::uint16_t{0} : setup.indirect_entries;
    event_index_ = setup.event_index;
    strict_length_ = setup.strict_length;
    ordering_ = setup.ordering;
    available_ = published_ = checked_ = last_used_ = used_seen_ = skipped_until_ = batch_end_ = first_index;
    if (mode_ == Mode::in_order) {
        const std::size_t templates = templates_ == nullptr ? 0 : template_count(setup);
        for (std::size_t i = 0; i < templates; ++i) templates_[i] = {};
        presets_ = fixed_ || indirect_entries_ == 0 || templates == 0 ? std::uint16_t{0} : setup.presets;
        listed_ = (first_index & mask_) != 0; // descriptors start at 0 all the same (2.7.5, IN_ORDER)
    } else if (mode_ == Mode::fixed) {
        reserved_ = setup.size;
    } else {
        presets_ = setup.presets;
        reserved_ = static_cast<std::uint16_t>(setup.presets * 3);
        listed_ = presets_ != 0;
    }
    aligned_mask_ = listed_ || fixed_ ? std::uint16_t{0} : mask_;
    free_head_ = reserved_;
    free_count_ = static_cast<std::uint16_t>(size_ - reserved_);
    for (std::uint16_t i = 0; i < size_; ++i)
        slots_[i] =
            listed_ ? Slot{nullptr, 0, kNoHead, static_cast<std::uint16_t>(i + 1)} : Slot{nullptr, 0, kFree, fixed_ ? kReserved : kFresh};
    for (std::uint16_t i = 0; mode_ == Mode::general && i < presets_; ++i) slots_[i * 3u + 1] = {};
}

// --- adding ---

Result<> SplitRing::add_any(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept {
    const std::size_t count = readable.size() + writable.size();
    if (count == 0 && !mutant(11)) return fail(Error::empty_request);
    // Indirect chains too may not exceed the queue (VIRTIO 1.4, 2.7.5.3.1).
    if (count > size_ && !mutant(12)) return fail(Error::too_many_segments);
    if (const Error error = refused(request); error != Error::none) return fail(error);

    std::uint64_t bytes = 0;
    std::uint64_t bytes_writable = 0;
    for (const Segment& segment : readable) {
        if (segment.length == 0 && !mutant(15)) return fail(Error::invalid_argument);
        bytes += segment.length;
    }
    for (const Segment& segment : writable) {
        if (segment.length == 0 && !mutant(16)) return fail(Error::invalid_argument);
        bytes_writable += segment.length;
    }
    if (bytes + bytes_writable > 0xffff'ffffu && !mutant(17)) return fail(Error::invalid_argument);

    // A table costs one read more for the device, so it is used where it saves ring space that matters: three or more parts,
    // or a ring too full for the direct chain.
    const std::uint16_t room = free_descriptors();
    const bool indirect = count <= indirect_entries_ && (count >= 3 || count > room);
    const std::size_t needed = indirect ? 1 : count;
    // A ring of fixed slots takes no chains at all.
    if ((fixed_ || needed > static_cast<std::size_t>(size_ - reserved_)) && !mutant(18)) return fail(Error::too_many_segments);
    if (needed > room && !mutant(19)) return fail(Error::ring_full);

    std::uint16_t head = 0;
    const auto lent = static_cast<std::uint32_t>(bytes_writable);
    if (needed == 1) {
        const bool aligned = take_single(head);
        if (indirect)
            add_table(head, readable, writable);
        else
            memory_.store_descriptor(head, readable.empty() ? descriptor(writable[0], kWrite, 0) : descriptor(readable[0], 0, 0));
        lend(head, request, lent, aligned ? kInFlight : kInFlight + 1);
    } else {
        if (!listed_) leave_alignment();
        head = add_direct(readable, writable);
        lend(head, request, lent, static_cast<std::uint16_t>(needed + 1));
    }
    return {};
}

/// The descriptor for a request that needs only one; there is room. Returns whether it is aligned.
bool SplitRing::take_single(std::uint16_t& head) noexcept {
    if (!listed_) {
        head = static_cast<std::uint16_t>(available_ & mask_);
        if (slots_[head].count == kFree) {
            if (slots_[head].next == kFresh) memory_.store_available(head, head);
            return true;
        }
        leave_alignment();
    }
    head = free_head_;
    free_head_ = mode_ == Mode::in_order ? static_cast<std::uint16_t>((head + 1) & mask_) : slots_[head].next;
    --free_count_;
    return false;
}

/// The last step: the chain at `head` is written, and becomes the next available entry.
void SplitRing::lend(std::uint16_t head, Request& request, std::uint32_t writable, std::uint16_t count) noexcept {
    // IN_ORDER, where the head does not tell it: which of all requests this is.
    const std::uint16_t order = listed_ && mode_ == Mode::in_order ? available_ : std::uint16_t{0};
    slots_[head] = {&request, writable, count, listed_ && mode_ == Mode::general ? slots_[head].next : order};
    request.state = Request::State::in_flight;
    if (listed_ || fixed_) memory_.store_available(available_ & mask_, head);
    ++available_;
}

void SplitRing::add_table(std::uint16_t head, std::span<const Segment> readable, std::span<const Segment> writable) noexcept {
    const std::size_t count = readable.size() + writable.size();
    const std::size_t table = std::size_t{head} * indirect_entries_ * sizeof(Descriptor);
    std::byte* const entries = tables_ + table;
    std::uint16_t index = 0; // entries follow each other, as IN_ORDER demands (2.7.5.3.1)
    const auto entry = [&](const Segment& segment, std::uint16_t write) noexcept {
        const auto next = static_cast<std::uint16_t>(index + 1);
        const bool last = next == count;
        store_table_entry(entries, index,
                          descriptor(segment, last ? write : static_cast<std::uint16_t>(write | kNext), last ? std::uint16_t{0} : next));
        index = next;
    };
    for (const Segment& segment : readable) entry(segment, 0);
    for (const Segment& segment : writable) entry(segment, kWrite);
    memory_.store_descriptor(head, table_descriptor(tables_address_ + table, count));
}

/// A direct chain from the list or cursor; there is room. Returns its head.
std::uint16_t SplitRing::add_direct(std::span<const Segment> readable, std::span<const Segment> writable) noexcept {
    const bool in_order = mode_ == Mode::in_order;
    const std::uint16_t head = free_head_;
    std::size_t left = readable.size() + writable.size();
    free_count_ = static_cast<std::uint16_t>(free_count_ - left);
    std::uint16_t index = head;
    const auto part = [&](const Segment& segment, std::uint16_t write) noexcept {
        const std::uint16_t next = in_order ? static_cast<std::uint16_t>((index + 1) & mask_) : slots_[index].next;
        const bool last = --left == 0;
        memory_.store_descriptor(
            index, descriptor(segment, last ? write : static_cast<std::uint16_t>(write | kNext), last ? std::uint16_t{0} : next));
        index = next;
    };
    for (const Segment& segment : readable) part(segment, 0);
    for (const Segment& segment : writable) part(segment, kWrite);
    free_head_ = index;
    return head;
}

/// Descriptors are no longer taken in turn: every free one goes to the list, every one in flight will.
void SplitRing::leave_alignment() noexcept {
    const std::uint16_t cursor = available_ & mask_;
    if (mode_ == Mode::in_order) {
        for (std::uint16_t at = last_used_; at != available_; ++at) {
            Slot& slot = slots_[at & mask_];
            if (slot.count == kInFlight) slot.count = kInFlight + 1;
            slot.next = at;
        }
        oldest_ = last_used_ & mask_;
        free_head_ = cursor;
    }
    free_count_ = static_cast<std::uint16_t>(size_ - in_flight());
    std::uint16_t* last = &free_head_;
    for (std::uint32_t i = 0; i < size_; ++i) {
        Slot& slot = slots_[(cursor + i) & mask_];
        if (slot.count == kFree) {
            slot = {nullptr, 0, kNoHead, 0};
            if (mode_ == Mode::in_order) continue;
            *last = static_cast<std::uint16_t>((cursor + i) & mask_);
            last = &slot.next;
        } else if (mode_ == Mode::general) {
            slot.count = kInFlight + 1;
        }
    }
    listed_ = true;
    aligned_mask_ = 0;
    skipped_until_ = last_used_;
}

// --- presets and fixed slots ---

void SplitRing::preset(std::uint16_t slot, const Segment& first, const Segment& last) noexcept {
    if (slot >= presets_ && !mutant(31)) return;
    if (mode_ == Mode::in_order) {
        std::byte* const table = tables_ + preset_table(slot);
        store_table_entry(table, 0, descriptor(first, kNext, 1));
        store_table_entry(table, 2, descriptor(last, kWrite, 0));
        templates_[slot] = {{}, last.length, 0, 0, false};
        return;
    }
    const auto at = static_cast<std::uint16_t>(slot * 3);
    memory_.store_descriptor(at, descriptor(last, kWrite, 0));
    memory_.store_descriptor(static_cast<std::uint16_t>(at + 1), descriptor(first, kNext, static_cast<std::uint16_t>(at + 2)));
    memory_.store_descriptor(static_cast<std::uint16_t>(at + 2), descriptor({}, kNext, at));
    slots_[at].writable = last.length;
}

Result<> SplitRing::add_preset_slowly(std::uint16_t slot, const Segment& data, bool device_writes, Request& request) noexcept {
    if ((slot >= presets_ || data.length == 0) && !mutant(32)) return fail(Error::invalid_argument);
    if (const Error error = refused(request); error != Error::none) return fail(error);
    if (preset_in_flight(slot) && !mutant(34)) return fail(Error::request_in_flight);
    if (mode_ != Mode::in_order) return fail(Error::invalid_argument); // 4 GiB in all
    RingTemplate& its = templates_[slot];
    its.writable = device_writes ? data.length + its.length : its.length;
    if (its.writable < its.length && !mutant(35)) return fail(Error::invalid_argument);
    const std::size_t table = preset_table(slot);
    store_table_entry(tables_ + table, 1, descriptor(data, device_writes ? kNext | kWrite : kNext, 2));
    return add_template(slot, table_descriptor(tables_address_ + table, 3), request);
}

Result<> SplitRing::fix_table(std::uint16_t slot, std::span<const Segment> readable) noexcept {
    if (no_slot(slot)) return fail(Error::invalid_argument);
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
    if (mode_ == Mode::fixed) {
        memory_.store_descriptor(slot, its);
        slots_[slot].writable = 0;
    } else {
        templates_[slot] = {{its.address.load()}, its.length.load(), 0, its.flags.load(), false};
    }
    return {};
}

Result<> SplitRing::add_fixed_slowly(std::uint16_t slot, Request& request) noexcept {
    if (!fixed_ || no_slot(slot)) return fail(Error::invalid_argument);
    if (is_shut()) return fail(Error::queue_broken);
    if (mode_ == Mode::fixed || (templates_[slot].in_flight && !mutant(39))) return fail(Error::request_in_flight);
    const RingTemplate& its = templates_[slot];
    return add_template(slot, {Le64{its.address.value}, Le32{its.length}, Le16{its.flags}, Le16{0}}, request);
}

/// IN_ORDER: a preset or fixed slot, as the one descriptor whose turn it is.
Result<> SplitRing::add_template(std::uint16_t slot, const Descriptor& its, Request& request) noexcept {
    if (free_descriptors() == 0 && !mutant(33)) return fail(Error::ring_full);
    std::uint16_t head = 0;
    static_cast<void>(take_single(head));
    memory_.store_descriptor(head, its);
    lend(head, request, slot, kTemplate);
    templates_[slot].in_flight = true;
    ++templates_out_;
    return {};
}

// --- taking ---

/// All checks once more, in the order in which they tell most; and what goes back to the free list.
SplitRing::Taken SplitRing::take_checked(std::uint32_t id, std::uint32_t length) noexcept {
    if (id >= size_ && !mutant(2)) {
        shut(RingFault::used_id_out_of_range);
        return {};
    }
    const Slot& slot = slots_[id];
    if ((slot.count == kFree || slot.count == kNoHead) && !mutant(3)) {
        shut(RingFault::used_id_not_in_flight);
        return {};
    }
    return complete(static_cast<std::uint16_t>(id), slot.writable, length);
}

SplitRing::Taken SplitRing::take_in_order_checked() noexcept {
    if (last_used_ == batch_end_) {
        if (!begin_batch()) return {};
        if (last_used_ != skipped_until_) return take_skipped(last_used_);
    }
    const std::uint16_t head = listed_ ? oldest_ : static_cast<std::uint16_t>(last_used_ & mask_);
    const Slot& slot = slots_[head];
    const std::uint32_t lent = slot.count == kTemplate ? templates_[slot.writable].writable : slot.writable;
    const bool last = static_cast<std::uint16_t>(last_used_ + 1) == batch_end_;
    const Taken taken = complete(head, lent, last ? batch_length_ : lent);
    skipped_until_ = last_used_;
    return taken;
}

/// One used element stands for all requests up to the one that it names; it lies where the first of them would have its own, and the
/// used index moves by their number (2.7.9, IN_ORDER).
bool SplitRing::begin_batch() noexcept {
    const std::uint16_t at = last_used_;
    if (at == used_seen_ && !look()) return false;
    const UsedElement element = memory_.load_used(at & mask_);
    const std::uint32_t id = element.id.load();
    if (id >= size_ && !mutant(8)) {
        shut(RingFault::used_id_out_of_range);
        return false;
    }
    const Slot& slot = slots_[id];
    const auto last = static_cast<std::uint16_t>(listed_ ? slot.next : at + ((id - at) & mask_));
    const bool outside = static_cast<std::uint16_t>(last - at) >= static_cast<std::uint16_t>(used_seen_ - at);
    if ((outside && !mutant(9)) || (slot.count == kNoHead && !mutant(10))) {
        shut(RingFault::out_of_order);
        return false;
    }
    batch_end_ = static_cast<std::uint16_t>(last + 1);
    batch_length_ = element.length.load();
    skipped_until_ = listed_ || templates_out_ != 0 ? at : last;
    return true;
}

SplitRing::Taken SplitRing::complete(std::uint16_t head, std::uint32_t lent, std::uint32_t length) noexcept {
    const bool clamped = length > lent && !mutant(4);
    if (clamped) {
        if (strict_length_) {
            shut(RingFault::used_length);
            return {};
        }
        length = lent;
        ++lengths_clamped_;
    }
    Request& request = *slots_[head].request;
    release(head);
    const Taken taken = finish(request, length, head);
    request.length_clamped = clamped;
    return taken;
}

/// The chain is its owner's again, and nothing of it is left here.
void SplitRing::release(std::uint16_t head) noexcept {
    Slot& slot = slots_[head];
    const std::uint16_t count = slot.count;
    ++last_used_;
    if (mode_ == Mode::in_order) {
        const auto descriptors = static_cast<std::uint16_t>(count == kInFlight || count == kTemplate ? 1 : count - 1);
        if (count == kTemplate) {
            templates_[slot.writable].in_flight = false;
            --templates_out_;
        }
        slot = {nullptr, 0, listed_ ? kNoHead : kFree, fixed_ ? kReserved : std::uint16_t{0}};
        oldest_ = static_cast<std::uint16_t>((head + descriptors) & mask_);
        free_count_ = static_cast<std::uint16_t>(free_count_ + descriptors);
    } else if (mode_ == Mode::fixed) {
        slot.request = nullptr;
        slot.count = kFree;
    } else if (count == kInFlight) {
        slot = {};
    } else {
        std::uint16_t tail = head;
        for (std::uint16_t left = static_cast<std::uint16_t>(count - 1); left > 1; --left) tail = slots_[tail].next;
        slots_[tail].next = free_head_;
        free_head_ = head;
        free_count_ = static_cast<std::uint16_t>(free_count_ + count - 1);
        slot.request = nullptr;
        slot.writable = 0;
        slot.count = kNoHead;
    }
}

/// Broken or closed: nothing is taken, and every add() goes where it is refused.
void SplitRing::shut(RingFault fault) noexcept {
    fault_ = fault;
    used_seen_ = skipped_until_ = batch_end_ = last_used_;
    aligned_mask_ = 0;
    reserved_ = 0;
    if (size_ != 0 && slots_[0].count == kFree) slots_[0].next = kReserved;
}

Request* SplitRing::reclaim(std::uint16_t& cursor) noexcept {
    for (; cursor < size_ && in_flight() != 0; ++cursor) {
        const Slot& slot = slots_[cursor];
        if (slot.count == kFree || slot.count == kNoHead) continue;
        Request* request = slot.request;
        release(cursor);
        if (slots_[0].count == kFree) slots_[0].next = kReserved;
        return request;
    }
    return nullptr;
}

} // namespace virtio
