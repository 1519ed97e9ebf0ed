#include "kernel/device_manager/pci_config.hpp"

#include <ringside/arch/io.hpp>

#include "kernel/memory/address_space.hpp"

namespace kernel {
namespace {

constexpr std::uint16_t kAddressPort = 0xcf8, kDataPort = 0xcfc;
constexpr std::uint64_t kBusBytes = std::uint64_t{1} << 20;

constexpr bool valid(std::uint16_t offset, unsigned width, std::uint16_t size) noexcept {
    return (width == 1 || width == 2 || width == 4) && offset % width == 0 && offset < size;
}

} // namespace

void PciConfig::find() {
    ranges_ = pci_hosts();
    if (ranges_.size() > kMostRanges) ranges_ = ranges_.first(kMostRanges);
    memory_mapped_ = !ranges_.empty();
    static constinit const PciHost ports{.config = 0, .segment = 0, .first_bus = 0, .last_bus = 255};
    if (!memory_mapped_ && arch::kHasPorts) ranges_ = std::span(&ports, 1);
}

std::uintptr_t PciConfig::place(const virtio::PciAddress& address) noexcept {
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
        const PciHost& range = ranges_[i];
        if (address.segment != range.segment || address.bus < range.first_bus || address.bus > range.last_bus) continue;
        // The base belongs to bus 0, even if the range begins later (PCI firmware specification, 4.1.2).
        const std::uint64_t bus = range.config + address.bus * kBusBytes;
        std::atomic<std::uintptr_t>& place = mapped_[i][address.bus];
        std::uintptr_t mapped = place.load(std::memory_order_acquire);
        if (mapped == 0) { // a megabyte each: only those that are looked at
            const auto made = map_device(bus, kBusBytes);
            if (!made) return 0;
            mapped = reinterpret_cast<std::uintptr_t>(*made);
            place.store(mapped, std::memory_order_release);
        }
        return mapped + (std::uintptr_t{address.device} << 15) + (std::uintptr_t{address.function} << 12);
    }
    return 0;
}

std::uint32_t PciConfig::read(const virtio::PciAddress& address, std::uint16_t offset, unsigned width) noexcept {
    const std::uint32_t nothing = width >= 4 ? ~0u : (1u << (8 * width)) - 1;
    if (memory_mapped_) {
        const std::uintptr_t base = valid(offset, width, 4096) ? place(address) : 0;
        if (base == 0) return nothing;
        switch (width) {
        case 1: return arch::mmio_read8(base + offset);
        case 2: return arch::mmio_read16(base + offset);
        default: return arch::mmio_read32(base + offset);
        }
    }
    if (!valid(offset, width, 256) || address.segment != 0) return nothing;
    const auto data = static_cast<std::uint16_t>(kDataPort + (offset & 3));
    const SpinGuard held(ports_);
    arch::port_write32(kAddressPort, 0x8000'0000u | std::uint32_t{address.bus} << 16 | std::uint32_t{address.device} << 11 |
                                         std::uint32_t{address.function} << 8 | (offset & 0xfcu));
    switch (width) {
    case 1: return arch::port_read8(data);
    case 2: return arch::port_read16(data);
    default: return arch::port_read32(data);
    }
}

void PciConfig::write(const virtio::PciAddress& address, std::uint16_t offset, unsigned width, std::uint32_t value) noexcept {
    if (memory_mapped_) {
        const std::uintptr_t base = valid(offset, width, 4096) ? place(address) : 0;
        if (base == 0) return;
        switch (width) {
        case 1: return arch::mmio_write8(base + offset, static_cast<std::uint8_t>(value));
        case 2: return arch::mmio_write16(base + offset, static_cast<std::uint16_t>(value));
        default: return arch::mmio_write32(base + offset, value);
        }
    }
    if (!valid(offset, width, 256) || address.segment != 0) return;
    const auto data = static_cast<std::uint16_t>(kDataPort + (offset & 3));
    const SpinGuard held(ports_);
    arch::port_write32(kAddressPort, 0x8000'0000u | std::uint32_t{address.bus} << 16 | std::uint32_t{address.device} << 11 |
                                         std::uint32_t{address.function} << 8 | (offset & 0xfcu));
    switch (width) {
    case 1: return arch::port_write8(data, static_cast<std::uint8_t>(value));
    case 2: return arch::port_write16(data, static_cast<std::uint16_t>(value));
    default: return arch::port_write32(data, value);
    }
}

} // namespace kernel
