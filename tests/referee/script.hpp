// How a device behaves within the rules, and where it leaves them. A script is plain data with a text form; the seed and that
// text replay a run exactly: `Script::parse(script.text())` is the same script. Time is counted in steps of the device.
//
//     referee::Script script{.seed = 7, .order = referee::Order::random, .delay = 3};
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "tests/referee/lie.hpp"

namespace referee {

/// In which order buffers are used. Where IN_ORDER was negotiated, `reversed` and `random` behave as `batches`.
enum class Order : std::uint8_t {
    in_order,
    reversed, // what has arrived is used last first
    random,
    batches, // in order; with IN_ORDER several buffers by one used entry (VIRTIO 1.4, 2.7.9, 2.8.9), Script::batch at most
};

/// What the used length says of a buffer: all that was written, or less ("partly").
enum class Length : std::uint8_t {
    exact,
    one_less,
    half,
    zero,
    random, // 0 .. exact
};

/// When the device wants to hear of new buffers (VIRTIO 1.4, 2.7.10, 2.8.10).
enum class Notify : std::uint8_t {
    always,
    never,   // the device polls
    busy,    // not while it has work; before it rests it asks again and looks once more
    ahead,   // with EVENT_IDX: only after Script::ahead more buffers (packed: descriptors); else as always
    random,  // one of the above, thrown each step
    by_hand, // as Queue::ask() said last; always before that
};

struct Script {
    static constexpr std::uint32_t kNever = 0xffff'ffff;

    std::uint64_t seed = 1;
    Order order = Order::in_order;
    std::uint32_t delay = 0;       // steps that each buffer stays with the device, at least
    std::uint32_t budget = kNever; // buffers used in one step, at most; 0: the device takes but never uses by itself (see Queue::use)
    std::uint32_t batch = 16;      // Order::batches: buffers by one used entry, at most
    Length length = Length::exact;
    std::uint32_t withhold = 0; // one in so many buffers is never used; 0: none

    Notify notify = Notify::always;
    std::uint32_t ahead = 4;
    bool junk_events = false;          // junk in the field that the driver must ignore: avail_event, or used.flags with EVENT_IDX
    bool deaf = false;                 // interrupts though the driver asked for none
    std::uint32_t spurious = 0;        // one in so many steps brings an interrupt with nothing behind it; 0: none
    std::uint32_t lose_interrupts = 0; // one in so many interrupts never arrives; 0: none
    bool eager = false;                // serves inside notify(), not only in step()
    bool patient = false;              // without a notification that was due it does nothing, as a real device would

    std::uint32_t status_reads = 0;      // status reads that still show the old value after a device reset; kNever: for ever
    std::uint32_t queue_reset_reads = 0; // QueueReset reads that still show 1; kNever: for ever

    std::uint32_t longest_chain = 0; // the device's own limit of descriptors in a list (PACKED-004, PACKED-012); 0: the queue's size
    std::uint32_t excessive = 64;    // descriptors of less than 64 bytes on average that count as too many (VQ-002)

    bool threaded = false; // driver and device run at once: notify() comes from another thread, kicks are not counted one by one

    std::vector<Lie> lies{};

    /// One line of `name=value` words, only what differs from the defaults, the seed always: "seed=7 order=random lie=double_completion@3".
    [[nodiscard]] std::string text() const;
    /// Reads text(). The error names the word that is wrong.
    [[nodiscard]] static std::expected<Script, std::string> parse(std::string_view text);
    /// This script, or the one in the environment variable RINGSIDE_REFEREE where that is set: how a printed line replays a run.
    [[nodiscard]] std::expected<Script, std::string> or_environment() const;

    friend bool operator==(const Script&, const Script&) = default;
};

} // namespace referee
