// What each hart has of its own: its number, its places in the interrupt chips. Reached through sscratch, which is also where its exception
// stack ends. Not while an exception is reported (the register then names another stack). General registers only.
//
//     mmio_write32(arch::this_hart().claim, source);
#pragma once

#include <cstddef>
#include <cstdint>

namespace arch {

struct Hart {
    std::byte* next_stack = nullptr; ///< the end of the stack for an exception during the report of one; interrupt_entry.S reads it
    std::uint64_t id = 0;            ///< as SBI and the device tree number harts
    std::uintptr_t claim = 0;        ///< PLIC, APLIC without messages: where to ask which source it is
    std::uint64_t message_page = 0;  ///< IMSIC: where messages for this hart are written
    std::uint32_t place = 0;         ///< PLIC: its context. APLIC: its index.
};
static_assert(offsetof(Hart, next_stack) == 0);

[[nodiscard]] inline Hart& this_hart() noexcept {
    Hart* hart;
    asm("csrr %0, sscratch" : "=r"(hart));
    return *hart;
}

} // namespace arch
