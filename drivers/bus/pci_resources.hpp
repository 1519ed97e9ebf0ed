// Addresses for PCI functions and bus numbers for bridges, where no firmware gave them (a machine that boots a kernel directly) and
// for functions that are plugged in later. What firmware has assigned is kept as it is. One object per host bridge, owned by whoever
// manages devices; it remembers what is taken. Task context, before the functions' drivers start (a base address register is sized with
// the function's decoding off for a moment).
//
//     static constinit virtio::PciResources resources;
//     resources.assign(platform, {.segment = 0, .first_bus = 0, .last_bus = 255}, windows, {.failed = on_failure});
//     resources.add(platform, address);            // a function that came later; release(address) when it has gone
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "drivers/bus/pci_bus.hpp"
#include "libvirtio/pci.hpp"

namespace virtio {

/// What a host bridge passes on, as addresses on the bus. Nothing of it belongs to anybody else.
struct PciWindow {
    std::uint64_t base = 0;
    std::uint64_t size = 0; ///< bytes; 0: there is none

    friend constexpr bool operator==(const PciWindow&, const PciWindow&) noexcept = default;
};
struct PciWindows {
    PciWindow memory;       ///< below 4 GiB
    PciWindow prefetchable; ///< anywhere; without it prefetchable registers go where the others go
    PciWindow port;
};

class PciResources {
public:
    /// Base address registers and bridge windows that are looked after; more are an error of their function.
    static constexpr std::size_t kMostRanges = 512;
    /// What a slot for hot-plug is given beyond what stands in it now, where there is room.
    static constexpr std::uint64_t kSlotMemory = 2u << 20, kSlotPorts = 4096;

    /// Names what a failure is about: a base address register (0..5) or one of these.
    static constexpr std::uint8_t kMemoryWindow = 6, kPrefetchableWindow = 7, kPortWindow = 8, kBusNumbers = 9;

    /// Hears of what could not be assigned; the rest went on. Errors: out_of_memory (no room in the window, no bus number left, more
    /// ranges than kMostRanges), bad_bar (a register that sizes to nonsense or does not keep its value).
    struct Listener {
        void (*failed)(void* context, const PciFunction& function, std::uint8_t what, Error error) noexcept = nullptr;
        void* context = nullptr;
    };
    struct Count {
        unsigned assigned = 0; ///< registers and windows that were written
        unsigned kept = 0;     ///< those that firmware had assigned
        unsigned failed = 0;
        unsigned buses = 0; ///< behind bridges
    };

    constexpr PciResources() noexcept = default;
    PciResources(const PciResources&) = delete;
    PciResources& operator=(const PciResources&) = delete;

    /// Numbers the buses, then gives every function its addresses. Whatever decodes already, and whatever lies where it may, stays.
    Count assign(PciPlatform& platform, const PciBus::Range& range, const PciWindows& windows, const Listener& listener) noexcept;
    /// Addresses for one function that was not there before. Bridges are refused: they would need bus numbers (unsupported_device).
    /// Errors: no_device, out_of_memory, bad_bar; then the function has no addresses and takes none.
    Result<> add(PciPlatform& platform, const PciAddress& address) noexcept;
    /// The function has gone: what it had is free.
    void release(const PciAddress& address) noexcept;

    /// How much is taken, for listings and tests.
    [[nodiscard]] std::size_t range_count() const noexcept { return count_; }

private:
    enum class Kind : std::uint8_t { memory, prefetchable, port };
    /// A base address register, or a window of a bridge: then `behind` is the bus that it leads to.
    struct Taken {
        PciAddress where;
        std::uint8_t what = 0;
        std::uint8_t behind = 0;
        Kind kind = Kind::memory;
        bool wide = false; // the address has 64 bits
        bool slot = false; // a window of a slot for hot-plug
        bool placed = false;
        std::uint64_t base = 0;
        std::uint64_t size = 0;      // 0: a window that passes nothing on
        std::uint64_t alignment = 1; // of the base: a power of two
        std::uint64_t needed = 0;    // of a window, without the room for hot-plug
    };
    struct Walk;

    void number(Walk& walk, std::uint8_t bus, unsigned last, unsigned depth) noexcept;
    void measure_bus(Walk& walk, std::uint8_t bus) noexcept;
    [[nodiscard]] Result<> measure(const PciFunction& function, std::uint8_t header, Walk* walk) noexcept;
    void add_windows(Walk& walk, const PciFunction& bridge) noexcept;
    void size_windows(std::uint8_t bus) noexcept;
    void place_bus(Walk& walk, std::uint8_t bus) noexcept;
    [[nodiscard]] bool place(Taken& range) noexcept;
    [[nodiscard]] bool find_room(Taken& range, const PciWindow& within) noexcept;
    [[nodiscard]] Result<> write(PciPlatform& platform, const Taken& range) noexcept;
    [[nodiscard]] PciWindow container(std::uint8_t bus, Kind kind) const noexcept;
    [[nodiscard]] PciWindow prefetchable_reach(std::uint8_t bus) const noexcept;
    [[nodiscard]] bool overlaps(const Taken& range) const noexcept;
    [[nodiscard]] Taken* append() noexcept;
    [[nodiscard]] std::span<Taken> ranges() noexcept { return std::span(ranges_).first(count_); }
    [[nodiscard]] std::span<const Taken> ranges() const noexcept { return std::span(ranges_).first(count_); }

    std::array<Taken, kMostRanges> ranges_{};
    std::size_t count_ = 0;
    PciBus::Range range_;
    PciWindows windows_;
};

} // namespace virtio
