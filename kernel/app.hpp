// What a program on Ringside uses besides plain C and POSIX: disks, the network in a few words, tasks, and a way to give up.
// Reached as <ringside/app.hpp>. Everything is for task context; main() is a task. Objects that come back by value (Listener, Peer) own
// their socket and close it at the end of their scope; a Disk belongs to the system and stays.
//
//     auto lan = net::up(10s);
//     if (!lan) die("network", lan.error());
//     for (Disk& disk : disks()) std::printf("%s: %s\n", disk.name(), disk.model());
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "kernel/task/list.hpp"
#include "libvirtio/base.hpp"

namespace ringside {

using namespace std::chrono_literals;
using virtio::Error;
using virtio::Result;

inline constexpr std::size_t kSectorBytes = 512;

/// A block device. Sectors are 512 bytes whatever the device's own block size is.
class Disk : public kernel::ListNode<Disk> {
public:
    [[nodiscard]] virtual const char* name() const = 0;  // "disk0"
    [[nodiscard]] virtual const char* model() const = 0; // what the device calls itself (GET_ID), may be empty
    [[nodiscard]] virtual std::uint64_t sectors() const = 0;
    [[nodiscard]] virtual bool read_only() const = 0;
    [[nodiscard]] std::uint64_t bytes() const { return sectors() * kSectorBytes; }

    /// The length is a multiple of 512. The calling task waits. Errors: out_of_range, unaligned, io_error, device_gone, ...
    [[nodiscard]] virtual Result<> read(std::uint64_t sector, std::span<std::byte> into) = 0;
    /// Also read_only. What is written is durable after flush().
    [[nodiscard]] virtual Result<> write(std::uint64_t sector, std::span<const std::byte> from) = 0;
    [[nodiscard]] virtual Result<> flush() = 0;

protected:
    ~Disk() = default;
};

/// All disks, in the order in which they were found: for (Disk& disk : disks()).
class Disks {
public:
    class Iterator {
    public:
        explicit Iterator(Disk* disk) noexcept : disk_(disk) {}
        [[nodiscard]] Disk& operator*() const noexcept { return *disk_; }
        Iterator& operator++() noexcept {
            disk_ = kernel::List<Disk>::next(*disk_);
            return *this;
        }
        [[nodiscard]] bool operator==(const Iterator&) const noexcept = default;

    private:
        Disk* disk_;
    };
    [[nodiscard]] Iterator begin() const noexcept;
    [[nodiscard]] Iterator end() const noexcept { return Iterator(nullptr); }
    [[nodiscard]] bool empty() const noexcept { return begin() == end(); }
    [[nodiscard]] std::size_t size() const noexcept;
    /// The n-th disk, from 0; null if there are fewer.
    [[nodiscard]] Disk* at(std::size_t index) const noexcept;
};
[[nodiscard]] Disks disks() noexcept;

/// Prints "what: why" and ends the program with status 1.
[[noreturn]] void die(const char* what, Error why);

/// Runs a callable (which may be move-only) as a task of its own; its result is ignored. Logged if it cannot be done.
Result<> spawn_task(const char* name, void (*entry)(void*), void* argument);
template<class Callable>
    requires std::is_invocable_v<Callable&>
Result<> spawn(const char* name, Callable&& callable) {
    using Stored = std::decay_t<Callable>;
    auto* stored = new (std::nothrow) Stored(std::forward<Callable>(callable));
    if (stored == nullptr) return virtio::fail(Error::out_of_memory);
    auto started = spawn_task(
        name,
        [](void* argument) {
            auto* mine = static_cast<Stored*>(argument);
            (*mine)();
            delete mine;
        },
        stored);
    if (!started) delete stored;
    return started;
}

namespace net {

/// An IPv4 address in the order in which it is written.
struct Address {
    std::uint8_t bytes[4] = {};
    /// "192.0.2.1"
    struct Text {
        char characters[16];
        [[nodiscard]] const char* c_str() const noexcept { return characters; }
    };
    [[nodiscard]] Text text() const noexcept;
    [[nodiscard]] bool operator==(const Address&) const noexcept = default;
};

/// The first link's configuration.
struct Lan {
    const char* name = "";
    Address address;
    Address netmask;
    Address gateway;
    Address dns;
};

/// Waits until the first link has an address: by DHCP, or at once with ip= on the command line.
/// Errors: no_device, link_down, no_lease (nobody answered in time).
[[nodiscard]] Result<Lan> up(std::chrono::nanoseconds timeout);
/// The configuration as it is now, without waiting.
[[nodiscard]] Result<Lan> status();

/// A TCP connection. Closed at the end of its scope.
class Peer {
public:
    explicit Peer(int descriptor) noexcept : descriptor_(descriptor) {}
    Peer(Peer&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Peer& operator=(Peer&& other) noexcept;
    ~Peer();

    /// Waits for data; 0 when the other side has finished. Errors: closed (reset by the other side), ...
    [[nodiscard]] Result<std::size_t> read(std::span<std::byte> into);
    /// Writes all of it, waiting as needed.
    Result<> write(std::span<const std::byte> from);
    Result<> write(std::string_view text) { return write(std::as_bytes(std::span(text.data(), text.size()))); }
    /// For BSD socket calls; stays ours.
    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

private:
    int descriptor_;
};

/// A listening TCP socket on all addresses. Closed at the end of its scope.
class Listener {
public:
    explicit Listener(int descriptor) noexcept : descriptor_(descriptor) {}
    Listener(Listener&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Listener& operator=(Listener&& other) noexcept;
    ~Listener();

    /// Waits for a connection; nothing if the socket cannot accept any more.
    [[nodiscard]] std::optional<Peer> accept();
    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

private:
    int descriptor_;
};

/// Errors: address_in_use, out_of_memory, not_started (no network).
[[nodiscard]] Result<Listener> listen(std::uint16_t port, int backlog = 16);
/// Connects by name or address. Errors: not_found (name), refused, unreachable, timeout, ...
[[nodiscard]] Result<Peer> connect(const char* host, std::uint16_t port);
/// One ICMP echo; gives the round trip time. Errors: not_found, unreachable, timeout.
[[nodiscard]] Result<std::chrono::nanoseconds> ping(const char* host, std::chrono::nanoseconds timeout);

} // namespace net
} // namespace ringside
