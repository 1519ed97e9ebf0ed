// BSD sockets over the loopback interface: no device is needed, so these hold on every machine.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include <ringside/app.hpp>

#include "boot/images/selftest/check.hpp"
#include "kernel/network/core_lock.hpp"
#include "kernel/network/lwip_hooks.h"
#include "kernel/task/task.hpp"

namespace selftest {
namespace {

class Socket {
public:
    explicit Socket(int descriptor) noexcept : descriptor_(descriptor) {}
    Socket(int type, int protocol) noexcept : descriptor_(::socket(AF_INET, type, protocol)) {}
    ~Socket() { end(); }
    Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Socket& operator=(Socket&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    [[nodiscard]] int get() const noexcept { return descriptor_; }
    void end() noexcept {
        if (const int descriptor = std::exchange(descriptor_, -1); descriptor >= 0) ::close(descriptor);
    }

private:
    int descriptor_;
};

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}
const sockaddr* plain(const sockaddr_in& address) { return reinterpret_cast<const sockaddr*>(&address); }

bool listens(Check& check, const Socket& server, std::uint16_t port) {
    const sockaddr_in address = loopback(port);
    const int yes = 1;
    return check.need_call(server.get() >= 0, "no socket") &&
           check.need_call(setsockopt(server.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0, "SO_REUSEADDR") &&
           check.need_call(bind(server.get(), plain(address), sizeof address) == 0, "bind") &&
           check.need_call(listen(server.get(), SOMAXCONN) == 0, "listen");
}

std::int64_t milliseconds() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

/// Two connected ends, over 127.0.0.1.
struct Pair {
    Socket server{SOCK_STREAM, 0};
    Socket client{SOCK_STREAM, 0};
    Socket peer{-1};

    explicit Pair(std::uint16_t port) : port_(port) {}
    [[nodiscard]] bool connected(Check& check) {
        const sockaddr_in address = loopback(port_);
        if (!listens(check, server, port_) || !check.need_call(connect(client.get(), plain(address), sizeof address) == 0, "connect"))
            return false;
        peer = Socket(accept(server.get(), nullptr, nullptr));
        return check.need_call(peer.get() >= 0, "accept");
    }

private:
    std::uint16_t port_;
};

// Both directions of one connection are full at the same time and stay so for a while: with closed windows on both ends nothing may
// spin, and everything must still arrive when somebody reads again.
constexpr std::size_t kEchoBytes = 2u << 20;

struct Echo {
    int writer = -1, reader = -1;
    std::atomic<std::uint32_t> written{0}, echoed{0};
};
Echo echo;

unsigned char pattern(std::size_t at) { return static_cast<unsigned char>(at * 31 + (at >> 8) * 7); }

void write_pattern(void*) {
    std::array<unsigned char, 4096> block;
    for (std::size_t at = 0; at < kEchoBytes; at += block.size()) {
        for (std::size_t i = 0; i < block.size(); ++i) block[i] = pattern(at + i);
        if (send(echo.writer, block.data(), block.size(), 0) != static_cast<ssize_t>(block.size())) break;
    }
    shutdown(echo.writer, SHUT_WR);
    echo.written = 1;
}

void send_back(void*) {
    std::array<char, 8192> block;
    ssize_t count = 0;
    while ((count = recv(echo.reader, block.data(), block.size(), 0)) > 0) {
        if (send(echo.reader, block.data(), static_cast<std::size_t>(count), 0) != count) break;
    }
    shutdown(echo.reader, SHUT_WR);
    echo.echoed = 1;
}

void full_both_ways(Check& check) {
    Pair pair(7001);
    if (!pair.connected(check)) return;
    echo.writer = pair.client.get();
    echo.reader = pair.peer.get();
    auto writer = kernel::spawn("writer", write_pattern, nullptr, kernel::kDefaultStackBytes, kernel::TaskLifetime::joinable);
    auto reader = kernel::spawn("reader", send_back, nullptr, kernel::kDefaultStackBytes, kernel::TaskLifetime::joinable);
    if (!check.need(writer, "no task") || !check.need(reader, "no task")) return;
    usleep(300'000); // until both have come to a stop
    (void)check.need(echo.written == 0, "2 MiB fitted into the windows: nothing was full");
    std::size_t got = 0;
    bool right = true;
    std::array<unsigned char, 16384> block;
    for (ssize_t count = 0; (count = recv(pair.client.get(), block.data(), block.size(), 0)) > 0;) {
        for (ssize_t i = 0; i < count; ++i)
            right = right && block[static_cast<std::size_t>(i)] == pattern(got + static_cast<std::size_t>(i));
        got += static_cast<std::size_t>(count);
    }
    kernel::join(**writer);
    kernel::join(**reader);
    (void)(check.need(got == kEchoBytes, "%zu of %zu bytes came back", got, kEchoBytes) &&
           check.need(right, "the bytes are not the ones sent"));
}

void without_waiting(Check& check) {
    Socket server(SOCK_STREAM, 0), client(SOCK_STREAM, 0);
    if (!listens(check, server, 7002)) return;
    const sockaddr_in address = loopback(7002);
    if (!check.need(fcntl(client.get(), F_SETFL, O_NONBLOCK) == 0 && (fcntl(client.get(), F_GETFL) & O_NONBLOCK) != 0, "O_NONBLOCK"))
        return;
    const int result = connect(client.get(), plain(address), sizeof address);
    if (!check.need_call(result < 0 && errno == EINPROGRESS, "connect gave %d", result)) return;
    pollfd wanted{client.get(), POLLOUT, 0};
    if (!check.need(poll(&wanted, 1, 5000) == 1 && wanted.revents == POLLOUT, "poll: revents %d", wanted.revents)) return;
    int error = -1;
    socklen_t size = sizeof error;
    if (!check.need(getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0, "SO_ERROR")) return;
    char byte = 0;
    if (!check.need_call(recv(client.get(), &byte, 1, 0) < 0 && errno == EAGAIN, "an empty socket")) return;
    Socket peer(accept(server.get(), nullptr, nullptr));
    const iovec parts[] = {{const_cast<char*>("ab"), 2}, {const_cast<char*>("cde"), 3}};
    if (!check.need_call(writev(peer.get(), parts, 2) == 5, "writev")) return;
    int available = 0;
    wanted.events = POLLIN;
    (void)(check.need(poll(&wanted, 1, 5000) == 1, "nothing came") &&
           check.need(ioctl(client.get(), FIONREAD, &available) == 0 && available > 0, "FIONREAD gave %d", available));
}

void refused(Check& check) {
    const sockaddr_in address = loopback(7999);
    Socket waiting(SOCK_STREAM, 0);
    if (!check.need_call(connect(waiting.get(), plain(address), sizeof address) < 0 && errno == ECONNREFUSED,
                         "a port where nobody listens"))
        return;
    Socket polled(SOCK_STREAM, 0);
    fcntl(polled.get(), F_SETFL, O_NONBLOCK);
    (void)connect(polled.get(), plain(address), sizeof address);
    pollfd wanted{polled.get(), POLLOUT, 0};
    (void)poll(&wanted, 1, 5000);
    int error = 0;
    socklen_t size = sizeof error;
    (void)(check.need(getsockopt(polled.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0, "SO_ERROR") &&
           check.need(error == ECONNREFUSED, "SO_ERROR is %d", error));
}

void poll_and_select(Check& check) {
    Pair pair(7003);
    if (!pair.connected(check)) return;
    // The console's output and a socket in one call; closed and negative descriptors.
    std::array<pollfd, 4> mixed{{{pair.client.get(), POLLIN, 0}, {1, POLLOUT, 0}, {200, POLLIN, 0}, {-1, POLLIN, 0}}};
    int ready = poll(mixed.data(), mixed.size(), 5000);
    if (!check.need(ready == 2 && mixed[0].revents == 0 && mixed[1].revents == POLLOUT && mixed[2].revents == POLLNVAL &&
                        mixed[3].revents == 0,
                    "%d ready: %d %d %d %d", ready, mixed[0].revents, mixed[1].revents, mixed[2].revents, mixed[3].revents))
        return;
    // select() sleeps until the socket speaks, poll() until its time is over.
    static int speaks;
    speaks = pair.peer.get();
    auto task = kernel::spawn(
        "speaker",
        [](void*) {
            usleep(50'000);
            (void)send(speaks, "x", 1, 0);
        },
        nullptr, kernel::kDefaultStackBytes, kernel::TaskLifetime::joinable);
    if (!check.need(task, "no task")) return;
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(pair.client.get(), &readable);
    timeval limit{10, 0};
    const std::int64_t start = milliseconds();
    ready = select(pair.client.get() + 1, &readable, nullptr, nullptr, &limit);
    const std::int64_t waited = milliseconds() - start;
    kernel::join(**task);
    if (!check.need(ready == 1 && FD_ISSET(pair.client.get(), &readable), "select gave %d", ready) ||
        !check.need(waited >= 40 && waited < 5000, "it took %d ms", static_cast<int>(waited)))
        return;
    char byte = 0;
    (void)recv(pair.client.get(), &byte, 1, 0);
    const std::int64_t before = milliseconds();
    ready = poll(mixed.data(), 1, 100);
    const std::int64_t slept = milliseconds() - before;
    (void)(check.need(ready == 0, "%d ready with nothing there", ready) &&
           check.need(slept >= 100, "a wait of 100 ms took %d", static_cast<int>(slept)));
}

void receive_timeouts(Check& check) {
    Socket receiver(SOCK_DGRAM, 0);
    const sockaddr_in address = loopback(7004);
    if (!check.need_call(bind(receiver.get(), plain(address), sizeof address) == 0, "bind")) return;
    // Longer than the distance of the stack's own timers, which must not cut it short.
    const timeval limit{1, 300'000};
    setsockopt(receiver.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const std::int64_t start = milliseconds();
    char byte = 0;
    const ssize_t count = recv(receiver.get(), &byte, 1, 0);
    const std::int64_t waited = milliseconds() - start;
    (void)(check.need_call(count < 0 && errno == EAGAIN, "recv gave %d", static_cast<int>(count)) &&
           check.need(waited >= 1300 && waited < 20'000, "1300 ms took %d", static_cast<int>(waited)));
}

void datagrams(Check& check) {
    Socket receiver(SOCK_DGRAM, 0), sender(SOCK_DGRAM, 0);
    const sockaddr_in address = loopback(7005);
    if (!check.need_call(bind(receiver.get(), plain(address), sizeof address) == 0, "bind")) return;
    std::array<unsigned char, 9000> sent, got;
    for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1472}, std::size_t{9000}}) {
        for (std::size_t i = 0; i < size; ++i) sent[i] = pattern(i + size);
        const ssize_t out = sendto(sender.get(), sent.data(), size, 0, plain(address), sizeof address);
        if (!check.need_call(out == static_cast<ssize_t>(size), "sendto of %zu", size)) return;
        sockaddr_in from{};
        socklen_t length = sizeof from;
        const ssize_t in = recvfrom(receiver.get(), got.data(), got.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
        if (!check.need(in == out && std::equal(sent.begin(), sent.begin() + in, got.begin()), "%zu bytes came as %d", size,
                        static_cast<int>(in)) ||
            !check.need(from.sin_addr.s_addr == htonl(INADDR_LOOPBACK), "from somewhere else"))
            return;
    }
}

int closed_under;
void wait_in_recv(void* result) {
    char byte = 0;
    *static_cast<ssize_t*>(result) = recv(closed_under, &byte, 1, 0);
}
void wait_in_accept(void* result) { *static_cast<ssize_t*>(result) = accept(closed_under, nullptr, nullptr); }

/// One task waits in a call, another closes the descriptor: the call ends.
void close_under(Check& check, Socket& socket, void (*waits)(void*)) {
    ssize_t result = 0;
    closed_under = socket.get();
    auto task = kernel::spawn("waiter", waits, &result, kernel::kDefaultStackBytes, kernel::TaskLifetime::joinable);
    if (!check.need(task, "no task")) return;
    usleep(20'000);
    socket.end();
    kernel::join(**task);
    (void)check.need(result < 0, "the waiting call gave %d", static_cast<int>(result));
}

void closing(Check& check) {
    Pair pair(7006);
    if (!pair.connected(check)) return;
    close_under(check, pair.client, wait_in_recv);
    if (check.failed()) return;
    char byte = 0;
    if (!check.need(recv(pair.peer.get(), &byte, 1, 0) == 0, "the other end saw no end")) return;
    close_under(check, pair.server, wait_in_accept);
    if (!check.need(recv(pair.peer.get(), &byte, 1, 0) == 0, "an accepted connection went with its server")) return;
    (void)check.need_call(recv(200, &byte, 1, 0) < 0 && errno == EBADF && recv(1, &byte, 1, 0) < 0 && errno == ENOTSOCK,
                          "descriptors that are none");
}

void closing_with_waiting(Check& check) {
    Socket server(SOCK_STREAM, 0), first(SOCK_STREAM, 0), second(SOCK_STREAM, 0);
    if (!listens(check, server, 7007)) return;
    const sockaddr_in address = loopback(7007);
    for (Socket* client : {&first, &second}) {
        if (!check.need_call(connect(client->get(), plain(address), sizeof address) == 0, "connect")) return;
    }
    server.end();
    char byte = 0;
    (void)check.need(recv(first.get(), &byte, 1, 0) <= 0 && recv(second.get(), &byte, 1, 0) <= 0, "nobody closed the waiting connections");
}

void names(Check& check) {
    addrinfo hints{};
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    if (!check.need(getaddrinfo("localhost", "80", &hints, &list) == 0 && list != nullptr, "localhost is not known")) return;
    const auto* address = reinterpret_cast<const sockaddr_in*>(list->ai_addr);
    std::array<char, INET_ADDRSTRLEN> text{};
    inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size());
    const bool right = std::strcmp(text.data(), "127.0.0.1") == 0 && address->sin_port == htons(80);
    freeaddrinfo(list);
    (void)(check.need(right, "localhost is %s", text.data()) &&
           check.need(ringside::net::ping("localhost", std::chrono::seconds(5)), "ping") &&
           check.need_error(ringside::net::connect("no-such-name.invalid", 80), virtio::Error::not_found, "a name that nobody has"));
}

/// More connections than there are descriptors, one after another: each gives back what it took.
void no_leaks(Check& check) {
    Socket server(SOCK_STREAM, 0);
    if (!listens(check, server, 7008)) return;
    const sockaddr_in address = loopback(7008);
    int lowest = -1;
    for (int i = 0; i < 300; ++i) {
        Socket client(SOCK_STREAM, 0);
        if (i == 0) lowest = client.get();
        if (!check.need(client.get() == lowest, "descriptor %d after %d connections, %d at first", client.get(), i, lowest)) return;
        if (!check.need_call(connect(client.get(), plain(address), sizeof address) == 0, "connection %d", i)) return;
        Socket peer(accept(server.get(), nullptr, nullptr));
        char byte = 'x';
        if (!check.need_call(send(client.get(), &byte, 1, 0) == 1 && recv(peer.get(), &byte, 1, 0) == 1, "connection %d", i)) return;
    }
}

/// A connection from a port of our choice. Where the last one from there is still being closed, a little later.
bool connects_from(Check& check, Socket& client, const sockaddr_in& here, const sockaddr_in& there) {
    const int yes = 1;
    for (const std::int64_t deadline = milliseconds() + 5000;;) {
        client = Socket(SOCK_STREAM, 0);
        if (!check.need_call(setsockopt(client.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0, "SO_REUSEADDR") ||
            !check.need_call(bind(client.get(), plain(here), sizeof here) == 0, "bind"))
            return false;
        if (connect(client.get(), plain(there), sizeof there) == 0) return true;
        if (!check.need_call(errno == EADDRINUSE && milliseconds() < deadline, "connect")) return false;
        usleep(1000);
    }
}

u32_t initial_sequence_number(const sockaddr_in& local, const sockaddr_in& remote) {
    ip_addr_t from, to;
    ip_addr_set_ip4_u32_val(from, local.sin_addr.s_addr);
    ip_addr_set_ip4_u32_val(to, remote.sin_addr.s_addr);
    kernel::CoreLock lock;
    return ringside_tcp_isn(&from, ntohs(local.sin_port), &to, ntohs(remote.sin_port));
}

/// A client that closes last comes again from the same port at once: the server's TIME-WAIT is no reason to keep it waiting, and the
/// sequence numbers begin behind the old ones, though more was sent than their clock has counted.
void port_used_again(Check& check) {
    const sockaddr_in here = loopback(7010), there = loopback(7009);
    Socket server(SOCK_STREAM, 0), client(-1);
    if (!listens(check, server, 7009)) return;
    std::array<char, 16384> block{};
    constexpr std::size_t kBlocks = 8;
    u32_t first = 0;
    for (int i = 0; i < 4; ++i) {
        const u32_t before = initial_sequence_number(there, here);
        if (!connects_from(check, client, here, there)) return;
        const u32_t moved = initial_sequence_number(there, here) - first; // since before the last connection began
        if (i > 0 &&
            !check.need(moved >= kBlocks * block.size(), "connection %d begins %u behind the one before", i, static_cast<unsigned>(moved)))
            return;
        first = before;
        Socket peer(accept(server.get(), nullptr, nullptr));
        for (std::size_t sent = 0; sent < kBlocks; ++sent) {
            const auto count = send(peer.get(), block.data(), block.size(), 0);
            if (!check.need_call(count == static_cast<ssize_t>(block.size()), "send on connection %d", i)) return;
        }
        peer.end();
        std::size_t received = 0;
        for (ssize_t count = 0; (count = recv(client.get(), block.data(), block.size(), 0)) > 0;)
            received += static_cast<std::size_t>(count);
        if (!check.need_call(received == kBlocks * block.size(), "connection %d: %zu bytes", i, received)) return;
    }
}

/// The same where the server has only finished sending and still has its socket: that one is at its end, the new connection is another.
void port_used_again_half_closed(Check& check) {
    const sockaddr_in here = loopback(7012), there = loopback(7011);
    Socket server(SOCK_STREAM, 0), client(-1);
    if (!listens(check, server, 7011) || !connects_from(check, client, here, there)) return;
    Socket old(accept(server.get(), nullptr, nullptr));
    char byte = 'a';
    if (!check.need_call(send(client.get(), &byte, 1, 0) == 1 && shutdown(old.get(), SHUT_WR) == 0, "half of an end") ||
        !check.need_call(recv(client.get(), &byte, 1, 0) == 0, "the end of what the server sends"))
        return;
    client.end();
    if (!connects_from(check, client, here, there)) return;
    Socket fresh(accept(server.get(), nullptr, nullptr));
    if (!check.need_call(recv(old.get(), &byte, 1, 0) == 1 && byte == 'a', "what the old connection had received") ||
        !check.need_call(recv(old.get(), &byte, 1, 0) == 0, "the end of the old connection"))
        return;
    old.end();
    byte = 'b';
    (void)(check.need_call(send(fresh.get(), &byte, 1, 0) == 1 && recv(client.get(), &byte, 1, 0) == 1 && byte == 'b', "to the client") &&
           check.need_call(send(client.get(), &byte, 1, 0) == 1 && recv(fresh.get(), &byte, 1, 0) == 1 && byte == 'b', "to the server"));
}

/// A program may hold a connection that is over: shut down here, closed there. When lwIP needs its memory for others, the socket must not be
/// one of theirs.
void outlives_its_connection(Check& check) {
    const sockaddr_in here = loopback(7014), there = loopback(7013);
    Socket server(SOCK_STREAM, 0), client(-1);
    if (!listens(check, server, 7013) || !connects_from(check, client, here, there)) return;
    Socket old(accept(server.get(), nullptr, nullptr));
    char byte = 'a';
    if (!check.need_call(send(client.get(), &byte, 1, 0) == 1 && shutdown(old.get(), SHUT_WR) == 0, "half of an end")) return;
    client.end();
    for (int i = 0; i < 300; ++i) { // more than there is memory for
        Socket other(SOCK_STREAM, 0);
        if (!check.need_call(connect(other.get(), plain(there), sizeof there) == 0, "connection %d", i)) return;
        Socket peer(accept(server.get(), nullptr, nullptr));
        sockaddr_in address{};
        socklen_t size = sizeof address;
        const bool its_own = getpeername(old.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0 || address.sin_port == here.sin_port;
        if (!check.need(its_own, "with connection %d the old socket's peer became port %u", i, unsigned{ntohs(address.sin_port)})) return;
    }
    int error = -1;
    socklen_t size = sizeof error;
    (void)(check.need_call(getsockopt(old.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0, "SO_ERROR") &&
           check.need_call(send(old.get(), &byte, 1, 0) == -1, "sending behind the end") &&
           check.need_call(recv(old.get(), &byte, 1, 0) == 1 && byte == 'a', "what it had received") &&
           check.need_call(recv(old.get(), &byte, 1, 0) == 0 && recv(old.get(), &byte, 1, 0) == 0, "its end"));
}

/// A connection to `port`, both ends.
bool pair_up(Check& check, std::uint16_t port, Socket& client, Socket& peer) {
    const sockaddr_in there = loopback(port);
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    Socket server(SOCK_STREAM, 0);
    client = Socket(SOCK_STREAM, 0);
    if (!listens(check, server, port) || !check.need_call(connect(client.get(), plain(there), sizeof there) == 0, "connect")) return false;
    peer = Socket(accept(server.get(), nullptr, nullptr));
    return check.need_call(setsockopt(peer.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0, "SO_RCVTIMEO");
}

/// The other side ended first, then this one, which then read to the end: its last acknowledgement frees the connection, and close() must
/// not do that once more.
void ends_second(Check& check) {
    char byte = 0;
    {
        Socket client(-1), peer(-1);
        if (!pair_up(check, 7017, client, peer) || !check.need_call(shutdown(client.get(), SHUT_WR) == 0, "the client's end")) return;
        usleep(1000);
        if (!check.need_call(shutdown(peer.get(), SHUT_WR) == 0 && recv(peer.get(), &byte, 1, 0) == 0, "the server's end")) return;
        usleep(10'000);
    }
    std::array<std::array<Socket, 2>, 4> pairs{
        {{Socket(-1), Socket(-1)}, {Socket(-1), Socket(-1)}, {Socket(-1), Socket(-1)}, {Socket(-1), Socket(-1)}}};
    for (auto& [client, peer] : pairs)
        if (!pair_up(check, 7017, client, peer)) return;
    for (auto& [client, peer] : pairs)
        if (!check.need_call(send(client.get(), "x", 1, 0) == 1 && recv(peer.get(), &byte, 1, 0) == 1, "a connection behind it")) return;
}

/// The same with something to read, which is only looked at when all is over: that is no error.
void ends_second_unread(Check& check) {
    Socket client(-1), peer(-1);
    if (!pair_up(check, 7021, client, peer) ||
        !check.need_call(send(client.get(), "x", 1, 0) == 1 && shutdown(client.get(), SHUT_WR) == 0, "the client's end"))
        return;
    usleep(1000);
    if (!check.need_call(shutdown(peer.get(), SHUT_WR) == 0, "the server's end")) return;
    usleep(10'000);
    int error = -1;
    socklen_t size = sizeof error;
    pollfd look{.fd = peer.get(), .events = POLLIN, .revents = 0};
    char byte = 0;
    (void)(check.need_call(poll(&look, 1, 0) == 1 && look.revents == POLLIN, "poll") &&
           check.need_call(getsockopt(peer.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0, "SO_ERROR") &&
           check.need_call(recv(peer.get(), &byte, 1, 0) == 1 && byte == 'x', "the byte") &&
           check.need_call(recv(peer.get(), &byte, 1, 0) == 0 && recv(peer.get(), &byte, 1, 0) == 0, "the end, twice"));
}

bool set_linger(Check& check, const Socket& socket, int seconds) {
    const struct linger wanted = {.l_onoff = 1, .l_linger = seconds};
    struct linger found = {};
    socklen_t size = sizeof found;
    return check.need_call(setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &wanted, sizeof wanted) == 0, "SO_LINGER") &&
           check.need_call(getsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &found, &size) == 0, "SO_LINGER, looked at") &&
           check.need(found.l_onoff != 0 && found.l_linger == seconds, "SO_LINGER is %d s, not %d", found.l_linger, seconds);
}

/// SO_LINGER: close() waits for what was sent; also with input that nobody has read, on a socket that does not wait otherwise, and when the
/// other side has ended. (Of a wait that does not end nobody hears.)
void lingers(Check& check) {
    enum class Case { unread, without_waiting, shut_down, end_read };
    std::array<char, 4096> block{};
    for (const Case what : {Case::unread, Case::without_waiting, Case::shut_down, Case::end_read}) {
        Socket client(-1), peer(-1);
        if (!pair_up(check, 7018, client, peer) || !set_linger(check, client, 5)) return;
        if (what == Case::unread && !check.need_call(send(peer.get(), "unread", 6, 0) == 6, "to somebody who does not read")) return;
        if (what == Case::end_read &&
            !check.need_call(shutdown(peer.get(), SHUT_WR) == 0 && recv(client.get(), block.data(), 1, 0) == 0, "the other end"))
            return;
        if (what == Case::without_waiting && !check.need_call(fcntl(client.get(), F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK")) return;
        usleep(1000);
        if (!check.need_call(send(client.get(), block.data(), block.size(), 0) == static_cast<ssize_t>(block.size()), "send") ||
            !check.need_call(what != Case::shut_down || shutdown(client.get(), SHUT_WR) == 0, "shutdown"))
            return;
        client.end();
        int there = 0;
        if (!check.need_call(ioctl(peer.get(), FIONREAD, &there) == 0, "FIONREAD") ||
            !check.need(there == static_cast<int>(block.size()), "case %d: %d bytes were there when close() came back",
                        static_cast<int>(what), there))
            return;
    }
}

/// SO_LINGER where there is nothing to wait for.
void lingers_for_nothing(Check& check) {
    const sockaddr_in there = loopback(7022);
    for (const int seconds : {5, 0}) {
        Socket server(SOCK_STREAM, 0), first(SOCK_STREAM, 0), second(SOCK_STREAM, 0), unused(SOCK_STREAM, 0), datagrams(SOCK_DGRAM, 0);
        const int yes = 1;
        if (!check.need_call(setsockopt(server.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0, "SO_REUSEADDR") ||
            !check.need_call(bind(server.get(), plain(there), sizeof there) == 0 && listen(server.get(), 1) == 0, "listen") ||
            !check.need_call(connect(first.get(), plain(there), sizeof there) == 0, "connect"))
            return;
        // One connection waits, and another one is not answered any more.
        if (!check.need_call(fcntl(second.get(), F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK") ||
            !check.need_call(connect(second.get(), plain(there), sizeof there) == -1 && errno == EINPROGRESS, "connect without waiting"))
            return;
        usleep(1000);
        for (const Socket* socket : {&server, &first, &second, &unused, &datagrams})
            if (!set_linger(check, *socket, seconds)) return;
        const std::int64_t before = milliseconds();
        for (Socket* socket : {&second, &server, &first, &unused, &datagrams}) socket->end();
        const auto waited = static_cast<int>(milliseconds() - before);
        if (!check.need(waited < 3000, "they waited %d ms", waited)) return;
    }
}

/// Several tasks that read one connection all hear of its end.
void several_hear_the_end(Check& check) {
    Socket client(-1), peer(-1);
    if (!pair_up(check, 7019, client, peer) || !check.need_call(shutdown(peer.get(), SHUT_WR) == 0, "half of an end")) return;
    struct Readers {
        int descriptor = -1, heard = 0, gone = 0;
    } readers{.descriptor = peer.get()};
    constexpr int kReaders = 3;
    for (int i = 0; i < kReaders; ++i) {
        const auto started = ringside::spawn("reader", [&readers] {
            char byte = 0;
            if (recv(readers.descriptor, &byte, 1, 0) == 0) ++readers.heard;
            ++readers.gone;
        });
        if (!started) ++readers.gone;
    }
    usleep(1000);
    client.end();
    const auto wait_for = [](const int& number) {
        for (const std::int64_t deadline = milliseconds() + 2000; number != kReaders && milliseconds() < deadline;) usleep(1000);
        return number;
    };
    const int heard = wait_for(readers.heard);
    peer.end();
    (void)(check.need(wait_for(readers.gone) == kReaders, "readers of a closed socket") &&
           check.need(heard == kReaders, "%d of %d heard of it", heard, kReaders));
}

constexpr int kPlaces = 256; // for pieces that have come and nobody has read

/// A connection with all places of `old` taken, by a byte each.
bool fills_up(Check& check, std::uint16_t port, Socket& client, Socket& old) {
    const int yes = 1;
    if (!pair_up(check, port, client, old) ||
        !check.need_call(setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0, "TCP_NODELAY"))
        return false;
    for (int i = 0; i < kPlaces; ++i) {
        usleep(500); // each is a segment of its own
        if (!check.need_call(send(client.get(), "a", 1, 0) == 1, "byte %d", i)) return false;
    }
    return true;
}

/// What came, and how it ended: 0, or errno.
std::pair<int, int> read_to_the_end(Socket& socket) {
    usleep(400'000); // an acknowledgement may be late by 250 ms
    char byte = 0;
    for (int received = 0;; ++received)
        if (const ssize_t count = recv(socket.get(), &byte, 1, 0); count != 1) return {received, count == 0 ? 0 : errno};
}

/// The end comes when there is no place for it.
void end_without_a_place(Check& check) {
    Socket client(-1), old(-1);
    if (!fills_up(check, 7015, client, old)) return;
    client.end();
    const auto [received, end] = read_to_the_end(old);
    (void)check.need(received == kPlaces && end == 0, "%d bytes, then errno %d", received, end);
}

/// The end comes with a byte that there is no place for, to somebody who has ended before, or does so then.
void end_with_the_last_byte(Check& check) {
    for (const bool before : {true, false}) {
        Socket client(-1), old(-1);
        if (!fills_up(check, 7016, client, old)) return;
        const int no = 0;
        // Held back until the last one is acknowledged, so that the end goes with it.
        if (!check.need_call(!before || shutdown(old.get(), SHUT_WR) == 0, "half of an end") ||
            !check.need_call(setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &no, sizeof no) == 0, "TCP_NODELAY") ||
            !check.need_call(send(client.get(), "b", 1, 0) == 1, "the last byte"))
            return;
        client.end();
        usleep(400'000);
        if (!check.need_call(before || shutdown(old.get(), SHUT_WR) == 0, "half of an end, behind it")) return;
        const auto [received, end] = read_to_the_end(old);
        if (!check.need(received == kPlaces + 1 && end == 0, "%d bytes, then errno %d", received, end)) return;
    }
}

} // namespace

void check_sockets() {
    run("sockets.full_both_ways", full_both_ways);
    run("sockets.without_waiting", without_waiting);
    run("sockets.refused", refused);
    run("sockets.poll_and_select", poll_and_select);
    run("sockets.receive_timeouts", receive_timeouts);
    run("sockets.datagrams", datagrams);
    run("sockets.closing", closing);
    run("sockets.closing_with_waiting", closing_with_waiting);
    run("sockets.port_used_again", port_used_again);
    run("sockets.port_used_again_half_closed", port_used_again_half_closed);
    run("sockets.outlives_its_connection", outlives_its_connection);
    run("sockets.ends_second", ends_second);
    run("sockets.ends_second_unread", ends_second_unread);
    run("sockets.lingers", lingers);
    run("sockets.lingers_for_nothing", lingers_for_nothing);
    run("sockets.several_hear_the_end", several_hear_the_end);
    run("sockets.end_without_a_place", end_without_a_place);
    run("sockets.end_with_the_last_byte", end_with_the_last_byte);
    run("sockets.names", names);
    run("sockets.no_leaks", no_leaks);
}

} // namespace selftest
