// devices, queues, balloon, mem, tasks, log, time, poweroff, reboot.
#include <array>
#include <memory>
#include <new>

#include "boot/images/appliance/collect.hpp"
#include "boot/images/appliance/ending.hpp"
#include "boot/images/appliance/shell.hpp"
#include "kernel/log/log.hpp"
#include "kernel/memory/heap.hpp"
#include "kernel/memory/pages.hpp"
#include "kernel/task/task.hpp"
#include "kernel/time/clock.hpp"

namespace appliance {

namespace {

unsigned long long number(std::uint64_t value) { return value; }

/// Prints a view of the whole machine.
int show(Session& session, void (*write)(Output&, const Report&)) {
    const std::unique_ptr<Report> report(new (std::nothrow) Report);
    if (report == nullptr) return session.fail("out of memory");
    collect(*report);
    write(session.out, *report);
    return kDone;
}

int devices(Session& session, Arguments) { return show(session, write_devices); }
int queues(Session& session, Arguments) { return show(session, write_queues); }

int balloon(Session& session, Arguments) {
    const std::unique_ptr<Report> report(new (std::nothrow) Report);
    if (report == nullptr) return session.fail("out of memory");
    collect(*report);
    if (!report->balloon) return session.fail("there is no balloon device");
    const BalloonReport& now = *report->balloon;
    const auto line = [&](const char* what, std::uint64_t pages) {
        session.out.print("%-22s %9llu pages  %s\n", what, number(pages), ByteCount(pages * kernel::kPageSize).c_str());
    };
    line("the host asks for", now.target);
    line("the host has", now.pages);
    line("given so far", now.given);
    line("taken back so far", now.taken_back);
    line("reported as free", now.reported);
    return kDone;
}

int mem(Session& session, Arguments) {
    const kernel::PageStatistics pages = kernel::page_statistics();
    const kernel::HeapStatistics heap = kernel::heap_statistics();
    const auto line = [&](const char* what, std::uint64_t bytes) {
        session.out.print("%-22s %12llu bytes  %s\n", what, number(bytes), ByteCount(bytes).c_str());
    };
    line("managed", pages.total * kernel::kPageSize);
    line("free", pages.free * kernel::kPageSize);
    line("largest free run", pages.largest_run * kernel::kPageSize);
    line("in the balloon", pages.ballooned * kernel::kPageSize);
    line("heap", heap.bytes);
    line("heap at its largest", heap.maximum);
    line("kept from the heap", heap.reserve);
    return kDone;
}

int tasks(Session& session, Arguments) {
    session.out.print("%4s  %-20s %8s %12s %10s\n", "id", "name", "stack", "switches", "ms used");
    kernel::for_each_task(
        [](const kernel::Task& task, void* context) {
            static_cast<Session*>(context)->out.print("%4u  %-20s %5zu KiB %12llu %10llu\n", static_cast<unsigned>(task.id()), task.name(),
                                                      task.stack_bytes() / 1024, number(task.switches()),
                                                      number(task.run_ns() / 1'000'000));
        },
        &session);
    return kDone;
}

/// log [LEVEL]: the lines of this level and of the more severe ones.
int log(Session& session, Arguments words) {
    kernel::LogLevel most = kernel::LogLevel::debug;
    if (words.size() > 1) {
        unsigned level = 0;
        while (level < 4 && words[1] != kernel::log_level_name(static_cast<kernel::LogLevel>(level))) ++level;
        if (level == 4) return kWrongUsage;
        most = static_cast<kernel::LogLevel>(level);
    }
    kernel::LogReader reader;
    std::array<char, kernel::kLogTextMax + 64> text;
    while (const auto line = reader.next()) {
        if (line->level > most) continue;
        const std::size_t length = kernel::format_log_line(*line, text.data(), text.size());
        session.out.write({text.data(), length});
        if (session.interrupted()) return kInterrupted;
    }
    if (reader.lost() > 0) session.out.print("(older lines were overwritten)\n");
    return kDone;
}

int time(Session& session, Arguments) {
    const kernel::ClockInfo clock = kernel::clock_info();
    const std::uint64_t now = kernel::now_ns();
    session.out.print("%s\n", Date(kernel::wall_clock_ns()).c_str());
    session.out.print("up %s (%llu.%06llu s), clock from %s at %llu MHz\n", Duration(now).c_str(), number(now / 1'000'000'000),
                      number(now / 1000 % 1'000'000), clock.source, number(clock.counter_hz / 1'000'000));
    return kDone;
}

int poweroff(Session& session, Arguments words) {
    const auto status = words.size() > 1 ? decimal(words[1]) : 0;
    if (!status || *status > 127) return kWrongUsage;
    (void)session.interrupted(); // what was printed is visible
    power_off(static_cast<int>(*status));
}

int reboot(Session& session, Arguments) {
    (void)session.interrupted();
    restart();
}

constexpr std::array kCommands{
    Command{"devices", "", "the virtio devices and what was negotiated", 0, 0, devices},
    Command{"queues", "", "the queues and their counters", 0, 0, queues},
    Command{"balloon", "", "how much memory the host wants and has", 0, 0, balloon},
    Command{"mem", "", "the memory", 0, 0, mem},
    Command{"tasks", "", "the tasks", 0, 0, tasks},
    Command{"log", "[error|warning|info|debug]", "the log, up to a level", 0, 1, log},
    Command{"time", "", "the clocks", 0, 0, time},
    Command{"poweroff", "[STATUS]", "flush the disks and switch off", 0, 1, poweroff},
    Command{"reboot", "", "flush the disks and start again", 0, 0, reboot},
};

} // namespace

std::span<const Command> system_commands() noexcept { return kCommands; }

} // namespace appliance
