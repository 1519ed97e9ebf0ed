// One PCI function: configuration space, base address registers, capabilities. What a platform with PCI adds to Platform, and
// what every PCI transport stands on. Set-up only; task context.
//
//     PciFunction function{platform, {.bus = 0, .device = 3, .function = 0}};
//     auto bar = function.bar(4);                         // base, size, memory or port
//     for (auto cap = function.first_capability(); cap != 0 && budget--; cap = function.next_capability(cap)) ...
#pragma once

#include <cstdint>
#include <span>

#include "libvirtio/base.hpp"
#include "libvirtio/platform.hpp"
#include "libvirtio/transport.hpp"

namespace virtio {

struct PciAddress {
    std::uint16_t segment = 0;
    std::uint8_t bus = 0;
    std::uint8_t device = 0;
    std::uint8_t function = 0;

    friend constexpr auto operator<=>(const PciAddress&, const PciAddress&) noexcept = default;
};

/// Where a message interrupt is written, and what.
struct InterruptMessage {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
};

class PciPlatform : public Platform {
public:
    /// `width` is 1, 2 or 4 and divides `offset`; absent functions read all ones.
    [[nodiscard]] virtual std::uint32_t pci_read(const PciAddress& address, std::uint16_t offset, unsigned width) noexcept = 0;
    virtual void pci_write(const PciAddress& address, std::uint16_t offset, unsigned width, std::uint32_t value) noexcept = 0;
    /// An uncached mapping of device memory; 0 when there is none.
    [[nodiscard]] virtual std::uintptr_t map_device(std::uint64_t base, std::uint64_t size) noexcept = 0;
    /// The same for I/O ports, on machines that have them in memory (a host bridge's I/O window); 0: by the processor's own
    /// instructions, or not at all. For legacy devices only.
    [[nodiscard]] virtual std::uintptr_t map_ports(std::uint64_t, std::uint64_t) noexcept { return 0; }

    /// Reserves up to `messages.size()` message interrupts for a function, message i calling `target` with vector i. Returns how
    /// many. Errors: interrupt_unavailable.
    [[nodiscard]] virtual Result<std::uint16_t> allocate_messages(const PciAddress&, std::span<InterruptMessage>,
                                                                  const InterruptTarget&) noexcept {
        return fail(Error::interrupt_unavailable);
    }
    /// Connects the function's INTx line. Errors: interrupt_unavailable.
    [[nodiscard]] virtual Result<> connect_line(const PciAddress&, const InterruptTarget&) noexcept {
        return fail(Error::interrupt_unavailable);
    }
    /// Gives back what the two above gave to this target.
    virtual void disconnect(const PciAddress&, const InterruptTarget&) noexcept {}

protected:
    constexpr PciPlatform() noexcept = default;
    ~PciPlatform() = default;
};

struct PciBar {
    std::uint64_t base = 0;
    std::uint64_t size = 0; // 0: not implemented, or not assigned
    bool port = false;
    bool wide = false; // 64 bits: the next register belongs to it
    bool prefetchable = false;
};

class PciFunction {
public:
    constexpr PciFunction() noexcept = default;
    constexpr PciFunction(PciPlatform& platform, const PciAddress& address) noexcept : platform_(&platform), address_(address) {}

    [[nodiscard]] PciPlatform& platform() const noexcept { return *platform_; }
    [[nodiscard]] const PciAddress& address() const noexcept { return address_; }

    [[nodiscard]] std::uint32_t read(std::uint16_t offset, unsigned width) const noexcept {
        return platform_->pci_read(address_, offset, width);
    }
    void write(std::uint16_t offset, unsigned width, std::uint32_t value) const noexcept {
        platform_->pci_write(address_, offset, width, value);
    }

    [[nodiscard]] std::uint16_t vendor() const noexcept { return static_cast<std::uint16_t>(read(0x00, 2)); }
    [[nodiscard]] std::uint16_t device() const noexcept { return static_cast<std::uint16_t>(read(0x02, 2)); }
    [[nodiscard]] std::uint8_t revision() const noexcept { return static_cast<std::uint8_t>(read(0x08, 1)); }
    [[nodiscard]] std::uint8_t header_type() const noexcept { return static_cast<std::uint8_t>(read(0x0e, 1)); }

    /// Sizes a base address register (0..5) with decoding switched off meanwhile. Errors: bad_bar.
    [[nodiscard]] Result<PciBar> bar(unsigned index) const noexcept;
    /// The same, and the size of one that nobody has assigned as well: its base is 0.
    [[nodiscard]] Result<PciBar> measure(unsigned index) const noexcept;
    /// Writes a base address, with decoding switched off meanwhile, and reads it back. Errors: bad_bar.
    [[nodiscard]] Result<> place(unsigned index, std::uint64_t base) const noexcept;

    /// Switches memory and port decoding and bus mastering on.
    void enable() const noexcept;
    void set_bus_master(bool on) const noexcept;
    void set_memory_decoding(bool on) const noexcept;
    void set_line_interrupt(bool on) const noexcept; // INTx Disable is the inverse

    /// Capability list: offsets of headers, 0 at the end. The caller bounds the walk: a list has at most 48 members.
    [[nodiscard]] std::uint8_t first_capability() const noexcept;
    [[nodiscard]] std::uint8_t next_capability(std::uint8_t capability) const noexcept;
    static constexpr unsigned kMostCapabilities = 48;
    /// Where the capability of that kind is; 0: there is none.
    [[nodiscard]] std::uint8_t find_capability(std::uint8_t id) const noexcept;

private:
    PciPlatform* platform_ = nullptr;
    PciAddress address_;
};

} // namespace virtio
