#include "arch/riscv64/plic.hpp"

#include <algorithm>

#include <ringside/arch/io.hpp>

namespace arch {
namespace {

constexpr std::uint32_t kMostSources = 1023, kMostContexts = 15872;
constexpr std::uint64_t kEnable = 0x2000, kEnableStride = 0x80, kContext = 0x200000, kContextStride = 0x1000, kClaim = 4;

} // namespace

const char* Plic::start(const InterruptChip& chip, MapRegisters map) noexcept {
    const Registers& registers = chip.registers[0];
    if (registers.size < kContext) return "the PLIC has too few registers";
    base_ = map(registers.base, registers.size);
    if (base_ == 0) return "the PLIC's registers cannot be mapped";
    size_ = registers.size;
    sources_ = std::min(chip.count != 0 ? chip.count : kMostSources, kMostSources);
    // A source of priority 0 never interrupts.
    for (std::uint32_t source = 1; source <= sources_; ++source) mmio_write32(base_ + std::uintptr_t{source} * 4, 0);
    return nullptr;
}

bool Plic::has_context(std::uint32_t context) const noexcept {
    return context < kMostContexts && kContext + (context + std::uint64_t{1}) * kContextStride <= size_;
}

void Plic::start_context(std::uint32_t context) const noexcept {
    // Where the last source alone begins a word, that word is left as it is, since a source without a priority never interrupts: QEMU 7.2 tells
    // of 96 sources and has registers for 0 to 95.
    for (std::uint32_t source = 0; source < sources_; source += 32) mmio_write32(enable_word(source, context), 0);
    mmio_write32(base_ + kContext + kContextStride * context, 0); // threshold: every priority above 0
}

std::uintptr_t Plic::enable_word(std::uint32_t source, std::uint32_t context) const noexcept {
    return base_ + kEnable + kEnableStride * context + std::uintptr_t{source / 32} * 4;
}

std::uintptr_t Plic::claim_register(std::uint32_t context) const noexcept { return base_ + kContext + kContextStride * context + kClaim; }

void Plic::unmask(std::uint32_t source, std::uint32_t context) noexcept {
    mask(source);
    context_of_[source] = static_cast<std::uint16_t>(context + 1);
    const std::uintptr_t word = enable_word(source, context);
    mmio_write32(word, mmio_read32(word) | std::uint32_t{1} << source % 32);
    mmio_write32(base_ + std::uintptr_t{source} * 4, 1);
}

void Plic::mask(std::uint32_t source) const noexcept {
    mmio_write32(base_ + std::uintptr_t{source} * 4, 0);
    if (context_of_[source] == 0) return;
    const std::uintptr_t word = enable_word(source, context_of_[source] - 1U);
    mmio_write32(word, mmio_read32(word) & ~(std::uint32_t{1} << source % 32));
}

} // namespace arch
