// A TCP echo server on port 7: one task for each connection.
#include <array>
#include <cstddef>
#include <cstdio>
#include <span>
#include <utility>

#include <ringside/app.hpp>

using namespace std::chrono_literals;

namespace {

void echo(ringside::net::Peer peer) {
    std::array<std::byte, 2048> buffer;
    for (;;) {
        const auto count = peer.read(buffer);
        if (!count || *count == 0) return;
        if (!peer.write(std::span<const std::byte>(buffer.data(), *count))) return;
    }
}

} // namespace

int main() {
    const auto lan = ringside::net::up(30s);
    if (!lan) ringside::die("network", lan.error());
    auto server = ringside::net::listen(7);
    if (!server) ringside::die("listen", server.error());
    std::printf("echo on %s, port 7\n", lan->address.text().c_str());
    while (auto peer = server->accept()) {
        ringside::spawn("echo", [connection = std::move(*peer)]() mutable { echo(std::move(connection)); });
    }
    return 1;
}
