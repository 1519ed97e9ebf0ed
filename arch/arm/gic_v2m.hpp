// GICv2m: a register block that turns writes into shared interrupts (ARM DEN 0029, "MSI support for GICv2"). Which inputs it has, the
// firmware says or its type register does. One object, static; task context with interrupts off.
//
//     if (frame.start(hardware, map)) { auto intid = frame.allocate(vector); ... frame.message(*intid) }
#pragma once

#include <array>
#include <cstdint>

#include "arch/interrupts.hpp"

namespace arch {

class GicV2m {
public:
    constexpr GicV2m() noexcept = default;

    /// False: there is none, or it has no inputs.
    [[nodiscard]] bool start(const Hardware& hardware, MapRegisters map) noexcept;
    [[nodiscard]] bool started() const noexcept { return count_ != 0; }

    /// A free input for the vector; 0: none is left.
    [[nodiscard]] std::uint32_t allocate(std::uint32_t vector) noexcept;
    /// The vector's input, which is free from now on; 0: it has none.
    [[nodiscard]] std::uint32_t release(std::uint32_t vector) noexcept;
    [[nodiscard]] Message message(std::uint32_t intid) const noexcept { return {physical_ + kSetSpi, intid}; }

private:
    static constexpr std::uint32_t kType = 0x008, kSetSpi = 0x040;
    // More than there are vectors would be no use.
    static constexpr std::uint32_t kMost = 192;

    std::uint64_t physical_ = 0;
    std::uint32_t first_ = 0;
    std::uint32_t count_ = 0;
    std::array<std::uint8_t, kMost> vectors_{}; ///< of each input; 0: free
};

} // namespace arch
