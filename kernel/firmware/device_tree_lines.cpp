// Interrupts in a device tree: who takes them, and what the maps of PCI hosts make of them (Devicetree Specification 0.4, 2.4; the
// bindings pci-msi.txt and msi.txt for messages).
#include <algorithm>

#include "kernel/firmware/device_tree.hpp"
#include "kernel/firmware/wire.hpp"

namespace kernel {
namespace {

constexpr std::size_t kMostUnitCells = 4, kMostHops = 8, kMostMapEntries = 4096;

std::uint32_t cell_at(std::span<const std::byte> bytes, std::size_t index) noexcept {
    return wire_read_big<std::uint32_t>(bytes, index * 4);
}

std::size_t cells_in(std::span<const std::byte> bytes) noexcept { return bytes.size() / 4; }

/// What is looked up in a map: a unit address and an interrupt as the map's own node writes them.
struct Lookup {
    std::array<std::uint32_t, kMostUnitCells> unit{};
    std::size_t unit_count = 0;
    std::array<std::uint32_t, TreeInterrupt::kMostCells> specifier{};
    std::size_t specifier_count = 0;

    [[nodiscard]] std::uint32_t cell(std::size_t i) const noexcept { return i < unit_count ? unit[i] : specifier[i - unit_count]; }
    [[nodiscard]] std::size_t count() const noexcept { return unit_count + specifier_count; }
};

/// One step through a node's interrupt map: the next node up, and what to look up there.
std::optional<TreeNode> through_map(const DeviceTree& tree, const TreeNode& nexus, Lookup& lookup) noexcept {
    const auto map = nexus.property("interrupt-map");
    if (!map) return std::nullopt;
    const auto mask = nexus.property("interrupt-map-mask");
    const std::size_t keys = lookup.count(), length = cells_in(*map);
    // Most maps name one target over and over.
    std::uint32_t handle = 0;
    std::optional<TreeNode> target;
    std::size_t unit_count = 0, count = 0;
    for (std::size_t at = 0, entries = 0; at + keys < length && entries < kMostMapEntries; ++entries) {
        bool matches = true;
        for (std::size_t i = 0; i < keys; ++i) {
            const std::uint32_t bits = mask ? cell_at(*mask, i) : ~std::uint32_t{0};
            matches = matches && (lookup.cell(i) & bits) == (cell_at(*map, at + i) & bits);
        }
        if (!target || cell_at(*map, at + keys) != handle) {
            handle = cell_at(*map, at + keys);
            target = tree.find_handle(handle);
            if (!target) return std::nullopt; // how long this entry is only its target says
            unit_count = target->cell("#address-cells").value_or(0);
            count = target->cell("#interrupt-cells").value_or(0);
        }
        if (unit_count > kMostUnitCells || count == 0 || count > TreeInterrupt::kMostCells) return std::nullopt;
        at += keys + 1;
        if (length - at < unit_count + count) return std::nullopt;
        if (matches) {
            lookup.unit_count = unit_count;
            lookup.specifier_count = count;
            for (std::size_t i = 0; i < unit_count; ++i) lookup.unit[i] = cell_at(*map, at + i);
            for (std::size_t i = 0; i < count; ++i) lookup.specifier[i] = cell_at(*map, at + unit_count + i);
            return target;
        }
        at += unit_count + count;
    }
    return std::nullopt;
}

/// Follows maps until a controller takes it. The number of steps is bounded: maps may point at each other.
std::optional<TreeInterrupt> follow(const DeviceTree& tree, TreeNode node, Lookup lookup) noexcept {
    for (std::size_t hops = 0; hops < kMostHops; ++hops) {
        if (node.has("interrupt-controller")) return TreeInterrupt{node, lookup.specifier, lookup.specifier_count};
        const auto next = through_map(tree, node, lookup);
        if (!next) return std::nullopt;
        node = *next;
    }
    return std::nullopt;
}

/// The first cells of a node's "reg", as a map above it writes its unit address.
void put_unit(Lookup& lookup, const TreeNode& node, const TreeNode& nexus) noexcept {
    lookup.unit_count = std::min<std::size_t>(nexus.cell("#address-cells").value_or(0), kMostUnitCells);
    for (std::size_t i = 0; i < lookup.unit_count; ++i) lookup.unit[i] = node.cell("reg", i).value_or(0);
}

} // namespace

/// The nearest "interrupt-parent" upwards; without one, the first node above that takes interrupts.
std::optional<TreeNode> TreeNode::interrupt_parent() const noexcept {
    TreeNode node = *this;
    for (;;) {
        if (const auto handle = node.cell("interrupt-parent")) return tree_->find_handle(*handle);
        const auto above = node.parent();
        if (!above) return std::nullopt;
        if (above->has("#interrupt-cells")) return above;
        node = *above;
    }
}

std::optional<TreeInterrupt> TreeNode::interrupt(std::size_t index) const noexcept {
    Lookup lookup;
    std::optional<TreeNode> target;
    std::span<const std::byte> value;
    std::size_t at = 0;
    if (const auto extended = property("interrupts-extended")) {
        value = *extended;
        for (std::size_t i = 0;; ++i) {
            if (at >= cells_in(value)) return std::nullopt;
            target = tree_->find_handle(cell_at(value, at++));
            if (!target) return std::nullopt;
            lookup.specifier_count = target->cell("#interrupt-cells").value_or(0);
            if (i == index) break;
            if (lookup.specifier_count > TreeInterrupt::kMostCells) return std::nullopt;
            at += lookup.specifier_count;
        }
    } else if (const auto plain = property("interrupts")) {
        value = *plain;
        target = interrupt_parent();
        if (!target) return std::nullopt;
        lookup.specifier_count = target->cell("#interrupt-cells").value_or(0);
        if (index >= cells_in(value)) return std::nullopt; // keeps the product small
        at = index * lookup.specifier_count;
    } else {
        return std::nullopt;
    }
    const std::size_t count = lookup.specifier_count, length = cells_in(value);
    if (count == 0 || count > TreeInterrupt::kMostCells || at > length || count > length - at) return std::nullopt;
    for (std::size_t i = 0; i < count; ++i) lookup.specifier[i] = cell_at(value, at + i);
    put_unit(lookup, *this, *target);
    return follow(*tree_, *target, lookup);
}

std::optional<TreeInterrupt> TreeNode::map_interrupt(Cells unit_address, Cells specifier) const noexcept {
    Lookup lookup;
    if (unit_address.size() > kMostUnitCells || specifier.size() > TreeInterrupt::kMostCells) return std::nullopt;
    if (unit_address.size() != cell("#address-cells").value_or(0) || specifier.size() != cell("#interrupt-cells").value_or(0))
        return std::nullopt;
    lookup.unit_count = unit_address.size();
    lookup.specifier_count = specifier.size();
    std::copy(unit_address.begin(), unit_address.end(), lookup.unit.begin());
    std::copy(specifier.begin(), specifier.end(), lookup.specifier.begin());
    const auto target = through_map(*tree_, *this, lookup);
    return target ? follow(*tree_, *target, lookup) : std::nullopt;
}

std::optional<TreeMsi> TreeNode::msi(std::uint32_t requester) const noexcept {
    if (const auto map = property("msi-map")) {
        const std::uint32_t masked = requester & cell("msi-map-mask").value_or(0xffffffff);
        for (std::size_t at = 0; cells_in(*map) - at >= 4; at += 4) {
            const std::uint32_t first = cell_at(*map, at), id = cell_at(*map, at + 2), count = cell_at(*map, at + 3);
            if (masked < first || masked - first >= count) continue;
            const auto controller = tree_->find_handle(cell_at(*map, at + 1));
            if (!controller) return std::nullopt;
            return TreeMsi{*controller, id + (masked - first)};
        }
        return std::nullopt;
    }
    const auto handle = cell("msi-parent");
    const auto controller = handle ? tree_->find_handle(*handle) : std::nullopt;
    if (!controller) return std::nullopt;
    return TreeMsi{*controller, requester};
}

} // namespace kernel
