// What newlib asks of a system: descriptors, memory, time, the process that there is only one of. Task context only. newlib
// calls these by their plain names, and on all processors but x86-64 by second names as well (at the end).
#include <array>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#include "kernel/entropy/entropy.hpp"
#include "kernel/memory/heap.hpp"
#include "kernel/network/net_interface.hpp"
#include "kernel/newlib/descriptors.hpp"
#include "kernel/newlib/system_call.hpp"
#include "kernel/panic/panic.hpp"
#include "kernel/power/power.hpp"
#include "kernel/task/task.hpp"
#include "kernel/time/clock.hpp"

namespace kernel {

/// Flushes and resets the devices (kernel/device_manager). Absent in an image without any.
[[gnu::weak]] void stop_devices();

namespace {

constinit std::array<Opener, 4> openers{};

/// A negative result is an errno.
template<class T> T answer(T result) {
    if (result >= 0) return result;
    errno = static_cast<int>(-result);
    return -1;
}

Descriptor* descriptor(int number) {
    Descriptor* found = descriptors().find(number);
    if (found == nullptr) errno = EBADF;
    return found;
}

/// newlib's read() and write() answer with an int: a larger request is served in part.
std::size_t one_call(std::size_t size) { return size < INT_MAX ? size : INT_MAX; }

Blocking blocking(const Descriptor& of) { return (of.flags & O_NONBLOCK) != 0 ? Blocking::never : Blocking::wait; }

void sleep_for(std::uint64_t nanoseconds) {
    const std::uint64_t now = now_ns();
    sleep_until(nanoseconds > kNever - 1 - now ? kNever - 1 : now + nanoseconds);
}

timespec to_timespec(std::int64_t nanoseconds) {
    return {static_cast<time_t>(nanoseconds / 1'000'000'000), static_cast<long>(nanoseconds % 1'000'000'000)};
}

int open_here(const char* path, int flags) {
    for (Opener opener : openers) {
        int error = 0;
        File* file = opener == nullptr ? nullptr : opener(path, flags, error);
        if (error != 0) return answer(-error);
        if (file == nullptr) continue;
        const int number = descriptors().open(*file, flags & (O_ACCMODE | O_NONBLOCK));
        return number >= 0 ? number : answer(-EMFILE);
    }
    return answer(-ENOENT);
}

/// fcntl() and ioctl(), whose last argument has been taken out of the list.
int control_here(int number, int command, int value) {
    Descriptor* file = descriptor(number);
    if (file == nullptr) return -1;
    switch (command) {
    case F_GETFL: return file->flags;
    case F_SETFL:
        file->flags = (file->flags & ~O_NONBLOCK) | (value & O_NONBLOCK);
        file->file->set_blocking(blocking(*file));
        return 0;
    case F_GETFD:
    case F_SETFD: return 0; // there is no exec()
    case F_DUPFD: {
        const int copy = descriptors().open(*file->file, file->flags, value);
        return copy >= 0 ? copy : answer(-EMFILE);
    }
    default: return answer(-EINVAL);
    }
}
int control_here(int number, unsigned long request, void* argument) {
    Descriptor* file = descriptor(number);
    if (file == nullptr) return -1;
    if (request == static_cast<unsigned long>(FIONBIO)) {
        file->flags = (file->flags & ~O_NONBLOCK) | (*static_cast<int*>(argument) != 0 ? O_NONBLOCK : 0);
        file->file->set_blocking(blocking(*file));
        return 0;
    }
    return answer(file->file->control(request, argument));
}

} // namespace

void register_opener(Opener opener) {
    for (Opener& slot : openers) {
        if (slot != nullptr) continue;
        slot = opener;
        return;
    }
    panic("more than %zu openers", openers.size());
}

} // namespace kernel

using namespace kernel;

extern "C" {

_READ_WRITE_RETURN_TYPE read(int number, void* into, size_t size) {
    return system_call([&]() -> _READ_WRITE_RETURN_TYPE {
        Descriptor* from = descriptor(number);
        if (from == nullptr) return -1;
        return static_cast<int>(answer(from->file->read({static_cast<char*>(into), one_call(size)}, blocking(*from))));
    });
}

_READ_WRITE_RETURN_TYPE write(int number, const void* from, size_t size) {
    return system_call([&]() -> _READ_WRITE_RETURN_TYPE {
        Descriptor* to = descriptor(number);
        if (to == nullptr) return -1;
        return static_cast<int>(answer(to->file->write({static_cast<const char*>(from), one_call(size)}, blocking(*to))));
    });
}

int open(const char* path, int flags, ...) {
    return system_call([&] { return open_here(path, flags); });
}

int close(int number) {
    return system_call([&]() -> int {
        if (descriptors().close(number)) return 0;
        errno = EBADF;
        return -1;
    });
}

int dup(int number) {
    return system_call([&]() -> int {
        Descriptor* old = descriptor(number);
        if (old == nullptr) return -1;
        const int copy = descriptors().open(*old->file, old->flags);
        return copy >= 0 ? copy : answer(-EMFILE);
    });
}

int dup2(int number, int wanted) {
    return system_call([&]() -> int {
        Descriptor* old = descriptor(number);
        if (old == nullptr) return -1;
        if (number == wanted) return wanted;
        if (wanted < 0 || static_cast<std::size_t>(wanted) >= kDescriptors) return answer(-EBADF);
        descriptors().close(wanted);
        return descriptors().open(*old->file, old->flags, wanted);
    });
}

off_t lseek(int number, off_t offset, int whence) {
    return system_call([&]() -> off_t {
        Descriptor* file = descriptor(number);
        return file == nullptr ? -1 : answer(file->file->seek(offset, whence));
    });
}

int fstat(int number, struct stat* into) {
    return system_call([&]() -> int {
        Descriptor* file = descriptor(number);
        return file == nullptr ? -1 : answer(file->file->status(*into));
    });
}

int isatty(int number) {
    return system_call([&]() -> int {
        Descriptor* file = descriptor(number);
        if (file == nullptr) return 0;
        if (file->file->terminal()) return 1;
        errno = ENOTTY;
        return 0;
    });
}

int fcntl(int number, int command, ...) {
    std::va_list arguments;
    va_start(arguments, command);
    const int value = va_arg(arguments, int);
    va_end(arguments);
    return system_call([&] { return control_here(number, command, value); });
}

int ioctl(int number, unsigned long request, ...) {
    std::va_list arguments;
    va_start(arguments, request);
    void* argument = va_arg(arguments, void*);
    va_end(arguments);
    return system_call([&] { return control_here(number, request, argument); });
}

// There is no file system behind names; whoever registers an opener serves open() alone.
int stat(const char*, struct stat*) { return answer(-ENOENT); }
int unlink(const char*) { return answer(-ENOENT); }
int link(const char*, const char*) { return answer(-ENOENT); }
int mkdir(const char*, mode_t) { return answer(-EROFS); }

void* sbrk(ptrdiff_t increment) {
    void* old_break = heap_extend(increment);
    if (old_break != nullptr) return old_break;
    errno = ENOMEM;
    return reinterpret_cast<void*>(-1);
}

int clock_gettime(clockid_t clock, struct timespec* into) {
    switch (clock) {
    case CLOCK_REALTIME: *into = to_timespec(wall_clock_ns()); return 0;
    case CLOCK_MONOTONIC: *into = to_timespec(static_cast<std::int64_t>(now_ns())); return 0;
    default: return answer(-EINVAL);
    }
}

int clock_getres(clockid_t clock, struct timespec* into) {
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) return answer(-EINVAL);
    if (into != nullptr) *into = {0, 1};
    return 0;
}

int gettimeofday(struct timeval* into, void*) {
    const std::int64_t microseconds = wall_clock_ns() / 1000;
    into->tv_sec = static_cast<time_t>(microseconds / 1'000'000);
    into->tv_usec = static_cast<suseconds_t>(microseconds % 1'000'000);
    return 0;
}

clock_t times(struct tms* into) {
    const auto ticks = static_cast<clock_t>(now_ns() / (1'000'000'000 / CLOCKS_PER_SEC));
    *into = {ticks, 0, 0, 0};
    return ticks;
}

int nanosleep(const struct timespec* wanted, struct timespec* left) {
    if (wanted->tv_sec < 0 || wanted->tv_nsec < 0 || wanted->tv_nsec >= 1'000'000'000) return answer(-EINVAL);
    constexpr std::uint64_t kCentury = 3'200'000'000; // seconds; longer sleeps would overflow
    const auto seconds = static_cast<std::uint64_t>(wanted->tv_sec);
    sleep_for((seconds < kCentury ? seconds : kCentury) * 1'000'000'000 + static_cast<std::uint64_t>(wanted->tv_nsec));
    if (left != nullptr) *left = {};
    return 0;
}

unsigned sleep(unsigned seconds) {
    sleep_for(std::uint64_t{seconds} * 1'000'000'000);
    return 0;
}

int usleep(useconds_t microseconds) {
    sleep_for(std::uint64_t{microseconds} * 1000);
    return 0;
}

int sched_yield() {
    yield();
    return 0;
}

int getentropy(void* into, size_t size) {
    return system_call([&]() -> int {
        if (size > 256) return answer(-EIO); // as POSIX has it
        random_bytes({static_cast<std::byte*>(into), size});
        return 0;
    });
}

// One process, which nobody can signal but itself.
pid_t getpid() { return 1; }
int kill(pid_t process, int signal) {
    if (process != 1) return answer(-ESRCH);
    if (signal == 0) return 0;
    panic("the program was ended by signal %d", signal);
}
[[noreturn]] void abort() { panic("abort() called"); }
[[noreturn]] void _exit(int status) {
    if (&this_processor() != &processors::boot) call_on(processors::boot, [status] { _exit(status); });
    drain_network(now_ns() + 2'000'000'000);
    if (stop_devices != nullptr) stop_devices();
    power_off(status);
}
}

// The same with an underscore in front.
#define RINGSIDE_SECOND_NAME(name) asm(".globl _" #name "\n.set _" #name ", " #name)
RINGSIDE_SECOND_NAME(read);
RINGSIDE_SECOND_NAME(write);
RINGSIDE_SECOND_NAME(open);
RINGSIDE_SECOND_NAME(close);
RINGSIDE_SECOND_NAME(lseek);
RINGSIDE_SECOND_NAME(fstat);
RINGSIDE_SECOND_NAME(isatty);
RINGSIDE_SECOND_NAME(fcntl);
RINGSIDE_SECOND_NAME(stat);
RINGSIDE_SECOND_NAME(unlink);
RINGSIDE_SECOND_NAME(link);
RINGSIDE_SECOND_NAME(mkdir);
RINGSIDE_SECOND_NAME(sbrk);
RINGSIDE_SECOND_NAME(gettimeofday);
RINGSIDE_SECOND_NAME(times);
RINGSIDE_SECOND_NAME(getpid);
RINGSIDE_SECOND_NAME(kill);
