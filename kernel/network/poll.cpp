// poll() and select() over all kinds of descriptors. lwIP waits for sockets with one semaphore of the calling task; everything else
// notifies the same semaphore, so that one wait serves a mix. Task context only.
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <sys/select.h>
#include <unistd.h>

#include "kernel/network/net_interface.hpp"
#include "kernel/network/sys_arch.hpp"
#include "kernel/newlib/descriptors.hpp"
#include "kernel/newlib/system_call.hpp"
#include "kernel/task/semaphore.hpp"
#include "kernel/time/clock.hpp"
#include "lwip/sys.h"

namespace kernel {

namespace {

static_assert(kReadable == POLLIN && kWritable == POLLOUT && kFailed == POLLERR);

struct Slot {
    File* file = nullptr; // null: a closed descriptor, or one to be left out
    PollWaiter waiter;
    nfds_t place = 0; // in the caller's array
};

/// One call of poll(): sockets in an array of lwIP's own, the rest in slots.
class Poll {
public:
    static constexpr std::size_t kFew = 32; // so many descriptors need no heap

    [[nodiscard]] bool open(struct pollfd* descriptors, nfds_t count) {
        asked_ = descriptors;
        count_ = count;
        if (count > kFew) {
            more_sockets_.reset(new (std::nothrow) struct pollfd[count]);
            more_places_.reset(new (std::nothrow) nfds_t[count]);
            more_slots_.reset(new (std::nothrow) Slot[count]);
            if (more_sockets_ == nullptr || more_places_ == nullptr || more_slots_ == nullptr) return false;
        }
        sockets_ = count > kFew ? more_sockets_.get() : few_sockets_.data();
        places_ = count > kFew ? more_places_.get() : few_places_.data();
        slots_ = count > kFew ? more_slots_.get() : few_slots_.data();
        for (nfds_t i = 0; i < count; ++i) {
            if (descriptors[i].fd < 0) continue;
            Descriptor* entry = kernel::descriptors().find(descriptors[i].fd);
            if (entry != nullptr && entry->file->socket() >= 0) {
                sockets_[socket_count_] = {entry->file->socket(), descriptors[i].events, 0};
                places_[socket_count_++] = i;
            } else {
                slots_[slot_count_].file = entry != nullptr ? entry->file : nullptr;
                slots_[slot_count_++].place = i;
            }
        }
        return true;
    }

    int run(int timeout) {
        const std::uint64_t deadline = timeout < 0 ? kNever : now_ns() + static_cast<std::uint64_t>(timeout) * 1'000'000;
        for (;;) {
            const int ready = look();
            if (ready != 0 || now_ns() >= deadline) return ready;
            if (wait(deadline) < 0) return -1;
        }
    }

private:
    /// How many descriptors have something to tell; fills in all revents.
    int look() {
        int ready = 0;
        for (nfds_t i = 0; i < count_; ++i) asked_[i].revents = 0;
        for (std::size_t i = 0; i < slot_count_; ++i) {
            struct pollfd& asked = asked_[slots_[i].place];
            asked.revents =
                slots_[i].file == nullptr ? short{POLLNVAL} : static_cast<short>(slots_[i].file->ready() & (asked.events | kFailed));
            ready += asked.revents != 0 ? 1 : 0;
        }
        if (socket_count_ == 0) return ready;
        if (lwip_poll(sockets_, static_cast<nfds_t>(socket_count_), 0) < 0) return -1;
        for (std::size_t i = 0; i < socket_count_; ++i) {
            asked_[places_[i]].revents = sockets_[i].revents;
            ready += sockets_[i].revents != 0 ? 1 : 0;
        }
        return ready;
    }

    int wait(std::uint64_t deadline) {
        Semaphore& semaphore = (*ringside_task_semaphore())->semaphore;
        for (std::size_t i = 0; i < slot_count_; ++i) {
            PollSource* source = slots_[i].file == nullptr ? nullptr : slots_[i].file->poll_source();
            slots_[i].waiter.semaphore = &semaphore;
            slots_[i].waiter.notified = false;
            if (source == nullptr) continue;
            source->add(slots_[i].waiter);
            if (source->look_every_ns() != 0) deadline = std::min(deadline, now_ns() + source->look_every_ns());
        }
        int result = 0;
        if (socket_count_ > 0) {
            result = lwip_poll(sockets_, static_cast<nfds_t>(socket_count_), milliseconds_until(deadline));
        } else {
            (void)semaphore.acquire(deadline);
        }
        // Every notification added one to the semaphore, and lwIP took at most one of them: what is left must not stay for the next user.
        for (std::size_t i = 0; i < slot_count_; ++i) {
            List<PollWaiter>::unlink(slots_[i].waiter);
            if (slots_[i].waiter.notified) (void)semaphore.try_acquire();
        }
        return result;
    }

    static int milliseconds_until(std::uint64_t deadline) {
        if (deadline == kNever) return -1;
        const std::uint64_t now = now_ns();
        const std::uint64_t left = deadline > now ? (deadline - now + 999'999) / 1'000'000 : 1;
        return left > 0x7fffffff ? 0x7fffffff : static_cast<int>(left);
    }

    struct pollfd* asked_ = nullptr;
    nfds_t count_ = 0;
    struct pollfd* sockets_ = nullptr;
    nfds_t* places_ = nullptr;
    Slot* slots_ = nullptr;
    std::size_t socket_count_ = 0;
    std::size_t slot_count_ = 0;
    std::array<struct pollfd, kFew> few_sockets_;
    std::array<nfds_t, kFew> few_places_;
    std::array<Slot, kFew> few_slots_;
    std::unique_ptr<struct pollfd[]> more_sockets_;
    std::unique_ptr<nfds_t[]> more_places_;
    std::unique_ptr<Slot[]> more_slots_;
};

} // namespace
} // namespace kernel

using kernel::system_call;

extern "C" {

int poll(struct pollfd* descriptors, nfds_t count, int timeout) {
    return system_call([&]() -> int {
        kernel::Poll poll;
        if (!poll.open(descriptors, count)) {
            errno = ENOMEM;
            return -1;
        }
        return poll.run(timeout);
    });
}

int select(int count, fd_set* readable, fd_set* writable, fd_set* failed, struct timeval* timeout) {
    return system_call([&]() -> int {
        if (count < 0 || count > FD_SETSIZE) {
            errno = EINVAL;
            return -1;
        }
        std::array<struct pollfd, FD_SETSIZE> asked;
        nfds_t asked_count = 0;
        for (int i = 0; i < count; ++i) {
            short events = 0;
            if (readable != nullptr && FD_ISSET(i, readable)) events |= POLLIN;
            if (writable != nullptr && FD_ISSET(i, writable)) events |= POLLOUT;
            if (events == 0 && (failed == nullptr || !FD_ISSET(i, failed))) continue;
            asked[asked_count++] = {i, events, 0};
        }
        const int milliseconds =
            timeout == nullptr ? -1 : static_cast<int>(timeout->tv_sec * 1000 + (static_cast<long>(timeout->tv_usec) + 999) / 1000);
        if (poll(asked.data(), asked_count, milliseconds) < 0) return -1;
        if (readable != nullptr) FD_ZERO(readable);
        if (writable != nullptr) FD_ZERO(writable);
        if (failed != nullptr) FD_ZERO(failed);
        int set = 0;
        auto mark = [&set](fd_set* into, int descriptor) {
            FD_SET(descriptor, into);
            ++set;
        };
        for (nfds_t i = 0; i < asked_count; ++i) {
            const struct pollfd& answer = asked[i];
            if ((answer.revents & POLLNVAL) != 0) {
                errno = EBADF;
                return -1;
            }
            // A failed connection is readable and writable: the next call tells why.
            if ((answer.events & POLLIN) != 0 && (answer.revents & (POLLIN | POLLERR)) != 0) mark(readable, answer.fd);
            if ((answer.events & POLLOUT) != 0 && (answer.revents & (POLLOUT | POLLERR)) != 0) mark(writable, answer.fd);
            if (failed != nullptr && (answer.revents & POLLERR) != 0) mark(failed, answer.fd);
        }
        return set;
    });
}
}
