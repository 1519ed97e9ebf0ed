#include "kernel/firmware/tree_boot.hpp"

#include <algorithm>

namespace kernel {
namespace {

// No processor of ours has longer physical addresses; beyond them a range is nonsense, and its end might not be a number.
constexpr std::uint64_t kHighest = std::uint64_t{1} << 56;

// Ranges that are looked at, empty ones among them; an honest tree has a few.
constexpr std::size_t kMostLooked = 1024;

/// Adds a range as far as it is one; false if there is no room.
bool add(BootInfo& info, std::optional<TreeRange> range, MemoryKind kind) noexcept {
    if (!range || range->size == 0 || range->base >= kHighest) return true;
    if (info.memory_count == info.memory.size()) return false;
    info.memory[info.memory_count++] = {range->base, std::min(range->size, kHighest - range->base), kind};
    return true;
}

constexpr auto kTooMany = "more reserved ranges of memory than can be kept";

} // namespace

std::expected<void, const char*> read_boot(const DeviceTree& tree, std::uint64_t address, BootInfo& info,
                                           std::span<char> strings) noexcept {
    info.memory_count = 0;
    info.module_count = 0;
    info.command_line = "";
    info.device_tree = address;

    std::size_t looked = 0;
    // What is reserved comes first: it must not fall off the end of the list.
    bool room = add(info, TreeRange{address, tree.bytes().size()}, MemoryKind::reserved);
    for (std::size_t i = 0; room; ++i) {
        const auto range = tree.reservation(i);
        if (!range) break;
        room = add(info, range, MemoryKind::reserved);
    }
    if (const auto reserved = tree.find("/reserved-memory"))
        for (auto node = reserved->first_child(); room && node; node = node->next_sibling())
            for (std::size_t i = 0; room && (i != 0 || node->enabled()); ++i) {
                const auto range = node->reg(i);
                if (!range) break;
                room = ++looked <= kMostLooked && add(info, range, MemoryKind::reserved);
            }
    if (!room) return std::unexpected(kTooMany);

    const std::size_t reserved_count = info.memory_count;
    const auto root = tree.root();
    for (auto node = root ? root->first_child() : root; node; node = node->next_sibling()) {
        if (node->text("device_type") != "memory" || !node->enabled()) continue;
        for (std::size_t i = 0; ++looked <= kMostLooked; ++i) {
            const auto range = node->reg(i);
            if (!range || !add(info, range, MemoryKind::usable)) break;
        }
    }
    // What is reserved may have been missed.
    if (tree.exhausted()) return std::unexpected("what is looked up in it takes too long");
    if (info.memory_count == reserved_count) return std::unexpected("it names no memory");

    const auto chosen = tree.find("/chosen");
    if (!chosen) return {};
    const auto words = chosen->text("bootargs");
    if (words && !strings.empty()) {
        const std::size_t length = std::min(words->size(), strings.size() - 1);
        std::copy_n(words->begin(), length, strings.begin());
        strings[length] = '\0';
        info.command_line = strings.data();
    }
    const auto begin = chosen->number("linux,initrd-start"), end = chosen->number("linux,initrd-end");
    if (begin && end && *begin != 0 && *end > *begin && *end <= kHighest) info.modules[info.module_count++] = {*begin, *end - *begin, ""};
    return {};
}

} // namespace kernel
