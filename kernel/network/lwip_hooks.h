/* The hooks that lwipopts.h names. */
#ifndef RINGSIDE_LWIP_HOOKS_H
#define RINGSIDE_LWIP_HOOKS_H

#include "lwip/err.h"
#include "lwip/ip_addr.h"

struct pbuf;
struct tcp_hdr;
struct tcp_pcb;

/* A flag of a netconn, beside lwIP's own: its connection has come to a good end, and is not its any more. */
#define RINGSIDE_NETCONN_PARTED 0x20

#ifdef __cplusplus
extern "C" {
#endif

u32_t ringside_tcp_isn(const ip_addr_t* local_ip, u16_t local_port, const ip_addr_t* remote_ip, u16_t remote_port);
err_t ringside_tcp_input(struct tcp_pcb* pcb, struct tcp_hdr* header, struct pbuf* packet);
int ringside_part_from_owners(void); /* 0 */

#ifdef __cplusplus
}
#endif

#endif
