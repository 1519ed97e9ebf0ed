#include "libvirtio/transport/pci_interrupts.hpp"

#include "libvirtio/memory.hpp"
#include "libvirtio/transport/pci_capabilities.hpp"
#include "libvirtio/transport/registers.hpp"

namespace virtio {
namespace {

constexpr std::uint16_t kControl = 2;
constexpr std::uint16_t kTable = 4;
constexpr std::uint16_t kEnable = 1u << 15;
constexpr std::uint16_t kFunctionMask = 1u << 14;
constexpr std::uint16_t kEntry = 16;

} // namespace

void PciInterrupts::open(const PciFunction& function, std::uint8_t msix) noexcept {
    function_ = function;
    msix_ = msix;
    function_.set_line_interrupt(false);
    switch_messages_off(); // firmware may have used the device
}

void PciInterrupts::switch_messages_off() noexcept {
    messages_ = false;
    if (msix_ != 0) function_.write(at(kControl), 2, function_.read(at(kControl), 2) & ~std::uint32_t{kEnable});
}

Result<std::uint16_t> PciInterrupts::connect_messages(std::uint16_t wanted, const InterruptTarget& target) noexcept {
    if (msix_ == 0 && !mutant(243)) return fail(Error::interrupt_unavailable);
    const auto control = static_cast<std::uint16_t>(function_.read(at(kControl), 2));
    const auto entries = static_cast<std::uint16_t>((control & 0x7ff) + 1);
    std::uint16_t count = wanted < entries || mutant(244) ? wanted : entries;
    if (count > kMostMessages && !mutant(245)) count = kMostMessages;

    const std::uint32_t where = function_.read(at(kTable), 4);
    const PciStructure structure{static_cast<std::uint8_t>(where & 7), where & ~7u, std::uint32_t{entries} * kEntry};
    const Result<PciBar> bar = function_.bar(structure.bar);
    if (!bar || (structure.length > bar->size && !mutant(247)) || (structure.offset > bar->size - structure.length && !mutant(248)))
        return fail(Error::interrupt_unavailable);
    const Result<Registers> table = map_registers(function_, structure);
    if (!table) return fail(Error::interrupt_unavailable);

    std::array<InterruptMessage, kMostMessages> messages{};
    const Result<std::uint16_t> granted =
        function_.platform().allocate_messages(function_.address(), std::span{messages}.first(count), target);
    if (!granted || (*granted == 0 && !mutant(249))) return fail(Error::interrupt_unavailable);
    target_ = target;

    // Enabled but masked while the table is written; entries that are not ours stay masked.
    function_.write(at(kControl), 2, control | kEnable | kFunctionMask);
    for (std::uint16_t i = 0; i < entries; ++i) {
        const std::size_t entry = std::size_t{i} * kEntry;
        if (i < *granted) {
            table->write64(entry, messages[i].address);
            table->write(entry + 8, messages[i].data);
        }
        table->write(entry + 12, i < *granted ? 0u : 1u);
    }
    function_.write(at(kControl), 2, (control | kEnable) & ~std::uint32_t{kFunctionMask});
    messages_ = true;
    return *granted;
}

Result<> PciInterrupts::connect_line(const InterruptTarget& target) noexcept {
    const Result<> connected = function_.platform().connect_line(function_.address(), target);
    if (!connected) return connected;
    target_ = target;
    function_.set_line_interrupt(true);
    return {};
}

void PciInterrupts::disconnect() noexcept {
    if (target_.handler == nullptr && !mutant(250)) return;
    function_.set_line_interrupt(false);
    switch_messages_off();
    function_.platform().disconnect(function_.address(), target_);
    target_ = {};
}

} // namespace virtio
