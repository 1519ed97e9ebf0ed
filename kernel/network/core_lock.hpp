// lwIP's one lock, and what is due when it is let go: frames that were queued under it are announced to their devices (one kick for a
// whole batch), and the lwIP task is woken if a timer was added that is earlier than the one it sleeps for. Task context only.
//
//     kernel::CoreLock lock;
//     netif_set_link_down(&netif);
#pragma once

#include "kernel/task/mutex.hpp"

namespace kernel {

class CoreLock {
public:
    CoreLock();
    ~CoreLock();
    CoreLock(const CoreLock&) = delete;
    CoreLock& operator=(const CoreLock&) = delete;
};

/// Tells all devices about queued frames; called with the lock held, by net_interface.cpp's owner of the list.
void flush_interfaces();

/// Wakes the lwIP task out of its mailbox without a message if it sleeps past `deadline_ns`.
void wake_network_task(std::uint64_t deadline_ns);

} // namespace kernel
