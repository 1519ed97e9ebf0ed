#include "kernel/memory/budget.hpp"

#include <algorithm>

#include "kernel/firmware/command_line.hpp"

namespace kernel {

std::optional<std::uint64_t> parse_size(std::string_view text) noexcept {
    unsigned shift = 0;
    if (!text.empty()) {
        switch (text.back()) {
        case 'k':
        case 'K': shift = 10; break;
        case 'm':
        case 'M': shift = 20; break;
        case 'g':
        case 'G': shift = 30; break;
        default: break;
        }
    }
    if (shift != 0) text.remove_suffix(1);
    const auto number = parse_number(text);
    if (!number || *number == 0 || *number > ~std::uint64_t{0} >> shift) return std::nullopt;
    return *number << shift;
}

std::uint64_t end_of_budget(std::span<const MemoryRegion> map, std::uint64_t image_begin, std::uint64_t image_end,
                            std::uint64_t budget) noexcept {
    constexpr std::uint64_t kAll = ~std::uint64_t{0};
    if (budget < image_end - image_begin) return 0;
    std::uint64_t left = budget - (image_end - image_begin), done = 0;
    for (;;) {
        // The lowest piece of usable memory beyond what has been counted; regions may come in any order.
        std::uint64_t begin = kAll, end = 0;
        for (const MemoryRegion& region : map) {
            const std::uint64_t from = std::max(region.base, done), to = region.base + std::min(region.size, kAll - region.base);
            if (region.kind != MemoryKind::usable || from >= to || from >= begin) continue;
            begin = from;
            end = to;
        }
        if (end == 0) return kAll;
        // The image has been paid for.
        if (begin >= image_begin && begin < image_end) {
            done = image_end;
            continue;
        }
        if (begin < image_begin) end = std::min(end, image_begin);
        if (end - begin > left) return begin + left;
        left -= end - begin;
        done = end;
    }
}

} // namespace kernel
