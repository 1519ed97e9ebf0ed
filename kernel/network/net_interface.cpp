#include "kernel/network/net_interface.hpp"

#include <cstring>
#include <new>

#include "kernel/log/log.hpp"
#include "kernel/network/core_lock.hpp"
#include "kernel/network/partial_checksum.hpp"
#include "kernel/task/task.hpp"
#include "lwip/etharp.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"

namespace kernel {

namespace {

constexpr std::uint32_t kPollBudget = 64;
constexpr std::uint32_t kReclaimMs = 100; // sent frames whose completion nobody reports are looked for so often

// Frees only the chain's own reference; the pieces may live on.
struct PbufDeleter {
    void operator()(pbuf* chain) const noexcept { pbuf_free(chain); }
};
using PbufReference = std::unique_ptr<pbuf, PbufDeleter>;

/// May the sender change the memory as soon as we return?
bool is_volatile(const pbuf* chain) {
    for (; chain != nullptr; chain = chain->next) {
        if (PBUF_NEEDS_COPY(chain)) return true;
    }
    return false;
}

/// Bytes between a pbuf's own bookkeeping and its payload, where the two are one piece of memory.
std::uint32_t headroom(pbuf& frame) {
    if (frame.len == 0 || (frame.type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS) == 0) return 0;
    const auto* start = reinterpret_cast<std::byte*>(&frame) + LWIP_MEM_ALIGN_SIZE(sizeof(pbuf));
    return static_cast<std::uint32_t>(static_cast<std::byte*>(frame.payload) - start);
}

} // namespace

/// One for each buffer of the device.
bool NetInterface::make_lent() {
    free_lent_ = nullptr;
    lent_count_ = capabilities_.receive_buffers;
    lent_.reset(new (std::nothrow) Lent[lent_count_]);
    if (lent_ == nullptr) {
        lent_count_ = 0;
        return false;
    }
    for (std::uint32_t i = 0; i < lent_count_; ++i) {
        lent_[i].owner = this;
        lent_[i].custom.custom_free_function = give_back;
        lent_[i].next = free_lent_;
        free_lent_ = &lent_[i];
    }
    return true;
}

virtio::Result<> NetInterface::start() {
    capabilities_ = link_.capabilities();
    if (!make_lent()) return virtio::fail(virtio::Error::out_of_memory);
    CoreLock lock;
    if (netif_add_noaddr(&netif_, this, initialize, ethernet_input) == nullptr) return virtio::fail(virtio::Error::out_of_memory);
    if (auto opened = link_.open(*this); !opened) {
        netif_remove(&netif_);
        return opened;
    }
    return {};
}

/// What the device decides.
void NetInterface::describe() {
    const MacAddress mac = link_.mac();
    netif_.hwaddr_len = static_cast<u8_t>(mac.size());
    std::memcpy(netif_.hwaddr, mac.data(), mac.size());
    netif_.mtu = link_.mtu();
    const u16_t generated = NETIF_CHECKSUM_GEN_TCP | NETIF_CHECKSUM_GEN_UDP;
    NETIF_SET_CHECKSUM_CTRL(&netif_, capabilities_.transmit_checksum ? NETIF_CHECKSUM_ENABLE_ALL & ~generated : NETIF_CHECKSUM_ENABLE_ALL);
}

void NetInterface::refresh() {
    if (link_.present()) {
        const std::uint32_t before = capabilities_.receive_buffers;
        capabilities_ = link_.capabilities();
        // Buffers that programs still hold keep their places; more of the new device's than there are places are copied.
        std::uint32_t unused = 0;
        for (const Lent* lent = free_lent_; lent != nullptr; lent = lent->next) ++unused;
        if (capabilities_.receive_buffers != before && unused == lent_count_) static_cast<void>(make_lent());
        describe();
    }
    link_changed();
}

err_t NetInterface::initialize(struct netif* netif) {
    auto& self = *static_cast<NetInterface*>(netif->state);
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->hostname = "ringside";
    self.describe();
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    if (self.link_.up()) netif->flags |= NETIF_FLAG_LINK_UP;
    netif->output = etharp_output;
    netif->linkoutput = output;
    return ERR_OK;
}

// Sending. A frame that the device has no room for waits in line (bounded); transmitted() moves the line.

err_t NetInterface::output(struct netif* netif, pbuf* frame) { return static_cast<NetInterface*>(netif->state)->send(frame); }

err_t NetInterface::send(pbuf* frame) {
    pbuf* sent = frame;
    pbuf_ref(sent);
    PbufReference reference(sent);
    if (is_volatile(frame) ||
        pbuf_clen(frame) > (capabilities_.maximum_pieces < kMaximumPieces ? capabilities_.maximum_pieces : kMaximumPieces)) {
        reference.reset(pbuf_clone(PBUF_RAW, PBUF_RAM, frame));
    }
    if (reference == nullptr) {
        ++counters_.sent_dropped;
        return ERR_MEM;
    }
    if (waiting_count_ == 0) {
        auto handed = hand_over(reference.get());
        if (handed) {
            (void)reference.release();
            return ERR_OK;
        }
        if (handed.error() != virtio::Error::ring_full) {
            ++counters_.sent_dropped;
            return ERR_RTE; // EHOSTUNREACH in a program
        }
    }
    if (waiting_count_ == kWaiting) {
        ++counters_.sent_dropped;
        return ERR_MEM;
    }
    waiting_[(waiting_first_ + waiting_count_++) % kWaiting] = reference.release();
    ++counters_.sent_waited;
    return ERR_OK;
}

/// On success the device has the reference.
virtio::Result<> NetInterface::hand_over(pbuf* frame) {
    std::array<TransmitPiece, kMaximumPieces> pieces;
    std::size_t count = 0;
    for (pbuf* piece = frame; piece != nullptr; piece = piece->next) {
        if (piece->len != 0) pieces[count++] = {piece->payload, piece->len};
    }
    TransmitFrame transmit{.pieces = std::span(pieces).first(count), .cookie = frame, .headroom = headroom(*frame)};
    if (capabilities_.transmit_checksum) {
        if (auto partial = prepare_partial_checksum({static_cast<std::uint8_t*>(frame->payload), frame->len})) {
            transmit.needs_checksum = true;
            transmit.checksum_start = partial->start;
            transmit.checksum_offset = partial->offset;
        }
    }
    auto taken = link_.transmit(transmit);
    if (!taken) return taken;
    unflushed_ = true;
    if (in_flight_++ == 0 && !reclaiming_) {
        reclaiming_ = true;
        sys_timeout(kReclaimMs, reclaim, this);
    }
    ++counters_.sent;
    counters_.sent_bytes += frame->tot_len;
    return {};
}

void NetInterface::send_waiting() {
    const bool was_full = full();
    while (waiting_count_ > 0) {
        pbuf* frame = waiting_[waiting_first_];
        auto handed = hand_over(frame);
        if (!handed && handed.error() == virtio::Error::ring_full) break;
        waiting_first_ = (waiting_first_ + 1) % kWaiting;
        --waiting_count_;
        if (handed) continue;
        ++counters_.sent_dropped;
        pbuf_free(frame);
    }
    if (was_full && !full()) interface_has_room();
}

void NetInterface::transmitted(void* cookie) {
    --in_flight_;
    pbuf_free(static_cast<pbuf*>(cookie));
}

/// The link's own task may sleep without a deadline while others send; this runs in the lwIP task, as its timers do.
void NetInterface::reclaim(void* interface) {
    auto& self = *static_cast<NetInterface*>(interface);
    (void)self.link_.poll(kPollBudget);
    self.reclaiming_ = self.in_flight_ != 0;
    if (self.reclaiming_) sys_timeout(kReclaimMs, reclaim, &self);
}

void NetInterface::flush() {
    send_waiting();
    if (!unflushed_) return;
    unflushed_ = false;
    link_.flush();
}

// Receiving. lwIP borrows the device's own buffers as long as enough stay with the device; small frames are copied.

void NetInterface::received(const ReceivedFrame& frame) {
    std::uint32_t bytes = 0;
    for (const ReceivedPiece& piece : frame.pieces) bytes += piece.length;
    ++counters_.received;
    counters_.received_bytes += bytes;
    const bool scarce = link_.buffers_posted() < capabilities_.receive_buffers / 4;
    const bool lent = capabilities_.lends && !scarce && bytes >= kCopyBelow && bytes <= 0xffff;
    pbuf* chain = lent ? borrow(frame, bytes) : copy(frame, bytes);
    if (chain == nullptr) {
        ++counters_.received_dropped;
        return;
    }
    const u16_t checks = NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP;
    netif_.chksum_flags = static_cast<u16_t>(frame.checksum_valid ? netif_.chksum_flags & ~checks : netif_.chksum_flags | checks);
    if (netif_.input(chain, &netif_) != ERR_OK) pbuf_free(chain);
}

pbuf* NetInterface::borrow(const ReceivedFrame& frame, std::uint32_t bytes) {
    pbuf* chain = nullptr;
    for (const ReceivedPiece& piece : frame.pieces) {
        Lent* lent = free_lent_;
        if (lent == nullptr) { // cannot be while a piece is one of the buffers that were announced
            if (chain == nullptr) return copy(frame, bytes);
            link_.recycle(piece.token);
            continue;
        }
        free_lent_ = lent->next;
        lent->token = piece.token;
        pbuf* part = pbuf_alloced_custom(PBUF_RAW, static_cast<u16_t>(piece.length), PBUF_REF, &lent->custom, piece.data,
                                         static_cast<u16_t>(piece.length));
        if (chain == nullptr) {
            chain = part;
        } else {
            pbuf_cat(chain, part);
        }
    }
    return chain;
}

pbuf* NetInterface::copy(const ReceivedFrame& frame, std::uint32_t bytes) {
    pbuf* chain = bytes <= 0xffff ? pbuf_alloc(PBUF_RAW, static_cast<u16_t>(bytes), PBUF_RAM) : nullptr;
    std::size_t offset = 0;
    for (const ReceivedPiece& piece : frame.pieces) {
        if (chain != nullptr) std::memcpy(static_cast<std::byte*>(chain->payload) + offset, piece.data, piece.length);
        offset += piece.length;
        link_.recycle(piece.token);
    }
    if (chain != nullptr) ++counters_.received_copied;
    return chain;
}

/// Called by pbuf_free(), from any task, with or without the core lock: touches nothing of lwIP.
void NetInterface::give_back(pbuf* piece) {
    Lent* lent = reinterpret_cast<Lent*>(reinterpret_cast<pbuf_custom*>(piece));
    NetInterface& self = *lent->owner;
    lent->next = self.free_lent_;
    self.free_lent_ = lent;
    self.unflushed_ = true;
    self.link_.recycle(lent->token);
}

void NetInterface::link_changed() {
    if (link_.up()) {
        netif_set_link_up(&netif_);
    } else {
        netif_set_link_down(&netif_);
    }
}

void NetInterface::run() {
    for (;;) {
        bool more;
        {
            CoreLock lock; // its end flushes
            more = link_.poll(kPollBudget);
        }
        if (more) {
            yield();
        } else {
            link_.wait();
        }
    }
}

} // namespace kernel
