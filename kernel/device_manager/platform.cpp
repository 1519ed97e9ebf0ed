#include "kernel/device_manager/platform.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <malloc.h>

#include "drivers/bus/pci_routing.hpp"
#include "kernel/device_manager/pci_windows.hpp"
#include "kernel/firmware/command_line.hpp"
#include "kernel/log/log.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/memory/pages.hpp"
#include "kernel/task/task.hpp"
#include "kernel/time/clock.hpp"

namespace kernel {
namespace {

constinit KernelPlatform the_platform;

constexpr std::uint16_t kInterruptLine = 0x3c; // PCI 3.0, 6.2.4

constexpr unsigned kBouncePool = 8u << 20;

constexpr std::size_t pages(std::size_t bytes) noexcept { return (bytes + kPageSize - 1) / kPageSize; }

/// "pci 00:03.0"
struct PciName {
    explicit PciName(const virtio::PciAddress& address) {
        std::snprintf(text, sizeof text, "pci %02x:%02x.%u", address.bus, address.device, static_cast<unsigned>(address.function));
    }
    char text[16];
};

std::uintptr_t map_registers(std::uint64_t base, std::uint64_t size) noexcept {
    const auto mapped = kernel::map_device(base, size);
    return mapped ? reinterpret_cast<std::uintptr_t>(*mapped) : 0;
}

} // namespace

const PciHost* KernelPlatform::host_of(const virtio::PciAddress& address) noexcept {
    for (const PciHost& host : config_.ranges())
        if (host.segment == address.segment && host.first_bus <= address.bus && address.bus <= host.last_bus) return &host;
    return nullptr;
}

std::uint32_t KernelPlatform::message_sender(const virtio::PciAddress& address) noexcept {
    const std::uint32_t requester = virtio::requester_id(address);
    if (const PciHost* host = host_of(address))
        for (const MsiMapping& mapping : std::span(host->msi).first(host->msi_count))
            if (requester >= mapping.begin && requester - mapping.begin < mapping.count)
                return mapping.target + (requester - mapping.begin);
    return requester;
}

KernelPlatform& device_platform() noexcept { return the_platform; }

void KernelPlatform::start() {
    config_.find();
    choose_interrupts();
    choose_memory();
    choose_rings();
}

void KernelPlatform::choose_interrupts() {
    const auto wanted = command_line_value("irq");
    if (!wanted) return;
    if (*wanted == "msix")
        choice_ = InterruptChoice::messages;
    else if (*wanted == "intx")
        choice_ = InterruptChoice::line;
    else if (*wanted == "poll")
        choice_ = InterruptChoice::poll;
    else
        kernel::log(LogLevel::warning, "irq=%.*s is none of msix, intx, poll: ignored", static_cast<int>(wanted->size()), wanted->data());
}

void KernelPlatform::choose_memory() {
    const auto wanted = command_line_value("dma");
    if (!wanted) return;
    if (*wanted != "bounce") {
        kernel::log(LogLevel::warning, "dma=%.*s is not bounce: ignored", static_cast<int>(wanted->size()), wanted->data());
        return;
    }
    const auto pool = allocate_pages(pages(kBouncePool), kPageSize);
    bounces_ = pool && bounce_.start({static_cast<std::byte*>(*pool), kBouncePool}, dma_address(*pool));
    if (bounces_)
        kernel::log(LogLevel::info, "devices reach a pool of %u MiB and nothing else", kBouncePool >> 20);
    else
        kernel::log(LogLevel::error, "dma=bounce: there is no memory for a pool of %u MiB", kBouncePool >> 20);
}

// For hosts that offer packed rings and then read them as split ones.
void KernelPlatform::choose_rings() {
    const auto wanted = command_line_value("ring");
    if (!wanted) return;
    if (*wanted == "split")
        rings_.erase(virtio::RingFeature::ring_packed);
    else
        kernel::log(LogLevel::warning, "ring=%.*s is not split: ignored", static_cast<int>(wanted->size()), wanted->data());
}

void* KernelPlatform::dma_allocate(std::size_t bytes, std::size_t alignment) noexcept {
    const auto memory = domain_.allocate(bytes, alignment);
    return memory ? memory->data : nullptr;
}

void KernelPlatform::dma_free(void* memory, std::size_t bytes) noexcept { free_pages(memory, pages(bytes)); }

virtio::Result<virtio::DmaMemory> KernelPlatform::Domain::allocate(std::size_t bytes, std::size_t alignment) noexcept {
    const auto memory = allocate_unfilled(bytes, alignment);
    if (memory) std::memset(memory->data, 0, pages(bytes) * kPageSize);
    return memory;
}

virtio::Result<virtio::DmaMemory> KernelPlatform::Domain::allocate_unfilled(std::size_t bytes, std::size_t alignment) noexcept {
    if (bytes == 0) return virtio::fail(virtio::Error::out_of_memory);
    const auto memory = allocate_pages(pages(bytes), alignment > kPageSize ? alignment : kPageSize);
    if (!memory) return virtio::fail(memory.error());
    return virtio::DmaMemory{static_cast<std::byte*>(*memory), bytes, the_platform.dma_address(*memory)};
}

void KernelPlatform::Domain::free(const virtio::DmaMemory& memory) noexcept { the_platform.dma_free(memory.data, memory.size); }

void* KernelPlatform::allocate(std::size_t bytes, std::size_t alignment) noexcept {
    void* memory = memalign(alignment < alignof(std::max_align_t) ? alignof(std::max_align_t) : alignment, bytes);
    if (memory != nullptr) std::memset(memory, 0, bytes);
    return memory;
}

void KernelPlatform::free(void* memory, std::size_t) noexcept { std::free(memory); }

std::uint64_t KernelPlatform::now_ns() noexcept { return kernel::now_ns(); }

void KernelPlatform::wait(const virtio::Event& event, std::uint64_t deadline_ns) noexcept {
    static_cast<void>(wait_for(event.word(), deadline_ns));
}

void KernelPlatform::log(virtio::LogLevel level, const char* text) noexcept {
    static_assert(static_cast<int>(virtio::LogLevel::debug) == static_cast<int>(LogLevel::debug));
    kernel::log(static_cast<LogLevel>(level), "virtio: %s", text);
}

std::uintptr_t KernelPlatform::map_device(std::uint64_t base, std::uint64_t size) noexcept {
    const auto place = memory_behind(config_.ranges(), base, size);
    return place ? map_registers(*place, size) : 0;
}

std::uintptr_t KernelPlatform::map_ports(std::uint64_t base, std::uint64_t size) noexcept {
    const auto place = ports_behind(config_.ranges(), base, size);
    return place ? map_registers(*place, size) : 0;
}

virtio::Result<std::uint16_t> KernelPlatform::allocate_messages(const virtio::PciAddress& address,
                                                                std::span<virtio::InterruptMessage> messages,
                                                                const virtio::InterruptTarget& target) noexcept {
    if (choice_ == InterruptChoice::line || choice_ == InterruptChoice::poll) return virtio::fail(virtio::Error::interrupt_unavailable);
    std::uint16_t granted = 0;
    for (virtio::InterruptMessage& message : messages) {
        const MutexLock lock(routes_mutex_);
        const auto made = routes_.add_message(target, message_sender(address), granted, PciName(address).text);
        if (!made) break; // fewer are shared
        message = {made->address, made->data};
        ++granted;
    }
    if (granted == 0) return virtio::fail(virtio::Error::interrupt_unavailable);
    return granted;
}

virtio::Result<> KernelPlatform::connect_line(const virtio::PciAddress& address, const virtio::InterruptTarget& target) noexcept {
    if (choice_ == InterruptChoice::messages || choice_ == InterruptChoice::poll) return virtio::fail(virtio::Error::interrupt_unavailable);
    const PciHost* host = host_of(address);
    if (host == nullptr) return virtio::fail(virtio::Error::interrupt_unavailable);
    const auto pin = virtio::root_pin(*this, {host->segment, host->first_bus, host->last_bus}, address);
    if (!pin) return virtio::fail(virtio::Error::interrupt_unavailable);
    // Whether a line is the right one shows the first request: Device polls one that stays silent (trap 30).
    const auto line = pci_line({.segment = address.segment,
                                .device = pin->device,
                                .pin = pin->pin,
                                .interrupt_line = static_cast<std::uint8_t>(config_.read(address, kInterruptLine, 1))});
    if (!line) return virtio::fail(virtio::Error::interrupt_unavailable);
    const MutexLock lock(routes_mutex_);
    return routes_.add_line(*line, target, PciName(address).text);
}

void KernelPlatform::disconnect(const virtio::PciAddress&, const virtio::InterruptTarget& target) noexcept {
    const MutexLock lock(routes_mutex_);
    routes_.remove(target);
}

virtio::Result<> KernelPlatform::connect_slot(const Line& line, const virtio::InterruptTarget& target, const char* owner) {
    if (choice_ == InterruptChoice::messages || choice_ == InterruptChoice::poll) return virtio::fail(virtio::Error::interrupt_unavailable);
    const MutexLock lock(routes_mutex_);
    return routes_.add_line(line, target, owner);
}

} // namespace kernel
