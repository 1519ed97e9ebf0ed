#include "libvirtio/transport/registers.hpp"

#include "libvirtio/memory.hpp"

namespace virtio {

// The capability's own fields aim, pci_cfg_data behind them reads and writes (VIRTIO 1.4, 4.1.4.9).
void PciConfigWindow::aim(std::uint8_t bar, std::uint32_t offset, unsigned width) const noexcept {
    function_.write(static_cast<std::uint16_t>(at_ + offsetof(pci_abi::Capability, bar)), 1, bar);
    function_.write(static_cast<std::uint16_t>(at_ + offsetof(pci_abi::Capability, offset)), 4, offset);
    function_.write(static_cast<std::uint16_t>(at_ + offsetof(pci_abi::Capability, length)), 4, width);
}

std::uint32_t PciConfigWindow::read(std::uint8_t bar, std::uint32_t offset, unsigned width) const noexcept {
    aim(bar, offset, width);
    return function_.read(static_cast<std::uint16_t>(at_ + sizeof(pci_abi::Capability)), width);
}

void PciConfigWindow::write(std::uint8_t bar, std::uint32_t offset, unsigned width, std::uint32_t value) const noexcept {
    aim(bar, offset, width);
    function_.write(static_cast<std::uint16_t>(at_ + sizeof(pci_abi::Capability)), width, value);
}

std::uint32_t Registers::get(std::size_t offset, unsigned width) const noexcept {
    const std::uintptr_t at = address_ + offset;
    const auto port = static_cast<std::uint16_t>(at);
    switch (kind_) {
    case Kind::memory: return width == 1 ? arch::mmio_read8(at) : width == 2 ? arch::mmio_read16(at) : arch::mmio_read32(at);
    case Kind::ports: return width == 1 ? arch::port_read8(port) : width == 2 ? arch::port_read16(port) : arch::port_read32(port);
    case Kind::window: return window_->read(bar_, static_cast<std::uint32_t>(at), width);
    case Kind::none: break;
    }
    return all_ones(width);
}

void Registers::put(std::size_t offset, unsigned width, std::uint32_t value) const noexcept {
    const std::uintptr_t at = address_ + offset;
    const auto port = static_cast<std::uint16_t>(at);
    const auto byte = static_cast<std::uint8_t>(value);
    const auto half = static_cast<std::uint16_t>(value);
    switch (kind_) {
    case Kind::memory:
        return width == 1 ? arch::mmio_write8(at, byte) : width == 2 ? arch::mmio_write16(at, half) : arch::mmio_write32(at, value);
    case Kind::ports:
        return width == 1 ? arch::port_write8(port, byte) : width == 2 ? arch::port_write16(port, half) : arch::port_write32(port, value);
    case Kind::window: return window_->write(bar_, static_cast<std::uint32_t>(at), width, value);
    case Kind::none: break;
    }
}

Error Registers::refused(std::size_t offset, unsigned width) const noexcept {
    if ((offset > length_ && !mutant(228)) || (width > length_ - offset && !mutant(229))) return Error::out_of_range;
    return width == 1 || width == 2 || width == 4 || mutant(230) ? Error::none : Error::invalid_argument;
}

Result<std::uint32_t> Registers::read_checked(std::size_t offset, unsigned width) const noexcept {
    if (const Error error = refused(offset, width); error != Error::none) return fail(error);
    return get(offset, width);
}

Result<> Registers::write_checked(std::size_t offset, unsigned width, std::uint32_t value) const noexcept {
    if (const Error error = refused(offset, width); error != Error::none && !mutant(231)) return fail(error);
    put(offset, width, value);
    return {};
}

Result<Registers> map_registers(const PciFunction& function, const PciStructure& structure) noexcept {
    const Result<PciBar> bar = function.bar(structure.bar);
    if (!bar) return fail(bar.error());
    if ((bar->port && !mutant(220)) || (bar->size == 0 && !mutant(221))) return fail(Error::bad_bar);
    const std::uintptr_t address = function.platform().map_device(bar->base + structure.offset, structure.length);
    if (address == 0 && !mutant(222)) return fail(Error::bad_bar);
    return Registers::memory(address, structure.length);
}

} // namespace virtio
