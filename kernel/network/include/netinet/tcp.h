/* TCP's socket options. */
#ifndef RINGSIDE_NETINET_TCP_H
#define RINGSIDE_NETINET_TCP_H

#include <sys/socket.h>

#endif
