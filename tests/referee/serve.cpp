// What a queue takes and uses, in which order, and the lies that it tells on the way.
#include <algorithm>
#include <array>

#include "tests/referee/queue_state.hpp"

namespace referee {

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
