// Finds PCI functions: every device of every bus that can be reached from the first one, through bridges and root ports, and
// tells a listener what came and what went. Bridges are used as firmware left them. Task context; owned by whoever manages
// devices. Calling scan() again reports only the differences.
//
//     virtio::PciBus bus;
//     bus.scan(platform, {.segment = 0, .first_bus = 0, .last_bus = 255}, {.added = on_added, .removed = on_removed, .context = this});
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "libvirtio/pci.hpp"

namespace virtio {

struct PciListener {
    void (*added)(void* context, const PciFunction& function) noexcept = nullptr;
    void (*removed)(void* context, const PciAddress& address) noexcept = nullptr;
    void* context = nullptr;
};

class PciBus {
public:
    /// More functions than this are not reported; scan() says so.
    static constexpr std::size_t kMostFunctions = 256;

    struct Range {
        std::uint16_t segment = 0;
        std::uint8_t first_bus = 0;
        std::uint8_t last_bus = 255;
    };

    constexpr PciBus() noexcept = default;

    /// Errors: out_of_memory when there are more than kMostFunctions; those found are reported all the same.
    Result<> scan(PciPlatform& platform, const Range& range, const PciListener& listener) noexcept;
    /// The function is about to go, or has been replaced: what is found there next is reported as added. Nobody is told of the removal.
    void forget(const PciAddress& address) noexcept;
    [[nodiscard]] std::size_t function_count() const noexcept { return known_count_; }

private:
    struct Known {
        PciAddress address;
        std::uint32_t identity = 0; // vendor and device: another card in the same slot is a removal and an addition
        bool seen = false;
    };
    void look(PciPlatform& platform, const PciAddress& address, const PciListener& listener) noexcept;

    std::array<Known, kMostFunctions> known_{};
    std::size_t known_count_ = 0;
    bool overflow_ = false;
};

} // namespace virtio
