// The device's side of a split ring (VIRTIO 1.4, 2.7).
#include <algorithm>
#include <cinttypes>
#include <cstring>

#include "tests/referee/ring.hpp"

namespace referee {

namespace {

class SplitSide final : public RingSide {
public:
    explicit SplitSide(Bench& bench)
        : RingSide(bench), lent_(bench.setup.size), event_index_(bench.has(feature::kEventIdx)), in_order_(bench.has(feature::kInOrder)) {}

    bool start() override;
    void look() override;
    bool available() override {
        look();
        return seen_ != next_;
    }
    Took take(Chain& chain) override;
    void check(Chain& chain) override;
    void forget(const Chain& chain) override {
        for (const std::uint16_t slot : chain.slots) lent_[slot] = false;
        --held_;
    }
    void put(const UsedEntry& entry) override;
    void jump(std::int32_t by) override { store16(used_ + 2, static_cast<std::uint16_t>(index_ + by)); }
    void scribble(const Chain& chain) override;
    void event_garbage() override {
        store16(used_, static_cast<std::uint16_t>(bench_.random.next()), std::memory_order_relaxed);
        store16(event_word(), static_cast<std::uint16_t>(bench_.random.next()), std::memory_order_relaxed);
    }
    bool wants_interrupt() override;
    void ask(Notify how, std::uint16_t ahead) override;
    std::uint32_t free_id() const override {
        for (std::uint32_t id = 0; id < lent_.size(); ++id)
            if (!lent_[id]) return id;
        return bench_.setup.size;
    }
    std::uint16_t position() const noexcept override { return next_; }

protected:
    unsigned unaccounted() override { return static_cast<std::uint16_t>(seen_ - accounted_); }
    bool kick_due() override { return event_index_ ? passes(asked_event_, seen_, accounted_) : (asked_flags_ & 1) == 0; }
    void account() override { accounted_ = seen_; }
    void kick_came(bool due) override;
    void no_kick_needed() override;
    void missing_kick(std::uint64_t milliseconds) override;
    void judge_position(std::uint16_t told) override {
        bench_.judge.hold(told == seen_, Clause::rule_008, bench_.setup.index, "notified with index 0x%x, avail.idx is 0x%x", told, seen_);
    }

private:
    [[nodiscard]] std::byte* event_word() const noexcept { return used_ + 4 + 8 * std::size_t{bench_.setup.size}; }
    [[nodiscard]] std::uint16_t masked(std::uint16_t index) const noexcept {
        return static_cast<std::uint16_t>(index & (bench_.setup.size - 1));
    }
    [[nodiscard]] RawDescriptor descriptor(const std::byte* table, std::size_t index) const noexcept {
        RawDescriptor out;
        std::memcpy(&out, table + index * sizeof out, sizeof out);
        return out;
    }
    [[nodiscard]] std::uint64_t fingerprint(const Chain& chain) const noexcept;
    void walk_table(Walk& walk, const std::byte* entries);
    /// What avail_event would have said, had it counted (NOTIF-007).
    [[nodiscard]] bool junk_says_kick() const noexcept { return passes(junk_event_, seen_, accounted_); }

    std::byte* descriptors_ = nullptr;
    std::byte* available_ = nullptr; // flags, idx, ring, used_event
    std::byte* used_ = nullptr;      // flags, idx, ring, avail_event
    std::vector<bool> lent_;         // descriptors of buffers in flight
    std::uint16_t seen_ = 0;         // avail.idx as last sampled
    std::uint16_t next_ = 0;         // next available entry to take
    std::uint16_t accounted_ = 0;    // up to where kicks were judged
    std::uint16_t index_ = 0;        // used.idx
    std::uint16_t told_ = 0;         // index_ at the last question for interrupts
    std::uint16_t asked_flags_ = 0;
    std::uint16_t asked_event_ = 0;
    std::uint16_t junk_event_ = 0;
    std::uint16_t driver_flags_ = 0; // as last sampled
    std::uint16_t driver_event_ = 0;
    std::uint16_t expected_slot_ = 0; // IN_ORDER: where the next chain begins
    unsigned held_ = 0;               // buffers in flight
    std::uint16_t refused_index_ = 0; // a value of avail.idx that made no sense
    bool refused_ = false;
    bool junk_ = false;
    bool event_index_;
    bool in_order_;
};

bool SplitSide::start() {
    const QueueSetup& setup = bench_.setup;
    Judge& judge = bench_.judge;
    const std::uint16_t queue = setup.index;
    if (setup.size == 0 || setup.size > kLargestQueue || (setup.size & (setup.size - 1)) != 0) {
        judge.violated(Clause::mmio_016, queue, "a split queue of %u entries", setup.size);
        return false;
    }
    const bool aligned = setup.descriptors % 16 == 0 && setup.driver % 2 == 0 && setup.device % 4 == 0;
    judge.hold(aligned, Clause::split_001, queue, "descriptors at 0x%" PRIx64 ", available ring at 0x%" PRIx64 ", used ring at 0x%" PRIx64,
               setup.descriptors, setup.driver, setup.device);
    descriptors_ = bench_.memory.at(setup.descriptors, 16 * std::uint64_t{setup.size});
    available_ = bench_.memory.at(setup.driver, 6 + 2 * std::uint64_t{setup.size});
    used_ = bench_.memory.at(setup.device, 6 + 8 * std::uint64_t{setup.size});
    if (descriptors_ == nullptr || available_ == nullptr || used_ == nullptr) {
        judge.violated(Clause::feat_018, queue, "a ring outside of guest memory");
        return false;
    }
    if (!aligned) return false;
    const std::uint16_t flags = load16(used_);
    judge.hold(flags == 0, Clause::notif_006, queue, "used.flags is 0x%x when the queue is enabled", flags);
    seen_ = next_ = accounted_ = index_ = told_ = setup.first;
    const std::uint16_t available = load16(available_ + 2);
    const std::uint16_t used = load16(used_ + 2);
    // Buffers may be there before the device is told to look; more than the ring holds cannot.
    judge.hold(static_cast<std::uint16_t>(available - setup.first) <= setup.size && used == setup.first, Clause::rule_012, queue,
               "avail.idx is %u and used.idx %u when the queue is enabled", available, used);
    driver_flags_ = load16(available_);
    driver_event_ = load16(available_ + 4 + 2 * std::size_t{setup.size}, std::memory_order_relaxed);
    expected_slot_ = 0;
    return true;
}

void SplitSide::look() {
    Judge& judge = bench_.judge;
    const std::uint16_t queue = bench_.setup.index;
    const std::uint16_t flags = load16(available_, std::memory_order_relaxed);
    if (event_index_) {
        judge.hold(flags == 0, Clause::notif_003, queue, "avail.flags is 0x%x", flags);
        const std::uint16_t event = load16(available_ + 4 + 2 * std::size_t{bench_.setup.size}, std::memory_order_relaxed);
        if (event != driver_event_) {
            driver_event_ = event;
            judge.log().add(EventKind::asked, queue, flags, event);
            judge.held(Clause::split_015);
        }
    } else {
        judge.hold(flags <= 1, Clause::notif_001, queue, "avail.flags is 0x%x", flags);
        if (flags != driver_flags_) {
            judge.log().add(EventKind::asked, queue, flags);
            if ((flags & 1) == 0) judge.held(Clause::split_015);
        }
    }
    driver_flags_ = flags;

    const std::uint16_t index = load16(available_ + 2);
    if (index == seen_ || (refused_ && index == refused_index_)) return;
    refused_ = false;
    const auto fresh = static_cast<std::uint16_t>(index - seen_);
    const auto untaken = static_cast<std::uint16_t>(seen_ - next_);
    if (std::uint32_t{fresh} + untaken + held_ > bench_.setup.size) {
        // A step back and a leap forward look alike modulo 65536; the shorter way is the likelier mistake.
        if (fresh >= 0x8000)
            judge.violated(Clause::split_010, queue, "avail.idx went back from %u to %u", seen_, index);
        else
            judge.violated(Clause::rule_003, queue, "avail.idx went from %u to %u with %u of %u buffers unused", seen_, index,
                           untaken + held_, bench_.setup.size);
        if (fresh >= 0x8000 || fresh > bench_.setup.size) {
            // Nothing sensible to walk until the index is another.
            refused_ = true;
            refused_index_ = index;
            return;
        }
    } else {
        judge.held(Clause::split_010);
        judge.held(Clause::rule_003);
    }
    if (fresh > 1) judge.held(Clause::split_014);
    seen_ = index;
    judge.log().add(EventKind::available, queue, index, fresh);
}

std::uint64_t SplitSide::fingerprint(const Chain& chain) const noexcept {
    std::uint64_t state = 0xcbf2'9ce4'8422'2325u;
    for (const std::uint16_t slot : chain.slots) hash(state, descriptors_ + 16 * std::size_t{slot}, 16);
    if (chain.entries != 0) hash(state, bench_.memory.at(chain.table, 16 * std::uint64_t{chain.entries}), 16 * std::size_t{chain.entries});
    return state;
}

void SplitSide::walk_table(Walk& walk, const std::byte* entries) {
    Judge& judge = bench_.judge;
    const std::uint16_t queue = bench_.setup.index;
    const std::uint32_t count = walk.chain.entries;
    std::uint32_t at = 0;
    for (std::uint32_t walked = 0;; ++walked) {
        if (walked == count) {
            judge.violated(Clause::split_003, queue, "buffer %u: its indirect table loops", walk.chain.id);
            walk.chain.sound = false;
            return;
        }
        const RawDescriptor entry = descriptor(entries, at);
        const std::uint16_t flags = entry.third;
        judge.hold((flags & desc::kIndirect) == 0, Clause::split_006, queue, "buffer %u: entry %u of its table has flags 0x%x",
                   walk.chain.id, at, flags);
        element(walk, entry.address, entry.length, (flags & desc::kWrite) != 0);
        if ((flags & desc::kNext) == 0) return;
        if (in_order_)
            judge.hold(entry.fourth == at + 1, Clause::split_009, queue, "buffer %u: entry %u of its table names %u as the next",
                       walk.chain.id, at, entry.fourth);
        judge.hold(entry.fourth < count, Clause::rule_001, queue, "buffer %u: entry %u of %u names %u as the next", walk.chain.id, at,
                   count, entry.fourth);
        if (entry.fourth >= count) {
            walk.chain.sound = false;
            return;
        }
        at = entry.fourth;
    }
}

RingSide::Took SplitSide::take(Chain& chain) {
    if (seen_ == next_) return Took::none;
    Judge& judge = bench_.judge;
    const std::uint16_t queue = bench_.setup.index;
    const std::uint32_t size = bench_.setup.size;
    const std::uint16_t entry = masked(next_);
    const std::uint16_t head = load16(available_ + 4 + 2 * std::size_t{entry}, std::memory_order_relaxed);
    ++next_;
    judge.hold(head < size, Clause::rule_001, queue, "available ring entry %u names descriptor %u of %u", entry, head, size);
    if (head >= size) return Took::dropped;
    judge.hold(!lent_[head], Clause::rule_002, queue, "descriptor %u is offered again while it is in flight", head);
    if (lent_[head]) return Took::dropped;
    if (in_order_)
        judge.hold(head == expected_slot_, Clause::rule_006, queue, "a chain begins at descriptor %u, %u is next in ring order", head,
                   expected_slot_);

    chain.id = head;
    chain.slot = entry;
    Walk walk{chain};
    bool looped = false;
    bool again = false;
    for (std::uint32_t at = head;;) {
        if (lent_[at]) {
            // Visited in this walk: a loop. Else it belongs to a buffer in flight.
            looped = std::ranges::find(chain.slots, at) != chain.slots.end();
            again = !looped;
            break;
        }
        lent_[at] = true;
        chain.slots.push_back(static_cast<std::uint16_t>(at));
        const RawDescriptor here = descriptor(descriptors_, at);
        const std::uint16_t flags = here.third;
        const bool next = (flags & desc::kNext) != 0;
        if ((flags & desc::kIndirect) != 0) {
            judge.hold(bench_.has(feature::kIndirectDesc), Clause::split_005, queue, "descriptor %u has flags 0x%x", at, flags);
            judge.hold(!next, Clause::split_008, queue, "descriptor %u has flags 0x%x", at, flags);
            if (const std::byte* entries = table(walk, here.address, here.length)) walk_table(walk, entries);
            if (next) break;
        } else {
            if (!bench_.has(feature::kIndirectDesc)) judge.held(Clause::split_005);
            element(walk, here.address, here.length, (flags & desc::kWrite) != 0);
        }
        if (!next) break;
        judge.hold(here.fourth < size, Clause::rule_001, queue, "descriptor %u names %u of %u as the next", at, here.fourth, size);
        if (in_order_)
            judge.hold(here.fourth == (at + 1) % size, Clause::split_004, queue, "descriptor %u names %u as the next", at, here.fourth);
        if (here.fourth >= size) {
            chain.sound = false;
            break;
        }
        at = here.fourth;
    }
    judge.hold(!looped, Clause::split_003, queue, "the chain of descriptor %u loops", head);
    if (again) judge.violated(Clause::rule_002, queue, "the chain of descriptor %u runs into one that is in flight", head);
    if (looped || again) chain.sound = false;
    judge.hold(walk.elements <= size, Clause::split_007, queue, "buffer %u: %u descriptors, the queue has %u", head, walk.elements, size);
    chain.descriptors = static_cast<std::uint16_t>(chain.slots.size());
    expected_slot_ = static_cast<std::uint16_t>((chain.slots.back() + 1u) % size);
    finish(walk);
    chain.hash = fingerprint(chain);
    ++held_;
    return Took::chain;
}

void SplitSide::check(Chain& chain) {
    if (tampered()) return;
    const std::uint64_t now = fingerprint(chain);
    bench_.judge.hold(now == chain.hash, Clause::reset_005, bench_.setup.index, "buffer %u: its descriptors changed while it is in flight",
                      chain.id);
    chain.hash = now;
}

void SplitSide::put(const UsedEntry& entry) {
    std::byte* const element = used_ + 4 + 8 * std::size_t{masked(index_)};
    store32(element, entry.id);
    store32(element + 4, entry.length);
    index_ = static_cast<std::uint16_t>(index_ + entry.buffers);
    store16(used_ + 2, index_); // release: what the device wrote into the buffers is visible before
}

void SplitSide::scribble(const Chain& chain) {
    const auto junk = [this](std::byte* at, std::size_t bytes) {
        for (std::size_t i = 0; i < bytes; ++i) at[i] = static_cast<std::byte>(bench_.random.next());
    };
    for (const std::uint16_t slot : chain.slots) junk(descriptors_ + 16 * std::size_t{slot}, 16);
    if (chain.entries != 0) junk(bench_.memory.at(chain.table, 16 * std::uint64_t{chain.entries}), 16 * std::size_t{chain.entries});
}

bool SplitSide::wants_interrupt() {
    // The other half of the driver's fence between arming and its second look (2.7.14).
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const std::uint16_t before = told_;
    told_ = index_;
    if (before == index_) return false;
    bool wanted = false;
    if (event_index_) {
        wanted = passes(load16(available_ + 4 + 2 * std::size_t{bench_.setup.size}, std::memory_order_relaxed), index_, before);
        if (!wanted) bench_.judge.held(Clause::notif_004);
    } else {
        wanted = (load16(available_, std::memory_order_relaxed) & 1) == 0;
        if (!wanted) bench_.judge.held(Clause::notif_002);
    }
    return wanted;
}

void SplitSide::ask(Notify how, std::uint16_t ahead) {
    const std::uint16_t old_flags = asked_flags_;
    const std::uint16_t old_event = asked_event_;
    junk_ = bench_.script.junk_events;
    if (event_index_) {
        asked_event_ = static_cast<std::uint16_t>(how == Notify::never ? seen_ - 1 : seen_ + (how == Notify::ahead ? ahead : 0));
        store16(event_word(), asked_event_, std::memory_order_relaxed);
        // The driver must not mind the bit that says "no" (NOTIF-010).
        asked_flags_ = junk_ ? 1 : 0;
        store16(used_, asked_flags_, std::memory_order_relaxed);
    } else {
        asked_flags_ = how == Notify::never ? 1 : 0;
        store16(used_, asked_flags_, std::memory_order_relaxed);
        if (junk_) {
            // The opposite of what the flag says, so that a driver that listens to it is found out (NOTIF-007).
            junk_event_ = static_cast<std::uint16_t>(how == Notify::never ? seen_ : seen_ - 1);
            store16(event_word(), junk_event_, std::memory_order_relaxed);
        }
    }
    if (old_flags != asked_flags_ || old_event != asked_event_)
        bench_.judge.log().add(EventKind::suppressed, bench_.setup.index, asked_flags_, asked_event_);
    // Pairs with the driver's fence between publishing and looking at this word; the queue looks once more after it (2.7.10).
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

void SplitSide::kick_came(bool due) {
    Judge& judge = bench_.judge;
    const std::uint16_t queue = bench_.setup.index;
    if (event_index_) {
        if (due) {
            judge.held(Clause::notif_011);
            if (junk_) judge.held(Clause::notif_010);
        } else {
            judge.violated(Clause::notif_012, queue, "notified of entries %u to %u, avail_event is %u", accounted_, seen_ - 1,
                           asked_event_);
        }
        return;
    }
    if (due) {
        judge.held(Clause::notif_009);
        if (junk_) judge.held(Clause::notif_007);
    } else {
        judge.violated(Clause::notif_008, queue, "notified of entries %u to %u, used.flags is 1", accounted_, seen_ - 1);
        if (junk_ && junk_says_kick())
            judge.violated(Clause::notif_007, queue, "notified as avail_event %u says, used.flags is 1", junk_event_);
    }
}

void SplitSide::no_kick_needed() {
    bench_.judge.held(event_index_ ? Clause::notif_012 : Clause::notif_008);
    if (!event_index_ && junk_) bench_.judge.held(Clause::notif_007);
}

void SplitSide::missing_kick(std::uint64_t milliseconds) {
    Judge& judge = bench_.judge;
    const std::uint16_t queue = bench_.setup.index;
    if (event_index_) {
        judge.violated(Clause::notif_011, queue, "no notification of entries %u to %u, avail_event is %u (waited %" PRIu64 " ms)",
                       accounted_, seen_ - 1, asked_event_, milliseconds);
        if (junk_) judge.violated(Clause::notif_010, queue, "no notification while used.flags is 1");
    } else {
        judge.violated(Clause::notif_009, queue, "no notification of entries %u to %u, used.flags is 0 (waited %" PRIu64 " ms)", accounted_,
                       seen_ - 1, milliseconds);
        if (junk_ && !junk_says_kick()) judge.violated(Clause::notif_007, queue, "not notified, as avail_event %u says", junk_event_);
    }
}

} // namespace

std::unique_ptr<RingSide> make_split_side(Bench& bench) { return std::make_unique<SplitSide>(bench); }

} // namespace referee
