// Inside kernel/memory only: what pages.cpp, address_space.cpp and heap.cpp share while memory is being set up.
#pragma once

#include "kernel/boot_info.hpp"
#include "kernel/memory/page_allocator.hpp"
#include "kernel/processor/spin_lock.hpp"
#include "libvirtio/base.hpp"

namespace kernel::memory {

/// To be used with page_lock() held.
[[nodiscard]] PageAllocator& page_allocator() noexcept;
[[nodiscard]] SpinLock& page_lock() noexcept;

/// What of a region may be used: whole pages, as far as the processor reaches and the budget goes; empty (0, 0) if nothing is.
struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};
[[nodiscard]] Range usable_range(const MemoryRegion& region) noexcept;

/// Pages that the allocator manages, free or not.
[[nodiscard]] std::size_t managed_pages() noexcept;

/// Builds the final page tables from the boot information and loads them. The page allocator is ready; only pages below 4 GiB can be written before.
[[nodiscard]] virtio::Result<> start_address_space();

} // namespace kernel::memory
