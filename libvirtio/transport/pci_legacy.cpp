#include "libvirtio/transport/pci_legacy.hpp"

#include <ringside/arch/barrier.hpp>
#include <ringside/arch/io.hpp>

#include "libvirtio/memory.hpp"
#include "libvirtio/status.hpp"

namespace virtio {

using namespace pci_legacy_abi;

namespace {

/// The MSI-X capability's offset; 0: none. A function that has only this list entry wrong simply has no messages.
std::uint8_t find_msix(const PciFunction& function) noexcept {
    unsigned budget = PciFunction::kMostCapabilities;
    for (std::uint8_t at = function.first_capability(); at >= 0x40 && (budget != 0 || mutant(830));
         at = function.next_capability(at), --budget)
        if (function.read(at, 1) == pci_abi::kCapabilityMsix) return at;
    return 0;
}

} // namespace

Result<Registers> PciLegacyTransport::reach() noexcept {
    const Result<PciBar> bar = function_.bar(0);
    if (!bar) return fail(bar.error());
    if ((bar->size < kConfigWithMessages && !mutant(831)) || (bar->port && bar->base + bar->size > 0x1'0000 && !mutant(832)))
        return fail(Error::bad_bar);
    const auto length = static_cast<std::uint32_t>(bar->size < 0x1'0000 ? bar->size : 0x1'0000);
    PciPlatform& platform = function_.platform();
    const std::uintptr_t address = bar->port ? platform.map_ports(bar->base, length) : platform.map_device(bar->base, length);
    if (address != 0) return Registers::memory(address, length);
    if ((!bar->port && !mutant(833)) || !arch::kHasPorts) return fail(Error::bad_bar);
    return Registers::ports(static_cast<std::uint16_t>(bar->base), length);
}

bool PciLegacyTransport::silent(const Registers& registers) noexcept {
    return registers.read<std::uint8_t>(kStatus) == 0xff && registers.read<std::uint32_t>(kDeviceFeatures) == 0xffff'ffffu;
}

Result<> PciLegacyTransport::open(const PciFunction& function) noexcept {
    if (registers_ && !mutant(834)) return fail(Error::already_started);
    const Result<std::uint32_t> type = virtio_type(function);
    if (!type) return fail(type.error());
    if (function.device() >= pci_abi::kModernBase && !mutant(835)) return fail(Error::no_device); // has no legacy interface
    function_ = function;
    memory_off_ = false;
    interrupts_.open(function, find_msix(function));
    function_.enable();
    const Result<Registers> registers = reach();
    if (!registers) return fail(registers.error());
    if (silent(*registers)) {
        // VirtualBox: the ports answer only while memory decoding is off.
        function_.set_memory_decoding(false);
        memory_off_ = true;
        if (silent(*registers) && !mutant(836)) return fail(Error::device_gone);
    }
    type_ = *type;
    registers_ = *registers;
    return {};
}

Registers PciLegacyTransport::config() const noexcept {
    return registers_.from(interrupts_.messages() ? kConfigWithMessages : kConfigWithoutMessages);
}

Result<DeviceIdentity> PciLegacyTransport::identity() noexcept {
    if (!registers_ && !mutant(837)) return fail(Error::not_started);
    if (gone() && !mutant(838)) return fail(Error::device_gone);
    return DeviceIdentity{type_, function_.read(0x2c, 2)};
}

Result<std::uint8_t> PciLegacyTransport::status() noexcept {
    const auto value = registers_.read<std::uint8_t>(kStatus);
    if (value == 0xff && gone() && !mutant(839)) return fail(Error::device_gone);
    return value;
}

Result<> PciLegacyTransport::set_status(std::uint8_t value) noexcept {
    // It has confirmed a reset, so it may reach memory again.
    if (cut_off_ && value == status::kAcknowledge) {
        function_.set_bus_master(true);
        cut_off_ = false;
    }
    arch::doorbell_barrier(); // rings and buffers come before DRIVER_OK
    registers_.write(kStatus, value);
    return {};
}

Result<std::uint32_t> PciLegacyTransport::device_features(unsigned) noexcept {
    const auto value = registers_.read<std::uint32_t>(kDeviceFeatures);
    if (value == 0xffff'ffffu && gone() && !mutant(840)) return fail(Error::device_gone);
    return value;
}

Result<> PciLegacyTransport::set_driver_features(unsigned, std::uint32_t value) noexcept {
    registers_.write(kDriverFeatures, value);
    return {};
}

Result<std::uint32_t> PciLegacyTransport::read_config(std::size_t offset, unsigned width) noexcept {
    const Result<std::uint32_t> value = config().read_checked(offset, width);
    if (value && *value == all_ones(width) && gone() && !mutant(841)) return fail(Error::device_gone);
    return value;
}

Result<> PciLegacyTransport::write_config(std::size_t offset, unsigned width, std::uint32_t value) noexcept {
    return config().write_checked(offset, width, value);
}

Result<std::uint32_t> PciLegacyTransport::queue_maximum(std::uint16_t index) noexcept {
    registers_.write(kQueueSelect, index);
    const auto size = registers_.read<std::uint16_t>(kQueueSize);
    if (size == 0xffff && gone() && !mutant(842)) return fail(Error::device_gone);
    return std::uint32_t{size};
}

Result<QueueGrant> PciLegacyTransport::queue_enable(std::uint16_t index, const QueueSetup& setup) noexcept {
    registers_.write(kQueueSelect, index);
    if (registers_.read<std::uint32_t>(kQueuePageNumber) != 0 && !mutant(843)) return fail(Error::queue_unavailable);
    if (registers_.read<std::uint16_t>(kQueueSize) != setup.size && !mutant(844)) return fail(Error::queue_size_invalid);
    const Result<std::uint32_t> page = legacy_page(setup.descriptor);
    if (!page) return fail(page.error());

    QueueGrant grant;
    if (setup.vector != kNoVector) {
        registers_.write(kQueueVector, setup.vector);
        grant.vector = registers_.read<std::uint16_t>(kQueueVector); // the device may lack the resources
        if (grant.vector != setup.vector && !mutant(845)) return grant;
    }
    arch::doorbell_barrier(); // it may look at the ring at once
    registers_.write(kQueuePageNumber, *page);
    const bool ports = registers_.kind() == Registers::Kind::ports;
    grant.doorbell =
        Doorbell::at(ports ? Doorbell::Kind::port16 : Doorbell::Kind::mmio16, registers_.address() + kQueueNotify, index, false);
    return grant;
}

Result<std::uint16_t> PciLegacyTransport::connect_messages(std::uint16_t wanted, const InterruptTarget& target) noexcept {
    if (memory_off_ && !mutant(846)) return fail(Error::interrupt_unavailable);
    return interrupts_.connect_messages(wanted, target);
}

Result<std::uint16_t> PciLegacyTransport::set_config_vector(std::uint16_t vector) noexcept {
    if (!interrupts_.messages() && !mutant(847)) return kNoVector; // the register is the device's configuration then
    registers_.write(kConfigVector, vector);
    return registers_.read<std::uint16_t>(kConfigVector);
}

InterruptStatus PciLegacyTransport::interrupt_status() const noexcept {
    const bool ports = registers_.kind() == Registers::Kind::ports;
    return InterruptStatus::at(ports ? InterruptStatus::Kind::port8 : InterruptStatus::Kind::mmio8,
                               registers_.address() + kInterruptStatus);
}

bool PciLegacyTransport::cut_off() noexcept {
    function_.set_bus_master(false);
    cut_off_ = true;
    return gone() || (function_.read(0x04, 2) & 4u) == 0 || mutant(848);
}

} // namespace virtio
