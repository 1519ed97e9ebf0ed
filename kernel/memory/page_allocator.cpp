#include "kernel/memory/page_allocator.hpp"

#include <algorithm>
#include <bit>
#include <memory>

namespace kernel {
namespace {

constexpr std::uint64_t kAll = ~std::uint64_t{0};

/// Bits first..first+count of a word.
constexpr std::uint64_t word_mask(std::size_t first, std::size_t count) noexcept {
    return (count == 64 ? kAll : (std::uint64_t{1} << count) - 1) << first;
}

} // namespace

void PageAllocator::start(std::size_t page_limit, std::span<std::byte> metadata) noexcept {
    limit_ = page_limit;
    chunk_count_ = chunks_for(page_limit);
    free_ = 0;
    bits_ = reinterpret_cast<std::uint64_t*>(metadata.data());
    chunks_ = reinterpret_cast<Chunk*>(metadata.data() + chunk_count_ * (kChunkPages / 8));
    for (std::size_t i = 0; i < chunk_count_; ++i) chunks_[i] = {};
}

void PageAllocator::materialise(std::size_t index) noexcept {
    Chunk& chunk = chunks_[index];
    if (chunk.bits_valid != 0) return;
    std::fill_n(bits(index), kWords, chunk.free != 0 ? kAll : 0);
    chunk.top_word = kWords - 1;
    chunk.bits_valid = 1;
}

std::uint64_t PageAllocator::word(std::size_t index, std::size_t word_index) const noexcept {
    const Chunk& chunk = chunks_[index];
    if (chunk.bits_valid == 0) return chunk.free != 0 ? kAll : 0;
    return bits(index)[word_index];
}

void PageAllocator::mark_in_chunk(std::size_t index, std::size_t first, std::size_t count, Mark mark) noexcept {
    Chunk& chunk = chunks_[index];
    if (mark == Mark::taken)
        for (std::size_t block = first / kBlockPages; block <= (first + count - 1) / kBlockPages; ++block)
            chunk.reported &= ~(std::uint64_t{1} << block);
    if (count == kChunkPages) {
        // The whole chunk: its bits need not be written.
        const std::uint32_t now = mark == Mark::free ? static_cast<std::uint32_t>(kChunkPages) : 0;
        free_ = free_ - chunk.free + now;
        chunk.free = now;
        chunk.bits_valid = 0;
        return;
    }
    materialise(index);
    std::uint64_t* const words = bits(index);
    const std::uint64_t target = mark == Mark::free ? kAll : 0;
    std::uint32_t changed = 0;
    const auto set = [&](std::size_t at, std::uint64_t mask) {
        const std::uint64_t flip = (words[at] ^ target) & mask;
        changed += static_cast<std::uint32_t>(std::popcount(flip));
        words[at] ^= flip;
    };
    const std::size_t end = first + count, first_word = first / kWordBits, last_word = (end - 1) / kWordBits;
    const std::uint64_t head = kAll << first % kWordBits, tail = kAll >> (kWordBits - 1 - (end - 1) % kWordBits);
    if (first_word == last_word) {
        set(first_word, head & tail);
    } else {
        set(first_word, head);
        // Nearly all words of a large range change as a whole: their bits need no counting.
        for (std::size_t at = first_word + 1; at < last_word; ++at) {
            if (words[at] == ~target) {
                words[at] = target;
                changed += kWordBits;
            } else if (words[at] != target) {
                set(at, kAll);
            }
        }
        set(last_word, tail);
    }
    if (mark == Mark::free) {
        chunk.free += changed;
        free_ += changed;
        chunk.top_word = std::max(chunk.top_word, static_cast<std::uint16_t>((end - 1) / kWordBits));
    } else {
        chunk.free -= changed;
        free_ -= changed;
        while (chunk.top_word > 0 && words[chunk.top_word] == 0) --chunk.top_word;
    }
}

void PageAllocator::mark(std::size_t first, std::size_t count, Mark mark) noexcept {
    if (first >= limit_) return;
    const std::size_t end = first + std::min(count, limit_ - first);
    while (first < end) {
        const std::size_t index = first / kChunkPages, offset = first % kChunkPages, length = std::min(kChunkPages - offset, end - first);
        mark_in_chunk(index, offset, length, mark);
        first += length;
    }
}

bool PageAllocator::all_are(std::size_t first, std::size_t count, Mark mark) const noexcept {
    const std::size_t end = first + count;
    for (std::size_t at = first; at < end;) {
        const std::size_t index = at / kChunkPages, bit = at % kWordBits, length = std::min(kWordBits - bit, end - at);
        const std::uint64_t mask = word_mask(bit, length), value = word(index, at % kChunkPages / kWordBits);
        if (((mark == Mark::free ? value : ~value) & mask) != mask) return false;
        at += length;
    }
    return true;
}

virtio::Result<std::size_t> PageAllocator::allocate(std::size_t count, std::size_t alignment, std::size_t limit) noexcept {
    if (count == 0 || !std::has_single_bit(alignment)) return virtio::fail(virtio::Error::invalid_argument);
    limit = std::min(limit, limit_);
    // The free run that is being looked at, from the top down: pages `low`..`end`; end 0 means that there is none.
    std::size_t end = 0, low = 0;
    const auto fits = [&]() -> bool {
        const std::size_t usable_end = std::min(end, limit);
        return usable_end >= count && ((usable_end - count) & ~(alignment - 1)) >= low;
    };
    const auto claim = [&] {
        const std::size_t first = (std::min(end, limit) - count) & ~(alignment - 1);
        mark(first, count, Mark::taken);
        return first;
    };
    if (free_ < count) return virtio::fail(virtio::Error::out_of_memory);
    for (std::size_t index = std::min(chunk_count_, chunks_for(limit)); index-- > 0;) {
        const Chunk& chunk = chunks_[index];
        const std::size_t base = index * kChunkPages;
        if (chunk.free == 0) {
            end = 0;
            continue;
        }
        if (chunk.bits_valid == 0) {
            if (end == 0) end = base + kChunkPages;
            low = base;
            if (fits()) return claim();
            continue;
        }
        const std::uint64_t* const words = bits(index);
        if (chunk.top_word != kWords - 1) end = 0;
        for (std::size_t i = chunk.top_word + std::size_t{1}; i-- > 0;) {
            const std::uint64_t value = words[i];
            const std::size_t word_base = base + i * kWordBits;
            if (value == kAll) {
                if (end == 0) end = word_base + kWordBits;
                low = word_base;
                if (fits()) return claim();
                continue;
            }
            // Each group of free bits in this word, from the top; `above` is the first bit already seen.
            for (std::size_t above = kWordBits; above > 0;) {
                const std::uint64_t rest = value & word_mask(0, above);
                if (rest == 0) {
                    end = 0;
                    break;
                }
                const auto top = static_cast<std::size_t>(63 - std::countl_zero(rest));
                if (top + 1 != above) end = 0;
                if (end == 0) end = word_base + top + 1;
                const std::uint64_t taken = ~value & word_mask(0, top + 1);
                const std::size_t group = taken == 0 ? 0 : static_cast<std::size_t>(64 - std::countl_zero(taken));
                low = word_base + group;
                if (fits()) return claim();
                if (group != 0) end = 0;
                above = group;
            }
        }
    }
    return virtio::fail(virtio::Error::out_of_memory);
}

virtio::Result<std::size_t> PageAllocator::allocate_low(std::size_t count, std::size_t from) noexcept {
    if (count == 0) return virtio::fail(virtio::Error::invalid_argument);
    std::size_t run = 0;
    for (std::size_t at = from; at < limit_;) {
        const std::size_t index = at / kChunkPages;
        if (chunks_[index].free == 0 && at % kChunkPages == 0) {
            run = 0;
            at += kChunkPages;
            continue;
        }
        const std::size_t bit = at % kWordBits;
        const std::uint64_t value = word(index, at % kChunkPages / kWordBits) >> bit;
        const std::size_t left = kWordBits - bit;
        if ((value & 1) == 0) {
            run = 0;
            at += std::min<std::size_t>(left, static_cast<std::size_t>(std::countr_zero(value)));
            continue;
        }
        const std::size_t ones = std::min<std::size_t>(left, static_cast<std::size_t>(std::countr_one(value)));
        run += ones;
        at += ones;
        if (run >= count) {
            const std::size_t first = at - run;
            mark(first, count, Mark::taken);
            return first;
        }
    }
    return virtio::fail(virtio::Error::out_of_memory);
}

virtio::Result<> PageAllocator::allocate_at(std::size_t first, std::size_t count) noexcept {
    if (count == 0 || first >= limit_ || count > limit_ - first) return virtio::fail(virtio::Error::invalid_argument);
    if (!all_are(first, count, Mark::free)) return virtio::fail(virtio::Error::busy);
    mark(first, count, Mark::taken);
    return {};
}

virtio::Result<> PageAllocator::free(std::size_t first, std::size_t count) noexcept {
    if (count == 0 || first >= limit_ || count > limit_ - first) return virtio::fail(virtio::Error::invalid_argument);
    if (!all_are(first, count, Mark::taken)) return virtio::fail(virtio::Error::invalid_argument);
    mark(first, count, Mark::free);
    return {};
}

virtio::Result<PageAllocator::Run> PageAllocator::isolate(std::size_t maximum) noexcept {
    const std::size_t blocks = std::min(maximum, kChunkPages) / kBlockPages;
    if (blocks == 0) return virtio::fail(virtio::Error::invalid_argument);
    for (std::size_t index = chunk_count_; index-- > 0;) {
        const Chunk& chunk = chunks_[index];
        if (chunk.free < kBlockPages || chunk.reported == kAll) continue;
        std::size_t run = 0, block = 0;
        for (; block < kChunkPages / kBlockPages && run < blocks; ++block) {
            const bool reported = (chunk.reported >> block & 1) != 0;
            if (!reported && all_are(index * kChunkPages + block * kBlockPages, kBlockPages, Mark::free))
                ++run;
            else if (run != 0)
                break;
        }
        if (run == 0) continue;
        const Run found{index * kChunkPages + (block - run) * kBlockPages, run * kBlockPages};
        mark(found.first, found.count, Mark::taken);
        return found;
    }
    return virtio::fail(virtio::Error::not_found);
}

void PageAllocator::return_isolated(Run run, bool reported) noexcept {
    mark(run.first, run.count, Mark::free);
    if (!reported) return;
    for (std::size_t page = run.first; page < run.first + run.count; page += kBlockPages)
        chunks_[page / kChunkPages].reported |= std::uint64_t{1} << (page % kChunkPages / kBlockPages);
}

bool PageAllocator::is_free(std::size_t page) const noexcept { return page < limit_ && all_are(page, 1, Mark::free); }

std::size_t PageAllocator::largest_run() const noexcept {
    std::size_t largest = 0, run = 0;
    for (std::size_t index = 0; index < chunk_count_; ++index) {
        const Chunk& chunk = chunks_[index];
        if (chunk.bits_valid == 0) {
            run = chunk.free != 0 ? run + kChunkPages : 0;
            largest = std::max(largest, run);
            continue;
        }
        for (std::size_t i = 0; i < kWords; ++i) {
            std::uint64_t value = bits(index)[i];
            if (value == kAll || value == 0) { // most words
                run = value == 0 ? 0 : run + kWordBits;
                largest = std::max(largest, run);
                continue;
            }
            for (std::size_t left = kWordBits; left > 0;) {
                const std::size_t zeros = std::min<std::size_t>(left, static_cast<std::size_t>(std::countr_zero(value)));
                if (zeros != 0) run = 0;
                left -= zeros;
                if (left == 0) break;
                value >>= zeros;
                const std::size_t ones = std::min<std::size_t>(left, static_cast<std::size_t>(std::countr_one(value)));
                run += ones;
                largest = std::max(largest, run);
                left -= ones;
                value = ones == 64 ? 0 : value >> ones;
            }
        }
    }
    return largest;
}

} // namespace kernel
