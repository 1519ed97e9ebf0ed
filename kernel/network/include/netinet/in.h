/* Internet addresses and protocols. */
#ifndef RINGSIDE_NETINET_IN_H
#define RINGSIDE_NETINET_IN_H

#include <sys/socket.h>

#endif
