#include "kernel/log/log_ring.hpp"

namespace kernel {

LogRing::Fetch LogRing::fetch(std::uint64_t sequence, std::uint64_t head, SlotCopy& copy) const noexcept {
    const Slot& slot = slots_[sequence % kSlots];
    const std::uint64_t wanted = 2 * sequence + 2;
    const std::uint64_t before = slot.stamp.load(std::memory_order_acquire);
    if (before > wanted) return Fetch::lost;
    if (before == wanted) {
        // Acquire on every word keeps the second look at the stamp behind them.
        copy.header = slot.header.load(std::memory_order_acquire);
        for (std::size_t word = 0; word < kTextWords; ++word) copy.text[word] = slot.text[word].load(std::memory_order_acquire);
        return slot.stamp.load(std::memory_order_relaxed) == wanted ? Fetch::copied : Fetch::lost;
    }
    if (before == wanted - 1) return Fetch::not_yet;
    // Reserved, but not begun. An older writer in the slot, or half a ring of newer lines, says that it never will be.
    return (before & 1) != 0 || head - sequence > kSlots / 2 ? Fetch::lost : Fetch::not_yet;
}

bool LogRing::read(LogCursor& cursor, LogLine& line) const noexcept {
    for (;;) {
        const std::uint64_t head = this->head();
        if (cursor.sequence >= head) return false;
        if (head - cursor.sequence > kSlots) {
            cursor.lost += head - kSlots - cursor.sequence;
            cursor.sequence = head - kSlots;
        }
        SlotCopy copy;
        std::size_t parts = 1;
        bool torn = false;
        for (std::size_t part = 0; part < parts && !torn; ++part) {
            switch (fetch(cursor.sequence + part, head, copy)) {
            case Fetch::not_yet: return false;
            case Fetch::lost: torn = true; break;
            case Fetch::copied:
                torn = log_header_continues(copy.header) != (part != 0);
                if (torn) break;
                if (part == 0) {
                    line.sequence = cursor.sequence;
                    line.time_ns = log_header_time_ns(copy.header);
                    line.level = log_header_level(copy.header);
                    line.length = log_header_length(copy.header);
                    parts = line.length == 0 ? 1 : (line.length + kLogSlotText - 1) / kLogSlotText;
                }
                for (std::size_t i = 0; i < kLogSlotText && part * kLogSlotText + i < line.length; ++i) {
                    line.bytes[part * kLogSlotText + i] = static_cast<char>(copy.text[i / 8] >> (8 * (i % 8)));
                }
            }
        }
        if (!torn) {
            cursor.sequence += parts;
            return true;
        }
        // One slot at a time: what follows may be the start of a line again.
        ++cursor.sequence;
        ++cursor.lost;
    }
}

} // namespace kernel
