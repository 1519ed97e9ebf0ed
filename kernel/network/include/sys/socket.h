/* BSD sockets: lwIP's types and constants, Ringside's functions (kernel/network/sockets.cpp). Sockets are file descriptors: read(),
   write(), close(), fcntl(), ioctl(), poll() and select() work on them. */
#ifndef RINGSIDE_SYS_SOCKET_H
#define RINGSIDE_SYS_SOCKET_H

#include "lwip/sockets.h"

#define SOMAXCONN 64

#ifdef __cplusplus
extern "C" {
#endif

int socket(int domain, int type, int protocol);
int bind(int socket, const struct sockaddr* address, socklen_t length);
int listen(int socket, int backlog);
int accept(int socket, struct sockaddr* address, socklen_t* length);
int connect(int socket, const struct sockaddr* address, socklen_t length);
int shutdown(int socket, int how);
int getpeername(int socket, struct sockaddr* address, socklen_t* length);
int getsockname(int socket, struct sockaddr* address, socklen_t* length);
int getsockopt(int socket, int level, int option, void* value, socklen_t* length);
int setsockopt(int socket, int level, int option, const void* value, socklen_t length);
ssize_t recv(int socket, void* into, size_t size, int flags);
ssize_t recvfrom(int socket, void* into, size_t size, int flags, struct sockaddr* address, socklen_t* length);
ssize_t recvmsg(int socket, struct msghdr* message, int flags);
ssize_t send(int socket, const void* from, size_t size, int flags);
ssize_t sendto(int socket, const void* from, size_t size, int flags, const struct sockaddr* address, socklen_t length);
ssize_t sendmsg(int socket, const struct msghdr* message, int flags);

#ifdef __cplusplus
}
#endif

#endif
