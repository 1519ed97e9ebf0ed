#include "arch/riscv64/aplic.hpp"

#include <algorithm>

#include <ringside/arch/io.hpp>

namespace arch {
namespace {

constexpr std::uint32_t kMostSources = 1023, kMostHarts = 16384;
constexpr std::uint64_t kDomain = 0, kSourceConfig = 0, kClearPendingNumber = 0x1ddc, kSetEnableNumber = 0x1edc, kClearEnable = 0x1f00,
                        kClearEnableNumber = 0x1fdc, kTarget = 0x3000;
constexpr std::uint64_t kHart = 0x4000, kHartStride = 32, kHartDelivery = 0, kHartThreshold = 8, kHartClaim = 0x1c;
constexpr std::uint32_t kDomainEnable = 1 << 8, kDomainMessages = 1 << 2;
constexpr std::uint32_t kEdgeHigh = 4, kEdgeLow = 5, kLevelHigh = 6, kLevelLow = 7;
constexpr unsigned kTargetHartShift = 18;

constexpr std::uint32_t mode_of(const Line& line) noexcept {
    if (line.trigger == Trigger::edge) return line.polarity == Polarity::high ? kEdgeHigh : kEdgeLow;
    return line.polarity == Polarity::high ? kLevelHigh : kLevelLow;
}

} // namespace

const char* Aplic::start(const InterruptChip& chip, Delivery delivery, MapRegisters map) noexcept {
    const Registers& registers = chip.registers[0];
    if (registers.size < kHart) return "the APLIC has too few registers";
    base_ = map(registers.base, registers.size);
    if (base_ == 0) return "the APLIC's registers cannot be mapped";
    size_ = registers.size;
    delivery_ = delivery;
    sources_ = std::min(chip.count != 0 ? chip.count : kMostSources, kMostSources);
    for (std::uint32_t source = 0; source <= sources_; source += 32)
        mmio_write32(base_ + kClearEnable + std::uintptr_t{source / 32} * 4, ~std::uint32_t{0});
    for (std::uint32_t source = 1; source <= sources_; ++source) mmio_write32(base_ + kSourceConfig + std::uintptr_t{source} * 4, 0);
    mmio_write32(base_ + kDomain, kDomainEnable | (delivery == Delivery::messages ? kDomainMessages : 0));
    return nullptr;
}

bool Aplic::has_hart(std::uint32_t hart) const noexcept {
    return hart < kMostHarts && kHart + (hart + std::uint64_t{1}) * kHartStride <= size_;
}

void Aplic::start_hart(std::uint32_t hart) const noexcept {
    const std::uintptr_t registers = base_ + kHart + kHartStride * hart;
    mmio_write32(registers + kHartThreshold, 0); // every priority
    mmio_write32(registers + kHartDelivery, 1);
}

std::uintptr_t Aplic::claim_register(std::uint32_t hart) const noexcept { return base_ + kHart + kHartStride * hart + kHartClaim; }

void Aplic::route(const Line& line, std::uint32_t hart, std::uint32_t identity) const noexcept {
    const std::uintptr_t place = std::uintptr_t{line.gsi} * 4;
    const bool messages = delivery_ == Delivery::messages;
    constexpr std::uint32_t kPriority = 1;
    mmio_write32(base_ + kClearEnableNumber, line.gsi);
    mmio_write32(base_ + kSourceConfig + place, mode_of(line));
    mmio_write32(base_ + kTarget + place, hart << kTargetHartShift | (messages ? identity : kPriority));
    // What came before is not for us; a level that stands is.
    mmio_write32(base_ + kClearPendingNumber, line.gsi);
    mmio_write32(base_ + kSetEnableNumber, line.gsi);
    if (line.trigger == Trigger::level && messages) repeat_level(base_, line.gsi);
}

void Aplic::mask(std::uint32_t source) const noexcept {
    mmio_write32(base_ + kClearEnableNumber, source);
    mmio_write32(base_ + kSourceConfig + std::uintptr_t{source} * 4, 0);
}

} // namespace arch
