// The split ring as it stands in memory (VIRTIO 1.4, 2.7). Wire structs only; libvirtio/memory.hpp reads and writes them.
#pragma once

#include <cstdint>

#include "libvirtio/base.hpp"

namespace virtio {

struct Descriptor { // VIRTIO 1.4, 2.7.5
    Le64 address;
    Le32 length;
    Le16 flags;
    Le16 next;
};
static_assert(sizeof(Descriptor) == 16 && std::is_standard_layout_v<Descriptor>);

namespace descriptor_flag {
inline constexpr std::uint16_t kNext = 1;
inline constexpr std::uint16_t kWrite = 2;
inline constexpr std::uint16_t kIndirect = 4;
} // namespace descriptor_flag

struct UsedElement { // VIRTIO 1.4, 2.7.8
    Le32 id;
    Le32 length;
};
static_assert(sizeof(UsedElement) == 8);

inline constexpr std::uint16_t kAvailableNoInterrupt = 1; // VIRTQ_AVAIL_F_NO_INTERRUPT: a value, not a bit number
inline constexpr std::uint16_t kUsedNoNotify = 1;         // VIRTQ_USED_F_NO_NOTIFY

inline constexpr std::uint32_t kQueueSizeLimit = 32768; // VIRTIO 1.4, 2.7

/// Whether the other side wants to hear of the step from `old_index` to `new_index`: it asked at `event` (VIRTIO 1.4,
/// 2.7.10.1). All three wrap at 65,536; `old_index` is the index at the last *check*.
[[nodiscard]] constexpr bool need_event(std::uint16_t event, std::uint16_t new_index, std::uint16_t old_index) noexcept {
    return static_cast<std::uint16_t>(new_index - event - 1) < static_cast<std::uint16_t>(new_index - old_index);
}

/// Offsets of the three areas inside one allocation. The device's area starts on a line of its own.
struct SplitLayout {
    std::size_t driver = 0; // available ring
    std::size_t device = 0; // used ring
    std::size_t total = 0;
};

[[nodiscard]] constexpr SplitLayout split_layout(std::size_t size) noexcept {
    SplitLayout layout;
    layout.driver = sizeof(Descriptor) * size;
    layout.device = align_up<std::size_t>(layout.driver + 6 + 2 * size, 128);
    layout.total = align_up<std::size_t>(layout.device + 6 + 8 * size, 128);
    return layout;
}

} // namespace virtio
