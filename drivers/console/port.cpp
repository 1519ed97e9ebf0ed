#include "drivers/console/port.hpp"

#include <bit>

#include "drivers/console/console.hpp"
#include "libvirtio/bytes.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

// One request of a large write: whatever its length, one kick.
constexpr std::size_t kLargestRequest = std::size_t{1} << 20;

} // namespace

void ConsolePort::attach(ConsoleDevice& owner, std::uint32_t id) noexcept {
    owner_ = &owner;
    id_ = id;
    for (Slot& slot : receive_slots_) {
        slot.port = this;
        slot.complete = &ConsolePort::received;
    }
    for (Slot& slot : transmit_slots_) {
        slot.port = this;
        slot.complete = &ConsolePort::transmitted;
    }
}

Result<> ConsolePort::prepare() noexcept {
    domain_ = &owner_->device_.domain();
    if (!receive_memory_) {
        const Result<DmaMemory> memory = domain_->allocate(kReceiveSlots * kReceiveBytes, kDmaLine);
        if (!memory) return fail(memory.error());
        receive_memory_ = *memory;
    }
    if (!transmit_memory_) {
        const Result<DmaMemory> memory = domain_->allocate(kTransmitSlots * kTransmitBytes, kDmaLine);
        if (!memory) return fail(memory.error());
        transmit_memory_ = *memory;
    }
    // Buffers that a port of this number had before its removal may still be with the device: they are simply there. QEMU goes on
    // filling them for a while after it has removed the port; that is not this port's input.
    static_cast<void>(receive_.poll(receive_.size()));
    filled_count_ = 0;
    read_offset_ = 0;
    for (unsigned i = 0; i < kReceiveSlots && i < receive_.size(); ++i)
        if (receive_slots_[i].state != Request::State::in_flight) static_cast<void>(lend_receive(i));
    receive_.kick();
    free_slots_ = 0;
    for (unsigned i = 0; i < kTransmitSlots && i < transmit_.size(); ++i)
        if (transmit_slots_[i].state != Request::State::in_flight) free_slots_ = static_cast<std::uint16_t>(free_slots_ | 1u << i);
    return {};
}

void ConsolePort::tell(ConsoleChange change) noexcept {
    ConsoleObserver* observer = owner_->options_.observer;
    if ((observer != nullptr || mutant(550)) && (observer->changed != nullptr || mutant(551))) observer->changed(*observer, *this, change);
}

Result<> ConsolePort::check() const noexcept {
    if (!present_ && !mutant(552)) return fail(Error::device_gone);
    if ((!host_open_ || closing_) && !mutant(553)) return fail(Error::closed);
    return {};
}

// --- opening ---

Result<> ConsolePort::open() noexcept {
    if (!present_ && !mutant(554)) return fail(Error::device_gone);
    guest_open_ = true;
    owner_->ask_open(*this);
    return {};
}

void ConsolePort::close() noexcept {
    if (!guest_open_ && !mutant(555)) return;
    guest_open_ = false;
    if (present_) owner_->ask_open(*this);
}

void ConsolePort::set_host_open(bool open) noexcept {
    if (open == host_open_ && !mutant(556)) return;
    if (!open) {
        closing_ = true; // what was delivered before counts as sent, and nothing follows it: the next connection would get that
        reclaim();
        closing_ = false;
    }
    host_open_ = open;
    if (!open) {
        begin_epoch();
        discard_open_slot();
        lost_ = transmit_.in_flight(); // all others have come back before the message
    }
    if (present_ || mutant(557)) tell(open ? ConsoleChange::host_opened : ConsoleChange::host_closed);
}

void ConsolePort::set_name(std::span<const std::byte> bytes) noexcept {
    const std::size_t length = bytes.size() < kNameBytes || mutant(558) ? bytes.size() : kNameBytes;
    name_length_ = 0;
    for (std::size_t i = 0; i < length; ++i) {
        const auto byte = static_cast<unsigned char>(bytes[i]);
        if (byte == 0 && !mutant(559)) break; // QEMU counts the terminator
        name_[name_length_++] = (byte < 0x20 && !mutant(560)) || (byte == 0x7f && !mutant(561)) ? '?' : static_cast<char>(byte);
    }
}

void ConsolePort::remove() noexcept {
    reclaim();
    discard_open_slot();
    present_ = false;
    console_ = false;
    host_open_ = false;
    guest_open_ = false;
    begin_epoch();
    // Input that nobody collected yet is not the next port's either.
    static_cast<void>(receive_.poll(receive_.size()));
    receive_armed_ = false;
    filled_count_ = 0;
    read_offset_ = 0;
    size_ = {};
    ++incarnation_;
    tell(ConsoleChange::removed);
    name_length_ = 0;
}

bool ConsolePort::has_leftovers() noexcept {
    reclaim();
    // Perhaps still in the queue, and then this port's output would begin with them.
    return transmit_.in_flight() > lost_;
}

void ConsolePort::free_memory(DmaMemory& memory, std::span<const Slot> slots) noexcept {
    // Where a reset was never confirmed the device may still write there: it stays allocated for ever.
    bool abandoned = false;
    for (const Slot& slot : slots) abandoned = abandoned || slot.state == Request::State::abandoned;
    if (memory && (!abandoned || mutant(562))) domain_->free(memory);
    memory = {};
}

void ConsolePort::forget() noexcept {
    if (large_ != nullptr) end_large(Error::abandoned); // a confirmed reset ended it before
    const bool was_present = present_;
    ++incarnation_;
    discard_open_slot();
    present_ = false;
    console_ = false;
    host_open_ = false;
    begin_epoch();
    filled_count_ = 0;
    read_offset_ = 0;
    stuck_since_ = 0;
    lost_ = 0;
    receive_armed_ = transmit_armed_ = large_stalled_ = false;
    free_memory(receive_memory_, receive_slots_);
    free_memory(transmit_memory_, transmit_slots_);
    for (Slot& slot : receive_slots_) slot.state = Request::State::idle;
    for (Slot& slot : transmit_slots_) slot.state = Request::State::idle;
    free_slots_ = 0;
    if (was_present) tell(ConsoleChange::removed);
    name_length_ = 0;
}

// --- input ---

bool ConsolePort::lend_receive(unsigned index) noexcept {
    const Segment segment = receive_memory_.segment(std::size_t{index} * kReceiveBytes, kReceiveBytes);
    return receive_.add({}, {&segment, 1}, receive_slots_[index]).has_value(); // CONS-001
}

void ConsolePort::received(Request& request) noexcept {
    auto& slot = static_cast<Slot&>(request);
    ConsolePort& port = *slot.port;
    if (slot.error != Error::none && !mutant(564)) return;
    const unsigned index = port.index_of(slot, port.receive_slots_.data());
    ++port.owner_->handled_;
    // An empty one goes back at once, and so does one whose length cannot be true: nobody knows what of it was written (B3).
    if (slot.length_clamped) ++port.counters_.bad_lengths;
    if ((slot.length == 0 && !mutant(565)) || (slot.length_clamped && !mutant(566)) || (!port.present_ && !mutant(567))) {
        if (port.present_) static_cast<void>(port.lend_receive(index));
        return;
    }
    port.filled_[(port.filled_first_ + port.filled_count_) % kReceiveSlots] = static_cast<std::uint8_t>(index);
    ++port.filled_count_;
    port.counters_.received += slot.length;
    port.receive_.count_bytes(slot.length);
}

bool ConsolePort::collect() noexcept {
    // Not among control messages: one that went before the input may be the next.
    if (!receive_.created() || owner_->in_control_) return false;
    if (receive_armed_ && !receive_.pending()) return false;
    const std::uint8_t before = filled_count_;
    receive_.suppress_interrupts();
    static_cast<void>(receive_.poll(receive_.size()));
    receive_.kick();
    const bool more = receive_.arm_interrupts();
    receive_armed_ = !more;
    if (filled_count_ > before) owner_->catch_up();
    return more;
}

std::size_t ConsolePort::take(std::span<std::byte> into) noexcept {
    if (filled_count_ == 0 && collect()) owner_->look_again(Device::queue_bit(receive_.index()));
    std::size_t done = 0;
    bool lent = false;
    while (done < into.size() && filled_count_ != 0) {
        const unsigned index = filled_[filled_first_];
        const Slot& slot = receive_slots_[index];
        const std::size_t rest = slot.length - read_offset_;
        const std::size_t now = rest < into.size() - done || mutant(569) ? rest : into.size() - done;
        copy_bytes(into.data() + done, receive_memory_.data + std::size_t{index} * kReceiveBytes + read_offset_, now);
        done += now;
        read_offset_ += static_cast<std::uint32_t>(now);
        if (read_offset_ != slot.length) break;
        read_offset_ = 0;
        filled_first_ = static_cast<std::uint8_t>((filled_first_ + 1) % kReceiveSlots);
        --filled_count_;
        lent = lend_receive(index) || lent;
    }
    if (lent) receive_.kick();
    return done;
}

Result<std::size_t> ConsolePort::read(std::span<std::byte> into, std::uint64_t deadline_ns) noexcept {
    if (into.empty() && !mutant(570)) return std::size_t{0};
    const std::uint32_t incarnation = incarnation_;
    for (;;) {
        if (incarnation_ != incarnation && !mutant(571))
            return fail(Error::device_gone); // perhaps there is another port of this number already
        if (const std::size_t count = take(into)) return count;
        if (!present_) return fail(Error::device_gone);
        if ((!guest_open_ && !mutant(572)) || (!host_open_ && !mutant(573))) return fail(Error::closed);
        if (owner_->platform_->now_ns() >= deadline_ns && !mutant(574)) return fail(Error::timeout);
        wait(deadline_ns);
    }
}

// --- output ---

void ConsolePort::discard_open_slot() noexcept {
    if (open_slot_ == kNoSlot) return;
    counters_.dropped += fill_;
    counters_.sent -= fill_;
    free_slots_ = static_cast<std::uint16_t>(free_slots_ | 1u << open_slot_);
    open_slot_ = kNoSlot;
    fill_ = 0;
}

void ConsolePort::lend_open_slot() noexcept {
    if (open_slot_ == kNoSlot || fill_ == 0 || closing_) return;
    Slot& slot = transmit_slots_[open_slot_];
    const Segment segment = transmit_memory_.segment(std::size_t{open_slot_} * kTransmitBytes, fill_);
    slot.epoch = host_epoch_;
    slot.bytes = fill_;
    if (transmit_.add({&segment, 1}, {}, slot)) { // CONS-002
        transmit_.count_bytes(fill_);
        open_slot_ = kNoSlot;
        fill_ = 0;
        ++under_way_;
    }
}

void ConsolePort::transmitted(Request& request) noexcept {
    auto& slot = static_cast<Slot&>(request);
    ConsolePort& port = *slot.port;
    const unsigned index = port.index_of(slot, port.transmit_slots_.data());
    port.free_slots_ = static_cast<std::uint16_t>(port.free_slots_ | 1u << index);
    if (slot.epoch == port.host_epoch_)
        --port.under_way_;
    else if (port.lost_ != 0)
        --port.lost_; // late, but not lost
    if ((slot.error != Error::none && !mutant(575)) || (slot.epoch != port.host_epoch_ && !mutant(576))) {
        port.counters_.dropped += slot.bytes; // the host closed before, or a reset ended it
        port.counters_.sent -= slot.bytes;
    } else {
        ++port.owner_->handled_;
    }
}

void ConsolePort::reclaim() noexcept {
    if (!transmit_.created()) return;
    const bool had_room = writable();
    if (transmit_.poll(transmit_.size()) == 0) return;
    transmit_armed_ = false;
    stuck_since_ = 0;
    if (large_stalled_) continue_large();
    // Bytes that waited behind the buffers in flight go now, whole or not.
    if (large_ == nullptr) lend_open_slot();
    if (room_wanted_ || !had_room) {
        room_wanted_ = false;
        tell(ConsoleChange::room);
    }
}

bool ConsolePort::arm_transmit() noexcept {
    if (transmit_.in_flight() == 0 || transmit_armed_) return false;
    transmit_armed_ = true;
    return transmit_.arm_interrupts();
}

void ConsolePort::flush() noexcept {
    transmit_.kick();
    // Each round takes at least one buffer back, so this ends.
    for (unsigned round = 0; round <= kTransmitSlots && arm_transmit(); ++round) {
        transmit_armed_ = false;
        reclaim();
        transmit_.kick();
    }
}

bool ConsolePort::writable() const noexcept {
    return host_open() && large_ == nullptr && (free_slots_ != 0 || (open_slot_ != kNoSlot && fill_ != kTransmitBytes));
}

bool ConsolePort::stuck() const noexcept {
    if (free_slots_ != 0 || open_slot_ != kNoSlot || large_ != nullptr) return false;
    for (const Slot& slot : transmit_slots_)
        if (slot.state == Request::State::in_flight && slot.epoch == host_epoch_) return false;
    return true;
}

Result<std::size_t> ConsolePort::put(std::span<const std::byte> from) noexcept {
    if (const Result<> ready = check(); !ready) return fail(ready.error());
    reclaim();
    std::size_t done = 0;
    while (large_ == nullptr && done < from.size()) {
        if (open_slot_ == kNoSlot) {
            if (free_slots_ == 0) break;
            open_slot_ = static_cast<std::uint8_t>(std::countr_zero(free_slots_));
            free_slots_ = static_cast<std::uint16_t>(free_slots_ & ~(1u << open_slot_));
            fill_ = 0;
        }
        const std::size_t room = kTransmitBytes - fill_;
        const std::size_t now = room < from.size() - done ? room : from.size() - done;
        copy_bytes(transmit_memory_.data + std::size_t{open_slot_} * kTransmitBytes + fill_, from.data() + done, now);
        fill_ += static_cast<std::uint32_t>(now);
        done += now;
        if (fill_ != kTransmitBytes) continue;
        lend_open_slot();
        if (open_slot_ != kNoSlot) break; // a ring smaller than our slots is full
    }
    counters_.sent += done;
    if (done < from.size()) room_wanted_ = true;
    // With something in flight the rest waits for its end, and more bytes may join it: one kick for many small writes.
    if (under_way_ == 0 && large_ == nullptr) lend_open_slot();
    flush();
    if (done == 0 && !from.empty() && stuck()) {
        // Buffers of an earlier connection that never came back: QEMU drops the one in hand when its host side closes.
        const std::uint64_t now = owner_->platform_->now_ns();
        if (stuck_since_ == 0)
            stuck_since_ = now;
        else if (now - stuck_since_ >= kReturnNs && !mutant(577))
            owner_->request_recovery("console: output buffers of a closed connection never came back");
    }
    return done;
}

Result<std::size_t> ConsolePort::write(std::span<const std::byte> from, std::uint64_t deadline_ns) noexcept {
    // What one connection did not take is not for the next one, or for another port of this number.
    const std::uint32_t epoch = host_epoch_;
    std::size_t done = 0;
    if (deadline_ns == kForever && from.size() >= kLargeWrite) {
        const Result<std::size_t> sent = write_large(from);
        if (!sent || *sent == from.size()) return sent;
        done = *sent;
    }
    while (done < from.size()) {
        if (host_epoch_ != epoch && !mutant(578))
            return done != 0 ? Result<std::size_t>{done} : fail(present_ ? Error::closed : Error::device_gone);
        const Result<std::size_t> count = put(from.subspan(done));
        if (!count) return done != 0 ? Result<std::size_t>{done} : count;
        done += *count;
        if (done == from.size()) break;
        const std::uint64_t now = owner_->platform_->now_ns();
        if (now >= deadline_ns && !mutant(579)) return done != 0 ? Result<std::size_t>{done} : fail(Error::timeout);
        const std::uint64_t look = now + kReturnNs;
        wait(stuck_since_ != 0 && look < deadline_ns ? look : deadline_ns);
    }
    return done;
}

Result<> ConsolePort::drain(std::uint64_t deadline_ns) noexcept {
    for (;;) {
        if (const Result<> ready = check(); !ready) return ready;
        reclaim();
        flush();
        if (idle()) return {};
        if (owner_->platform_->now_ns() >= deadline_ns && !mutant(580)) return fail(Error::timeout);
        room_wanted_ = true;
        wait(deadline_ns);
    }
}

bool ConsolePort::emergency_put(std::string_view text, std::uint64_t patience_ns) noexcept {
    if (!host_open() && !mutant(883)) return false;
    if (!mutant(881)) owner_->options_.observer = nullptr;
    std::span<const std::byte> rest = std::as_bytes(std::span(text));
    Platform& platform = *owner_->platform_;
    for (const std::uint64_t deadline = platform.now_ns() + patience_ns; platform.now_ns() < deadline || mutant(882);) {
        const Result<std::size_t> taken = put(rest);
        if (!taken) return false;
        rest = rest.subspan(*taken);
        if (rest.empty() && idle()) return true;
    }
    return false;
}

// --- output without a copy ---

Result<> ConsolePort::begin(ConsoleWrite& write, std::span<const std::byte> from) noexcept {
    if (const Result<> ready = check(); !ready) return ready;
    if (from.empty() && !mutant(588)) return fail(Error::empty_request);
    if ((large_ != nullptr && !mutant(589)) || (!write.finished() && !mutant(590))) return fail(Error::busy);
    reclaim();
    lend_open_slot(); // what was written before goes before
    if (open_slot_ != kNoSlot && fill_ != 0) return fail(Error::ring_full);
    write.port = this;
    write.next = from.data();
    write.rest = from.size();
    write.sent = 0;
    write.epoch = host_epoch_;
    write.error = Error::none;
    write.complete = &ConsolePort::large_transmitted;
    large_ = &write;
    submit_large();
    flush();
    if (write.finished() && write.sent == 0) return fail(write.error);
    return {};
}

void ConsolePort::submit_large() noexcept {
    ConsoleWrite& write = *large_;
    large_stalled_ = false;
    std::array<Segment, ConsoleWrite::kParts> segments{};
    const unsigned room = transmit_.room();
    const unsigned limit = room < ConsoleWrite::kParts ? room : ConsoleWrite::kParts;
    std::size_t bytes = 0;
    write.part_count = 0;
    while (write.part_count < limit && bytes < write.rest && bytes < kLargestRequest) {
        const std::size_t most = write.rest - bytes < kLargestRequest - bytes ? write.rest - bytes : kLargestRequest - bytes;
        const Result<DmaMapping> part = domain_->map(write.next + bytes, most, DmaDirection::to_device);
        if (!part || (part->length == 0 && !mutant(581))) break;
        segments[write.part_count] = {part->address, part->length};
        write.parts[write.part_count++] = *part;
        bytes += part->length;
    }
    if (write.part_count != 0) {
        const Result<> added = transmit_.add({segments.data(), write.part_count}, {}, write);
        if (added) {
            transmit_.kick();
            return;
        }
        for (unsigned i = 0; i < write.part_count; ++i) domain_->unmap(write.parts[i], DmaDirection::to_device);
        write.part_count = 0;
        if (added.error() != Error::ring_full && !mutant(582)) return end_large(added.error());
    } else if (limit != 0 && !mutant(583)) {
        return end_large(Error::dma_map_failed);
    }
    large_stalled_ = true; // goes on when buffers come back
}

void ConsolePort::end_large(Error error) noexcept {
    ConsoleWrite& write = *large_;
    large_ = nullptr;
    large_stalled_ = false;
    write.error = error;
    write.port = nullptr;
    tell(ConsoleChange::room);
}

void ConsolePort::large_transmitted(Request& request) noexcept {
    auto& write = static_cast<ConsoleWrite&>(request);
    ConsolePort& port = *write.port;
    std::size_t bytes = 0;
    for (unsigned i = 0; i < write.part_count; ++i) {
        bytes += write.parts[i].length;
        port.domain_->unmap(write.parts[i], DmaDirection::to_device);
    }
    write.part_count = 0;
    if (write.error != Error::none && !mutant(584)) return port.end_large(write.error);
    ++port.owner_->handled_;
    if ((!port.host_open() || write.epoch != port.host_epoch_) && !mutant(585)) { // used, but perhaps only to be thrown away
        port.counters_.dropped += bytes;
        return port.end_large(port.present_ ? Error::closed : Error::device_gone);
    }
    write.sent += bytes;
    write.next += bytes;
    write.rest -= bytes;
    port.counters_.sent += bytes;
    port.transmit_.count_bytes(bytes);
    if (write.rest == 0) return port.end_large(Error::none);
    port.continue_large();
}

void ConsolePort::continue_large() noexcept {
    // The rest is not for the next connection.
    if (closing_ || !host_open_ || large_->epoch != host_epoch_) return end_large(present_ ? Error::closed : Error::device_gone);
    submit_large();
}

Result<std::size_t> ConsolePort::write_large(std::span<const std::byte> from) noexcept {
    const std::uint32_t epoch = host_epoch_;
    for (;;) {
        if (host_epoch_ != epoch && !mutant(586)) return fail(present_ ? Error::closed : Error::device_gone);
        const Result<> begun = begin(own_write_, from);
        if (begun) break;
        if (begun.error() == Error::closed || begun.error() == Error::device_gone) return fail(begun.error());
        if (begun.error() != Error::busy && begun.error() != Error::ring_full) return std::size_t{0}; // by copying, then
        room_wanted_ = true;
        wait(owner_->platform_->now_ns() + kReturnNs);
    }
    // The memory is the caller's, so only the device's answer or a confirmed reset ends this. A host that closed may have lost the
    // buffer, also if it has opened again since.
    std::uint64_t give_up = 0;
    while (!own_write_.finished()) {
        std::uint64_t until = kForever;
        if (host_epoch_ != epoch) {
            const std::uint64_t now = owner_->platform_->now_ns();
            if (give_up == 0) give_up = now + kReturnNs;
            if (now >= give_up && !mutant(587)) owner_->request_recovery("console: a closed port keeps a large write");
            until = now >= give_up ? now + kReturnNs : give_up;
        }
        wait(until);
    }
    if (own_write_.sent == 0 && own_write_.error != Error::none) return fail(own_write_.error);
    return own_write_.sent;
}

// --- waiting and service ---

void ConsolePort::wait(std::uint64_t deadline_ns) noexcept {
    ConsoleObserver* observer = owner_->options_.observer;
    if (observer != nullptr && observer->wait != nullptr) return observer->wait(*observer, *this, deadline_ns);
    static_cast<void>(owner_->device_.wait(deadline_ns));
    static_cast<void>(owner_->poll());
    if (owner_->needs_recovery()) static_cast<void>(owner_->recover());
}

bool ConsolePort::service() noexcept {
    const std::uint8_t before = filled_count_;
    const bool more = collect();
    if (filled_count_ > before) tell(ConsoleChange::readable);
    reclaim();
    if (large_ == nullptr && under_way_ == 0) lend_open_slot();
    flush();
    return more;
}

} // namespace virtio
