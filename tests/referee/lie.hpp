// What a device can do to a driver: each lie is one wrong word at one moment, told once (or `times` times). A lying device is no
// longer judged as a device; the driver's duty is to notice, stay within its own memory, and say so.
//
//     script.lies = {{.kind = referee::LieKind::id_out_of_range, .when = 3}};      // the fourth completion
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace referee {

enum class LieKind : std::uint8_t {
    none,
    id_out_of_range,       // used id = value, or the queue's size where value is 0
    id_not_in_flight,      // used id of a buffer that the driver has not lent (packed too: the id of a free buffer)
    double_completion,     // the buffer that was used before this one is used again
    length_too_long,       // used length = writable bytes + value (value 0: one byte)
    length_huge,           // used length = 2^32 - 1
    index_forward,         // split: used.idx runs ahead by value (0: the queue's size + 1); packed: the following slots are marked used
    index_backward,        // split: used.idx steps back by value (0: one)
    rewritten_descriptors, // every descriptor and indirect table of the buffers in flight is overwritten with junk, before the use
    changing_reads,        // from now on each read of a used entry gives another value: see Queue::answer()
    wrong_wrap,            // packed: AVAIL and USED with the other wrap counter, or unequal where value is 1
    event_garbage,         // packed: reserved bits in the device event structure; split: used.flags and avail_event
    spurious_interrupt,    // an interrupt with nothing behind it
};
[[nodiscard]] std::string_view name(LieKind kind) noexcept;
[[nodiscard]] std::optional<LieKind> lie_kind(std::string_view name) noexcept;

struct Lie {
    LieKind kind = LieKind::none;
    std::uint64_t when = 0;  // the completion at which it is told, counted from 0 since the queue was enabled
    std::uint64_t value = 0; // see LieKind
    std::uint64_t times = 1; // at how many completions in a row

    friend bool operator==(const Lie&, const Lie&) = default;
};

} // namespace referee
