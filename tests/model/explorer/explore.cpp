// explore [--long] [--small] [NAMES BEGIN WITH]: runs the shipped ring engines against every boundary answer of a device, from every state that
// can be reached, until no new state appears (a fix point, not a bounded search). A state is the engine's private memory; what the
// device answers is chosen when the engine reads it, which is enough because it reads each word once. After every step:
//  - a request completes once, and only if it was lent; with IN_ORDER the oldest first;
//  - no length beyond what was lent, and an excess is told;
//  - free + lent descriptors = N, and in_flight() counts the lent requests;
//  - a refused add() changes nothing; it is refused exactly when there is no room, or for the caller's mistake;
//  - a broken queue stays broken: it takes nothing, adds nothing, and hands out each request in flight once;
//  - at most 4 N + 64 accesses of shared words, and no word of the device's twice.
// A split ring's indices start one lap before the wrap at 65,536 and are moved back by two laps when they have gone one lap past it.
// Which words of the engine's are such indices, and that nothing but them depends on where they began, is found by running a second
// engine beside the first, two laps ahead: every step must end alike in both.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "libvirtio/memory.hpp"
#include "libvirtio/ring/packed.hpp"
#include "libvirtio/ring/split.hpp"

namespace {

using virtio::DmaAddress;
using virtio::Error;
using virtio::PackedRing;
using virtio::Request;
using virtio::RingSlot;
using virtio::RingTemplate;
using virtio::Segment;
using virtio::SharedWord;
using virtio::SplitRing;

constexpr unsigned kMost = 4; // the largest ring
constexpr std::uint32_t kPart = 16;

struct Scenario {
    const char* name;
    bool packed;
    std::uint16_t size;
    std::uint16_t indirect;
    bool in_order;
    bool fixed;
    std::uint16_t presets;
    bool event_index;
    bool strict;
    bool arming; // suppress and arm too: twice the states
    bool small;  // quick enough for a run per mutant
    bool only_long;
};

// clang-format off
constexpr Scenario kScenarios[] = {
    //name                             packed  N  ind  order  fixed  pre event  strict arming small  long
    {"split 1",                        false,  1,  0,  false, false,  0, false, false, true,  true,  false},
    {"split 1, indirect",              false,  1,  1,  false, false,  0, false, true,  true,  true,  false},
    {"split 2",                        false,  2,  0,  false, false,  0, false, false, true,  true,  false},
    {"split 2, strict",                false,  2,  0,  false, false,  0, true,  true,  true,  true,  false},
    {"split 2, indirect",              false,  2,  2,  false, false,  0, true,  false, true,  true,  false},
    {"split 2, fixed",                 false,  2,  0,  false, true,   0, true,  false, true,  true,  false},
    {"split 2, fixed, indirect",       false,  2,  2,  false, true,   0, false, false, false, true,  false},
    {"split 2, IN_ORDER",              false,  2,  0,  true,  false,  0, true,  false, true,  true,  false},
    {"split 2, IN_ORDER, indirect",    false,  2,  2,  true,  false,  0, false, false, true,  true,  false},
    {"split 2, IN_ORDER, fixed",       false,  2,  0,  true,  true,   0, true,  false, true,  true,  false},
    {"split 2, IN_ORDER, preset",      false,  2,  2,  true,  false,  1, true,  false, false, true,  false},
    {"split 2, IN_ORDER, preset, arm", false,  2,  2,  true,  false,  1, false, false, true,  false, false},
    {"split 4",                        false,  4,  0,  false, false,  0, true,  false, false, false, true},
    {"split 4, indirect",              false,  4,  4,  false, false,  0, true,  false, false, false, true},
    {"split 4, preset",                false,  4,  0,  false, false,  1, true,  false, true,  true,  false},
    {"split 4, fixed",                 false,  4,  0,  false, true,   0, true,  false, true,  false, false},
    {"split 4, IN_ORDER",              false,  4,  0,  true,  false,  0, true,  false, false, false, false},
    {"split 4, IN_ORDER, indirect",    false,  4,  4,  true,  false,  0, true,  false, false, false, true},
    {"split 4, IN_ORDER, fixed",       false,  4,  0,  true,  true,   0, true,  false, false, false, false},
    {"packed 1",                       true,   1,  0,  false, false,  0, false, false, true,  true,  false},
    {"packed 1, indirect",             true,   1,  1,  false, false,  0, true,  true,  true,  true,  false},
    {"packed 2",                       true,   2,  0,  false, false,  0, true,  false, true,  true,  false},
    {"packed 2, strict",               true,   2,  0,  false, false,  0, false, true,  true,  true,  false},
    {"packed 2, indirect",             true,   2,  2,  false, false,  0, true,  false, true,  true,  false},
    {"packed 2, fixed",                true,   2,  0,  false, true,   0, true,  false, true,  true,  false},
    {"packed 2, fixed, indirect",      true,   2,  2,  false, true,   0, false, false, false, true,  false},
    {"packed 2, IN_ORDER",             true,   2,  0,  true,  false,  0, true,  false, true,  true,  false},
    {"packed 2, IN_ORDER, fixed",      true,   2,  0,  true,  true,   0, true,  false, true,  true,  false},
    {"packed 3",                       true,   3,  0,  false, false,  0, true,  false, true,  false, false},
    {"packed 3, indirect",             true,   3,  3,  false, false,  0, true,  false, false, false, false},
    {"packed 2, preset",               true,   2,  3,  false, false,  1, true,  false, true,  true,  false},
    {"packed 3, preset",               true,   3,  3,  false, false,  1, true,  false, false, false, true},
    {"packed 3, IN_ORDER",             true,   3,  0,  true,  false,  0, true,  false, true,  false, false},
    {"packed 2, IN_ORDER, preset",     true,   2,  3,  true,  false,  1, true,  false, true,  true,  false},
    {"packed 3, IN_ORDER, preset",     true,   3,  3,  true,  false,  1, true,  false, false, false, true},
    {"packed 4",                       true,   4,  0,  false, false,  0, true,  false, false, false, false},
    {"packed 4, indirect",             true,   4,  4,  false, false,  0, true,  false, false, false, true},
    {"packed 4, fixed",                true,   4,  0,  false, true,   0, true,  false, true,  false, false},
    {"packed 4, IN_ORDER",             true,   4,  0,  true,  false,  0, true,  false, false, false, true},
    {"packed 4, IN_ORDER, indirect",   true,   4,  4,  true,  false,  0, true,  false, false, false, true},
};
// clang-format on

/// Whatever the device can answer is an open choice; each operation is repeated until all of them were made.
class Choices {
public:
    void begin() { at_ = 0; }
    std::size_t choose(std::size_t count) {
        if (at_ == made_.size()) {
            made_.push_back(0);
            counts_.push_back(count);
        }
        return made_[at_++];
    }
    /// Moves to the next combination; false after the last one.
    bool next() {
        while (!made_.empty()) {
            if (++made_.back() < counts_.back()) return true;
            made_.pop_back();
            counts_.pop_back();
        }
        return false;
    }
    std::uint32_t packed() const {
        std::uint32_t all = 0;
        for (std::size_t i = made_.size(); i != 0; --i) all = all << 8 | static_cast<std::uint32_t>(made_[i - 1]);
        return all;
    }

private:
    std::vector<std::size_t> made_, counts_;
    std::size_t at_ = 0;
};

struct Violation {
    std::string what;
};

/// What is lent, as the caller of the engine knows it.
struct Lent {
    bool in_flight = false;
    std::uint8_t descriptors = 0;
    std::uint8_t slot = 0; // of a fixed ring
    std::uint32_t writable = 0;
};

enum class Step : std::uint8_t { start, add, add_one, add_fixed, add_preset, kick, take, suppress, arm, mistake };
constexpr const char* kStepNames[] = {"start", "add", "add one", "add fixed", "add preset", "kick", "take", "suppress", "arm", "mistake"};

struct Node {
    std::uint32_t parent;
    Step step;
    std::uint8_t argument;
    std::uint32_t choices;
};

template<class Ring> class Explorer {
public:
    explicit Explorer(const Scenario& scenario) : scenario_(scenario), size_(scenario.size) {
        virtio::probe().answer = [](void* context, SharedWord role, std::uint16_t index, std::uint64_t value) noexcept {
            return static_cast<Explorer*>(context)->answer(role, index, value);
        };
        virtio::probe().context = this;
    }
    ~Explorer() { virtio::probe().reset(); }

    /// Returns what was wrong, or nothing.
    std::string run() {
        try {
            attach();
            fresh_ = state_;
            remember(0, Step::start, 0);
            for (std::size_t done = 0; done < nodes_.size(); ++done) {
                current_ = static_cast<std::uint32_t>(done);
                state_ = frontier_.front();
                frontier_.pop_front();
                every_step();
            }
        } catch (const Violation& violation) {
            return violation.what + path();
        }
        return {};
    }
    std::size_t states() const { return nodes_.size(); }
    std::uint64_t transitions() const { return transitions_; }

private:
    static constexpr bool kPacked = std::is_same_v<Ring, PackedRing>;

    /// An engine's private memory.
    struct Side {
        alignas(8) std::array<std::byte, sizeof(Ring)> ring;
        std::array<RingSlot, kMost> slots;
        std::array<RingTemplate, kMost> templates;
    };
    struct State {
        Side side;
        Side ahead; // split: the second engine
        std::array<Lent, kMost> lent;
        std::array<std::uint8_t, kMost> order; // request numbers, oldest first
        std::uint8_t lent_count;
    };
    /// How a step ended, for the comparison of both engines.
    struct Outcome {
        int request = -1;
        std::uint32_t length = 0;
        bool done = false;
        bool operator==(const Outcome&) const = default;
    };

    void check(bool holds, const char* what) {
        if (!holds) throw Violation{what};
    }

    // --- states ---

    void attach() {
        if constexpr (!kPacked) {
            attach(static_cast<std::uint16_t>(size_)); // two laps ahead of one before the wrap
            save(state_.ahead);
        }
        attach(static_cast<std::uint16_t>(kPacked ? size_ - 1 : -size_));
        save(state_.side);
    }
    /// `first`: packed: the last slot of a lap.
    void attach(std::uint16_t first) {
        std::memset(static_cast<void*>(&ring_), 0, sizeof(Ring));
        virtio::RingSetup setup;
        setup.size = size_;
        setup.presets = scenario_.presets;
        setup.indirect_entries = scenario_.indirect;
        setup.fixed = scenario_.fixed;
        setup.templates = templates_.data();
        setup.event_index = scenario_.event_index;
        setup.in_order = scenario_.in_order;
        setup.strict_length = scenario_.strict;
        using Memory = std::conditional_t<kPacked, virtio::PackedMemory, virtio::SplitMemory>;
        ring_.attach(Memory{memory_.data(), size_}, {slots_.data(), size_}, tables_.data(), DmaAddress{0x10000}, setup, first);
        const Segment header{DmaAddress{0x100}, kPart};
        for (std::uint16_t i = 0; i < scenario_.presets; ++i) static_cast<void>(ring_.preset(i, header, header));
        for (std::uint16_t i = 0; scenario_.fixed && i < size_; ++i) {
            if (i % 2 == 0)
                ring_.fix_writable(i, header);
            else
                ring_.fix_readable(i, header);
        }
    }
    void save(Side& side) {
        // Two words grow for ever: a counter, and one that is out of use while descriptors are taken in turn.
        ring_.lengths_clamped_ = 0;
        if constexpr (!kPacked)
            if (!ring_.listed_) ring_.free_count_ = 0;
        std::memcpy(side.ring.data(), &ring_, sizeof(Ring));
        side.slots = slots_;
        side.templates = templates_;
    }
    void restore(const State& state, bool ahead = false) {
        const Side& side = ahead ? state.ahead : state.side;
        std::memcpy(static_cast<void*>(&ring_), side.ring.data(), sizeof(Ring));
        slots_ = side.slots;
        templates_ = side.templates;
        lent_ = state.lent;
        order_ = state.order;
        lent_count_ = state.lent_count;
        outcome_ = {};
        for (unsigned i = 0; i < kMost; ++i) requests_[i].state = lent_[i].in_flight ? Request::State::in_flight : Request::State::idle;
    }
    // Two laps back for both engines, once they have gone a lap past the wrap. A word that differs between them is an index, either as a
    // number of 16 bits or scaled to bytes in 32 bits; nothing else may differ. One that was left behind is out of use, and stays.
    void compare_and_shift(State& state) {
        const std::uint16_t position = ring_.position();
        const bool back = static_cast<std::int16_t>(position) >= static_cast<std::int16_t>(size_);
        const auto laps = static_cast<std::uint16_t>(2 * size_);
        const auto in_use = [&](std::uint32_t index) { return static_cast<std::uint16_t>(index - position + 3 * size_) <= 6 * size_; };
        const auto words = [&](void* data, void* ahead_data, std::size_t bytes) {
            auto* at = static_cast<std::byte*>(data);
            auto* ahead_at = static_cast<std::byte*>(ahead_data);
            for (std::size_t i = 0; i < bytes; i += 4) {
                std::uint32_t word = 0, other = 0;
                std::memcpy(&word, at + i, 4);
                std::memcpy(&other, ahead_at + i, 4);
                if (word == other) continue;
                std::uint32_t moved = word;
                std::uint32_t moved_other = other;
                unsigned scale = 0;
                for (const unsigned bits : {3u, 4u})
                    if (((other - word) & ((0x1'0000u << bits) - 1)) == std::uint32_t{laps} << bits) scale = bits;
                if (scale != 0) {
                    if (in_use(word >> scale)) {
                        moved = word - (std::uint32_t{laps} << scale);
                        moved_other = other - (std::uint32_t{laps} << scale);
                    }
                } else {
                    for (unsigned half = 0; half < 32; half += 16) {
                        const auto low = static_cast<std::uint16_t>(word >> half);
                        const auto step = static_cast<std::uint16_t>((other >> half) - low);
                        check(step == 0 || step == laps, "an engine's state depends on where its indices began");
                        if (step == 0 || !in_use(low)) continue;
                        const auto put = [&](std::uint32_t& whole) {
                            const auto fresh = static_cast<std::uint16_t>((whole >> half) - laps);
                            whole = (whole & ~(0xffffu << half)) | std::uint32_t{fresh} << half;
                        };
                        put(moved);
                        put(moved_other);
                    }
                }
                if (!back) continue;
                std::memcpy(at + i, &moved, 4);
                std::memcpy(ahead_at + i, &moved_other, 4);
            }
        };
        words(state.side.ring.data(), state.ahead.ring.data(), sizeof(Ring));
        words(state.side.slots.data(), state.ahead.slots.data(), sizeof(RingSlot) * size_);
        words(state.side.templates.data(), state.ahead.templates.data(), sizeof(RingTemplate) * size_);
    }
    // A new state is queued; requests are told apart by what is lent with them only.
    void remember(std::uint32_t parent, Step step, std::uint8_t argument) {
        fresh_.lent = lent_;
        fresh_.order = order_;
        fresh_.lent_count = lent_count_;
        if constexpr (!kPacked) compare_and_shift(fresh_);
        std::array<std::byte, sizeof(Side) + 64> key;
        std::size_t length = 0;
        const auto put = [&](const void* data, std::size_t bytes) {
            std::memcpy(key.data() + length, data, bytes);
            length += bytes;
        };
        put(fresh_.side.ring.data(), sizeof(Ring));
        for (unsigned i = 0; i < size_; ++i) {
            RingSlot& slot = fresh_.side.slots[i];
            std::uint8_t rank = 0;
            std::uint32_t writable = 0;
            if (slot.request != nullptr) {
                const auto which = static_cast<std::uint8_t>(slot.request - requests_.data());
                rank = 1;
                writable = lent_[which].writable;
                for (unsigned place = 0; scenario_.in_order && place < lent_count_; ++place)
                    if (order_[place] == which) rank = static_cast<std::uint8_t>(place + 1);
            }
            put(&rank, 1);
            put(&writable, sizeof writable);
            put(&slot.writable, sizeof slot.writable);
            put(&slot.count, sizeof slot.count);
            put(&slot.next, sizeof slot.next);
            put(&fresh_.side.templates[i].writable, sizeof(std::uint32_t));
            put(&fresh_.side.templates[i].in_flight, 1);
        }
        const Digest digest = hash(key.data(), length);
        if (!seen_.insert(digest).second) return;
        nodes_.push_back({parent, step, argument, choices_.packed()});
        frontier_.push_back(fresh_);
    }
    struct Digest {
        std::uint64_t low, high;
        bool operator==(const Digest&) const = default;
    };
    struct ByDigest {
        std::size_t operator()(const Digest& digest) const { return digest.low; }
    };
    // 128 bits: two states are never taken for one in practice.
    static Digest hash(const std::byte* data, std::size_t length) {
        std::uint64_t low = 0x9e37'79b9'7f4a'7c15, high = 0xc2b2'ae3d'27d4'eb4f;
        for (std::size_t i = 0; i < length; i += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, data + i, length - i < 8 ? length - i : 8);
            low = (low ^ word) * 0xff51'afd7'ed55'8ccd;
            low ^= low >> 32;
            high = (high + word) * 0xc4ce'b9fe'1a85'ec53;
            high ^= high >> 29;
        }
        return {low, high};
    }

    // --- the device ---

    std::uint64_t pick(std::initializer_list<std::uint64_t> fixed, std::size_t low) {
        // `low` stands for the numbers 0 to low - 1.
        const std::size_t which = choices_.choose(low + fixed.size());
        return which < low ? which : *(fixed.begin() + (which - low));
    }
    std::uint64_t length_of(std::uint32_t id) {
        const Request* request = id < size_ ? slots_[id].request : nullptr;
        const std::uint64_t lent = request == nullptr ? 0 : lent_[static_cast<std::size_t>(request - requests_.data())].writable;
        last_length_ = static_cast<std::uint32_t>(pick({0, lent, lent + 1, 0xffff'ffff}, 0));
        return last_length_;
    }
    std::uint64_t answer(SharedWord role, std::uint16_t, std::uint64_t value) {
        switch (role) {
        case SharedWord::used_index: {
            if constexpr (!kPacked)
                return static_cast<std::uint16_t>(ring_.last_used() + pick({size_ + 1u, size_ * 2u, 0x8000, 0xffff}, size_ + 1u));
            break;
        }
        case SharedWord::used_id: return last_id_ = static_cast<std::uint32_t>(pick({size_, 0xffff, 0x1'0000, 0xffff'ffff}, size_));
        case SharedWord::packed_id: return last_id_ = static_cast<std::uint32_t>(pick({size_, 0xffff}, size_));
        case SharedWord::used_length:
        case SharedWord::packed_length: return length_of(last_id_);
        case SharedWord::packed_flags: return pick({0, 0x0080, 0x8000, 0x8080}, 0);
        case SharedWord::used_flags: return pick({0, 1}, 0);
        case SharedWord::available_event: {
            if constexpr (!kPacked) return static_cast<std::uint16_t>(ring_.position() + pick({0xfffe, 0xffff, 0, 0x8000}, 0));
            break;
        }
        case SharedWord::device_event: {
            const std::uint64_t flags = pick({0, 1, 2, 3}, 0);
            return flags == 2 ? flags << 16 | (choices_.choose(2) << 15) | choices_.choose(size_ + 1u) : flags << 16;
        }
        default: break;
        }
        return value;
    }

    // --- the driver ---

    template<class Do> void each(Step step, std::uint8_t argument, Do action) {
        step_ = step;
        argument_ = argument;
        do {
            Outcome ahead;
            if constexpr (!kPacked) {
                restore(state_, true);
                perform(action);
                save(fresh_.ahead);
                ahead = outcome_;
                ahead.done = ring_.broken();
            }
            restore(state_);
            perform(action);
            save(fresh_.side);
            outcome_.done = ring_.broken();
            check(kPacked || outcome_ == ahead, "an engine two laps ahead behaves otherwise");
            ++transitions_;
            if (ring_.broken()) {
                broken_for_ever();
                continue;
            }
            counted();
            remember(current_, step, argument);
        } while (choices_.next());
    }

    template<class Do> void perform(Do& action) {
        choices_.begin();
        virtio::Probe& probe = virtio::probe();
        probe.accesses = probe.repeated = 0;
        probe.begin_operation();
        free_before_ = ring_.free_descriptors();
        action();
        check(probe.accesses <= 4u * size_ + 64, "more than 4 N + 64 accesses of shared words in one call");
        check(probe.repeated == 0, "a word of the device's was read twice in one call");
    }

    void every_step() {
        closed_at_any_time();
        restore(state_);
        mistakes();
        if (scenario_.fixed) {
            for (std::uint8_t slot = 0; slot < size_; ++slot) each(Step::add_fixed, slot, [&] { add_fixed(slot); });
        } else {
            for (std::uint8_t parts = 1; parts <= size_; ++parts)
                for (std::uint8_t writable : {std::uint8_t{0}, parts}) {
                    const auto argument = static_cast<std::uint8_t>(parts << 4 | writable);
                    each(Step::add, argument, [&] { add(parts, writable, false); });
                    if (parts == 1) each(Step::add_one, argument, [&] { add(parts, writable, true); });
                }
        }
        for (std::uint8_t slot = 0; slot < scenario_.presets; ++slot)
            for (const bool write : {false, true})
                each(Step::add_preset, static_cast<std::uint8_t>(slot << 4 | (write ? 1 : 0)), [&] { add_preset(slot, write); });
        each(Step::kick, 0, [&] { kick(); });
        each(Step::take, 0, [&] { take(); });
        if (scenario_.arming) {
            each(Step::suppress, 0, [&] { ring_.suppress_interrupts(); });
            for (std::uint8_t more : {std::uint8_t{1}, std::uint8_t{2}})
                each(Step::arm, more, [&] { static_cast<void>(ring_.arm_interrupts(more)); });
        }
    }

    unsigned free_request() const {
        unsigned which = 0;
        while (which < kMost && lent_[which].in_flight) ++which;
        return which;
    }
    void lend(unsigned which, std::uint32_t writable, unsigned descriptors) {
        lent_[which] = {true, static_cast<std::uint8_t>(descriptors), 0, writable};
        outcome_.request = static_cast<int>(which);
        order_[lent_count_++] = static_cast<std::uint8_t>(which);
        check(requests_[which].state == Request::State::in_flight, "a lent request is not in flight");
    }

    void add(unsigned parts, unsigned writable, bool one) {
        const unsigned which = free_request();
        if (which == kMost) return;
        std::array<Segment, kMost> segments;
        segments.fill({DmaAddress{0x1000}, kPart});
        const std::uint16_t room = ring_.free_descriptors();
        virtio::Result<> added;
        if (one)
            added = writable != 0 ? ring_.add_writable(segments[0], requests_[which]) : ring_.add_readable(segments[0], requests_[which]);
        else
            added = ring_.add({segments.data(), parts - writable}, {segments.data(), writable}, requests_[which]);
        // A preset's descriptors are never a chain's.
        const std::size_t most = size_ - (scenario_.presets == 0 || (scenario_.in_order && !kPacked) ? 0u
                                          : kPacked                                                  ? scenario_.presets
                                                                                                     : scenario_.presets * 3u);
        const bool direct = parts <= room;
        const bool indirect = parts <= scenario_.indirect && room >= 1;
        check(added.has_value() == (direct || indirect), "add() is refused exactly when there is no room");
        if (!added) {
            check(added.error() == (parts > most && parts > scenario_.indirect ? Error::too_many_segments : Error::ring_full),
                  "the reason is no room");
            unchanged("a refused add() changed the ring");
            return;
        }
        const unsigned taken = static_cast<unsigned>(room - ring_.free_descriptors());
        check(taken == parts || (taken == 1 && indirect), "a chain takes its parts' descriptors, or one");
        lend(which, writable * kPart, taken);
    }
    void add_fixed(std::uint16_t slot) {
        const unsigned which = free_request();
        const bool there = in_flight_fixed(slot);
        if (which == kMost) return;
        const virtio::Result<> added = ring_.add_fixed(slot, requests_[which]);
        check(added.has_value() == !there, "a fixed slot can be added exactly when it is not in flight");
        if (!added) {
            check(added.error() == Error::request_in_flight, "the reason is the slot's request");
            unchanged("a refused add_fixed() changed the ring");
            return;
        }
        lend(which, slot % 2 == 0 ? kPart : 0, 1);
        lent_[which].slot = static_cast<std::uint8_t>(slot);
    }
    bool in_flight_fixed(std::uint16_t slot) const {
        for (const Lent& lent : lent_)
            if (lent.in_flight && lent.slot == slot) return true;
        return false;
    }
    void add_preset(std::uint16_t slot, bool write) {
        const unsigned which = free_request();
        if (which == kMost) return;
        const bool there = ring_.preset_in_flight(slot);
        const std::uint16_t room = ring_.free_descriptors();
        const virtio::Result<> added = ring_.add_preset(slot, {DmaAddress{0x2000}, kPart}, write, requests_[which]);
        const bool full = scenario_.in_order && !kPacked && room == 0;
        check(added.has_value() == (!there && !full), "a preset can be added exactly when it is not in flight and has room");
        if (!added) {
            unchanged("a refused add_preset() changed the ring");
            return;
        }
        lend(which, kPart + (write ? kPart : 0), static_cast<unsigned>(room - ring_.free_descriptors()));
    }
    void kick() {
        if (ring_.publish()) static_cast<void>(ring_.needs_kick());
        check(!ring_.publish(), "what is published is published");
    }
    void take() {
        last_id_ = 0xffff'ffff;
        last_length_ = 0;
        const virtio::RingTaken taken = ring_.take();
        if (taken.request == nullptr) return;
        const auto which = static_cast<std::size_t>(taken.request - requests_.data());
        check(which < kMost, "a completion is one of our requests");
        check(lent_[which].in_flight, "only what was lent completes, and once");
        check(taken.request->state == Request::State::done, "a completed request is done");
        check(taken.request->length <= lent_[which].writable, "a length is at most what was lent");
        check(!taken.request->length_clamped || taken.request->length == lent_[which].writable, "a clamped length is all that was lent");
        check(!scenario_.strict || !taken.request->length_clamped, "strict: no length is clamped");
        check(!scenario_.in_order || order_[0] == which, "IN_ORDER: the oldest request completes");
        outcome_ = {static_cast<int>(which), taken.request->length, false};
        give_back(which);
    }
    void give_back(std::size_t which) {
        lent_[which] = {};
        unsigned place = 0;
        while (order_[place] != which) ++place;
        for (--lent_count_; place < lent_count_; ++place) order_[place] = order_[place + 1];
        order_[lent_count_] = 0;
        requests_[which].state = Request::State::idle;
    }

    // --- what always holds ---

    void counted() {
        unsigned descriptors = 0;
        for (const Lent& lent : lent_) descriptors += lent.descriptors;
        const unsigned general = size_ - (!kPacked && !scenario_.in_order ? scenario_.presets * 3u : kPacked ? scenario_.presets : 0u);
        check(ring_.free_descriptors() + descriptors == general, "free and lent descriptors are N together");
        check(ring_.in_flight() == lent_count_, "in_flight() counts what is lent");
    }
    // (Where the ring ends up after a refusal may be another state; it is explored like any other.)
    void unchanged(const char* what) { check(ring_.free_descriptors() == free_before_ && ring_.in_flight() == lent_count_, what); }
    void broken_for_ever() {
        const virtio::RingFault fault = ring_.fault();
        refuses_all();
        Choices device; // which answers as it likes
        std::swap(device, choices_);
        for (unsigned tries = 0; tries < 3; ++tries) {
            choices_.begin();
            check(ring_.take().request == nullptr, "a broken queue completes nothing");
            check(ring_.fault() == fault, "a broken queue stays as it is broken");
            if (!choices_.next()) break;
        }
        std::swap(device, choices_);
        reclaims_all();
        check(ring_.fault() == fault, "a broken queue stays as it is broken");
    }
    void closed_at_any_time() {
        restore(state_);
        ring_.close();
        refuses_all();
        reclaims_all();
    }
    void refuses_all() {
        const unsigned which = free_request();
        if (which == kMost) return;
        const Segment segment{DmaAddress{0x1000}, kPart};
        const auto refused = [&](const virtio::Result<>& added) {
            check(!added && added.error() == Error::queue_broken, "a broken queue refuses every request");
        };
        refused(ring_.add({&segment, 1}, {}, requests_[which]));
        refused(ring_.add({}, {&segment, 1}, requests_[which]));
        refused(ring_.add_readable(segment, requests_[which]));
        refused(ring_.add_writable(segment, requests_[which]));
        for (std::uint16_t slot = 0; scenario_.fixed && slot < size_; ++slot) refused(ring_.add_fixed(slot, requests_[which]));
        for (std::uint16_t slot = 0; slot < scenario_.presets; ++slot) refused(ring_.add_preset(slot, segment, true, requests_[which]));
        check(requests_[which].state != Request::State::in_flight, "a refused request is not in flight");
    }
    void reclaims_all() {
        std::uint16_t cursor = 0;
        unsigned found = 0;
        while (const Request* request = ring_.reclaim(cursor)) {
            const auto which = static_cast<std::size_t>(request - requests_.data());
            check(which < kMost && lent_[which].in_flight, "reclaim() hands out what was lent, and once");
            lent_[which].in_flight = false;
            check(++found <= lent_count_, "reclaim() ends");
        }
        check(found == lent_count_, "reclaim() hands out all that was lent");
        check(ring_.in_flight() == 0, "nothing is in flight after reclaim()");
    }
    // The caller's mistakes are told, and change nothing.
    void mistakes() {
        const unsigned which = free_request();
        if (which == kMost) return;
        const Segment good{DmaAddress{0x1000}, kPart};
        const Segment empty{DmaAddress{0x1000}, 0};
        const Segment huge{DmaAddress{0x1000}, 0xffff'ffff};
        std::array<Segment, kMost + 1> many;
        many.fill(good);
        const std::array<Segment, 2> mixed{good, empty}, large{good, huge};
        Request& request = requests_[which];
        std::uint8_t number = 0;
        const auto mistake = [&](const char* what, auto make) {
            each(Step::mistake, number++, [&] {
                check(!make(), what);
                unchanged(what);
                for (unsigned i = 0; i < kMost; ++i) check((requests_[i].state == Request::State::in_flight) == lent_[i].in_flight, what);
            });
        };
        mistake("a request without segments", [&] { return ring_.add({}, {}, request); });
        mistake("an empty readable segment", [&] { return ring_.add({&empty, 1}, {}, request); });
        mistake("an empty writable segment", [&] { return ring_.add({}, {&empty, 1}, request); });
        mistake("an empty segment in turn", [&] { return ring_.add_readable(empty, request); });
        mistake("an empty writable segment in turn", [&] { return ring_.add_writable(empty, request); });
        mistake("an empty second segment", [&] { return ring_.add(mixed, {}, request); });
        mistake("an empty second writable segment", [&] { return ring_.add({}, mixed, request); });
        mistake("four gigabytes", [&] { return ring_.add(large, {}, request); });
        mistake("four gigabytes both ways", [&] { return ring_.add({&good, 1}, {&huge, 1}, request); });
        mistake("more segments than the queue is large", [&] {
            const virtio::Result<> added = ring_.add({many.data(), size_ + 1u}, {}, request);
            check(!added && added.error() == Error::too_many_segments, "the reason is the queue's size");
            return added;
        });
        mistake("a table for no such slot", [&] { return ring_.fix_table(size_, {&good, 1}); });
        if (scenario_.fixed && lent_count_ == 0) {
            mistake("an empty table", [&] { return ring_.fix_table(0, {}); });
            mistake("a table of an empty segment", [&] { return ring_.fix_table(0, {&empty, 1}); });
            mistake("a table that is too small", [&] { return ring_.fix_table(0, {many.data(), scenario_.indirect + 1u}); });
        }
        mistake("no such fixed slot", [&] { return ring_.add_fixed(size_, request); });
        for (std::uint16_t slot = 0; !scenario_.fixed && slot < size_; ++slot)
            mistake("a ring without fixed slots", [&] { return ring_.add_fixed(slot, request); });
        mistake("no such preset", [&] { return ring_.add_preset(scenario_.presets, good, true, request); });
        if (scenario_.presets != 0) {
            mistake("a preset without data", [&] { return ring_.add_preset(0, empty, true, request); });
            mistake("a preset of four gigabytes", [&] { return ring_.add_preset(0, huge, true, request); });
        }
        if (lent_count_ == 0) return;
        Request& lent = requests_[order_[0]];
        const char* again = "a request that is in flight";
        mistake(again, [&] { return ring_.add({&good, 1}, {}, lent); });
        mistake(again, [&] { return ring_.add({}, {many.data(), size_ > 1 ? 2u : 1u}, lent); });
        mistake(again, [&] { return ring_.add_readable(good, lent); });
        mistake(again, [&] { return ring_.add_writable(good, lent); });
        for (std::uint16_t slot = 0; slot < scenario_.presets; ++slot)
            mistake(again, [&] { return ring_.add_preset(slot, good, false, lent); });
    }

    std::string path() const {
        std::vector<std::string> steps;
        const auto line = [](Step step, unsigned argument, std::uint32_t choices) {
            std::array<char, 96> text;
            std::snprintf(text.data(), text.size(), "\n    %s 0x%02x, device's choices 0x%x", kStepNames[static_cast<std::size_t>(step)],
                          argument, choices);
            return std::string(text.data());
        };
        steps.push_back(line(step_, argument_, choices_.packed()));
        for (std::uint32_t at = current_; at != 0; at = nodes_[at].parent)
            steps.push_back(line(nodes_[at].step, nodes_[at].argument, nodes_[at].choices));
        std::string all;
        for (std::size_t i = steps.size(); i != 0; --i) all += steps[i - 1];
        return all;
    }

    const Scenario& scenario_;
    const std::uint16_t size_;
    Ring ring_;
    std::array<RingSlot, kMost> slots_{};
    std::array<RingTemplate, kMost> templates_{};
    std::array<Request, kMost> requests_{};
    std::array<Lent, kMost> lent_{};
    std::array<std::uint8_t, kMost> order_{};
    std::uint8_t lent_count_ = 0;
    alignas(4096) std::array<std::byte, 4096> memory_{};
    alignas(4096) std::array<std::byte, 4096> tables_{};

    State state_{};
    State fresh_{};
    std::uint16_t free_before_ = 0;
    Outcome outcome_;
    std::deque<State> frontier_;
    std::vector<Node> nodes_;
    std::unordered_set<Digest, ByDigest> seen_;
    Choices choices_;
    std::uint64_t transitions_ = 0;
    std::uint32_t current_ = 0;
    std::uint32_t last_id_ = 0;
    std::uint32_t last_length_ = 0;
    Step step_ = Step::start;
    std::uint8_t argument_ = 0;
};

template<class Ring> bool examine(const Scenario& scenario) {
    const auto start = std::chrono::steady_clock::now();
    // On the heap, at one place: the states hold pointers.
    const auto explorer = std::make_unique<Explorer<Ring>>(scenario);
    const std::string wrong = explorer->run();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("%-30s %9zu %12llu %7.1f s  %s\n", scenario.name, explorer->states(),
                static_cast<unsigned long long>(explorer->transitions()), seconds,
                wrong.empty() ? "holds" : ("VIOLATED: " + wrong).c_str());
    std::fflush(stdout);
    return wrong.empty();
}

} // namespace

int main(int count, char** arguments) {
    bool all = false, small = false;
    std::string_view wanted;
    for (int i = 1; i < count; ++i) {
        const std::string_view argument = arguments[i];
        if (argument == "--long")
            all = true;
        else if (argument == "--small")
            small = true;
        else
            wanted = argument;
    }
    unsigned runs = 0;
    unsigned wrong = 0;
    std::printf("%-30s %9s %12s %9s  %s\n", "ring", "states", "transitions", "time", "verdict");
    for (const Scenario& scenario : kScenarios) {
        if (!std::string_view(scenario.name).starts_with(wanted)) continue;
        if ((scenario.only_long && !all && wanted != scenario.name) || (small && !scenario.small)) continue;
        ++runs;
        wrong += (scenario.packed ? examine<PackedRing>(scenario) : examine<SplitRing>(scenario)) ? 0 : 1;
        if (wrong != 0 && small) break;
    }
    std::printf("%u rings examined, %u violated\n", runs, wrong);
    return wrong != 0 || runs == 0 ? 1 : 0;
}
