#include "boot/images/appliance/echo.hpp"

#include <array>
#include <memory>
#include <netinet/in.h>
#include <new>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "kernel/app.hpp"
#include "kernel/log/log.hpp"

namespace appliance {

namespace {

constexpr std::uint16_t kPort = 7;
using Buffer = std::array<std::byte, 32 * 1024>;

void echo_connection(ringside::net::Peer& peer) {
    const std::unique_ptr<Buffer> buffer(new (std::nothrow) Buffer);
    if (buffer == nullptr) return;
    for (;;) {
        const auto count = peer.read(*buffer);
        if (!count || *count == 0) return;
        if (!peer.write(std::span<const std::byte>(*buffer).first(*count))) return;
    }
}

void serve_connections() {
    auto listener = ringside::net::listen(kPort);
    if (!listener) return kernel::log(kernel::LogLevel::warning, "echo: %s", virtio::message(listener.error()));
    while (auto peer = listener->accept())
        ringside::spawn("echo", [connection = std::move(*peer)]() mutable { echo_connection(connection); });
}

void serve_datagrams() {
    const std::unique_ptr<Buffer> buffer(new (std::nothrow) Buffer);
    const int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(kPort);
    if (buffer == nullptr || descriptor < 0 || bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return kernel::log(kernel::LogLevel::warning, "echo: no UDP socket");
    for (;;) {
        sockaddr_in from{};
        socklen_t length = sizeof from;
        const auto count = recvfrom(descriptor, buffer->data(), buffer->size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
        if (count < 0) {
            usleep(10'000); // out of memory for now: no reason to spin
            continue;
        }
        (void)sendto(descriptor, buffer->data(), static_cast<std::size_t>(count), 0, reinterpret_cast<const sockaddr*>(&from), length);
    }
}

} // namespace

void start_echo() {
    ringside::spawn("echo tcp", serve_connections);
    ringside::spawn("echo udp", serve_datagrams);
}

} // namespace appliance
