#include "tests/referee/queue.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstring>
#include <deque>
#include <vector>

#include "tests/referee/ring.hpp"

namespace referee {

namespace {

/// How long a due notification may be missing before it counts as lost, where driver and device run at once.
constexpr std::chrono::milliseconds kLost{1000};
/// Buffers in flight whose descriptors are compared in one step.
constexpr std::size_t kChecksEachStep = 16;

struct Stretch {
    std::uint64_t guest = 0;
    std::uint64_t bytes = 0;
    [[nodiscard]] bool meets(std::uint64_t other, std::uint64_t length) const noexcept {
        return bytes != 0 && guest < other + length && other < guest + bytes;
    }
};

} // namespace

struct Queue::State {
    State(Memory& memory_in, Judge& judge_in, const Script& script_in)
        : memory(memory_in), judge(judge_in), script(script_in), random(script_in.seed), bench{memory, judge, script, random, {}} {}

    Memory& memory;
    Judge& judge;
    Script script;
    Random random;
    Bench bench;
    std::unique_ptr<RingSide> side;
    Serve serve;
    std::function<void()> handler;
    Counters counters;

    std::deque<Chain> pool; // stable addresses
    std::vector<Chain*> idle;
    std::deque<Chain*> flight; // in the order of taking
    std::uint64_t serial = 0;
    std::uint64_t completions = 0; // tried, since the queue was enabled: when lies are told
    std::uint64_t checked = 0;
    Notify asked = Notify::always;
    std::uint16_t asked_ahead = 0;
    std::uint16_t last_id = 0;
    std::uint16_t last_slots = 1;
    bool any_used = false;
    bool busy = false; // inside step()
    bool awake = true; // may take: was notified, or polls
    bool was_notified = false;
    bool spurious_open = false;
    std::atomic<bool> changing_reads{false}; // the driver's thread asks
    bool interrupt_due = false;
    std::uint64_t answers = 0;

    // Reset of the queue alone.
    bool resetting = false; // asked for, not confirmed
    bool was_reset = false; // confirmed, not enabled again
    std::uint32_t reset_reads = 0;
    std::size_t lent_at_reset = 0;
    bool freed_early = false;
    std::vector<Stretch> old_areas; // ring memory before the reset (RESET-003)

    // Between threads.
    std::atomic<std::uint32_t> kicks{0};
    std::atomic<std::uint32_t> kick_value{0};
    std::uint32_t kicks_heard = 0;
    bool waiting = false; // available, a notification is due
    std::chrono::steady_clock::time_point waiting_since{};

    [[nodiscard]] std::uint16_t number() const noexcept { return bench.setup.index; }
    [[nodiscard]] bool in_order() const noexcept { return bench.has(feature::kInOrder); }
    [[nodiscard]] bool listens() const noexcept { return script.patient || script.threaded; }

    Chain* take();
    void take_all();
    void use(Chain& chain, std::uint32_t length, std::uint16_t buffers, std::uint16_t slots);
    const Lie* lie_now() const noexcept;
    bool tell(const Lie& lie, Chain& chain, UsedEntry& entry);
    unsigned use_due();
    std::size_t choose();
    std::uint32_t work(Chain& chain);
    std::uint32_t reported(std::uint32_t written);
    void drop(std::size_t at);
    void interrupt();
    void spurious();
    void ask_as_scripted();
    void check_some();
    void check_all();
    bool hear();
    void end_reset();
    void clear();
};

Queue::Queue(Memory& memory, Judge& judge, const Script& script) : state_(std::make_unique<State>(memory, judge, script)) {
    if (judge.replay().empty()) judge.set_replay(script.text());
}
Queue::~Queue() = default;

bool Queue::enabled() const noexcept { return state_->side != nullptr && !state_->resetting; }
const Queue::Counters& Queue::counters() const noexcept { return state_->counters; }
unsigned Queue::in_flight() const noexcept { return static_cast<unsigned>(state_->flight.size()); }
std::uint16_t Queue::position() const noexcept { return state_->side ? state_->side->position() : std::uint16_t{0}; }
const QueueSetup& Queue::setup() const noexcept { return state_->bench.setup; }
Judge& Queue::judge() noexcept { return state_->judge; }
Memory& Queue::memory() noexcept { return state_->memory; }
Script& Queue::script() noexcept { return state_->script; }
void Queue::set_server(Serve serve) { state_->serve = std::move(serve); }
void Queue::on_interrupt(std::function<void()> handler) { state_->handler = std::move(handler); }
void Queue::on_interrupt(void (*handler)(void* argument), void* argument) noexcept {
    state_->handler = handler == nullptr ? std::function<void()>{} : [handler, argument] { handler(argument); };
}

// --- life cycle ---

void Queue::State::clear() {
    for (Chain* chain : flight) idle.push_back(chain);
    flight.clear();
    side.reset();
    completions = serial = checked = 0;
    any_used = waiting = interrupt_due = false;
    changing_reads.store(false, std::memory_order_relaxed);
    awake = true;
    was_notified = false;
    asked = Notify::always;
}

bool Queue::enable(const QueueSetup& setup) {
    State& state = *state_;
    if (state.resetting) state.judge.violated(Clause::reset_002, setup.index, "the queue is enabled while its reset is not confirmed");
    state.resetting = state.was_reset = false;
    state.clear();
    state.bench.setup = setup;
    const bool packed = state.bench.has(feature::kRingPacked);
    state.judge.log().add(EventKind::enabled, setup.index, setup.size, setup.features);
    state.judge.applies(packed ? RingKind::packed : RingKind::split, setup.features);
    auto side = packed ? make_packed_side(state.bench) : make_split_side(state.bench);
    if (!side->start()) return false;
    state.side = std::move(side);
    state.ask_as_scripted();
    return true;
}

void Queue::reset() noexcept {
    State& state = *state_;
    if (state.side) state.end_reset();
    state.clear();
    state.resetting = false;
}

void Queue::request_reset() noexcept {
    State& state = *state_;
    if (!state.side || state.resetting) return;
    state.judge.log().add(EventKind::reset, state.number(), 0);
    state.resetting = true;
    state.reset_reads = 0;
    state.lent_at_reset = state.flight.size();
    state.freed_early = false;
}

void Queue::State::end_reset() {
    check_all();
    judge.log().add(EventKind::reset, number(), 1);
    // Nothing was taken back before the queue was dead.
    const std::size_t lent = resetting ? lent_at_reset : flight.size();
    if (lent != 0 && !freed_early) judge.held(Clause::reset_006);
    const QueueSetup& setup = bench.setup;
    const std::uint64_t size = setup.size;
    const bool packed = bench.has(feature::kRingPacked);
    old_areas = {{setup.descriptors, 16 * size}, {setup.driver, packed ? 4 : 6 + 2 * size}, {setup.device, packed ? 4 : 6 + 8 * size}};
}

bool Queue::reset_pending() noexcept {
    State& state = *state_;
    if (!state.resetting) return false;
    const std::uint32_t reads = state.script.queue_reset_reads;
    if (reads == Script::kNever || state.reset_reads++ < reads) return true;
    state.end_reset();
    state.judge.held(Clause::reset_002);
    state.clear();
    state.resetting = false;
    state.was_reset = true;
    return false;
}

void Queue::memory_released(std::uint64_t guest, std::size_t bytes) {
    State& state = *state_;
    if (!state.side) {
        const bool ours = std::ranges::any_of(state.old_areas, [&](const Stretch& area) { return area.meets(guest, bytes); });
        if (ours && state.was_reset) state.judge.held(Clause::reset_003);
        return;
    }
    state.judge.log().add(EventKind::released, state.number(), guest, bytes);
    const auto hit = [&](std::uint64_t address, std::uint64_t length) { return Stretch{address, length}.meets(guest, bytes); };
    const QueueSetup& setup = state.bench.setup;
    const std::uint64_t size = setup.size;
    const bool packed = state.bench.has(feature::kRingPacked);
    const bool ring =
        hit(setup.descriptors, 16 * size) || hit(setup.driver, packed ? 4 : 6 + 2 * size) || hit(setup.device, packed ? 4 : 6 + 8 * size);
    const auto lent = [&](const Chain* chain) {
        const auto covers = [&](const Element& element) { return hit(element.address, element.length); };
        return std::ranges::any_of(chain->readable, covers) || std::ranges::any_of(chain->writable, covers) ||
               hit(chain->table, 16 * std::uint64_t{chain->entries});
    };
    const bool buffer = std::ranges::any_of(state.flight, lent);
    if (!ring && !buffer) return;
    state.freed_early = true;
    state.judge.violated(Clause::reset_006, state.number(), "%s at 0x%" PRIx64 " given back while the queue is live",
                         ring ? "ring memory" : "a buffer in flight", guest);
    if (state.resetting)
        state.judge.violated(Clause::reset_002, state.number(), "memory given back before the queue's reset was confirmed");
}

// --- taking ---

Chain* Queue::State::take() {
    for (;;) {
        side->look();
        if (idle.empty()) idle.push_back(&pool.emplace_back());
        Chain& chain = *idle.back();
        chain.readable.clear();
        chain.writable.clear();
        chain.slots.clear();
        chain.sound = true;
        chain.indirect = chain.withheld = false;
        chain.table = chain.hash = 0;
        chain.entries = 0;
        const RingSide::Took took = side->take(chain);
        if (took == RingSide::Took::none) return nullptr;
        if (took == RingSide::Took::dropped) continue;
        idle.pop_back();
        chain.serial = serial++;
        chain.taken_at = counters.steps;
        chain.withheld = !in_order() && random.one_in(script.withhold);
        flight.push_back(&chain);
        ++counters.taken;
        judge.log().add(EventKind::taken, number(), chain.id, chain.descriptors);
        if (spurious_open) {
            // The driver went on after an interrupt for nothing.
            judge.held(Clause::notif_005);
            spurious_open = false;
        }
        return &chain;
    }
}

void Queue::State::take_all() {
    while (take() != nullptr) {
    }
}

Chain* Queue::take() { return state_->side && !state_->resetting ? state_->take() : nullptr; }

// --- using ---

std::uint32_t Queue::State::work(Chain& chain) {
    if (!chain.sound) return 0;
    const auto most = static_cast<std::uint32_t>(std::min<std::uint64_t>(chain.writable_bytes(), 0xffff'ffff));
    return std::min(serve ? serve(chain) : echo(chain), most);
}

std::uint32_t Queue::State::reported(std::uint32_t written) {
    switch (script.length) {
    case Length::exact: return written;
    case Length::one_less: return written - (written != 0 ? 1 : 0);
    case Length::half: return written / 2;
    case Length::zero: return 0;
    case Length::random: return static_cast<std::uint32_t>(random.below(std::uint64_t{written} + 1));
    }
    return written;
}

const Lie* Queue::State::lie_now() const noexcept {
    for (const Lie& lie : script.lies)
        if (completions >= lie.when && completions - lie.when < lie.times) return &lie;
    return nullptr;
}

/// Changes the entry, or does something else that no device may. False: the buffer stays in flight, for the driver was not told.
bool Queue::State::tell(const Lie& lie, Chain& chain, UsedEntry& entry) {
    ++counters.lies;
    judge.log().add(EventKind::lie, number(), static_cast<std::uint64_t>(lie.kind), lie.value);
    const bool packed = bench.has(feature::kRingPacked);
    const std::uint32_t size = bench.setup.size;
    switch (lie.kind) {
    case LieKind::none: return true;
    case LieKind::id_out_of_range:
        entry.id = lie.value != 0 ? static_cast<std::uint32_t>(lie.value) : size;
        side->put(entry);
        return false;
    case LieKind::id_not_in_flight:
        entry.id = side->free_id();
        side->put(entry);
        return false;
    case LieKind::double_completion: {
        // Nothing was used yet: this one is used twice.
        UsedEntry twice = entry;
        if (any_used) {
            twice.id = last_id;
            twice.slots = last_slots;
            side->put(twice);
            return false;
        }
        side->put(entry);
        side->put(twice);
        return true;
    }
    case LieKind::length_too_long:
        entry.length = static_cast<std::uint32_t>(chain.writable_bytes() + (lie.value != 0 ? lie.value : 1));
        side->put(entry);
        return true;
    case LieKind::length_huge:
        entry.length = 0xffff'ffff;
        side->put(entry);
        return true;
    case LieKind::index_forward:
        side->put(entry);
        side->jump(static_cast<std::int32_t>(lie.value != 0 ? lie.value : packed ? 1 : size + 1));
        return true;
    case LieKind::index_backward: side->jump(-static_cast<std::int32_t>(lie.value != 0 ? lie.value : 1)); return false;
    case LieKind::rewritten_descriptors:
        side->tamper();
        for (const Chain* lent : flight) side->scribble(*lent);
        side->put(entry);
        return true;
    case LieKind::changing_reads:
        changing_reads.store(true, std::memory_order_relaxed);
        side->put(entry);
        return true;
    case LieKind::wrong_wrap:
        if (packed) {
            entry.other_wrap = lie.value == 0;
            entry.unequal = lie.value != 0;
        }
        side->put(entry);
        return !packed;
    case LieKind::event_garbage:
        side->event_garbage();
        side->put(entry);
        return true;
    case LieKind::spurious_interrupt:
        spurious();
        side->put(entry);
        return true;
    }
    return true;
}

void Queue::State::use(Chain& chain, std::uint32_t length, std::uint16_t buffers, std::uint16_t slots) {
    const bool packed = bench.has(feature::kRingPacked);
    if (!packed || chain.entries != 0) side->check(chain);
    UsedEntry entry{chain.id, length, buffers, slots};
    judge.log().add(EventKind::used, number(), chain.id, length);
    const Lie* lie = lie_now();
    ++completions;
    interrupt_due = true;
    const std::uint16_t id = chain.id;
    bool told = true;
    if (lie != nullptr) {
        const Lie copy = *lie;
        told = tell(copy, chain, entry);
    } else {
        side->put(entry);
    }
    ++counters.entries;
    if (!told) return;
    any_used = true;
    last_id = id;
    last_slots = slots;
    counters.used += buffers;
    // The buffers that this entry returns are the driver's now: nothing of them is touched any more.
    const auto end = std::ranges::find(flight, &chain);
    const auto begin = buffers > 1 ? end - (buffers - 1) : end;
    for (auto at = begin; at != end + 1; ++at) {
        side->forget(**at);
        idle.push_back(*at);
    }
    flight.erase(begin, end + 1);
}

void Queue::use(Chain& chain, std::uint32_t length) {
    if (state_->side) state_->use(chain, length, 1, chain.descriptors);
}

void Queue::use_up_to(Chain& chain, std::uint32_t length) {
    State& state = *state_;
    if (!state.side) return;
    std::uint16_t buffers = 0;
    std::uint32_t slots = 0;
    for (const Chain* each : state.flight) {
        ++buffers;
        slots += each->descriptors;
        if (each == &chain) break;
    }
    state.use(chain, length, buffers, static_cast<std::uint16_t>(slots));
}

/// Which buffer in flight is used next; its size where none is due.
std::size_t Queue::State::choose() {
    const auto due = [this](const Chain* chain) { return !chain->withheld && chain->taken_at + script.delay <= counters.steps; };
    const std::size_t count = flight.size();
    if (count == 0) return 0;
    if (in_order()) return due(flight.front()) ? 0 : count;
    switch (script.order) {
    case Order::in_order:
    case Order::batches:
        for (std::size_t i = 0; i < count; ++i)
            if (!flight[i]->withheld) return due(flight[i]) ? i : count;
        return count;
    case Order::reversed:
        for (std::size_t i = count; i-- > 0;)
            if (due(flight[i])) return i;
        return count;
    case Order::random: {
        const std::size_t from = static_cast<std::size_t>(random.below(count));
        for (std::size_t i = 0; i < count; ++i)
            if (due(flight[(from + i) % count])) return (from + i) % count;
        return count;
    }
    }
    return count;
}

unsigned Queue::State::use_due() {
    unsigned used = 0;
    while (used < script.budget) {
        const std::size_t at = choose();
        if (at >= flight.size()) break;
        if (!in_order() || script.order == Order::in_order) {
            Chain& chain = *flight[at];
            const std::uint32_t length = reported(work(chain));
            const bool last_try = lie_now() != nullptr;
            use(chain, length, 1, chain.descriptors);
            ++used;
            if (last_try) break; // after a lie time passes: the same buffer may be due again
            continue;
        }
        // One entry for several: those before the last are taken as used completely, so they must have been (2.7.9, 2.8.9).
        const std::uint64_t most = std::min<std::uint64_t>({script.batch == 0 ? 1 : script.batch, script.budget - used, flight.size()});
        const std::uint64_t wanted = 1 + random.below(most);
        std::uint16_t buffers = 0;
        std::uint32_t slots = 0;
        std::uint32_t length = 0;
        Chain* last = nullptr;
        while (buffers < wanted) {
            Chain& chain = *flight[buffers];
            if (chain.taken_at + script.delay > counters.steps) break;
            const std::uint32_t written = work(chain);
            last = &chain;
            ++buffers;
            slots += chain.descriptors;
            length = reported(written);
            if (written != chain.writable_bytes() || length != written) break;
        }
        const bool last_try = lie_now() != nullptr;
        use(*last, length, buffers, static_cast<std::uint16_t>(slots));
        used += buffers;
        if (last_try) break;
    }
    return used;
}

// --- notifications both ways ---

void Queue::State::interrupt() {
    if (!interrupt_due) return;
    interrupt_due = false;
    const bool wanted = side->wants_interrupt();
    if (!wanted && !script.deaf) return;
    judge.log().add(EventKind::interrupt, number(), wanted ? 1 : 0);
    ++(wanted ? counters.interrupts : counters.spurious);
    if (random.one_in(script.lose_interrupts)) return;
    if (handler) handler();
}

void Queue::State::spurious() {
    judge.log().add(EventKind::interrupt, number(), 0);
    ++counters.spurious;
    spurious_open = true;
    if (handler) handler();
}

void Queue::interrupt_if_wanted() {
    if (state_->side) state_->interrupt();
}
void Queue::interrupt_anyway() { state_->spurious(); }

void Queue::State::ask_as_scripted() {
    Notify how = script.notify;
    if (how == Notify::by_hand) {
        how = asked;
    } else {
        if (how == Notify::random) how = static_cast<Notify>(random.below(4));
        if (how == Notify::busy) how = flight.empty() ? Notify::always : Notify::never;
        asked_ahead = static_cast<std::uint16_t>(script.ahead);
    }
    asked = how;
    // The walker's "seen" is where the next notification is asked for, so it has to be fresh, and what it covers is accounted for.
    side->look();
    side->forget_kicks();
    side->ask(how, asked_ahead);
}

void Queue::ask(Notify how, std::uint16_t ahead) {
    State& state = *state_;
    if (!state.side) return;
    state.script.notify = Notify::by_hand;
    state.asked = how;
    state.asked_ahead = ahead;
    state.side->look();
    if (!state.script.threaded) static_cast<void>(state.side->driver_waits());
    state.ask_as_scripted();
}

void Queue::notify(std::uint32_t value) {
    State& state = *state_;
    if (state.script.threaded) {
        state.kick_value.store(value, std::memory_order_relaxed);
        state.kicks.fetch_add(1, std::memory_order_release);
        return;
    }
    ++state.counters.kicks;
    if (!state.side || state.resetting) return;
    state.side->notified(value);
    state.was_notified = true;
    if (state.script.eager && !state.busy) step();
}

/// Whether the device may look for buffers: it was notified, or it polls.
bool Queue::State::hear() {
    if (script.threaded) {
        const std::uint32_t now = kicks.load(std::memory_order_acquire);
        if (now != kicks_heard) {
            counters.kicks += now - kicks_heard;
            kicks_heard = now;
            side->notified(kick_value.load(std::memory_order_relaxed));
            was_notified = true;
        }
    } else {
        side->look();
        const bool came = side->driver_waits();
        if (!came && script.patient) awake = false;
    }
    if (was_notified || asked == Notify::never || !listens()) awake = true;
    was_notified = false;
    if (awake) {
        waiting = false;
        return true;
    }
    // Asleep: what arrives without a notification is a lost one, in threads after a while.
    if (!script.threaded) return false;
    if (!side->available()) {
        waiting = false;
        return false;
    }
    const auto now = std::chrono::steady_clock::now();
    if (!waiting) {
        waiting = true;
        waiting_since = now;
        return false;
    }
    if (now - waiting_since < kLost) return false;
    side->late_kick(static_cast<std::uint64_t>(kLost.count()));
    waiting = false;
    awake = true;
    return true;
}

void Queue::State::check_some() {
    for (std::size_t i = 0; i < kChecksEachStep && i < flight.size(); ++i) side->check(*flight[checked++ % flight.size()]);
}
void Queue::State::check_all() {
    for (Chain* chain : flight) side->check(*chain);
}

unsigned Queue::step() {
    State& state = *state_;
    ++state.counters.steps;
    ++state.judge.log().step;
    if (!state.side || state.resetting || state.busy) return 0;
    state.busy = true;
    unsigned used = 0;
    const bool hears = state.hear();
    // By hand (budget 0) the test takes.
    const bool serves = state.script.budget != 0;
    if (hears && serves) state.take_all();
    state.check_some();
    if (serves) used = state.use_due();
    if (hears) {
        // Ask again, then look once more: what came in between was not announced (2.7.10, 2.8.10).
        do {
            if (serves) state.take_all();
            state.ask_as_scripted();
        } while (serves && state.script.threaded && state.side->available());
        if (state.listens() && state.asked != Notify::never) state.awake = false;
    }
    state.interrupt();
    if (state.random.one_in(state.script.spurious)) state.spurious();
    state.busy = false;
    return used;
}

void Queue::observe() {
    State& state = *state_;
    if (!state.side || state.busy) return;
    state.side->look();
    state.check_all();
}

// --- lies ---

void Queue::lie(const Lie& lie) { state_->script.lies.push_back(lie); }

std::uint64_t Queue::answer(std::uint64_t value) noexcept {
    State& state = *state_;
    return state.changing_reads.load(std::memory_order_relaxed) ? value ^ (++state.answers * 0x9e37'79b9u >> 3) : value;
}

std::uint32_t echo(const Chain& chain) noexcept {
    std::uint8_t sum = 0;
    std::uint64_t offset = 0;
    std::array<std::uint8_t, 512> piece{};
    const std::uint64_t room = chain.writable_bytes();
    for (;;) {
        const std::size_t bytes = chain.read(offset, piece.data(), piece.size());
        if (bytes == 0) break;
        for (std::size_t i = 0; i < bytes; ++i) sum = static_cast<std::uint8_t>(sum + piece[i]);
        if (offset < room) chain.write(offset, piece.data(), static_cast<std::size_t>(std::min<std::uint64_t>(bytes, room - offset)));
        offset += bytes;
    }
    piece.fill(sum);
    while (offset < room) {
        const std::size_t bytes =
            chain.write(offset, piece.data(), static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), room - offset)));
        if (bytes == 0) break;
        offset += bytes;
    }
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(room, 0xffff'ffff));
}

} // namespace referee
