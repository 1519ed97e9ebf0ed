// From UEFI into the image: to its place, out of the caches, and in by the door of Linux's arm64 Image, with the MMU off. Runs at any
// address.
#include "boot/uefi/stub.hpp"

namespace boot::uefi {
namespace {

/// Until whoever reads without caches sees it.
void clean(const std::byte* begin, std::size_t bytes) {
    std::uint64_t type = 0;
    asm volatile("mrs %0, ctr_el0" : "=r"(type));
    const std::size_t line = std::size_t{4} << (type >> 16 & 15);
    const auto first = reinterpret_cast<std::uintptr_t>(begin);
    for (std::uintptr_t at = first & ~(line - 1); at < first + bytes; at += line) asm volatile("dc cvac, %0" ::"r"(at) : "memory");
    asm volatile("dsb sy" ::: "memory");
}

} // namespace

void enter(const Handover& handover) {
    asm volatile("msr daifset, #15");
    auto* const target = reinterpret_cast<std::byte*>(handover.link_address);
    for (std::size_t i = 0; i < handover.file_bytes; ++i) target[i] = handover.image[i];
    clean(target, handover.file_bytes);
    // The code below is read without caches as well.
    clean(handover.image, handover.file_bytes);
    asm volatile("mov x0, %[tree]\n\t"
                 "mov x1, %[words]\n\t" // more than the protocol asks for: boot/aarch64/entry.S
                 "mov x4, %[entry]\n\t"
                 "mov x2, xzr\n\t"
                 "mov x3, xzr\n\t"
                 "mov x6, #0x1005\n\t" // MMU, data cache, instruction cache
                 "mrs x5, currentel\n\t"
                 "cmp x5, #(2 << 2)\n\t"
                 "b.eq 1f\n\t"
                 "mrs x5, sctlr_el1\n\t"
                 "bic x5, x5, x6\n\t"
                 "msr sctlr_el1, x5\n\t"
                 "b 2f\n"
                 "1:\n\t"
                 "mrs x5, sctlr_el2\n\t"
                 "bic x5, x5, x6\n\t"
                 "msr sctlr_el2, x5\n"
                 "2:\n\t"
                 "isb\n\t"
                 "ic iallu\n\t"
                 "dsb sy\n\t"
                 "isb\n\t"
                 "br x4"
                 :
                 : [tree] "r"(handover.device_tree), [words] "r"(handover.command_line), [entry] "r"(handover.link_address)
                 : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "cc", "memory");
    __builtin_unreachable();
}

} // namespace boot::uefi
