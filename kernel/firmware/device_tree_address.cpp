// Addresses in a device tree: "reg" of a node, "ranges" of the buses above it (Devicetree Specification 0.4, 2.3.6 and 2.3.8).
#include "kernel/firmware/device_tree.hpp"
#include "kernel/firmware/wire.hpp"

namespace kernel {
namespace {

// What the specification says where a bus does not.
constexpr std::uint32_t kUsualAddressCells = 2, kUsualSizeCells = 1;
// A PCI host's addresses: a cell of flags, two of address.
constexpr std::uint32_t kPciAddressCells = 3;

struct Cells {
    std::uint32_t address = 0;
    std::uint32_t size = 0;
};

/// The lengths of its children's addresses and sizes; nothing if they are not of a kind that we can read.
std::optional<Cells> cells_of(const TreeNode& bus) noexcept {
    const Cells cells{bus.cell("#address-cells").value_or(kUsualAddressCells), bus.cell("#size-cells").value_or(kUsualSizeCells)};
    if (cells.address > kPciAddressCells || cells.size > 2) return std::nullopt;
    return cells;
}

/// A number of 0, 1 or 2 cells.
std::uint64_t read_cells(std::span<const std::byte> bytes, std::size_t offset, std::uint32_t count) noexcept {
    if (count == 0) return 0;
    return count == 1 ? wire_read_big<std::uint32_t>(bytes, offset) : wire_read_big<std::uint64_t>(bytes, offset);
}

constexpr bool ends_beyond(std::uint64_t base, std::uint64_t size) noexcept { return size != 0 && base + (size - 1) < base; }

} // namespace

std::optional<TreeRange> TreeNode::reg_untranslated(std::size_t index) const noexcept {
    const auto bus = parent();
    const auto value = property("reg");
    const auto cells = bus ? cells_of(*bus) : std::nullopt;
    if (!value || !cells || cells->address > 2) return std::nullopt;
    const std::size_t entry = std::size_t{4} * (cells->address + cells->size);
    if (entry == 0 || index >= value->size() / entry) return std::nullopt;
    return TreeRange{read_cells(*value, index * entry, cells->address),
                     read_cells(*value, index * entry + std::size_t{4} * cells->address, cells->size)};
}

std::optional<TreeRange> TreeNode::reg(std::size_t index) const noexcept {
    const auto range = reg_untranslated(index);
    if (!range || ends_beyond(range->base, range->size)) return std::nullopt;
    const auto base = parent()->translate(range->base, range->size);
    if (!base || ends_beyond(*base, range->size)) return std::nullopt;
    return TreeRange{*base, range->size};
}

/// A block of this bus's addresses as physical ones.
std::optional<std::uint64_t> TreeNode::translate(std::uint64_t address, std::uint64_t size) const noexcept {
    TreeNode bus = *this;
    while (const auto above = bus.parent()) {
        const auto ranges = bus.property("ranges");
        if (!ranges) return std::nullopt; // what is on this bus cannot be reached from above
        if (!ranges->empty()) {
            const auto child = cells_of(bus), parent = cells_of(*above);
            if (!child || !parent || child->address > 2 || parent->address > 2) return std::nullopt;
            const std::size_t entry = std::size_t{4} * (child->address + parent->address + child->size);
            bool found = false;
            for (std::size_t at = 0; entry != 0 && !found && entry <= ranges->size() - at; at += entry) {
                const std::uint64_t from = read_cells(*ranges, at, child->address);
                const std::uint64_t to = read_cells(*ranges, at + std::size_t{4} * child->address, parent->address);
                const std::uint64_t length = read_cells(*ranges, at + std::size_t{4} * (child->address + parent->address), child->size);
                found = address >= from && address - from <= length && size <= length - (address - from);
                if (found) address = to + (address - from);
            }
            if (!found) return std::nullopt;
        }
        bus = *above;
    }
    return address;
}

std::optional<TreePciRange> TreeNode::pci_range(std::size_t index) const noexcept {
    const auto above = parent();
    const auto ranges = property("ranges");
    if (!ranges || !above) return std::nullopt;
    const auto child = cells_of(*this), outer = cells_of(*above);
    if (!child || !outer || child->address != kPciAddressCells || outer->address > 2) return std::nullopt;
    const std::size_t entry = std::size_t{4} * (child->address + outer->address + child->size);
    if (index >= ranges->size() / entry) return std::nullopt;
    const std::size_t at = index * entry;
    // phys.hi, PCI Bus Binding to IEEE 1275, 2.2.1.1: bits 25-24 are the space, bit 30 says prefetchable.
    const std::uint32_t flags = static_cast<std::uint32_t>(read_cells(*ranges, at, 1));
    TreePciRange range;
    range.space = static_cast<TreePciRange::Space>(flags >> 24 & 3);
    range.prefetchable = (flags >> 30 & 1) != 0;
    range.pci = read_cells(*ranges, at + 4, 2);
    range.size = read_cells(*ranges, at + std::size_t{4} * (child->address + outer->address), child->size);
    const auto cpu = above->translate(read_cells(*ranges, at + std::size_t{4} * child->address, outer->address), range.size);
    if (!cpu || range.size == 0 || ends_beyond(range.pci, range.size) || ends_beyond(*cpu, range.size)) return std::nullopt;
    range.cpu = *cpu;
    return range;
}

} // namespace kernel
