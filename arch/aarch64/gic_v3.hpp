// GICv3 and v4: a distributor, a redistributor for each processor, and the processor's own interface in system registers (ARM IHI 0069).
// Messages come through an ITS. One object, static.
#pragma once

#include <array>

#include "arch/aarch64/its.hpp"
#include "arch/arm/gic.hpp"
#include "arch/arm/gic_distributor.hpp"

namespace arch {

class GicV3 final : public Gic {
public:
    constexpr GicV3() noexcept = default;

    const char* start(const Hardware& hardware, MapRegisters map) noexcept override;
    bool enable(std::uint32_t intid, Trigger trigger) noexcept override;
    void disable(std::uint32_t intid) noexcept override;
    bool connect_message(std::uint32_t vector, std::uint32_t device, std::uint32_t index, Message& message) noexcept override;
    void disconnect_message(std::uint32_t vector) noexcept override;
    bool start_here() noexcept override;
    std::uint32_t acknowledge() noexcept override; // gic_v3_interrupt.cpp
    void end(std::uint32_t acknowledged) noexcept override;
    void wake(std::uint64_t id) noexcept override;

private:
    static constexpr std::size_t kMost = Hardware::kMostProcessors;
    /// A processor's own registers.
    struct Redistributor {
        std::uint64_t id = 0;       ///< the processor's affinity
        std::uintptr_t control = 0; ///< its first frame
        std::uint64_t physical = 0; ///< where that is
        GicRegisters inputs;        ///< its second frame
    };
    void find_redistributors(const InterruptChip& chip, MapRegisters map) noexcept;
    /// The calling processor's; null if it has none.
    [[nodiscard]] const Redistributor* own() const noexcept;
    void start_messages(const Hardware& hardware, MapRegisters map) noexcept;
    void settle() const noexcept;                    ///< until what was switched off is off
    void settle(std::uint32_t intid) const noexcept; ///< the same for one input, which may be the processor's own
    /// Whose registers an input's are; null if there is no such input here.
    [[nodiscard]] const GicRegisters* registers_of(std::uint32_t intid) const noexcept;

    GicRegisters distributor_;
    std::array<Redistributor, kMost> redistributors_{};
    std::size_t redistributor_count_ = 0;
    std::uint32_t inputs_ = 0;
    Its its_;
};

} // namespace arch
