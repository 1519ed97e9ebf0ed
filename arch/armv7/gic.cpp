// Which interrupt controller: these processors' machines have a GICv2.
#include "arch/arm/gic_v2.hpp"

namespace arch {
namespace {

constinit GicV2 gic_v2;

} // namespace

Gic* choose_gic(const Hardware& hardware) noexcept { return hardware.find(InterruptChip::Kind::gic_v2) != nullptr ? &gic_v2 : nullptr; }

} // namespace arch
