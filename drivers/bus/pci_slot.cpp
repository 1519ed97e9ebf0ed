#include "drivers/bus/pci_slot.hpp"

#include <ringside/arch/io.hpp>

#include "drivers/bus/pci_registers.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

using namespace pci_registers;

// Slot Capabilities (7.5.3.9).
constexpr std::uint32_t kPowerController = 1u << 1, kAttentionIndicator = 1u << 3, kPowerIndicator = 1u << 4,
                        kNoCommandCompleted = 1u << 18;
// Slot Control (7.5.3.10).
constexpr std::uint16_t kAttentionEnable = 1u << 0, kPresenceEnable = 1u << 3, kCommandEnable = 1u << 4, kInterruptEnable = 1u << 5;
constexpr std::uint16_t kAttentionIndicatorMask = 3u << 6, kAttentionIndicatorOff = 3u << 6;
constexpr std::uint16_t kPowerIndicatorMask = 3u << 8, kPowerIndicatorOn = 1u << 8, kPowerIndicatorOff = 3u << 8;
constexpr std::uint16_t kPowerOff = 1u << 10;
// Slot Status (7.5.3.11). The events are cleared by writing them back.
constexpr std::uint16_t kAttentionPressed = 1u << 0, kPresenceChanged = 1u << 3, kCommandCompleted = 1u << 4, kPresent = 1u << 6;
constexpr std::uint16_t kEvents = 0x011f;
constexpr std::uint16_t kGone = 0xffff;
constexpr unsigned kPasses = 8;

} // namespace

std::uint32_t PciSlot::read(std::uint16_t offset, unsigned width) const noexcept {
    return port_.read(static_cast<std::uint16_t>(express_ + offset), width);
}

Result<> PciSlot::open(const PciFunction& port) noexcept {
    if ((port.header_type() & 0x7f) != kBridge) return fail(Error::unsupported_device);
    const std::uint8_t express = port.find_capability(kExpress);
    if (express == 0 || (express > 0x100 - kExpressBytes && !mutant(869))) return fail(Error::unsupported_device);
    port_ = port;
    express_ = express;
    if ((read(kExpressFlags, 2) & kSlotImplemented) == 0) return fail(Error::unsupported_device);
    capabilities_ = read(kSlotCapabilities, 4);
    if ((capabilities_ & kSlotHotPlug) == 0) return fail(Error::unsupported_device);
    bus_ = static_cast<std::uint8_t>(port.read(kBusNumbersRegister + 1, 1));
    if (bus_ <= port.address().bus && !mutant(870)) return fail(Error::unsupported_device); // no way behind it
    const auto status = static_cast<std::uint16_t>(read(kSlotStatus, 2));
    port_.write(static_cast<std::uint16_t>(express_ + kSlotStatus), 2, status & kEvents); // what happened before is not for us
    const bool powered = (capabilities_ & kPowerController) == 0 || (read(kSlotControl, 2) & kPowerOff) == 0;
    occupied_ = (status & kPresent) != 0 && powered;
    ignored_ = false;
    return interrupts(false);
}

/// Changes the control register, one command at a time (6.7.3.2).
Result<> PciSlot::command(std::uint16_t clear, std::uint16_t set) noexcept {
    const std::uint32_t now = read(kSlotControl, 2);
    if (now == kGone && !mutant(872)) return fail(Error::device_gone);
    const auto at = static_cast<std::uint16_t>(express_ + kSlotStatus);
    const bool completes = (capabilities_ & kNoCommandCompleted) == 0;
    if (completes) port_.write(at, 2, kCommandCompleted); // of the one before
    port_.write(static_cast<std::uint16_t>(express_ + kSlotControl), 2, (now & ~std::uint32_t{clear}) | set);
    if (!completes) return {};
    const std::uint64_t deadline = port_.platform().now_ns() + kCommandNs;
    for (;;) {
        const std::uint32_t status = read(kSlotStatus, 2);
        if (status == kGone && !mutant(873)) return fail(Error::device_gone);
        if ((status & kCommandCompleted) != 0) break;
        if (port_.platform().now_ns() >= deadline && !mutant(874)) return fail(Error::timeout);
        arch::relax();
    }
    port_.write(at, 2, kCommandCompleted);
    return {};
}

Result<> PciSlot::interrupts(bool on) noexcept {
    constexpr std::uint16_t kAll = kAttentionEnable | kPresenceEnable | kInterruptEnable;
    return command(kAll | kCommandEnable, on ? kAll : std::uint16_t{0});
}

std::uint16_t PciSlot::message() const noexcept { return static_cast<std::uint16_t>(read(kExpressFlags, 2) >> 9 & 31); }

PciSlot::Event PciSlot::look() noexcept {
    const auto status = static_cast<std::uint16_t>(read(kSlotStatus, 2));
    if (status == kGone && !mutant(875)) { // the port itself has gone, and whatever hung on it
        const bool had = occupied_;
        occupied_ = false;
        return had ? Event::gone : Event::none;
    }
    // All of it: what happens meanwhile would not interrupt again while something is left (6.7.3.4).
    std::uint32_t events = 0;
    std::uint32_t now = status;
    for (unsigned pass = 0; pass < kPasses && (now & kEvents) != 0 && now != kGone; ++pass) {
        events |= now & kEvents;
        port_.write(static_cast<std::uint16_t>(express_ + kSlotStatus), 2, now & kEvents);
        now = read(kSlotStatus, 2);
    }
    const bool present = (now & kPresent) != 0;
    const bool pressed = (events & kAttentionPressed) != 0;
    const bool changed = (events & kPresenceChanged) != 0;
    if (changed || pressed || !present) ignored_ = false;
    if (occupied_) {
        // The card has gone; or it has gone and another one has come: the next look finds that.
        if (!present || (changed && !pressed)) {
            occupied_ = false;
            return Event::gone;
        }
        return pressed ? Event::leaving : Event::none;
    }
    return present && !ignored_ ? Event::arrived : Event::none;
}

Result<> PciSlot::power_on() noexcept {
    occupied_ = true;
    const std::uint16_t indicators = kAttentionIndicatorMask | kPowerIndicatorMask;
    const auto lights = static_cast<std::uint16_t>(((capabilities_ & kAttentionIndicator) != 0 ? kAttentionIndicatorOff : 0) |
                                                   ((capabilities_ & kPowerIndicator) != 0 ? kPowerIndicatorOn : 0));
    if (const Result<> done = command(indicators | kPowerOff, lights); !done) return done;
    const PciFunction card{port_.platform(), {port_.address().segment, bus_, 0, 0}};
    const std::uint64_t deadline = port_.platform().now_ns() + kLinkNs;
    while (card.vendor() == 0xffff) {
        if ((read(kSlotStatus, 2) & kPresent) == 0) return fail(Error::no_device);
        if (port_.platform().now_ns() >= deadline && !mutant(876)) return fail(Error::timeout);
        arch::relax();
    }
    return {};
}

Result<> PciSlot::power_off() noexcept {
    occupied_ = false;
    ignored_ = true; // until it has been taken out, or its button is pressed
    const auto off = static_cast<std::uint16_t>(((capabilities_ & kPowerController) != 0 ? kPowerOff : 0) |
                                                ((capabilities_ & kPowerIndicator) != 0 ? kPowerIndicatorOff : 0));
    return command(kPowerIndicatorMask, off);
}

} // namespace virtio
