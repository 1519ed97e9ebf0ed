// Reading ACPI tables: pure functions over bytes. Every length in a table is somebody else's word: it is checked against the
// bytes that are there, an entry of length 0 ends a walk, and what does not fit a fixed array is left out.
// Any context; nothing is kept.
//
//     auto table = kernel::acpi::checked_table(bytes, "APIC");
//     kernel::acpi::Madt madt = kernel::acpi::parse_madt(*table);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace kernel::acpi {

using Bytes = std::span<const std::byte>;

inline constexpr std::size_t kHeaderBytes = 36;

/// What is wrong with the table at the start of `bytes`, of whatever signature; null if nothing is.
[[nodiscard]] const char* table_problem(Bytes bytes) noexcept;
/// The table at the start of `bytes`, cut to its own length; nothing if signature, length or checksum is wrong.
[[nodiscard]] std::optional<Bytes> checked_table(Bytes bytes, std::string_view signature) noexcept;

struct RootPointer {
    std::uint64_t xsdt = 0; ///< 0 in ACPI 1.0
    std::uint64_t rsdt = 0;
};
[[nodiscard]] std::optional<RootPointer> parse_root_pointer(Bytes bytes) noexcept;

/// Table addresses out of an XSDT (8 bytes each) or RSDT (4 bytes each); `index` from 0, nothing behind the last.
[[nodiscard]] std::optional<std::uint64_t> root_entry(Bytes table, std::size_t index) noexcept;

struct IoApicEntry {
    std::uint32_t address = 0;
    std::uint32_t first_gsi = 0;
};
struct IrqOverride {
    std::uint8_t irq = 0;
    std::uint32_t gsi = 0;
    bool level = false;
    bool active_low = false;
};
struct Madt {
    std::uint64_t local_apic = 0;
    std::array<IoApicEntry, 8> io_apics{};
    std::size_t io_apic_count = 0;
    std::array<IrqOverride, 16> overrides{};
    std::size_t override_count = 0;
    const char* problem = nullptr;            ///< of the first entry that could not be used
    std::size_t processors = 0;               ///< enabled ones
    std::array<std::uint32_t, 64> apic_ids{}; ///< of the first of them
};
[[nodiscard]] Madt parse_madt(Bytes table) noexcept;

/// A register somewhere (generic address structure). Only memory and port space are of use to us.
struct Register {
    enum class Space : std::uint8_t { none, memory, port };
    Space space = Space::none;
    std::uint64_t address = 0;
};

struct Fadt {
    std::uint64_t dsdt = 0;
    std::uint16_t sci_irq = 0;
    std::uint32_t smi_command = 0;
    std::uint8_t acpi_enable = 0;
    Register pm1a_event, pm1b_event, pm1a_control, pm1b_control;
    std::uint8_t pm1_event_bytes = 0;
    Register general_event;               ///< general purpose events, a bit each: what happened, then what interrupts
    std::uint8_t general_event_bytes = 0; ///< of both halves
    Register pm_timer;
    bool pm_timer_32_bits = false;
    Register reset;
    std::uint8_t reset_value = 0;
    Register sleep_control, sleep_status;
    std::uint8_t century_register = 0; ///< of the RTC, 0: none
    bool hardware_reduced = false;
    bool fixed_power_button = false;
};
[[nodiscard]] Fadt parse_fadt(Bytes table) noexcept;

struct SleepTypes {
    std::uint8_t a = 0;
    std::uint8_t b = 0;
};
/// The values of \_S5 in a DSDT or SSDT, found by the pattern of its bytes (there is no AML interpreter here).
[[nodiscard]] std::optional<SleepTypes> find_s5(Bytes table) noexcept;

/// QEMU's generic event device (ACPI0013): where the pending events are read (and thereby cleared), and its interrupt.
struct EventDevice {
    std::uint64_t selector = 0;
    std::uint32_t gsi = 0;
    bool level = false;
    bool active_low = false;
};
inline constexpr std::uint32_t kEventPowerButton = 2;
[[nodiscard]] std::optional<EventDevice> find_event_device(Bytes table) noexcept;

/// One range of PCI Express configuration space (MCFG).
struct ConfigSpace {
    std::uint64_t base = 0;
    std::uint16_t segment = 0;
    std::uint8_t first_bus = 0;
    std::uint8_t last_bus = 0;
};
[[nodiscard]] std::optional<ConfigSpace> config_space(Bytes mcfg, std::size_t index) noexcept;

} // namespace kernel::acpi
