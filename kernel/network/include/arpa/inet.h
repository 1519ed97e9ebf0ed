/* Addresses to text and back, byte order. */
#ifndef RINGSIDE_ARPA_INET_H
#define RINGSIDE_ARPA_INET_H

#include "lwip/sockets.h"

#ifdef __cplusplus
extern "C" {
#endif

const char* inet_ntop(int family, const void* address, char* text, socklen_t size);
int inet_pton(int family, const char* text, void* address);

#ifdef __cplusplus
}
#endif

#endif
