// A flattened device tree (Devicetree Specification 0.4, version 17 and 16 of the blob): pure functions over bytes that somebody
// else wrote. open() checks the whole structure once and says what is wrong where; everything behind it is bounds-checked
// all the same, and each walk is bounded. Addresses are 64-bit values, never pointers. The bytes must outlive the tree, the tree
// its nodes. Lookups remember a few phandles: one task at a time. Any context otherwise; nothing is allocated.
//
//     auto tree = kernel::DeviceTree::open(bytes);            // else tree.error().what, .offset
//     for (auto node = tree->root(); node; node = node->next())
//         if (node->compatible("virtio,mmio") && node->enabled()) use(node->reg(0), node->interrupt(0));
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

namespace kernel {

class DeviceTree;
struct TreeInterrupt;
struct TreeMsi;

/// Why a blob is no device tree: "a property reaches beyond the structure block", and where (bytes from its start).
struct TreeProblem {
    const char* what = nullptr;
    std::uint32_t offset = 0;
};

struct TreeRange {
    std::uint64_t base = 0;
    std::uint64_t size = 0;
    friend constexpr bool operator==(const TreeRange&, const TreeRange&) noexcept = default;
};

/// One window of a PCI host: bus addresses `pci` on stand at physical addresses `cpu` on.
struct TreePciRange {
    enum class Space : std::uint8_t { configuration, port, memory32, memory64 };
    Space space = Space::memory32;
    bool prefetchable = false;
    std::uint64_t pci = 0;
    std::uint64_t cpu = 0;
    std::uint64_t size = 0;
};

class TreeNode {
public:
    /// With its unit address: "serial@10000000"; the root's is empty.
    [[nodiscard]] std::string_view name() const noexcept;
    /// 0 for the root.
    [[nodiscard]] std::size_t depth() const noexcept { return depth_; }

    /// The next node of the tree, children first; nothing after the last.
    [[nodiscard]] std::optional<TreeNode> next() const noexcept;
    [[nodiscard]] std::optional<TreeNode> first_child() const noexcept;
    [[nodiscard]] std::optional<TreeNode> next_sibling() const noexcept;
    [[nodiscard]] std::optional<TreeNode> parent() const noexcept;

    /// The value, perhaps empty; nothing if there is no such property, or the tree is exhausted().
    [[nodiscard]] std::optional<std::span<const std::byte>> property(std::string_view name) const noexcept;
    [[nodiscard]] bool has(std::string_view name) const noexcept { return property(name).has_value(); }
    /// Cell `index` of a property; nothing if it is not that long.
    [[nodiscard]] std::optional<std::uint32_t> cell(std::string_view name, std::size_t index = 0) const noexcept;
    /// A property of one cell or of two.
    [[nodiscard]] std::optional<std::uint64_t> number(std::string_view name) const noexcept;
    /// A property that is one string, without its final zero; nothing if there is none, or no zero.
    [[nodiscard]] std::optional<std::string_view> text(std::string_view name) const noexcept;
    /// Whether the list of strings in the property "compatible" has this one.
    [[nodiscard]] bool compatible(std::string_view with) const noexcept;
    /// No property "status", or "okay".
    [[nodiscard]] bool enabled() const noexcept;

    /// Entry `index` of "reg" as a physical address, through the "ranges" of every bus above; nothing if there is no such entry or
    /// a bus does not pass it on, or the block would end beyond the address space.
    [[nodiscard]] std::optional<TreeRange> reg(std::size_t index) const noexcept;
    /// The same as it stands there, in the parent's addresses (a processor's number).
    [[nodiscard]] std::optional<TreeRange> reg_untranslated(std::size_t index) const noexcept;
    /// Entry `index` of a PCI host's "ranges".
    [[nodiscard]] std::optional<TreePciRange> pci_range(std::size_t index) const noexcept;

    /// Interrupt `index`, of "interrupts-extended" or else of "interrupts", followed through interrupt maps to a controller.
    [[nodiscard]] std::optional<TreeInterrupt> interrupt(std::size_t index) const noexcept;
    /// What this node's "interrupt-map" makes of a child's interrupt: a PCI function's is {bus << 16 | device << 11 | function << 8, 0, 0}, {pin}.
    [[nodiscard]] std::optional<TreeInterrupt> map_interrupt(std::span<const std::uint32_t> unit_address,
                                                             std::span<const std::uint32_t> specifier) const noexcept;
    /// Who takes the message interrupts of requester id `requester`, and under which id, by "msi-map" or else "msi-parent".
    [[nodiscard]] std::optional<TreeMsi> msi(std::uint32_t requester) const noexcept;

    /// Two views of one node of one tree.
    friend bool operator==(const TreeNode& a, const TreeNode& b) noexcept { return a.tree_ == b.tree_ && a.offset() == b.offset(); }

private:
    friend class DeviceTree;
    static constexpr std::size_t kMostDepth = 16;
    using Cells = std::span<const std::uint32_t>;

    [[nodiscard]] std::uint32_t offset() const noexcept { return path_[depth_]; }
    [[nodiscard]] std::optional<TreeNode> interrupt_parent() const noexcept;
    [[nodiscard]] std::optional<std::uint64_t> translate(std::uint64_t address, std::uint64_t size) const noexcept;

    const DeviceTree* tree_ = nullptr;
    // Where this node and each of its ancestors begin in the structure block.
    std::array<std::uint32_t, kMostDepth> path_{};
    std::uint8_t depth_ = 0;
};

/// An interrupt as its controller writes it: up to four cells.
struct TreeInterrupt {
    static constexpr std::size_t kMostCells = 4;
    TreeNode controller;
    std::array<std::uint32_t, kMostCells> cells{};
    std::size_t cell_count = 0;
};

struct TreeMsi {
    TreeNode controller;
    std::uint32_t id = 0;
};

class DeviceTree {
public:
    static constexpr std::size_t kHeaderBytes = 40;
    /// No tree that we read is longer.
    static constexpr std::uint32_t kLongest = 2 << 20;
    static constexpr std::size_t kMostDepth = TreeNode::kMostDepth;

    /// A tree without nodes.
    constexpr DeviceTree() noexcept = default;

    /// The whole blob's length by its header, of which `header` needs to hold kHeaderBytes; 0 if it is none, or too long a one.
    [[nodiscard]] static std::uint32_t length(std::span<const std::byte> header) noexcept;
    [[nodiscard]] static std::expected<DeviceTree, TreeProblem> open(std::span<const std::byte> bytes) noexcept;

    /// As far as there is anything in it: a blob may be padded (QEMU's are, to 1 MiB).
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

    [[nodiscard]] std::optional<TreeNode> root() const noexcept;
    /// "/soc/serial@10000000"; unit addresses may be left out ("/memory": the first of that name).
    [[nodiscard]] std::optional<TreeNode> find(std::string_view path) const noexcept;
    /// Nothing as well when the tree is exhausted().
    [[nodiscard]] std::optional<TreeNode> find_handle(std::uint32_t phandle) const noexcept;
    /// Lookups in this tree have taken longer than those of any honest one: from now on no property is found in it.
    [[nodiscard]] bool exhausted() const noexcept;
    /// The first node that is compatible with it and enabled.
    [[nodiscard]] std::optional<TreeNode> find_compatible(std::string_view with) const noexcept;
    /// Entry `index` of the memory reservation block; nothing from the terminating one on.
    [[nodiscard]] std::optional<TreeRange> reservation(std::size_t index) const noexcept;

private:
    friend class TreeNode;
    enum class Kind : std::uint8_t { begin_node, end_node, property, end, broken };
    /// One token and where the next one stands. Nops are passed over.
    struct Token {
        Kind kind = Kind::broken;
        std::uint32_t next = 0;
        std::string_view name{};            // a node's
        std::uint32_t name_offset = 0;      // a property's, in the strings; open() has seen that they end
        std::span<const std::byte> value{}; // a property's
        const char* problem = nullptr;
    };
    [[nodiscard]] Token token(std::uint32_t at) const noexcept;
    [[nodiscard]] bool is_named(const Token& property, std::string_view name) const noexcept;
    [[nodiscard]] TreeProblem check() const noexcept;

    std::span<const std::byte> bytes_;
    std::span<const std::byte> structure_;
    std::span<const std::byte> strings_; // up to their last zero
    std::span<const std::byte> reservations_;
    // The phandles looked up last: a machine has few chips, and a walk for each interrupt would be long.
    struct Found {
        std::uint32_t handle = 0;
        TreeNode node;
    };
    mutable std::array<Found, 4> found_{};
    mutable std::size_t next_found_ = 0;
    mutable std::uint64_t scanned_ = 0; // bytes that lookups of properties and phandles have gone through
};

} // namespace kernel
