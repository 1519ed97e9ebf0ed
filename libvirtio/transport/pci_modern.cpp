#include "libvirtio/transport/pci_modern.hpp"

#include <ringside/arch/barrier.hpp>
#include <ringside/arch/io.hpp>

#include "libvirtio/memory.hpp"
#include "libvirtio/status.hpp"

namespace virtio {

using namespace pci_abi;

Result<Registers> PciTransport::reach(const PciStructure& structure) noexcept {
    if (reach_ == PciReach::window) return Registers::through(window_, structure);
    return map_registers(function_, structure);
}

Result<> PciTransport::open(const PciFunction& function, PciReach reach_by) noexcept {
    if (common_ && !mutant(223)) return fail(Error::already_started);
    const Result<std::uint32_t> type = virtio_type(function);
    if (!type) return fail(type.error());
    const Result<PciCapabilities> capabilities = find_pci_capabilities(function, reach_by);
    if (!capabilities) return fail(capabilities.error());
    function_ = function;
    reach_ = reach_by;
    window_ = PciConfigWindow{function, capabilities->window};
    interrupts_.open(function, capabilities->msix);
    function_.enable();

    const Result<Registers> common = reach(capabilities->common);
    if (!common) return fail(common.error());
    const Result<Registers> notify = reach(capabilities->notify);
    if (!notify) return fail(notify.error());
    const Result<Registers> isr = reach(capabilities->isr);
    if (!isr) return fail(isr.error());
    if (capabilities->device) {
        const Result<Registers> device = reach(capabilities->device);
        if (!device) return fail(device.error());
        device_ = *device;
    }
    type_ = *type;
    capabilities_ = *capabilities;
    notify_ = *notify;
    isr_ = *isr;
    common_ = *common;
    return {};
}

Result<DeviceIdentity> PciTransport::identity() noexcept {
    if (!common_ && !mutant(224)) return fail(Error::not_started);
    if (gone() && !mutant(225)) return fail(Error::device_gone);
    return DeviceIdentity{type_, function_.read(0x2c, 2)};
}

Result<std::uint8_t> PciTransport::status() noexcept {
    const auto value = common_.read<std::uint8_t>(kStatus);
    if (value == 0xff && gone() && !mutant(226)) return fail(Error::device_gone);
    return value;
}

Result<> PciTransport::set_status(std::uint8_t value) noexcept {
    // It has confirmed a reset, so it may reach memory again.
    if (cut_off_ && value == status::kAcknowledge) {
        function_.set_bus_master(true);
        cut_off_ = false;
    }
    arch::doorbell_barrier(); // rings and buffers come before DRIVER_OK
    common_.write(kStatus, value);
    return {};
}

Result<std::uint32_t> PciTransport::device_features(unsigned word) noexcept {
    common_.write<std::uint32_t>(kDeviceFeatureSelect, word);
    const auto value = common_.read<std::uint32_t>(kDeviceFeature);
    if (value == 0xffff'ffffu && gone() && !mutant(227)) return fail(Error::device_gone);
    return value;
}

Result<> PciTransport::set_driver_features(unsigned word, std::uint32_t value) noexcept {
    common_.write<std::uint32_t>(kDriverFeatureSelect, word);
    common_.write(kDriverFeature, value);
    return {};
}

Result<std::uint32_t> PciTransport::read_config(std::size_t offset, unsigned width) noexcept {
    const Result<std::uint32_t> value = device_.read_checked(offset, width);
    if (value && *value == all_ones(width) && gone() && !mutant(821)) return fail(Error::device_gone);
    return value;
}

Result<> PciTransport::write_config(std::size_t offset, unsigned width, std::uint32_t value) noexcept {
    return device_.write_checked(offset, width, value);
}

Result<std::uint32_t> PciTransport::config_generation() noexcept {
    const auto value = common_.read<std::uint8_t>(kConfigGeneration);
    if (value == 0xff && gone() && !mutant(822)) return fail(Error::device_gone);
    return std::uint32_t{value};
}

Result<std::uint32_t> PciTransport::queue_maximum(std::uint16_t index) noexcept {
    if (index >= common_.read<std::uint16_t>(kQueueCount) && !mutant(232)) return 0u;
    common_.write(kQueueSelect, index);
    const auto size = common_.read<std::uint16_t>(kQueueSize);
    if (size == 0xffff && gone() && !mutant(233)) return fail(Error::device_gone);
    return std::uint32_t{size};
}

FeatureSet PciTransport::unsupported() const noexcept {
    FeatureSet set;
    if (common_.length() < kQueueNotifyConfigData + 2 || reach_ == PciReach::window) set.insert(RingFeature::notif_config_data);
    if (common_.length() < kQueueReset + 2 && !mutant(240)) set.insert(RingFeature::ring_reset);
    return set;
}

Result<QueueGrant> PciTransport::queue_enable(std::uint16_t index, const QueueSetup& setup) noexcept {
    common_.write(kQueueSelect, index);
    if (common_.read<std::uint16_t>(kQueueEnable) != 0 && !mutant(234)) return fail(Error::queue_unavailable);
    if (reach_ == PciReach::window && index >= kMostWindowQueues && !mutant(823)) return fail(Error::queue_unavailable);

    // The kick's address, once: notify structure + notify_off * multiplier, inside the capability (VIRTIO 1.4, 4.1.4.4).
    const std::uint64_t offset = std::uint64_t{common_.read<std::uint16_t>(kQueueNotifyOffset)} * capabilities_.notify_multiplier;
    const std::uint32_t width = setup.notification_data ? 4 : 2;
    // What a kick calls this queue (4.1.5.2).
    const std::uint16_t identifier = setup.config_data ? common_.read<std::uint16_t>(kQueueNotifyConfigData) : index;
    if ((notify_.length() < width && !mutant(235)) || (offset > notify_.length() - width && !mutant(236)) ||
        (offset % width != 0 && !mutant(237)))
        return fail(Error::bad_capability);

    QueueGrant grant;
    if (setup.vector != kNoVector) {
        common_.write(kQueueVector, setup.vector);
        grant.vector = common_.read<std::uint16_t>(kQueueVector); // the device may lack the resources
        if (grant.vector != setup.vector && !mutant(238)) return grant;
    }
    common_.write(kQueueSize, setup.size);
    common_.write64(kQueueDescriptor, setup.descriptor.value);
    common_.write64(kQueueDriver, setup.driver.value);
    common_.write64(kQueueDevice, setup.device.value);
    arch::doorbell_barrier(); // it may look at the ring at once
    common_.write<std::uint16_t>(kQueueEnable, 1);
    grant.doorbell = doorbell(index, static_cast<std::uint32_t>(offset), identifier, setup.notification_data);
    return grant;
}

Doorbell PciTransport::doorbell(std::uint16_t index, std::uint32_t offset, std::uint16_t identifier, bool data) noexcept {
    if (reach_ == PciReach::window) {
        window_offsets_[index] = offset;
        window_data_ = data;
        return Doorbell::through(&PciTransport::ring_window, this, identifier, data);
    }
    return Doorbell::at(data ? Doorbell::Kind::mmio32 : Doorbell::Kind::mmio16, notify_.address() + offset, identifier, data);
}

void PciTransport::ring_window(void* context, std::uint32_t value) noexcept {
    const PciTransport& its = *static_cast<const PciTransport*>(context);
    const std::uint32_t offset = its.window_offsets_[value & 0xffff]; // without NOTIF_CONFIG_DATA the identifier is the index
    if (its.window_data_)
        its.notify_.write(offset, value);
    else
        its.notify_.write(offset, static_cast<std::uint16_t>(value));
}

Result<> PciTransport::queue_reset(std::uint16_t index, std::uint64_t deadline_ns) noexcept {
    if (common_.length() < kQueueReset + 2 && !mutant(239)) return fail(Error::unsupported_request);
    common_.write(kQueueSelect, index);
    common_.write<std::uint16_t>(kQueueReset, 1);
    while (const auto left = common_.read<std::uint16_t>(kQueueReset)) {
        if (left == 0xffff && gone() && !mutant(241)) return fail(Error::device_gone);
        if (function_.platform().now_ns() >= deadline_ns && !mutant(242)) return fail(Error::reset_timeout);
        arch::relax();
    }
    return {};
}

Result<SharedMemory> PciTransport::shared_memory(std::uint8_t id) noexcept {
    for (const PciSharedMemory& region : std::span(capabilities_.shared_memory).first(capabilities_.shared_memory_count)) {
        if (region.id != id) continue;
        const Result<PciBar> bar = function_.bar(region.bar);
        if (!bar) return fail(bar.error());
        if ((bar->size == 0 && !mutant(829)) || (bar->port && !mutant(849))) return fail(Error::bad_bar);
        return SharedMemory{bar->base + region.offset, region.length};
    }
    return fail(Error::not_found);
}

Result<std::uint16_t> PciTransport::set_config_vector(std::uint16_t vector) noexcept {
    common_.write(kConfigVector, vector);
    return common_.read<std::uint16_t>(kConfigVector);
}

Result<> PciTransport::connect_line(const InterruptTarget& target) noexcept {
    // A handler could not read the status through the window: whom it interrupts may be aiming it.
    if (reach_ == PciReach::window && !mutant(824)) return fail(Error::interrupt_unavailable);
    return interrupts_.connect_line(target);
}

InterruptStatus PciTransport::interrupt_status() const noexcept {
    if (reach_ == PciReach::window) return {};
    return InterruptStatus::at(InterruptStatus::Kind::mmio8, isr_.address());
}

bool PciTransport::cut_off() noexcept {
    function_.set_bus_master(false);
    cut_off_ = true;
    return gone() || (function_.read(0x04, 2) & 4u) == 0 || mutant(251);
}

} // namespace virtio
