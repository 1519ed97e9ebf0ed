#include "kernel/firmware/device_tree.hpp"

#include "kernel/firmware/wire.hpp"

namespace kernel {
namespace {

constexpr std::uint32_t kMagic = 0xd00dfeed;
constexpr std::uint32_t kBeginNode = 1, kEndNode = 2, kProperty = 3, kNop = 4, kEnd = 9;
constexpr std::size_t kReservationBytes = 16;
// 64 walks through the longest tree, thousands through a usual one: more is a tree that was made to take long.
constexpr std::uint64_t kMostScanned = std::uint64_t{128} << 20;

std::uint32_t word(std::span<const std::byte> bytes, std::size_t offset) noexcept { return wire_read_big<std::uint32_t>(bytes, offset); }

/// The zero-terminated string at an offset; nothing if it does not end inside.
std::optional<std::string_view> string_at(std::span<const std::byte> bytes, std::size_t offset) noexcept {
    for (std::size_t end = offset; end < bytes.size(); ++end)
        if (bytes[end] == std::byte{0}) return std::string_view(reinterpret_cast<const char*>(bytes.data() + offset), end - offset);
    return std::nullopt;
}

/// Whether a node's name is `wanted`, which may leave out the unit address.
bool same_name(std::string_view name, std::string_view wanted) noexcept {
    if (name == wanted) return true;
    return wanted.find('@') == std::string_view::npos && name.substr(0, name.find('@')) == wanted;
}

std::unexpected<TreeProblem> problem(const char* what, std::uint32_t offset) noexcept { return std::unexpected(TreeProblem{what, offset}); }

} // namespace

std::uint32_t DeviceTree::length(std::span<const std::byte> header) noexcept {
    if (header.size() < kHeaderBytes || word(header, 0) != kMagic) return 0;
    const std::uint32_t total = word(header, 4);
    return total >= kHeaderBytes && total <= kLongest ? total : 0;
}

std::expected<DeviceTree, TreeProblem> DeviceTree::open(std::span<const std::byte> bytes) noexcept {
    // Offsets in the header, Devicetree Specification 0.4, 5.2.
    constexpr std::uint32_t kTotal = 4, kStructure = 8, kStrings = 12, kReservations = 16, kVersion = 20, kCompatible = 24,
                            kStringsSize = 32, kStructureSize = 36;
    if (bytes.size() < kHeaderBytes) return problem("shorter than a header", 0);
    if (word(bytes, 0) != kMagic) return problem("the magic number is not d00dfeed", 0);
    const std::uint32_t total = word(bytes, kTotal);
    if (total < kHeaderBytes || total > kLongest) return problem("the length is nonsense", kTotal);
    if (total > bytes.size()) return problem("longer than the memory it is in", kTotal);
    const std::uint32_t version = word(bytes, kVersion);
    if (version < 16 || word(bytes, kCompatible) > 17) return problem("a version that nobody can read: 16 and 17 are known", kVersion);

    DeviceTree tree;
    bytes = bytes.first(total);
    const std::uint32_t structure = word(bytes, kStructure), strings = word(bytes, kStrings), reservations = word(bytes, kReservations);
    if (structure % 4 != 0 || structure < kHeaderBytes || structure > total) return problem("the structure block is outside", kStructure);
    if (strings > total) return problem("the strings are outside", kStrings);
    if (reservations % 8 != 0 || reservations > total) return problem("the memory reservation block is outside", kReservations);
    // Version 16 does not say how long the structure block is: its end token does.
    const std::uint32_t structure_size = version >= 17 ? word(bytes, kStructureSize) : total - structure;
    const std::uint32_t strings_size = word(bytes, kStringsSize);
    if (structure_size > total - structure) return problem("the structure block ends outside", kStructureSize);
    if (strings_size > total - strings) return problem("the strings end outside", kStringsSize);
    tree.structure_ = bytes.subspan(structure, structure_size);
    tree.strings_ = bytes.subspan(strings, strings_size);
    tree.reservations_ = bytes.subspan(reservations);

    std::size_t reserved = 0;
    while (tree.reservation(reserved)) ++reserved;
    const std::size_t reservations_end = reservations + (reserved + 1) * kReservationBytes;
    if (reservations_end > total) return problem("the memory reservation block has no end", kReservations);

    // Each name that begins before the last zero ends there or earlier: to look for each one's end would take long in a long block.
    while (!tree.strings_.empty() && tree.strings_.back() != std::byte{0}) tree.strings_ = tree.strings_.first(tree.strings_.size() - 1);

    if (TreeProblem wrong = tree.check(); wrong.what != nullptr) return problem(wrong.what, structure + wrong.offset);

    std::size_t used = structure + structure_size;
    if (strings + strings_size > used) used = strings + strings_size;
    if (reservations_end > used) used = reservations_end;
    tree.bytes_ = bytes.first(used);
    return tree;
}

DeviceTree::Token DeviceTree::token(std::uint32_t at) const noexcept {
    const auto broken = [at](const char* what) { return Token{.next = at, .problem = what}; };
    for (;;) {
        if (at > structure_.size() || structure_.size() - at < 4) return broken("the structure block has no end");
        const std::uint32_t type = word(structure_, at);
        at += 4;
        switch (type) {
        case kNop: continue;
        case kEndNode: return {.kind = Kind::end_node, .next = at};
        case kEnd: return {.kind = Kind::end, .next = at};
        case kBeginNode: {
            const auto name = string_at(structure_, at);
            if (!name) return broken("a node's name has no end");
            return {.kind = Kind::begin_node, .next = static_cast<std::uint32_t>((at + name->size() + 4) & ~std::size_t{3}), .name = *name};
        }
        case kProperty: {
            if (structure_.size() - at < 8) return broken("a property reaches beyond the structure block");
            const std::uint32_t size = word(structure_, at), name_offset = word(structure_, at + 4);
            at += 8;
            if (size > structure_.size() - at) return broken("a property reaches beyond the structure block");
            return {.kind = Kind::property,
                    .next = (at + size + 3) & ~std::uint32_t{3},
                    .name_offset = name_offset,
                    .value = structure_.subspan(at, size)};
        }
        default: return broken("an unknown token");
        }
    }
}

bool DeviceTree::is_named(const Token& property, std::string_view name) const noexcept {
    const std::size_t offset = property.name_offset;
    if (offset >= strings_.size() || name.size() >= strings_.size() - offset || strings_[offset + name.size()] != std::byte{0})
        return false;
    for (std::size_t i = 0; i < name.size(); ++i)
        if (static_cast<char>(strings_[offset + i]) != name[i]) return false;
    return true;
}

/// One root, every node closed, properties before children, nothing deeper than a path can be.
TreeProblem DeviceTree::check() const noexcept {
    std::size_t depth = 0;
    bool after_child = false, has_root = false;
    for (std::uint32_t at = 0;;) {
        const Token found = token(at);
        switch (found.kind) {
        case Kind::broken: return {found.problem, at};
        case Kind::begin_node:
            if (depth == 0 && has_root) return {"a second root", at};
            if (depth == kMostDepth) return {"nodes are nested deeper than 16", at};
            has_root = true;
            after_child = false;
            ++depth;
            break;
        case Kind::end_node:
            if (depth == 0) return {"a node is closed that was never opened", at};
            after_child = true;
            --depth;
            break;
        case Kind::property:
            if (depth == 0) return {"a property outside of any node", at};
            if (after_child) return {"a property behind a child node", at};
            if (found.name_offset >= strings_.size()) return {"a property's name is outside the strings", at};
            break;
        case Kind::end:
            if (depth != 0) return {"a node is not closed", at};
            if (!has_root) return {"no root", at};
            return {};
        }
        at = found.next;
    }
}

std::optional<TreeNode> DeviceTree::root() const noexcept {
    // Nops may stand before the root: its own offset is where they begin, and token() passes them over again.
    if (token(0).kind != Kind::begin_node) return std::nullopt;
    TreeNode node;
    node.tree_ = this;
    return node;
}

std::optional<TreeNode> DeviceTree::find(std::string_view path) const noexcept {
    auto node = root();
    while (node && !path.empty()) {
        if (path.front() == '/') {
            path.remove_prefix(1);
            continue;
        }
        const std::string_view wanted = path.substr(0, path.find('/'));
        path.remove_prefix(wanted.size());
        node = node->first_child();
        while (node && !same_name(node->name(), wanted)) node = node->next_sibling();
    }
    return node;
}

std::optional<TreeNode> DeviceTree::find_handle(std::uint32_t phandle) const noexcept {
    if (phandle == 0 || phandle == 0xffffffff) return std::nullopt;
    for (const Found& found : found_)
        if (found.handle == phandle && found.node.tree_ == this) return found.node; // a copied tree's are another's
    if (exhausted()) return std::nullopt;
    scanned_ += structure_.size();
    for (auto node = root(); node; node = node->next()) {
        auto handle = node->cell("phandle");
        if (!handle) handle = node->cell("linux,phandle");
        if (handle != phandle) continue;
        found_[next_found_++ % found_.size()] = {phandle, *node};
        return node;
    }
    return std::nullopt;
}

bool DeviceTree::exhausted() const noexcept { return scanned_ > kMostScanned; }

std::optional<TreeNode> DeviceTree::find_compatible(std::string_view with) const noexcept {
    for (auto node = root(); node; node = node->next())
        if (node->compatible(with) && node->enabled()) return node;
    return std::nullopt;
}

std::optional<TreeRange> DeviceTree::reservation(std::size_t index) const noexcept {
    if (index >= reservations_.size() / kReservationBytes) return std::nullopt;
    const TreeRange range{wire_read_big<std::uint64_t>(reservations_, index * kReservationBytes),
                          wire_read_big<std::uint64_t>(reservations_, index * kReservationBytes + 8)};
    if (range.base == 0 && range.size == 0) return std::nullopt;
    return range;
}

std::string_view TreeNode::name() const noexcept { return tree_->token(offset()).name; }

std::optional<TreeNode> TreeNode::first_child() const noexcept {
    std::uint32_t at = tree_->token(offset()).next;
    for (;;) {
        const DeviceTree::Token found = tree_->token(at);
        if (found.kind == DeviceTree::Kind::begin_node && depth_ + 1U < kMostDepth) {
            TreeNode child = *this;
            child.path_[++child.depth_] = at;
            return child;
        }
        if (found.kind != DeviceTree::Kind::property) return std::nullopt;
        at = found.next;
    }
}

std::optional<TreeNode> TreeNode::next_sibling() const noexcept {
    if (depth_ == 0) return std::nullopt;
    std::size_t open = 1;
    std::uint32_t at = tree_->token(offset()).next;
    for (;;) {
        const DeviceTree::Token found = tree_->token(at);
        switch (found.kind) {
        case DeviceTree::Kind::property: break;
        case DeviceTree::Kind::begin_node:
            if (open == 0) {
                TreeNode sibling = *this;
                sibling.path_[depth_] = at;
                return sibling;
            }
            ++open;
            break;
        case DeviceTree::Kind::end_node:
            if (open == 0) return std::nullopt; // the parent's
            --open;
            break;
        default: return std::nullopt;
        }
        at = found.next;
    }
}

std::optional<TreeNode> TreeNode::next() const noexcept {
    TreeNode node = *this;
    std::uint32_t at = tree_->token(offset()).next;
    for (std::size_t closed = 0;;) {
        const DeviceTree::Token found = tree_->token(at);
        switch (found.kind) {
        case DeviceTree::Kind::property: break;
        case DeviceTree::Kind::end_node:
            if (closed++ == depth_) return std::nullopt; // the root's
            break;
        case DeviceTree::Kind::begin_node: {
            const std::size_t depth = depth_ + 1U - closed;
            if (depth >= kMostDepth) return std::nullopt;
            node.depth_ = static_cast<std::uint8_t>(depth);
            node.path_[depth] = at;
            return node;
        }
        default: return std::nullopt;
        }
        at = found.next;
    }
}

std::optional<TreeNode> TreeNode::parent() const noexcept {
    if (depth_ == 0) return std::nullopt;
    TreeNode node = *this;
    --node.depth_;
    return node;
}

std::optional<std::span<const std::byte>> TreeNode::property(std::string_view name) const noexcept {
    if (tree_->exhausted()) return std::nullopt;
    std::uint32_t at = tree_->token(offset()).next;
    std::uint32_t passed_over = offset(); // values are not looked at
    for (;;) {
        const DeviceTree::Token found = tree_->token(at);
        passed_over += static_cast<std::uint32_t>(found.value.size());
        const bool here = found.kind == DeviceTree::Kind::property && tree_->is_named(found, name);
        if (here || found.kind != DeviceTree::Kind::property) {
            tree_->scanned_ += found.next - passed_over;
            return here ? std::optional(found.value) : std::nullopt;
        }
        at = found.next;
    }
}

std::optional<std::uint32_t> TreeNode::cell(std::string_view name, std::size_t index) const noexcept {
    const auto value = property(name);
    if (!value || index >= value->size() / 4) return std::nullopt;
    return word(*value, index * 4);
}

std::optional<std::uint64_t> TreeNode::number(std::string_view name) const noexcept {
    const auto value = property(name);
    if (value && value->size() == 4) return word(*value, 0);
    if (value && value->size() == 8) return wire_read_big<std::uint64_t>(*value, 0);
    return std::nullopt;
}

std::optional<std::string_view> TreeNode::text(std::string_view name) const noexcept {
    const auto value = property(name);
    return value ? string_at(*value, 0) : std::nullopt;
}

bool TreeNode::compatible(std::string_view with) const noexcept {
    const auto list = property("compatible");
    if (!list) return false;
    tree_->scanned_ += list->size();
    for (std::size_t at = 0; at < list->size();) {
        const auto one = string_at(*list, at);
        if (!one) return false;
        if (*one == with) return true;
        at += one->size() + 1;
    }
    return false;
}

bool TreeNode::enabled() const noexcept {
    const auto status = text("status");
    return !has("status") || status == "okay" || status == "ok";
}

} // namespace kernel
