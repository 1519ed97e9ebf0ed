// What the processor is told about page tables; the tables themselves are page_tables.cpp's.
#include <machine/page_tables.hpp>

#include "arch/riscv64/processors.hpp"
#include "arch/riscv64/sbi.hpp"

namespace arch {

constinit bool remote_fences = false;

namespace {

constexpr std::uint64_t kSv39 = std::uint64_t{8} << 60;

} // namespace

PageTables::Largest largest_page() noexcept { return PageTables::Largest::gigabyte; }

void use_page_tables(const PageTables& tables) noexcept {
    asm volatile("csrw satp, %0; sfence.vma" : : "r"(kSv39 | tables.root() >> 12) : "memory");
}

void invalidate(std::uint64_t, std::uint64_t) noexcept {
    // Of everything: a change may have split a large page, and a fence for single addresses is not enough where a pointer to a table
    // is new (Privileged Architecture, 4.2.1). It is also what a processor wants that remembers that a page was not mapped.
    asm volatile("sfence.vma" : : : "memory");
    constexpr std::uint64_t kFenceAddresses = 1, kEverybody = ~std::uint64_t{0}, kEverything = ~std::uint64_t{0};
    if (remote_fences) sbi_call(kSbiRemoteFence, kFenceAddresses, 0, kEverybody, 0, kEverything);
}

} // namespace arch
