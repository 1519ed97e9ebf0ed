#include "tests/referee/queue.hpp"

#include <algorithm>
#include <cinttypes>

#include "tests/referee/queue_state.hpp"

namespace referee {

namespace {

/// How long a due notification may be missing before it counts as lost, where driver and device run at once.
constexpr std::chrono::milliseconds kLost{1000};
/// Buffers in flight whose descriptors are compared in one step.
constexpr std::size_t kChecksEachStep = 16;

} // namespace

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

} // namespace referee
