// What the processor is told about page tables; the tables themselves are page_tables.cpp's.
#include <machine/page_tables.hpp>

#include <array>

extern "C" const char ringside_text_start[], ringside_text_end[];

namespace arch {
namespace {

constexpr std::uint64_t kPage = 4096, kBlock = std::uint64_t{2} << 20;
constexpr std::uint64_t kWriteExecuteNever = 1 << 19; // SCTLR_EL1.WXN
// The final tables' address space number. The early ones have 0, so that a translation of one is never taken for the other's.
constexpr std::uint64_t kAddressSpace = std::uint64_t{1} << 48;

// A page of addresses at the top, translated by two small tables of its own (TTBR1_EL1, 25 bits of addresses): through it an entry can be
// written while the memory that it stands in is unmapped.
constexpr std::uint64_t kWindow = 0xfffffffffe000000;
alignas(kPage) std::array<std::uint64_t, 512> window_pages;
alignas(kPage) std::array<std::uint64_t, 16> window_root;
constexpr std::uint64_t kTable = 3,
                        kWindowPage = 0x0060000000000f07; // normal memory, inner shareable, accessed, not global, never executed

PageTables* in_use = nullptr;
bool can_share = false; // no block of text is left

/// Break before make: between the two stores nothing is touched but text and the window. Interrupts would touch a stack.
void replace_live(std::uint64_t* entry, std::uint64_t value) {
    const auto address = reinterpret_cast<std::uint64_t>(entry);
    window_pages[0] = (address & ~(kPage - 1)) | kWindowPage;
    std::uint64_t masks;
    asm volatile("mrs %0, daif\n"
                 "msr daifset, #15\n"
                 "dsb ishst\n"
                 "isb\n"
                 "str xzr, [%1]\n"
                 "dsb ishst\n"
                 "tlbi vmalle1is\n"
                 "dsb ish\n"
                 "isb\n"
                 "str %2, [%1]\n"
                 "dsb ishst\n"
                 "isb\n"
                 "msr daif, %0\n"
                 : "=&r"(masks)
                 : "r"(kWindow + address % kPage), "r"(value)
                 : "memory");
    window_pages[0] = 0;
    asm volatile("dsb ishst; tlbi vaae1is, %0; dsb ish; isb" : : "r"(kWindow >> 12 & 0xfffffffffff) : "memory");
}

} // namespace

PageTables::Largest largest_page() noexcept {
    // As many bits as TCR_EL1.IPS got in entry.S.
    constexpr std::uint8_t kBits[] = {32, 36, 40, 42, 44, 48};
    std::uint64_t features;
    asm volatile("mrs %0, id_aa64mmfr0_el1" : "=r"(features));
    const std::uint64_t range = features & 15;
    PageTables::set_physical_limit(std::uint64_t{1} << kBits[range < 5 ? range : 5]);
    return PageTables::Largest::gigabyte;
}

void use_page_tables(PageTables& tables) noexcept {
    in_use = &tables;
    // Pages of text, as long as entries may just be written: what replaces a live entry must not stand behind that entry itself. (Other
    // processors need all of memory in pages, and blocks of 2 MiB are made where text is that long.)
    const auto text = reinterpret_cast<std::uintptr_t>(ringside_text_start) & ~(kPage - 1);
    const auto text_end = reinterpret_cast<std::uintptr_t>(ringside_text_end);
    bool split = true;
    for (std::uintptr_t at = text; at < text_end; at += kBlock) split = tables.protect(at, kPage, Access::read_execute) && split;
    if (text_end > text) split = tables.protect((text_end - 1) & ~(kPage - 1), kPage, Access::read_execute) && split;
    can_share = split;
    window_root[0] = reinterpret_cast<std::uint64_t>(window_pages.data()) | kTable;
    std::uint64_t control;
    asm volatile("dsb ishst\n"
                 "msr ttbr1_el1, %1\n"
                 "msr ttbr0_el1, %2\n"
                 "isb\n"
                 "mrs %0, tcr_el1\n"
                 "bic %0, %0, %3\n" // walks for the upper addresses
                 "msr tcr_el1, %0\n"
                 "isb\n"
                 "tlbi vmalle1\n"
                 "dsb nsh\n"
                 "isb\n"
                 "mrs %0, sctlr_el1\n"
                 "orr %0, %0, %4\n" // from now on nothing writable is executed
                 "msr sctlr_el1, %0\n"
                 "isb\n"
                 : "=&r"(control)
                 : "r"(reinterpret_cast<std::uint64_t>(window_root.data())), "r"(tables.root() | kAddressSpace),
                   "r"(std::uint64_t{1} << 23), "r"(kWriteExecuteNever)
                 : "memory");
    PageTables::set_replace(replace_live);
}

bool share_page_tables() noexcept {
    if (!can_share || !in_use->split_all()) return false;
    invalidate(0, ~std::uint64_t{0});
    return true;
}

void invalidate(std::uint64_t begin, std::uint64_t end) noexcept {
    constexpr std::uint64_t kFew = 64 * kPage;
    asm volatile("dsb ishst" : : : "memory");
    if (end - begin > kFew)
        asm volatile("tlbi vmalle1is" : : : "memory");
    else
        for (; begin < end; begin += kPage) asm volatile("tlbi vaae1is, %0" : : "r"(begin >> 12 & 0xfffffffffff) : "memory");
    asm volatile("dsb ish; isb" : : : "memory");
}

} // namespace arch
