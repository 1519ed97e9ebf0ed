#include "kernel/memory/address_space.hpp"

#include <algorithm>
#include <array>

#include <machine/page_tables.hpp>

#include "arch/exception.hpp"
#include "arch/kernel_hooks.hpp"
#include "kernel/boot_info.hpp"
#include "kernel/memory/device_window.hpp"
#include "kernel/memory/memory_setup.hpp"
#include "kernel/memory/pages.hpp"
#include "kernel/uart/uart.hpp"

namespace kernel {
namespace {

using arch::Access;
using arch::Cache;

arch::PageTables tables;
SpinLock tables_lock; // changes of the tables and of the guards' names; readers look without it
// Until the final tables are loaded only memory below this can be written.
std::size_t table_limit = arch::kEarlyMappedEnd / kPageSize;
bool active = false;

struct GuardName {
    const void* page = nullptr;
    const char* name = nullptr;
};
// Enough for the stacks of many tasks; a guard that finds no room is reported without a name.
std::array<GuardName, 256> guard_names;
std::size_t guard_names_used = 0; ///< entries behind it were never filled

std::uint64_t* allocate_table() {
    const SpinGuard held(memory::page_lock());
    const auto page = memory::page_allocator().allocate(1, 1, table_limit);
    return page ? reinterpret_cast<std::uint64_t*>(static_cast<std::uintptr_t>(*page * kPageSize)) : nullptr;
}

std::uint64_t number(const void* address) noexcept { return reinterpret_cast<std::uintptr_t>(address); }
constexpr std::uint64_t page_down(std::uint64_t address) noexcept { return address & ~std::uint64_t{kPageSize - 1}; }
constexpr std::uint64_t page_up(std::uint64_t address) noexcept { return page_down(address + kPageSize - 1); }

constexpr Access access_of(Protection protection) noexcept {
    switch (protection) {
    case Protection::none: return Access::none;
    case Protection::read: return Access::read;
    case Protection::read_write: return Access::read_write;
    case Protection::read_execute: return Access::read_execute;
    }
    return Access::none;
}

bool overlaps_usable(std::uint64_t begin, std::uint64_t end) noexcept {
    return std::ranges::any_of(memory_map(), [=](const MemoryRegion& region) {
        return region.kind == MemoryKind::usable && region.base < end && begin < region.base + region.size;
    });
}

[[nodiscard]] bool map_usable_memory() noexcept {
    const std::uint64_t image_begin = number(ringside_image_start), image_end = page_up(number(ringside_image_end));
    const auto map = [](std::uint64_t begin, std::uint64_t end) {
        return begin >= end || tables.map(begin, begin, end - begin, Access::read_write, Cache::normal);
    };
    for (const MemoryRegion& region : memory_map()) {
        const auto [begin, end] = memory::usable_range(region);
        // Around the image, whose sections have rights of their own.
        if (!map(begin, std::min(end, image_begin)) || !map(std::max(begin, image_end), end)) return false;
    }
    return true;
}

[[nodiscard]] bool map_image() noexcept {
    const auto section = [](const void* begin, const void* end, Access access) {
        return tables.map(number(begin), number(begin), page_up(number(end)) - number(begin), access, Cache::normal);
    };
    return section(ringside_text_start, ringside_text_end, Access::read_execute) &&
           section(ringside_rodata_start, ringside_rodata_end, Access::read) &&
           section(ringside_data_start, ringside_image_end, Access::read_write);
}

/// A panic must be heard from the first moment on.
[[nodiscard]] bool map_uart() noexcept {
    const arch::Registers uart = uart_registers();
    const std::uint64_t begin = page_down(uart.base);
    return uart.size == 0 || tables.map(begin, begin, page_up(uart.base + uart.size) - begin, Access::read_write, Cache::device);
}

/// Where device registers appear: at their own address, or, where addresses do not reach that far, in the window kept for them.
std::uint64_t place_device(std::uint64_t begin, std::uint64_t size) noexcept {
    if constexpr (arch::kDeviceWindowEnd != 0) {
        static constinit DeviceWindow window(arch::kDeviceWindow, arch::kDeviceWindowEnd, arch::kHighestUsable);
        return window.place(begin, size);
    }
    return begin;
}

} // namespace

virtio::Result<> memory::start_address_space() {
    if (!tables.start(allocate_table, arch::largest_page()) || !map_image() || !map_usable_memory() || !map_uart())
        return virtio::fail(virtio::Error::out_of_memory);
    arch::use_page_tables(tables);
    table_limit = PageAllocator::kNoLimit;
    active = true;

    const auto guard = [](const void* page, const char* owner) -> virtio::Result<> {
        name_guard_page(page, owner);
        return protect(const_cast<void*>(page), 1, Protection::none);
    };
    if (auto ok = guard(ringside_boot_stack_guard, "the boot stack"); !ok) return ok;
    for (const arch::GuardPage& stack : arch::exception_stack_guards())
        if (auto ok = guard(stack.page, stack.owner); !ok) return ok;
    return {};
}

virtio::Result<> protect(void* first, std::size_t pages, Protection protection) {
    const std::uint64_t begin = number(first), size = std::uint64_t{pages} * kPageSize;
    if (begin % kPageSize != 0 || pages == 0) return virtio::fail(virtio::Error::invalid_argument);
    const SpinGuard held(tables_lock);
    if (tables.look_up(begin).page_size == 0) return virtio::fail(virtio::Error::invalid_argument);
    if (!tables.protect(begin, size, access_of(protection))) return virtio::fail(virtio::Error::out_of_memory);
    arch::invalidate(begin, begin + size);
    return {};
}

virtio::Result<volatile void*> map_device(std::uint64_t physical, std::uint64_t size) {
    const std::uint64_t begin = page_down(physical), end = page_up(physical + size);
    if (size == 0 || physical + size < physical || end <= begin || begin == 0) return virtio::fail(virtio::Error::invalid_argument);
    // A device that claims to sit in memory would make memory uncached, or worse.
    if (overlaps_usable(begin, end)) return virtio::fail(virtio::Error::invalid_argument);
    const SpinGuard held(tables_lock);
    const std::uint64_t place = place_device(begin, end - begin);
    if (place == 0 || !tables.map(place, begin, end - begin, Access::read_write, Cache::device))
        return virtio::fail(virtio::Error::out_of_memory);
    arch::invalidate(place, place + (end - begin));
    return reinterpret_cast<volatile void*>(static_cast<std::uintptr_t>(place + (physical - begin)));
}

virtio::Result<const void*> map_firmware(std::uint64_t physical, std::uint64_t size) {
    const std::uint64_t end = page_up(physical + size);
    if (size == 0 || physical + size < physical || end < physical || end > arch::kHighestUsable || physical < kPageSize)
        return virtio::fail(virtio::Error::invalid_argument);
    const SpinGuard held(tables_lock);
    for (std::uint64_t page = page_down(physical); page < end; page += kPageSize) {
        if (tables.look_up(page).present) continue;
        if (!tables.map(page, page, kPageSize, Access::read, Cache::normal)) return virtio::fail(virtio::Error::out_of_memory);
        arch::invalidate(page, page + kPageSize);
    }
    return reinterpret_cast<const void*>(static_cast<std::uintptr_t>(physical));
}

void name_guard_page(const void* page, const char* name) {
    const SpinGuard held(tables_lock);
    GuardName* room = nullptr;
    for (std::size_t i = 0; i < guard_names_used; ++i) {
        GuardName& guard = guard_names[i];
        if (guard.page == page) {
            guard = name == nullptr ? GuardName{} : GuardName{page, name};
            return;
        }
        if (guard.page == nullptr && room == nullptr) room = &guard;
    }
    if (name == nullptr) return;
    if (room == nullptr && guard_names_used < guard_names.size()) room = &guard_names[guard_names_used++];
    if (room != nullptr) *room = {page, name};
}

const char* guard_page_owner(std::uint64_t address) noexcept {
    for (const GuardName& guard : guard_names)
        if (guard.page != nullptr && number(guard.page) == page_down(address)) return guard.name;
    return nullptr;
}

Protection protection_of(std::uint64_t address) noexcept {
    const arch::Translation translation = tables.look_up(address);
    if (!translation.present) return Protection::none;
    return translation.executable ? Protection::read_execute : translation.writable ? Protection::read_write : Protection::read;
}

bool is_readable(const void* address, std::size_t size) noexcept {
    const std::uint64_t begin = number(address);
    if (size == 0 || begin + size < begin) return false;
    if (!active) return begin + size <= arch::kEarlyMappedEnd;
    for (std::uint64_t page = page_down(begin); page < begin + size; page += kPageSize)
        if (!tables.look_up(page).present) return false;
    return true;
}

} // namespace kernel
