#include "arch/aarch64/gic_v3.hpp"
#include "arch/arm/gic_v2.hpp"

namespace arch {
namespace {

constinit GicV2 version2;
constinit GicV3 version3;

} // namespace

Gic* choose_gic(const Hardware& hardware) noexcept {
    if (hardware.find(InterruptChip::Kind::gic_v3) != nullptr) return &version3;
    if (hardware.find(InterruptChip::Kind::gic_v2) != nullptr) return &version2;
    return nullptr;
}

} // namespace arch
