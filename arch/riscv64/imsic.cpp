#include "arch/riscv64/imsic.hpp"

#include "arch/riscv64/csr.hpp"

namespace arch {
namespace {

constexpr std::uint64_t kPage = 4096;
// Registers behind siselect. Those of 64 identities each stand at even numbers.
constexpr std::uint64_t kDelivery = 0x70, kThreshold = 0x72, kPending = 0x80, kEnabled = 0xc0;

void write(std::uint64_t reg, std::uint64_t value) noexcept {
    write_csr<kSiselect>(reg);
    write_csr<kSireg>(value);
}

std::uint64_t bit(std::uint32_t identity) noexcept { return std::uint64_t{1} << identity % 64; }
std::uint64_t word(std::uint64_t first, std::uint32_t identity) noexcept { return first + std::uint64_t{identity / 64} * 2; }

} // namespace

const char* Imsic::start(const InterruptChip& chip) noexcept {
    if (chip.count == 0 || chip.count > 2047) return "the IMSIC has no identities";
    pages_ = chip.registers[0];
    identities_ = chip.count;
    return nullptr;
}

std::uint64_t Imsic::page(std::uint32_t number) const noexcept {
    return (number + std::uint64_t{1}) * kPage <= pages_.size ? pages_.base + number * kPage : 0;
}

void Imsic::start_here() const noexcept {
    for (std::uint32_t identity = 0; identity <= identities_; identity += 64) {
        write(word(kEnabled, identity), 0);
        write(word(kPending, identity), 0);
    }
    write(kThreshold, 0); // every identity
    write(kDelivery, 1);
}

void Imsic::enable(std::uint32_t identity) const noexcept {
    write_csr<kSiselect>(word(kPending, identity));
    clear_csr_bits<kSireg>(bit(identity)); // what came before is not for us
    write_csr<kSiselect>(word(kEnabled, identity));
    set_csr_bits<kSireg>(bit(identity));
}

void Imsic::disable(std::uint32_t identity) const noexcept {
    write_csr<kSiselect>(word(kEnabled, identity));
    clear_csr_bits<kSireg>(bit(identity));
}

} // namespace arch
