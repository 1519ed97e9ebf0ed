#include "tests/referee/clause.hpp"

#include <array>

#include "tests/referee/wire.hpp"

namespace referee {

namespace {

constexpr std::array<ClauseInfo, kClauses> kTable{{
    {"VQ-001", Level::must, RingKind::any, 0, 0, Sight::seen,
     "In each buffer, all device-readable elements come before any device-writable element."},
    {"VQ-002", Level::should_not, RingKind::any, 0, 0, Sight::seen, "Do not describe one buffer with an excessive number of descriptors."},
    {"VQ-003", Level::must, RingKind::any, 0, 0, Sight::legacy, "Legacy: take the queue size from the device's Queue Size field."},
    {"VQ-004", Level::must, RingKind::any, 0, 0, Sight::legacy,
     "Legacy: allocate descriptors plus available ring, rounded up to Queue Align, plus the used ring rounded up likewise."},
    {"VQ-005", Level::must, RingKind::any, 0, 0, Sight::legacy,
     "Legacy: lay out one contiguous region: descriptors, available ring, padding to Queue Align, used ring."},
    {"VQ-006", Level::must, RingKind::any, 0, 0, Sight::legacy, "Legacy: ring fields use the guest's native byte order."},
    {"SPLIT-001", Level::must, RingKind::split, 0, 0, Sight::seen,
     "Split: physical alignment is 16 for the descriptor table, 2 for the available ring, 4 for the used ring."},
    {"SPLIT-002", Level::must_not, RingKind::split, 0, 0, Sight::seen,
     "Split: total length of one descriptor chain never exceeds 2^32 bytes."},
    {"SPLIT-003", Level::must_not, RingKind::split, 0, 0, Sight::seen, "Split: a descriptor chain never loops."},
    {"SPLIT-004", Level::must, RingKind::split, feature::kInOrder, 0, Sight::seen,
     "Split, IN_ORDER: a descriptor with NEXT at index x has next = x+1, or 0 in the last slot."},
    {"SPLIT-005", Level::must_not, RingKind::split, 0, 0, Sight::seen, "Split: set INDIRECT only if INDIRECT_DESC (28) was negotiated."},
    {"SPLIT-006", Level::must_not, RingKind::split, feature::kIndirectDesc, 0, Sight::seen,
     "Split: no INDIRECT flag inside an indirect table."},
    {"SPLIT-007", Level::must_not, RingKind::split, 0, 0, Sight::seen,
     "Split: no chain longer than the queue size, indirect table entries included."},
    {"SPLIT-008", Level::must_not, RingKind::split, feature::kIndirectDesc, 0, Sight::seen,
     "Split: INDIRECT and NEXT are never set in the same descriptor."},
    {"SPLIT-009", Level::must, RingKind::split, feature::kInOrder | feature::kIndirectDesc, 0, Sight::seen,
     "Split, IN_ORDER: indirect table entries are in sequence, next = 1, 2, 3 and so on."},
    {"SPLIT-010", Level::must_not, RingKind::split, 0, 0, Sight::seen, "Split: avail.idx never decreases (modulo 65536)."},
    {"SPLIT-011", Level::must_not, RingKind::split, 0, 0, Sight::told,
     "Split: assume nothing about device-writable bytes past the reported used length."},
    {"SPLIT-012", Level::should, RingKind::split, 0, 0, Sight::told, "Split: ignore bytes beyond the used length."},
    {"SPLIT-013", Level::must, RingKind::split, 0, 0, Sight::hidden,
     "Split: barrier before the idx store, so descriptors and ring entry are visible before the new idx."},
    {"SPLIT-014", Level::may, RingKind::split, 0, 0, Sight::seen,
     "Split: several chains and ring entries may be written before one idx update."},
    {"SPLIT-015", Level::may, RingKind::split, 0, 0, Sight::seen,
     "Split: used notifications may be off while draining; after turning them on, look again for used buffers."},
    {"PACKED-001", Level::must, RingKind::packed, 0, 0, Sight::seen,
     "Packed: physical alignment is 16 for the descriptor ring and 4 for each event suppression structure."},
    {"PACKED-002", Level::must_not, RingKind::packed, 0, 0, Sight::seen,
     "Packed: do not change a descriptor until its USED flag has been seen to change."},
    {"PACKED-003", Level::must_not, RingKind::packed, 0, 0, Sight::seen,
     "Packed: do not change a descriptor after flipping its AVAIL flag."},
    {"PACKED-004", Level::must_not, RingKind::packed, 0, 0, Sight::seen,
     "Packed: no list longer than the limit set by the device or transport."},
    {"PACKED-005", Level::must_not, RingKind::packed, 0, 0, Sight::seen,
     "Packed: no list longer than the queue size, hence no list that loops onto itself."},
    {"PACKED-006", Level::must, RingKind::packed, 0, 0, Sight::seen,
     "Packed: device-writable elements follow all device-readable ones in a list."},
    {"PACKED-007", Level::must_not, RingKind::packed, 0, 0, Sight::seen,
     "Packed: do not count on the device using more descriptors to finish writing out a list."},
    {"PACKED-008", Level::must, RingKind::packed, 0, 0, Sight::seen,
     "Packed: be sure the ring has room for the whole list before its first descriptor becomes available."},
    {"PACKED-009", Level::must_not, RingKind::packed, 0, 0, Sight::seen,
     "Packed: the first descriptor becomes available only after all later ones of its list."},
    {"PACKED-010", Level::must_not, RingKind::packed, 0, 0, Sight::seen, "Packed: set INDIRECT only if INDIRECT_DESC (28) was negotiated."},
    {"PACKED-011", Level::must_not, RingKind::packed, feature::kIndirectDesc, 0, Sight::seen,
     "Packed: indirect table entries carry no flag other than WRITE."},
    {"PACKED-012", Level::must_not, RingKind::packed, feature::kIndirectDesc, 0, Sight::seen,
     "Packed: a descriptor chain is no longer than the device allows."},
    {"PACKED-013", Level::must_not, RingKind::packed, feature::kIndirectDesc, 0, Sight::seen,
     "Packed: no INDIRECT descriptor inside a list linked with NEXT."},
    {"PACKED-014", Level::must, RingKind::packed, 0, 0, Sight::hidden,
     "Packed: barrier before the flags store that exposes a descriptor, so its contents are visible first."},
    {"PACKED-015", Level::may, RingKind::packed, 0, 0, Sight::seen,
     "Packed: one request may span a batch of descriptors, delaying only the first one's flags."},
    {"PACKED-016", Level::may, RingKind::packed, 0, 0, Sight::seen,
     "Packed: used notifications may be off while draining; after turning them on, test the next slot again."},
    {"NOTIF-001", Level::must, RingKind::split, 0, feature::kEventIdx, Sight::seen,
     "Split, no EVENT_IDX: avail.flags only ever holds 0 or 1."},
    {"NOTIF-002", Level::may, RingKind::split, 0, feature::kEventIdx, Sight::seen,
     "Split, no EVENT_IDX: avail.flags may be 1 to tell the device notifications are unwanted."},
    {"NOTIF-003", Level::must, RingKind::split, feature::kEventIdx, 0, Sight::seen, "Split, EVENT_IDX: avail.flags stays 0."},
    {"NOTIF-004", Level::may, RingKind::split, feature::kEventIdx, 0, Sight::seen,
     "Split, EVENT_IDX: used_event may defer notification until the used entry of that index is written."},
    {"NOTIF-005", Level::must, RingKind::any, 0, 0, Sight::seen, "Tolerate notifications from the device that have nothing behind them."},
    {"NOTIF-006", Level::must, RingKind::split, 0, 0, Sight::seen, "Initialise used.flags to 0 when the used ring is allocated."},
    {"NOTIF-007", Level::must, RingKind::split, 0, feature::kEventIdx, Sight::seen, "Split, no EVENT_IDX: ignore avail_event."},
    {"NOTIF-008", Level::should_not, RingKind::split, 0, feature::kEventIdx, Sight::seen,
     "Split, no EVENT_IDX: send no notification after publishing while used.flags is 1."},
    {"NOTIF-009", Level::must, RingKind::split, 0, feature::kEventIdx, Sight::seen,
     "Split, no EVENT_IDX: notify after publishing when used.flags is 0."},
    {"NOTIF-010", Level::must, RingKind::split, feature::kEventIdx, 0, Sight::seen, "Split, EVENT_IDX: ignore the low bit of used.flags."},
    {"NOTIF-011", Level::must, RingKind::split, feature::kEventIdx, 0, Sight::seen,
     "Split, EVENT_IDX: notify if the avail index used for a just-published entry equals avail_event, also inside a batch."},
    {"NOTIF-012", Level::should_not, RingKind::split, feature::kEventIdx, 0, Sight::seen,
     "Split, EVENT_IDX: send no notification if no published entry hit avail_event."},
    {"NOTIF-013", Level::must, RingKind::split, 0, 0, Sight::hidden,
     "Split: full memory barrier between publishing avail.idx and reading used.flags or avail_event."},
    {"NOTIF-014", Level::must, RingKind::packed, feature::kNotificationData, 0, Sight::seen,
     "Packed: next_off and next_wrap in a notification name the first ring slot not yet made available."},
    {"NOTIF-015", Level::may, RingKind::packed, 0, 0, Sight::seen,
     "Packed: several notifications may be sent without new descriptors having been made available."},
    {"NOTIF-016", Level::must, RingKind::packed, 0, 0, Sight::hidden,
     "Packed: memory barrier between making descriptors available and reading the device event suppression structure."},
    {"RESET-001", Level::should, RingKind::any, 0, 0, Sight::seen, "Treat a reset as complete once status reads back 0."},
    {"RESET-002", Level::must, RingKind::any, feature::kRingReset, 0, Sight::seen,
     "After requesting a queue reset, verify that the queue really was reset."},
    {"RESET-003", Level::may, RingKind::any, feature::kRingReset, 0, Sight::seen,
     "After a confirmed queue reset, everything belonging to that queue may be freed."},
    {"RESET-004", Level::must, RingKind::any, feature::kRingReset, 0, Sight::seen,
     "To re-enable a reset queue, program its resources again as at first discovery; parameters may differ."},
    {"RESET-005", Level::must_not, RingKind::any, 0, 0, Sight::seen,
     "Leave ring entries of exposed, not yet used buffers unchanged while the queue is live."},
    {"RESET-006", Level::must, RingKind::any, 0, 0, Sight::seen,
     "Make the queue non-live by device reset before taking exposed buffers back."},
    {"FEAT-018", Level::must, RingKind::any, 0, feature::kAccessPlatform, Sight::seen,
     "Without ACCESS_PLATFORM offered, give the device physical addresses only."},
    {"RULE-001", Level::must_not, RingKind::split, 0, 0, Sight::seen,
     "Split: available ring entries and next fields name descriptors below the queue size (2.7.5, 2.7.6)."},
    {"RULE-002", Level::must_not, RingKind::any, 0, 0, Sight::seen,
     "A buffer that the device has not used yet (its head descriptor, its packed buffer id) is not offered again."},
    {"RULE-003", Level::must_not, RingKind::split, 0, 0, Sight::seen,
     "Split: no more buffers are available and unused at a time than the queue has entries (2.7.1)."},
    {"RULE-004", Level::must, RingKind::any, feature::kIndirectDesc, 0, Sight::seen,
     "The length of an indirect table is a multiple of 16 and not zero (2.7.5.3, 2.8.7)."},
    {"RULE-005", Level::must, RingKind::packed, 0, 0, Sight::seen,
     "Packed: AVAIL and USED follow the driver's wrap counter, which changes where the ring ends (2.8.1)."},
    {"RULE-006", Level::must, RingKind::split, feature::kInOrder, 0, Sight::seen,
     "Split, IN_ORDER: descriptors are taken in ring order, from 0 on and around (2.7.5)."},
    {"RULE-007", Level::must, RingKind::any, 0, 0, Sight::seen, "A notification carries the index of its queue (2.9, 4.2.3.3)."},
    {"RULE-008", Level::must, RingKind::split, feature::kNotificationData, 0, Sight::seen,
     "Split, NOTIFICATION_DATA: next_off and next_wrap are the available index (2.9)."},
    {"RULE-009", Level::must, RingKind::packed, 0, 0, Sight::seen,
     "Packed: the driver event structure holds a valid value: flags 0, 1 or (with EVENT_IDX) 2, reserved bits 0, an offset inside the ring "
     "(2.8.10, 2.8.14)."},
    {"RULE-010", Level::must, RingKind::packed, 0, 0, Sight::seen,
     "Packed: notify after making buffers available where the device event structure asks for it (2.8.10, 2.8.21.2)."},
    {"RULE-011", Level::should_not, RingKind::packed, 0, 0, Sight::seen,
     "Packed: send no notification where the device event structure does not ask for it (2.8.10, 2.8.21.2)."},
    {"RULE-012", Level::must, RingKind::any, 0, 0, Sight::seen,
     "A ring starts empty: split indices are 0, a packed descriptor ring is zeroed (2.7.6, 2.7.8, 2.8.13)."},
    {"INIT-001", Level::must, RingKind::any, 0, 0, Sight::seen,
     "Bring-up runs in the fixed order: reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK, status re-read, device setup, DRIVER_OK; "
     "nothing skipped or swapped."},
    {"INIT-002", Level::must, RingKind::any, 0, 0, Sight::seen,
     "Begin bring-up with a device reset, even if the device already looks reset."},
    {"INIT-004", Level::must_not, RingKind::any, 0, 0, Sight::seen,
     "Device config space is not written while features are being negotiated."},
    {"INIT-005", Level::must_not, RingKind::any, 0, 0, Sight::seen,
     "Once FEATURES_OK is set, the driver adds no further accepted feature bits."},
    {"INIT-006", Level::must, RingKind::any, 0, 0, Sight::seen,
     "After setting FEATURES_OK, read status back; if the bit is gone, treat the device as unusable."},
    {"INIT-007", Level::must, RingKind::any, 0, 0, Sight::seen,
     "Queue discovery, bus setup, config use and queue filling happen after FEATURES_OK is confirmed and before DRIVER_OK."},
    {"INIT-010", Level::must_not, RingKind::any, 0, 0, Sight::seen,
     "No available-buffer notification is sent while DRIVER_OK is still clear."},
    {"STATUS-002", Level::must_not, RingKind::any, 0, 0, Sight::seen,
     "Never write a status value that drops a bit already set; only a full reset clears bits."},
    {"FEAT-001", Level::must_not, RingKind::any, 0, 0, Sight::seen, "Accept no feature the device did not offer."},
    {"FEAT-014", Level::must, RingKind::any, 0, 0, Sight::seen, "Accept VERSION_1 (32) whenever it is offered."},
    {"MMIO-001", Level::must_not, RingKind::any, 0, 0, Sight::seen,
     "Access only offsets in the register table, or config offsets the device type defines."},
    {"MMIO-002", Level::must_not, RingKind::any, 0, 0, Sight::seen, "Do not write read-only registers."},
    {"MMIO-003", Level::must_not, RingKind::any, 0, 0, Sight::seen, "Do not read write-only registers."},
    {"MMIO-004", Level::must, RingKind::any, 0, 0, Sight::seen, "Control registers are accessed 32 bits wide and aligned only."},
    {"MMIO-014", Level::must, RingKind::any, 0, 0, Sight::seen, "Write DeviceFeaturesSel before reading DeviceFeatures."},
    {"MMIO-015", Level::must, RingKind::any, 0, 0, Sight::seen, "Write DriverFeaturesSel before writing DriverFeatures."},
    {"MMIO-016", Level::must, RingKind::any, 0, 0, Sight::seen, "QueueSize written is at most QueueSizeMax."},
    {"MMIO-017", Level::must_not, RingKind::any, 0, 0, Sight::seen,
     "While QueueReady is not 0, leave QueueSize and the queue address registers alone."},
    {"MMIO-021", Level::must, RingKind::any, 0, 0, Sight::seen,
     "When done with an interrupt, write the mask of handled events to InterruptACK."},
    {"MMIO-022", Level::must_not, RingKind::any, 0, 0, Sight::seen, "Never set undefined bits in InterruptACK."},
    {"MMIO-023", Level::must_not, RingKind::any, feature::kRingReset, 0, Sight::seen,
     "RING_RESET: after writing 1 to QueueReset, treat the reset as unfinished until it reads 0."},
    {"MMIO-026", Level::must, RingKind::any, 0, 0, Sight::seen, "Initialisation starts by reading and checking MagicValue and Version."},
    {"MMIO-027", Level::must, RingKind::any, 0, 0, Sight::seen, "With both valid, read DeviceID next."},
    {"MMIO-032", Level::must, RingKind::any, 0, 0, Sight::seen, "On an interrupt, read InterruptStatus to find the cause."},
    {"BLK-015", Level::must_not, RingKind::any, 0, 0, Sight::seen, "Submit no request reaching beyond capacity."},
    {"BLK-017", Level::must, RingKind::any, 0, 0, Sight::seen, "A flush request has sector 0."},
    {"BLK-018", Level::should_not, RingKind::any, 0, 0, Sight::seen, "A flush request carries no data."},
    {"BLK-019", Level::must, RingKind::any, 0, 0, Sight::seen, "Read and write data length is a multiple of 512."},
    {"BLK-021", Level::must, RingKind::any, 0, 0, Sight::seen, "A get-ID request offers exactly 20 data bytes."},
}};

} // namespace

const ClauseInfo& info(Clause clause) noexcept { return kTable[static_cast<unsigned>(clause)]; }

std::optional<Clause> find_clause(std::string_view id) noexcept {
    for (unsigned i = 0; i < kClauses; ++i)
        if (kTable[i].id == id) return static_cast<Clause>(i);
    return std::nullopt;
}

std::string_view name(Level level) noexcept {
    switch (level) {
    case Level::must: return "MUST";
    case Level::must_not: return "MUST NOT";
    case Level::should: return "SHOULD";
    case Level::should_not: return "SHOULD NOT";
    case Level::may: return "MAY";
    }
    return "?";
}

bool selects(std::string_view selection, std::string_view id) noexcept {
    bool any = false;
    while (!selection.empty()) {
        const std::size_t end = selection.find(' ');
        const std::string_view word = selection.substr(0, end);
        selection = end == std::string_view::npos ? std::string_view{} : selection.substr(end + 1);
        if (word.empty()) continue;
        any = true;
        if (id == word || (id.size() > word.size() && id.starts_with(word) && id[word.size()] == '-')) return true;
    }
    return !any;
}

} // namespace referee
