/* lwIP's options for Ringside: its own task, everything else calls in under the core lock (no message passing per call), so that a
   socket call is a function call. Pools are bounded; bulk data comes from the heap. */
#ifndef RINGSIDE_LWIPOPTS_H
#define RINGSIDE_LWIPOPTS_H

/* Tasks (arch/sys_arch.h) */
#define NO_SYS 0
#define SYS_LIGHTWEIGHT_PROT 1
#define LWIP_TCPIP_CORE_LOCKING 1
#define LWIP_TCPIP_CORE_LOCKING_INPUT 1
#define TCPIP_THREAD_NAME "lwip"
#define TCPIP_THREAD_STACKSIZE (64 * 1024)
#define TCPIP_THREAD_PRIO 0
#define TCPIP_MBOX_SIZE 64
#define DEFAULT_TCP_RECVMBOX_SIZE 256
#define DEFAULT_UDP_RECVMBOX_SIZE 128
#define DEFAULT_RAW_RECVMBOX_SIZE 32
#define DEFAULT_ACCEPTMBOX_SIZE 64

/* One semaphore per task instead of one per call; with it a socket may be closed while another task waits in it. */
#define LWIP_NETCONN_SEM_PER_THREAD 1
#define LWIP_NETCONN_FULLDUPLEX 1

/* Memory: packets from the heap, the rest from pools. */
#define MEM_LIBC_MALLOC 1
#define MEM_ALIGNMENT 8
#define MEMP_NUM_NETCONN 192
#define MEMP_NUM_NETBUF 256
#define MEMP_NUM_TCP_PCB 256
#define MEMP_NUM_TCP_PCB_LISTEN 32
#define MEMP_NUM_UDP_PCB 64
#define MEMP_NUM_RAW_PCB 8
#define MEMP_NUM_TCP_SEG 2048
#define MEMP_NUM_PBUF 256
#define MEMP_NUM_NETDB 8
#define PBUF_POOL_SIZE 16
#define MEMP_NUM_SYS_TIMEOUT (LWIP_NUM_SYS_TIMEOUT_INTERNAL + 8) /* one more for each interface */
/* Room in front of the Ethernet header for the device's own (12 bytes for virtio), so that a frame in one piece is one descriptor. */
#define PBUF_LINK_ENCAPSULATION_HLEN 16

/* Protocols */
#define LWIP_IPV4 1
#define LWIP_IPV6 0
#define LWIP_ARP 1
#define ARP_QUEUEING 1
/* Answers to a burst of first connections wait for one address: lwIP's 3 would lose the rest to a retransmission, 3 s later. */
#define ARP_QUEUE_LEN 32
#define MEMP_NUM_ARP_QUEUE 64
#define LWIP_ICMP 1
#define LWIP_RAW 1
#define LWIP_UDP 1
#define LWIP_TCP 1
#define LWIP_DHCP 1
#define DHCP_DOES_ARP_CHECK 0
#define LWIP_DNS 1
#define DNS_MAX_SERVERS 2
#define DNS_TABLE_SIZE 8
/* "localhost" without asking anybody. */
#define DNS_LOCAL_HOSTLIST 1
#define DNS_LOCAL_HOSTLIST_INIT {DNS_LOCAL_HOSTLIST_ELEM("localhost", IPADDR4_INIT_BYTES(127, 0, 0, 1))}
#define IP_FRAG 1
#define IP_REASSEMBLY 1
/* Two datagrams of 64 KiB in pieces, each way. */
#define IP_REASS_MAX_PBUFS 96
#define MEMP_NUM_FRAG_PBUF 192
#define IP_FORWARD 0
#define LWIP_HAVE_LOOPIF 1
#define LWIP_NETIF_LOOPBACK 1
#define LWIP_LOOPBACK_MAX_PBUFS 0
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_NETIF_LINK_CALLBACK 1
#define LWIP_SUPPORT_CUSTOM_PBUF 1

/* TCP: windows for a fast link (scaled), selective acknowledgements, room for a burst. */
#define TCP_MSS 1460
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 4
#define TCP_WND (256 * 1024)
#define TCP_SND_BUF (256 * 1024)
#define TCP_SND_QUEUELEN (4 * TCP_SND_BUF / TCP_MSS)
/* Writable again at this much room (lwIP wants it below 64 KiB). */
#define TCP_SNDLOWAT (32 * 1024)
#define TCP_QUEUE_OOSEQ 1
#define LWIP_TCP_SACK_OUT 1
#define TCP_LISTEN_BACKLOG 1
#define LWIP_TCP_KEEPALIVE 1
/* They compare the window with the pbuf pool, from which nothing is received here. */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1

/* A link may leave TCP and UDP sums to the device: said per interface, decided per frame (net_interface.cpp). */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHECKSUM_ON_COPY 0
#define LWIP_CHKSUM_ALGORITHM 3

/* Sockets: names and descriptors are ours (kernel/network/sockets.cpp). */
#define LWIP_NETCONN 1
#define LWIP_SOCKET 1
#define LWIP_COMPAT_SOCKETS 0
#define LWIP_POSIX_SOCKETS_IO_NAMES 0
#define LWIP_SOCKET_SELECT 0
#define LWIP_SOCKET_POLL 1
#define LWIP_SO_RCVTIMEO 1
#define LWIP_SO_SNDTIMEO 1
#define LWIP_SO_RCVBUF 1
#define LWIP_SO_LINGER 1
#define LWIP_TIMEVAL_PRIVATE 0
#define SO_REUSE 1
#define LWIP_ERRNO_STDINCLUDE 1

#define LWIP_STATS 1
#define LWIP_STATS_LARGE 1
#define LWIP_STATS_DISPLAY 0

/* Hooks (lwip_hooks.h): random numbers and initial sequence numbers (RFC 6528) from the system's generator. */
#define LWIP_HOOK_FILENAME "lwip_hooks.h"
#define LWIP_HOOK_TCP_ISN ringside_tcp_isn
/* Corrections: what arrives while the window is closed, a new connection where an old one is in TIME-WAIT, and sockets of connections that lwIP
   forgets (tcp_hooks.cpp). */
#define LWIP_HOOK_IP4_INPUT(packet, interface) ringside_part_from_owners()
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, option_length, option_length1, option2, packet) ringside_tcp_input(pcb, header, packet)

#endif
