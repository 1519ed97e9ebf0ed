#include "kernel/firmware/acpi_mmio.hpp"

#include "kernel/firmware/wire.hpp"

namespace kernel::acpi {
namespace {

constexpr std::string_view kHardwareId = "LNRO0005";
// AML, ACPI 6.5, 20.2.
constexpr std::uint8_t kName = 0x08, kString = 0x0d, kBuffer = 0x11, kExtended = 0x5b, kDevice = 0x82;
// "Name (_HID, "" before the text.
constexpr std::size_t kBeforeHardwareId = 6;
// Between the start of a device object and its _HID: the package's length, the name, and whatever other names a firmware puts first.
constexpr std::size_t kFurthestHardwareId = 256;

std::uint8_t byte_at(Bytes bytes, std::size_t offset) noexcept { return wire_read<std::uint8_t>(bytes, offset); }

/// Where the text stands next, from `at` on; the size of the bytes if nowhere. Looks at every eighth byte only, as long as it is
/// none of the text's own (Horspool).
std::size_t next_hardware_id(Bytes bytes, std::size_t at) noexcept {
    for (at += 7; at < bytes.size();) {
        switch (static_cast<char>(bytes[at])) {
        case '5':
            if (wire_starts_with(bytes, at - 7, kHardwareId)) return at - 7;
            at += 8;
            break;
        case '0': at += 1; break;
        case 'O': at += 4; break;
        case 'R': at += 5; break;
        case 'N': at += 6; break;
        case 'L': at += 7; break;
        default: at += 8; break;
        }
    }
    return bytes.size();
}

/// A package length (20.2.4) at `at`: what it encloses behind itself; empty if that is not all there. Advances `at` behind it.
Bytes package(Bytes bytes, std::size_t& at) noexcept {
    if (at >= bytes.size()) return {};
    const std::size_t begin = at, more = byte_at(bytes, at) >> 6;
    if (bytes.size() - begin < more + 1) return {};
    std::size_t length = more == 0 ? byte_at(bytes, begin) & 0x3f : byte_at(bytes, begin) & 0x0f;
    for (std::size_t i = 0; i < more; ++i) length |= std::size_t{byte_at(bytes, begin + 1 + i)} << (4 + 8 * i);
    at += more + 1;
    if (length < more + 1 || length > bytes.size() - begin) return {};
    return bytes.subspan(at, length - (more + 1));
}

constexpr bool is_name_character(std::uint8_t c) noexcept { return (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9'); }

/// Whether an object's name can stand here: four characters, perhaps with prefixes before them.
bool starts_with_name(Bytes bytes) noexcept {
    std::size_t at = 0;
    while (at < bytes.size() && (byte_at(bytes, at) == '\\' || byte_at(bytes, at) == '^')) ++at;
    if (byte_at(bytes, at) == 0x2e) ++at;    // two names
    if (byte_at(bytes, at) == 0x2f) at += 2; // a counted number of them
    for (std::size_t i = 0; i < 4; ++i)
        if (!is_name_character(byte_at(bytes, at + i))) return false;
    return !(byte_at(bytes, at) >= '0' && byte_at(bytes, at) <= '9');
}

/// What the nearest device object around `inside` encloses; empty if there is none.
Bytes device_around(Bytes table, std::size_t inside) noexcept {
    const std::size_t furthest = inside > kFurthestHardwareId + kHeaderBytes ? inside - kFurthestHardwareId : kHeaderBytes;
    for (std::size_t start = inside; start-- > furthest;) {
        if (byte_at(table, start) != kExtended || byte_at(table, start + 1) != kDevice) continue;
        std::size_t at = start + 2;
        const Bytes body = package(table, at);
        if (starts_with_name(body) && at <= inside && inside + kHardwareId.size() < at + body.size()) return body;
    }
    return {};
}

/// What follows "Name (TEXT, " in a device; empty if nothing does.
Bytes named(Bytes device, std::string_view text) noexcept {
    for (std::size_t at = 1; at + 4 < device.size(); ++at)
        if (byte_at(device, at - 1) == kName && wire_starts_with(device, at, text)) return device.subspan(at + 4);
    return {};
}

/// An integer constant at the start of the bytes, and its length; at most 32 bits wide.
std::optional<std::uint32_t> integer(Bytes bytes, std::size_t& length) noexcept {
    const auto sized = [&](std::size_t size) {
        length = 1 + size;
        return bytes.size() >= length;
    };
    switch (byte_at(bytes, 0)) {
    case 0x00: return sized(0) ? std::optional<std::uint32_t>(0) : std::nullopt;
    case 0x01: return sized(0) ? std::optional<std::uint32_t>(1) : std::nullopt;
    case 0x0a: return sized(1) ? std::optional<std::uint32_t>(byte_at(bytes, 1)) : std::nullopt;
    case 0x0b: return sized(2) ? std::optional<std::uint32_t>(wire_read<std::uint16_t>(bytes, 1)) : std::nullopt;
    case 0x0c: return sized(4) ? std::optional<std::uint32_t>(wire_read<std::uint32_t>(bytes, 1)) : std::nullopt;
    default: return std::nullopt;
    }
}

/// The resource template in "Name (_CRS, Buffer (size) {...})"; empty if it is not one.
Bytes resources_of(Bytes device) noexcept {
    const Bytes value = named(device, "_CRS");
    if (byte_at(value, 0) != kBuffer) return {};
    std::size_t at = 1, length = 0;
    const Bytes buffer = package(value, at);
    const auto size = integer(buffer, length);
    if (!size || *size > buffer.size() - length) return {};
    return buffer.subspan(length, *size);
}

/// Reads a resource template (6.4) to its end tag: one fixed block of memory, one interrupt.
std::optional<MmioDevice> read_resources(Bytes resources) noexcept {
    constexpr std::uint8_t kEndTag = 0x0f, kFixedMemory = 0x86, kInterrupt = 0x89;
    MmioDevice device;
    bool has_interrupt = false;
    for (std::size_t at = 0; at < resources.size();) {
        const std::uint8_t type = byte_at(resources, at);
        if ((type & 0x80) == 0) { // a small item: its length is in the type
            if ((type >> 3 & 0x0f) == kEndTag) {
                if (!has_interrupt || device.size == 0) return std::nullopt;
                return device;
            }
            at += std::size_t{1} + (type & 7U);
            continue;
        }
        if (resources.size() - at < 3) return std::nullopt;
        const std::size_t length = wire_read<std::uint16_t>(resources, at + 1);
        if (length > resources.size() - at - 3) return std::nullopt;
        const Bytes item = resources.subspan(at + 3, length);
        at += 3 + length;
        if (type == kFixedMemory && length >= 9 && device.size == 0) {
            device.base = wire_read<std::uint32_t>(item, 1);
            device.size = wire_read<std::uint32_t>(item, 5);
        }
        if (type == kInterrupt && length >= 6 && !has_interrupt && byte_at(item, 1) >= 1) {
            device.level = (byte_at(item, 0) & 2) == 0;
            device.active_low = (byte_at(item, 0) & 4) != 0;
            device.gsi = wire_read<std::uint32_t>(item, 2);
            has_interrupt = true;
        }
    }
    return std::nullopt; // no end
}

} // namespace

bool mentions_mmio_devices(Bytes table) noexcept { return next_hardware_id(table, 0) < table.size(); }

MmioDevices find_mmio_devices(Bytes table, std::span<MmioDevice> into) noexcept {
    MmioDevices result;
    constexpr std::size_t kMostUseless = 64; // then the table makes no sense
    // Bytes of devices that are searched. Those of an honest table do not overlap, and no table is longer than 1 MiB.
    std::size_t budget = std::size_t{4} << 20;
    std::size_t at = kHeaderBytes;
    while (result.unusable + result.left_out < kMostUseless && (at = next_hardware_id(table, at)) < table.size()) {
        const std::size_t text = at;
        at += kHardwareId.size();
        // Only as a device's hardware id: the text may also stand in a list of compatible ones or anywhere else.
        if (text < kHeaderBytes + kBeforeHardwareId || byte_at(table, text - kBeforeHardwareId) != kName ||
            !wire_starts_with(table, text - kBeforeHardwareId + 1, "_HID") || byte_at(table, text - 1) != kString || at >= table.size() ||
            byte_at(table, at) != 0)
            continue;
        const Bytes device = device_around(table, text);
        if (device.size() > budget) {
            ++result.unusable; // nor is anything behind it
            break;
        }
        budget -= device.size();
        std::size_t length = 0;
        if (const auto status = integer(named(device, "_STA"), length); status && (*status & 1) == 0) continue;
        const auto found = read_resources(resources_of(device));
        if (!found)
            ++result.unusable;
        else if (result.found == into.size())
            ++result.left_out;
        else
            into[result.found++] = *found;
    }
    return result;
}

} // namespace kernel::acpi
