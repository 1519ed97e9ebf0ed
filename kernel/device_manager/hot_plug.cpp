#include "kernel/device_manager/hot_plug.hpp"

#include <span>

#include "kernel/device_manager/pci_space.hpp"
#include "kernel/device_manager/platform.hpp"
#include "kernel/device_manager/plugging.hpp"
#include "kernel/log/log.hpp"
#include "kernel/task/task.hpp"
#include "kernel/time/clock.hpp"

namespace kernel {
namespace {

constexpr std::uint8_t kMsix = 0x11;
constexpr std::uint64_t kLookNs = 100'000'000; // between two looks where nobody says that something has happened

} // namespace

void HotPlug::consider(const virtio::PciFunction& bridge) {
    if (slot_count_ == kMostSlots) return;
    // An operating system asks ACPI (_OSC) before it drives the slots itself. Without an interpreter we cannot; the machines that would
    // say no are those whose ACPI registers serve the bus, and there we do not.
    if (slots_[slot_count_].open(bridge)) ++slot_count_;
}

void HotPlug::look(KernelPlatform& platform, PciSpace& space, bool others) {
    // A port whose table of messages is measured passes nothing on: a handler that asked a device behind it for the reason of its interrupt
    // would hear nothing, and be called again for ever.
    if (platform_ != nullptr || (slot_count_ == 0 && !(others && AcpiSlots::possible()))) return;
    platform_ = &platform;
    space_ = &space;
    something_ = find();
}

void HotPlug::start(KernelPlatform& platform, PciSpace& space) {
    if (platform_ != nullptr ? !something_ : slot_count_ == 0 && !AcpiSlots::possible()) return;
    looks_first_ = platform_ == nullptr;
    platform_ = &platform;
    space_ = &space;
    const auto task = spawn("hot-plug", [](void* hot_plug) { static_cast<HotPlug*>(hot_plug)->run(); }, this);
    if (!task) log(LogLevel::error, "no task for hot-plug: %s", virtio::message(task.error()));
}

/// False: nothing can come or go.
bool HotPlug::find() {
    const MutexLock lock(mutex_);
    has_acpi_ = acpi_.find(*platform_);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < slot_count_; ++i)
        if (!acpi_.serves(slots_[i].bus())) slots_[kept++] = slots_[i];
    slot_count_ = kept;
    if (slot_count_ != 0) log(LogLevel::debug, "hot-plug: %zu slots of PCI Express ports", slot_count_);
    if (!has_acpi_ && slot_count_ == 0) return false;
    const virtio::PciWindows windows = AcpiSlots::host_windows();
    for (const PciHost& host : platform_->config().ranges())
        if (host.segment == 0) space_->take_stock(*platform_, host, windows);
    if (has_acpi_) acpi_event_ = acpi_.watch();
    listen();
    return true;
}

/// Has the ports of the slots interrupt by messages. (A line would be shared with devices, and would have to be silenced in the handler.)
void HotPlug::listen() {
    for (std::size_t i = 0; i < slot_count_; ++i) {
        virtio::PciSlot& slot = slots_[i];
        const std::uint16_t message = slot.message();
        const std::uint8_t msix = slot.port().find_capability(kMsix);
        interrupts_[i].open(slot.port(), msix);
        const auto granted = interrupts_[i].connect_messages(static_cast<std::uint16_t>(message + 1), {&HotPlug::raised, this});
        if (granted && *granted > message && slot.interrupts(true)) continue;
        interrupts_[i].disconnect();
        ++silent_;
    }
    if (silent_ != 0) log(LogLevel::debug, "hot-plug: %zu slots do not interrupt, and are looked at", silent_);
}

void HotPlug::run() {
    if (looks_first_ && !find()) return;
    // The task sleeps on one word. What that does not tell of is looked at now and then.
    std::atomic<std::uint32_t>& word = slot_count_ == 0 && acpi_event_ != nullptr ? *acpi_event_ : slot_event_;
    const bool looks = silent_ != 0 || (has_acpi_ && &word != acpi_event_);
    for (;;) {
        word.store(0, std::memory_order_relaxed);
        service();
        static_cast<void>(wait_for(word, looks ? now_ns() + kLookNs : kNever));
    }
}

void HotPlug::service() {
    const MutexLock lock(mutex_);
    bool arrived = has_acpi_ && acpi_.service();
    for (virtio::PciSlot& slot : std::span(slots_).first(slot_count_)) arrived = service(slot) || arrived;
    if (arrived) look_for_devices();
}

/// True: a card has arrived and has power.
bool HotPlug::service(virtio::PciSlot& slot) {
    const virtio::PciAddress card{slot.port().address().segment, slot.bus(), 0, 0};
    virtio::Result<> done;
    switch (slot.look()) {
    case virtio::PciSlot::Event::none: return false;
    case virtio::PciSlot::Event::gone:
        let_go_of(card, Leaving::gone);
        slot_event_.store(1, std::memory_order_relaxed); // another one may be there already: one more look
        return false;
    case virtio::PciSlot::Event::leaving:
        let_go_of(card, Leaving::asked);
        done = slot.power_off();
        break;
    case virtio::PciSlot::Event::arrived:
        done = slot.power_on();
        if (done) return true;
        static_cast<void>(slot.power_off());
        break;
    }
    if (!done) log(LogLevel::warning, "hot-plug: the slot of bus %02x: %s", static_cast<unsigned>(card.bus), virtio::message(done.error()));
    return false;
}

} // namespace kernel
