// Physical pages: contiguous runs, any power-of-two alignment, coalescing by construction (a bitmap, not lists).
// Virtual and physical addresses are equal for all RAM, so a run's pointer is its bus address as well.
// Task context of any processor (never an interrupt handler). Pages are not zeroed. Running out of memory is an error value; freeing
// what is not allocated is a bug of ours and panics.
//
//     auto stack = kernel::allocate_pages(16);          // 64 KiB, virtio::Error::out_of_memory when there is none
//     kernel::free_pages(*stack, 16);
#pragma once

#include <cstddef>
#include <cstdint>

#include "libvirtio/base.hpp"

namespace kernel {

inline constexpr std::size_t kPageSize = 4096;

/// Sets the allocator up from the boot information and switches to the final page tables. Called once by kernel_main, first of all.
[[nodiscard]] virtio::Result<> start_memory();

/// `count` contiguous pages whose address is a multiple of `alignment` (a power of two, bytes, at least a page). Contents: whatever was there.
[[nodiscard]] virtio::Result<void*> allocate_pages(std::size_t count, std::size_t alignment = kPageSize);
/// Exactly these pages, if all of them are free (the heap grows in place with it).
[[nodiscard]] virtio::Result<> allocate_pages_at(void* first, std::size_t count);
void free_pages(void* first, std::size_t count);

struct PageStatistics {
    std::size_t total = 0;       ///< pages that the allocator manages (usable RAM less kernel image, modules and its own tables)
    std::size_t free = 0;        ///< pages that can be allocated now
    std::size_t largest_run = 0; ///< longest contiguous free run
    std::size_t ballooned = 0;   ///< pages lent to the host by the balloon
};
[[nodiscard]] PageStatistics page_statistics();
/// PageStatistics::free and ::total alone, without a look at every page.
[[nodiscard]] std::size_t free_page_count() noexcept;
[[nodiscard]] std::size_t total_page_count() noexcept;
/// The balloon driver reports what it took (+) or gave back (-), for the statistics only.
void note_ballooned(std::ptrdiff_t pages);

struct PageRun {
    void* first = nullptr;
    std::size_t count = 0;
};

// Free page reporting (VIRTIO 1.4, 5.5.6.7): the host discards pages that are free. A run is isolated (taken out of the free
// pages) while the host works on it and put back afterwards; a block that was not touched since is not offered again.
inline constexpr std::size_t kReportBlockPages = 512;
/// A run of whole free blocks (2 MiB each) never reported since they were last in use, at most `maximum_pages` long; it cannot be allocated until it is returned. not_found: nothing to report.
[[nodiscard]] virtio::Result<PageRun> isolate_unreported_run(std::size_t maximum_pages);
/// Ends the isolation; `reported` says whether the host took the report.
enum class ReportOutcome : std::uint8_t { reported, not_reported };
void return_isolated_run(PageRun run, ReportOutcome outcome);

} // namespace kernel
