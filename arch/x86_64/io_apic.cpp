#include "arch/x86_64/io_apic.hpp"

#include <ringside/arch/io.hpp>

namespace arch {
namespace {

constexpr std::uint32_t kSelect = 0x00, kData = 0x10;
constexpr std::uint32_t kVersion = 1, kRedirection = 0x10;
constexpr std::uint32_t kActiveLow = 1 << 13, kLevel = 1 << 15, kMasked = 1 << 16;

} // namespace

std::uint32_t IoApic::read(std::uint32_t reg) const noexcept {
    mmio_write32(address_ + kSelect, reg);
    return mmio_read32(address_ + kData);
}

void IoApic::write(std::uint32_t reg, std::uint32_t value) const noexcept {
    mmio_write32(address_ + kSelect, reg);
    mmio_write32(address_ + kData, value);
}

std::uint32_t IoApic::inputs() const noexcept {
    const std::uint32_t version = read(kVersion);
    if (version == ~std::uint32_t{0} || version == 0) return 0;
    const std::uint32_t inputs = (version >> 16 & 0xff) + 1;
    return inputs <= 240 ? inputs : 240;
}

void IoApic::route(std::uint32_t input, const IoApicEntry& entry) const noexcept {
    // Masked while the two halves disagree.
    mask(input);
    write(kRedirection + 2 * input + 1, std::uint32_t{entry.destination} << 24);
    write(kRedirection + 2 * input,
          entry.vector | (entry.active_low ? kActiveLow : 0) | (entry.level ? kLevel : 0) | (entry.masked ? kMasked : 0));
}

void IoApic::mask(std::uint32_t input) const noexcept { write(kRedirection + 2 * input, read(kRedirection + 2 * input) | kMasked); }

} // namespace arch
