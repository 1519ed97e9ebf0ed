// Inside kernel/memory only: what pages.cpp, address_space.cpp and heap.cpp share while memory is being set up.
#pragma once

#include "kernel/memory/page_allocator.hpp"
#include "kernel/processor/spin_lock.hpp"
#include "libvirtio/base.hpp"

namespace kernel::memory {

/// To be used with page_lock() held.
[[nodiscard]] PageAllocator& page_allocator() noexcept;
[[nodiscard]] SpinLock& page_lock() noexcept;

/// Pages that the allocator manages, free or not.
[[nodiscard]] std::size_t managed_pages() noexcept;

/// Builds the final page tables from the boot information and loads them. The page allocator is ready; only pages below 4 GiB can be written before.
[[nodiscard]] virtio::Result<> start_address_space();

} // namespace kernel::memory
