#include "kernel/uart/uart.hpp"

#include <cstdint>

#include <ringside/arch/io.hpp>

namespace kernel {
namespace {

using Kind = arch::Uart::Kind;

// 16550: one-byte registers, in memory or in ports.
constexpr std::uint8_t kInterruptEnable = 1, kFifoControl = 2, kLineControl = 3, kModemControl = 4, kLineStatus = 5, kScratch = 7;
constexpr std::uint8_t kReceived = 0x01, kTransmitterEmpty = 0x20;

// PL011 (ARM DDI 0183): four-byte registers.
constexpr std::uint16_t kPl011Flags = 0x18, kPl011Control = 0x30, kPl011LineControl = 0x2c, kPl011InterruptMask = 0x38;
constexpr std::uint32_t kPl011ReceiveEmpty = 1 << 4, kPl011TransmitFull = 1 << 5;
constexpr std::uint32_t kPl011Enable = 1 << 0 | 1 << 8 | 1 << 9, kPl0118BitsFifo = 3 << 5 | 1 << 4;

// What a chip that never gets ready may cost a panic: at 115200 baud a byte takes 87 us.
constexpr int kMostPolls = 100'000;

arch::Uart uart;
std::uintptr_t base = 0;

std::uint8_t read16550(std::uint8_t reg) noexcept {
    return uart.kind == Kind::ns16550_port ? arch::port_read8(static_cast<std::uint16_t>(base + reg)) : arch::mmio_read8(base + reg);
}
void write16550(std::uint8_t reg, std::uint8_t value) noexcept {
    if (uart.kind == Kind::ns16550_port)
        arch::port_write8(static_cast<std::uint16_t>(base + reg), value);
    else
        arch::mmio_write8(base + reg, value);
}

void start_16550() noexcept {
    // An address without a chip behind it reads all ones, whatever was written.
    write16550(kScratch, 0x5a);
    if (read16550(kScratch) != 0x5a) {
        uart.kind = Kind::none;
        return;
    }
    write16550(kInterruptEnable, 0);
    write16550(kLineControl, 0x80); // divisor 1: 115200 baud
    write16550(0, 1);
    write16550(kInterruptEnable, 0);
    write16550(kLineControl, 0x03);  // 8 bits, no parity, 1 stop bit
    write16550(kFifoControl, 0xc7);  // FIFO on and cleared
    write16550(kModemControl, 0x03); // DTR, RTS
}

void start_pl011() noexcept {
    // The speed stays as the firmware set it: the clock behind it is not known here.
    arch::mmio_write32(base + kPl011InterruptMask, 0);
    arch::mmio_write32(base + kPl011LineControl, kPl0118BitsFifo);
    arch::mmio_write32(base + kPl011Control, kPl011Enable);
}

void write_byte(std::uint8_t byte) noexcept {
    if (uart.kind == Kind::pl011) {
        for (int i = 0; i < kMostPolls && (arch::mmio_read32(base + kPl011Flags) & kPl011TransmitFull) != 0; ++i) arch::relax();
        arch::mmio_write32(base, byte);
        return;
    }
    for (int i = 0; i < kMostPolls && (read16550(kLineStatus) & kTransmitterEmpty) == 0; ++i) arch::relax();
    write16550(0, byte);
}

} // namespace

void start_uart(const arch::Uart& which) noexcept {
    uart = which;
    base = static_cast<std::uintptr_t>(which.registers.base);
    if (uart.kind == Kind::pl011) return start_pl011();
    if (uart.kind != Kind::none) start_16550();
}

arch::Registers uart_registers() noexcept {
    const bool in_memory = uart.kind == Kind::ns16550 || uart.kind == Kind::pl011;
    return in_memory ? uart.registers : arch::Registers{};
}

void early_write(const char* text, std::size_t size) noexcept {
    if (uart.kind == Kind::none) return;
    for (std::size_t i = 0; i < size; ++i) {
        if (text[i] == '\n') write_byte('\r');
        write_byte(static_cast<std::uint8_t>(text[i]));
    }
}

int early_read() noexcept {
    switch (uart.kind) {
    case Kind::none: return -1;
    case Kind::pl011:
        if ((arch::mmio_read32(base + kPl011Flags) & kPl011ReceiveEmpty) != 0) return -1;
        return static_cast<std::uint8_t>(arch::mmio_read32(base));
    default: return (read16550(kLineStatus) & kReceived) == 0 ? -1 : read16550(0);
    }
}

} // namespace kernel
