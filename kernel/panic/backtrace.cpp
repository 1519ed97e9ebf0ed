#include <cstddef>
#include <cstdint>

#include <machine/frame.hpp>

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
    std::size_t low = 0, high = static_cast<std::size_t>(*count_address);
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
        emergency_print("  #%zu %016lx %s+0x%lx\n", number, static_cast<unsigned long>(address), ringside_symbol_names + symbol->name,
                        static_cast<unsigned long>(address - static_cast<std::uintptr_t>(symbol->address)));
    else
        emergency_print("  #%zu %016lx\n", number, static_cast<unsigned long>(address));
}

bool same_function(std::uintptr_t one, std::uintptr_t other) noexcept {
    const Symbol* symbol = find_symbol(one);
    return symbol != nullptr && symbol == find_symbol(other);
}

/// True behind a call instruction.
bool is_return_address(std::uintptr_t address) noexcept { return is_text(address) && is_text(address - 8) && arch::follows_call(address); }

/// A runaway recursion is one line, not ten thousand.
void print_repeated(std::size_t times) noexcept {
    if (times != 0) emergency_print("     (%zu more of the same)\n", times);
}

} // namespace

void print_backtrace(const Place& place) noexcept {
    constexpr std::size_t kWord = sizeof(std::uintptr_t);
    constexpr auto kFirstWord = arch::kCallerFrameWord < arch::kReturnAddressWord ? arch::kCallerFrameWord : arch::kReturnAddressWord;
    emergency_write("backtrace:\n");
    std::size_t number = 0, repeated = 0;
    if (place.instruction != 0) print_entry(number++, place.instruction, false);
    std::uintptr_t frame = place.frame_pointer;
    std::uintptr_t last = 0;
    std::uintptr_t caller_of_leaf = place.link;
    if (arch::kCallPushesReturnAddress && place.stack_pointer != 0 && place.stack_pointer % kWord == 0 &&
        is_readable(reinterpret_cast<const void*>(place.stack_pointer), kWord))
        caller_of_leaf = *reinterpret_cast<const std::uintptr_t*>(place.stack_pointer);
    // (A link register that leads into the function itself is left from a call that has come back.)
    if (is_return_address(caller_of_leaf) && (arch::kCallPushesReturnAddress || !same_function(caller_of_leaf, place.instruction))) {
        print_entry(number++, caller_of_leaf, true);
        // A function that has a frame has saved the link register there as well.
        if (!arch::kCallPushesReturnAddress) last = caller_of_leaf;
    }
    for (std::size_t walked = 0; number < kLongest && walked < kDeepest; ++walked) {
        if (frame == 0 || frame % kWord != 0 || !is_readable(reinterpret_cast<const std::uintptr_t*>(frame) + kFirstWord, 2 * kWord)) break;
        const auto* words = reinterpret_cast<const std::uintptr_t*>(frame);
        const std::uintptr_t caller = words[arch::kReturnAddressWord];
        // A function that calls nobody saves its caller's frame pointer alone, where the return address would be.
        if (!arch::kCallPushesReturnAddress && walked == 0 && !is_text(caller) && caller > frame) {
            frame = caller;
            last = 0;
            continue;
        }
        // Something else than code: the end of the chain, or a destroyed stack.
        if (!is_text(caller)) break;
        if (caller == last) {
            if (walked != 0) ++repeated; // else the link register has shown it
        } else {
            print_repeated(repeated);
            repeated = 0;
            print_entry(number++, caller, true);
        }
        last = caller;
        // Frames go upwards; anything else would be a loop.
        if (words[arch::kCallerFrameWord] <= frame) break;
        frame = words[arch::kCallerFrameWord];
    }
    print_repeated(repeated);
}

} // namespace kernel
