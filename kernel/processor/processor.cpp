#include "kernel/processor/processor.hpp"

#include <algorithm>
#include <array>
#include <new>

#include "arch/exception.hpp"
#include "arch/processors.hpp"
#include "kernel/firmware/command_line.hpp"
#include "kernel/firmware/hardware.hpp"
#include "kernel/interrupt/interrupts.hpp"
#include "kernel/log/log.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/memory/pages.hpp"
#include "kernel/newlib/reent.hpp"
#include "kernel/panic/panic.hpp"
#include "kernel/time/clock.hpp"

namespace kernel {
namespace {

constexpr std::size_t kBootStackBytes = 32 * 1024;
constexpr std::uint64_t kPatienceNs = 5'000'000'000; // on a busy host they take turns

using processors::boot;

std::array<Processor*, arch::Hardware::kMostProcessors> all{&boot};
std::atomic<unsigned> count{1};

/// What a processor needs of its own, in one run of pages: a guard, the stack that it boots on (and keeps), exception stacks and tables.
struct Secondary {
    Processor processor;
    void* exceptions = nullptr;
    struct _reent* reent = nullptr;
    std::atomic<std::uint32_t> come{0};
};

void begin(void* argument) {
    Secondary& me = *static_cast<Secondary*>(argument);
    arch::set_processor_pointer(&me.processor);
    arch::start_exceptions_here(me.exceptions);
    arch::start_interrupts_here();
    start_clock_here();
    me.processor.scheduler.start(me.processor.index, me.reent);
    enable_interrupts();
    me.come.store(1, std::memory_order_release);
    boot.notify();
    // The task that it booted in serves calls: it never ends.
    me.processor.calls.serve();
}

virtio::Result<void*> guarded_pages(std::size_t bytes, const char* owner) {
    const std::size_t pages = 1 + (bytes + kPageSize - 1) / kPageSize;
    const auto memory = allocate_pages(pages);
    if (!memory) return memory;
    name_guard_page(*memory, owner);
    if (const auto guarded = protect(*memory, 1, Protection::none); !guarded) return virtio::fail(guarded.error());
    return static_cast<std::byte*>(*memory) + kPageSize;
}

constexpr const char* kLate = "it did not come in time, and no other is started: it may still come and take what the next one would find";

/// The memory of one that does not come is kept.
const char* start_one(const arch::Processor& which, unsigned index) {
    auto* secondary = new (std::nothrow) Secondary;
    const auto stack = guarded_pages(kBootStackBytes, "another processor's boot stack");
    const auto exceptions = allocate_pages((arch::exception_bytes() + kPageSize - 1) / kPageSize);
    struct _reent* const reent = make_reent();
    if (secondary == nullptr || !stack || !exceptions || reent == nullptr) return "no memory for it";
    secondary->reent = reent;
    for (std::size_t i = 0; void* guard = arch::exception_guard(*exceptions, i); ++i) {
        name_guard_page(guard, arch::exception_stack_guards()[i].owner);
        if (!protect(guard, 1, Protection::none)) return "no memory for it";
    }
    secondary->exceptions = *exceptions;
    secondary->processor.index = index;
    secondary->processor.id = which.id;
    all[index] = &secondary->processor;
    const arch::ProcessorStart start{static_cast<std::byte*>(*stack) + kBootStackBytes, begin, secondary};
    if (const char* why = arch::start_processor(hardware(), which, start)) return why;
    return wait_for(secondary->come, now_ns() + kPatienceNs) ? nullptr : kLate;
}

void* start_page() noexcept { return reinterpret_cast<void*>(static_cast<std::uintptr_t>(hardware().start_page)); }

/// Written first, executed then, never both at once; and no longer than needed.
const char* prepare() {
    void* const page = start_page();
    if (page == nullptr) return arch::prepare_processors(hardware());
    if (!map_firmware(hardware().start_page, kPageSize) || !protect(page, 1, Protection::read_write))
        return "their first page cannot be mapped";
    const char* const missing = arch::prepare_processors(hardware());
    if (!protect(page, 1, missing == nullptr ? Protection::read_execute : Protection::none))
        return "their first page cannot be made executable";
    return missing;
}

unsigned wanted_processors() {
    const auto text = command_line_value("processors");
    if (!text) return arch::Hardware::kMostProcessors;
    const auto number = parse_number(*text);
    if (number && *number >= 1 && *number <= arch::Hardware::kMostProcessors) return static_cast<unsigned>(*number);
    log(LogLevel::warning, "processors=%.*s is not a number from 1 to %u: ignored", static_cast<int>(text->size()), text->data(),
        static_cast<unsigned>(arch::Hardware::kMostProcessors));
    return arch::Hardware::kMostProcessors;
}

} // namespace

unsigned processor_count() noexcept { return count.load(std::memory_order_acquire); }
Processor& processor(unsigned index) noexcept { return *all[index]; }

void start_boot_processor() noexcept { arch::set_processor_pointer(&boot); }

void start_processors() {
    boot.id = arch::this_processor_id();
    if (auto task = spawn("calls", [](void*) { boot.calls.serve(); }, nullptr); !task) panic("no memory for the task 'calls'");
    const unsigned most = wanted_processors();
    if (most == 1 || hardware().processor_count < 2) return;
    if (const char* missing = prepare()) return log(LogLevel::warning, "one processor only: %s", missing);
    for (const arch::Processor& which : std::span(hardware().processors).first(hardware().processor_count)) {
        if (which.id == boot.id || processor_count() >= most) continue;
        const unsigned index = processor_count();
        const char* const why = start_one(which, index);
        if (why == nullptr)
            count.store(index + 1, std::memory_order_release);
        else
            log(LogLevel::warning, "processor %llu: %s", static_cast<unsigned long long>(which.id), why);
        if (why == kLate) return; // and the page that it begins in stays as it is
    }
    if (void* page = start_page()) static_cast<void>(protect(page, 1, Protection::none));
}

virtio::Result<Task*> spawn_on(unsigned index, const char* name, TaskEntry entry, void* argument, std::size_t stack_bytes,
                               TaskLifetime lifetime) {
    if (index >= processor_count()) return virtio::fail(virtio::Error::invalid_argument);
    virtio::Result<Task*> task = virtio::fail(virtio::Error::out_of_memory);
    call_on(processor(index), [&] { task = spawn(name, entry, argument, stack_bytes, lifetime); });
    return task;
}

} // namespace kernel
