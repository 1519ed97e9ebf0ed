// One link inside lwIP: a netif, the frames that wait for room in the device, and the receive buffers that lwIP has borrowed. The stack
// owns it (one per attached link, for ever). Everything runs under the core lock but the return of a borrowed buffer. Task context only.
//
//     auto* interface = new (std::nothrow) NetInterface(link);
//     interface->start();
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernel/network/link.hpp"
#include "lwip/netif.h"
#include "lwip/pbuf.h"

namespace kernel {

struct InterfaceCounters {
    std::uint64_t received = 0;
    std::uint64_t received_bytes = 0;
    std::uint64_t received_copied = 0;  // instead of borrowed: small, too few buffers left, or not to be read in place
    std::uint64_t received_dropped = 0; // no memory
    std::uint64_t sent = 0;
    std::uint64_t sent_bytes = 0;
    std::uint64_t sent_waited = 0;  // had to wait for room in the device
    std::uint64_t sent_dropped = 0; // the waiting line was full, or the frame could not be sent
};

class NetInterface final : public LinkClient {
public:
    explicit NetInterface(Link& link) noexcept : link_(link) {}

    [[nodiscard]] virtio::Result<> start();
    /// Another device stands behind the link, or none. Under the core lock.
    void refresh();
    /// Announces what was queued; called at the end of every locked section.
    void flush();
    /// The link's own task: polls it for ever.
    [[noreturn]] void run();

    [[nodiscard]] Link& link() noexcept { return link_; }
    [[nodiscard]] struct netif& netif() noexcept { return netif_; }
    /// Is the waiting line full? Whoever sends now is refused.
    [[nodiscard]] bool full() const noexcept { return waiting_count_ == kWaiting; }
    [[nodiscard]] const InterfaceCounters& counters() const noexcept { return counters_; }

    void received(const ReceivedFrame& frame) override;
    void transmitted(void* cookie) override;
    void link_changed() override;

private:
    /// lwIP knows the pbuf_custom at the start; its free function gets back here.
    struct Lent {
        pbuf_custom custom{};
        NetInterface* owner = nullptr;
        Lent* next = nullptr;
        std::uint32_t token = 0;
    };
    static constexpr std::size_t kWaiting = 512;
    static constexpr std::size_t kMaximumPieces = 16;
    static constexpr std::uint32_t kCopyBelow = 256; // bytes: a copy is cheaper than keeping a whole buffer

    static err_t initialize(struct netif* netif);
    [[nodiscard]] bool make_lent();
    void describe();
    static err_t output(struct netif* netif, pbuf* frame);
    static void give_back(pbuf* lent);
    static void reclaim(void* interface);
    err_t send(pbuf* frame);
    virtio::Result<> hand_over(pbuf* frame);
    void send_waiting();
    pbuf* borrow(const ReceivedFrame& frame, std::uint32_t bytes);
    pbuf* copy(const ReceivedFrame& frame, std::uint32_t bytes);

    Link& link_;
    struct netif netif_{};
    Link::Capabilities capabilities_{};
    std::unique_ptr<Lent[]> lent_;
    Lent* free_lent_ = nullptr;
    std::uint32_t lent_count_ = 0;
    std::array<pbuf*, kWaiting> waiting_{};
    std::size_t waiting_first_ = 0;
    std::size_t waiting_count_ = 0;
    std::uint32_t in_flight_ = 0;
    bool unflushed_ = false;
    bool reclaiming_ = false; // a timer looks for sent frames
    InterfaceCounters counters_;
};

/// Starts lwIP itself, once. Errors: out_of_memory.
[[nodiscard]] virtio::Result<> start_network();

/// Waits until the other sides have confirmed what was written to connections that the program has closed since, or the deadline. Called
/// before the machine goes: what is still in our buffers would be lost with it.
void drain_network(std::uint64_t deadline_ns);

/// The n-th attached link, from 0; null if there are fewer.
[[nodiscard]] NetInterface* network_interface(std::size_t index) noexcept;

/// Is there an interface whose waiting line is full? Waits until there is none (or the deadline).
[[nodiscard]] bool interfaces_full() noexcept;
void wait_for_interfaces(std::uint64_t deadline_ns);
/// Wakes those who wait for room; called under the core lock.
void interface_has_room() noexcept;

/// Waits until an address or a link has changed, or the deadline has passed (false).
[[nodiscard]] bool wait_for_network_change(std::uint64_t deadline_ns);

} // namespace kernel
