#include "kernel/memory/address_space.hpp"

#include <algorithm>
#include <array>

#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/descriptors.hpp"
#include "arch/x86_64/kernel_hooks.hpp"
#include "arch/x86_64/page_tables.hpp"
#include "kernel/boot_info.hpp"
#include "kernel/memory/memory_setup.hpp"
#include "kernel/memory/pages.hpp"

namespace kernel {
namespace {

using arch::Access;
using arch::Cache;

constexpr std::uint64_t kFourGigabytes = std::uint64_t{4} << 30;
constexpr std::uint64_t kCr4MachineCheck = 1 << 6, kCr4Umip = 1 << 11, kCr4Smep = 1 << 20;

arch::PageTables tables;
// Until the final tables are loaded only the first 4 GiB can be written.
std::size_t table_limit = kFourGigabytes / kPageSize;
bool active = false;

struct GuardName {
    const void* page = nullptr;
    const char* name = nullptr;
};
// Enough for the stacks of many tasks; a guard that finds no room is reported without a name.
std::array<GuardName, 256> guard_names;
std::size_t guard_names_used = 0; ///< entries behind it were never filled

std::uint64_t* allocate_table() {
    const auto page = memory::page_allocator().allocate(1, 1, table_limit);
    return page ? reinterpret_cast<std::uint64_t*>(*page * kPageSize) : nullptr;
}

std::uint64_t number(const void* address) noexcept { return reinterpret_cast<std::uint64_t>(address); }
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

void invalidate(std::uint64_t begin, std::uint64_t end) noexcept {
    constexpr std::uint64_t kFew = 64 * kPageSize;
    if (end - begin > kFew) {
        arch::write_cr3(arch::read_cr3());
        return;
    }
    for (; begin < end; begin += kPageSize) arch::invalidate_page(begin);
}

bool overlaps_usable(std::uint64_t begin, std::uint64_t end) noexcept {
    return std::ranges::any_of(memory_map(), [=](const MemoryRegion& region) {
        return region.kind == MemoryKind::usable && region.base < end && begin < region.base + region.size;
    });
}

[[nodiscard]] bool map_usable_memory() noexcept {
    const std::uint64_t image_begin = number(ringside_image_start), image_end = page_up(number(ringside_image_end));
    const auto map = [](std::uint64_t begin, std::uint64_t end) {
        return begin >= end || tables.map(begin, end - begin, Access::read_write, Cache::normal);
    };
    for (const MemoryRegion& region : memory_map()) {
        if (region.kind != MemoryKind::usable) continue;
        const std::uint64_t begin = std::max(page_up(region.base), std::uint64_t{0x100000}), end = page_down(region.base + region.size);
        // Around the image, whose sections have rights of their own.
        if (!map(begin, std::min(end, image_begin)) || !map(std::max(begin, image_end), end)) return false;
    }
    return true;
}

[[nodiscard]] bool map_image() noexcept {
    const auto section = [](const void* begin, const void* end, Access access) {
        return tables.map(number(begin), page_up(number(end)) - number(begin), access, Cache::normal);
    };
    return section(ringside_text_start, ringside_text_end, Access::read_execute) &&
           section(ringside_rodata_start, ringside_rodata_end, Access::read) &&
           section(ringside_data_start, ringside_image_end, Access::read_write);
}

} // namespace

virtio::Result<> memory::start_address_space() {
    const bool gigabyte = arch::cpuid(0x80000000).eax >= 0x80000001 && (arch::cpuid(0x80000001).edx & arch::kCpuidGigabytePages) != 0;
    using Largest = arch::PageTables::Largest;
    if (!tables.start(allocate_table, gigabyte ? Largest::gigabyte : Largest::two_megabytes) || !map_image() || !map_usable_memory())
        return virtio::fail(virtio::Error::out_of_memory);
    arch::write_cr3(tables.root());
    table_limit = PageAllocator::kNoLimit;
    active = true;

    // The kernel never runs or reads what would be a user's page; instructions that tell about descriptor tables are the kernel's only.
    std::uint64_t cr4 = arch::read_cr4();
    if ((arch::cpuid(1).edx & arch::kCpuidMachineCheck) != 0) cr4 |= kCr4MachineCheck; // else a machine check is a silent reset
    if (arch::cpuid(0).eax >= 7) {
        const arch::Cpuid features = arch::cpuid(7);
        if ((features.ebx & arch::kCpuidSmep) != 0) cr4 |= kCr4Smep;
        if ((features.ecx & arch::kCpuidUmip) != 0) cr4 |= kCr4Umip;
    }
    arch::write_cr4(cr4);

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
    if (tables.look_up(begin).page_size == 0) return virtio::fail(virtio::Error::invalid_argument);
    if (!tables.protect(begin, size, access_of(protection))) return virtio::fail(virtio::Error::out_of_memory);
    invalidate(begin, begin + size);
    return {};
}

virtio::Result<volatile void*> map_device(std::uint64_t physical, std::uint64_t size) {
    const std::uint64_t begin = page_down(physical), end = page_up(physical + size);
    if (size == 0 || physical + size < physical || end <= begin || begin == 0) return virtio::fail(virtio::Error::invalid_argument);
    // A device that claims to sit in memory would make memory uncached, or worse.
    if (overlaps_usable(begin, end)) return virtio::fail(virtio::Error::invalid_argument);
    if (!tables.map(begin, end - begin, Access::read_write, Cache::device)) return virtio::fail(virtio::Error::out_of_memory);
    invalidate(begin, end);
    return reinterpret_cast<volatile void*>(physical);
}

virtio::Result<const void*> map_firmware(std::uint64_t physical, std::uint64_t size) {
    const std::uint64_t end = page_up(physical + size);
    if (size == 0 || physical + size < physical || end < physical || physical < kPageSize)
        return virtio::fail(virtio::Error::invalid_argument);
    for (std::uint64_t page = page_down(physical); page < end; page += kPageSize) {
        if (tables.look_up(page).present) continue;
        if (!tables.map(page, kPageSize, Access::read, Cache::normal)) return virtio::fail(virtio::Error::out_of_memory);
        invalidate(page, page + kPageSize);
    }
    return reinterpret_cast<const void*>(physical);
}

void name_guard_page(const void* page, const char* name) {
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
    if (!active) return begin + size <= kFourGigabytes;
    for (std::uint64_t page = page_down(begin); page < begin + size; page += kPageSize)
        if (!tables.look_up(page).present) return false;
    return true;
}

} // namespace kernel
