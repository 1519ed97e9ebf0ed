// How a block request becomes descriptor chains within the device's limits: headers, data segments, bounce blocks.
#include "drivers/blk/blk.hpp"
#include "libvirtio/bytes.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {

Segment BlockDevice::header_segment(const Slot& slot) const noexcept {
    return memory_.segment(kHeaderStride * slot.index, sizeof(BlockHeader));
}
Segment BlockDevice::status_segment(const Slot& slot) const noexcept { return memory_.segment(statuses_at_ + slot.index, 1); }

Result<> BlockDevice::send(Slot& slot) noexcept {
    // Never on the caller's stack, and written whole before each chain: the device may have scribbled on it.
    const bool data = slot.operation == BlockOperation::in || slot.operation == BlockOperation::out;
    slot.header->type.store(static_cast<std::uint32_t>(slot.operation));
    slot.header->reserved.store(0);
    slot.header->sector.store(data ? slot.sector : 0);
    *slot.status = block_status::kNotWritten;
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
        copy_bytes(slot.header + 1, &range, sizeof range);
        return send_three(slot, memory_.segment(kHeaderStride * slot.index + sizeof(BlockHeader), sizeof(BlockRange)));
    }
    }
    return fail(Error::invalid_argument);
}

Result<> BlockDevice::send_three(Slot& slot, const Segment& data) noexcept {
    const bool device_writes = slot.operation == BlockOperation::in || slot.operation == BlockOperation::get_id;
    queue_.count_bytes(data.length);
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
        if (!mapping) break; // a bouncing domain is full, or the device cannot reach this memory: send what there is
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
            if (!again || (again->length != last.length && !mutant(392))) {
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
    if ((mapping->length == 0 && !mutant(390)) ||
        (mapping->length > bytes && !mutant(391))) { // the platform's mistake must not become the disk's
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
        for (std::size_t i = 1; i <= count; ++i) queue_.count_bytes(parts[i].length);
        parts[0] = header_segment(slot);
        parts[count + 1] = status_segment(slot);
        const std::size_t readable = slot.operation == BlockOperation::in ? 1 : count + 1;
        added = queue_.add(parts.first(readable), parts.subspan(readable, count + 2 - readable), slot);
    }
    if (!added) unmap(slot);
    return added;
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

void BlockDevice::read_bounce(Slot& slot) noexcept {
    const std::byte* from = memory_.data + bounce_at_ + std::size_t{limits_.block_size} * slot.index;
    each_run(slot, slot.part, [&from](std::span<std::byte> run) noexcept {
        copy_bytes(run.data(), from, run.size());
        from += run.size();
    });
}

void BlockDevice::move_cursor(Slot& slot) noexcept {
    for (std::size_t bytes = slot.part; bytes != 0;) {
        const std::size_t run = piece_at(slot, slot.piece).size() - slot.offset;
        if (bytes < run) {
            slot.offset += bytes;
            return;
        }
        bytes -= run;
        ++slot.piece;
        slot.offset = 0;
    }
}

void BlockDevice::unmap(Slot& slot) noexcept {
    const DmaDirection direction = slot.operation == BlockOperation::in ? DmaDirection::from_device : DmaDirection::to_device;
    while (slot.mappings != 0) domain_->unmap(mappings_[slot.index * kMostSegments + --slot.mappings], direction);
}

} // namespace virtio
