#include "kernel/device_manager/pci_space.hpp"

#include <array>
#include <new>
#include <span>

#include "kernel/device_manager/platform.hpp"
#include "kernel/interrupt/interrupts.hpp"
#include "kernel/log/log.hpp"

namespace kernel {
namespace {

const char* name_of(std::uint8_t what) noexcept {
    switch (what) {
    case virtio::PciResources::kMemoryWindow: return "memory window";
    case virtio::PciResources::kPrefetchableWindow: return "prefetchable window";
    case virtio::PciResources::kPortWindow: return "I/O window";
    case virtio::PciResources::kBusNumbers: return "bus numbers";
    default: return "BAR";
    }
}

/// Those that found no place, kept until they can be told.
struct Failures {
    struct One {
        virtio::PciAddress address;
        std::uint8_t what = 0;
        virtio::Error error = virtio::Error::none;
    };
    std::array<One, 32> items{};
    std::size_t count = 0;
};

void on_failure(void* context, const virtio::PciFunction& function, std::uint8_t what, virtio::Error error) noexcept {
    auto& failures = *static_cast<Failures*>(context);
    if (failures.count < failures.items.size()) failures.items[failures.count++] = {function.address(), what, error};
}

void tell(const virtio::PciAddress& at, std::uint8_t what, virtio::Error error) {
    const bool bar = what < virtio::PciResources::kMemoryWindow;
    const char digit[2] = {bar ? static_cast<char>('0' + what) : '\0', '\0'};
    log(LogLevel::warning, "pci %02x:%02x.%u: no place for %s%s: %s", at.bus, at.device, static_cast<unsigned>(at.function), name_of(what),
        digit, error == virtio::Error::out_of_memory ? "the host's windows are full" : virtio::message(error));
}

} // namespace

virtio::PciWindows bus_windows(const PciHost& host) noexcept {
    virtio::PciWindows windows;
    for (const PciWindow& window : std::span(host.windows).first(host.window_count)) {
        virtio::PciWindow& into = window.kind == PciWindow::Kind::port       ? windows.port
                                  : window.kind == PciWindow::Kind::memory64 ? windows.prefetchable
                                                                             : windows.memory;
        if (window.size > into.size) into = {window.pci, window.size};
    }
    return windows;
}

bool PciSpace::known(const PciHost& host) const noexcept {
    for (const Host& each : hosts_)
        if (each.host == &host) return true;
    return false;
}

void PciSpace::start(KernelPlatform& platform) {
    for (const PciHost& host : platform.config().ranges())
        if (host.assign) take_stock(platform, host, bus_windows(host));
}

void PciSpace::take_stock(KernelPlatform& platform, const PciHost& host, const virtio::PciWindows& windows) {
    if (known(host)) return;
    for (Host& place : hosts_) {
        if (place.host != nullptr) continue;
        auto* resources = new (std::nothrow) virtio::PciResources;
        if (resources == nullptr) {
            log(LogLevel::error, "pci: no memory to look after addresses");
            return;
        }
        place = {&host, resources};
        Failures failures;
        virtio::PciResources::Count count;
        {
            // While sizes are measured functions do not answer: a handler that asked one for the reason of its interrupt would be called again
            // for ever.
            const InterruptGuard off;
            count = resources->assign(platform, {host.segment, host.first_bus, host.last_bus}, windows,
                                      {.failed = on_failure, .context = &failures});
        }
        for (const Failures::One& one : std::span(failures.items).first(failures.count)) tell(one.address, one.what, one.error);
        log(LogLevel::debug, "pci: %u addresses assigned, %u kept, %u buses behind bridges", count.assigned, count.kept, count.buses);
        return;
    }
}

virtio::PciResources* PciSpace::find(const virtio::PciAddress& address) const noexcept {
    for (const Host& each : hosts_)
        if (each.host != nullptr && each.host->segment == address.segment && each.host->first_bus <= address.bus &&
            address.bus <= each.host->last_bus)
            return each.resources;
    return nullptr;
}

virtio::Result<> PciSpace::add(KernelPlatform& platform, const virtio::PciAddress& address) {
    virtio::PciResources* resources = find(address);
    if (resources == nullptr) return virtio::fail(virtio::Error::not_started);
    return resources->add(platform, address);
}

void PciSpace::release(const virtio::PciAddress& address) {
    if (virtio::PciResources* resources = find(address)) resources->release(address);
}

} // namespace kernel
