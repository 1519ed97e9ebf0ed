#include "kernel/firmware/acpi_tables.hpp"

#include "kernel/firmware/wire.hpp"

namespace kernel::acpi {
namespace {

constexpr std::uint32_t kFadtFixedButtonAbsent = 1 << 4, kFadtTimer32 = 1 << 8, kFadtReset = 1 << 10, kFadtReduced = 1 << 20;

Register read_register(Bytes table, std::size_t offset) noexcept {
    const auto space = wire_read<std::uint8_t>(table, offset);
    const auto address = wire_read<std::uint64_t>(table, offset + 4);
    if (address == 0) return {};
    if (space == 0) return {Register::Space::memory, address};
    if (space == 1 && address <= 0xffff) return {Register::Space::port, address};
    return {};
}

/// The 64-bit register if it is filled in, else the old 32-bit port number.
Register read_pm_register(Bytes table, std::size_t extended, std::size_t old) noexcept {
    const Register wide = read_register(table, extended);
    if (wide.space != Register::Space::none) return wide;
    const auto port = wire_read<std::uint32_t>(table, old);
    return port != 0 && port <= 0xffff ? Register{Register::Space::port, port} : Register{};
}

/// An AML integer of at most a byte: ZeroOp, OneOp, BytePrefix n. Advances `at`.
std::optional<std::uint8_t> aml_small_integer(Bytes aml, std::size_t& at) noexcept {
    const auto op = wire_read<std::uint8_t>(aml, at);
    if (at >= aml.size()) return std::nullopt;
    ++at;
    if (op == 0x00 || op == 0x01) return op;
    if (op != 0x0a || at >= aml.size()) return std::nullopt;
    return wire_read<std::uint8_t>(aml, at++);
}

/// An AML integer constant of any size.
std::optional<std::uint64_t> aml_integer(Bytes aml, std::size_t at) noexcept {
    switch (wire_read<std::uint8_t>(aml, at)) {
    case 0x0a: return wire_read<std::uint8_t>(aml, at + 1);
    case 0x0b: return wire_read<std::uint16_t>(aml, at + 1);
    case 0x0c: return wire_read<std::uint32_t>(aml, at + 1);
    case 0x0e: return wire_read<std::uint64_t>(aml, at + 1);
    default: return std::nullopt;
    }
}

} // namespace

const char* table_problem(Bytes bytes) noexcept {
    const auto length = wire_read<std::uint32_t>(bytes, 4);
    if (length < kHeaderBytes) return "it is shorter than its own header";
    if (length > bytes.size()) return "it is longer than what is there";
    return sums_to_zero(bytes.first(length)) ? nullptr : "its checksum is wrong";
}

std::optional<Bytes> checked_table(Bytes bytes, std::string_view signature) noexcept {
    if (!wire_starts_with(bytes, 0, signature) || table_problem(bytes) != nullptr) return std::nullopt;
    return bytes.first(wire_read<std::uint32_t>(bytes, 4));
}

std::optional<RootPointer> parse_root_pointer(Bytes bytes) noexcept {
    if (bytes.size() < 20 || !wire_starts_with(bytes, 0, "RSD PTR ") || !sums_to_zero(bytes.first(20))) return std::nullopt;
    RootPointer root{0, wire_read<std::uint32_t>(bytes, 16)};
    // From revision 2 on there is a longer structure with a checksum of its own; if that is wrong the short one still stands.
    if (wire_read<std::uint8_t>(bytes, 15) >= 2) {
        const auto length = wire_read<std::uint32_t>(bytes, 20);
        if (length >= 33 && length <= bytes.size() && sums_to_zero(bytes.first(length))) root.xsdt = wire_read<std::uint64_t>(bytes, 24);
    }
    if (root.xsdt == 0 && root.rsdt == 0) return std::nullopt;
    return root;
}

std::optional<std::uint64_t> root_entry(Bytes table, std::size_t index) noexcept {
    const bool wide = wire_starts_with(table, 0, "XSDT");
    const std::size_t size = wide ? 8 : 4;
    if (table.size() < kHeaderBytes || index >= (table.size() - kHeaderBytes) / size) return std::nullopt;
    const std::size_t offset = kHeaderBytes + index * size;
    return wide ? wire_read<std::uint64_t>(table, offset) : wire_read<std::uint32_t>(table, offset);
}

Madt parse_madt(Bytes table) noexcept {
    Madt madt;
    const auto add_processor = [&madt](std::uint32_t id) {
        if (madt.processors < madt.apic_ids.size()) madt.apic_ids[madt.processors] = id;
        ++madt.processors;
    };
    madt.local_apic = wire_read<std::uint32_t>(table, 36);
    for (std::size_t at = 44; at + 2 <= table.size();) {
        const auto type = wire_read<std::uint8_t>(table, at), length = wire_read<std::uint8_t>(table, at + 1);
        if (length < 2 || length > table.size() - at) {
            madt.problem = "an entry's length is nonsense: it and what follows are left out";
            break;
        }
        const Bytes entry = table.subspan(at, length);
        at += length;
        switch (type) {
        case 0: // local APIC
            if (length >= 8 && (wire_read<std::uint32_t>(entry, 4) & 1) != 0) add_processor(wire_read<std::uint8_t>(entry, 3));
            break;
        case 9: // local x2APIC
            if (length >= 16 && (wire_read<std::uint32_t>(entry, 8) & 1) != 0) add_processor(wire_read<std::uint32_t>(entry, 4));
            break;
        case 1: // I/O APIC
            if (madt.io_apic_count == madt.io_apics.size()) madt.problem = "more I/O APICs than can be kept";
            if (length >= 12 && madt.io_apic_count < madt.io_apics.size())
                madt.io_apics[madt.io_apic_count++] = {wire_read<std::uint32_t>(entry, 4), wire_read<std::uint32_t>(entry, 8)};
            break;
        case 2: { // interrupt source override
            if (length < 10 || madt.override_count >= madt.overrides.size()) break;
            const auto flags = wire_read<std::uint16_t>(entry, 8);
            // Two bits each; 3 is low and level, 0 means as the bus does it: ISA is edge and high.
            madt.overrides[madt.override_count++] = {wire_read<std::uint8_t>(entry, 3), wire_read<std::uint32_t>(entry, 4),
                                                     (flags >> 2 & 3) == 3, (flags & 3) == 3};
            break;
        }
        case 5: // local APIC address override
            if (length >= 12) madt.local_apic = wire_read<std::uint64_t>(entry, 4);
            break;
        default: break;
        }
    }
    return madt;
}

Fadt parse_fadt(Bytes table) noexcept {
    Fadt fadt;
    const auto flags = wire_read<std::uint32_t>(table, 112);
    fadt.hardware_reduced = (flags & kFadtReduced) != 0;
    fadt.dsdt = wire_read<std::uint64_t>(table, 140);
    if (fadt.dsdt == 0) fadt.dsdt = wire_read<std::uint32_t>(table, 40);
    fadt.century_register = wire_read<std::uint8_t>(table, 108);
    if ((flags & kFadtReset) != 0) {
        fadt.reset = read_register(table, 116);
        fadt.reset_value = wire_read<std::uint8_t>(table, 128);
    }
    if (fadt.hardware_reduced) {
        fadt.sleep_control = read_register(table, 244);
        fadt.sleep_status = read_register(table, 256);
        return fadt;
    }
    fadt.sci_irq = wire_read<std::uint16_t>(table, 46);
    fadt.smi_command = wire_read<std::uint32_t>(table, 48);
    fadt.acpi_enable = wire_read<std::uint8_t>(table, 52);
    fadt.pm1a_event = read_pm_register(table, 148, 56);
    fadt.pm1b_event = read_pm_register(table, 160, 60);
    fadt.pm1a_control = read_pm_register(table, 172, 64);
    fadt.pm1b_control = read_pm_register(table, 184, 68);
    fadt.pm1_event_bytes = wire_read<std::uint8_t>(table, 88);
    fadt.general_event = read_pm_register(table, 220, 80);
    fadt.general_event_bytes = wire_read<std::uint8_t>(table, 92);
    fadt.pm_timer = read_pm_register(table, 208, 76);
    fadt.pm_timer_32_bits = (flags & kFadtTimer32) != 0;
    fadt.fixed_power_button = (flags & kFadtFixedButtonAbsent) == 0 && fadt.pm1_event_bytes >= 4;
    return fadt;
}

std::optional<SleepTypes> find_s5(Bytes table) noexcept {
    for (std::size_t at = kHeaderBytes; at + 8 <= table.size(); ++at) {
        if (table[at] != std::byte{'_'} || !wire_starts_with(table, at, "_S5_")) continue;
        // NameOp before it (perhaps with a root prefix between), PackageOp, package length of 1..4 bytes, element count behind it.
        const auto before = wire_read<std::uint8_t>(table, at - 1), two_before = wire_read<std::uint8_t>(table, at - 2);
        if (before != 0x08 && !(before == '\\' && two_before == 0x08)) continue;
        std::size_t next = at + 4;
        if (wire_read<std::uint8_t>(table, next) != 0x12) continue;
        next += 2 + (wire_read<std::uint8_t>(table, next + 1) >> 6);
        if (wire_read<std::uint8_t>(table, next) < 1) continue;
        ++next;
        const auto a = aml_small_integer(table, next);
        if (!a || *a > 7) continue;
        const auto b = aml_small_integer(table, next);
        return SleepTypes{*a, b && *b <= 7 ? *b : std::uint8_t{0}};
    }
    return std::nullopt;
}

std::optional<EventDevice> find_event_device(Bytes table) noexcept {
    std::size_t at = kHeaderBytes;
    while (at < table.size() && (table[at] != std::byte{'A'} || !wire_starts_with(table, at, "ACPI0013"))) ++at;
    if (at >= table.size()) return std::nullopt;
    // The device's own declarations stand close behind its _HID; the limit keeps us out of the next device's.
    const Bytes device = table.subspan(at, table.size() - at < 256 ? table.size() - at : 256);
    EventDevice found;
    bool has_interrupt = false;
    for (std::size_t i = 8; i < device.size(); ++i) {
        const auto byte = wire_read<std::uint8_t>(device, i);
        // Extended interrupt descriptor: 89, length, flags, count, numbers (ACPI 6.5, 6.4.3.6).
        if (!has_interrupt && byte == 0x89 && wire_read<std::uint16_t>(device, i + 1) >= 6 && wire_read<std::uint8_t>(device, i + 4) == 1) {
            const auto flags = wire_read<std::uint8_t>(device, i + 3);
            found.level = (flags & 2) == 0;
            found.active_low = (flags & 4) != 0;
            found.gsi = wire_read<std::uint32_t>(device, i + 5);
            has_interrupt = true;
        }
        // OperationRegion(EREG, SystemMemory, address, length): 5b 80, name, 00, integer. Other hypervisors' event devices have
        // registers of another meaning under other names.
        if (byte == 0x5b &&
            wire_starts_with(device, i + 1,
                             "\x80"
                             "EREG") &&
            wire_read<std::uint8_t>(device, i + 6) == 0x00)
            if (const auto address = aml_integer(device, i + 7); address && found.selector == 0) found.selector = *address;
    }
    if (!has_interrupt || found.selector == 0 || found.selector % 4 != 0) return std::nullopt;
    return found;
}

std::optional<ConfigSpace> config_space(Bytes mcfg, std::size_t index) noexcept {
    constexpr std::size_t kFirst = 44, kSize = 16;
    if (mcfg.size() < kFirst || index >= (mcfg.size() - kFirst) / kSize) return std::nullopt;
    const std::size_t at = kFirst + index * kSize;
    const ConfigSpace space{wire_read<std::uint64_t>(mcfg, at), wire_read<std::uint16_t>(mcfg, at + 8),
                            wire_read<std::uint8_t>(mcfg, at + 10), wire_read<std::uint8_t>(mcfg, at + 11)};
    if (space.base == 0 || space.last_bus < space.first_bus) return std::nullopt;
    return space;
}

} // namespace kernel::acpi
