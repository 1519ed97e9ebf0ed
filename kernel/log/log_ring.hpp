// A bounded, lock-free ring of log lines for any number of writers (interrupt handlers and other processors among them) and readers.
// Writers never wait: the newest lines overwrite the oldest. Every word is atomic and carries a stamp, so that a reader that is
// overtaken notices it and counts the loss instead of printing a torn line. Static memory, no allocation, no C library.
//
//     static constinit LogRing ring;
//     ring.append(LogLevel::info, now_ns(), "started");
//     LogCursor cursor;
//     LogLine line;
//     while (ring.read(cursor, line)) print(line.text());
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "arch/wide.hpp"

namespace kernel {

enum class LogLevel : std::uint8_t { error, warning, info, debug };

inline constexpr std::size_t kLogSlotText = 112;                         // bytes of text in one slot
inline constexpr std::size_t kLogLineSlots = 5;                          // a line may take so many slots
inline constexpr std::size_t kLogTextMax = kLogSlotText * kLogLineSlots; // longer lines are cut

struct LogLine {
    std::uint64_t sequence = 0;
    std::uint64_t time_ns = 0;
    LogLevel level = LogLevel::info;
    std::uint16_t length = 0;
    std::array<char, kLogTextMax> bytes{};

    [[nodiscard]] std::string_view text() const noexcept { return {bytes.data(), length}; }
};

/// Where a reader stands, and how many slots it has lost.
struct LogCursor {
    std::uint64_t sequence = 0;
    std::uint64_t lost = 0;
};

// A slot's header word: microseconds (51 bits), level (2), continuation of the slot before (1), length of the whole text (10).
static_assert(kLogTextMax < 1024);
[[nodiscard]] constexpr std::uint64_t log_header(std::uint64_t time_ns, LogLevel level, std::size_t length, bool continues) noexcept {
    return arch::divide_by_1000(time_ns) << 13 | std::uint64_t{static_cast<std::uint8_t>(level)} << 11 | std::uint64_t{continues} << 10 |
           length;
}
[[nodiscard]] constexpr std::uint64_t log_header_time_ns(std::uint64_t header) noexcept { return (header >> 13) * 1000; }
[[nodiscard]] constexpr LogLevel log_header_level(std::uint64_t header) noexcept { return static_cast<LogLevel>(header >> 11 & 3); }
[[nodiscard]] constexpr bool log_header_continues(std::uint64_t header) noexcept { return (header >> 10 & 1) != 0; }
[[nodiscard]] constexpr std::uint16_t log_header_length(std::uint64_t header) noexcept { return static_cast<std::uint16_t>(header & 1023); }

class LogRing {
public:
    static constexpr std::size_t kSlots = 512; // of 128 bytes: 64 KiB

    constexpr LogRing() noexcept = default;
    LogRing(const LogRing&) = delete;
    LogRing& operator=(const LogRing&) = delete;

    /// Any context. Two appends at once do not wait for each other.
    void append(LogLevel level, std::uint64_t time_ns, std::string_view text) noexcept;

    /// Copies the line at the cursor and moves on; false if there is none (yet).
    [[nodiscard]] bool read(LogCursor& cursor, LogLine& line) const noexcept;

    /// The sequence number that the next line will get.
    [[nodiscard]] std::uint64_t head() const noexcept { return head_.load(std::memory_order_acquire); }

private:
    static constexpr std::size_t kTextWords = kLogSlotText / 8;

    // stamp: 0 never used; 2n+1 being written as sequence n; 2n+2 holds sequence n.
    struct Slot {
        std::atomic<std::uint64_t> stamp{0};
        std::atomic<std::uint64_t> header{0};
        std::array<std::atomic<std::uint64_t>, kTextWords> text{};
    };
    static_assert(sizeof(Slot) == 128);

    struct SlotCopy {
        std::uint64_t header;
        std::array<std::uint64_t, kTextWords> text;
    };
    enum class Fetch : std::uint8_t { copied, not_yet, lost };
    Fetch fetch(std::uint64_t sequence, std::uint64_t head, SlotCopy& copy) const noexcept;

    std::atomic<std::uint64_t> head_{0};
    std::array<Slot, kSlots> slots_{};
};

} // namespace kernel
