#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/app.hpp"
#include "kernel/network/core_lock.hpp"
#include "kernel/network/net_interface.hpp"
#include "kernel/newlib/system_call.hpp"
#include "kernel/time/clock.hpp"
#include "lwip/dns.h"
#include "lwip/inet_chksum.h"
#include "lwip/prot/icmp.h"
#include "lwip/prot/ip4.h"

namespace ringside::net {

namespace {

Address to_address(u32_t network_order) {
    Address address;
    std::memcpy(address.bytes, &network_order, sizeof address.bytes);
    return address;
}

Error from_errno(int number) {
    switch (number) {
    case EADDRINUSE: return Error::address_in_use;
    case ECONNREFUSED: return Error::refused;
    case EHOSTUNREACH:
    case ENETUNREACH: return Error::unreachable;
    case ETIMEDOUT: return Error::timeout;
    case ENOMEM:
    case ENOBUFS:
    case ENFILE:
    case EMFILE: return Error::out_of_memory;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN: return Error::closed;
    case EAGAIN: return Error::would_block;
    case EINVAL:
    case EBADF: return Error::invalid_argument;
    default: return Error::io_error;
    }
}

std::unexpected<Error> failure() { return virtio::fail(from_errno(errno)); }

Result<sockaddr_in> resolve(const char* host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_family = AF_INET;
    addrinfo* list = nullptr;
    const int error = getaddrinfo(host, nullptr, &hints, &list);
    if (error == EAI_MEMORY) return virtio::fail(Error::out_of_memory);
    if (error != 0 || list == nullptr) return virtio::fail(Error::not_found);
    sockaddr_in address;
    std::memcpy(&address, list->ai_addr, sizeof address);
    freeaddrinfo(list);
    address.sin_port = htons(port);
    return address;
}

/// Closes at the end of the scope what was not released.
class Socket {
public:
    explicit Socket(int descriptor) noexcept : descriptor_(descriptor) {}
    ~Socket() {
        if (descriptor_ >= 0) close(descriptor_);
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    [[nodiscard]] int get() const noexcept { return descriptor_; }
    [[nodiscard]] int release() noexcept { return std::exchange(descriptor_, -1); }

private:
    int descriptor_;
};

} // namespace

Address::Text Address::text() const noexcept {
    Text text{};
    std::snprintf(text.characters, sizeof text.characters, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
    return text;
}

namespace {

/// On the first processor.
Result<Lan> status_here() {
    kernel::NetInterface* interface = kernel::network_interface(0);
    if (interface == nullptr) return virtio::fail(Error::no_device);
    kernel::CoreLock lock;
    struct netif& netif = interface->netif();
    if (!netif_is_link_up(&netif)) return virtio::fail(Error::link_down);
    if (ip4_addr_isany_val(*netif_ip4_addr(&netif))) return virtio::fail(Error::no_lease);
    return Lan{.name = interface->link().name(),
               .address = to_address(ip4_addr_get_u32(netif_ip4_addr(&netif))),
               .netmask = to_address(ip4_addr_get_u32(netif_ip4_netmask(&netif))),
               .gateway = to_address(ip4_addr_get_u32(netif_ip4_gw(&netif))),
               .dns = to_address(ip4_addr_get_u32(ip_2_ip4(dns_getserver(0))))};
}

} // namespace

Result<Lan> status() { return kernel::system_call(status_here); }

Result<Lan> up(std::chrono::nanoseconds timeout) {
    const std::uint64_t deadline = kernel::now_ns() + static_cast<std::uint64_t>(timeout.count() > 0 ? timeout.count() : 0);
    return kernel::system_call([deadline]() -> Result<Lan> {
        for (;;) {
            auto now = status_here();
            if (now || now.error() == Error::no_device) return now;
            if (!kernel::wait_for_network_change(deadline)) return status_here();
        }
    });
}

Peer& Peer::operator=(Peer&& other) noexcept {
    if (this != &other) {
        if (descriptor_ >= 0) close(descriptor_);
        descriptor_ = std::exchange(other.descriptor_, -1);
    }
    return *this;
}
Peer::~Peer() {
    if (descriptor_ >= 0) close(descriptor_);
}

Result<std::size_t> Peer::read(std::span<std::byte> into) {
    const ssize_t count = recv(descriptor_, into.data(), into.size(), 0);
    if (count < 0) return failure();
    return static_cast<std::size_t>(count);
}

Result<> Peer::write(std::span<const std::byte> from) {
    while (!from.empty()) {
        const ssize_t count = send(descriptor_, from.data(), from.size(), 0);
        if (count < 0) return failure();
        from = from.subspan(static_cast<std::size_t>(count));
    }
    return {};
}

Listener& Listener::operator=(Listener&& other) noexcept {
    if (this != &other) {
        if (descriptor_ >= 0) close(descriptor_);
        descriptor_ = std::exchange(other.descriptor_, -1);
    }
    return *this;
}
Listener::~Listener() {
    if (descriptor_ >= 0) close(descriptor_);
}

std::optional<Peer> Listener::accept() {
    for (;;) {
        const int descriptor = ::accept(descriptor_, nullptr, nullptr);
        if (descriptor >= 0) return Peer(descriptor);
        // One connection that fell through, or a moment without descriptors, does not end the server.
        if (errno == ECONNABORTED) continue;
        if (errno != ENFILE && errno != EMFILE && errno != ENOBUFS && errno != ENOMEM) return std::nullopt;
        usleep(10'000);
    }
}

Result<Listener> listen(std::uint16_t port, int backlog) {
    Socket socket(::socket(AF_INET, SOCK_STREAM, 0));
    if (socket.get() < 0) return failure();
    const int yes = 1;
    setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(port);
    if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) return failure();
    if (::listen(socket.get(), backlog) != 0) return failure();
    return Listener(socket.release());
}

Result<Peer> connect(const char* host, std::uint16_t port) {
    auto address = resolve(host, port);
    if (!address) return virtio::fail(address.error());
    Socket socket(::socket(AF_INET, SOCK_STREAM, 0));
    if (socket.get() < 0) return failure();
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) return failure();
    return Peer(socket.release());
}

Result<std::chrono::nanoseconds> ping(const char* host, std::chrono::nanoseconds timeout) {
    struct Echo {
        icmp_echo_hdr header;
        std::array<std::uint8_t, 56> payload;
    };
    static u16_t sequence = 0;
    auto address = resolve(host, 0);
    if (!address) return virtio::fail(address.error());
    Socket socket(::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    if (socket.get() < 0) return failure();

    Echo request{};
    ICMPH_TYPE_SET(&request.header, ICMP_ECHO);
    request.header.id = htons(static_cast<u16_t>(socket.get()));
    request.header.seqno = htons(++sequence);
    for (std::size_t i = 0; i < request.payload.size(); ++i) request.payload[i] = static_cast<std::uint8_t>(i);
    request.header.chksum = inet_chksum(&request, sizeof request);
    const std::uint64_t sent = kernel::now_ns();
    if (sendto(socket.get(), &request, sizeof request, 0, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) < 0)
        return failure();

    const std::uint64_t deadline = sent + static_cast<std::uint64_t>(timeout.count());
    for (;;) {
        const std::uint64_t now = kernel::now_ns();
        if (now >= deadline) return virtio::fail(Error::timeout);
        const std::uint64_t left = (deadline - now) / 1000 + 1;
        const timeval wait{static_cast<time_t>(left / 1'000'000), static_cast<suseconds_t>(left % 1'000'000)};
        setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        std::array<std::uint8_t, 256> packet;
        const ssize_t size = recv(socket.get(), packet.data(), packet.size(), 0);
        if (size < 0) return errno == EAGAIN ? virtio::fail(Error::timeout) : failure();
        const std::size_t ip_bytes = std::size_t{packet[0] & 15u} * 4;
        if (static_cast<std::size_t>(size) < ip_bytes + sizeof(icmp_echo_hdr)) continue;
        icmp_echo_hdr answer;
        std::memcpy(&answer, packet.data() + ip_bytes, sizeof answer);
        if (answer.id != request.header.id || answer.seqno != request.header.seqno) {
            if (ICMPH_TYPE(&answer) == ICMP_DUR) return virtio::fail(Error::unreachable);
            continue;
        }
        if (ICMPH_TYPE(&answer) != ICMP_ER) continue;
        return std::chrono::nanoseconds(kernel::now_ns() - sent);
    }
}

} // namespace ringside::net
