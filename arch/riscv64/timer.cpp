// The supervisor timer: stimecmp where the processor has it and the firmware has released it, else the firmware's SBI call.
#include "arch/timer.hpp"

#include <machine/cpu.hpp>

#include "arch/processors.hpp"
#include "arch/riscv64/csr.hpp"
#include "arch/riscv64/interrupt_path.hpp"
#include "arch/riscv64/sbi.hpp"

extern "C" bool ringside_can_read_stimecmp(); // probe.S

namespace arch {
namespace {

constexpr std::uint64_t kNever = ~std::uint64_t{0};

bool compares = false; ///< stimecmp

} // namespace

TimerRates start_timer(const Hardware& hardware, std::uint32_t vector, const Calibration&) noexcept {
    compares = hardware.timer.sstc && ringside_can_read_stimecmp();
    if (!compares && !sbi_has(kSbiTime)) return {};
    interrupt_path.timer_vector = vector;
    stop_timer();
    return {.source = compares ? "device tree, stimecmp" : "device tree, sbi timer", .counter_hz = hardware.timer.counter_hz};
}

void start_timer_here(std::uint32_t) noexcept { stop_timer(); }

void set_timer(std::uint64_t deadline) noexcept {
    if (compares)
        write_csr<kStimecmp>(deadline);
    else
        sbi_call(kSbiTime, 0, deadline);
    set_csr_bits<kSie>(kTimerInterrupt);
}

/// An expired timer goes on interrupting: the handler, too, only stops listening.
void stop_timer() noexcept {
    clear_csr_bits<kSie>(kTimerInterrupt);
    if (compares) write_csr<kStimecmp>(kNever);
}

} // namespace arch
