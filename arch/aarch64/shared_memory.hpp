// Memory that somebody beside this processor reads: the interrupt controller its tables, another processor what it starts with. It is
// cached; most controllers look through the caches, and for those that do not what we write is cleaned to memory. Task context.
//
//     auto* table = arch::gic_memory(4096, 4096);            // zeroed, for good; null: there is none
//     arch::publish(table, 32, its_is_coherent);
#pragma once

#include <cstddef>
#include <cstdint>

#include "arch/kernel_hooks.hpp"

namespace arch {

/// Attributes in table base registers: cached with write-back, inner shareable. The shareability reads back as 0 where caches are not looked at.
inline constexpr std::uint64_t kGicInnerShareable = std::uint64_t{1} << 10, kGicShareability = std::uint64_t{3} << 10;

[[nodiscard]] inline std::byte* gic_memory(std::size_t bytes, std::size_t alignment) noexcept {
    return static_cast<std::byte*>(kernel_allocate_memory(bytes, alignment));
}

inline void publish(const void* begin, std::size_t bytes, bool coherent) noexcept {
    if (!coherent) {
        std::uint64_t type;
        asm volatile("mrs %0, ctr_el0" : "=r"(type));
        const std::uint64_t line = std::uint64_t{4} << (type >> 16 & 15);
        const auto address = reinterpret_cast<std::uint64_t>(begin);
        for (std::uint64_t at = address & ~(line - 1); at < address + bytes; at += line) asm volatile("dc cvac, %0" : : "r"(at) : "memory");
    }
    asm volatile("dsb sy" : : : "memory");
}

} // namespace arch
