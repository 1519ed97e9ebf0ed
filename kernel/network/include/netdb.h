/* Names to addresses. */
#ifndef RINGSIDE_NETDB_H
#define RINGSIDE_NETDB_H

#include "lwip/netdb.h"

#ifdef __cplusplus
extern "C" {
#endif

int getaddrinfo(const char* node, const char* service, const struct addrinfo* hints, struct addrinfo** result);
void freeaddrinfo(struct addrinfo* list);
const char* gai_strerror(int error);
struct hostent* gethostbyname(const char* name);

#ifdef __cplusplus
}
#endif

#endif
