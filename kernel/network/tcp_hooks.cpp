// Where lwIP's TCP asks: initial sequence numbers, and a look at every segment before the connection gets it. And what becomes of sockets whose
// connection is over. With the core lock held.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel/entropy/chacha20.hpp"
#include "kernel/entropy/entropy.hpp"
#include "kernel/network/lwip_hooks.h"
#include "kernel/network/sys_arch.hpp"
#include "kernel/time/clock.hpp"
#include "lwip/api.h"
#include "lwip/ip.h"
#include "lwip/priv/api_msg.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/tcp.h"

namespace {

constexpr u32_t kBeyondOld = 0x10000; // between the last number of a connection and the first of its successor

std::array<std::uint8_t, 32> isn_secret;
bool isn_secret_known = false;
constinit u32_t isn_advance = 0; // the clock was put forward by so much

bool later(u32_t number, u32_t than) { return static_cast<std::int32_t>(number - than) > 0; }

/// A client that closes last may use its port again at once. By RFC 9293 (3.6.1) its SYN ends the TIME-WAIT if it is later than all that
/// went before; lwIP answers with an acknowledgement of the old connection, which a client cannot make anything of, for two minutes.
bool begins_anew(const tcp_pcb& old, const tcp_hdr& header) {
    return old.state == TIME_WAIT && (TCPH_FLAGS(&header) & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && later(header.seqno, old.rcv_nxt);
}

/// The old connection is forgotten, and the segment comes in once more.
void begin_anew(tcp_pcb* old, tcp_hdr* header, pbuf* packet) {
    // Its sequence numbers must not be used again; the clock is behind if the old connection sent more than 250 kB a second.
    const u32_t first = ringside_tcp_isn(&old->local_ip, old->local_port, &old->remote_ip, old->remote_port);
    if (!later(first, old->snd_nxt + kBeyondOld)) isn_advance += old->snd_nxt + kBeyondOld + 1 - first;
    tcp_abort(old);

    // As it was before lwIP read it. With options in a second pbuf that is not worth it: the SYN will be repeated.
    const std::size_t length = TCPH_HDRLEN_BYTES(header);
    if (static_cast<std::byte*>(packet->payload) - reinterpret_cast<std::byte*>(header) != static_cast<std::ptrdiff_t>(length) ||
        pbuf_add_header_force(packet, length) != 0)
        return;
    header->src = lwip_htons(header->src);
    header->dest = lwip_htons(header->dest);
    header->seqno = lwip_htonl(header->seqno);
    header->ackno = lwip_htonl(header->ackno);
    header->wnd = lwip_htons(header->wnd);
    pbuf_ref(packet); // one for each of the two who free it
    tcp_input(packet, ip_current_input_netif());
}

/// Data that finds its owner's mailbox full waits, but not behind the other side's end where our own has been confirmed: lwIP never comes back to
/// it in TIME-WAIT, and frees it in LAST-ACK. So the segment with which that would begin is not taken yet: it will be repeated.
bool ends_too_early(const tcp_pcb& pcb, const tcp_hdr& header, const pbuf& packet) {
    const unsigned flags = TCPH_FLAGS(&header);
    if (pcb.callback_arg == nullptr || (flags & TCP_RST) != 0) return false;
    if (pcb.state == LAST_ACK) return pcb.refused_data != nullptr && header.ackno == pcb.snd_nxt && pcb.unsent == nullptr;
    if (pcb.state != FIN_WAIT_1 && pcb.state != FIN_WAIT_2) return false;
    const bool data = packet.tot_len != 0;
    if ((flags & TCP_FIN) == 0 && (!data || pcb.ooseq == nullptr)) return false;
    // What had come out of turn is handed over in pieces of less than 64 KiB.
    const std::size_t wanted = pcb.ooseq != nullptr ? TCP_WND / 0xffff + 1 : 1;
    const ringside_mailbox* const mailbox = static_cast<const netconn*>(pcb.callback_arg)->recvmbox;
    return pcb.refused_data != nullptr || (data && mailbox != nullptr && mailbox->places() < wanted);
}

constinit bool time_wait_begins = false; // perhaps, for a connection that has an owner

/// As `ended` (lwIP's) does it for a connection that has gone, but this is not an error: who polls hears of the end, which is in the mailbox, once.
void end_well(netconn& owner, tcp_err_fn ended) {
    if (owner.state != NETCONN_NONE) return ended(&owner, ERR_CLSD); // somebody waits for the end of close()
    owner.pcb.tcp = nullptr;
    owner.flags |= NETCONN_FLAG_MBOXCLOSED | RINGSIDE_NETCONN_PARTED;
    API_EVENT((&owner), NETCONN_EVT_RCVPLUS, 0);
    for (int others = owner.mbox_threads_waiting - 1; others > 0; --others) ended(&owner, ERR_CLSD);
    owner.pending_err = ERR_OK;
}

/// Who has only finished sending, and then has heard the other side's end, still has a socket for the connection. It goes on by itself from
/// here: lwIP frees what is in TIME-WAIT when its time is over or its memory is wanted, and tells nobody.
void part_from_owner(tcp_pcb& pcb) {
    auto& owner = *static_cast<netconn*>(pcb.callback_arg);
    const tcp_err_fn ended = pcb.errf;
    tcp_arg(&pcb, nullptr);
    tcp_recv(&pcb, nullptr);
    tcp_sent(&pcb, nullptr);
    tcp_poll(&pcb, nullptr, 0);
    tcp_err(&pcb, nullptr);
    end_well(owner, ended);
}

constinit tcp_err_fn last_ack_ended = nullptr; // lwIP's

void ended_in_last_ack(void* owner, err_t error) {
    if (error != ERR_CLSD) return last_ack_ended(owner, error);
    end_well(*static_cast<netconn*>(owner), last_ack_ended);
}

/// In LAST-ACK the last acknowledgement frees the connection, and its owner is told only if he has not heard the other side's end.
void tell_owner_at_last_ack(tcp_pcb& pcb) {
    if (pcb.errf == nullptr || pcb.errf == ended_in_last_ack) return;
    last_ack_ended = pcb.errf;
    tcp_err(&pcb, ended_in_last_ack);
}

} // namespace

extern "C" {

// Before every packet and whenever the core lock is given back: in between, one connection at most has come to its TIME-WAIT, and nothing
// has been allocated.
int ringside_part_from_owners() {
    if (!time_wait_begins) return 0;
    time_wait_begins = false;
    for (tcp_pcb* pcb = tcp_tw_pcbs; pcb != nullptr; pcb = pcb->next)
        if (pcb->callback_arg != nullptr) part_from_owner(*pcb);
    return 0;
}

// RFC 6528: a clock of 4 microseconds plus a keyed function of the connection, so that nobody off the path can guess it.
u32_t ringside_tcp_isn(const ip_addr_t* local_ip, u16_t local_port, const ip_addr_t* remote_ip, u16_t remote_port) {
    if (!isn_secret_known) { // with the first connection: numbers that cannot be guessed cost something
        isn_secret_known = true;
        kernel::random_bytes(std::as_writable_bytes(std::span(isn_secret)));
    }
    std::array<std::uint32_t, 3> connection{ip4_addr_get_u32(ip_2_ip4(local_ip)), ip4_addr_get_u32(ip_2_ip4(remote_ip)),
                                            std::uint32_t{local_port} << 16 | remote_port};
    std::array<std::uint8_t, 12> nonce;
    for (std::size_t i = 0; i < nonce.size(); ++i) nonce[i] = static_cast<std::uint8_t>(connection[i / 4] >> (8 * (i % 4)));
    const auto block = kernel::chacha20_block(isn_secret, 0, nonce);
    const std::uint32_t keyed =
        std::uint32_t{block[0]} | std::uint32_t{block[1]} << 8 | std::uint32_t{block[2]} << 16 | std::uint32_t{block[3]} << 24;
    return static_cast<u32_t>(kernel::now_ns() / 4000) + isn_advance + keyed;
}

// With its receive window closed, lwIP takes every empty segment for one outside the window and answers with an empty segment. When both
// ends of a connection are lwIP and both windows are closed, the answers never end; over loopback they even keep every other task from
// running, so that nobody opens a window again. By RFC 9293 (3.10.7.4) an empty segment at the next expected number is inside a closed
// window: a window of one byte makes lwIP see it so. It is not announced (less than a segment), and lwIP caps the sum by itself.
err_t ringside_tcp_input(struct tcp_pcb* pcb, struct tcp_hdr* header, struct pbuf* packet) {
    if (begins_anew(*pcb, *header)) {
        begin_anew(pcb, header, packet);
        return ERR_ABRT; // dealt with
    }
    if (ends_too_early(*pcb, *header, *packet)) return ERR_ABRT;
    if (pcb->state == LAST_ACK && pcb->callback_arg != nullptr) {
        tcp_clear_flags(pcb, TF_RXCLOSED);
        tell_owner_at_last_ack(*pcb);
    }
    time_wait_begins = time_wait_begins ||
                       (pcb->callback_arg != nullptr && (pcb->state == FIN_WAIT_1 || pcb->state == FIN_WAIT_2 || pcb->state == CLOSING));
    const bool open_connection = pcb->state >= ESTABLISHED && pcb->state != TIME_WAIT;
    if (open_connection && packet->tot_len == 0 && pcb->rcv_wnd == 0 && header->seqno == pcb->rcv_nxt) pcb->rcv_wnd = 1;
    return ERR_OK;
}
}
