// The objects behind lwIP's opaque pointers that others of this folder have to reach into. See arch/sys_arch.h.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

#include "kernel/task/mailbox.hpp"
#include "kernel/task/semaphore.hpp"

struct ringside_semaphore {
    kernel::Semaphore semaphore;
};

struct ringside_mailbox {
    std::unique_ptr<void*[]> slots; ///< one more than `size`: for the word that a connection has ended, which lwIP says once
    std::size_t size;
    kernel::Mailbox mailbox;

    /// For messages.
    [[nodiscard]] std::size_t places() const noexcept { return size - std::min(size, mailbox.size()); }
};
