// GICv2: a distributor and one register block that each processor sees as its own interface (ARM IHI 0048B). One object, static.
#pragma once

#include <array>

#include "arch/arm/gic.hpp"
#include "arch/arm/gic_distributor.hpp"

namespace arch {

class GicV2 final : public Gic {
public:
    constexpr GicV2() noexcept = default;

    const char* start(const Hardware& hardware, MapRegisters map) noexcept override;
    bool enable(std::uint32_t intid, Trigger trigger) noexcept override;
    void disable(std::uint32_t intid) noexcept override;
    bool start_here() noexcept override;
    std::uint32_t acknowledge() noexcept override; // gic_v2_interrupt.cpp
    void end(std::uint32_t acknowledged) noexcept override;
    void wake(std::uint64_t id) noexcept override;

private:
    static constexpr std::uint32_t kControl = 0x00, kPriorityMask = 0x04, kAcknowledge = 0x0c, kEnd = 0x10;

    GicRegisters distributor_;
    std::uintptr_t interface_ = 0;
    std::uint32_t inputs_ = 0;

    /// Who has which interface, as a bit: it has eight.
    struct Target {
        std::uint64_t id = 0;
        std::uint8_t bit = 0;
    };
    [[nodiscard]] std::uint8_t own_target() const noexcept;
    std::array<Target, 8> targets_{};
    std::size_t target_count_ = 0;
};

} // namespace arch
