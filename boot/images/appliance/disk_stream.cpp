#include "boot/images/appliance/disk_stream.hpp"

#include <algorithm>
#include <new>

#include "kernel/task/task.hpp"

namespace appliance {

using virtio::Error;

DiskStream::DiskStream(ringside::Disk& disk, std::uint64_t offset, std::uint64_t length, unsigned depth) noexcept
    : disk_(disk), offset_(offset), length_(length), aligned_(offset / kAlignment * kAlignment), depth_(std::clamp(depth, 1u, kMostDepth)) {
}

DiskStream::~DiskStream() {
    stop_ = true;
    for (Slot& slot : slots_) slot.emptied.wake_all();
    while (readers_ > 0) (void)changed_.wait();
    ::operator delete(memory_, std::align_val_t(kAlignment));
}

virtio::Result<> DiskStream::start() {
    if (offset_ > disk_.bytes() || length_ > disk_.bytes() - offset_) return virtio::fail(Error::out_of_range);
    if (length_ == 0) return {};
    pieces_ = (offset_ + length_ - aligned_ + kPieceBytes - 1) / kPieceBytes;
    depth_ = static_cast<unsigned>(std::min<std::uint64_t>(depth_, pieces_));
    memory_ = static_cast<std::byte*>(::operator new(depth_ * kPieceBytes, std::align_val_t(kAlignment), std::nothrow));
    if (memory_ == nullptr) return virtio::fail(Error::out_of_memory);
    for (unsigned i = 0; i < depth_; ++i) slots_[i].buffer = memory_ + i * kPieceBytes;
    if (pieces_ == 1) { // nothing to work ahead on
        const Piece only = piece(0);
        if (auto read = disk_.read(only.begin / ringside::kSectorBytes, {memory_, static_cast<std::size_t>(only.end - only.begin)}); !read)
            slots_[0].error = read.error();
        slots_[0].full = true;
        return {};
    }
    for (unsigned i = 0; i < depth_; ++i) {
        if (auto started = ringside::spawn("disk reader", [this, i] { read_pieces(i); }); !started) return started;
        ++readers_;
    }
    return {};
}

/// The reader of every depth-th piece from the first one given on.
void DiskStream::read_pieces(unsigned first) {
    Slot& slot = slots_[first];
    for (std::uint64_t number = first; number < pieces_ && !stop_; number += depth_) {
        const Piece part = piece(number);
        const auto read = disk_.read(part.begin / ringside::kSectorBytes, {slot.buffer, static_cast<std::size_t>(part.end - part.begin)});
        slot.error = read ? Error::none : read.error();
        slot.full = true;
        changed_.wake_all();
        while (slot.full && !stop_) (void)slot.emptied.wait();
    }
    --readers_;
    changed_.wake_all();
}

DiskStream::Piece DiskStream::piece(std::uint64_t number) const noexcept {
    const std::uint64_t begin = aligned_ + number * kPieceBytes;
    const std::uint64_t wanted = virtio::align_up(offset_ + length_, kAlignment);
    // A disk of odd size ends within an aligned block; its own blocks are smaller then.
    return {begin, std::min({begin + kPieceBytes, wanted, disk_.bytes()})};
}

virtio::Result<std::span<const std::byte>> DiskStream::next() {
    if (next_ > 0) {
        Slot& before = slots_[(next_ - 1) % depth_];
        before.full = false;
        before.emptied.wake_all();
        // A caller that computes much and never waits would keep its own readers, and everybody else, from running.
        kernel::yield();
    }
    if (next_ == pieces_) return std::span<const std::byte>();
    Slot& slot = slots_[next_ % depth_];
    while (!slot.full) (void)changed_.wait();
    if (slot.error != Error::none) return virtio::fail(slot.error);
    const Piece part = piece(next_++);
    const std::uint64_t begin = std::max(part.begin, offset_), end = std::min(part.end, offset_ + length_);
    return std::span<const std::byte>(slot.buffer + (begin - part.begin), static_cast<std::size_t>(end - begin));
}

} // namespace appliance
