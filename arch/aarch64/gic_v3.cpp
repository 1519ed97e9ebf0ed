#include "arch/aarch64/gic_v3.hpp"

#include "arch/aarch64/mmio64.hpp"
#include "arch/processors.hpp"

namespace arch {
namespace {

// Distributor (12.9).
constexpr std::uint32_t kRoute = 0x6000, kControlGroup1 = 3, kControlAffinity = 1 << 4, kControlPending = std::uint32_t{1} << 31;
// Redistributor (12.11).
constexpr std::uint32_t kType = 0x08, kWaker = 0x14, kFrame = 0x10000;
constexpr std::uint32_t kOwnPending = 1 << 3; // GICR_CTLR
constexpr std::uint32_t kProcessorSleep = 1 << 1, kChildrenAsleep = 1 << 2;
constexpr std::uint64_t kTypeVirtual = 1 << 1, kTypeLast = 1 << 4;
constexpr int kPatience = 1'000'000;

} // namespace

/// All of them: which one is whose shows in their type registers.
void GicV3::find_redistributors(const InterruptChip& chip, MapRegisters map) noexcept {
    for (std::size_t region = 1; region < chip.registers.size(); ++region) {
        const Registers& range = chip.registers[region];
        for (std::uint64_t at = 0; range.base != 0 && at + 2 * kFrame <= range.size && redistributor_count_ < kMost;) {
            const std::uintptr_t registers = map(range.base + at, 2 * kFrame);
            if (registers == 0) break;
            const std::uint64_t type = mmio_read64(registers + kType), affinity = type >> 32;
            redistributors_[redistributor_count_++] = {affinity >> 24 << 32 | (affinity & 0xffffff), registers, range.base + at,
                                                       GicRegisters(registers + kFrame)};
            if ((type & kTypeLast) != 0) break;
            at += (type & kTypeVirtual) != 0 ? 4 * kFrame : 2 * kFrame;
        }
    }
}

const GicV3::Redistributor* GicV3::own() const noexcept {
    const std::uint64_t id = this_processor_id();
    for (std::size_t i = 0; i < redistributor_count_; ++i)
        if (redistributors_[i].id == id) return &redistributors_[i];
    return nullptr;
}

const GicRegisters* GicV3::registers_of(std::uint32_t intid) const noexcept {
    if (intid >= kFirstShared) return intid < inputs_ ? &distributor_ : nullptr;
    const Redistributor* mine = own();
    return mine != nullptr ? &mine->inputs : nullptr;
}

void GicV3::settle() const noexcept {
    for (int i = 0; i < kPatience && (distributor_.read(GicRegisters::kControl) & kControlPending) != 0; ++i) relax();
}

void GicV3::settle(std::uint32_t intid) const noexcept {
    if (intid >= kFirstShared) return settle();
    const Redistributor* mine = own();
    for (int i = 0; mine != nullptr && i < kPatience && (mmio_read32(mine->control) & kOwnPending) != 0; ++i) relax();
}

const char* GicV3::start(const Hardware& hardware, MapRegisters map) noexcept {
    const InterruptChip* chip = hardware.find(InterruptChip::Kind::gic_v3);
    if (chip == nullptr || chip->registers[0].base == 0) return "the GIC's registers are not described";
    distributor_ = GicRegisters(map(chip->registers[0].base, kFrame));
    if (distributor_.base() == 0) return "the GIC's registers cannot be mapped";
    find_redistributors(*chip, map);

    distributor_.write(GicRegisters::kControl, 0);
    settle();
    inputs_ = distributor_.inputs();
    distributor_.silence(kFirstShared, inputs_);
    // All in group 1: the other is the fast interrupt's.
    for (std::uint32_t i = kFirstShared; i < inputs_; i += 32) distributor_.write(GicRegisters::kGroup + i / 8, ~std::uint32_t{0});
    settle();
    distributor_.write(GicRegisters::kControl, kControlAffinity | kControlGroup1);
    settle();
    if (!start_here()) return "no redistributor of the GIC is this processor's, or it does not wake up";
    start_messages(hardware, map);
    return nullptr;
}

bool GicV3::start_here() noexcept {
    const Redistributor* mine = own();
    if (mine == nullptr) return false;
    mmio_write32(mine->control + kWaker, mmio_read32(mine->control + kWaker) & ~kProcessorSleep);
    for (int i = 0; (mmio_read32(mine->control + kWaker) & kChildrenAsleep) != 0; ++i) {
        if (i == kPatience) return false;
        relax();
    }
    mine->inputs.silence(0, kFirstShared);
    mine->inputs.write(GicRegisters::kGroup, ~std::uint32_t{0});
    mine->inputs.set_up(kWake, Trigger::edge);
    mine->inputs.enable(kWake);

    asm volatile("mrs x9, s3_0_c12_c12_5\n" // ICC_SRE_EL1
                 "orr x9, x9, #1\n"
                 "msr s3_0_c12_c12_5, x9\n"
                 "isb\n"
                 "msr s3_0_c4_c6_0, %0\n"    // ICC_PMR_EL1: every priority passes
                 "msr s3_0_c12_c12_3, xzr\n" // ICC_BPR1_EL1
                 "msr s3_0_c12_c12_4, xzr\n" // ICC_CTLR_EL1: EOIR ends an interrupt
                 "msr s3_0_c12_c12_7, %1\n"  // ICC_IGRPEN1_EL1
                 "isb\n"
                 :
                 : "r"(std::uint64_t{0xff}), "r"(std::uint64_t{1})
                 : "x9", "memory");
    return true;
}

void GicV3::start_messages(const Hardware& hardware, MapRegisters map) noexcept {
    const InterruptChip* chip = hardware.find(InterruptChip::Kind::gic_its);
    if (chip == nullptr || chip->registers[0].base == 0) return;
    // Without messages devices use lines.
    static_cast<void>(its_.start(chip->registers[0].base, map));
}

bool GicV3::enable(std::uint32_t intid, Trigger trigger) noexcept {
    const GicRegisters* registers = registers_of(intid);
    if (registers == nullptr) return false;
    registers->disable(intid);
    settle(intid);
    registers->set_up(intid, trigger);
    if (intid >= kFirstShared) mmio_write64(distributor_.base() + kRoute + 8 * intid, this_processor_id());
    registers->enable(intid);
    return true;
}

void GicV3::disable(std::uint32_t intid) noexcept {
    const GicRegisters* registers = registers_of(intid);
    if (registers == nullptr) return;
    registers->disable(intid);
    settle(intid);
    // An edge that came meanwhile would be delivered to whoever is connected next.
    registers->forget(intid);
}

bool GicV3::connect_message(std::uint32_t vector, std::uint32_t device, std::uint32_t index, Message& message) noexcept {
    // They come to the processor that starts the device, as lines do.
    const Redistributor* mine = own();
    if (mine == nullptr) return false;
    const auto number = static_cast<std::uint32_t>(mine - redistributors_.data());
    return its_.connect(vector, {number, mine->control, mine->physical}, device, index, message);
}

void GicV3::disconnect_message(std::uint32_t vector) noexcept { its_.disconnect(vector); }

} // namespace arch
