// The one address space: identity-mapped RAM (read-write, no-execute), kernel image by section, device registers uncached,
// page 0 and guard pages unmapped. Task context of any processor, after start_memory(). Protection changes take effect at once
// here; another processor that has looked at the page before may go on as before until it looks again.
//
//     kernel::protect(stack, 1, kernel::Protection::none);                     // a guard page
//     auto registers = kernel::map_device(0xfed00000, 0x400);                  // uncached; error if it overlaps RAM
#pragma once

#include <cstddef>
#include <cstdint>

#include "libvirtio/base.hpp"

namespace kernel {

enum class Protection : std::uint8_t { none, read, read_write, read_execute };

/// Changes `pages` pages from `first` (page-aligned) on; large pages are split as needed, which may run out of memory.
[[nodiscard]] virtio::Result<> protect(void* first, std::size_t pages, Protection protection);

/// Maps device registers uncached. The same range may be mapped again. The result is where they appear: at their physical address, unless
/// that lies beyond the processor's addresses.
[[nodiscard]] virtio::Result<volatile void*> map_device(std::uint64_t physical, std::uint64_t size);

/// Maps memory that is not RAM for us (firmware tables, ROM) read-only and cached. Ranges already mapped are left as they are.
[[nodiscard]] virtio::Result<const void*> map_firmware(std::uint64_t physical, std::uint64_t size);

/// Names a guard page so that the page-fault report can say whose stack overflowed; name must outlive the guard. nullptr forgets it.
void name_guard_page(const void* page, const char* name);

/// The name given to the guard page that contains the address, or nullptr.
[[nodiscard]] const char* guard_page_owner(std::uint64_t address) noexcept;

/// What may be done with the address now.
[[nodiscard]] Protection protection_of(std::uint64_t address) noexcept;

/// True if the address can be read without a fault (panic and backtrace use it).
[[nodiscard]] bool is_readable(const void* address, std::size_t size) noexcept;

} // namespace kernel
