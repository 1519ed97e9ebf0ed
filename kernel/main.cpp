// The kernel's life in order: memory, interrupts, time, tasks; then, in the task "main", devices and the program. The boot stack's own
// task stays behind and never runs again.
#include <cstdlib>

#include "arch/kernel_hooks.hpp"
#include "kernel/boot_info.hpp"
#include "kernel/device_manager/device_manager.hpp"
#include "kernel/firmware/hardware.hpp"
#include "kernel/firmware/problems.hpp"
#include "kernel/interrupt/interrupts.hpp"
#include "kernel/log/log.hpp"
#include "kernel/memory/pages.hpp"
#include "kernel/panic/panic.hpp"
#include "kernel/power/power.hpp"
#include "kernel/processor/processor.hpp"
#include "kernel/runtime/program.hpp"
#include "kernel/task/wait_queue.hpp"
#include "kernel/time/clock.hpp"

/// The program's. A name of our own, because C++ does not let anybody call main.
extern "C" int ringside_program_main(int count, char** arguments) asm("main");

namespace kernel {

namespace {

constexpr std::size_t kMainStackBytes = 256 * 1024;

void require(virtio::Result<> step, const char* what) {
    if (!step) panic("%s: %s", what, virtio::message(step.error()));
}

void run_program(void*) {
    start_devices();
    run_static_constructors();
    std::atexit(run_static_destructors);
    const ProgramArguments arguments = program_arguments();
    std::exit(ringside_program_main(arguments.count, arguments.values));
}

} // namespace
} // namespace kernel

extern "C" void kernel_main() {
    using namespace kernel;
    start_boot_processor();
    require(start_memory(), "memory");
    find_hardware();
    require(start_interrupts(), "interrupts");
    require(start_clock(), "clock");
    start_tasks();
    start_log();
    require(start_power(), "power");
    log_firmware_problems();
    log(LogLevel::info, "%zu MiB of memory, clock from %s, power off by %s", total_page_count() / 256, clock_info().source, power_method());
    const BootInfo& boot = boot_info();
    log(LogLevel::debug, "started by %s%s%s, %zu memory regions, %zu modules", boot.protocol, *boot.loader != 0 ? " from " : "",
        boot.loader, boot.memory_count, boot.module_count);
    for (std::size_t i = 0; i < boot.module_count; ++i)
        log(LogLevel::debug, "module %s: %llu bytes", boot.modules[i].command_line, static_cast<unsigned long long>(boot.modules[i].size));
    start_processors();
    if (auto task = spawn("main", run_program, nullptr, kMainStackBytes); !task) panic("no memory for the task 'main'");
    WaitQueue never;
    for (;;) (void)never.wait();
}
