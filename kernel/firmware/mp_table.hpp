// The MultiProcessor table (Intel MP specification 1.4): what machines without ACPI have (QEMU's microvm with acpi=off).
// Pure functions over bytes, as hostile as any. Any context.
//
//     auto table = kernel::mp::parse(bytes);            // nothing if signature, length or checksum is wrong
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace kernel::mp {

struct IoApic {
    std::uint8_t id = 0;
    std::uint32_t address = 0;
};

/// An ISA interrupt and the I/O APIC input that it is wired to.
struct IsaInterrupt {
    std::uint8_t irq = 0;
    std::uint8_t io_apic = 0;
    std::uint8_t input = 0;
    bool level = false;
    bool active_low = false;
};

struct Table {
    std::array<IoApic, 8> io_apics{};
    std::size_t io_apic_count = 0;
    std::array<IsaInterrupt, 32> interrupts{};
    std::size_t interrupt_count = 0;
    std::size_t processors = 0;              ///< enabled ones
    std::array<std::uint8_t, 64> apic_ids{}; ///< of the first of them
};

/// The configuration table's address out of a floating pointer structure; 0 if it has none (default configurations).
[[nodiscard]] std::uint32_t configuration_address(std::span<const std::byte> floating_pointer) noexcept;
/// The length that a configuration table's header gives, 0 if it is not one; `bytes` needs to hold the header only.
[[nodiscard]] std::size_t configuration_length(std::span<const std::byte> bytes) noexcept;
[[nodiscard]] std::optional<Table> parse(std::span<const std::byte> bytes) noexcept;

} // namespace kernel::mp
