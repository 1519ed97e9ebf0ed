// The writing half of the ring. Compiled with general registers only and without calls to the C library: interrupt handlers log too.
#include "kernel/log/log_ring.hpp"

namespace kernel {

namespace {

std::uint64_t pack_word(std::string_view text, std::size_t offset) noexcept {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < 8 && offset + i < text.size(); ++i) {
        word |= std::uint64_t{static_cast<unsigned char>(text[offset + i])} << (8 * i);
    }
    return word;
}

} // namespace

void LogRing::append(LogLevel level, std::uint64_t time_ns, std::string_view text) noexcept {
    if (text.size() > kLogTextMax) text = text.substr(0, kLogTextMax);
    const std::size_t parts = text.empty() ? 1 : (text.size() + kLogSlotText - 1) / kLogSlotText;
    const std::uint64_t first = head_.fetch_add(parts, std::memory_order_acq_rel);
    for (std::size_t part = 0; part < parts; ++part) {
        const std::uint64_t sequence = first + part;
        Slot& slot = slots_[sequence % kSlots];
        // Whoever still writes here is a whole ring behind, or somebody a whole ring ahead was faster: either way this text is lost.
        std::uint64_t stamp = slot.stamp.load(std::memory_order_relaxed);
        if ((stamp & 1) != 0 || stamp > 2 * sequence) return;
        if (!slot.stamp.compare_exchange_strong(stamp, 2 * sequence + 1, std::memory_order_acquire, std::memory_order_relaxed)) return;
        // Release on every word keeps them behind the odd stamp; the last store publishes.
        slot.header.store(log_header(time_ns, level, text.size(), part != 0), std::memory_order_release);
        for (std::size_t word = 0; word < kTextWords; ++word) {
            slot.text[word].store(pack_word(text, part * kLogSlotText + word * 8), std::memory_order_release);
        }
        slot.stamp.store(2 * sequence + 2, std::memory_order_release);
    }
}

} // namespace kernel
