/* poll() on any mix of descriptors. */
#ifndef RINGSIDE_POLL_H
#define RINGSIDE_POLL_H

#include "lwip/sockets.h"

#ifdef __cplusplus
extern "C" {
#endif

int poll(struct pollfd* descriptors, nfds_t count, int timeout_milliseconds);

#ifdef __cplusplus
}
#endif

#endif
