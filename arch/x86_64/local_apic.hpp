// The local APIC of the calling processor: end of interrupt, its one-shot timer, messages to the others. x2APIC mode only where the
// firmware already switched to it (it cannot be switched back); else the memory-mapped registers, which the kernel maps.
// end_of_interrupt() is for interrupt context, the rest for task context.
//
//     arch::local_apic().start(registers, /*spurious*/ 0xff);
#pragma once

#include <cstdint>

#include <ringside/arch/io.hpp>

#include "arch/x86_64/registers.hpp"

namespace arch {

// Vectors beside the kernel's: a block below on which the masked PIC's spurious interrupts would arrive, and the local APIC's spurious one.
inline constexpr std::uint8_t kPicBase = 0x20, kWakeVector = 0xf0, kSpuriousVector = 0xff;

class LocalApic {
public:
    enum class TimerMode : std::uint8_t { one_shot, tsc_deadline };

    /// Where the memory-mapped registers are (to be mapped uncached), 0 in x2APIC mode.
    [[nodiscard]] static std::uint64_t registers_address() noexcept;

    /// `registers` is ignored in x2APIC mode. Masks everything but the spurious vector.
    void start(volatile void* registers, std::uint8_t spurious_vector) noexcept;
    /// Another processor's own, at the same address.
    void start_here() const noexcept;

    // What send() can send: a vector, the start of a reset, a page to start in (Intel SDM, 11.6.1).
    static constexpr std::uint32_t kSendFixed = 0x4000, kSendInit = 0x4500, kSendStartUp = 0x4600;
    /// Waits until the message before has left (a bounded time).
    void send(std::uint32_t id, std::uint32_t what) const noexcept;

    [[nodiscard]] std::uint32_t id() const noexcept;
    [[nodiscard]] bool is_x2apic() const noexcept { return registers_ == 0; }

    void end_of_interrupt() const noexcept { write(kEndOfInterrupt, 0); }

    void start_timer(std::uint8_t vector, TimerMode mode) const noexcept;
    /// One-shot mode: counts down from `ticks` (0 stops).
    void set_timer_count(std::uint32_t ticks) const noexcept { write(kInitialCount, ticks); }
    [[nodiscard]] std::uint32_t timer_count() const noexcept { return read(kCurrentCount); }

private:
    static constexpr std::uint32_t kEndOfInterrupt = 0xb0, kInitialCount = 0x380, kCurrentCount = 0x390;
    static constexpr std::uint32_t kX2apicBase = 0x800;

    [[nodiscard]] std::uint32_t read(std::uint32_t reg) const noexcept;
    void write(std::uint32_t reg, std::uint32_t value) const noexcept;

    std::uintptr_t registers_ = 0; ///< 0: x2APIC
    std::uint8_t spurious_vector_ = 0;
};

/// Each processor sees its own at the same address.
extern LocalApic the_local_apic;
[[nodiscard]] inline LocalApic& local_apic() noexcept { return the_local_apic; }

// In the header because end_of_interrupt() is in every interrupt.
inline std::uint32_t LocalApic::read(std::uint32_t reg) const noexcept {
    return registers_ != 0 ? mmio_read32(registers_ + reg) : static_cast<std::uint32_t>(read_msr(kX2apicBase + (reg >> 4)));
}

inline void LocalApic::write(std::uint32_t reg, std::uint32_t value) const noexcept {
    if (registers_ != 0)
        mmio_write32(registers_ + reg, value);
    else
        write_msr(kX2apicBase + (reg >> 4), value);
}

} // namespace arch
