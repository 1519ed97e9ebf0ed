// Where the processor sees what PCI functions call by the addresses of their bus: behind which window of which host bridge.
//
//     if (const auto at = memory_behind(config.ranges(), bar.base, bar.size)) map(*at);
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "kernel/firmware/hardware.hpp"

namespace kernel {

/// The place behind the window that has all of the range; nothing: there is no such window.
[[nodiscard]] constexpr std::optional<std::uint64_t> behind_window(std::span<const PciHost> hosts, std::uint64_t base, std::uint64_t size,
                                                                   bool ports) noexcept {
    for (const PciHost& host : hosts)
        for (const PciWindow& window : std::span(host.windows).first(host.window_count)) {
            if ((window.kind == PciWindow::Kind::port) != ports) continue;
            if (base < window.pci || size > window.size || base - window.pci > window.size - size) continue;
            // Where the processor has ports of its own, a bridge's are among them.
            if (ports && window.base == window.pci) return std::nullopt;
            return window.base + (base - window.pci);
        }
    return std::nullopt;
}

/// Memory of a function; nothing: no bridge passes the range on, and what the processor has there is something else (a function may say
/// that it is where the interrupt controller is). Bridges of which nobody says what they pass on (ACPI) pass on everything as it is.
[[nodiscard]] constexpr std::optional<std::uint64_t> memory_behind(std::span<const PciHost> hosts, std::uint64_t base,
                                                                   std::uint64_t size) noexcept {
    if (const auto place = behind_window(hosts, base, size, false)) return place;
    for (const PciHost& host : hosts)
        if (host.window_count != 0) return std::nullopt;
    return base;
}

/// Ports of a function that are memory to the processor.
[[nodiscard]] constexpr std::optional<std::uint64_t> ports_behind(std::span<const PciHost> hosts, std::uint64_t base,
                                                                  std::uint64_t size) noexcept {
    return behind_window(hosts, base, size, true);
}

} // namespace kernel
