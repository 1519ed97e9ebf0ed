// How a driver tells the device of new buffers, and how it learns why an interrupt came: two small tagged values, computed once
// at set-up, so that a kick is one store and an acknowledgement one or two accesses, without a virtual call. Any context.
#pragma once

#include <cstdint>

#include <ringside/arch/barrier.hpp>
#include <ringside/arch/io.hpp>

#include "libvirtio/memory.hpp"

namespace virtio {

class Doorbell {
public:
    enum class Kind : std::uint8_t { none, mmio16, mmio32, port16, port32, call };
    using Call = void (*)(void* context, std::uint32_t value) noexcept;

    constexpr Doorbell() noexcept = default;
    /// `identifier` is the queue index, or queue_notify_config_data where that was negotiated. With `data` each kick also
    /// carries the next available position (NOTIFICATION_DATA; VIRTIO 1.4, 2.9).
    [[nodiscard]] static Doorbell at(Kind kind, std::uintptr_t address, std::uint16_t identifier, bool data) noexcept {
        Doorbell bell;
        bell.kind_ = kind;
        bell.address_ = address;
        bell.identifier_ = identifier;
        bell.data_ = data;
        return bell;
    }
    /// A function rings: configuration-space window, vhost-user, tests.
    [[nodiscard]] static Doorbell through(Call call, void* context, std::uint16_t identifier, bool data) noexcept {
        Doorbell bell = at(Kind::call, reinterpret_cast<std::uintptr_t>(context), identifier, data);
        bell.call_ = call;
        return bell;
    }

    /// `position` is the queue's next available index (packed: with the wrap counter in bit 15); used only with data.
    void ring(std::uint16_t position) const noexcept {
        const std::uint32_t value = data_ ? (std::uint32_t{position} << 16) | identifier_ : identifier_;
        arch::doorbell_barrier();
        switch (kind_) {
        case Kind::mmio16: arch::mmio_write16(address_, static_cast<std::uint16_t>(value)); break;
        case Kind::mmio32: arch::mmio_write32(address_, value); break;
        case Kind::port16: arch::port_write16(static_cast<std::uint16_t>(address_), static_cast<std::uint16_t>(value)); break;
        case Kind::port32: arch::port_write32(static_cast<std::uint16_t>(address_), value); break;
        case Kind::call: call_(reinterpret_cast<void*>(address_), value); break;
        case Kind::none: break;
        }
    }
    [[nodiscard]] Kind kind() const noexcept { return kind_; }

private:
    std::uintptr_t address_ = 0;
    Call call_ = nullptr;
    std::uint16_t identifier_ = 0;
    bool data_ = false;
    Kind kind_ = Kind::none;
};

/// Reads and acknowledges the reason of a line interrupt. Message interrupts need none.
class InterruptStatus {
public:
    enum class Kind : std::uint8_t { none, mmio8, port8, mmio32, call };
    using Call = std::uint32_t (*)(void* context) noexcept;

    static constexpr std::uint32_t kQueue = 1;  // a used buffer notification
    static constexpr std::uint32_t kConfig = 2; // a configuration change

    constexpr InterruptStatus() noexcept = default;
    /// mmio8/port8: the PCI ISR register, cleared by the read (VIRTIO 1.4, 4.1.4.5). mmio32: InterruptStatus at `address` with
    /// InterruptACK four bytes on (4.2.2).
    [[nodiscard]] static InterruptStatus at(Kind kind, std::uintptr_t address) noexcept {
        InterruptStatus status;
        status.kind_ = kind;
        status.address_ = address;
        return status;
    }
    [[nodiscard]] static InterruptStatus through(Call call, void* context) noexcept {
        InterruptStatus status = at(Kind::call, reinterpret_cast<std::uintptr_t>(context));
        status.call_ = call;
        return status;
    }

    /// Acknowledges *before* any queue is looked at, so that an interrupt raised meanwhile is not swallowed. All ones (a
    /// vanished device) and undefined bits are masked off. Interrupt context.
    [[nodiscard]] std::uint32_t acknowledge() const noexcept {
        std::uint32_t bits = 0;
        switch (kind_) {
        case Kind::mmio8: bits = arch::mmio_read8(address_); break;
        case Kind::port8: bits = arch::port_read8(static_cast<std::uint16_t>(address_)); break;
        case Kind::mmio32:
            bits = arch::mmio_read32(address_) & (mutant(161) ? ~0u : kQueue | kConfig);
            if (bits != 0 || mutant(160)) arch::mmio_write32(address_ + 4, bits);
            break;
        case Kind::call: bits = call_(reinterpret_cast<void*>(address_)); break;
        case Kind::none: break;
        }
        arch::interrupt_status_barrier();
        return bits & (mutant(162) ? ~0u : kQueue | kConfig);
    }

    /// Whether an MMIO device has more to say and holds its line for it: nothing else raises an edge-triggered line again. The others'
    /// registers are cleared by the read: false.
    [[nodiscard]] bool pending() const noexcept { return kind_ == Kind::mmio32 && (arch::mmio_read32(address_) & (kQueue | kConfig)) != 0; }

private:
    std::uintptr_t address_ = 0;
    Call call_ = nullptr;
    Kind kind_ = Kind::none;
};

} // namespace virtio
