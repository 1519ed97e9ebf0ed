// The device's side of a packed ring (VIRTIO 1.4, 2.8).
#include <array>
#include <bit>
#include <cinttypes>
#include <cstring>

#include "tests/referee/ring.hpp"

namespace referee {

namespace {

/// A slot and the wrap counter of the round that reaches it.
struct Position {
    std::uint16_t slot = 0;
    bool wrap = true;

    void advance(std::uint32_t by, std::uint32_t size) noexcept {
        std::uint32_t to = slot + by;
        while (to >= size) {
            to -= size;
            wrap = !wrap;
        }
        slot = static_cast<std::uint16_t>(to);
    }
    [[nodiscard]] std::uint16_t word() const noexcept { return static_cast<std::uint16_t>(slot | (wrap ? 0x8000 : 0)); }
    friend bool operator==(const Position&, const Position&) = default;
};

/// Slots forward from one position to another. Positions tell two rounds apart.
std::uint32_t distance(Position from, Position to, std::uint32_t size) noexcept {
    const auto flat = [size](Position at) { return at.slot + (at.wrap ? 0 : size); };
    return (flat(to) + 2 * size - flat(from)) % (2 * size);
}

class PackedSide final : public RingSide {
public:
    explicit PackedSide(Bench& bench) : RingSide(bench), slots_(bench.setup.size), event_index_(bench.has(feature::kEventIdx)) {}

    bool start() override;
    void look() override;
    bool available() override {
        look();
        return offered(next_, load16(flags_at(next_.slot)));
    }
    Took take(Chain& chain) override;
    void check(Chain& chain) override;
    void forget(const Chain& chain) override { ids_[chain.id / 64] &= ~(std::uint64_t{1} << (chain.id % 64)); }
    void put(const UsedEntry& entry) override;
    void jump(std::int32_t by) override;
    void scribble(const Chain& chain) override;
    void event_garbage() override {
        store32(device_, static_cast<std::uint32_t>(bench_.random.next()) | 0xfff4'0000u, std::memory_order_release);
    }
    bool wants_interrupt() override;
    void ask(Notify how, std::uint16_t ahead) override;
    std::uint32_t free_id() const override {
        for (std::uint32_t id = 0; id < bench_.setup.size; ++id)
            if (!in_flight(static_cast<std::uint16_t>(id))) return id;
        return bench_.setup.size;
    }
    std::uint16_t position() const noexcept override { return next_.word(); }

protected:
    unsigned unaccounted() override { return distance(accounted_, seen_, bench_.setup.size); }
    bool kick_due() override {
        if (asked_flags_ == event::kDesc) return distance(accounted_, asked_, bench_.setup.size) < unaccounted();
        return asked_flags_ == event::kEnable;
    }
    void account() override { accounted_ = seen_; }
    void kick_came(bool due) override {
        if (due)
            bench_.judge.held(Clause::rule_010);
        else
            bench_.judge.violated(Clause::rule_011, bench_.setup.index,
                                  "notified of slots 0x%x to 0x%x (excluded), the event structure says flags %u, 0x%x", accounted_.word(),
                                  seen_.word(), asked_flags_, asked_.word());
    }
    void no_kick_needed() override { bench_.judge.held(Clause::rule_011); }
    void missing_kick(std::uint64_t milliseconds) override {
        bench_.judge.violated(Clause::rule_010, bench_.setup.index,
                              "no notification of slots 0x%x to 0x%x (excluded), the event structure says flags %u, 0x%x (waited %" PRIu64
                              " ms)",
                              accounted_.word(), seen_.word(), asked_flags_, asked_.word(), milliseconds);
    }
    void judge_position(std::uint16_t told) override {
        bench_.judge.hold(told == seen_.word(), Clause::notif_014, bench_.setup.index,
                          "notified with 0x%x, the next slot not yet available is 0x%x", told, seen_.word());
    }

private:
    struct Slot {
        std::array<std::byte, 16> lent{}; // as the driver lent it
        std::uint16_t left = 0;           // flags when the device last let go of it
        bool owned = false;               // by the device
    };

    [[nodiscard]] std::byte* at(std::uint16_t slot) const noexcept { return ring_ + 16 * std::size_t{slot}; }
    [[nodiscard]] std::byte* flags_at(std::uint16_t slot) const noexcept { return at(slot) + 14; }
    [[nodiscard]] static bool offered(Position here, std::uint16_t flags) noexcept {
        return ((flags & desc::kAvail) != 0) == here.wrap && ((flags & desc::kUsed) != 0) != here.wrap;
    }
    [[nodiscard]] bool in_flight(std::uint16_t id) const noexcept { return (ids_[id / 64] >> (id % 64) & 1) != 0; }
    void check_slot(std::uint32_t slot);
    void check_slots();
    void partial_list(Position first, Position here);
    void walk_table(Walk& walk, const std::byte* entries);

    std::byte* ring_ = nullptr;
    std::byte* driver_ = nullptr;
    std::byte* device_ = nullptr;
    std::vector<Slot> slots_;
    std::array<std::uint64_t, 1024> ids_{}; // buffer ids in flight
    Position next_;                         // next list to take
    Position seen_;                         // first slot that is not available, as last looked
    Position accounted_;                    // up to where kicks were judged
    Position used_;                         // next used descriptor to write
    Position told_;                         // used_ at the last question for interrupts
    Position asked_;
    std::uint16_t asked_flags_ = 0;
    std::uint16_t driver_flags_ = 0; // as last sampled
    std::uint16_t driver_event_ = 0;
    std::uint32_t owned_ = 0;   // slots
    std::uint32_t checked_ = 0; // where check_slots() goes on
    bool partial_told_ = false;
    bool event_index_;
};

bool PackedSide::start() {
    const QueueSetup& setup = bench_.setup;
    Judge& judge = bench_.judge;
    const std::uint16_t queue = setup.index;
    if (setup.size == 0 || setup.size > kLargestQueue) {
        judge.violated(Clause::mmio_016, queue, "a packed queue of %u entries", setup.size);
        return false;
    }
    const bool aligned = setup.descriptors % 16 == 0 && setup.driver % 4 == 0 && setup.device % 4 == 0;
    judge.hold(aligned, Clause::packed_001, queue, "descriptor ring at 0x%" PRIx64 ", event structures at 0x%" PRIx64 " and 0x%" PRIx64,
               setup.descriptors, setup.driver, setup.device);
    ring_ = bench_.memory.at(setup.descriptors, 16 * std::uint64_t{setup.size});
    driver_ = bench_.memory.at(setup.driver, 4);
    device_ = bench_.memory.at(setup.device, 4);
    if (ring_ == nullptr || driver_ == nullptr || device_ == nullptr) {
        judge.violated(Clause::feat_018, queue, "a ring outside of guest memory");
        return false;
    }
    if (!aligned) return false;
    next_ = {static_cast<std::uint16_t>((setup.first & 0x7fff) % setup.size), (setup.first & 0x8000) == 0};
    seen_ = accounted_ = used_ = told_ = next_;
    // Slots that are not available hold zeros; what was made available before the queue was enabled is not looked at here.
    bool zeroed = true;
    Position here = next_;
    for (std::uint32_t i = 0; i < setup.size; ++i, here.advance(1, setup.size)) {
        static constexpr std::array<std::byte, 14> kZeros{};
        const std::uint16_t flags = load16(flags_at(here.slot));
        if (offered(here, flags)) continue;
        slots_[here.slot].left = flags;
        zeroed = zeroed && (setup.first != 0 || flags == 0) && std::memcmp(at(here.slot), kZeros.data(), kZeros.size()) == 0;
    }
    judge.hold(zeroed, Clause::rule_012, queue, "the descriptor ring is not zeroed when the queue is enabled");
    driver_event_ = load16(driver_, std::memory_order_relaxed);
    driver_flags_ = load16(driver_ + 2);
    return true;
}

void PackedSide::look() {
    Judge& judge = bench_.judge;
    const std::uint16_t queue = bench_.setup.index;
    const std::uint32_t size = bench_.setup.size;
    const std::uint16_t flags = load16(driver_ + 2);
    const std::uint16_t position = load16(driver_, std::memory_order_relaxed);
    const bool valid = flags <= event::kDesc && (flags != event::kDesc || (event_index_ && (position & 0x7fff) < size));
    judge.hold(valid, Clause::rule_009, queue, "the driver event structure holds flags 0x%x, 0x%x", flags, position);
    if (flags != driver_flags_ || (flags == event::kDesc && position != driver_event_)) {
        judge.log().add(EventKind::asked, queue, flags, position);
        if (flags != event::kDisable) judge.held(Clause::packed_016);
    }
    driver_flags_ = flags;
    driver_event_ = position;

    std::uint32_t fresh = 0;
    while (distance(next_, seen_, size) < size && offered(seen_, load16(flags_at(seen_.slot)))) {
        seen_.advance(1, size);
        ++fresh;
    }
    if (fresh == 0) return;
    judge.log().add(EventKind::available, queue, seen_.word(), fresh);
    // What is available ends where a list ends: a list appears at once.
    Position last = seen_;
    last.advance(2 * size - 1, size);
    if ((load16(flags_at(last.slot)) & desc::kNext) == 0 || distance(next_, seen_, size) >= size) return;
    Position first = next_;
    for (Position here = next_; here != seen_; here.advance(1, size))
        if (here != last && (load16(flags_at(here.slot)) & desc::kNext) == 0) {
            first = here;
            first.advance(1, size);
        }
    partial_list(first, seen_);
}

/// A list is available from `first` on and goes on at `here`, which is not.
void PackedSide::partial_list(Position first, Position here) {
    if (partial_told_ || tampered()) return;
    partial_told_ = true;
    Judge& judge = bench_.judge;
    const std::uint16_t queue = bench_.setup.index;
    const std::uint32_t size = bench_.setup.size;
    const std::uint32_t count = distance(first, here, size);
    const std::uint32_t before = owned_ + distance(next_, first, size); // not taken yet, but the device's all the same
    judge.violated(Clause::packed_009, queue, "slot %u is available and goes on at slot %u, which is not", first.slot, here.slot);
    if (before + count >= size)
        judge.violated(Clause::packed_008, queue, "a list of more than %u descriptors, %u were free", count, size - before);
    if (before != 0) judge.violated(Clause::packed_007, queue, "part of a list is available while %u descriptors are in use", before);
}

/// Nobody may touch a slot that the device owns (PACKED-002, PACKED-003, RESET-005).
void PackedSide::check_slot(std::uint32_t slot) {
    std::array<std::byte, 16> now{};
    std::memcpy(now.data(), at(static_cast<std::uint16_t>(slot)), now.size());
    const bool same = now == slots_[slot].lent;
    for (const Clause clause : {Clause::packed_002, Clause::packed_003, Clause::reset_005})
        bench_.judge.hold(same, clause, bench_.setup.index, "descriptor %u changed while the device owns it", slot);
    slots_[slot].lent = now;
}

/// A few of them each time.
void PackedSide::check_slots() {
    constexpr std::uint32_t kEachTime = 16;
    const std::uint32_t size = bench_.setup.size;
    for (std::uint32_t i = 0; i < size && i < kEachTime; ++i) {
        checked_ = checked_ + 1 < size ? checked_ + 1 : 0;
        if (slots_[checked_].owned) check_slot(checked_);
    }
}

void PackedSide::walk_table(Walk& walk, const std::byte* entries) {
    for (std::uint32_t i = 0; i < walk.chain.entries; ++i) {
        RawDescriptor entry;
        std::memcpy(&entry, entries + 16 * std::size_t{i}, sizeof entry);
        const std::uint16_t flags = entry.fourth;
        bench_.judge.hold((flags & ~desc::kWrite) == 0, Clause::packed_011, bench_.setup.index,
                          "buffer %u: entry %u of its table has flags 0x%x", walk.chain.id, i, flags);
        element(walk, entry.address, entry.length, (flags & desc::kWrite) != 0);
    }
    walk.chain.hash = 0xcbf2'9ce4'8422'2325u;
    hash(walk.chain.hash, entries, 16 * std::size_t{walk.chain.entries});
}

RingSide::Took PackedSide::take(Chain& chain) {
    Judge& judge = bench_.judge;
    const std::uint16_t queue = bench_.setup.index;
    const std::uint32_t size = bench_.setup.size;
    const std::uint16_t first = load16(flags_at(next_.slot));
    if (!offered(next_, first)) {
        Slot& slot = slots_[next_.slot];
        // A full ring: the slot is the device's. Beside a running driver the flags may be half way.
        if (slot.owned || tampered() || bench_.script.threaded) return Took::none;
        judge.hold(first == slot.left, Clause::rule_005, queue, "slot %u: flags 0x%x, the driver's wrap counter is %d here", next_.slot,
                   first, next_.wrap);
        slot.left = first;
        return Took::none;
    }

    // How far the list reaches, before anything of it is believed.
    std::uint32_t count = 1;
    Position here = next_;
    for (std::uint16_t flags = first; (flags & desc::kNext) != 0; ++count) {
        if (count == size) break;
        here.advance(1, size);
        flags = load16(flags_at(here.slot));
        if (!offered(here, flags)) {
            partial_list(next_, here);
            return Took::none; // perhaps the rest comes
        }
    }
    partial_told_ = false;
    judge.held(Clause::rule_005);

    RawDescriptor last;
    std::memcpy(&last, at(here.slot), sizeof last);
    chain.id = last.third;
    chain.slot = next_.slot;
    const bool endless = count == size && (last.fourth & desc::kNext) != 0;
    judge.hold(!endless, Clause::packed_005, queue, "a list of %u descriptors does not end", count);
    if (endless) chain.sound = false;
    if (count > 1) {
        judge.held(Clause::packed_009);
        judge.held(Clause::packed_015);
        if (owned_ != 0) judge.held(Clause::packed_007);
    }
    judge.hold(owned_ + count <= size, Clause::packed_008, queue, "a list of %u descriptors, %u were free", count, size - owned_);
    judge.hold(!in_flight(chain.id), Clause::rule_002, queue, "buffer id %u is offered again while it is in flight", chain.id);
    if (in_flight(chain.id)) chain.sound = false;

    Walk walk{chain};
    for (std::uint32_t i = 0; i < count; ++i) {
        RawDescriptor raw;
        Slot& slot = slots_[next_.slot];
        std::memcpy(&raw, at(next_.slot), sizeof raw);
        std::memcpy(slot.lent.data(), &raw, sizeof raw);
        owned_ += slot.owned ? 0 : 1;
        slot.owned = true;
        chain.slots.push_back(next_.slot);
        const std::uint16_t flags = raw.fourth;
        if ((flags & desc::kIndirect) != 0) {
            judge.hold(bench_.has(feature::kIndirectDesc), Clause::packed_010, queue, "slot %u has flags 0x%x", next_.slot, flags);
            judge.hold(count == 1, Clause::packed_013, queue, "slot %u has flags 0x%x, one of a list of %u", next_.slot, flags, count);
            if (const std::byte* entries = table(walk, raw.address, raw.length)) walk_table(walk, entries);
        } else {
            if (!bench_.has(feature::kIndirectDesc)) judge.held(Clause::packed_010);
            element(walk, raw.address, raw.length, (flags & desc::kWrite) != 0);
        }
        next_.advance(1, size);
    }
    if (distance(next_, seen_, size) > size) seen_ = next_; // became available since the last look
    chain.descriptors = static_cast<std::uint16_t>(count);
    finish(walk);
    ids_[chain.id / 64] |= std::uint64_t{1} << (chain.id % 64);
    return Took::chain;
}

void PackedSide::check(Chain& chain) {
    if (tampered()) return;
    check_slots();
    if (chain.entries == 0) return;
    std::uint64_t now = 0xcbf2'9ce4'8422'2325u;
    hash(now, bench_.memory.at(chain.table, 16 * std::uint64_t{chain.entries}), 16 * std::size_t{chain.entries});
    bench_.judge.hold(now == chain.hash, Clause::reset_005, bench_.setup.index,
                      "buffer %u: its indirect table changed while it is in flight", chain.id);
    chain.hash = now;
}

void PackedSide::put(const UsedEntry& entry) {
    const std::uint32_t size = bench_.setup.size;
    const bool wrap = used_.wrap != entry.other_wrap;
    std::uint16_t flags = wrap ? desc::kAvail | desc::kUsed : 0;
    if (entry.unequal) flags ^= desc::kUsed;
    if (entry.length != 0) flags |= desc::kWrite;
    std::byte* const descriptor = at(used_.slot);
    // Every slot that this entry passes is the driver's from the moment when it sees the flags.
    Position passed = used_;
    if (!entry.other_wrap && !entry.unequal) {
        for (std::uint32_t i = 0; i < entry.slots; ++i, passed.advance(1, size)) {
            Slot& slot = slots_[passed.slot];
            if (!slot.owned) continue;
            if (!tampered()) check_slot(passed.slot);
            std::memcpy(&slot.left, slot.lent.data() + 14, 2);
            slot.owned = false;
            --owned_;
        }
        slots_[used_.slot].left = flags;
    } else if (slots_[used_.slot].owned) {
        // A lie leaves the slot with the device, as it wrote it.
        std::memcpy(slots_[used_.slot].lent.data() + 8, &entry.length, 4);
        const auto id = static_cast<std::uint16_t>(entry.id);
        std::memcpy(slots_[used_.slot].lent.data() + 12, &id, 2);
        std::memcpy(slots_[used_.slot].lent.data() + 14, &flags, 2);
    }
    store32(descriptor + 8, entry.length);
    store16(descriptor + 12, static_cast<std::uint16_t>(entry.id), std::memory_order_relaxed);
    store16(descriptor + 14, flags); // release: id, length and what was written into the buffers are visible before
    if (!entry.other_wrap && !entry.unequal) used_ = passed;
}

void PackedSide::jump(std::int32_t by) {
    // More slots look used than were; or, backwards, the last one is taken back.
    tamper();
    const std::uint32_t size = bench_.setup.size;
    Position here = used_;
    if (by < 0) here.advance(2 * size - 1, size);
    const std::uint32_t count = by < 0 ? 1 : static_cast<std::uint32_t>(by) < size ? static_cast<std::uint32_t>(by) : size;
    for (std::uint32_t i = 0; i < count; ++i, here.advance(1, size)) {
        const bool wrap = by < 0 ? !here.wrap : here.wrap;
        store16(at(here.slot) + 12, static_cast<std::uint16_t>(bench_.random.next()), std::memory_order_relaxed);
        store16(flags_at(here.slot), wrap ? desc::kAvail | desc::kUsed : 0);
    }
}

void PackedSide::scribble(const Chain& chain) {
    // Everything but the flags of slots, which alone would say "used".
    const auto junk = [this](std::byte* where, std::size_t bytes) {
        for (std::size_t i = 0; i < bytes; ++i) where[i] = static_cast<std::byte>(bench_.random.next());
    };
    for (const std::uint16_t slot : chain.slots)
        if (slots_[slot].owned) junk(at(slot), 14);
    if (chain.entries != 0) junk(bench_.memory.at(chain.table, 16 * std::uint64_t{chain.entries}), 16 * std::size_t{chain.entries});
}

bool PackedSide::wants_interrupt() {
    // The other half of the driver's fence between arming and its second look (2.8.22).
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const std::uint32_t size = bench_.setup.size;
    const Position before = told_;
    told_ = used_;
    if (before == used_) return false;
    const std::uint16_t flags = load16(driver_ + 2) & 3;
    if (flags == event::kDisable) return false;
    if (flags != event::kDesc || !event_index_) return true;
    const std::uint16_t word = load16(driver_, std::memory_order_relaxed);
    const Position wanted{static_cast<std::uint16_t>(word & 0x7fff), (word & 0x8000) != 0};
    return distance(before, wanted, size) < distance(before, used_, size);
}

void PackedSide::ask(Notify how, std::uint16_t ahead) {
    const Position old = asked_;
    const std::uint16_t old_flags = asked_flags_;
    asked_ = seen_;
    asked_flags_ = how == Notify::never ? event::kDisable : event_index_ ? event::kDesc : event::kEnable;
    if (asked_flags_ == event::kDesc && how == Notify::ahead) asked_.advance(ahead, bench_.setup.size);
    std::uint16_t word = asked_.word();
    if (asked_flags_ != event::kDesc)
        word = bench_.script.junk_events ? static_cast<std::uint16_t>(bench_.random.next()) : std::uint16_t{0};
    store32(device_, word | (std::uint32_t{asked_flags_} << 16), std::memory_order_release);
    if (old != asked_ || old_flags != asked_flags_)
        bench_.judge.log().add(EventKind::suppressed, bench_.setup.index, asked_flags_, asked_.word());
    // Pairs with the driver's fence between exposing descriptors and looking here; the queue looks once more after it (2.8.21.2).
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

} // namespace

std::unique_ptr<RingSide> make_packed_side(Bench& bench) { return std::make_unique<PackedSide>(bench); }

} // namespace referee
