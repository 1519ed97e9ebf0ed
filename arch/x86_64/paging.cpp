// What the processor is told about page tables; the tables themselves are page_tables.cpp's.
#include <machine/page_tables.hpp>

#include "arch/x86_64/registers.hpp"

namespace arch {
namespace {

constexpr std::uint64_t kCr4MachineCheck = 1 << 6, kCr4Umip = 1 << 11, kCr4Smep = 1 << 20;

} // namespace

PageTables::Largest largest_page() noexcept {
    const bool gigabyte = cpuid(0x80000000).eax >= 0x80000001 && (cpuid(0x80000001).edx & kCpuidGigabytePages) != 0;
    return gigabyte ? PageTables::Largest::gigabyte : PageTables::Largest::two_megabytes;
}

void use_page_tables(const PageTables& tables) noexcept {
    write_cr3(tables.root());
    // The kernel never runs or reads what would be a user's page; instructions that tell about descriptor tables are the kernel's only.
    std::uint64_t cr4 = read_cr4();
    if ((cpuid(1).edx & kCpuidMachineCheck) != 0) cr4 |= kCr4MachineCheck; // else a machine check is a silent reset
    if (cpuid(0).eax >= 7) {
        const Cpuid features = cpuid(7);
        if ((features.ebx & kCpuidSmep) != 0) cr4 |= kCr4Smep;
        if ((features.ecx & kCpuidUmip) != 0) cr4 |= kCr4Umip;
    }
    write_cr4(cr4);
}

void invalidate(std::uint64_t begin, std::uint64_t end) noexcept {
    constexpr std::uint64_t kPage = 4096, kFew = 64 * kPage;
    if (end - begin > kFew) {
        write_cr3(read_cr3());
        return;
    }
    for (; begin < end; begin += kPage) invalidate_page(begin);
}

} // namespace arch
