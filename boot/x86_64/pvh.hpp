// The PVH start information (Xen's hvm_start_info, also spoken by QEMU, Firecracker, Cloud Hypervisor) turned into
// kernel::BootInfo. Everything is copied and bounds-checked: a pointer or count that leads out of the readable memory is
// dropped, never followed. Pure functions over a view of physical memory, so that a host test can hand in hostile bytes.
//
//     boot::PhysicalView memory(nullptr, 4 GiB);
//     auto ok = boot::read_start_info(memory, ebx, info, strings);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel/boot_info.hpp"
#include "libvirtio/base.hpp"

namespace boot {

/// Physical memory that can be read: addresses 0..size.
class PhysicalView {
public:
    PhysicalView(const std::byte* base, std::uint64_t size) noexcept : base_(base), size_(size) {}
    /// True if the bytes were there and are now in `out`.
    [[nodiscard]] bool read(std::uint64_t address, std::span<std::byte> out) const noexcept;
    template<class T> [[nodiscard]] bool read(std::uint64_t address, T& out) const noexcept {
        return read(address, std::as_writable_bytes(std::span(&out, 1)));
    }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    /// Only for addresses up to size(). The base may be address 0, which is no null pointer here: hence the arithmetic on integers.
    [[nodiscard]] const std::byte* at(std::uint64_t address) const noexcept {
        return reinterpret_cast<const std::byte*>(reinterpret_cast<std::uintptr_t>(base_) + address);
    }

private:
    const std::byte* base_;
    std::uint64_t size_;
};

/// Storage for the copied strings: command line and module names. What does not fit is cut off.
using StringStorage = std::array<char, 8192>;

/// bad_magic, bad_version, or out_of_range when the structure itself cannot be read. `strings` must live as long as `info`.
[[nodiscard]] virtio::Result<> read_start_info(const PhysicalView& memory, std::uint64_t address, kernel::BootInfo& info,
                                               StringStorage& strings) noexcept;

/// The ACPI root pointer: `hint` if it is one, else the first in the EBDA's first KiB or in 0xe0000-0xfffff, on 16-byte
/// boundaries and with the right checksum only (the text also stands, unaligned, inside firmware code). 0: none.
[[nodiscard]] std::uint64_t find_rsdp(const PhysicalView& memory, std::uint64_t hint) noexcept;

/// The MP floating pointer structure ("_MP_"), looked for in the same manner in EBDA, end of base memory, and 0xf0000-0xfffff. 0: none.
[[nodiscard]] std::uint64_t find_mp_table(const PhysicalView& memory) noexcept;

} // namespace boot
