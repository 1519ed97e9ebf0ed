// The machine as its firmware describes it, in plain values: interrupt chips, processors, timer, serial port, clock, ways to end.
// The kernel fills one in, out of ACPI and MP tables or out of a device tree (kernel/firmware/hardware.hpp); the code of each processor in
// arch/NAME/ reads what it knows. Addresses are physical. All of it has been bounds-checked as far as a table can be: that there is such
// a chip at such an address is believed.
//
//     if (const arch::InterruptChip* chip = hardware.find(arch::InterruptChip::Kind::plic)) ...
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace arch {

struct Registers {
    std::uint64_t base = 0; ///< 0: absent
    std::uint64_t size = 0; ///< bytes
};

enum class Trigger : std::uint8_t { edge, level };
enum class Polarity : std::uint8_t { high, low };

/// An interrupt input of the machine. `gsi` is what its interrupt chips count: x86 the global system interrupt, ARM the GIC's INTID (16-31
/// are a processor's own, from 32 on they are shared), RISC-V the source number of PLIC or APLIC.
struct Line {
    std::uint32_t gsi = 0;
    Trigger trigger = Trigger::edge;
    Polarity polarity = Polarity::high;
    friend constexpr bool operator==(const Line&, const Line&) noexcept = default;
};

struct InterruptChip {
    enum class Kind : std::uint8_t { none, io_apic, gic_v2, gic_v3, gic_v2m, gic_its, plic, aplic, imsic };
    Kind kind = Kind::none;
    std::uint32_t first = 0; ///< io_apic: its first global number. gic_v2m: the first INTID for messages.
    std::uint32_t count = 0; ///< gic_v2m: INTIDs for messages. plic, aplic: sources. imsic: identities. 0: ask the chip.
    std::array<Registers, 4>
        registers{}; ///< gic_v2: distributor, CPU interface. gic_v3: distributor, then regions of redistributors. Others: one.
};

struct Processor {
    std::uint64_t id = 0;           ///< x86: local APIC id. ARM: MPIDR affinity. RISC-V: hart id.
    std::uint32_t plic_context = 0; ///< RISC-V: the PLIC context of its supervisor mode
    std::uint32_t imsic_page = 0;   ///< RISC-V: which page of the supervisor-level IMSIC is its own
    std::uint32_t aplic_index = 0;  ///< RISC-V: its place (IDC) in a supervisor-level APLIC that works without an IMSIC
    bool has_plic_context = false;
    bool has_imsic_page = false;
    bool has_aplic_index = false;
};

struct Uart {
    enum class Kind : std::uint8_t { none, ns16550_port, ns16550, pl011 };
    Kind kind = Kind::none;
    Registers registers; ///< ns16550_port: the base is a port number
    Line line;
};

struct RealTimeClock {
    enum class Kind : std::uint8_t { none, cmos, pl031, goldfish };
    Kind kind = Kind::none;
    Registers registers;               ///< cmos: none
    std::uint8_t century_register = 0; ///< cmos: 0 if there is none
};

struct TimerHardware {
    std::uint64_t counter_hz = 0;    ///< 0: nobody says (x86 measures, ARM asks its CNTFRQ register)
    Line line;                       ///< ARM: the virtual timer's private interrupt; 0 without
    Line pit_line;                   ///< x86: where the interval timer (ISA interrupt 0) is wired
    std::uint16_t pm_timer_port = 0; ///< x86: ACPI's power management timer; 0 without
    bool sstc = false;               ///< RISC-V: the processors have stimecmp
};

struct PowerHardware {
    enum class Psci : std::uint8_t { none, hvc, smc };
    Psci psci = Psci::none;  ///< ARM
    Registers test_finisher; ///< RISC-V: SiFive's test device, which ends the emulator with a status
    Registers button_gpio;   ///< ARM: the PL061 that the power button is wired to
    std::uint32_t button_pin = 0;
    Line button_line;
};

struct Hardware {
    static constexpr std::size_t kMostChips = 16, kMostProcessors = 64;

    std::array<InterruptChip, kMostChips> chips{};
    std::size_t chip_count = 0;
    std::array<Processor, kMostProcessors> processors{};
    std::size_t processor_count = 0; ///< usable ones that are listed; more than kMostProcessors are not
    std::uint64_t start_page = 0;    ///< x86: a free page below 1 MiB, in which other processors begin; 0: none
    TimerHardware timer;
    Uart uart;
    RealTimeClock rtc;
    PowerHardware power;

    [[nodiscard]] std::span<const InterruptChip> all_chips() const noexcept { return std::span(chips).first(chip_count); }
    /// The first of a kind; null if there is none.
    [[nodiscard]] const InterruptChip* find(InterruptChip::Kind kind) const noexcept {
        for (const InterruptChip& chip : all_chips())
            if (chip.kind == kind) return &chip;
        return nullptr;
    }
};

} // namespace arch
