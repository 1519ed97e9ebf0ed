#include "kernel/device_manager/transport_choice.hpp"

#include <array>
#include <string_view>

#include "kernel/firmware/command_line.hpp"
#include "kernel/log/log.hpp"

namespace kernel {
namespace {

struct Word {
    std::string_view text;
    TransportChoice choice;
};
constexpr std::array kWords{Word{"pci", TransportChoice::pci}, Word{"pci-legacy", TransportChoice::pci_legacy},
                            Word{"pci-cfg", TransportChoice::pci_window}, Word{"mmio", TransportChoice::mmio},
                            Word{"mmio-legacy", TransportChoice::mmio_legacy}};

bool transitional(const virtio::PciFunction& function) noexcept { return function.device() < virtio::pci_abi::kModernBase; }

constexpr const char* kAnother = "transport= on the command line asks for another kind of device";

} // namespace

TransportChoice transport_choice() {
    const auto wanted = command_line_value("transport");
    if (!wanted) return TransportChoice::best;
    for (const Word& word : kWords)
        if (word.text == *wanted) return word.choice;
    log(LogLevel::warning, "transport=%.*s is none of pci, pci-legacy, pci-cfg, mmio, mmio-legacy: ignored",
        static_cast<int>(wanted->size()), wanted->data());
    return TransportChoice::best;
}

virtio::Result<virtio::Transport*> PciSeat::refuse(virtio::Error error, const char* problem) noexcept {
    problem_ = problem;
    return virtio::fail(error);
}

virtio::Result<virtio::Transport*> PciSeat::open(const virtio::PciFunction& function, TransportChoice choice) noexcept {
    using virtio::Error;
    if (choice == TransportChoice::mmio || choice == TransportChoice::mmio_legacy) return refuse(Error::unsupported_device, kAnother);
    Error error = Error::none;
    if (choice != TransportChoice::pci_legacy) {
        const auto reach = choice == TransportChoice::pci_window ? virtio::PciReach::window : virtio::PciReach::mapped;
        const auto opened = modern_.open(function, reach);
        if (opened) {
            is_modern_ = true;
            return &modern_;
        }
        error = opened.error();
        if (error != Error::bad_capability || !transitional(function)) return refuse(error, virtio::message(error));
        if (choice == TransportChoice::pci) return refuse(error, "a legacy device, and transport=pci allows modern ones only");
        if (choice == TransportChoice::pci_window) return refuse(error, "no window in its configuration space");
    }
    if (!transitional(function)) return refuse(Error::unsupported_device, "a modern device: it has no legacy interface");
    if (const auto opened = legacy_.open(function); !opened) return refuse(opened.error(), virtio::message(opened.error()));
    return &legacy_;
}

const virtio::PciCapabilities* PciSeat::capabilities() const noexcept { return is_modern_ ? &modern_.capabilities() : nullptr; }

const char* mmio_refusal(const virtio::MmioTransport& transport, TransportChoice choice) noexcept {
    switch (choice) {
    case TransportChoice::best: return nullptr;
    case TransportChoice::mmio: return transport.legacy() ? kAnother : nullptr;
    case TransportChoice::mmio_legacy: return transport.legacy() ? nullptr : kAnother;
    default: return kAnother;
    }
}

} // namespace kernel
