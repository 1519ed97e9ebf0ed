#include <cstdio>
#include <cstdlib>

#include "kernel/app.hpp"
#include "kernel/log/log.hpp"
#include "kernel/task/task.hpp"

namespace ringside {

void die(const char* what, Error why) {
    std::fprintf(stderr, "%s: %s\n", what, virtio::message(why));
    std::exit(EXIT_FAILURE);
}

Result<> spawn_task(const char* name, void (*entry)(void*), void* argument) {
    auto task = kernel::spawn(name, entry, argument);
    if (task) return {};
    kernel::log(kernel::LogLevel::error, "task '%s' not started: %s", name, virtio::message(task.error()));
    return virtio::fail(task.error());
}

} // namespace ringside
