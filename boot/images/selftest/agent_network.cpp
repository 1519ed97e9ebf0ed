// The agent's network commands: patterns over TCP in both directions, datagrams back to their sender, ping.
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <ringside/app.hpp>

#include "boot/images/selftest/agent.hpp"
#include "boot/images/selftest/pattern.hpp"
#include "kernel/network/net_interface.hpp"
#include "kernel/task/task.hpp"

namespace selftest {

namespace {

using ringside::net::Peer;

constexpr std::size_t kBuffer = 32768;

/// Sends `bytes` of the stream with this key.
virtio::Result<> send_stream(Peer& peer, std::uint64_t bytes, std::uint64_t key) {
    std::vector<std::byte> buffer(kBuffer);
    for (std::uint64_t at = 0; at < bytes;) {
        const auto count = static_cast<std::size_t>(bytes - at < kBuffer ? bytes - at : kBuffer);
        fill({buffer.data(), count}, key, at);
        if (const auto sent = peer.write(std::span<const std::byte>(buffer.data(), count)); !sent) return sent;
        at += count;
    }
    return {};
}

/// Receives `bytes` and compares them; the position of the first wrong byte is `bytes` if there is none.
virtio::Result<std::uint64_t> receive_stream(Peer& peer, std::uint64_t bytes, std::uint64_t key) {
    std::vector<std::byte> buffer(kBuffer);
    std::uint64_t wrong = bytes;
    for (std::uint64_t at = 0; at < bytes;) {
        const auto most = static_cast<std::size_t>(bytes - at < kBuffer ? bytes - at : kBuffer);
        const auto count = peer.read(std::span(buffer.data(), most));
        if (!count) return std::unexpected(count.error());
        if (*count == 0) return virtio::fail(virtio::Error::closed);
        if (const auto found = find_wrong({buffer.data(), *count}, key, at); found && wrong == bytes) wrong = at + *found;
        at += *count;
    }
    return wrong;
}

/// One connection: a line "up BYTES KEY" (we receive and judge), "down BYTES KEY" (we send) or "echo BYTES 0", as often as the host wants.
void serve(Peer peer) {
    for (;;) {
        std::array<char, 64> line{};
        for (std::size_t length = 0;;) {
            std::byte one{};
            const auto count = peer.read(std::span(&one, 1));
            if (!count || *count == 0 || length + 1 >= line.size()) return;
            if (one == std::byte{'\n'}) break;
            line[length++] = static_cast<char>(one);
        }
        const Words words(std::string_view(line.data()));
        const std::uint64_t bytes = words.number(1), key = words.number(2);
        if (words.text(0) == "up") {
            const auto wrong = receive_stream(peer, bytes, key);
            if (!wrong) return;
            std::snprintf(line.data(), line.size(), *wrong == bytes ? "good\n" : "wrong at %llu\n",
                          static_cast<unsigned long long>(*wrong));
            if (!peer.write(std::string_view(line.data()))) return;
        } else if (words.text(0) == "down") {
            if (!send_stream(peer, bytes, key)) return;
        } else if (words.text(0) == "echo") {
            std::vector<std::byte> buffer(kBuffer);
            for (std::uint64_t left = bytes; left != 0;) {
                const auto count = peer.read(std::span(buffer.data(), static_cast<std::size_t>(left < kBuffer ? left : kBuffer)));
                if (!count || *count == 0) return;
                if (!peer.write(std::span<const std::byte>(buffer.data(), *count))) return;
                left -= *count;
            }
        } else {
            return;
        }
    }
}

/// listen PORT
void listen(const Words& words, Answer& answer) {
    auto listener = ringside::net::listen(static_cast<std::uint16_t>(words.number(2)));
    if (!listener) return answer.fail("listen", listener.error());
    const auto spawned = ringside::spawn("listener", [server = std::move(*listener)]() mutable {
        while (auto peer = server.accept())
            (void)ringside::spawn("connection", [one = std::move(*peer)]() mutable { serve(std::move(one)); });
    });
    if (!spawned) answer.fail("spawn", spawned.error());
}

/// datagrams PORT: every datagram goes back to its sender.
void datagrams(const Words& words, Answer& answer) {
    const int server = ::socket(AF_INET, SOCK_DGRAM, 0);
    if (server < 0) return answer.fail("no socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(words.number(2)));
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    if (::bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(server);
        return answer.fail("the port is taken");
    }
    const auto spawned = ringside::spawn("datagrams", [server] {
        std::vector<std::byte> buffer(65536);
        for (;;) {
            sockaddr_in from{};
            socklen_t size = sizeof from;
            const auto count = ::recvfrom(server, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
            if (count < 0) break;
            (void)::sendto(server, buffer.data(), static_cast<std::size_t>(count), 0, reinterpret_cast<const sockaddr*>(&from), size);
        }
        ::close(server);
    });
    if (!spawned) answer.fail("spawn", spawned.error());
}

/// connect HOST PORT up|down BYTES KEY: the guest opens the connection; "up" sends to the host, "down" receives from it.
void connect(const Words& words, Answer& answer) {
    auto peer = ringside::net::connect(words.c_string(2), static_cast<std::uint16_t>(words.number(3)));
    if (!peer) return answer.fail("connect", peer.error());
    const std::uint64_t bytes = words.number(5), key = words.number(6);
    if (words.text(4) == "up") {
        if (const auto sent = send_stream(*peer, bytes, key); !sent) return answer.fail("send", sent.error());
    } else {
        const auto wrong = receive_stream(*peer, bytes, key);
        if (!wrong) return answer.fail("receive", wrong.error());
        if (*wrong != bytes) return answer.fail("byte %llu is wrong", static_cast<unsigned long long>(*wrong));
    }
    answer.value("bytes", bytes);
}

/// net [SECONDS]: waits that long for an address.
void net(const Words& words, Answer& answer) {
    const auto lan = words.count() > 2 ? ringside::net::up(std::chrono::seconds(words.number(2))) : ringside::net::status();
    if (!lan) return answer.fail("net", lan.error());
    answer.value("name", lan->name);
    answer.value("address", lan->address.text().c_str());
    answer.value("netmask", lan->netmask.text().c_str());
    answer.value("gateway", lan->gateway.text().c_str());
    answer.value("dns", lan->dns.text().c_str());
    const kernel::InterfaceCounters& counters = kernel::network_interface(0)->counters();
    answer.value("received", counters.received);
    answer.value("copied", counters.received_copied);
}

/// ping HOST [MILLISECONDS]
void ping(const Words& words, Answer& answer) {
    const auto took = ringside::net::ping(words.c_string(2), std::chrono::milliseconds(words.number(3, 10'000)));
    if (!took) return answer.fail("ping", took.error());
    answer.value("ns", static_cast<std::uint64_t>(took->count()));
}

} // namespace

std::span<const Verb> network_verbs() {
    static constexpr Verb kVerbs[] = {
        {"net", 0, net}, {"ping", 1, ping}, {"listen", 1, listen}, {"connect", 5, connect}, {"datagrams", 1, datagrams}};
    return kVerbs;
}

} // namespace selftest
