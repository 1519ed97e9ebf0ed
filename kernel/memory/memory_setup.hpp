// Inside kernel/memory only: what pages.cpp, address_space.cpp and heap.cpp share while memory is being set up.
#pragma once

#include "kernel/memory/page_allocator.hpp"
#include "libvirtio/base.hpp"

namespace kernel::memory {

[[nodiscard]] PageAllocator& page_allocator() noexcept;

/// Pages that the allocator manages, free or not.
[[nodiscard]] std::size_t managed_pages() noexcept;

/// Builds the final page tables from the boot information and loads them. The page allocator is ready; only pages below 4 GiB can be written before.
[[nodiscard]] virtio::Result<> start_address_space();

} // namespace kernel::memory
