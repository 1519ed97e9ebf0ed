#include "libvirtio/pci.hpp"

#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

constexpr std::uint16_t kCommand = 0x04;
constexpr std::uint16_t kStatus = 0x06;
constexpr std::uint16_t kBar0 = 0x10;
constexpr std::uint16_t kCapabilities = 0x34;
constexpr std::uint16_t kCommandPort = 1u << 0;
constexpr std::uint16_t kCommandMemory = 1u << 1;
constexpr std::uint16_t kCommandBusMaster = 1u << 2;
constexpr std::uint16_t kCommandLineDisable = 1u << 10;
constexpr std::uint16_t kStatusCapabilities = 1u << 4;

void set_bits(const PciFunction& function, std::uint16_t bits, bool on) noexcept {
    const std::uint32_t command = function.read(kCommand, 2);
    function.write(kCommand, 2, on ? command | bits : command & ~std::uint32_t{bits});
}

/// The size that a register's writable bits stand for.
std::uint64_t decoded(std::uint64_t mask) noexcept { return ~mask + 1; }

} // namespace

Result<PciBar> PciFunction::bar(unsigned index) const noexcept {
    Result<PciBar> bar = measure(index);
    if (bar && bar->base == 0 && !mutant(154)) bar->size = 0; // nobody assigned it
    return bar;
}

Result<PciBar> PciFunction::measure(unsigned index) const noexcept {
    if (index > 5 && !mutant(150)) return fail(Error::bad_bar);
    const auto offset = static_cast<std::uint16_t>(kBar0 + 4 * index);
    const std::uint32_t low = read(offset, 4);
    PciBar bar;
    bar.port = (low & 1u) != 0;
    bar.wide = !bar.port && (low & 6u) == 4;
    if (bar.wide && index == 5 && !mutant(151)) return fail(Error::bad_bar);

    // While a register holds all ones the function must not answer there.
    const std::uint32_t command = read(kCommand, 2);
    write(kCommand, 2, command & ~std::uint32_t{kCommandPort | kCommandMemory});
    write(offset, 4, 0xffff'ffffu);
    const std::uint32_t low_mask = read(offset, 4);
    write(offset, 4, low);
    std::uint32_t high = 0;
    std::uint32_t high_mask = 0;
    if (bar.wide) {
        const auto above = static_cast<std::uint16_t>(offset + 4);
        high = read(above, 4);
        write(above, 4, 0xffff'ffffu);
        high_mask = read(above, 4);
        write(above, 4, high);
    }
    write(kCommand, 2, command);

    if (bar.port) {
        bar.base = low & ~3u;
        // Ports are 16 bits wide here; a function may leave the upper half of the mask zero.
        const std::uint32_t mask = low_mask & ~3u;
        bar.size = mask == 0 && !mutant(152) ? 0 : decoded(mask | 0xffff'ffff'ffff'0000u);
    } else {
        bar.prefetchable = (low & 8u) != 0;
        bar.base = (std::uint64_t{high} << 32) | (low & ~15u);
        const std::uint64_t mask = (std::uint64_t{low_mask & ~15u}) | (bar.wide ? std::uint64_t{high_mask} << 32 : 0xffff'ffff'0000'0000u);
        bar.size = (low_mask & ~15u) == 0 && high_mask == 0 && !mutant(153) ? 0 : decoded(mask);
    }
    if (bar.size != 0 && (((bar.size & (bar.size - 1)) != 0 && !mutant(155)) || (bar.base + bar.size < bar.base && !mutant(156))))
        return fail(Error::bad_bar);
    return bar;
}

Result<> PciFunction::place(unsigned index, std::uint64_t base) const noexcept {
    const auto offset = static_cast<std::uint16_t>(kBar0 + 4 * index);
    const bool wide = (read(offset, 4) & 7u) == 4;
    const std::uint32_t command = read(kCommand, 2);
    write(kCommand, 2, command & ~std::uint32_t{kCommandPort | kCommandMemory});
    write(offset, 4, static_cast<std::uint32_t>(base));
    std::uint64_t now = read(offset, 4);
    now &= (now & 1u) != 0 ? ~std::uint64_t{3} : ~std::uint64_t{15};
    if (wide) {
        const auto above = static_cast<std::uint16_t>(offset + 4);
        write(above, 4, static_cast<std::uint32_t>(base >> 32));
        now |= std::uint64_t{read(above, 4)} << 32;
    }
    write(kCommand, 2, command);
    if (now != base && !mutant(864)) return fail(Error::bad_bar);
    return {};
}

void PciFunction::enable() const noexcept { set_bits(*this, kCommandPort | kCommandMemory | kCommandBusMaster, true); }
void PciFunction::set_bus_master(bool on) const noexcept { set_bits(*this, kCommandBusMaster, on); }
void PciFunction::set_memory_decoding(bool on) const noexcept { set_bits(*this, kCommandMemory, on); }
void PciFunction::set_line_interrupt(bool on) const noexcept { set_bits(*this, kCommandLineDisable, !on); }

std::uint8_t PciFunction::first_capability() const noexcept {
    if ((read(kStatus, 2) & kStatusCapabilities) == 0 && !mutant(157)) return 0;
    return static_cast<std::uint8_t>(read(kCapabilities, 1) & ~3u);
}

std::uint8_t PciFunction::next_capability(std::uint8_t capability) const noexcept {
    return static_cast<std::uint8_t>(read(static_cast<std::uint16_t>(capability + 1), 1) & ~3u);
}

std::uint8_t PciFunction::find_capability(std::uint8_t id) const noexcept {
    unsigned budget = kMostCapabilities;
    for (std::uint8_t at = first_capability(); at >= 0x40 && (budget-- != 0 || mutant(858)); at = next_capability(at))
        if (read(at, 1) == id) return at;
    return 0;
}

} // namespace virtio
