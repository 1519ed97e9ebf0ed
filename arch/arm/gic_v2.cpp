#include "arch/arm/gic_v2.hpp"

#include "arch/processors.hpp"

namespace arch {

/// Our own bit is what our private inputs are routed to; with one processor it may read as zero (IHI 0048B, 4.3.12).
std::uint8_t GicV2::own_target() const noexcept {
    const auto own = static_cast<std::uint8_t>(distributor_.read(GicRegisters::kTarget));
    return own != 0 ? own : 1;
}

const char* GicV2::start(const Hardware& hardware, MapRegisters map) noexcept {
    const InterruptChip* chip = hardware.find(InterruptChip::Kind::gic_v2);
    if (chip == nullptr || chip->registers[0].base == 0 || chip->registers[1].base == 0) return "the GIC's registers are not described";
    constexpr std::uint64_t kDistributorBytes = 0x1000, kInterfaceBytes = 0x1000;
    distributor_ = GicRegisters(map(chip->registers[0].base, kDistributorBytes));
    interface_ = map(chip->registers[1].base, kInterfaceBytes);
    if (distributor_.base() == 0 || interface_ == 0) return "the GIC's registers cannot be mapped";

    distributor_.write(GicRegisters::kControl, 0);
    inputs_ = distributor_.inputs();
    distributor_.silence(kFirstShared, inputs_);
    distributor_.write(GicRegisters::kControl, 1);
    return start_here() ? nullptr : "the GIC has no interface for this processor";
}

bool GicV2::start_here() noexcept {
    // The first 32 inputs are each processor's own, at the same address.
    distributor_.silence(0, kFirstShared);
    if (target_count_ == targets_.size()) return false;
    targets_[target_count_++] = {this_processor_id(), own_target()};
    distributor_.set_up(kWake, Trigger::edge);
    distributor_.enable(kWake);
    mmio_write32(interface_ + kPriorityMask, 0xff);
    mmio_write32(interface_ + kControl, 1);
    return true;
}

bool GicV2::enable(std::uint32_t intid, Trigger trigger) noexcept {
    if (intid >= inputs_) return false;
    distributor_.disable(intid);
    distributor_.set_up(intid, trigger);
    if (intid >= kFirstShared) mmio_write8(distributor_.base() + GicRegisters::kTarget + intid, own_target());
    distributor_.enable(intid);
    return true;
}

void GicV2::disable(std::uint32_t intid) noexcept {
    if (intid >= inputs_) return;
    distributor_.disable(intid);
    // An edge that came meanwhile would be delivered to whoever is connected next.
    distributor_.forget(intid);
}

} // namespace arch
