// The objects behind lwIP's opaque pointers that others of this folder have to reach into. See arch/sys_arch.h.
#pragma once

#include "kernel/task/semaphore.hpp"

struct ringside_semaphore {
    kernel::Semaphore semaphore;
};
