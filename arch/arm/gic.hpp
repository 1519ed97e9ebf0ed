// A generic interrupt controller as both ARM processors see it, whatever its version: inputs are INTIDs (16-31 the processor's own, from 32
// on shared ones, from 8192 on messages). Task context with interrupts off, but for acknowledge(), end() and wake().
//
//     arch::Gic* gic = arch::choose_gic(hardware);
//     if (const char* missing = gic->start(hardware, map)) ...
//     gic->enable(33, arch::Trigger::level);
#pragma once

#include <cstdint>

#include "arch/interrupts.hpp"

namespace arch {

class Gic {
public:
    /// What acknowledge() says when nothing is pending (1020 to 1023 are special).
    static constexpr std::uint32_t kNothing = 1023;
    static constexpr std::uint32_t kFirstShared = 32, kInputs = 1020, kSpecial = 0x3ff;
    /// The interrupt that processors send each other: the first of sixteen, none of the others is used.
    static constexpr std::uint32_t kWake = 0;

    /// Everything masked, the processor's side open. Returns what is missing, or null.
    [[nodiscard]] virtual const char* start(const Hardware& hardware, MapRegisters map) noexcept = 0;
    /// Unmasks an input below kInputs, for this processor. False: there is no such input.
    [[nodiscard]] virtual bool enable(std::uint32_t intid, Trigger trigger) noexcept = 0;
    virtual void disable(std::uint32_t intid) noexcept = 0;

    /// Message interrupts of the controller's own (not of a GICv2m frame): INTID 8192 + vector. False: none, or no room.
    [[nodiscard]] virtual bool connect_message(std::uint32_t vector, std::uint32_t device, std::uint32_t index, Message& message) noexcept;
    virtual void disconnect_message(std::uint32_t vector) noexcept;

    /// On another processor: its own part. False: it has none.
    [[nodiscard]] virtual bool start_here() noexcept = 0;

    // General registers only.
    /// What the controller says of the interrupt that it delivers, for end(): its INTID, and above it who sent a wake-up of version 2.
    [[nodiscard]] virtual std::uint32_t acknowledge() noexcept = 0;
    virtual void end(std::uint32_t acknowledged) noexcept = 0;
    /// Sends kWake to the processor with this affinity.
    virtual void wake(std::uint64_t id) noexcept = 0;

protected:
    constexpr Gic() noexcept = default;
    ~Gic() = default; // they are static, and stay
};

/// INTIDs of messages begin here (GICv3 and later).
inline constexpr std::uint32_t kFirstMessage = 8192;

/// The one that this machine has; null if the processor's code knows none of them. Implemented by arch/NAME/.
[[nodiscard]] Gic* choose_gic(const Hardware& hardware) noexcept;

} // namespace arch
