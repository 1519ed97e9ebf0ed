// One Ethernet link as the TCP/IP stack sees it: what a network driver's adapter implements, so that the stack knows no virtio and
// the driver no lwIP. The adapter (device manager) owns the Link and calls attach_link() once; the stack owns the LinkClient. All calls
// in both directions happen in task context on processor 0; poll() runs in the stack's own task for this link, and the client's functions
// are called from inside poll(), transmit() or flush() only.
//
//     struct VirtioLink final : kernel::Link { ... };
//     static VirtioLink link(device);
//     auto attached = kernel::attach_link(link);            // starts the stack, then DHCP or the address of ip=
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel/time/clock.hpp"
#include "libvirtio/base.hpp"

namespace kernel {

using MacAddress = std::array<std::uint8_t, 6>;

/// A piece of a received frame, lent to the client: it comes back by Link::recycle(token), once for every piece.
struct ReceivedPiece {
    void* data = nullptr;
    std::uint32_t length = 0;
    std::uint32_t token = 0;
};

struct ReceivedFrame {
    std::span<const ReceivedPiece> pieces; // in order; the Ethernet header is at the start of the first, without a virtio header
    bool checksum_valid = false;           // TCP/UDP checksum need not be looked at (the device checked it, or it never left the host)
};

struct TransmitPiece {
    const void* data = nullptr;
    std::uint32_t length = 0;
};

/// A frame to send. The memory of the pieces stays as it is until transmitted(cookie).
struct TransmitFrame {
    std::span<const TransmitPiece> pieces;
    void* cookie = nullptr;
    std::uint32_t headroom = 0;        // writable bytes in front of the first piece, lent with it: room for the device's own header
    bool needs_checksum = false;       // only if Capabilities::transmit_checksum: the pseudo header's sum is in the checksum field,
    std::uint16_t checksum_start = 0;  // the device adds from here (offset from the Ethernet header) to the end
    std::uint16_t checksum_offset = 0; // and stores the result there (offset from checksum_start)
};

class LinkClient {
public:
    /// The client has the pieces until it recycles them, during this call or later.
    virtual void received(const ReceivedFrame& frame) = 0;
    /// The device has let go of the frame with this cookie (or the driver dropped it).
    virtual void transmitted(void* cookie) = 0;
    virtual void link_changed() = 0;

protected:
    ~LinkClient() = default;
};

class Link {
public:
    struct Capabilities {
        bool transmit_checksum = false;    // a partial TCP/UDP checksum is completed (VIRTIO_NET_F_CSUM)
        bool receive_checksum = false;     // checksum_valid may be true (VIRTIO_NET_F_GUEST_CSUM)
        bool lends = false;                // a received piece may be kept and read in place; else it is the device's still: copied first
        std::uint32_t receive_buffers = 0; // how many pieces there are in all
        std::uint32_t maximum_pieces = 8;  // per transmitted frame; longer chains are joined before
    };

    [[nodiscard]] virtual const char* name() const = 0; // "net0"
    [[nodiscard]] virtual MacAddress mac() const = 0;
    [[nodiscard]] virtual std::uint16_t mtu() const = 0; // without the Ethernet header
    [[nodiscard]] virtual bool up() const = 0;
    [[nodiscard]] virtual Capabilities capabilities() const = 0;

    /// Whether there is a device behind it.
    [[nodiscard]] virtual bool present() const = 0;
    /// Called once, before anything else below; frames may arrive afterwards.
    [[nodiscard]] virtual virtio::Result<> open(LinkClient& client) = 0;

    /// Queues one frame and does not wait. ring_full: nothing was taken; the link arranges that wait() ends when
    /// there is room again, and the frame is offered anew.
    [[nodiscard]] virtual virtio::Result<> transmit(const TransmitFrame& frame) = 0;
    /// Tells the device about what was queued since the last flush().
    virtual void flush() = 0;

    /// Gives a received piece back to the driver.
    virtual void recycle(std::uint32_t token) = 0;
    /// How many receive buffers the device can still fill; below a quarter the client copies instead of borrowing.
    [[nodiscard]] virtual std::uint32_t buffers_posted() const = 0;

    /// Reports what happened (at most `budget` frames); true if there is more to do at once.
    virtual bool poll(std::uint32_t budget) = 0;
    /// Sleeps until poll() has something to do, or the deadline.
    virtual void wait(std::uint64_t deadline_ns = kNever) = 0;

protected:
    ~Link() = default;
};

/// The device behind an attached link goes or comes: `change()` runs while the stack is held off, then the stack takes over what is new
/// (address, MTU, offloads, link state). Connections outlive it, as they outlive a link that is down for a while.
void change_link(Link& link, void (*change)(void* context), void* context);
template<class Change> void change_link(Link& link, Change change) {
    change_link(link, [](void* context) { (*static_cast<Change*>(context))(); }, &change);
}

/// Starts the stack if it does not run, adds the link, and configures it: ip=A.B.C.D/NN,gateway[,dns] on the command line, else DHCP.
/// The first link attached is the default route.
[[nodiscard]] virtio::Result<> attach_link(Link& link);

} // namespace kernel
