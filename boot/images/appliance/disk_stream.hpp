// A part of a disk, read in order with many requests in flight: a few reader tasks work ahead, each on its own piece, while the
// caller uses the one before. One owner; task context.
//
//     DiskStream stream(disk, offset, length, 16);
//     if (auto started = stream.start(); !started) ...
//     for (;;) {
//         auto piece = stream.next();                       // valid until the next call; empty at the end
//         if (!piece || piece->empty()) break;
//     }
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel/app.hpp"
#include "kernel/task/wait_queue.hpp"

namespace appliance {

class DiskStream {
public:
    static constexpr std::size_t kPieceBytes = 64 * 1024;
    static constexpr unsigned kMostDepth = 16;

    /// Offset and length in bytes, any; within the disk.
    DiskStream(ringside::Disk& disk, std::uint64_t offset, std::uint64_t length, unsigned depth) noexcept;
    DiskStream(const DiskStream&) = delete;
    DiskStream& operator=(const DiskStream&) = delete;
    /// Waits for the requests in flight.
    ~DiskStream();

    /// Errors: out_of_range, out_of_memory.
    [[nodiscard]] virtio::Result<> start();
    /// The next bytes, at least one; none at the end. Errors: the disk's.
    [[nodiscard]] virtio::Result<std::span<const std::byte>> next();

private:
    // Requests begin and end at multiples of this: no disk has larger blocks.
    static constexpr std::uint64_t kAlignment = 4096;
    static_assert(kPieceBytes % kAlignment == 0);

    struct Slot {
        std::byte* buffer = nullptr;
        bool full = false;
        virtio::Error error = virtio::Error::none;
        kernel::WaitQueue emptied;
    };
    struct Piece {
        std::uint64_t begin, end;
    };

    void read_pieces(unsigned first);
    [[nodiscard]] Piece piece(std::uint64_t number) const noexcept;

    ringside::Disk& disk_;
    std::uint64_t offset_;
    std::uint64_t length_;
    std::uint64_t aligned_; // where the first piece begins
    std::uint64_t pieces_ = 0;
    std::size_t next_ = 0;
    unsigned depth_;
    unsigned readers_ = 0;
    bool stop_ = false;
    kernel::WaitQueue changed_; // the owner waits here: for a piece, or for the readers' end
    std::array<Slot, kMostDepth> slots_{};
    std::byte* memory_ = nullptr;
};

} // namespace appliance
