#include "kernel/console/channel_tasks.hpp"

#include <array>

#include "kernel/console/console_service.hpp"
#include "kernel/log/log.hpp"

namespace kernel {
namespace {

constexpr std::uint64_t kLookNs = 500'000'000; // how late the end of a connection may be noticed while the log is quiet

void echo(void* argument) {
    auto& channel = *static_cast<Channel*>(argument);
    virtio::ConsolePort& port = channel.port();
    std::array<std::byte, 4096> buffer; // copied, never lent: a host that goes away without reading keeps one buffer, not a reset
    (void)port.open();
    while (channel.server() == &current_task()) {
        const std::uint32_t connection = channel.connection();
        auto count = port.read(buffer);
        if (!count) {
            if (channel.server() == &current_task() && channel.connection() == connection) channel.wait();
            continue;
        }
        (void)port.write(std::span(buffer).first(*count)); // closed meanwhile: nobody waits for it
    }
}

/// Sends the log to one connection until that ends.
void send_log(Channel& channel) {
    virtio::ConsolePort& port = channel.port();
    const std::uint32_t connection = channel.connection();
    LogReader reader;
    std::array<char, kLogTextMax + 64> text;
    while (channel.server() == &current_task() && channel.connection() == connection && port.host_open()) {
        auto line = reader.next();
        if (!line) {
            (void)reader.wait(now_ns() + kLookNs);
            continue;
        }
        const std::size_t length = format_log_line(*line, text.data(), text.size());
        if (!port.write(std::as_bytes(std::span(text).first(length)))) return;
    }
}

void follow_log(void* argument) {
    auto& channel = *static_cast<Channel*>(argument);
    (void)channel.port().open();
    while (channel.server() == &current_task()) {
        if (channel.port().host_open())
            send_log(channel);
        else
            channel.wait();
    }
}

} // namespace

TaskEntry channel_task(std::string_view name) noexcept {
    if (name == kEchoChannel) return echo;
    if (name == kLogChannel) return follow_log;
    return nullptr;
}

} // namespace kernel
