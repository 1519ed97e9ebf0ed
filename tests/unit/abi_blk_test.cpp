// Every constant and layout of the block device against <linux/virtio_blk.h>; what that header does not have, against the
// specification's section.
#include <doctest/doctest.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include <cstddef>
#include <cstdio>
#include <cstring>

#include "drivers/blk/blk.hpp"

using namespace virtio;

namespace {
unsigned with_header = 0;
unsigned with_section = 0;
void same(unsigned long long ours, unsigned long long theirs, const char* what) {
    CAPTURE(what);
    CHECK(ours == theirs);
    ++with_header;
}
#define SAME(ours, theirs) same(static_cast<unsigned long long>(ours), theirs, #theirs)

struct Row {
    unsigned long long ours, specified;
    const char* section;
};
} // namespace

TEST_CASE("trap 34: block constants") {
    SAME(kBlockDeviceType, VIRTIO_ID_BLOCK);
    SAME(BlockFeature::barrier, VIRTIO_BLK_F_BARRIER);
    SAME(BlockFeature::size_max, VIRTIO_BLK_F_SIZE_MAX);
    SAME(BlockFeature::seg_max, VIRTIO_BLK_F_SEG_MAX);
    SAME(BlockFeature::geometry, VIRTIO_BLK_F_GEOMETRY);
    SAME(BlockFeature::ro, VIRTIO_BLK_F_RO);
    SAME(BlockFeature::blk_size, VIRTIO_BLK_F_BLK_SIZE);
    SAME(BlockFeature::scsi, VIRTIO_BLK_F_SCSI);
    SAME(BlockFeature::flush, VIRTIO_BLK_F_FLUSH);
    SAME(BlockFeature::topology, VIRTIO_BLK_F_TOPOLOGY);
    SAME(BlockFeature::config_wce, VIRTIO_BLK_F_CONFIG_WCE);
    SAME(BlockFeature::mq, VIRTIO_BLK_F_MQ);
    SAME(BlockFeature::discard, VIRTIO_BLK_F_DISCARD);
    SAME(BlockFeature::write_zeroes, VIRTIO_BLK_F_WRITE_ZEROES);
    SAME(BlockFeature::secure_erase, VIRTIO_BLK_F_SECURE_ERASE);
    SAME(BlockOperation::in, VIRTIO_BLK_T_IN);
    SAME(BlockOperation::out, VIRTIO_BLK_T_OUT);
    SAME(BlockOperation::flush, VIRTIO_BLK_T_FLUSH);
    SAME(BlockOperation::get_id, VIRTIO_BLK_T_GET_ID);
    SAME(BlockOperation::discard, VIRTIO_BLK_T_DISCARD);
    SAME(BlockOperation::write_zeroes, VIRTIO_BLK_T_WRITE_ZEROES);
    SAME(kWriteZeroesUnmap, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
    SAME(kBlockIdBytes, VIRTIO_BLK_ID_BYTES);
    SAME(block_status::kOk, VIRTIO_BLK_S_OK);
    SAME(block_status::kIoErr, VIRTIO_BLK_S_IOERR);
    SAME(block_status::kUnsupported, VIRTIO_BLK_S_UNSUPP);
    SAME(sizeof(BlockHeader), sizeof(virtio_blk_outhdr));
    SAME(sizeof(BlockRange), sizeof(virtio_blk_discard_write_zeroes));

    const auto field = []<class T>(const Field<T>& ours, std::size_t offset, std::size_t size, const char* what) {
        same(ours.offset, offset, what);
        same(sizeof(T), size, what);
    };
#define FIELD(ours, theirs) field(block_config::ours, offsetof(virtio_blk_config, theirs), sizeof(virtio_blk_config{}.theirs), #theirs)
    FIELD(kCapacity, capacity);
    FIELD(kSizeMax, size_max);
    FIELD(kSegMax, seg_max);
    FIELD(kBlkSize, blk_size);
    FIELD(kPhysicalBlockExp, physical_block_exp);
    FIELD(kAlignmentOffset, alignment_offset);
    FIELD(kMinIoSize, min_io_size);
    FIELD(kOptIoSize, opt_io_size);
    FIELD(kWriteback, wce);
    FIELD(kMaxDiscardSectors, max_discard_sectors);
    FIELD(kMaxDiscardSeg, max_discard_seg);
    FIELD(kDiscardSectorAlignment, discard_sector_alignment);
    FIELD(kMaxWriteZeroesSectors, max_write_zeroes_sectors);
    FIELD(kMaxWriteZeroesSeg, max_write_zeroes_seg);
    FIELD(kWriteZeroesMayUnmap, write_zeroes_may_unmap);

    // The member order of the wire structures.
    BlockHeader header{Le32{1}, Le32{2}, Le64{3}};
    virtio_blk_outhdr theirs{};
    static_assert(sizeof header == sizeof theirs);
    std::memcpy(&theirs, &header, sizeof header);
    SAME(1, theirs.type);
    SAME(3, theirs.sector);
    BlockRange range{Le64{4}, Le32{5}, Le32{6}};
    virtio_blk_discard_write_zeroes their_range{};
    std::memcpy(&their_range, &range, sizeof range);
    SAME(4, their_range.sector);
    SAME(5, their_range.num_sectors);
    SAME(6, their_range.flags);

    for (const Row& row : {Row{static_cast<unsigned>(BlockFeature::lifetime), 15, "VIRTIO 1.4, 5.2.3"},
                           Row{static_cast<unsigned>(BlockFeature::zoned), 17, "VIRTIO 1.4, 5.2.3"},
                           // 68 bytes of fields, 3 of secure erase, zone_sectors, max_open_zones, max_active_zones,
                           // max_append_sectors, write_granularity: then model.
                           Row{block_config::kZonedModel.offset, 60 + 3 * 4 + 5 * 4, "VIRTIO 1.4, 5.2.4"},
                           Row{block_config::kZonedHostManaged, 1, "VIRTIO 1.4, 5.2.4"}}) {
        CAPTURE(row.section);
        CHECK(row.ours == row.specified);
        ++with_section;
    }
    std::printf("blk: %u values compared with <linux/virtio_blk.h>, %u with sections of VIRTIO 1.4\n", with_header, with_section);
    CHECK(with_header >= 63);
    CHECK(with_section == 4);
}

TEST_CASE("blk: every feature has a name, once") {
    for (const FeatureName& one : BlockDevice::feature_names()) {
        unsigned found = 0;
        for (const FeatureName& other : BlockDevice::feature_names()) found += other.bit == one.bit ? 1u : 0u;
        CHECK(found == 1);
    }
    CHECK(BlockDevice::feature_names().size() == 16);
}
