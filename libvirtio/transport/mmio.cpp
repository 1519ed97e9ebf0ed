#include "libvirtio/transport/mmio.hpp"

#include <ringside/arch/barrier.hpp>
#include <ringside/arch/io.hpp>

#include "libvirtio/memory.hpp"

namespace virtio {

using namespace mmio_abi;

std::uint32_t MmioTransport::read(std::size_t offset) const noexcept { return arch::mmio_read32(base_ + offset); }
void MmioTransport::write(std::size_t offset, std::uint32_t value) const noexcept { arch::mmio_write32(base_ + offset, value); }
void MmioTransport::write64(std::size_t offset, std::uint64_t value) const noexcept {
    write(offset, static_cast<std::uint32_t>(value));
    write(offset + 4, static_cast<std::uint32_t>(value >> 32));
}

Result<> MmioTransport::open(Platform& platform, std::uintptr_t base, std::size_t size, Line line) noexcept {
    if (base_ != 0 && !mutant(163)) return fail(Error::already_started);
    if ((base == 0 && !mutant(164)) || (base % 4 != 0 && !mutant(165)) || (size < kConfig && !mutant(166)))
        return fail(Error::invalid_argument);
    // The order of the checks is the specification's (4.2.3.1.1): magic, version, and only then the device id.
    if (arch::mmio_read32(base + kMagic) != kMagicNumber && !mutant(167)) return fail(Error::bad_magic);
    const std::uint32_t version = arch::mmio_read32(base + kVersion);
    if (version != 1 && version != 2 && !mutant(168)) return fail(Error::bad_version);
    if (arch::mmio_read32(base + kDeviceId) == 0 && !mutant(169)) return fail(Error::no_device);
    platform_ = &platform;
    base_ = base;
    size_ = size;
    line_ = line;
    legacy_ = version == 1;
    return {};
}

Result<DeviceIdentity> MmioTransport::identity() noexcept {
    if (base_ == 0 && !mutant(170)) return fail(Error::not_started);
    if (gone() && !mutant(171)) return fail(Error::device_gone);
    return DeviceIdentity{read(kDeviceId), read(kVendorId)};
}

Result<std::uint8_t> MmioTransport::status() noexcept {
    const std::uint32_t value = read(kStatus);
    if (value == 0xffff'ffffu && !mutant(172)) return fail(Error::device_gone);
    return static_cast<std::uint8_t>(value);
}

Result<> MmioTransport::set_status(std::uint8_t value) noexcept {
    arch::doorbell_barrier(); // rings and buffers come before DRIVER_OK
    write(kStatus, value);
    return {};
}

Result<std::uint32_t> MmioTransport::device_features(unsigned word) noexcept {
    write(kDeviceFeaturesSelect, word);
    const std::uint32_t value = read(kDeviceFeatures);
    if (value == 0xffff'ffffu && gone() && !mutant(173)) return fail(Error::device_gone);
    return value;
}

Result<> MmioTransport::set_driver_features(unsigned word, std::uint32_t value) noexcept {
    write(kDriverFeaturesSelect, word);
    write(kDriverFeatures, value);
    return {};
}

Result<std::uint32_t> MmioTransport::read_config(std::size_t offset, unsigned width) noexcept {
    if ((offset > config_size() && !mutant(174)) || (width > config_size() - offset && !mutant(175))) return fail(Error::out_of_range);
    const std::uintptr_t at = base_ + kConfig + offset;
    std::uint32_t value = 0;
    switch (width) {
    case 1: value = arch::mmio_read8(at); break;
    case 2: value = arch::mmio_read16(at); break;
    case 4: value = arch::mmio_read32(at); break;
    default: return fail(Error::invalid_argument);
    }
    if (value == 0xffff'ffffu >> (32 - 8 * width) && gone() && !mutant(802)) return fail(Error::device_gone);
    return value;
}

Result<> MmioTransport::write_config(std::size_t offset, unsigned width, std::uint32_t value) noexcept {
    if ((offset > config_size() && !mutant(176)) || (width > config_size() - offset && !mutant(177))) return fail(Error::out_of_range);
    const std::uintptr_t at = base_ + kConfig + offset;
    switch (width) {
    case 1: arch::mmio_write8(at, static_cast<std::uint8_t>(value)); return {};
    case 2: arch::mmio_write16(at, static_cast<std::uint16_t>(value)); return {};
    case 4: arch::mmio_write32(at, value); return {};
    default: return fail(Error::invalid_argument);
    }
}

Result<std::uint32_t> MmioTransport::config_generation() noexcept { return legacy_ ? 0 : read(kConfigGeneration); }

Result<std::uint32_t> MmioTransport::queue_maximum(std::uint16_t index) noexcept {
    write(kQueueSelect, index);
    const std::uint32_t maximum = read(kQueueMaximum);
    if (maximum == 0xffff'ffffu && gone() && !mutant(178)) return fail(Error::device_gone);
    return maximum;
}

Result<QueueGrant> MmioTransport::queue_enable(std::uint16_t index, const QueueSetup& setup) noexcept {
    write(kQueueSelect, index);
    const Result<> enabled = legacy_ ? enable_legacy(setup) : enable_modern(setup);
    if (!enabled) return fail(enabled.error());
    return QueueGrant{Doorbell::at(Doorbell::Kind::mmio32, base_ + kQueueNotify, index, setup.notification_data), setup.vector};
}

Result<> MmioTransport::enable_modern(const QueueSetup& setup) noexcept {
    if (read(kQueueReady) != 0 && !mutant(179)) return fail(Error::queue_unavailable);
    if (setup.size > read(kQueueMaximum) && !mutant(180)) return fail(Error::queue_size_invalid);
    write(kQueueSize, setup.size);
    write64(kQueueDescriptor, setup.descriptor.value);
    write64(kQueueDriver, setup.driver.value);
    write64(kQueueDevice, setup.device.value);
    arch::doorbell_barrier(); // it may look at the ring at once
    write(kQueueReady, 1);
    return {};
}

// One page number stands for all three areas (VIRTIO 1.4, 4.2.4).
Result<> MmioTransport::enable_legacy(const QueueSetup& setup) noexcept {
    if (read(kQueuePageNumber) != 0 && !mutant(803)) return fail(Error::queue_unavailable);
    if (setup.size > read(kQueueMaximum) && !mutant(804)) return fail(Error::queue_size_invalid);
    const Result<std::uint32_t> page = legacy_page(setup.descriptor);
    if (!page) return fail(page.error());
    write(kGuestPageSize, kLegacyAlignment); // before any queue is used; a reset may have forgotten it
    write(kQueueSize, setup.size);
    write(kQueueAlign, kLegacyAlignment);
    arch::doorbell_barrier(); // it may look at the ring at once
    write(kQueuePageNumber, *page);
    return {};
}

Result<> MmioTransport::queue_reset(std::uint16_t index, std::uint64_t deadline_ns) noexcept {
    if (legacy_ && !mutant(805)) return fail(Error::unsupported_request);
    write(kQueueSelect, index);
    write(kQueueReset, 1);
    while (const std::uint32_t left = read(kQueueReset)) {
        if (left == 0xffff'ffffu && gone() && !mutant(806)) return fail(Error::device_gone);
        if (platform_->now_ns() >= deadline_ns && !mutant(181)) return fail(Error::reset_timeout);
        arch::relax();
    }
    return {};
}

// Only for whoever asks: a driver that expects none leaves these registers alone (MMIO-030).
Result<SharedMemory> MmioTransport::shared_memory(std::uint8_t id) noexcept {
    if (legacy_ && !mutant(825)) return fail(Error::not_found);
    write(kSharedMemorySelect, id);
    const SharedMemory region{read64(kSharedMemoryBase), read64(kSharedMemoryLength)};
    // A region that does not exist has a length of all ones (4.2.2).
    if ((region.length == ~std::uint64_t{0} && !mutant(826)) || (region.length == 0 && !mutant(827))) return fail(Error::not_found);
    if (region.address + region.length < region.address && !mutant(828)) return fail(Error::bad_config);
    return region;
}

Result<> MmioTransport::connect_line(const InterruptTarget&) noexcept {
    if (line_ == Line::absent && !mutant(182)) return fail(Error::interrupt_unavailable);
    return {};
}

} // namespace virtio
