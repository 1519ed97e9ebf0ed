// The block device as it stands on the wire (VIRTIO 1.4, 5.2): features, configuration fields, request header, status.
#pragma once

#include <cstdint>

#include "libvirtio/base.hpp"
#include "libvirtio/config.hpp"

namespace virtio {

inline constexpr std::uint32_t kBlockDeviceType = 2;
inline constexpr std::uint32_t kSectorSize = 512; // the unit of the protocol, whatever the device's block size is

/// VIRTIO 1.4, 5.2.3.
enum class BlockFeature : std::uint8_t {
    barrier = 0, // legacy only
    size_max = 1,
    seg_max = 2,
    geometry = 4,
    ro = 5,
    blk_size = 6,
    scsi = 7, // legacy only
    flush = 9,
    topology = 10,
    config_wce = 11,
    mq = 12,
    discard = 13,
    write_zeroes = 14,
    lifetime = 15,
    secure_erase = 16,
    zoned = 17,
};

/// VIRTIO 1.4, 5.2.4.
namespace block_config {
constexpr std::uint8_t valid_with(BlockFeature feature) noexcept { return static_cast<std::uint8_t>(feature); }

inline constexpr Field<std::uint64_t> kCapacity{.offset = 0}; // sectors
inline constexpr Field<std::uint32_t> kSizeMax{.offset = 8, .feature = valid_with(BlockFeature::size_max)};
inline constexpr Field<std::uint32_t> kSegMax{.offset = 12, .feature = valid_with(BlockFeature::seg_max)};
inline constexpr Field<std::uint32_t> kBlkSize{.offset = 20, .feature = valid_with(BlockFeature::blk_size)};
inline constexpr Field<std::uint8_t> kPhysicalBlockExp{.offset = 24, .feature = valid_with(BlockFeature::topology)};
inline constexpr Field<std::uint8_t> kAlignmentOffset{.offset = 25, .feature = valid_with(BlockFeature::topology)};
inline constexpr Field<std::uint16_t> kMinIoSize{.offset = 26, .feature = valid_with(BlockFeature::topology)};
inline constexpr Field<std::uint32_t> kOptIoSize{.offset = 28, .feature = valid_with(BlockFeature::topology)};
inline constexpr Field<std::uint8_t> kWriteback{.offset = 32, .feature = valid_with(BlockFeature::config_wce)};
inline constexpr Field<std::uint32_t> kMaxDiscardSectors{.offset = 36, .feature = valid_with(BlockFeature::discard)};
inline constexpr Field<std::uint32_t> kMaxDiscardSeg{.offset = 40, .feature = valid_with(BlockFeature::discard)};
inline constexpr Field<std::uint32_t> kDiscardSectorAlignment{.offset = 44, .feature = valid_with(BlockFeature::discard)};
inline constexpr Field<std::uint32_t> kMaxWriteZeroesSectors{.offset = 48, .feature = valid_with(BlockFeature::write_zeroes)};
inline constexpr Field<std::uint32_t> kMaxWriteZeroesSeg{.offset = 52, .feature = valid_with(BlockFeature::write_zeroes)};
inline constexpr Field<std::uint8_t> kWriteZeroesMayUnmap{.offset = 56, .feature = valid_with(BlockFeature::write_zeroes)};
inline constexpr Field<std::uint8_t> kZonedModel{.offset = 92, .feature = valid_with(BlockFeature::zoned)};

inline constexpr std::uint8_t kZonedHostManaged = 1; // VIRTIO_BLK_Z_HM
} // namespace block_config

/// VIRTIO 1.4, 5.2.6.
enum class BlockOperation : std::uint32_t {
    in = 0,
    out = 1,
    flush = 4,
    get_id = 8,
    discard = 11,
    write_zeroes = 13,
};

struct BlockHeader {
    Le32 type;
    Le32 reserved;
    Le64 sector;
};
static_assert(sizeof(BlockHeader) == 16 && std::is_standard_layout_v<BlockHeader>);

/// What a discard or write-zeroes request names (VIRTIO 1.4, 5.2.6).
struct BlockRange {
    Le64 sector;
    Le32 sectors;
    Le32 flags;
};
static_assert(sizeof(BlockRange) == 16 && std::is_standard_layout_v<BlockRange>);
inline constexpr std::uint32_t kWriteZeroesUnmap = 1;

inline constexpr std::uint32_t kBlockIdBytes = 20;

namespace block_status {
inline constexpr std::uint8_t kOk = 0;
inline constexpr std::uint8_t kIoErr = 1;
inline constexpr std::uint8_t kUnsupported = 2;
inline constexpr std::uint8_t kNotWritten = 0xff; // ours: what stands there until the device has answered
} // namespace block_status

} // namespace virtio
