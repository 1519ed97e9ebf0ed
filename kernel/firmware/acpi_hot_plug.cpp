#include "kernel/firmware/acpi_hot_plug.hpp"

#include "kernel/firmware/wire.hpp"

namespace kernel::acpi {
namespace {

constexpr std::uint8_t kName = 0x08, kBuffer = 0x11, kExtended = 0x5b, kRegion = 0x80, kDevice = 0x82, kPorts = 0x01;

std::uint8_t byte_at(Bytes table, std::size_t at) noexcept { return wire_read<std::uint8_t>(table, at); }

/// A constant of AML (ACPI 6.5, 20.2.3); `at` moves behind it.
std::optional<std::uint64_t> take_integer(Bytes table, std::size_t& at) noexcept {
    const std::uint8_t prefix = byte_at(table, at);
    const std::size_t width = prefix == 0x0a ? 1 : prefix == 0x0b ? 2 : prefix == 0x0c ? 4 : prefix == 0x0e ? 8 : 0;
    if (at >= table.size() || width >= table.size() - at) return std::nullopt;
    ++at;
    if (prefix == 0x00 || prefix == 0x01) return prefix;
    if (width == 0) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < width; ++i) value |= std::uint64_t{byte_at(table, at + i)} << (8 * i);
    at += width;
    return value;
}

/// A package length (20.2.4): the end of what begins at `at`, which moves behind the length itself.
std::optional<std::size_t> take_end(Bytes table, std::size_t& at) noexcept {
    const std::size_t start = at;
    if (start >= table.size()) return std::nullopt;
    const std::uint8_t lead = byte_at(table, at);
    const unsigned more = lead >> 6;
    if (more >= table.size() - start) return std::nullopt;
    std::size_t length = more == 0 ? lead & 0x3fu : lead & 0x0fu;
    for (unsigned i = 0; i < more; ++i) length |= std::size_t{byte_at(table, start + 1 + i)} << (4 + 8 * i);
    at = start + 1 + more;
    if (length < 1 + more || length > table.size() - start) return std::nullopt;
    return start + length;
}

/// OperationRegion(name, SystemIO, port, length).
std::optional<std::uint16_t> region_at(Bytes table, std::size_t at, std::string_view name, std::uint64_t length) noexcept {
    if (byte_at(table, at) != kExtended || byte_at(table, at + 1) != kRegion || !wire_starts_with(table, at + 2, name) ||
        byte_at(table, at + 6) != kPorts)
        return std::nullopt;
    std::size_t next = at + 7;
    const auto port = take_integer(table, next);
    const auto bytes = port ? take_integer(table, next) : std::nullopt;
    if (!bytes || *bytes != length || *port == 0 || *port % 4 != 0 || *port > 0xffff - 0x18) return std::nullopt;
    return static_cast<std::uint16_t>(*port);
}

std::optional<std::uint16_t> find_region(Bytes table, std::string_view name, std::uint64_t length) noexcept {
    for (std::size_t at = kHeaderBytes; at + 8 < table.size(); ++at)
        if (const auto port = region_at(table, at, name, length)) return port;
    return std::nullopt;
}

/// Device(name) { Name(_ADR, address) ...: its extent and address.
struct BridgeScope {
    std::size_t end = 0;
    HotPlugBus::Bridge bridge;
};
std::optional<BridgeScope> scope_at(Bytes table, std::size_t at) noexcept {
    if (byte_at(table, at) != kExtended || byte_at(table, at + 1) != kDevice) return std::nullopt;
    std::size_t next = at + 2;
    const auto end = take_end(table, next);
    if (!end || byte_at(table, next + 4) != kName || !wire_starts_with(table, next + 5, "_ADR")) return std::nullopt;
    next += 9;
    const auto address = take_integer(table, next);
    if (!address || next > *end) return std::nullopt;
    const std::uint64_t device = *address >> 16, function = *address & 0xffff;
    if (device > 31 || function > 7) return std::nullopt;
    return BridgeScope{*end, {static_cast<std::uint8_t>(device), static_cast<std::uint8_t>(function)}};
}

} // namespace

std::optional<std::uint16_t> find_hot_plug_ports(Bytes dsdt) noexcept {
    const auto status = find_region(dsdt, "PCST", 8);
    const auto eject = find_region(dsdt, "SEJ_", 4);
    const auto selector = find_region(dsdt, "BNMR", 8);
    if (!status || !eject || *eject != *status + kHotPlugEject || !selector || *selector != *status + kHotPlugSelector) return std::nullopt;
    return status;
}

HotPlugBuses find_hot_plug_buses(Bytes dsdt) noexcept {
    HotPlugBuses found;
    std::array<BridgeScope, HotPlugBus::kMostBridges> inside{};
    std::size_t depth = 0;
    std::size_t too_deep_until = 0;
    for (std::size_t at = kHeaderBytes; at + 6 < dsdt.size(); ++at) {
        while (depth != 0 && at >= inside[depth - 1].end) --depth;
        if (const auto scope = scope_at(dsdt, at)) {
            // What claims to reach beyond the device that it stands in is no device.
            if (depth != 0 && scope->end > inside[depth - 1].end) continue;
            if (depth == inside.size())
                too_deep_until = scope->end;
            else
                inside[depth++] = *scope;
            continue;
        }
        if (byte_at(dsdt, at) != kName || !wire_starts_with(dsdt, at + 1, "BSEL") || at < too_deep_until) continue;
        std::size_t next = at + 5;
        const auto selector = take_integer(dsdt, next);
        if (!selector || *selector > 0xffff || found.count == found.buses.size()) continue;
        HotPlugBus& bus = found.buses[found.count++];
        bus.selector = static_cast<std::uint32_t>(*selector);
        bus.bridges = depth;
        for (std::size_t i = 0; i < depth; ++i) bus.path[i] = inside[i].bridge;
    }
    return found;
}

std::optional<HostBridgeWindows> find_host_bridge_windows(Bytes dsdt) noexcept {
    std::size_t budget = std::size_t{4} << 20; // bytes of lists, which may overlap
    for (std::size_t at = kHeaderBytes; at + 12 < dsdt.size(); ++at) {
        if (byte_at(dsdt, at) != kName || !wire_starts_with(dsdt, at + 1, "_CRS") || byte_at(dsdt, at + 5) != kBuffer) continue;
        std::size_t next = at + 6;
        const auto end = take_end(dsdt, next);
        const auto size = end ? take_integer(dsdt, next) : std::nullopt;
        if (!size || next > *end || *size > *end - next) continue;
        const Bytes list = dsdt.subspan(next, static_cast<std::size_t>(*size));
        if (list.size() > budget) return std::nullopt;
        budget -= list.size();
        HostBridgeWindows windows;
        bool has_first_bus = false;
        for (std::size_t i = 0; i < list.size();) {
            const std::uint8_t tag = byte_at(list, i);
            const std::size_t bytes =
                (tag & 0x80) != 0 ? 3 + std::size_t{wire_read<std::uint16_t>(list, i + 1)} : 1 + std::size_t{tag & 7u};
            if (bytes > list.size() - i || tag == 0x79) break; // cut off, or the end tag
            const Bytes entry = list.subspan(i, bytes);
            i += bytes;
            const std::uint8_t type = byte_at(entry, 3);
            if (tag == 0x88 && bytes >= 16) { // words: type, flags, specific flags, granularity, minimum, maximum, translation, length
                const std::uint32_t first = wire_read<std::uint16_t>(entry, 8), count = wire_read<std::uint16_t>(entry, 14);
                if (type == 2 && first == 0) has_first_bus = true;
                if (type == 1 && count > windows.port_count && first + count <= 0x1'0000) windows.ports = first, windows.port_count = count;
            }
            if (tag == 0x87 && bytes >= 26 && type == 0) { // double words
                const std::uint64_t first = wire_read<std::uint32_t>(entry, 10), length = wire_read<std::uint32_t>(entry, 22);
                const bool translated = wire_read<std::uint32_t>(entry, 18) != 0;
                if (!translated && first >= 0x10'0000 && length > windows.memory_bytes && first + length <= 0x1'0000'0000)
                    windows.memory = first, windows.memory_bytes = length;
            }
        }
        // Only host bridges have buses among their resources, and expanders (pxb), which QEMU writes first, do not have bus 0.
        if (has_first_bus) return windows;
    }
    return std::nullopt;
}

} // namespace kernel::acpi
