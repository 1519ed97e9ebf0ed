// A block request's way: checks, slot, chains within the device's limits, status. BlockDevice's other half.

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
    if (!ready_) return fail(stopped_by_);
    if (request.state == Request::State::in_flight) return fail(Error::request_in_flight);
    if (sectors == 0) return fail(Error::empty_request);
    const std::uint64_t unit = limits_.block_size / kSectorSize - 1;
    if (((sector | sectors) & unit) != 0) return fail(Error::unaligned);
    if (sector > capacity_ || sectors > capacity_ - sector) return fail(Error::out_of_range); // BLK-015
    return {};
}

namespace {
Result<std::uint64_t> whole_sectors(std::uint64_t bytes) noexcept {
    if (bytes == 0) return fail(Error::empty_request);
    if (bytes % kSectorSize != 0) return fail(Error::unaligned); // BLK-019
    return bytes / kSectorSize;
}

template<class Byte> Result<std::uint64_t> measure(std::span<const std::span<Byte>> list) noexcept {
    std::uint64_t bytes = 0;
    for (const std::span<Byte>& piece : list) {
        if (piece.empty()) return fail(Error::empty_request);
        if (piece.data() == nullptr) return fail(Error::invalid_argument);
        if (piece.size() > ~bytes) return fail(Error::out_of_range);
        bytes += piece.size();
    }
    return whole_sectors(bytes);
}
} // namespace

Result<> BlockDevice::one(BlockRequest& request, BlockOperation operation, std::uint64_t sector, std::span<std::byte> data) noexcept {
    // The common case in one go: whole blocks inside the disk, one segment, a preset slot, nothing to map.
    const std::uint64_t bytes = data.size();
    const std::uint64_t sectors = bytes / kSectorSize;
    const std::uint32_t mask = limits_.block_size - 1;
    if (fast_ && bytes - 1 < limits_.segment_bytes && ((bytes | sector * kSectorSize) & mask) == 0 && sectors <= capacity_ &&
        sector <= capacity_ - sectors && data.data() != nullptr && request.state != Request::State::in_flight && free_preset_ != kNoSlot)
        [[likely]] {
        Slot& slot = slots_[free_preset_];
        auto* const header = reinterpret_cast<BlockHeader*>(memory_.data + kHeaderStride * slot.index);
        header->type.store(static_cast<std::uint32_t>(operation));
        header->reserved.store(0); // all of it: the device may have scribbled on it
        header->sector.store(sector);
        memory_.data[statuses_at_ + slot.index] = std::byte{block_status::kNotWritten};
        slot.owner = &request;
        slot.operation = operation;
        slot.left = bytes;
        slot.part = static_cast<std::uint32_t>(bytes);
        slot.bounce = false;
        slot.mappings = 0;
        const bool device_writes = operation == BlockOperation::in;
        const Result<> added = queue_.add_preset(slot.index, {domain_->direct_address(data.data()), slot.part}, device_writes, slot);
        if (!added) [[unlikely]]
            return refuse(added.error());
        free_preset_ = slot.next_free;
        queue_.counters().bytes += bytes;
        ++(device_writes ? counters_.reads : counters_.writes);
        request.bytes = 0;
        request.error = Error::none;
        request.state = Request::State::in_flight;
        return {};
    }
    if (data.data() == nullptr && bytes != 0) return refuse(Error::invalid_argument);
    const Result<std::uint64_t> whole = whole_sectors(bytes);
    if (!whole) return refuse(whole.error());
    if (const Result<> fine = check(request, sector, *whole); !fine) return refuse(fine.error());
    return submit(request, operation, sector, bytes, nullptr, data);
}

Result<> BlockDevice::read(BlockRequest& request, std::uint64_t sector, std::span<std::byte> into) noexcept {
    return one(request, BlockOperation::in, sector, into);
}

Result<> BlockDevice::read(BlockRequest& request, std::uint64_t sector, std::span<const std::span<std::byte>> into) noexcept {
    const Result<std::uint64_t> sectors = measure(into);
    if (!sectors) return refuse(sectors.error());
    if (const Result<> fine = check(request, sector, *sectors); !fine) return refuse(fine.error());
    return submit(request, BlockOperation::in, sector, *sectors * kSectorSize, into.data(), {});
}

Result<> BlockDevice::write(BlockRequest& request, std::uint64_t sector, std::span<const std::byte> from) noexcept {
    if (read_only_) [[unlikely]]
        return refuse(ready_ ? Error::read_only : stopped_by_);
    // The device only reads it: the descriptor says so.
    return one(request, BlockOperation::out, sector, {const_cast<std::byte*>(from.data()), from.size()});
}

Result<> BlockDevice::write(BlockRequest& request, std::uint64_t sector, std::span<const std::span<const std::byte>> from) noexcept {
    const Result<std::uint64_t> sectors = measure(from);
    if (!sectors) return refuse(sectors.error());
    if (const Result<> fine = check(request, sector, *sectors); !fine) return refuse(fine.error());
    if (read_only_) return refuse(Error::read_only);
    return submit(request, BlockOperation::out, sector, *sectors * kSectorSize, from.data(), {});
}

Result<> BlockDevice::flush(BlockRequest& request) noexcept {
    if (!ready_) return refuse(stopped_by_);
    if (request.state == Request::State::in_flight) return refuse(Error::request_in_flight);
    if (device_.features().has(BlockFeature::flush)) return submit(request, BlockOperation::flush, 0, 0, nullptr, {}); // BLK-017
    request.bytes = 0; // BLK-002: every finished write is durable already
    request.length = 0;
    request.error = Error::none;
    request.state = Request::State::done;
    if (request.complete != nullptr) request.complete(request);
    return {};
}

Result<> BlockDevice::range(BlockRequest& request, BlockOperation operation, std::uint64_t sector, std::uint64_t sectors,
                            std::uint32_t most, std::uint32_t flags) noexcept {
    if (const Result<> fine = check(request, sector, sectors); !fine) return refuse(fine.error());
    if (most == 0) return refuse(Error::unsupported_request);
    if (read_only_) return refuse(Error::read_only);
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
    if (platform_ == nullptr) return fail(Error::not_started);
    if (polling_) return fail(Error::busy);
    const std::uint64_t begun = platform_->now_ns();
    const std::uint64_t deadline = timeout_ns < kForever - begun ? begun + timeout_ns : kForever;
    for (;;) {
        const Result<> sent = submit_one(request);
        if (sent) break;
        if (sent.error() != Error::ring_full) return sent;
        kick();
        if (platform_->now_ns() >= deadline) return fail(Error::timeout); // nothing of ours was sent
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

Segment BlockDevice::header_segment(const Slot& slot) const noexcept {
    return memory_.segment(kHeaderStride * slot.index, sizeof(BlockHeader));
}
Segment BlockDevice::status_segment(const Slot& slot) const noexcept { return memory_.segment(statuses_at_ + slot.index, 1); }

// --- sending ---

Result<> BlockDevice::submit(BlockRequest& request, BlockOperation operation, std::uint64_t sector, std::uint64_t left, const void* pieces,
                             std::span<std::byte> single, std::uint32_t flags) noexcept {
    const bool one_segment = pieces == nullptr && operation != BlockOperation::flush;
    Slot* slot = take_slot(one_segment ? SlotKind::preset : SlotKind::general);
    if (slot == nullptr) [[unlikely]] {
        ++queue_.counters().ring_full;
        return fail(Error::ring_full);
    }
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

Result<> BlockDevice::send(Slot& slot) noexcept {
    // Never on the caller's stack, and written whole before each chain: the device may have scribbled on it.
    std::byte* const own = memory_.data + kHeaderStride * slot.index;
    const BlockHeader header{Le32{static_cast<std::uint32_t>(slot.operation)}, Le32{}, Le64{slot.left == 0 ? 0 : slot.sector}};
    copy_bytes(own, &header, sizeof header);
    memory_.data[statuses_at_ + slot.index] = std::byte{block_status::kNotWritten};
    slot.bounce = false;
    slot.mappings = 0;
    switch (slot.operation) {
    case BlockOperation::in:
    case BlockOperation::out: return send_data(slot);
    case BlockOperation::flush: { // BLK-018: no data
        slot.part = 0;
        const std::array first{header_segment(slot)};
        const std::array last{status_segment(slot)};
        return queue_.add(first, last, slot);
    }
    case BlockOperation::get_id: // BLK-021
        slot.part = kBlockIdBytes;
        return send_three(slot, memory_.segment(id_at_, kBlockIdBytes));
    case BlockOperation::discard:
    case BlockOperation::write_zeroes: { // BLK-020, BLK-022, BLK-024: one range per chain
        const std::uint32_t most = slot.operation == BlockOperation::discard ? limits_.discard_sectors : limits_.write_zeroes_sectors;
        // A whole number of blocks, unless the limit is below one.
        const std::uint32_t unit = limits_.block_size / kSectorSize;
        const std::uint32_t whole = most >= unit ? most - most % unit : most;
        slot.part = slot.left < whole ? static_cast<std::uint32_t>(slot.left) : whole;
        const BlockRange range{Le64{slot.sector}, Le32{slot.part}, Le32{slot.flags}};
        const BlockHeader no_sector{Le32{static_cast<std::uint32_t>(slot.operation)}, Le32{}, Le64{}};
        copy_bytes(own, &no_sector, sizeof no_sector);
        copy_bytes(own + sizeof(BlockHeader), &range, sizeof range);
        return send_three(slot, memory_.segment(kHeaderStride * slot.index + sizeof(BlockHeader), sizeof(BlockRange)));
    }
    }
    return fail(Error::invalid_argument);
}

Result<> BlockDevice::send_three(Slot& slot, const Segment& data) noexcept {
    const bool device_writes = slot.operation == BlockOperation::in || slot.operation == BlockOperation::get_id;
    queue_.counters().bytes += data.length;
    if (slot.index < preset_count_) [[likely]]
        return queue_.add_preset(slot.index, data, device_writes, slot);
    const std::array parts{header_segment(slot), data, status_segment(slot)};
    const std::size_t readable = device_writes ? 1 : 2;
    return queue_.add(std::span(parts).first(readable), std::span(parts).subspan(readable), slot);
}

std::span<std::byte> BlockDevice::piece_at(const Slot& slot, std::size_t index) noexcept {
    if (slot.pieces == nullptr) return slot.single;
    if (slot.operation == BlockOperation::in) return static_cast<const std::span<std::byte>*>(slot.pieces)[index];
    const std::span<const std::byte> piece = static_cast<const std::span<const std::byte>*>(slot.pieces)[index];
    return {const_cast<std::byte*>(piece.data()), piece.size()};
}

Result<> BlockDevice::send_data(Slot& slot) noexcept {
    const bool device_writes = slot.operation == BlockOperation::in;
    const DmaDirection direction = device_writes ? DmaDirection::from_device : DmaDirection::to_device;

    // The common case: all that is left is one segment.
    const std::span<std::byte> front = piece_at(slot, slot.piece).subspan(slot.offset);
    if (direct_ && front.size() >= slot.left && slot.left <= limits_.segment_bytes) [[likely]] {
        const Result<DmaMapping> mapping = domain_->map(front.data(), static_cast<std::size_t>(slot.left), direction);
        if (!mapping) return fail(mapping.error());
        slot.part = static_cast<std::uint32_t>(slot.left);
        return send_three(slot, {mapping->address, slot.part});
    }

    // How many data segments this chain may have. Without free descriptors a preset slot still has its own three; otherwise those
    // that this request's last chain gave back are free now, so that a resumed request always finds room.
    std::size_t limit = limits_.segments;
    const std::size_t room = queue_.room();
    const std::size_t entries = queue_.indirect_entries();
    const std::size_t chain = entries >= 3 ? (room == 0 ? 0 : entries - 2) : (room < 3 ? 0 : room - 2);
    if (limit > chain) limit = chain;
    if (limit == 0) {
        if (slot.index >= preset_count_) return fail(Error::ring_full);
        limit = 1;
    }

    std::array<Segment, kMostSegments + 2> parts;
    std::size_t count = 0;
    std::uint64_t bytes = 0;
    const std::uint64_t wanted = slot.left < kMostBytes ? slot.left : kMostBytes;
    std::size_t piece = slot.piece;
    std::size_t offset = slot.offset;
    while (count < limit && bytes < wanted) {
        const std::span<std::byte> run = piece_at(slot, piece).subspan(offset);
        std::uint64_t length = run.size();
        if (length > wanted - bytes) length = wanted - bytes;
        if (length > limits_.segment_bytes) length = limits_.segment_bytes;
        const Result<DmaMapping> mapping = lend(slot, run.data(), static_cast<std::size_t>(length), direction);
        if (!mapping) {
            unmap(slot);
            return fail(mapping.error());
        }
        parts[++count] = {mapping->address, mapping->length};
        bytes += mapping->length;
        offset += mapping->length;
        if (mapping->length == run.size()) {
            ++piece;
            offset = 0;
        }
    }
    // Whole blocks only: what is too much goes back and comes with the next chain.
    for (std::uint64_t excess = bytes % limits_.block_size; excess != 0;) {
        Segment& last = parts[count];
        DmaMapping back{};
        if (!direct_) {
            back = mappings_[slot.index * kMostSegments + --slot.mappings];
            domain_->unmap(back, direction);
        }
        const std::uint32_t cut = last.length <= excess ? last.length : static_cast<std::uint32_t>(excess);
        excess -= cut;
        bytes -= cut;
        last.length -= cut;
        if (last.length == 0) {
            --count;
        } else if (!direct_) {
            const Result<DmaMapping> again = lend(slot, back.data, last.length, direction);
            if (!again || again->length != last.length) {
                unmap(slot);
                return fail(Error::dma_map_failed);
            }
            last.address = again->address;
        }
    }
    if (bytes == 0) return send_bounce(slot);
    slot.part = static_cast<std::uint32_t>(bytes);
    return send_parts(slot, parts, count);
}

Result<DmaMapping> BlockDevice::lend(Slot& slot, std::byte* data, std::size_t bytes, DmaDirection direction) noexcept {
    const Result<DmaMapping> mapping = domain_->map(data, bytes, direction);
    if (!mapping) return mapping;
    if (mapping->length == 0 || mapping->length > bytes) { // the platform's mistake must not become the disk's
        domain_->unmap(*mapping, direction);
        return fail(Error::dma_map_failed);
    }
    if (!direct_) mappings_[slot.index * kMostSegments + slot.mappings++] = *mapping;
    return mapping;
}

Result<> BlockDevice::send_parts(Slot& slot, std::span<Segment> parts, std::size_t count) noexcept {
    Result<> added;
    if (count == 1) {
        added = send_three(slot, parts[1]);
    } else {
        for (std::size_t i = 1; i <= count; ++i) queue_.counters().bytes += parts[i].length;
        parts[0] = header_segment(slot);
        parts[count + 1] = status_segment(slot);
        const std::size_t readable = slot.operation == BlockOperation::in ? 1 : count + 1;
        added = queue_.add(parts.first(readable), parts.subspan(readable, count + 2 - readable), slot);
    }
    if (!added) unmap(slot);
    return added;
}

Result<> BlockDevice::send_bounce(Slot& slot) noexcept {
    // One block lies in more pieces than a chain may have.
    unmap(slot);
    const std::size_t at = bounce_at_ + std::size_t{limits_.block_size} * slot.index;
    if (slot.operation == BlockOperation::out)
        each_run(slot, limits_.block_size, [&, to = memory_.data + at](std::span<std::byte> run) mutable noexcept {
            copy_bytes(to, run.data(), run.size());
            to += run.size();
        });
    std::array<Segment, kMostSegments + 2> parts;
    std::size_t count = 0;
    for (std::uint32_t done = 0; done < limits_.block_size;) {
        const std::uint32_t left = limits_.block_size - done;
        const std::uint32_t length = left < limits_.segment_bytes ? left : limits_.segment_bytes;
        parts[++count] = memory_.segment(at + done, length);
        done += length;
    }
    slot.bounce = true;
    slot.part = limits_.block_size;
    ++counters_.bounced;
    return send_parts(slot, parts, count);
}

/// Calls use(run) for the caller's memory that the chain in flight stands for.
template<class Use> void BlockDevice::each_run(Slot& slot, std::uint64_t bytes, Use use) noexcept {
    std::size_t piece = slot.piece;
    std::size_t offset = slot.offset;
    while (bytes != 0) {
        std::span<std::byte> run = piece_at(slot, piece).subspan(offset);
        if (run.size() > bytes) run = run.first(static_cast<std::size_t>(bytes));
        use(run);
        bytes -= run.size();
        ++piece;
        offset = 0;
    }
}

void BlockDevice::unmap(Slot& slot) noexcept {
    const DmaDirection direction = slot.operation == BlockOperation::in ? DmaDirection::from_device : DmaDirection::to_device;
    while (slot.mappings != 0) domain_->unmap(mappings_[slot.index * kMostSegments + --slot.mappings], direction);
}

// --- completion ---

void BlockDevice::chain_done(Request& request) noexcept {
    Slot& slot = static_cast<Slot&>(request);
    BlockDevice& device = *slot.device;
    if (slot.mappings != 0) device.unmap(slot);
    if (slot.error != Error::none) return device.finish(slot, slot.error); // a reset, not an answer
    // The status byte decides; the used length says nothing (trap 11, B5). BLK-044
    switch (load_once(reinterpret_cast<const std::uint8_t&>(device.memory_.data[device.statuses_at_ + slot.index]))) {
    case block_status::kOk:
        [[likely]] if (slot.part == slot.left && !slot.bounce && slot.operation <= BlockOperation::out) {
            slot.owner->bytes += slot.part;
            return device.finish(slot, Error::none);
        }
        return device.advance(slot);
    case block_status::kIoErr: return device.finish(slot, Error::io_error);
    case block_status::kUnsupported: return device.finish(slot, Error::unsupported_request);
    default: return device.finish(slot, Error::bad_response);
    }
}

void BlockDevice::advance(Slot& slot) noexcept {
    if (slot.bounce && slot.operation == BlockOperation::in)
        each_run(
            slot, slot.part,
            [from = memory_.data + bounce_at_ + std::size_t{limits_.block_size} * slot.index](std::span<std::byte> run) mutable noexcept {
                copy_bytes(run.data(), from, run.size());
                from += run.size();
            });
    slot.owner->bytes += slot.part;
    if (slot.part == slot.left) [[likely]] {
        if (slot.operation == BlockOperation::get_id) copy_bytes(id_.data(), memory_.data + id_at_, kBlockIdBytes);
        return finish(slot, Error::none);
    }
    // More than the device takes at once: the same request goes on where this chain ended.
    slot.left -= slot.part;
    if (slot.operation == BlockOperation::in || slot.operation == BlockOperation::out) {
        slot.sector += slot.part / kSectorSize;
        for (std::size_t bytes = slot.part; bytes != 0;) {
            const std::size_t run = piece_at(slot, slot.piece).size() - slot.offset;
            if (bytes < run) {
                slot.offset += bytes;
                break;
            }
            bytes -= run;
            ++slot.piece;
            slot.offset = 0;
        }
    } else {
        slot.sector += slot.part;
    }
    ++counters_.resumed;
    // The disk may have shrunk meanwhile. BLK-015
    const bool data = slot.operation == BlockOperation::in || slot.operation == BlockOperation::out;
    const std::uint64_t sectors = data ? slot.left / kSectorSize : slot.left;
    if (slot.sector > capacity_ || sectors > capacity_ - slot.sector) return finish(slot, Error::out_of_range);
    if (!ready_) return finish(slot, stopped_by_);
    if (const Result<> sent = send(slot); !sent) return finish(slot, sent.error());
    resumed_ = true; // poll() kicks once for all of them
}

void BlockDevice::finish(Slot& slot, Error error) noexcept {
    BlockRequest& request = *slot.owner;
    if (error != Error::none) [[unlikely]] {
        ++counters_.failed;
        ++queue_.counters().errors;
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
