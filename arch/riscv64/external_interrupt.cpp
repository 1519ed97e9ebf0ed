// Every interrupt comes through here: which one it is, the kernel's handler, its end.
#include <ringside/arch/io.hpp>

#include "arch/kernel_hooks.hpp"
#include "arch/riscv64/aplic.hpp"
#include "arch/riscv64/csr.hpp"
#include "arch/riscv64/hart.hpp"
#include "arch/riscv64/imsic.hpp"
#include "arch/riscv64/interrupt_path.hpp"

extern "C" void ringside_interrupt(std::uint64_t cause);

namespace arch {

constinit InterruptPath interrupt_path{};

namespace {

void plic_interrupt() noexcept {
    const std::uintptr_t claim = this_hart().claim;
    const std::uint32_t source = mmio_read32(claim);
    if (source == 0 || source >= InterruptPath::kMostSources) return;
    kernel_interrupt(interrupt_path.vector_of[source]);
    mmio_write32(claim, source);
}

void aplic_interrupt() noexcept {
    const std::uint32_t source = mmio_read32(this_hart().claim) >> 16;
    if (source == 0 || source >= InterruptPath::kMostSources) return;
    kernel_interrupt(interrupt_path.vector_of[source]);
}

void imsic_interrupt() noexcept {
    const auto take = [] { return static_cast<std::uint32_t>(take_csr<kStopei>() >> 16); };
    take_all(take, [](std::uint32_t identity) {
        if (identity >= InterruptPath::kMostVectors) return;
        kernel_interrupt(identity);
        if (const std::uint32_t source = interrupt_path.level_source_of[identity]) repeat_level(interrupt_path.aplic, source);
    });
}

} // namespace
} // namespace arch

extern "C" void ringside_interrupt(std::uint64_t cause) {
    using namespace arch;
    constexpr std::uint64_t kNumber = 63, kSoftware = 1, kTimer = 5, kExternal = 9;
    switch (cause & kNumber) {
    case kSoftware: return clear_csr_bits<kSip>(kSoftwareInterrupt); // another hart's, to end a halt
    case kTimer:
        // It stays pending until somebody sets another time: not to be listened to until then.
        clear_csr_bits<kSie>(kTimerInterrupt);
        return kernel_interrupt(interrupt_path.timer_vector);
    case kExternal:
        switch (interrupt_path.source) {
        case InterruptPath::Source::none: return clear_csr_bits<kSie>(kExternalInterrupt);
        case InterruptPath::Source::plic: return plic_interrupt();
        case InterruptPath::Source::aplic: return aplic_interrupt();
        case InterruptPath::Source::imsic: return imsic_interrupt();
        }
        return;
    default: return clear_csr_bits<kSie>(std::uint64_t{1} << (cause & kNumber)); // nobody asked for it
    }
}
