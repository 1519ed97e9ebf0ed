#include "kernel/firmware/acpi.hpp"

#include "kernel/boot_info.hpp"
#include "kernel/firmware/problems.hpp"
#include "kernel/firmware/wire.hpp"
#include "kernel/memory/address_space.hpp"

namespace kernel {
namespace {

// No table that we read is longer; a length beyond it is nonsense that would only cost page tables.
constexpr std::size_t kLongestTable = 1 << 20;

std::optional<acpi::Bytes> bytes_at(std::uint64_t address, std::size_t size) {
    const auto mapped = address != 0 ? map_firmware(address, size) : virtio::fail(virtio::Error::invalid_argument);
    if (!mapped) return std::nullopt;
    return acpi::Bytes(static_cast<const std::byte*>(*mapped), size);
}

} // namespace

std::optional<acpi::Bytes> acpi::map_table(std::uint64_t address, std::string_view signature) {
    const auto header = bytes_at(address, kHeaderBytes);
    if (!header || !wire_starts_with(*header, 0, signature)) return std::nullopt;
    const std::size_t length = wire_read<std::uint32_t>(*header, 4);
    const auto bytes = length >= kHeaderBytes && length <= kLongestTable ? bytes_at(address, length) : std::nullopt;
    if (!bytes) note_firmware_problem(signature, address, "its length is nonsense: it is not used");
    return bytes;
}

namespace {

std::optional<acpi::Bytes> checked_table_at(std::uint64_t address, std::string_view signature) {
    const auto bytes = acpi::map_table(address, signature);
    if (!bytes) return std::nullopt;
    if (const char* problem = acpi::table_problem(*bytes)) note_firmware_problem(signature, address, problem);
    return acpi::checked_table(*bytes, signature);
}

} // namespace

std::optional<acpi::Bytes> acpi::find_table(std::string_view signature, std::size_t index) {
    constexpr std::size_t kRootPointerBytes = 36;
    if (boot_info().rsdp == 0) return std::nullopt;
    const auto pointer = bytes_at(boot_info().rsdp, kRootPointerBytes);
    const auto root = pointer ? parse_root_pointer(*pointer) : std::nullopt;
    if (!root) {
        note_firmware_problem("RSD PTR", boot_info().rsdp, "it cannot be read, or its checksum is wrong: there is no ACPI");
        return std::nullopt;
    }
    auto list = root->xsdt != 0 ? checked_table_at(root->xsdt, "XSDT") : std::nullopt;
    if (!list && root->rsdt != 0) list = checked_table_at(root->rsdt, "RSDT");
    if (!list) return std::nullopt;
    for (std::size_t i = 0;; ++i) {
        const auto address = root_entry(*list, i);
        if (!address) return std::nullopt;
        if (const auto table = checked_table_at(*address, signature); table && index-- == 0) return table;
    }
}

std::optional<mp::Table> mp::find_table() {
    constexpr std::size_t kPointerBytes = 16, kHeaderBytes = 44;
    if (boot_info().mp_table == 0) return std::nullopt;
    const auto pointer = bytes_at(boot_info().mp_table, kPointerBytes);
    if (!pointer) return std::nullopt;
    const std::uint32_t address = configuration_address(*pointer);
    const auto header = address != 0 ? bytes_at(address, kHeaderBytes) : std::nullopt;
    const std::size_t length = header ? configuration_length(*header) : 0;
    const auto bytes = length != 0 ? bytes_at(address, length) : std::nullopt;
    const auto table = bytes ? parse(*bytes) : std::nullopt;
    if (!table) note_firmware_problem("MP table", address, "its signature, length or checksum is wrong: it is not used");
    return table;
}

} // namespace kernel
