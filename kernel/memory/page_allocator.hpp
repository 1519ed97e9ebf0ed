// The bookkeeping behind pages.hpp: one bit per page, by chunks of 128 MiB. It never touches the pages themselves (their contents
// may be discarded by the host), and a chunk's bits are written only when the chunk is first broken up, so that starting costs
// nothing per page. Not locked: task context of one processor. Pure bookkeeping, so it runs in host tests as it is.
//
//     PageAllocator pages;
//     pages.start(page_limit, metadata);                 // everything taken
//     pages.give(first, count);                          // free from now on
//     auto run = pages.allocate(16, 1, PageAllocator::kNoLimit);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "libvirtio/base.hpp"

namespace kernel {

class PageAllocator {
public:
    static constexpr std::size_t kChunkPages = 32768;
    static constexpr std::size_t kBlockPages = 512;
    static constexpr std::size_t kNoLimit = ~std::size_t{0};

    /// Bytes of metadata for pages 0..page_limit. Must be 8-byte aligned; contents do not matter.
    [[nodiscard]] static constexpr std::size_t metadata_bytes(std::size_t page_limit) noexcept {
        return chunks_for(page_limit) * (sizeof(Chunk) + kChunkPages / 8);
    }

    void start(std::size_t page_limit, std::span<std::byte> metadata) noexcept;

    // For setting up: idempotent, ranges are clipped to the limit.
    void give(std::size_t first, std::size_t count) noexcept { mark(first, count, Mark::free); }
    void take(std::size_t first, std::size_t count) noexcept { mark(first, count, Mark::taken); }

    /// The highest run of `count` pages below page `limit` whose number is a multiple of `alignment` (a power of two).
    [[nodiscard]] virtio::Result<std::size_t> allocate(std::size_t count, std::size_t alignment, std::size_t limit) noexcept;
    /// The lowest run at or above page `from`.
    [[nodiscard]] virtio::Result<std::size_t> allocate_low(std::size_t count, std::size_t from) noexcept;
    /// busy if any of these pages is taken.
    [[nodiscard]] virtio::Result<> allocate_at(std::size_t first, std::size_t count) noexcept;
    /// invalid_argument if any page is free already or does not exist: nothing is changed then.
    [[nodiscard]] virtio::Result<> free(std::size_t first, std::size_t count) noexcept;

    struct Run {
        std::size_t first;
        std::size_t count;
    };
    /// Takes whole free 2 MiB blocks that were not reported since they were last taken.
    [[nodiscard]] virtio::Result<Run> isolate(std::size_t maximum) noexcept;
    void return_isolated(Run run, bool reported) noexcept;

    [[nodiscard]] std::size_t free_pages() const noexcept { return free_; }
    [[nodiscard]] std::size_t largest_run() const noexcept;
    [[nodiscard]] bool is_free(std::size_t page) const noexcept;

private:
    static constexpr std::size_t kWordBits = 64, kWords = kChunkPages / kWordBits, kBlockWords = kBlockPages / kWordBits;

    struct Chunk {
        std::uint32_t free;      ///< pages
        std::uint16_t top_word;  ///< no free page in a word above this one (if the bits are valid)
        std::uint8_t bits_valid; ///< else all pages are free or all taken, and `free` says which
        std::uint8_t unused;
        std::uint64_t reported; ///< one bit per block
    };
    enum class Mark : std::uint8_t { taken, free };

    static constexpr std::size_t chunks_for(std::size_t page_limit) noexcept { return (page_limit + kChunkPages - 1) / kChunkPages; }
    [[nodiscard]] std::uint64_t* bits(std::size_t chunk) const noexcept { return bits_ + chunk * kWords; }
    void materialise(std::size_t chunk) noexcept;
    void mark(std::size_t first, std::size_t count, Mark mark) noexcept;
    void mark_in_chunk(std::size_t chunk, std::size_t first, std::size_t count, Mark mark) noexcept;
    [[nodiscard]] bool all_are(std::size_t first, std::size_t count, Mark mark) const noexcept;
    [[nodiscard]] std::uint64_t word(std::size_t chunk, std::size_t index) const noexcept;

    Chunk* chunks_ = nullptr;
    std::uint64_t* bits_ = nullptr;
    std::size_t chunk_count_ = 0;
    std::size_t limit_ = 0;
    std::size_t free_ = 0;
};

} // namespace kernel
