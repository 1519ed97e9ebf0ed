// A block of device registers as a transport reaches it: in memory, at I/O ports, or through the window in a function's configuration
// space (VIRTIO 1.4, 4.1.4.9). A small tagged value; one access is one access of exactly that width at the device. Set-up and
// configuration only: a kick goes through the Doorbell. Task context, since the window is two steps.
//
//     Registers common = *map_registers(function, capabilities->common);
//     common.write<std::uint16_t>(22, index);
//     auto size = common.read<std::uint16_t>(24);
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include <ringside/arch/io.hpp>

#include "libvirtio/pci.hpp"
#include "libvirtio/transport/pci_capabilities.hpp"

namespace virtio {

/// VIRTIO_PCI_CAP_PCI_CFG: any place of a BAR through configuration space, for a function whose BARs are not mapped, or not assigned.
class PciConfigWindow {
public:
    constexpr PciConfigWindow() noexcept = default;
    PciConfigWindow(const PciFunction& function, std::uint8_t capability) noexcept : function_(function), at_(capability) {}

    [[nodiscard]] std::uint32_t read(std::uint8_t bar, std::uint32_t offset, unsigned width) const noexcept;
    void write(std::uint8_t bar, std::uint32_t offset, unsigned width, std::uint32_t value) const noexcept;

private:
    void aim(std::uint8_t bar, std::uint32_t offset, unsigned width) const noexcept;

    PciFunction function_;
    std::uint8_t at_ = 0;
};

class Registers {
public:
    enum class Kind : std::uint8_t { none, memory, ports, window };

    constexpr Registers() noexcept = default;
    [[nodiscard]] static Registers memory(std::uintptr_t address, std::uint32_t length) noexcept {
        return {Kind::memory, address, length, nullptr, 0};
    }
    [[nodiscard]] static Registers ports(std::uint16_t base, std::uint32_t length) noexcept {
        return {Kind::ports, base, length, nullptr, 0};
    }
    /// `window` outlives it.
    [[nodiscard]] static Registers through(const PciConfigWindow& window, const PciStructure& structure) noexcept {
        return {Kind::window, structure.offset, structure.length, &window, structure.bar};
    }

    template<std::unsigned_integral T> [[nodiscard]] T read(std::size_t offset) const noexcept {
        return static_cast<T>(get(offset, sizeof(T)));
    }
    template<std::unsigned_integral T> void write(std::size_t offset, T value) const noexcept { put(offset, sizeof(T), value); }
    /// As two 32-bit accesses (VIRTIO 1.4, 4.1.3.1).
    void write64(std::size_t offset, std::uint64_t value) const noexcept {
        write(offset, static_cast<std::uint32_t>(value));
        write(offset + 4, static_cast<std::uint32_t>(value >> 32));
    }
    /// Bounded: for offsets and widths that a caller gives. Errors: out_of_range, invalid_argument (not 1, 2 or 4 bytes).
    [[nodiscard]] Result<std::uint32_t> read_checked(std::size_t offset, unsigned width) const noexcept;
    [[nodiscard]] Result<> write_checked(std::size_t offset, unsigned width, std::uint32_t value) const noexcept;

    /// The same block from `offset` on.
    [[nodiscard]] Registers from(std::uint32_t offset) const noexcept {
        return {kind_, address_ + offset, offset < length_ ? length_ - offset : 0, window_, bar_};
    }
    [[nodiscard]] explicit operator bool() const noexcept { return kind_ != Kind::none; }
    [[nodiscard]] Kind kind() const noexcept { return kind_; }
    [[nodiscard]] std::uintptr_t address() const noexcept { return address_; } // ports: the port; window: the offset in its BAR
    [[nodiscard]] std::uint32_t length() const noexcept { return length_; }

private:
    Registers(Kind kind, std::uintptr_t address, std::uint32_t length, const PciConfigWindow* window, std::uint8_t bar) noexcept
        : address_(address), window_(window), length_(length), kind_(kind), bar_(bar) {}
    [[nodiscard]] std::uint32_t get(std::size_t offset, unsigned width) const noexcept;
    void put(std::size_t offset, unsigned width, std::uint32_t value) const noexcept;
    [[nodiscard]] Error refused(std::size_t offset, unsigned width) const noexcept;

    std::uintptr_t address_ = 0;
    const PciConfigWindow* window_ = nullptr;
    std::uint32_t length_ = 0;
    Kind kind_ = Kind::none;
    std::uint8_t bar_ = 0;
};

/// All ones: what a width of bytes reads where nothing answers.
[[nodiscard]] constexpr std::uint32_t all_ones(unsigned width) noexcept { return 0xffff'ffffu >> (32 - 8 * width); }

/// Maps a virtio structure of a function. Errors: bad_bar (ports, not assigned, or cannot be mapped).
[[nodiscard]] Result<Registers> map_registers(const PciFunction& function, const PciStructure& structure) noexcept;

} // namespace virtio
