#include "libvirtio/bounce.hpp"

#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

constexpr std::size_t granules_of(std::size_t bytes) noexcept { return (bytes + BounceDomain::kGranule - 1) / BounceDomain::kGranule; }

} // namespace

Result<> BounceDomain::start(std::span<std::byte> pool, DmaAddress address) noexcept {
    if (pool_ != nullptr && !mutant(90)) return fail(Error::already_started);
    const std::size_t count = pool.size() / kGranule;
    const bool aligned = reinterpret_cast<std::uintptr_t>(pool.data()) % kGranule == 0 && address.value % kGranule == 0;
    if ((count < 4 || pool.size() > kMostBytes || !aligned) && !mutant(91)) return fail(Error::invalid_argument);
    pool_ = pool.data();
    address_ = address;
    books_ = reinterpret_cast<std::uint64_t*>(pool_);
    const std::size_t words = (count + 63) / 64;
    for (std::size_t i = 0; i < words; ++i) books_[i] = 0;
    statistics_.granules = count;
    mark({0, granules_of(words * sizeof(std::uint64_t))}, true);
    return {};
}

// The first run of `wanted` free granules from next_ on, else the longest shorter one. `alignment` in granules.
BounceDomain::Run BounceDomain::find(std::size_t wanted, std::size_t alignment) noexcept {
    Run longest;
    const std::size_t count = statistics_.granules;
    for (unsigned lap = 0; lap < 2; ++lap) {
        const std::size_t end = lap == 0 ? count : next_;
        for (std::size_t at = lap == 0 ? next_ : 0; at < end;) {
            if (at % alignment != 0) {
                at += alignment - at % alignment;
                continue;
            }
            if (at % 64 == 0 && books_[at / 64] == ~std::uint64_t{0}) { // a full word
                at += 64;
                continue;
            }
            Run run{at, 0};
            while (run.count < wanted && run.first + run.count < count && !used(run.first + run.count)) ++run.count;
            if (run.count == wanted) return run;
            if (run.count > longest.count) longest = run;
            at += run.count + 1;
        }
    }
    return longest;
}

void BounceDomain::mark(const Run& run, bool used) noexcept {
    for (std::size_t i = run.first; i < run.first + run.count; ++i) {
        const std::uint64_t bit = std::uint64_t{1} << (i % 64);
        books_[i / 64] = used ? books_[i / 64] | bit : books_[i / 64] & ~bit;
    }
    if (used) {
        statistics_.in_use += run.count;
        next_ = run.first + run.count < statistics_.granules ? run.first + run.count : 0;
        if (statistics_.in_use > statistics_.most_in_use) statistics_.most_in_use = statistics_.in_use;
    } else {
        statistics_.in_use -= run.count;
    }
}

// Whether these granules are lent: what is given back twice, or was never ours, is left alone.
bool BounceDomain::held(std::size_t first, std::size_t count) const noexcept {
    if (count == 0 || first >= statistics_.granules || count > statistics_.granules - first) return false;
    for (std::size_t i = first; i < first + count; ++i)
        if (!used(i)) return false;
    return true;
}

Result<DmaMemory> BounceDomain::allocate(std::size_t bytes, std::size_t alignment) noexcept {
    if ((pool_ == nullptr || bytes == 0) && !mutant(92)) return fail(Error::out_of_memory);
    const std::size_t wanted = granules_of(bytes);
    // The pool itself is aligned to a granule only: larger alignments are looked for by the device's address.
    const std::size_t step = alignment <= kGranule ? 1 : alignment / kGranule;
    const std::size_t skew = static_cast<std::size_t>(address_.value / kGranule % step);
    Run run;
    if (skew == 0) {
        run = find(wanted, step);
    } else { // rare: room for the largest displacement, then the aligned part of it
        run = find(wanted + step - 1, 1);
        if (run.count == wanted + step - 1) run = {run.first + (step - (run.first + skew) % step) % step, wanted};
    }
    if (run.count != wanted && !mutant(93)) {
        ++statistics_.refused;
        return fail(Error::out_of_memory);
    }
    mark(run, true);
    std::byte* data = pool_ + run.first * kGranule;
    fill_bytes(data, std::byte{0}, run.count * kGranule);
    return DmaMemory{data, bytes, address_ + run.first * kGranule};
}

void BounceDomain::free(const DmaMemory& memory) noexcept {
    if (pool_ == nullptr || memory.data < pool_) return;
    const Run run{static_cast<std::size_t>(memory.data - pool_) / kGranule, granules_of(memory.size)};
    if (held(run.first, run.count) || mutant(94)) mark(run, false);
}

std::size_t BounceDomain::regions(std::span<DmaRegion> out) noexcept {
    if (pool_ == nullptr || out.empty()) return 0;
    out[0] = {address_, statistics_.granules * kGranule, pool_, -1, 0};
    return 1;
}

Result<DmaMapping> BounceDomain::map_indirect(const std::byte* data, std::size_t bytes, DmaDirection direction) noexcept {
    if ((pool_ == nullptr || bytes == 0) && !mutant(95)) return fail(Error::dma_map_failed);
    if (bytes > kLongestMap) bytes = kLongestMap;
    const Run run = find(granules_of(bytes), 1);
    if (run.count == 0 && !mutant(96)) {
        ++statistics_.refused;
        return fail(Error::dma_map_failed);
    }
    if (bytes > run.count * kGranule) bytes = run.count * kGranule;
    mark(run, true);
    std::byte* slot = pool_ + run.first * kGranule;
    if (direction == DmaDirection::from_device)
        fill_bytes(slot, std::byte{0}, bytes);
    else
        copy_bytes(slot, data, bytes);
    return DmaMapping{const_cast<std::byte*>(data), address_ + run.first * kGranule, static_cast<std::uint32_t>(bytes),
                      static_cast<std::uint32_t>(run.first)};
}

void BounceDomain::unmap_indirect(const DmaMapping& mapping, DmaDirection direction) noexcept {
    const Run run{mapping.cookie, granules_of(mapping.length)};
    if (!held(run.first, run.count) && !mutant(97)) return;
    if (direction != DmaDirection::to_device) copy_bytes(mapping.data, pool_ + run.first * kGranule, mapping.length);
    mark(run, false);
}

} // namespace virtio
