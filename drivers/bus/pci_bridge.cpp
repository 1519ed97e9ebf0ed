// What a bridge passes on (PCI-to-PCI bridges 1.2, 3.2.5.6 to 3.2.5.10; PCI Express 6.0, 7.5.1.3).
#include "drivers/bus/pci_registers.hpp"

namespace virtio::pci_registers {
namespace {

/// First and last address; a base above the limit passes nothing, and one of 0 was never set.
PciWindow between(std::uint64_t base, std::uint64_t limit) noexcept {
    if (base > limit || base == 0 || (limit == ~std::uint64_t{0} && !mutant(861))) return {};
    return {base, limit - base + 1};
}

Result<> check(bool kept) noexcept {
    if (!kept && !mutant(865)) return fail(Error::bad_bar);
    return {};
}

std::uint32_t encode(const PciWindow& window) noexcept {
    const std::uint64_t last = window.base + window.size - 1;
    return static_cast<std::uint32_t>(window.base >> 16 & 0xfff0) | static_cast<std::uint32_t>(last & 0xfff0'0000);
}

} // namespace

PciWindow memory_window(const PciFunction& bridge) noexcept {
    const std::uint64_t value = bridge.read(kMemoryWindowRegister, 4);
    return between((value & 0xfff0) << 16, (value & 0xfff0'0000) | 0xf'ffff);
}

PciWindow prefetchable_window(const PciFunction& bridge) noexcept {
    const std::uint64_t value = bridge.read(kPrefetchableWindowRegister, 4);
    const bool wide = (value & 0xf) == 1;
    const std::uint64_t high = wide ? bridge.read(kPrefetchableBaseHigh, 4) : 0;
    const std::uint64_t high_limit = wide ? bridge.read(kPrefetchableLimitHigh, 4) : 0;
    return between(high << 32 | (value & 0xfff0) << 16, high_limit << 32 | (value & 0xfff0'0000) | 0xf'ffff);
}

PciWindow port_window(const PciFunction& bridge) noexcept {
    const std::uint64_t value = bridge.read(kPortWindowRegister, 2);
    const std::uint64_t high = (value & 0xf) == 1 ? bridge.read(kPortWindowHigh, 4) : 0;
    return between((high & 0xffff) << 16 | (value & 0xf0) << 8, (high >> 16) << 16 | (value & 0xf000) | 0xfff);
}

Result<> set_memory_window(const PciFunction& bridge, const PciWindow& window) noexcept {
    bridge.write(kMemoryWindowRegister, 4, encode(window));
    return check(memory_window(bridge) == window);
}

Result<> set_prefetchable_window(const PciFunction& bridge, const PciWindow& window, bool wide) noexcept {
    if (wide) {
        bridge.write(kPrefetchableLimitHigh, 4, static_cast<std::uint32_t>((window.base + window.size - 1) >> 32));
        bridge.write(kPrefetchableBaseHigh, 4, static_cast<std::uint32_t>(window.base >> 32));
    }
    bridge.write(kPrefetchableWindowRegister, 4, encode(window));
    return check(prefetchable_window(bridge) == window);
}

Result<> set_port_window(const PciFunction& bridge, const PciWindow& window) noexcept {
    const std::uint64_t last = window.base + window.size - 1;
    bridge.write(kPortWindowRegister, 2, static_cast<std::uint32_t>((window.base >> 8 & 0xf0) | (last & 0xf000)));
    bridge.write(kPortWindowHigh, 4, static_cast<std::uint32_t>(window.base >> 16 | (last >> 16) << 16));
    return check(port_window(bridge) == window);
}

} // namespace virtio::pci_registers
