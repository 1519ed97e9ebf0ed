#include "arch/power.hpp"

#include <charconv>

#include <machine/cpu.hpp>
#include <ringside/arch/io.hpp>

namespace arch {

void exit_emulator(const PowerHardware&, std::string_view how, int status) noexcept {
    const bool hexadecimal = how.starts_with("0x") || how.starts_with("0X");
    if (hexadecimal) how.remove_prefix(2);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(how.data(), how.data() + how.size(), port, hexadecimal ? 16 : 10);
    if (error == std::errc{} && end == how.data() + how.size() && port != 0) port_write32(port, static_cast<std::uint32_t>(status));
}

void power_off(const PowerHardware&) noexcept {}

const char* power_method(const PowerHardware&) noexcept { return nullptr; }

void reset(const PowerHardware&) noexcept {
    port_write8(0xcf9, 0x02); // PCI reset control: what kind, then do it
    port_write8(0xcf9, 0x06);
    port_write8(0x64, 0xfe); // the keyboard controller's reset line
    // Last resort: an exception that no handler can be found for.
    struct [[gnu::packed]] {
        std::uint16_t limit = 0;
        std::uint64_t base = 0;
    } const nothing;
    asm volatile("lidt %0; int3" : : "m"(nothing) : "memory");
    halt_for_ever();
}

} // namespace arch
