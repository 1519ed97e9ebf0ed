// BSD sockets under file descriptors: each of lwIP's sockets has a File here, so that read(), write(), close(), fcntl(), ioctl() and
// poll() need no special case. lwIP's own numbers never leave this file. Task context only; what waits is lwIP.
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <netdb.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "kernel/network/core_lock.hpp"
#include "kernel/network/lwip_hooks.h"
#include "kernel/network/net_interface.hpp"
#include "kernel/newlib/descriptors.hpp"
#include "kernel/newlib/system_call.hpp"
#include "kernel/processor/processor.hpp"
#include "lwip/api.h"
#include "lwip/priv/tcp_priv.h"

#include <arpa/inet.h>

extern "C" { // which it leaves out
#include "lwip/priv/sockets_priv.h"
}

namespace kernel {

namespace {

/// lwIP sets errno itself; our callers want it as a negative number.
long negative_errno(ssize_t result) { return result >= 0 ? static_cast<long>(result) : -errno; }

class SocketFile final : public File {
public:
    long read(std::span<char> into, Blocking) override {
        return negative_errno(received(lwip_recv(socket_, into.data(), into.size(), 0), into.size()));
    }
    long write(std::span<const char> from, Blocking) override { return negative_errno(lwip_send(socket_, from.data(), from.size(), 0)); }
    int status(struct ::stat& into) override {
        into = {};
        into.st_mode = S_IFSOCK | 0666;
        into.st_blksize = TCP_MSS;
        return 0;
    }
    int control(unsigned long request, void* argument) override {
        return static_cast<int>(negative_errno(lwip_ioctl(socket_, static_cast<long>(request), argument)));
    }
    void closed() override {
        if (listening_)
            refuse_waiting();
        else if (linger_.l_onoff != 0 && linger_.l_linger > 0)
            finish_sending(now_ns() + static_cast<std::uint64_t>(linger_.l_linger) * 1'000'000'000);
        else if (linger_.l_onoff != 0)
            lwip_setsockopt(socket_, SOL_SOCKET, SO_LINGER, &linger_, sizeof linger_);
        lwip_close(socket_);
    }
    void set_blocking(Blocking blocking) override { lwip_fcntl(socket_, F_SETFL, blocking == Blocking::never ? O_NONBLOCK : 0); }
    [[nodiscard]] int socket() const override { return socket_; }

    void set_socket(int socket) noexcept {
        socket_ = socket;
        connecting_ = listening_ = ended_ = false;
        linger_ = {};
    }

    int listen(int backlog) {
        const int result = lwip_listen(socket_, backlog);
        listening_ = listening_ || result == 0;
        return result;
    }

    /// Behind the end of a connection there is the end again, as often as somebody looks; lwIP says ENOTCONN the second time, and takes the end of
    /// a connection that it has no more for a reset.
    ssize_t received(ssize_t result, std::size_t wanted) noexcept {
        const bool end = result < 0 ? errno == ECONNRESET && parted() : result == 0 && wanted > 0;
        ended_ = ended_ || end;
        return end || (result < 0 && errno == ENOTCONN && ended_) ? 0 : result;
    }
    /// Only how a connection is cut off is lwIP's: its own waiting frees what it waits for, waits in shutdown() too, and where it may not wait it
    /// forgets whose the connection is.
    int set_linger(const void* value, socklen_t length) noexcept {
        const struct linger none = {};
        if (lwip_setsockopt(socket_, SOL_SOCKET, SO_LINGER, value, length) != 0) return -1;
        linger_ = *static_cast<const struct linger*>(value);
        return lwip_setsockopt(socket_, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    [[nodiscard]] const struct linger& linger() const noexcept { return linger_; }
    int shut_down(int how) {
        const int result = lwip_shutdown(socket_, how);
        ended_ = ended_ || (result == 0 && how != SHUT_WR);
        return result;
    }

    // lwIP calls it a reset when the other side refuses a connection; everybody else expects ECONNREFUSED.
    int connect(const struct sockaddr* address, socklen_t length) {
        const int result = lwip_connect(socket_, address, length);
        connecting_ = result != 0 && errno == EINPROGRESS;
        if (result != 0 && errno == ECONNRESET) errno = ECONNREFUSED;
        return result;
    }
    void translate_error(int& error) noexcept {
        if (connecting_ && error == ECONNRESET) error = ECONNREFUSED;
        connecting_ = false;
    }

private:
    [[nodiscard]] netconn* connection() const noexcept {
        const lwip_sock* const mine = lwip_socket_dbg_get_socket(socket_);
        return mine == nullptr ? nullptr : mine->conn;
    }
    [[nodiscard]] bool parted() const noexcept {
        const netconn* const mine = connection();
        return mine != nullptr && (mine->flags & RINGSIDE_NETCONN_PARTED) != 0;
    }
    /// The connection behind a socket that is not a listener, as long as there is one. With the core lock held.
    [[nodiscard]] tcp_pcb* tcp() const noexcept {
        const netconn* const mine = connection();
        return mine == nullptr || NETCONNTYPE_GROUP(netconn_type(mine)) != NETCONN_TCP ? nullptr : mine->pcb.tcp;
    }
    /// SO_LINGER: the end is sent, and waited for until it has been confirmed, with all that goes before.
    void finish_sending(std::uint64_t deadline_ns) {
        {
            CoreLock lock;
            tcp_pcb* const pcb = tcp();
            if (pcb == nullptr || pcb->state < ESTABLISHED) return;
            tcp_clear_flags(pcb, TF_RXCLOSED); // with it shutdown() would be the end of the connection for us
        }
        lwip_fcntl(socket_, F_SETFL, 0);
        lwip_shutdown(socket_, SHUT_WR);
        const auto confirmed = [this] {
            CoreLock lock;
            const tcp_pcb* const pcb = tcp();
            return pcb == nullptr || (pcb->unsent == nullptr && pcb->unacked == nullptr);
        };
        while (!confirmed() && now_ns() < deadline_ns) sleep_until(now_ns() + 1'000'000);
    }
    /// lwIP 2.1 stops at an assertion of its own when a listening socket is closed with connections that nobody has accepted yet.
    void refuse_waiting() {
        lwip_fcntl(socket_, F_SETFL, O_NONBLOCK);
        for (int left = DEFAULT_ACCEPTMBOX_SIZE; left > 0; --left) {
            const int waiting = lwip_accept(socket_, nullptr, nullptr);
            if (waiting >= 0) {
                lwip_close(waiting);
            } else if (errno == EAGAIN) {
                return;
            }
        }
    }

    int socket_ = -1;
    struct linger linger_ = {};
    bool listening_ = false;
    bool ended_ = false;      // the other side has finished, or we do not want to hear it any more
    bool connecting_ = false; // a connect() that did not wait has not been asked about yet
};

constinit std::array<SocketFile, MEMP_NUM_NETCONN> files{};

SocketFile& file_of(int socket) { return files.at(static_cast<std::size_t>(socket)); }

/// Gives one of lwIP's sockets a descriptor; -1 and errno if there is none left.
int publish(int socket) {
    if (socket < 0) return -1;
    SocketFile& file = file_of(socket);
    file.set_socket(socket);
    const int descriptor = descriptors().open(file, O_RDWR);
    if (descriptor >= 0) return descriptor;
    lwip_close(socket);
    errno = EMFILE;
    return -1;
}

/// lwIP's number behind a descriptor; -1 and errno if it is not a socket.
int socket_behind(int descriptor) {
    Descriptor* entry = descriptors().find(descriptor);
    if (entry == nullptr) {
        errno = EBADF;
        return -1;
    }
    const int socket = entry->file->socket();
    if (socket < 0) errno = ENOTSOCK;
    return socket;
}

/// Calls an lwIP function with the number behind a descriptor.
template<class Function, class... Arguments>
auto on_socket(int descriptor, Function function, Arguments... arguments) -> decltype(function(0, arguments...)) {
    const int number = socket_behind(descriptor);
    return number < 0 ? -1 : function(number, arguments...);
}

/// A sender that is faster than the link waits for room, as it would elsewhere, unless it said that it will not.
template<class Send> ssize_t send_with_room(int descriptor, int flags, Send send) {
    const int number = socket_behind(descriptor);
    if (number < 0) return -1;
    for (;;) {
        const ssize_t result = send(number);
        const bool full = result < 0 && (errno == ENOMEM || errno == ENOBUFS) && interfaces_full();
        Descriptor* entry = descriptors().find(descriptor);
        if (!full || (flags & MSG_DONTWAIT) != 0 || entry == nullptr || (entry->flags & O_NONBLOCK) != 0) return result;
        wait_for_interfaces(now_ns() + 100'000'000);
    }
}

} // namespace
} // namespace kernel

using namespace kernel;

extern "C" {

int socket(int domain, int type, int protocol) {
    return system_call([&]() -> int {
        if (!start_network()) {
            errno = ENOMEM;
            return -1;
        }
        return publish(lwip_socket(domain, type, protocol));
    });
}
int accept(int descriptor, struct sockaddr* address, socklen_t* length) {
    return system_call([&]() -> int { return publish(on_socket(descriptor, lwip_accept, address, length)); });
}
int bind(int descriptor, const struct sockaddr* address, socklen_t length) {
    return system_call([&]() -> int { return on_socket(descriptor, lwip_bind, address, length); });
}
int listen(int descriptor, int backlog) {
    return system_call([&]() -> int {
        const int number = socket_behind(descriptor);
        return number < 0 ? -1 : file_of(number).listen(backlog);
    });
}
int connect(int descriptor, const struct sockaddr* address, socklen_t length) {
    return system_call([&]() -> int {
        const int number = socket_behind(descriptor);
        return number < 0 ? -1 : file_of(number).connect(address, length);
    });
}
int shutdown(int descriptor, int how) {
    return system_call([&]() -> int {
        const int number = socket_behind(descriptor);
        return number < 0 ? -1 : file_of(number).shut_down(how);
    });
}
int getpeername(int descriptor, struct sockaddr* address, socklen_t* length) {
    return system_call([&]() -> int { return on_socket(descriptor, lwip_getpeername, address, length); });
}
int getsockname(int descriptor, struct sockaddr* address, socklen_t* length) {
    return system_call([&]() -> int { return on_socket(descriptor, lwip_getsockname, address, length); });
}
int getsockopt(int descriptor, int level, int option, void* value, socklen_t* length) {
    return system_call([&]() -> int {
        const int number = socket_behind(descriptor);
        if (number < 0 || lwip_getsockopt(number, level, option, value, length) != 0) return -1;
        if (level == SOL_SOCKET && option == SO_ERROR) file_of(number).translate_error(*static_cast<int*>(value));
        if (level == SOL_SOCKET && option == SO_LINGER) *static_cast<struct linger*>(value) = file_of(number).linger();
        return 0;
    });
}
int setsockopt(int descriptor, int level, int option, const void* value, socklen_t length) {
    return system_call([&]() -> int {
        const int number = socket_behind(descriptor);
        if (number < 0) return -1;
        if (level == SOL_SOCKET && option == SO_LINGER) return file_of(number).set_linger(value, length);
        return lwip_setsockopt(number, level, option, value, length);
    });
}
ssize_t recv(int descriptor, void* into, size_t size, int flags) {
    return system_call([&]() -> ssize_t {
        const int number = socket_behind(descriptor);
        return number < 0 ? -1 : file_of(number).received(lwip_recv(number, into, size, flags), size);
    });
}
ssize_t recvfrom(int descriptor, void* into, size_t size, int flags, struct sockaddr* address, socklen_t* length) {
    return system_call([&]() -> ssize_t {
        const int number = socket_behind(descriptor);
        return number < 0 ? -1 : file_of(number).received(lwip_recvfrom(number, into, size, flags, address, length), size);
    });
}
ssize_t recvmsg(int descriptor, struct msghdr* message, int flags) {
    return system_call([&]() -> ssize_t {
        const int number = socket_behind(descriptor);
        return number < 0 ? -1 : file_of(number).received(lwip_recvmsg(number, message, flags), 1);
    });
}
ssize_t send(int descriptor, const void* from, size_t size, int flags) {
    return system_call(
        [&]() -> ssize_t { return send_with_room(descriptor, flags, [=](int number) { return lwip_send(number, from, size, flags); }); });
}
ssize_t sendto(int descriptor, const void* from, size_t size, int flags, const struct sockaddr* address, socklen_t length) {
    return system_call([&]() -> ssize_t {
        return send_with_room(descriptor, flags, [=](int number) { return lwip_sendto(number, from, size, flags, address, length); });
    });
}
ssize_t sendmsg(int descriptor, const struct msghdr* message, int flags) {
    return system_call(
        [&]() -> ssize_t { return send_with_room(descriptor, flags, [=](int number) { return lwip_sendmsg(number, message, flags); }); });
}

ssize_t readv(int descriptor, const struct iovec* vector, int count) {
    return system_call([&]() -> ssize_t {
        ssize_t sum = 0;
        for (int i = 0; i < count; ++i) {
            const ssize_t part = read(descriptor, vector[i].iov_base, vector[i].iov_len);
            if (part < 0) return sum > 0 ? sum : -1;
            sum += part;
            if (static_cast<size_t>(part) < vector[i].iov_len) break;
        }
        return sum;
    });
}
ssize_t writev(int descriptor, const struct iovec* vector, int count) {
    return system_call([&]() -> ssize_t {
        ssize_t sum = 0;
        for (int i = 0; i < count; ++i) {
            const ssize_t part = write(descriptor, vector[i].iov_base, vector[i].iov_len);
            if (part < 0) return sum > 0 ? sum : -1;
            sum += part;
            if (static_cast<size_t>(part) < vector[i].iov_len) break;
        }
        return sum;
    });
}

int getaddrinfo(const char* node, const char* service, const struct addrinfo* hints, struct addrinfo** result) {
    return system_call([&]() -> int {
        if (!start_network()) return EAI_MEMORY;
        return lwip_getaddrinfo(node, service, hints, result);
    });
}
void freeaddrinfo(struct addrinfo* list) {
    call_on(processors::boot, [list] { lwip_freeaddrinfo(list); }); // lwIP's pools belong to it
}
const char* gai_strerror(int error) {
    switch (error) {
    case 0: return "no error";
    case EAI_NONAME: return "name or service not known";
    case EAI_SERVICE: return "service not known";
    case EAI_FAIL: return "name resolution failed";
    case EAI_MEMORY: return "out of memory";
    case EAI_FAMILY: return "address family not supported";
    default: return "unknown error";
    }
}
struct hostent* gethostbyname(const char* name) {
    return system_call([&]() -> struct hostent* {
        if (!start_network()) return nullptr;
        return lwip_gethostbyname(name);
    });
}
const char* inet_ntop(int family, const void* address, char* text, socklen_t size) { return lwip_inet_ntop(family, address, text, size); }
int inet_pton(int family, const char* text, void* address) { return lwip_inet_pton(family, text, address); }
}
