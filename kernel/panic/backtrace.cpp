#include <cstddef>
#include <cstdint>

#include "arch/x86_64/kernel_hooks.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/panic/panic.hpp"

namespace {
struct Symbol {
    std::uint64_t address;
    std::uint32_t size;
    std::uint32_t name;
};
} // namespace

extern "C" {
// Made by toolchain/symbols.py; absent (weak, null) in an image linked without it.
[[gnu::weak]] extern const std::uint64_t ringside_symbol_count;
[[gnu::weak]] extern const Symbol ringside_symbols[];
[[gnu::weak]] extern const char ringside_symbol_names[];
}

namespace kernel {
namespace {

constexpr std::size_t kLongest = 32, kDeepest = 100'000;

bool is_text(std::uintptr_t address) noexcept {
    return address >= reinterpret_cast<std::uintptr_t>(ringside_text_start) &&
           address < reinterpret_cast<std::uintptr_t>(ringside_text_end);
}

/// The last symbol that begins at or before the address; null without a table.
const Symbol* find_symbol(std::uintptr_t address) noexcept {
    const volatile auto* count_address = &ringside_symbol_count;
    if (count_address == nullptr || *count_address == 0 || !is_text(address)) return nullptr;
    std::size_t low = 0, high = *count_address;
    while (high - low > 1) {
        const std::size_t middle = low + (high - low) / 2;
        (ringside_symbols[middle].address <= address ? low : high) = middle;
    }
    return ringside_symbols[low].address <= address ? &ringside_symbols[low] : nullptr;
}

void print_entry(std::size_t number, std::uintptr_t address, bool is_return_address) noexcept {
    // A return address may already belong to the next function when the call was the last instruction: look one byte back.
    const Symbol* symbol = find_symbol(is_return_address ? address - 1 : address);
    if (symbol != nullptr)
        emergency_print("  #%zu %016lx %s+0x%lx\n", number, address, ringside_symbol_names + symbol->name, address - symbol->address);
    else
        emergency_print("  #%zu %016lx\n", number, address);
}

/// True behind a call instruction: e8 and four bytes, or ff with its operand.
bool is_return_address(std::uintptr_t address) noexcept {
    if (!is_text(address) || !is_text(address - 7)) return false;
    const auto* code = reinterpret_cast<const std::uint8_t*>(address);
    return code[-5] == 0xe8 || code[-2] == 0xff || code[-3] == 0xff || code[-6] == 0xff || code[-7] == 0xff;
}

/// A runaway recursion is one line, not ten thousand.
void print_repeated(std::size_t times) noexcept {
    if (times != 0) emergency_print("     (%zu more of the same)\n", times);
}

} // namespace

void print_backtrace(const void* frame_pointer, std::uintptr_t instruction, const void* stack_pointer) noexcept {
    emergency_write("backtrace:\n");
    std::size_t number = 0, repeated = 0;
    if (instruction != 0) print_entry(number++, instruction, false);
    auto frame = reinterpret_cast<std::uintptr_t>(frame_pointer);
    std::uintptr_t last = 0;
    if (stack_pointer != nullptr && reinterpret_cast<std::uintptr_t>(stack_pointer) % 8 == 0 && is_readable(stack_pointer, 8)) {
        const std::uintptr_t caller = *static_cast<const std::uintptr_t*>(stack_pointer);
        if (is_return_address(caller)) print_entry(number++, caller, true);
    }
    for (std::size_t walked = 0; number < kLongest && walked < kDeepest; ++walked) {
        if (frame == 0 || frame % 8 != 0 || !is_readable(reinterpret_cast<const void*>(frame), 16)) break;
        const auto* words = reinterpret_cast<const std::uintptr_t*>(frame);
        const std::uintptr_t caller = words[1];
        // Something else than code: the end of the chain, or a destroyed stack.
        if (!is_text(caller)) break;
        if (caller == last) {
            ++repeated;
        } else {
            print_repeated(repeated);
            repeated = 0;
            print_entry(number++, caller, true);
        }
        last = caller;
        // Frames go upwards; anything else would be a loop.
        if (words[0] <= frame) break;
        frame = words[0];
    }
    print_repeated(repeated);
}

} // namespace kernel
