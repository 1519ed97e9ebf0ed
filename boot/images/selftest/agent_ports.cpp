// The agent's console port: one that it holds open as a program would, by its descriptor, through whatever happens to the device.
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include "boot/images/selftest/agent.hpp"
#include "kernel/task/task.hpp"
#include "kernel/time/clock.hpp"

namespace selftest {

namespace {

constexpr std::uint64_t kLookNs = 10'000'000; // while nobody is connected
constinit int descriptor = -1;

/// port-open NAME
void open_port(const Words& words, Answer& answer) {
    if (descriptor >= 0) return answer.fail("one is open");
    const std::string path = std::string("/dev/virtio-ports/").append(words.text(2));
    descriptor = ::open(path.c_str(), O_RDWR);
    if (descriptor < 0) answer.fail("open: %s", std::strerror(errno));
}

/// port-echo BYTES: sends back what comes, until it was so many bytes; outlasts the host's comings and goings, but not the port's end.
void echo(const Words& words, Answer& answer) {
    std::array<char, 4096> buffer{};
    std::size_t ends = 0;
    for (std::size_t left = words.size(2); left != 0;) {
        const auto count = ::read(descriptor, buffer.data(), left < buffer.size() ? left : buffer.size());
        if (count < 0) return answer.fail("read: %s", std::strerror(errno));
        if (count == 0) {
            ++ends;
            kernel::sleep_until(kernel::now_ns() + kLookNs);
            continue;
        }
        const auto sent = ::write(descriptor, buffer.data(), static_cast<std::size_t>(count));
        if (sent != count) return answer.fail("write: %s", sent < 0 ? std::strerror(errno) : "a part of it");
        left -= static_cast<std::size_t>(count);
    }
    answer.value("ends", ends);
}

/// port-close
void close_port(const Words&, Answer& answer) {
    if (::close(descriptor) != 0) answer.fail("close: %s", std::strerror(errno));
    descriptor = -1;
}

} // namespace

std::span<const Verb> port_verbs() {
    static constexpr Verb kVerbs[] = {{"port-open", 1, open_port}, {"port-echo", 1, echo}, {"port-close", 0, close_port}};
    return kVerbs;
}

} // namespace selftest
