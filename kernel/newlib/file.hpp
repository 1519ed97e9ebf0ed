// Something behind a file descriptor: the console, a socket, a channel. Whoever made it owns it; a descriptor only refers to it, and
// tells it by closed() when the last descriptor has let go. Task context only. Results are counts, or a negative errno, as in the
// system calls that call these (kernel/newlib/syscalls.cpp).
//
//     struct Zero final : kernel::File {
//         long read(std::span<char> into, kernel::Blocking) override { std::ranges::fill(into, '\0'); return std::ssize(into); }
//     };
#pragma once

#include <cstdint>
#include <span>

#include "kernel/task/poll_source.hpp"

struct stat;

namespace kernel {

enum class Blocking : std::uint8_t { wait, never };

// What poll() asks for and is told; the values of POLLIN, POLLOUT, POLLERR.
inline constexpr short kReadable = 1;
inline constexpr short kWritable = 2;
inline constexpr short kFailed = 4;

class File {
public:
    virtual long read(std::span<char> into, Blocking blocking);        // 0: the end
    virtual long write(std::span<const char> from, Blocking blocking); // may be a part of it
    virtual long seek(long offset, int whence);
    virtual int status(struct ::stat& into); // the default: a character device
    virtual int control(unsigned long request, void* argument);
    virtual void closed() {}

    [[nodiscard]] virtual bool terminal() const { return false; }
    /// Which of kReadable, kWritable, kFailed hold now.
    [[nodiscard]] virtual short ready() { return kReadable | kWritable; }
    /// Notified when ready() may have changed; null if it never changes.
    [[nodiscard]] virtual PollSource* poll_source() { return nullptr; }
    /// The network stack's own number for a socket, -1 for everything else.
    [[nodiscard]] virtual int socket() const { return -1; }
    /// The O_NONBLOCK flag of a descriptor was changed; for files whose other half has to know.
    virtual void set_blocking(Blocking) {}

    std::uint32_t references = 0; // descriptors that refer to it; the table's business

protected:
    ~File() = default;
};

} // namespace kernel
