/* Vectored input and output on descriptors. */
#ifndef RINGSIDE_SYS_UIO_H
#define RINGSIDE_SYS_UIO_H

#include "lwip/sockets.h"

#ifdef __cplusplus
extern "C" {
#endif

ssize_t readv(int descriptor, const struct iovec* vector, int count);
ssize_t writev(int descriptor, const struct iovec* vector, int count);

#ifdef __cplusplus
}
#endif

#endif
