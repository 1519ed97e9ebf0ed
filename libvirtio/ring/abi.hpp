// The split ring (VIRTIO 1.4, 2.7) and the packed ring (2.8) as they stand in memory. Wire structs only; libvirtio/memory.hpp reads
// and writes them.
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

/// Which freedom a transport leaves in the layout of a queue.
enum class QueueLayout : std::uint8_t {
    free,            // three areas anywhere, a size up to what the device offers
    contiguous,      // legacy: a split ring in one piece, the used ring at a multiple of kLegacyAlignment (VIRTIO 1.4, 2.7.2)
    contiguous_whole // legacy PCI: the same, with as many entries as the device says, since it is not told of fewer (4.1.5.1.3.1)
};

inline constexpr std::size_t kRingLine = 128;
inline constexpr std::size_t kLegacyAlignment = 4096; // "Queue Align", and what a page number counts

/// Offsets of the three areas inside one allocation. The device's area starts on a line of its own.
struct SplitLayout {
    std::size_t driver = 0; // available ring
    std::size_t device = 0; // used ring
    std::size_t total = 0;
};

[[nodiscard]] constexpr SplitLayout split_layout(std::size_t size, std::size_t alignment = kRingLine) noexcept {
    SplitLayout layout;
    layout.driver = sizeof(Descriptor) * size;
    layout.device = align_up<std::size_t>(layout.driver + 6 + 2 * size, alignment);
    layout.total = align_up<std::size_t>(layout.device + 6 + 8 * size, alignment);
    return layout;
}

// --- packed (VIRTIO 1.4, 2.8) ---

struct PackedDescriptor { // 2.8.13
    Le64 address;
    Le32 length;
    Le16 id; // buffer id: in a chain that of its last descriptor counts
    Le16 flags;
};
static_assert(sizeof(PackedDescriptor) == 16 && std::is_standard_layout_v<PackedDescriptor>);

namespace packed_flag { // beside descriptor_flag's
inline constexpr std::uint16_t kAvailable = 1u << 7;
inline constexpr std::uint16_t kUsed = 1u << 15;
} // namespace packed_flag

/// Driver or device event suppression (2.8.14): position and wrap counter, then flags.
struct PackedEvent {
    Le16 position; // bits 0..14: slot, bit 15: wrap counter
    Le16 flags;
};
static_assert(sizeof(PackedEvent) == 4);

namespace packed_event {
inline constexpr std::uint16_t kEnable = 0;
inline constexpr std::uint16_t kDisable = 1;
inline constexpr std::uint16_t kDescriptor = 2; // at `position`; only with EVENT_IDX
inline constexpr std::uint16_t kFlags = 3;      // the other bits are reserved
inline constexpr std::uint16_t kWrap = 1u << 15;
} // namespace packed_event

/// Offsets of the three areas inside one allocation. The device's area stands on a line of its own.
struct PackedLayout {
    std::size_t driver = 0; // driver event suppression
    std::size_t device = 0; // device event suppression
    std::size_t total = 0;
};

[[nodiscard]] constexpr PackedLayout packed_layout(std::size_t size) noexcept {
    PackedLayout layout;
    layout.driver = align_up<std::size_t>(sizeof(PackedDescriptor) * size, 128);
    layout.device = layout.driver + 128;
    layout.total = layout.device + 128;
    return layout;
}

} // namespace virtio
