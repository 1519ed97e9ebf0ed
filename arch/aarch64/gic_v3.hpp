// GICv3 and v4: a distributor, a redistributor for each processor, and the processor's own interface in system registers (ARM IHI 0069).
// Messages come through an ITS. One object, static.
#pragma once

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
    std::uint32_t acknowledge() noexcept override; // gic_v3_interrupt.cpp
    void end(std::uint32_t intid) noexcept override;

private:
    [[nodiscard]] bool find_redistributor(const InterruptChip& chip, MapRegisters map) noexcept;
    [[nodiscard]] bool wake_redistributor() const noexcept;
    void start_messages(const Hardware& hardware, MapRegisters map) noexcept;
    /// Whose registers an input's are.
    [[nodiscard]] const GicRegisters& registers_of(std::uint32_t intid) const noexcept {
        return intid < kFirstShared ? private_ : distributor_;
    }

    GicRegisters distributor_;
    GicRegisters private_;             ///< second frame of our redistributor
    std::uintptr_t redistributor_ = 0; ///< its first frame
    std::uint64_t redistributor_physical_ = 0;
    std::uint32_t inputs_ = 0;
    Its its_;
};

} // namespace arch
