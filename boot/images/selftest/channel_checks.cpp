// Console ports that programs open by name. The two that are checked, selftest.a and selftest.b, are joined outside: what goes into one
// comes out of the other.
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

#include <ringside/app.hpp>

#include "boot/images/selftest/check.hpp"
#include "boot/images/selftest/pattern.hpp"
#include "kernel/task/task.hpp"

namespace selftest {

namespace {

constexpr const char* kFirst = "/dev/virtio-ports/selftest.a";
constexpr const char* kSecond = "/dev/virtio-ports/selftest.b";
constexpr std::size_t kBytes = 256 * 1024;

struct Sender {
    int descriptor = -1;
    std::uint64_t key = 0;
    int error = 0;
};
void send(void* argument) {
    auto& mine = *static_cast<Sender*>(argument);
    std::vector<std::byte> data(kBytes);
    fill(data, mine.key, 0);
    // Pieces of every size up to more than a buffer of the driver's.
    for (std::size_t at = 0, step = 1; at < kBytes; step = step * 3 % 20011 + 1) {
        const std::size_t wanted = step < kBytes - at ? step : kBytes - at;
        const auto sent = ::write(mine.descriptor, data.data() + at, wanted);
        if (sent <= 0) {
            mine.error = sent == 0 ? EIO : errno;
            return;
        }
        at += static_cast<std::size_t>(sent);
    }
}

void carry(Check& check, int from, int into, std::uint64_t key) {
    Sender sender{from, key};
    const auto task = kernel::spawn("sender", send, &sender, kernel::kDefaultStackBytes, kernel::TaskLifetime::joinable);
    if (!check.need(task, "spawn")) return;
    std::vector<std::byte> buffer(10'007);
    std::size_t at = 0;
    while (at < kBytes) {
        const auto count = ::read(into, buffer.data(), buffer.size());
        if (!check.need(count > 0, "read gave %ld after %zu bytes: %s", static_cast<long>(count), at, std::strerror(errno))) break;
        const auto wrong = find_wrong({buffer.data(), static_cast<std::size_t>(count)}, key, at);
        if (!check.need(!wrong, "byte %zu is wrong", at + wrong.value_or(0))) break;
        at += static_cast<std::size_t>(count);
    }
    // A sender that waits for a reader who has given up would never end.
    if (check.failed()) return;
    kernel::join(**task);
    (void)check.need(sender.error == 0, "write: %s", std::strerror(sender.error));
}

} // namespace

void check_channels() {
    const int first = ::open(kFirst, O_RDWR), second = ::open(kSecond, O_RDWR);
    if (first < 0 || second < 0) {
        run("ports", [](Check& check) { check.skip("there are no joined ports selftest.a and selftest.b"); });
        return;
    }
    run("ports.there", [&](Check& check) { carry(check, first, second, 71); });
    run("ports.and_back", [&](Check& check) { carry(check, second, first, 72); });
    run("ports.one_at_a_time", [](Check& check) {
        const int again = ::open(kFirst, O_RDWR);
        (void)check.need(again == -1 && errno == EBUSY, "a port was opened twice");
    });
    ::close(first);
    ::close(second);
    run("ports.again", [](Check& check) {
        const int once_more = ::open(kFirst, O_RDWR);
        (void)check.need(once_more >= 0, "open: %s", std::strerror(errno));
        if (once_more >= 0) ::close(once_more);
    });
    run("ports.unknown", [](Check& check) {
        const int none = ::open("/dev/virtio-ports/selftest.none", O_RDWR);
        (void)check.need(none == -1 && errno == ENOENT, "a port that is not there was opened");
    });
}

} // namespace selftest
