#include <machine/cpu.hpp>

#include "arch/kernel_hooks.hpp"
#include "arch/processors.hpp"
#include "arch/x86_64/local_apic.hpp"

extern "C" void ringside_interrupt(std::uint32_t vector);

namespace arch {
namespace {

constexpr std::uint32_t kApicBaseMsr = 0x1b;
constexpr std::uint64_t kApicEnabled = 1 << 11, kX2apicEnabled = 1 << 10, kBaseMask = 0x000ffffffffff000;

constexpr std::uint32_t kId = 0x20, kTaskPriority = 0x80, kSpurious = 0xf0, kErrorStatus = 0x280, kTimer = 0x320, kThermal = 0x330,
                        kPerformance = 0x340, kLint0 = 0x350, kLint1 = 0x360, kError = 0x370, kDivide = 0x3e0, kVersion = 0x30,
                        kCommandLow = 0x300, kCommandHigh = 0x310;
constexpr std::uint32_t kSendPending = 1 << 12;
constexpr std::uint32_t kMasked = 1 << 16, kNmi = 4 << 8, kSoftwareEnable = 1 << 8, kTscDeadlineMode = 2 << 17, kDivideBy1 = 0xb;

} // namespace

constinit LocalApic the_local_apic;

std::uint64_t LocalApic::registers_address() noexcept {
    const std::uint64_t base = read_msr(kApicBaseMsr);
    return (base & kX2apicEnabled) != 0 ? 0 : base & kBaseMask;
}

void LocalApic::start(volatile void* registers, std::uint8_t spurious_vector) noexcept {
    const bool x2apic = (read_msr(kApicBaseMsr) & kX2apicEnabled) != 0;
    registers_ = x2apic ? 0 : reinterpret_cast<std::uintptr_t>(registers);
    spurious_vector_ = spurious_vector;
    start_here();
}

void LocalApic::start_here() const noexcept {
    // All processors in the same mode, the first one's.
    if (is_x2apic()) write_msr(kApicBaseMsr, read_msr(kApicBaseMsr) | kApicEnabled | kX2apicEnabled);
    write_msr(kApicBaseMsr, read_msr(kApicBaseMsr) | kApicEnabled);

    const std::uint32_t highest_entry = read(kVersion) >> 16 & 0xff;
    write(kSpurious, kSoftwareEnable | spurious_vector_);
    write(kTimer, kMasked);
    write(kLint0, kMasked); // the PIC's line; every interrupt comes through an I/O APIC or as a message
    write(kLint1, kNmi);
    write(kError, kMasked);
    if (highest_entry >= 4) write(kPerformance, kMasked);
    if (highest_entry >= 5) write(kThermal, kMasked);
    write(kErrorStatus, 0);
    write(kTaskPriority, 0);
    write(kEndOfInterrupt, 0);
}

void LocalApic::send(std::uint32_t id, std::uint32_t what) const noexcept {
    if (is_x2apic()) {
        write_msr(kX2apicBase + (kCommandLow >> 4), std::uint64_t{id} << 32 | what);
        return;
    }
    // The two halves are one command: a handler that sends one of its own must not come between them.
    const bool interruptible = interrupts_enabled();
    disable_interrupts();
    for (int i = 0; i < 100'000 && (read(kCommandLow) & kSendPending) != 0; ++i) relax();
    write(kCommandHigh, id << 24);
    write(kCommandLow, what);
    if (interruptible) enable_interrupts();
}

std::uint32_t LocalApic::id() const noexcept { return is_x2apic() ? read(kId) : read(kId) >> 24; }

void LocalApic::start_timer(std::uint8_t vector, TimerMode mode) const noexcept {
    write(kDivide, kDivideBy1);
    write(kTimer, vector | (mode == TimerMode::tsc_deadline ? kTscDeadlineMode : 0));
    // The mode must be visible before the first deadline is written (Intel SDM, 11.5.4.1).
    if (mode == TimerMode::tsc_deadline) asm volatile("mfence" : : : "memory");
}

void wake_processor(std::uint64_t id) noexcept { local_apic().send(static_cast<std::uint32_t>(id), LocalApic::kSendFixed | kWakeVector); }

} // namespace arch

/// Every interrupt of a device: the kernel's handler, then the end of the interrupt.
extern "C" void ringside_interrupt(std::uint32_t vector) {
    // A wake-up has done its work by ending the halt.
    if (vector != arch::kWakeVector) kernel_interrupt(vector);
    // The local APIC does not want an end of interrupt for its spurious vector, and the PIC's never came through it.
    if (vector == arch::kSpuriousVector || (vector >= arch::kPicBase && vector < arch::kPicBase + 16u)) [[unlikely]]
        return;
    arch::local_apic().end_of_interrupt();
}
