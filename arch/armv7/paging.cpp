// What the processor is told about page tables; the tables themselves are page_tables.cpp's.
#include <machine/page_tables.hpp>

extern "C" {
// paging.S.
void ringside_replace_entry(std::uint64_t* entry, std::uint64_t value);
void ringside_use_root(std::uint32_t root, std::uint32_t control);
}

namespace arch {
namespace {

constexpr std::uint32_t kWritableNeverExecuted = 1 << 19;

PageTables* in_use = nullptr;

} // namespace

PageTables::Largest largest_page() noexcept { return PageTables::Largest::gigabyte; }

void use_page_tables(PageTables& tables) noexcept {
    // Whatever the tables say, what can be written is never executed.
    ringside_use_root(static_cast<std::uint32_t>(tables.root()), kWritableNeverExecuted);
    tables.go_live(ringside_replace_entry);
    in_use = &tables;
}

bool share_page_tables() noexcept { return in_use->split_all(); }

void invalidate(std::uint64_t begin, std::uint64_t end) noexcept {
    constexpr std::uint64_t kPage = 4096, kFew = 64 * kPage;
    // The entries must be there before they can be looked up anew, and the old ones gone before the next access.
    asm volatile("dsb ishst" : : : "memory");
    if (end - begin > kFew) {
        asm volatile("mcr p15, 0, %0, c8, c3, 0" : : "r"(0) : "memory"); // TLBIALLIS
    } else {
        for (; begin < end; begin += kPage)
            asm volatile("mcr p15, 0, %0, c8, c3, 3" : : "r"(static_cast<std::uint32_t>(begin)) : "memory"); // TLBIMVAAIS
    }
    asm volatile("mcr p15, 0, %0, c7, c1, 6; dsb ish; isb" : : "r"(0) : "memory"); // BPIALLIS
}

} // namespace arch
