/* ioctl(): FIONREAD and FIONBIO on sockets, FIONBIO on every descriptor, TIOCGWINSZ on the console. */
#ifndef RINGSIDE_SYS_IOCTL_H
#define RINGSIDE_SYS_IOCTL_H

#include "lwip/sockets.h"

struct winsize {
    unsigned short ws_row, ws_col, ws_xpixel, ws_ypixel;
};
#define TIOCGWINSZ _IOR('t', 104, struct winsize)

#ifdef __cplusplus
extern "C" {
#endif

int ioctl(int descriptor, unsigned long request, ...);

#ifdef __cplusplus
}
#endif

#endif
