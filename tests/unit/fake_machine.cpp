#include "tests/unit/fake_machine.hpp"

#include <ucontext.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <utility>

#include <machine/context.hpp>

#include "kernel/interrupt/interrupts.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/memory/pages.hpp"
#include "kernel/newlib/reent.hpp"
#include "kernel/panic/panic.hpp"
#include "kernel/processor/processor.hpp"
#include "kernel/time/clock.hpp"

namespace fake {

namespace {
std::multimap<std::uint64_t, std::function<void()>> interrupts;
}

Machine& machine() {
    static Machine the_machine;
    return the_machine;
}

void Machine::interrupt_at(std::uint64_t when, std::function<void()> handler) { interrupts.emplace(when, std::move(handler)); }

} // namespace fake

using fake::machine;

namespace kernel {

std::uint64_t now_ns() noexcept { return machine().now; }
std::uint64_t busy_ns() noexcept { return machine().now - machine().halted; }
void arm_timer(std::uint64_t deadline) noexcept { machine().timer = deadline; }
bool interrupts_enabled() noexcept { return machine().interrupts_enabled; }
void enable_interrupts() noexcept { machine().interrupts_enabled = true; }
void disable_interrupts() noexcept {
    if (auto last = std::exchange(machine().before_disable, nullptr)) last();
    machine().interrupts_enabled = false;
}

void enable_and_halt() noexcept {
    if (machine().interrupts_enabled) panic("halted with interrupts enabled: a wake-up can be lost");
    machine().interrupts_enabled = true;
    ++machine().halts;
    const std::uint64_t before = machine().now;
    const auto count = [&] { machine().halted += machine().now - before; };
    auto next = fake::interrupts.begin();
    const std::uint64_t interrupt = next == fake::interrupts.end() ? kNever : next->first;
    if (interrupt == kNever && machine().timer == kNever) panic("halted for ever");
    if (machine().timer < interrupt) {
        if (machine().timer > machine().now) machine().now = machine().timer;
        machine().timer = kNever;
        return count();
    }
    if (interrupt > machine().now) machine().now = interrupt;
    count();
    auto handler = std::move(next->second);
    fake::interrupts.erase(next);
    handler();
}

virtio::Result<void*> allocate_pages(std::size_t count, std::size_t alignment) {
    if (machine().pages_out + count > machine().pages_limit) return virtio::fail(virtio::Error::out_of_memory);
    machine().pages_out += count;
    return std::aligned_alloc(alignment, count * kPageSize);
}
void free_pages(void* first, std::size_t count) {
    machine().pages_out -= count;
    std::free(first);
}
virtio::Result<> protect(void*, std::size_t pages, Protection protection) {
    if (protection == Protection::none) machine().guards += pages;
    if (protection == Protection::read_write) machine().guards -= pages;
    return {};
}
void name_guard_page(const void*, const char*) {}

std::size_t reent_bytes() noexcept { return 1000; }
struct _reent* initialize_reent(void* memory) noexcept { return static_cast<struct _reent*>(memory); }
void release_reent(struct _reent*) noexcept {}
struct _reent* boot_reent() noexcept { return nullptr; }

void panic(const char* format, ...) {
    std::va_list arguments;
    va_start(arguments, format);
    std::fputs("PANIC: ", stderr);
    std::vfprintf(stderr, format, arguments);
    std::fputc('\n', stderr);
    va_end(arguments);
    std::abort();
}

} // namespace kernel

extern "C" void* ringside_test_processor() { return &kernel::processors::boot; }

namespace arch {

void wake_processor(std::uint64_t) noexcept {}

namespace {
std::map<Context*, std::unique_ptr<ucontext_t>> contexts;
ucontext_t& context_of(Context& context) {
    auto& slot = contexts[&context];
    if (slot == nullptr) slot = std::make_unique<ucontext_t>();
    return *slot;
}
void (*starting_entry)(void*);
void* starting_argument;
struct Start {
    void (*entry)(void*);
    void* argument;
};
std::map<Context*, Start> starts;
void first_step() { starting_entry(starting_argument); }
} // namespace

void make_context(Context& context, void* stack_top, void (*entry)(void*), void* argument) noexcept {
    constexpr std::size_t kBytes = 60 * 1024; // the lower end of the stack that the test gave does not matter to ucontext
    ucontext_t& made = context_of(context);
    getcontext(&made);
    made.uc_stack.ss_sp = static_cast<char*>(stack_top) - kBytes;
    made.uc_stack.ss_size = kBytes;
    made.uc_link = nullptr;
    makecontext(&made, first_step, 0);
    starts[&context] = {entry, argument};
}

extern "C" void ringside_switch_context(Context& from, Context& to) noexcept {
    if (auto start = starts.find(&to); start != starts.end()) {
        starting_entry = start->second.entry;
        starting_argument = start->second.argument;
        starts.erase(start);
    }
    swapcontext(&context_of(from), &context_of(to));
}

} // namespace arch
