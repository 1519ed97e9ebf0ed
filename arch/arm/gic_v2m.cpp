#include "arch/arm/gic_v2m.hpp"

#include <algorithm>

#include <ringside/arch/io.hpp>

#include "arch/arm/gic.hpp"

namespace arch {

bool GicV2m::start(const Hardware& hardware, MapRegisters map) noexcept {
    const InterruptChip* chip = hardware.find(InterruptChip::Kind::gic_v2m);
    if (chip == nullptr || chip->registers[0].base == 0) return false;
    physical_ = chip->registers[0].base;
    std::uint32_t first = chip->first, count = chip->count;
    if (first == 0 || count == 0) {
        const std::uintptr_t registers = map(physical_, 0x1000);
        if (registers == 0) return false;
        const std::uint32_t type = mmio_read32(registers + kType);
        first = type >> 16 & 0x3ff;
        count = type & 0x3ff;
    }
    if (first < Gic::kFirstShared || first >= Gic::kInputs) return false;
    first_ = first;
    count_ = std::min({count, Gic::kInputs - first, kMost});
    return count_ != 0;
}

std::uint32_t GicV2m::allocate(std::uint32_t vector) noexcept {
    for (std::uint32_t i = 0; i < count_; ++i) {
        if (vectors_[i] != 0) continue;
        vectors_[i] = static_cast<std::uint8_t>(vector);
        return first_ + i;
    }
    return 0;
}

std::uint32_t GicV2m::release(std::uint32_t vector) noexcept {
    for (std::uint32_t i = 0; i < count_; ++i) {
        if (vectors_[i] != vector) continue;
        vectors_[i] = 0;
        return first_ + i;
    }
    return 0;
}

} // namespace arch
