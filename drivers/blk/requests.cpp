// A block request's way: checks, slot, completion, status. How it is cut into chains is in chains.cpp.

#include "drivers/blk/blk.hpp"
#include "libvirtio/bytes.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {

// --- checks: nothing is sent before they are passed ---

Result<> BlockDevice::refuse(Error error) noexcept {
    if (error != Error::ring_full) ++counters_.refused;
    return fail(error);
}

Result<> BlockDevice::check(const Request& request, std::uint64_t sector, std::uint64_t sectors) noexcept {
    if (!ready_ && !mutant(350)) return fail(stopped_by_);
    if (request.state == Request::State::in_flight && !mutant(351)) return fail(Error::request_in_flight);
    if (sectors == 0 && !mutant(352)) return fail(Error::empty_request);
    const std::uint64_t unit = limits_.block_size / kSectorSize - 1;
    if (((sector | sectors) & unit) != 0 && !mutant(353)) return fail(Error::unaligned);
    if ((sector > capacity_ && !mutant(354)) || (sectors > capacity_ - sector && !mutant(355))) return fail(Error::out_of_range); // BLK-015
    return {};
}

namespace {
Result<std::uint64_t> whole_sectors(std::uint64_t bytes) noexcept {
    if (bytes % kSectorSize != 0 && !mutant(357)) return fail(Error::unaligned); // BLK-019
    return bytes / kSectorSize;
}

template<class Byte> Result<std::uint64_t> measure(std::span<const std::span<Byte>> list) noexcept {
    std::uint64_t bytes = 0;
    for (const std::span<Byte>& piece : list) {
        if (piece.empty() && !mutant(358)) return fail(Error::empty_request);
        if (piece.data() == nullptr && !mutant(359)) return fail(Error::invalid_argument);
        if (piece.size() > ~bytes && !mutant(360)) return fail(Error::out_of_range);
        bytes += piece.size();
    }
    return whole_sectors(bytes);
}
} // namespace

[[gnu::always_inline]] inline void BlockDevice::one_sent(const Slot& slot, BlockRequest& request, std::uint32_t bytes,
                                                         BlockOperation operation) noexcept {
    free_preset_ = slot.next_free;
    queue_.count_bytes(bytes);
    ++(operation == BlockOperation::in ? counters_.reads : counters_.writes);
    request.state = Request::State::in_flight;
}

// The common case in one go and without a call: whole blocks inside the disk, one segment, a preset slot, nothing to map.
template<BlockOperation operation>
[[gnu::always_inline]] inline Result<> BlockDevice::one(BlockRequest& request, std::uint64_t sector, std::span<std::byte> data) noexcept {
    const std::uint64_t bytes = data.size();
    const std::uint32_t mask = limits_.block_size - 1;
    const std::uint32_t index = free_preset_;
    // fast_bytes_ is never beyond the disk, so neither difference runs below zero.
    if (bytes - 1 < fast_bytes_ && ((bytes | sector * kSectorSize) & mask) == 0 && sector <= capacity_ - bytes / kSectorSize &&
        data.data() != nullptr && request.state != Request::State::in_flight && index != kNoSlot) [[likely]] {
        Slot& slot = slots_[index];
        const auto part = static_cast<std::uint32_t>(bytes);
        slot.header->type.store(static_cast<std::uint32_t>(operation));
        slot.header->reserved.store(0); // all of it: the device may have scribbled on it
        slot.header->sector.store(sector);
        *slot.status = block_status::kNotWritten;
        slot.complete = &BlockDevice::one_done<operation>;
        slot.owner = &request;
        slot.part = part;
        if (queue_.add_preset_quickly(static_cast<std::uint16_t>(index), {domain_->direct_address(data.data()), part},
                                      operation == BlockOperation::in, slot)) [[likely]] {
            one_sent(slot, request, part, operation);
            return {};
        }
        return one_with_call(slot, data.data(), operation);
    }
    return one_checked(request, operation, sector, data);
}

Result<> BlockDevice::one_with_call(Slot& slot, std::byte* data, BlockOperation operation) noexcept {
    const Result<> added = queue_.add_preset(slot.index, {domain_->direct_address(data), slot.part}, operation == BlockOperation::in, slot);
    if (!added) [[unlikely]]
        return refuse(added.error());
    one_sent(slot, *slot.owner, slot.part, operation);
    return {};
}

Result<> BlockDevice::one_checked(BlockRequest& request, BlockOperation operation, std::uint64_t sector,
                                  std::span<std::byte> data) noexcept {
    if (data.data() == nullptr && !data.empty() && !mutant(361)) return refuse(Error::invalid_argument);
    const Result<std::uint64_t> sectors = whole_sectors(data.size());
    if (!sectors) return refuse(sectors.error());
    if (const Result<> fine = check(request, sector, *sectors); !fine) return refuse(fine.error());
    return submit(request, operation, sector, data.size(), nullptr, data);
}

Result<> BlockDevice::read(BlockRequest& request, std::uint64_t sector, std::span<std::byte> into) noexcept {
    return one<BlockOperation::in>(request, sector, into);
}

Result<> BlockDevice::read(BlockRequest& request, std::uint64_t sector, std::span<const std::span<std::byte>> into) noexcept {
    const Result<std::uint64_t> sectors = measure(into);
    if (!sectors) return refuse(sectors.error());
    if (const Result<> fine = check(request, sector, *sectors); !fine) return refuse(fine.error());
    return submit(request, BlockOperation::in, sector, *sectors * kSectorSize, into.data(), {});
}

Result<> BlockDevice::write(BlockRequest& request, std::uint64_t sector, std::span<const std::byte> from) noexcept {
    if (read_only_ && !mutant(362)) [[unlikely]]
        return refuse(ready_ ? Error::read_only : stopped_by_);
    // The device only reads it: the descriptor says so.
    return one<BlockOperation::out>(request, sector, {const_cast<std::byte*>(from.data()), from.size()});
}

Result<> BlockDevice::write(BlockRequest& request, std::uint64_t sector, std::span<const std::span<const std::byte>> from) noexcept {
    const Result<std::uint64_t> sectors = measure(from);
    if (!sectors) return refuse(sectors.error());
    if (const Result<> fine = check(request, sector, *sectors); !fine) return refuse(fine.error());
    if (read_only_ && !mutant(363)) return refuse(Error::read_only);
    return submit(request, BlockOperation::out, sector, *sectors * kSectorSize, from.data(), {});
}

Result<> BlockDevice::flush(BlockRequest& request) noexcept {
    if (!ready_ && !mutant(364)) return refuse(stopped_by_);
    if (request.state == Request::State::in_flight && !mutant(365)) return refuse(Error::request_in_flight);
    if (device_.features().has(BlockFeature::flush) || mutant(366))
        return submit(request, BlockOperation::flush, 0, 0, nullptr, {}); // BLK-017
    request.bytes = 0;                                                    // BLK-002: every finished write is durable already
    request.length = 0;
    request.error = Error::none;
    request.state = Request::State::done;
    if (request.complete != nullptr) request.complete(request);
    return {};
}

Result<> BlockDevice::range(BlockRequest& request, BlockOperation operation, std::uint64_t sector, std::uint64_t sectors,
                            std::uint32_t most, std::uint32_t flags) noexcept {
    if (const Result<> fine = check(request, sector, sectors); !fine) return refuse(fine.error());
    if (most == 0 && !mutant(367)) return refuse(Error::unsupported_request);
    if (read_only_ && !mutant(368)) return refuse(Error::read_only);
    return submit(request, operation, sector, sectors, nullptr, {}, flags);
}

Result<> BlockDevice::discard(BlockRequest& request, std::uint64_t sector, std::uint64_t sectors) noexcept {
    return range(request, BlockOperation::discard, sector, sectors, limits_.discard_sectors, 0); // BLK-027: no unmap flag
}

Result<> BlockDevice::write_zeroes(BlockRequest& request, std::uint64_t sector, std::uint64_t sectors, Unmap unmap) noexcept {
    return range(request, BlockOperation::write_zeroes, sector, sectors, limits_.write_zeroes_sectors,
                 unmap == Unmap::allowed ? kWriteZeroesUnmap : 0);
}

template<class Submit> Result<> BlockDevice::now(Submit submit_one, std::uint64_t timeout_ns) noexcept {
    // It may stand on the stack: header, status, bounce block and what the ring keeps are in the slot, and wait() returns only
    // when nobody knows this object any more.
    BlockRequest request;
    if (platform_ == nullptr && !mutant(369)) return fail(Error::not_started);
    if (polling_ && !mutant(370)) return fail(Error::busy);
    const std::uint64_t begun = platform_->now_ns();
    const std::uint64_t deadline = timeout_ns < kForever - begun || mutant(371) ? begun + timeout_ns : kForever;
    for (;;) {
        const Result<> sent = submit_one(request);
        if (sent) break;
        if (sent.error() != Error::ring_full) return sent;
        kick();
        if (platform_->now_ns() >= deadline && !mutant(372)) return fail(Error::timeout); // nothing of ours was sent
        if (poll() == 0) device_.wait(deadline);
    }
    if (deadline == kForever) return wait(request);
    const std::uint64_t time = platform_->now_ns();
    return wait(request, time < deadline ? deadline - time : 0);
}

Result<> BlockDevice::read(std::uint64_t sector, std::span<std::byte> into, std::uint64_t timeout_ns) noexcept {
    return now([&](BlockRequest& request) noexcept { return read(request, sector, into); }, timeout_ns);
}

Result<> BlockDevice::write(std::uint64_t sector, std::span<const std::byte> from, std::uint64_t timeout_ns) noexcept {
    return now([&](BlockRequest& request) noexcept { return write(request, sector, from); }, timeout_ns);
}

Result<> BlockDevice::flush(std::uint64_t timeout_ns) noexcept {
    return now([&](BlockRequest& request) noexcept { return flush(request); }, timeout_ns);
}

// --- slots ---

BlockDevice::Slot* BlockDevice::take_slot(SlotKind preferred) noexcept {
    std::uint16_t& list = preferred == SlotKind::preset ? (free_preset_ != kNoSlot ? free_preset_ : free_general_)
                                                        : (free_general_ != kNoSlot ? free_general_ : free_preset_);
    if (list == kNoSlot) return nullptr;
    Slot& slot = slots_[list];
    list = slot.next_free;
    return &slot;
}

void BlockDevice::give_slot(Slot& slot) noexcept {
    std::uint16_t& list = slot.index < preset_count_ ? free_preset_ : free_general_;
    slot.owner = nullptr;
    slot.next_free = list;
    list = slot.index;
}

// --- submitting ---

Result<> BlockDevice::submit(BlockRequest& request, BlockOperation operation, std::uint64_t sector, std::uint64_t left, const void* pieces,
                             std::span<std::byte> single, std::uint32_t flags) noexcept {
    const bool one_segment = pieces == nullptr && operation != BlockOperation::flush;
    Slot* slot = take_slot(one_segment ? SlotKind::preset : SlotKind::general);
    if (slot == nullptr && !mutant(373)) [[unlikely]] {
        queue_.count_ring_full();
        return fail(Error::ring_full);
    }
    slot->complete = &BlockDevice::chain_done;
    slot->owner = &request;
    slot->operation = operation;
    slot->sector = sector;
    slot->left = left;
    slot->pieces = pieces;
    slot->single = single;
    slot->piece = 0;
    slot->offset = 0;
    slot->flags = flags;
    if (const Result<> sent = send(*slot); !sent) [[unlikely]] {
        give_slot(*slot);
        return refuse(sent.error());
    }
    request.bytes = 0;
    request.length = 0;
    request.error = Error::none;
    request.state = Request::State::in_flight;
    switch (operation) {
    case BlockOperation::in: ++counters_.reads; break;
    case BlockOperation::out: ++counters_.writes; break;
    case BlockOperation::flush: ++counters_.flushes; break;
    default: ++counters_.others; break;
    }
    return {};
}

// --- completion ---

namespace {
// The status byte decides; the used length says nothing (trap 11, B5). BLK-044
Error outcome(std::uint8_t status) noexcept {
    switch (status) {
    case block_status::kOk: return Error::none;
    case block_status::kIoErr: return Error::io_error;
    case block_status::kUnsupported: return Error::unsupported_request;
    default: return Error::bad_response;
    }
}
} // namespace

template<BlockOperation operation> void BlockDevice::one_done(Request& request) noexcept {
    Slot& slot = static_cast<Slot&>(request);
    BlockDevice& device = *slot.device;
    const std::uint8_t status = load_once(*slot.status);
    // A reset is no answer.
    if ((slot.error != Error::none && !mutant(374)) || (status != block_status::kOk && !mutant(375))) [[unlikely]]
        return device.one_failed(slot, status);
    BlockRequest& owner = *slot.owner;
    const std::uint32_t bytes = slot.part;
    (operation == BlockOperation::in ? device.counters_.bytes_read : device.counters_.bytes_written) += bytes;
    slot.owner = nullptr; // a preset slot, which is free before complete(): that may submit again
    slot.next_free = device.free_preset_;
    device.free_preset_ = slot.index;
    owner.bytes = bytes;
    owner.length = bytes;
    owner.error = Error::none;
    owner.state = Request::State::done;
    if (owner.complete != nullptr) owner.complete(owner);
}

void BlockDevice::one_failed(Slot& slot, std::uint8_t status) noexcept {
    slot.owner->bytes = 0;
    finish(slot, slot.error != Error::none ? slot.error : outcome(status));
}

void BlockDevice::chain_done(Request& request) noexcept {
    Slot& slot = static_cast<Slot&>(request);
    BlockDevice& device = *slot.device;
    if (slot.mappings != 0) device.unmap(slot);
    if (slot.error != Error::none && !mutant(376)) return device.finish(slot, slot.error); // a reset, not an answer
    const Error error = outcome(load_once(*slot.status));
    if (error != Error::none && !mutant(377)) return device.finish(slot, error);
    device.advance(slot);
}

void BlockDevice::advance(Slot& slot) noexcept {
    if (slot.bounce && slot.operation == BlockOperation::in) read_bounce(slot);
    slot.owner->bytes += slot.part;
    if (slot.part == slot.left) [[likely]] {
        if (slot.operation == BlockOperation::get_id) copy_bytes(id_.data(), memory_.data + id_at_, kBlockIdBytes);
        return finish(slot, Error::none);
    }
    // More than the device takes at once: the same request goes on where this chain ended.
    slot.left -= slot.part;
    const bool data = slot.operation == BlockOperation::in || slot.operation == BlockOperation::out;
    if (data) move_cursor(slot);
    slot.sector += data ? slot.part / kSectorSize : slot.part;
    ++counters_.resumed;
    // The disk may have shrunk meanwhile. BLK-015
    const std::uint64_t sectors = data ? slot.left / kSectorSize : slot.left;
    if ((slot.sector > capacity_ && !mutant(378)) || (sectors > capacity_ - slot.sector && !mutant(379)))
        return finish(slot, Error::out_of_range);
    if (!ready_ && !mutant(380)) return finish(slot, stopped_by_);
    if (const Result<> sent = send(slot); !sent) return finish(slot, sent.error());
    resumed_ = true; // poll() kicks once for all of them
}

void BlockDevice::finish(Slot& slot, Error error) noexcept {
    BlockRequest& request = *slot.owner;
    if (error != Error::none) [[unlikely]] {
        ++counters_.failed;
        queue_.count_error();
    } else if (slot.operation == BlockOperation::in) {
        counters_.bytes_read += request.bytes;
    } else if (slot.operation == BlockOperation::out) {
        counters_.bytes_written += request.bytes;
    }
    give_slot(slot); // before complete(), which may submit again
    request.length = request.bytes < 0xffff'ffffu ? static_cast<std::uint32_t>(request.bytes) : 0xffff'ffffu;
    request.error = error;
    request.state = Request::State::done;
    if (request.complete != nullptr) request.complete(request);
}

} // namespace virtio
