// The agent's commands about the machine itself: its end, its interrupts, its clock.
#include <cstdio>
#include <cstdlib>

#include "boot/images/selftest/agent.hpp"
#include "kernel/console/console_service.hpp"
#include "kernel/interrupt/interrupts.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/memory/pages.hpp"
#include "kernel/newlib/console.hpp"
#include "kernel/panic/panic.hpp"
#include "kernel/processor/processor.hpp"
#include "kernel/task/task.hpp"
#include "kernel/time/clock.hpp"

namespace selftest {

namespace {

void exit_with(const Words& words, Answer& answer) {
    answer.finish();
    std::exit(static_cast<int>(words.number(2)));
}

void panic_now(const Words& words, Answer&) {
    for (std::uint64_t line = 0; line < words.number(3); ++line) std::printf("%u before the end\n", static_cast<unsigned>(line));
    kernel::panic("asked for by the host: %s", words.c_string(2));
}

/// The console's ring cannot be touched any more, which the report finds out.
void panic_without_ring(const Words& words, Answer& answer) {
    kernel::ConsoleService* const service = kernel::first_console();
    if (service == nullptr) return answer.fail("there is no console");
    const auto ring = static_cast<std::uintptr_t>(service->device().ports().front().transmit_queue().descriptor_address().value);
    const auto page = ring & ~std::uintptr_t{kernel::kPageSize - 1};
    if (!kernel::protect(reinterpret_cast<void*>(page), 1, kernel::Protection::none)) return answer.fail("its page cannot be protected");
    panic_now(words, answer);
}

void abort_now(const Words&, Answer&) { std::abort(); }

void interrupts(const Words&, Answer& answer) {
    kernel::for_each_vector(
        [](kernel::Vector vector, const char* name, std::uint64_t count, void* context) {
            auto& mine = *static_cast<Answer*>(context);
            mine.value("vector", vector.number);
            mine.value("name", std::string_view(name));
            mine.value("count", count);
            mine.item();
        },
        &answer);
    answer.value("spurious", kernel::spurious_interrupt_count());
}

void clock(const Words&, Answer& answer) {
    const auto info = kernel::clock_info();
    answer.value("source", std::string_view(info.source));
    answer.value("hz", info.counter_hz);
    answer.value("now", kernel::now_ns());
    answer.value("wall", static_cast<std::uint64_t>(kernel::wall_clock_ns()));
}

/// The console's size, as the host told it.
void console(const Words&, Answer& answer) {
    const auto size = kernel::console().size();
    answer.value("columns", size.columns);
    answer.value("rows", size.rows);
}

void tasks(const Words&, Answer& answer) {
    const auto now = kernel::task_statistics();
    answer.value("tasks", now.tasks);
    answer.value("switches", now.switches);
    answer.value("idle", now.idle_ns);
    answer.value("wakeups", now.wakeups);
    std::uint64_t overlooked = 0; // by any processor
    for (unsigned i = 0; i < kernel::processor_count(); ++i) overlooked += kernel::processor(i).scheduler.statistics().overlooked;
    answer.value("overlooked", overlooked);
}

} // namespace

std::span<const Verb> machine_verbs() {
    static constexpr Verb kVerbs[] = {{"exit", 1, exit_with},  {"panic", 1, panic_now},       {"panic-without-ring", 1, panic_without_ring},
                                      {"abort", 0, abort_now}, {"interrupts", 0, interrupts}, {"clock", 0, clock},
                                      {"tasks", 0, tasks},     {"console", 0, console}};
    return kVerbs;
}

} // namespace selftest
