// Inside the referee: what a queue needs of either ring. One object per enabled queue; SplitSide and PackedSide walk the memory,
// judge what shows there and write what a device writes. The queue decides what is used when.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tests/referee/chain.hpp"
#include "tests/referee/judge.hpp"
#include "tests/referee/memory.hpp"
#include "tests/referee/queue.hpp"
#include "tests/referee/random.hpp"
#include "tests/referee/script.hpp"
#include "tests/referee/wire.hpp"

namespace referee {

/// What both sides and their queue share.
struct Bench {
    Memory& memory;
    Judge& judge;
    Script& script;
    Random& random;
    QueueSetup setup;

    [[nodiscard]] bool has(std::uint64_t feature) const noexcept { return (setup.features & feature) != 0; }
    [[nodiscard]] std::uint16_t size() const noexcept { return static_cast<std::uint16_t>(setup.size); }
};

/// A used entry as it is written: the truth, or a lie.
struct UsedEntry {
    std::uint32_t id = 0;
    std::uint32_t length = 0;
    std::uint16_t buffers = 1; // split: how far the index goes
    std::uint16_t slots = 1;   // packed: how far the device's position goes
    bool other_wrap = false;   // packed: AVAIL and USED of the other round
    bool unequal = false;      // packed: AVAIL and USED differ
};

/// Descriptors before they are judged, the same in both rings but for the last two fields.
struct RawDescriptor {
    std::uint64_t address = 0;
    std::uint32_t length = 0;
    std::uint16_t third = 0;  // split: flags; packed: id
    std::uint16_t fourth = 0; // split: next; packed: flags
};
static_assert(sizeof(RawDescriptor) == 16);

class RingSide {
public:
    explicit RingSide(Bench& bench) noexcept : bench_(bench) {}
    virtual ~RingSide() = default;
    RingSide(const RingSide&) = delete;
    RingSide& operator=(const RingSide&) = delete;

    /// Areas are where they must be: alignment, memory, first contents. False: the ring cannot be walked.
    [[nodiscard]] virtual bool start() = 0;
    /// Samples what the driver writes, and how far its buffers reach.
    virtual void look() = 0;
    /// Something is available that was not taken.
    [[nodiscard]] virtual bool available() = 0;
    enum class Took : std::uint8_t { none, chain, dropped };
    /// Walks the next buffer. `dropped`: there was one, but it cannot be used.
    [[nodiscard]] virtual Took take(Chain& chain) = 0;
    /// Whether the driver changed what it lent with this chain.
    virtual void check(Chain& chain) = 0;
    /// Forgets a chain that was used.
    virtual void forget(const Chain& chain) = 0;
    virtual void put(const UsedEntry& entry) = 0;
    /// Lies of the position: split: the index without an entry; packed: marks more slots used.
    virtual void jump(std::int32_t by) = 0;
    virtual void scribble(const Chain& chain) = 0;
    virtual void event_garbage() = 0;
    /// Whether the driver asked to hear of what was put since the last call.
    [[nodiscard]] virtual bool wants_interrupt() = 0;
    /// Tells the driver when the device wants to be notified. Only always, never and ahead.
    virtual void ask(Notify how, std::uint16_t ahead) = 0;
    /// An id that no buffer in flight has.
    [[nodiscard]] virtual std::uint32_t free_id() const = 0;
    [[nodiscard]] virtual std::uint16_t position() const noexcept = 0;

    // --- kicks ---

    /// A notification came. In threaded runs only its value is judged.
    void notified(std::uint32_t value);
    /// The driver waits. Returns false when a notification was due and did not come.
    bool driver_waits();
    /// No verdict on what is available now: threads.
    void forget_kicks() { account(); }
    void late_kick(std::uint64_t milliseconds) { missing_kick(milliseconds); }

    /// Descriptors were overwritten by the device: what the driver does to them is no longer judged.
    void tamper() noexcept { tampered_ = true; }
    [[nodiscard]] bool tampered() const noexcept { return tampered_; }

protected:
    /// How many buffers (split) or slots (packed) were seen since the last account().
    [[nodiscard]] virtual unsigned unaccounted() = 0;
    /// Whether the device asked to be notified of one of those.
    [[nodiscard]] virtual bool kick_due() = 0;
    virtual void account() = 0;
    virtual void kick_came(bool due) = 0;
    virtual void no_kick_needed() = 0;
    virtual void missing_kick(std::uint64_t milliseconds) = 0;
    /// The position that a notification with data must carry.
    virtual void judge_position(std::uint16_t told) = 0;

    // --- walking, for both rings (walk.cpp) ---

    struct Walk {
        Chain& chain;
        std::uint64_t bytes = 0;
        std::uint32_t elements = 0;
        bool writable_seen = false;
        bool order_broken = false;
    };
    void element(Walk& walk, std::uint64_t address, std::uint32_t length, bool writable);
    /// The table of an indirect descriptor; false: it cannot be read.
    [[nodiscard]] const std::byte* table(Walk& walk, std::uint64_t address, std::uint32_t length);
    /// What holds for every buffer, once it is walked to its end.
    void finish(Walk& walk);

    static void hash(std::uint64_t& state, const void* data, std::size_t bytes) noexcept;

    Bench& bench_; // NOLINT: its queue's, which owns this

private:
    bool tampered_ = false;
};

[[nodiscard]] std::unique_ptr<RingSide> make_split_side(Bench& bench);
[[nodiscard]] std::unique_ptr<RingSide> make_packed_side(Bench& bench);

} // namespace referee
