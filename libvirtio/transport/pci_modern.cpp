#include "libvirtio/transport/pci_modern.hpp"

#include <ringside/arch/io.hpp>

#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

using namespace pci_abi;

// MSI-X (PCI 3.0, 6.8.2)
constexpr std::uint16_t kMsixControl = 2;
constexpr std::uint16_t kMsixTable = 4;
constexpr std::uint16_t kMsixEnable = 1u << 15;
constexpr std::uint16_t kMsixFunctionMask = 1u << 14;
constexpr std::uint16_t kMsixEntry = 16;

void write64(std::uintptr_t address, std::uint64_t value) noexcept {
    // 64-bit fields are written as two 32-bit ones (VIRTIO 1.4, 4.1.3.1).
    arch::mmio_write32(address, static_cast<std::uint32_t>(value));
    arch::mmio_write32(address + 4, static_cast<std::uint32_t>(value >> 32));
}

} // namespace

Result<std::uintptr_t> PciTransport::map(const PciStructure& structure) noexcept {
    const Result<PciBar> bar = function_.bar(structure.bar);
    if (!bar) return fail(bar.error());
    if ((bar->port && !mutant(220)) || (bar->size == 0 && !mutant(221))) return fail(Error::bad_bar);
    const std::uintptr_t address = function_.platform().map_device(bar->base + structure.offset, structure.length);
    if (address == 0 && !mutant(222)) return fail(Error::bad_bar);
    return address;
}

Result<> PciTransport::open(const PciFunction& function) noexcept {
    if (common_ != 0 && !mutant(223)) return fail(Error::already_started);
    const Result<std::uint32_t> type = virtio_type(function);
    if (!type) return fail(type.error());
    const Result<PciCapabilities> capabilities = find_pci_capabilities(function);
    if (!capabilities) return fail(capabilities.error());
    function_ = function;
    function_.set_line_interrupt(false); // until connect_line(): a shared line must not hear of us
    function_.enable();

    const Result<std::uintptr_t> common = map(capabilities->common);
    if (!common) return fail(common.error());
    const Result<std::uintptr_t> notify = map(capabilities->notify);
    if (!notify) return fail(notify.error());
    const Result<std::uintptr_t> isr = map(capabilities->isr);
    if (!isr) return fail(isr.error());
    if (capabilities->device) {
        const Result<std::uintptr_t> device = map(capabilities->device);
        if (!device) return fail(device.error());
        device_ = *device;
        device_length_ = capabilities->device.length;
    }
    type_ = *type;
    msix_ = capabilities->msix;
    common_length_ = capabilities->common.length;
    notify_ = *notify;
    notify_length_ = capabilities->notify.length;
    notify_multiplier_ = capabilities->notify_multiplier;
    isr_ = *isr;
    common_ = *common;
    return {};
}

Result<DeviceIdentity> PciTransport::identity() noexcept {
    if (common_ == 0 && !mutant(224)) return fail(Error::not_started);
    if (gone() && !mutant(225)) return fail(Error::device_gone);
    return DeviceIdentity{type_, function_.read(0x2c, 2)};
}

Result<std::uint8_t> PciTransport::status() noexcept {
    const std::uint8_t value = arch::mmio_read8(common_ + kStatus);
    if (value == 0xff && gone() && !mutant(226)) return fail(Error::device_gone);
    return value;
}

Result<> PciTransport::set_status(std::uint8_t value) noexcept {
    arch::mmio_write8(common_ + kStatus, value);
    return {};
}

Result<std::uint32_t> PciTransport::device_features(unsigned word) noexcept {
    arch::mmio_write32(common_ + kDeviceFeatureSelect, word);
    const std::uint32_t value = arch::mmio_read32(common_ + kDeviceFeature);
    if (value == 0xffff'ffffu && gone() && !mutant(227)) return fail(Error::device_gone);
    return value;
}

Result<> PciTransport::set_driver_features(unsigned word, std::uint32_t value) noexcept {
    arch::mmio_write32(common_ + kDriverFeatureSelect, word);
    arch::mmio_write32(common_ + kDriverFeature, value);
    return {};
}

Result<std::uint32_t> PciTransport::read_config(std::size_t offset, unsigned width) noexcept {
    if ((offset > device_length_ && !mutant(228)) || (width > device_length_ - offset && !mutant(229))) return fail(Error::out_of_range);
    switch (width) {
    case 1: return std::uint32_t{arch::mmio_read8(device_ + offset)};
    case 2: return std::uint32_t{arch::mmio_read16(device_ + offset)};
    case 4: return arch::mmio_read32(device_ + offset);
    default: return fail(Error::invalid_argument);
    }
}

Result<> PciTransport::write_config(std::size_t offset, unsigned width, std::uint32_t value) noexcept {
    if ((offset > device_length_ && !mutant(230)) || (width > device_length_ - offset && !mutant(231))) return fail(Error::out_of_range);
    switch (width) {
    case 1: arch::mmio_write8(device_ + offset, static_cast<std::uint8_t>(value)); return {};
    case 2: arch::mmio_write16(device_ + offset, static_cast<std::uint16_t>(value)); return {};
    case 4: arch::mmio_write32(device_ + offset, value); return {};
    default: return fail(Error::invalid_argument);
    }
}

Result<std::uint32_t> PciTransport::config_generation() noexcept { return std::uint32_t{arch::mmio_read8(common_ + kConfigGeneration)}; }

Result<std::uint32_t> PciTransport::queue_maximum(std::uint16_t index) noexcept {
    if (index >= arch::mmio_read16(common_ + kQueueCount) && !mutant(232)) return 0u;
    arch::mmio_write16(common_ + kQueueSelect, index);
    const std::uint16_t size = arch::mmio_read16(common_ + kQueueSize);
    if (size == 0xffff && gone() && !mutant(233)) return fail(Error::device_gone);
    return std::uint32_t{size};
}

FeatureSet PciTransport::unsupported() const noexcept {
    FeatureSet set;
    if (common_length_ < kQueueNotifyConfigData + 2) set.insert(RingFeature::notif_config_data);
    if (common_length_ < kQueueReset + 2 && !mutant(240)) set.insert(RingFeature::ring_reset);
    return set;
}

Result<QueueGrant> PciTransport::queue_enable(std::uint16_t index, const QueueSetup& setup) noexcept {
    arch::mmio_write16(common_ + kQueueSelect, index);
    if (arch::mmio_read16(common_ + kQueueEnable) != 0 && !mutant(234)) return fail(Error::queue_unavailable);

    // The kick's address, once: notify structure + notify_off * multiplier, inside the capability (VIRTIO 1.4, 4.1.4.4).
    const std::uint64_t offset = std::uint64_t{arch::mmio_read16(common_ + kQueueNotifyOffset)} * notify_multiplier_;
    const std::uint32_t width = setup.notification_data ? 4 : 2;
    // What a kick calls this queue (4.1.5.2).
    const std::uint16_t identifier = setup.config_data ? arch::mmio_read16(common_ + kQueueNotifyConfigData) : index;
    if ((notify_length_ < width && !mutant(235)) || (offset > notify_length_ - width && !mutant(236)) ||
        (offset % width != 0 && !mutant(237)))
        return fail(Error::bad_capability);

    QueueGrant grant;
    if (setup.vector != kNoVector) {
        arch::mmio_write16(common_ + kQueueVector, setup.vector);
        grant.vector = arch::mmio_read16(common_ + kQueueVector); // the device may lack the resources
        if (grant.vector != setup.vector && !mutant(238)) return grant;
    }
    arch::mmio_write16(common_ + kQueueSize, setup.size);
    write64(common_ + kQueueDescriptor, setup.descriptor.value);
    write64(common_ + kQueueDriver, setup.driver.value);
    write64(common_ + kQueueDevice, setup.device.value);
    arch::mmio_write16(common_ + kQueueEnable, 1);
    grant.doorbell = Doorbell::at(width == 4 ? Doorbell::Kind::mmio32 : Doorbell::Kind::mmio16,
                                  notify_ + static_cast<std::uintptr_t>(offset), identifier, setup.notification_data);
    return grant;
}

Result<> PciTransport::queue_reset(std::uint16_t index, std::uint64_t deadline_ns) noexcept {
    if (common_length_ < kQueueReset + 2 && !mutant(239)) return fail(Error::unsupported_request);
    arch::mmio_write16(common_ + kQueueSelect, index);
    arch::mmio_write16(common_ + kQueueReset, 1);
    while (const std::uint16_t left = arch::mmio_read16(common_ + kQueueReset)) {
        if (left == 0xffff && gone() && !mutant(241)) return fail(Error::device_gone);
        if (function_.platform().now_ns() >= deadline_ns && !mutant(242)) return fail(Error::reset_timeout);
        arch::relax();
    }
    return {};
}

Result<std::uint16_t> PciTransport::connect_messages(std::uint16_t wanted, const InterruptTarget& target) noexcept {
    if (msix_ == 0 && !mutant(243)) return fail(Error::interrupt_unavailable);
    const auto at = [&](std::uint16_t offset) { return static_cast<std::uint16_t>(msix_ + offset); };
    const auto control = static_cast<std::uint16_t>(function_.read(at(kMsixControl), 2));
    const auto entries = static_cast<std::uint16_t>((control & 0x7ff) + 1);
    std::uint16_t count = wanted < entries || mutant(244) ? wanted : entries;
    if (count > kMostMessages && !mutant(245)) count = kMostMessages;

    const std::uint32_t where = function_.read(at(kMsixTable), 4);
    const PciStructure structure{static_cast<std::uint8_t>(where & 7), where & ~7u, std::uint32_t{entries} * kMsixEntry};
    const Result<PciBar> bar = function_.bar(structure.bar);
    if (!bar || (structure.length > bar->size && !mutant(247)) || (structure.offset > bar->size - structure.length && !mutant(248)))
        return fail(Error::interrupt_unavailable);
    const Result<std::uintptr_t> table = map(structure);
    if (!table) return fail(Error::interrupt_unavailable);

    std::array<InterruptMessage, kMostMessages> messages{};
    const Result<std::uint16_t> granted =
        function_.platform().allocate_messages(function_.address(), std::span{messages}.first(count), target);
    if (!granted || (*granted == 0 && !mutant(249))) return fail(Error::interrupt_unavailable);
    target_ = target;

    // Enabled but masked while the table is written; entries that are not ours stay masked.
    function_.write(at(kMsixControl), 2, control | kMsixEnable | kMsixFunctionMask);
    for (std::uint16_t i = 0; i < entries; ++i) {
        const std::uintptr_t entry = *table + std::uintptr_t{i} * kMsixEntry;
        if (i < *granted) {
            write64(entry, messages[i].address);
            arch::mmio_write32(entry + 8, messages[i].data);
        }
        arch::mmio_write32(entry + 12, i < *granted ? 0 : 1);
    }
    function_.write(at(kMsixControl), 2, (control | kMsixEnable) & ~std::uint32_t{kMsixFunctionMask});
    return *granted;
}

Result<std::uint16_t> PciTransport::set_config_vector(std::uint16_t vector) noexcept {
    arch::mmio_write16(common_ + kConfigVector, vector);
    return arch::mmio_read16(common_ + kConfigVector);
}

Result<> PciTransport::connect_line(const InterruptTarget& target) noexcept {
    const Result<> connected = function_.platform().connect_line(function_.address(), target);
    if (!connected) return connected;
    target_ = target;
    function_.set_line_interrupt(true);
    return {};
}

void PciTransport::disconnect_interrupts() noexcept {
    if (target_.handler == nullptr && !mutant(250)) return;
    function_.set_line_interrupt(false);
    if (msix_ != 0) {
        const auto control = static_cast<std::uint16_t>(msix_ + kMsixControl);
        function_.write(control, 2, function_.read(control, 2) & ~std::uint32_t{kMsixEnable});
    }
    function_.platform().disconnect(function_.address(), target_);
    target_ = {};
}

bool PciTransport::cut_off() noexcept {
    function_.set_bus_master(false);
    return gone() || (function_.read(0x04, 2) & 4u) == 0 || mutant(251);
}

} // namespace virtio
