// One virtqueue seen from the device: the raw-queue seat. It walks the ring in guest memory, judges every rule that shows there,
// serves the buffers as its script says, and lies when the script says so. Used by Machine for each queue of a device, and alone by
// ring-level tests, fuzzers and benchmarks. It owns nothing but its own books; memory and judge outlive it.
//
//     referee::Memory memory{{.size = 1 << 20}};
//     referee::Judge judge;
//     referee::Queue queue{memory, judge, {.seed = 7, .order = referee::Order::random}};
//     queue.on_interrupt(my_handler, my_ring);
//     queue.enable({.size = 8, .descriptors = d, .driver = a, .device = u, .features = referee::feature::kEventIdx});
//     ... my_add(ring, ...); if (my_needs_kick(ring)) queue.notify(0); queue.step(); my_poll(ring); ...
//     auto verdict = judge.verdict("VQ SPLIT NOTIF");
//
// Contexts: one at a time. With Script::threaded notify() and answer() may be called from the driver's thread
// while another calls step(); everything else still belongs to the stepping thread. Interrupt handlers run inside step() (and
// notify(), where the script is eager) and may call notify().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "tests/referee/chain.hpp"
#include "tests/referee/clause.hpp"
#include "tests/referee/judge.hpp"
#include "tests/referee/memory.hpp"
#include "tests/referee/script.hpp"

namespace referee {

/// What a driver tells a device of a ring (VIRTIO 1.4, 4.1.5.1.3, 4.2.3.2).
struct QueueSetup {
    std::uint32_t size = 0;
    std::uint64_t descriptors = 0; // guest addresses of the descriptor, driver and device areas
    std::uint64_t driver = 0;
    std::uint64_t device = 0;
    std::uint64_t features = 0; // negotiated: feature::k..., kRingPacked chooses the ring kind
    std::uint16_t index = 0;    // the queue's number, which notifications carry
    std::uint16_t first = 0; // where the ring starts: split: the index (both); packed: the slot, with the wrap counter inverted in bit 15
};

class Queue {
public:
    /// Does the work of one buffer and returns how many bytes it wrote. Default: see echo().
    using Serve = std::function<std::uint32_t(const Chain& chain)>;

    Queue(Memory& memory, Judge& judge, const Script& script = {});
    ~Queue();
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    // --- life cycle ---

    /// The driver offers a ring. False: it cannot be walked at all (outside memory, misaligned, impossible size), and why is a violation.
    bool enable(const QueueSetup& setup);
    [[nodiscard]] bool enabled() const noexcept;
    /// A reset of the whole device: the queue forgets everything at once.
    void reset() noexcept;
    /// The driver asks for a reset of this queue alone (RING_RESET); nothing is served from here on. Done after Script::queue_reset_reads
    /// calls of reset_pending().
    void request_reset() noexcept;
    /// What a read of the reset register shows: true while the reset is not done.
    [[nodiscard]] bool reset_pending() noexcept;

    // --- between driver and device ---

    /// An available buffer notification with the value that the driver wrote: the queue's index, with NOTIFICATION_DATA its position in
    /// the upper 16 bits.
    void notify(std::uint32_t value);
    /// Where used buffer notifications go.
    void on_interrupt(void (*handler)(void* argument), void* argument) noexcept;
    void on_interrupt(std::function<void()> handler);
    void set_server(Serve serve);

    /// Time passes: the driver waits. Looks at the ring, takes what is available, uses what is due, interrupts if the driver wants to
    /// hear. Returns how many buffers were used.
    unsigned step();
    /// Only looks: samples the words that the driver writes and checks what it must not have changed. For a hook on the driver's
    /// stores, to see the order in which it writes.
    void observe();

    // --- by hand: with Script::budget 0 ---

    /// The next available buffer; null: none. The chain stays valid until it is used.
    [[nodiscard]] Chain* take();
    /// Uses a taken buffer; `length` bytes were written. Interrupts are sent by interrupt_if_wanted() or the next step().
    void use(Chain& chain, std::uint32_t length);
    /// IN_ORDER: uses every taken buffer up to and with this one by a single used entry (VIRTIO 1.4, 2.7.9, 2.8.9).
    void use_up_to(Chain& chain, std::uint32_t length);
    void interrupt_if_wanted();
    /// An interrupt with nothing behind it.
    void interrupt_anyway();
    /// When the device wants to be notified, from now on: always, never or ahead (after `ahead` more buffers,
    /// packed: descriptors; 0 is the next).
    /// Script::notify becomes by_hand.
    void ask(Notify how, std::uint16_t ahead = 0);

    // --- lies beyond the script ---

    void lie(const Lie& lie);
    /// For a hook on the driver's loads of device-written words: `value` is what stands in memory, the result what the driver gets. Changes
    /// on every call after LieKind::changing_reads was told, else never.
    [[nodiscard]] std::uint64_t answer(std::uint64_t value) noexcept;

    // --- what is known ---

    /// Guest memory is given back while the queue is live (RESET-006). Machine calls it; a raw seat may.
    void memory_released(std::uint64_t guest, std::size_t bytes);

    struct Counters {
        std::uint64_t steps = 0;
        std::uint64_t kicks = 0;
        std::uint64_t taken = 0;      // buffers
        std::uint64_t used = 0;       // buffers
        std::uint64_t entries = 0;    // used entries written; fewer than buffers with IN_ORDER batches
        std::uint64_t interrupts = 0; // asked for
        std::uint64_t spurious = 0;   // interrupts that were not asked for
        std::uint64_t lies = 0;
    };
    [[nodiscard]] const Counters& counters() const noexcept;
    /// Buffers taken and not used.
    [[nodiscard]] unsigned in_flight() const noexcept;
    /// Available index (split) or next slot with the wrap counter in bit 15 (packed) that the device expects next.
    [[nodiscard]] std::uint16_t position() const noexcept;
    [[nodiscard]] const QueueSetup& setup() const noexcept;
    [[nodiscard]] Judge& judge() noexcept;
    [[nodiscard]] Memory& memory() noexcept;
    /// May be changed between steps.
    [[nodiscard]] Script& script() noexcept;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// What a queue without a server does: the readable bytes are copied to the writable ones (as many as fit), what is left of those is
/// filled with the sum of the readable bytes. Returns the writable bytes.
std::uint32_t echo(const Chain& chain) noexcept;

} // namespace referee
