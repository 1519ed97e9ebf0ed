#include "arch/x86_64/uart.hpp"

#include <cstdint>

#include <ringside/arch/io.hpp>

namespace arch {
namespace {

constexpr std::uint16_t kPort = 0x3f8;
constexpr std::uint16_t kInterruptEnable = kPort + 1, kFifoControl = kPort + 2, kLineControl = kPort + 3, kModemControl = kPort + 4,
                        kLineStatus = kPort + 5, kScratch = kPort + 7;
constexpr std::uint8_t kReceived = 0x01, kTransmitterEmpty = 0x20;

enum class State : std::uint8_t { unknown, absent, present };
State state = State::unknown;

void start() noexcept {
    // A port without a chip behind it reads all ones, whatever was written.
    port_write8(kScratch, 0x5a);
    if (port_read8(kScratch) != 0x5a) {
        state = State::absent;
        return;
    }
    port_write8(kInterruptEnable, 0);
    port_write8(kLineControl, 0x80); // divisor 1: 115200 baud
    port_write8(kPort, 1);
    port_write8(kInterruptEnable, 0);
    port_write8(kLineControl, 0x03);  // 8 bits, no parity, 1 stop bit
    port_write8(kFifoControl, 0xc7);  // FIFO on and cleared
    port_write8(kModemControl, 0x03); // DTR, RTS
    state = State::present;
}

void write_byte(std::uint8_t byte) noexcept {
    // At 115200 baud a byte takes 87 us; a chip that never gets ready must not stop a panic.
    for (int attempt = 0; attempt < 100'000 && (port_read8(kLineStatus) & kTransmitterEmpty) == 0; ++attempt) relax();
    port_write8(kPort, byte);
}

} // namespace

void early_write(const char* text, std::size_t size) noexcept {
    if (state == State::unknown) start();
    if (state == State::absent) return;
    for (std::size_t i = 0; i < size; ++i) {
        if (text[i] == '\n') write_byte('\r');
        write_byte(static_cast<std::uint8_t>(text[i]));
    }
}

int early_read() noexcept {
    if (state == State::unknown) start();
    if (state == State::absent || (port_read8(kLineStatus) & kReceived) == 0) return -1;
    return port_read8(kPort);
}

} // namespace arch
