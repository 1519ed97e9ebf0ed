#include "kernel/firmware/mp_table.hpp"

#include "kernel/firmware/wire.hpp"

namespace kernel::mp {
namespace {

constexpr std::size_t kHeaderBytes = 44;
constexpr std::uint8_t kProcessor = 0, kBus = 1, kIoApic = 2, kInterrupt = 3, kLocalInterrupt = 4;

} // namespace

std::uint32_t configuration_address(std::span<const std::byte> floating_pointer) noexcept {
    if (!wire_starts_with(floating_pointer, 0, "_MP_")) return 0;
    return wire_read<std::uint32_t>(floating_pointer, 4);
}

std::size_t configuration_length(std::span<const std::byte> bytes) noexcept {
    if (!wire_starts_with(bytes, 0, "PCMP")) return 0;
    const std::size_t length = wire_read<std::uint16_t>(bytes, 4);
    return length >= kHeaderBytes ? length : 0;
}

std::optional<Table> parse(std::span<const std::byte> bytes) noexcept {
    const std::size_t length = configuration_length(bytes);
    if (length == 0 || length > bytes.size()) return std::nullopt;
    const auto table = bytes.first(length);
    if (!sums_to_zero(table)) return std::nullopt;

    Table found;
    // Buses come before the interrupts that name them (the table is sorted by entry type).
    std::array<bool, 256> is_isa{};
    // The length bounds the walk, not the count of entries: qboot (QEMU's firmware for microvm) leaves that 0.
    for (std::size_t at = kHeaderBytes; at < table.size();) {
        const auto type = wire_read<std::uint8_t>(table, at);
        if (type > kLocalInterrupt) break; // an unknown entry has an unknown length
        const std::size_t size = type == kProcessor ? 20 : 8;
        if (size > table.size() - at) break;
        const auto entry = table.subspan(at, size);
        at += size;
        switch (type) {
        case kProcessor:
            if ((wire_read<std::uint8_t>(entry, 3) & 1) == 0) break;
            if (found.processors < found.apic_ids.size()) found.apic_ids[found.processors] = wire_read<std::uint8_t>(entry, 1);
            ++found.processors;
            break;
        case kBus: is_isa[wire_read<std::uint8_t>(entry, 1)] = wire_starts_with(entry, 2, "ISA"); break;
        case kIoApic:
            if ((wire_read<std::uint8_t>(entry, 3) & 1) != 0 && found.io_apic_count < found.io_apics.size())
                found.io_apics[found.io_apic_count++] = {wire_read<std::uint8_t>(entry, 1), wire_read<std::uint32_t>(entry, 4)};
            break;
        case kInterrupt: {
            // Type 0 is an ordinary vectored interrupt.
            if (wire_read<std::uint8_t>(entry, 1) != 0 || !is_isa[wire_read<std::uint8_t>(entry, 4)]) break;
            if (found.interrupt_count >= found.interrupts.size()) break;
            const auto flags = wire_read<std::uint16_t>(entry, 2);
            found.interrupts[found.interrupt_count++] = {wire_read<std::uint8_t>(entry, 5), wire_read<std::uint8_t>(entry, 6),
                                                         wire_read<std::uint8_t>(entry, 7), (flags >> 2 & 3) == 3, (flags & 3) == 3};
            break;
        }
        default: break;
        }
    }
    return found;
}

} // namespace kernel::mp
