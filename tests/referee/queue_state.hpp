// Inside the referee: a queue's books. queue.cpp has its life, its notifications and its time; serve.cpp what is taken and used.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "tests/referee/ring.hpp"

namespace referee {

/// A piece of guest memory.
struct Stretch {
    std::uint64_t guest = 0;
    std::uint64_t bytes = 0;
    [[nodiscard]] bool meets(std::uint64_t other, std::uint64_t length) const noexcept {
        return bytes != 0 && guest < other + length && other < guest + bytes;
    }
};

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

} // namespace referee
