/* lwIP's compiler port. newlib's own types come first, so that lwIP's sockets.h finds fd_set, timeval and O_NONBLOCK defined. */
#ifndef RINGSIDE_LWIP_CC_H
#define RINGSIDE_LWIP_CC_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/types.h>

/* newlib leaves it out on bare metal. */
#ifndef SSIZE_MAX
#define SSIZE_MAX LONG_MAX
#endif

/* newlib's <sys/types.h> has both. */
#define IN_ADDR_T_DEFINED 1
typedef __uint32_t in_addr_t;
#define IN_PORT_T_DEFINED 1
typedef __uint16_t in_port_t;

#ifdef __cplusplus
extern "C" {
#endif

unsigned int ringside_random_u32(void);
void ringside_lwip_diagnostic(const char* format, ...) __attribute__((format(printf, 1, 2)));
void ringside_lwip_assert(const char* message, const char* file, int line) __attribute__((noreturn));
void ringside_lock_core(void);
void ringside_unlock_core(void);
void ringside_assert_core_locked(void);
void ringside_mark_network_task(void);

#ifdef __cplusplus
}
#endif

#define LWIP_RAND() ringside_random_u32()
#define LWIP_PLATFORM_DIAG(x)                                                                                                              \
    do {                                                                                                                                   \
        ringside_lwip_diagnostic x;                                                                                                        \
    } while (0)
#define LWIP_PLATFORM_ASSERT(x) ringside_lwip_assert(x, __FILE__, __LINE__)

/* The end of a locked section is where frames queued in it are announced and earlier timers noticed (core_lock.cpp). */
#define LOCK_TCPIP_CORE() ringside_lock_core()
#define UNLOCK_TCPIP_CORE() ringside_unlock_core()
#define LWIP_ASSERT_CORE_LOCKED() ringside_assert_core_locked()
#define LWIP_MARK_TCPIP_THREAD() ringside_mark_network_task()

#endif
