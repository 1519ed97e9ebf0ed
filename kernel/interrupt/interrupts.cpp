#include "kernel/interrupt/interrupts.hpp"

#include <array>
#include <cstring>

#include <machine/cpu.hpp>

#include "arch/interrupts.hpp"
#include "arch/kernel_hooks.hpp"
#include "kernel/firmware/hardware.hpp"
#include "kernel/interrupt/vector_table.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/memory/pages.hpp"
#include "kernel/panic/panic.hpp"
#include "kernel/processor/processor.hpp"
#include "kernel/processor/spin_lock.hpp"

namespace kernel {
namespace {

using arch::kFirstVector;
using arch::kLastVector;
using interrupt::Slot;
using interrupt::slots;

SpinLock controllers; // and the tables of vectors and lines, for writers

// Firmware may give a device the line of the power button or of another thing of the kernel's: that keeps it.
std::array<std::uint8_t, 1024> vector_of_line{}; // 0: nobody's

std::uintptr_t map_registers(std::uint64_t physical, std::uint64_t size) {
    const auto mapped = map_device(physical, size);
    return mapped ? reinterpret_cast<std::uintptr_t>(*mapped) : 0;
}

} // namespace

virtio::Result<> start_interrupts() {
    if (const char* missing = arch::start_interrupts(hardware(), map_registers)) panic("interrupts: %s", missing);
    enable_interrupts();
    return {};
}

virtio::Result<Vector> allocate_vector(InterruptHandler handler, void* context, const char* name) {
    if (handler == nullptr) return virtio::fail(virtio::Error::invalid_argument);
    const InterruptGuard off;
    const SpinGuard held(controllers);
    for (std::size_t number = kFirstVector; number <= kLastVector; ++number) {
        if (slots[number].handler != nullptr) continue;
        slots[number] = {.handler = handler, .context = context, .name = name};
        return Vector{static_cast<std::uint8_t>(number)};
    }
    return virtio::fail(virtio::Error::interrupt_unavailable);
}

void free_vector(Vector vector) {
    if (vector.number < kFirstVector || vector.number > kLastVector) return;
    const InterruptGuard off;
    const SpinGuard held(controllers);
    arch::disconnect_message(vector.number);
    slots[vector.number] = {};
}

virtio::Result<MsiMessage> connect_message(Vector vector, std::uint32_t device, std::uint32_t index) {
    const InterruptGuard off;
    const SpinGuard held(controllers);
    arch::Message message;
    if (!arch::connect_message(vector.number, device, index, message)) return virtio::fail(virtio::Error::interrupt_unavailable);
    return MsiMessage{message.address, message.data};
}

virtio::Result<> route_line(const Line& line, Vector vector) {
    const InterruptGuard off;
    const SpinGuard held(controllers);
    std::uint8_t* const owner = line.gsi < vector_of_line.size() ? &vector_of_line[line.gsi] : nullptr;
    if (owner != nullptr && *owner != 0 && *owner != vector.number && slots[*owner].handler != nullptr)
        return virtio::fail(virtio::Error::interrupt_unavailable);
    if (!arch::route_line(line, vector.number)) return virtio::fail(virtio::Error::out_of_range);
    if (owner != nullptr) *owner = vector.number;
    return {};
}

void mask_line(std::uint32_t gsi) {
    const InterruptGuard off;
    const SpinGuard held(controllers);
    if (gsi < vector_of_line.size()) vector_of_line[gsi] = 0;
    arch::mask_line(gsi);
}

std::uint64_t interrupt_count(Vector vector) noexcept { return *static_cast<volatile std::uint64_t*>(&slots[vector.number].count); }
std::uint64_t spurious_interrupt_count() noexcept { return *static_cast<volatile std::uint64_t*>(&interrupt::spurious_count); }

void for_each_vector(void (*visit)(Vector vector, const char* name, std::uint64_t count, void* context), void* context) {
    for (std::size_t number = kFirstVector; number <= kLastVector; ++number)
        if (const Slot& slot = slots[number]; slot.handler != nullptr) {
            const Vector vector{static_cast<std::uint8_t>(number)};
            visit(vector, slot.name, interrupt_count(vector), context);
        }
}

bool interrupts_enabled() noexcept { return arch::interrupts_enabled(); }
void enable_interrupts() noexcept { arch::enable_interrupts(); }
void disable_interrupts() noexcept { arch::disable_interrupts(); }

void enable_and_halt() noexcept {
    const std::uint64_t before = arch::read_counter();
    arch::enable_and_halt();
    this_processor().halted_ticks += arch::read_counter() - before;
}

std::uint64_t halted_ticks() noexcept { return this_processor().halted_ticks; }

} // namespace kernel

extern "C" void* kernel_allocate_memory(std::size_t bytes, std::size_t alignment) {
    const std::size_t pages = (bytes + kernel::kPageSize - 1) / kernel::kPageSize;
    const auto memory = kernel::allocate_pages(pages, alignment);
    if (!memory) return nullptr;
    std::memset(*memory, 0, pages * kernel::kPageSize);
    return *memory;
}
