// What descriptors 0, 1 and 2 talk to. The virtio console registers itself when it is up; before that (and without one) it is the
// serial port. Task context only. The owner keeps the object alive until another one has been set. read() and write() may wait, so neither
// is called with a lock of the implementation held.
//
//     struct PortConsole final : kernel::Console { ... };
//     static PortConsole console;
//     kernel::set_console(console);                   // printf() arrives there from now on
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel/task/poll_source.hpp"
#include "kernel/time/clock.hpp"
#include "libvirtio/base.hpp"

namespace kernel {

class Console {
public:
    /// Waits until at least one byte has come, then gives what is there. timeout: the deadline passed; closed: the host side is gone.
    [[nodiscard]] virtual virtio::Result<std::size_t> read(std::span<char> into, std::uint64_t deadline_ns = kNever) = 0;
    /// Waits for room as long as the host side is open; otherwise drops. Gives the number of bytes that were taken.
    [[nodiscard]] virtual virtio::Result<std::size_t> write(std::span<const char> from) = 0;
    /// Would read() answer at once?
    [[nodiscard]] virtual bool readable() const = 0;
    /// Would write() take a byte at once?
    [[nodiscard]] virtual bool writable() const { return true; }

    struct Size {
        std::uint16_t columns = 80;
        std::uint16_t rows = 25;
    };
    [[nodiscard]] virtual Size size() const { return {}; }

    /// The implementation calls poll_source.notify() when readable() or writable() may have changed.
    PollSource poll_source;

protected:
    constexpr Console() noexcept = default;
    constexpr explicit Console(std::uint64_t look_every_ns) noexcept : poll_source(look_every_ns) {}
    ~Console() = default;
};

/// From now on the standard streams use this one. The log's serial sink is switched off with the first call.
void set_console(Console& console) noexcept;
[[nodiscard]] Console& console() noexcept;

/// What the standard streams do with a terminal's bytes. `line`: carriage returns are read as newlines, typed characters are echoed, a
/// line can be corrected before it is sent, Ctrl-D ends the input: for programs that use fgets(). `raw`: bytes as they come: for
/// whoever edits lines himself. Output turns a newline into CR LF in both.
enum class ConsoleMode : std::uint8_t { line, raw };
void set_console_mode(ConsoleMode mode) noexcept;
[[nodiscard]] ConsoleMode console_mode() noexcept;

} // namespace kernel
