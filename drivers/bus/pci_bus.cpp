#include "drivers/bus/pci_bus.hpp"

#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

constexpr std::uint16_t kIdentity = 0x00;
constexpr std::uint16_t kSecondaryBus = 0x19;
constexpr std::uint8_t kMultiFunction = 0x80;
constexpr std::uint8_t kBridge = 0x01;

} // namespace

void PciBus::look(PciPlatform& platform, const PciAddress& address, const PciListener& listener) noexcept {
    const PciFunction function{platform, address};
    const std::uint32_t identity = function.read(kIdentity, 4);
    for (std::size_t i = 0; i < known_count_; ++i) {
        if (known_[i].address != address) continue;
        if (known_[i].identity == identity) {
            known_[i].seen = true;
            return;
        }
        // Another card where one was: that one has gone before this one came.
        known_[i] = known_[--known_count_];
        if (listener.removed != nullptr) listener.removed(listener.context, address);
        break;
    }
    if (known_count_ == kMostFunctions && !mutant(211)) {
        overflow_ = true;
        return;
    }
    known_[known_count_++] = {address, identity, true};
    if (listener.added != nullptr || mutant(219)) listener.added(listener.context, function);
}

Result<> PciBus::scan(PciPlatform& platform, const Range& range, const PciListener& listener) noexcept {
    overflow_ = false;
    const auto in_range = [&](const PciAddress& address) {
        return address.segment == range.segment && range.first_bus <= address.bus && address.bus <= range.last_bus;
    };
    for (Known& known : std::span{known_}.first(known_count_)) known.seen = !in_range(known.address); // others are not asked about

    // Buses still to be visited, as bits: a bridge that points back (or at itself) adds nothing.
    std::array<std::uint64_t, 4> wanted{};
    std::array<std::uint64_t, 4> visited{};
    const auto want = [&](unsigned bus) {
        if ((bus >= range.first_bus || mutant(212)) && (bus <= range.last_bus || mutant(213)))
            wanted[bus / 64] |= std::uint64_t{1} << (bus % 64);
    };
    want(range.first_bus);
    for (bool again = true; again;) {
        again = false;
        for (unsigned bus = 0; bus < 256; ++bus) {
            const std::uint64_t bit = std::uint64_t{1} << (bus % 64);
            if ((wanted[bus / 64] & bit) == 0 || ((visited[bus / 64] & bit) != 0 && !mutant(214))) continue;
            visited[bus / 64] |= bit;
            again = true;
            for (unsigned slot = 0; slot < 32; ++slot) {
                unsigned functions = 1;
                for (unsigned number = 0; number < functions; ++number) {
                    const PciAddress address{range.segment, static_cast<std::uint8_t>(bus), static_cast<std::uint8_t>(slot),
                                             static_cast<std::uint8_t>(number)};
                    const PciFunction function{platform, address};
                    if (function.vendor() == 0xffff && !mutant(215)) continue;
                    const std::uint8_t header = function.header_type();
                    if (number == 0 && ((header & kMultiFunction) != 0 || mutant(216))) functions = 8;
                    if ((header & 0x7f) == kBridge || mutant(217)) want(function.read(kSecondaryBus, 1));
                    look(platform, address, listener);
                }
            }
        }
    }

    for (std::size_t i = 0; i < known_count_;) {
        if (known_[i].seen) {
            ++i;
            continue;
        }
        const PciAddress address = known_[i].address;
        known_[i] = known_[--known_count_];
        if (listener.removed != nullptr || mutant(218)) listener.removed(listener.context, address);
        i = 0; // the listener may have had more forgotten
    }
    if (overflow_) return fail(Error::out_of_memory);
    return {};
}

void PciBus::forget(const PciAddress& address) noexcept {
    for (std::size_t i = 0; i < known_count_;) {
        if (known_[i].address == address)
            known_[i] = known_[--known_count_];
        else
            ++i;
    }
}

} // namespace virtio
