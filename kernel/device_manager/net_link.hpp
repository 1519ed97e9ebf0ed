// A network card of the machine as the TCP/IP stack wants it: virtio::NetDevice behind kernel::Link. The stack's own task for this link
// polls and waits. Owned by the device manager, never freed: after remove() it waits for the next device, of which the stack then hears.
//
//     auto* link = new NetLink(0);
//     auto started = link->start(platform, transport);
//     kernel::attach_link(*link);
#pragma once

#include <cstdint>

#include "drivers/net/net.hpp"
#include "kernel/network/link.hpp"

namespace kernel {

class NetLink final : public Link {
public:
    /// `number`: 0 is "net0".
    explicit NetLink(unsigned number) noexcept;

    /// Errors: those of NetDevice::start.
    virtio::Result<> start(virtio::Platform& platform, virtio::Transport& transport);
    virtio::Result<> stop() { return device_.stop(); }
    /// The device has gone, or is about to: the link is down, frames are refused with `device_gone` until the next start().
    virtio::Result<> remove();
    /// Whether the stack knows the link: it stays there whatever device is behind it.
    [[nodiscard]] bool attached() const noexcept { return client_ != nullptr; }

    const char* name() const override { return name_; }
    MacAddress mac() const override { return device_.mac(); }
    std::uint16_t mtu() const override { return device_.mtu(); }
    bool up() const override { return device_.link_up(); }
    bool present() const override { return device_.state() != virtio::Error::device_gone; }
    Capabilities capabilities() const override;
    virtio::Result<> open(LinkClient& client) override;
    virtio::Result<> transmit(const TransmitFrame& frame) override;
    void flush() override { device_.flush(); }
    void recycle(std::uint32_t token) override { device_.recycle(token); }
    std::uint32_t buffers_posted() const override { return device_.posted(); }
    bool poll(std::uint32_t budget) override;
    void wait(std::uint64_t deadline_ns) override { static_cast<void>(device_.wait(deadline_ns)); }

    [[nodiscard]] virtio::NetDevice& device() noexcept { return device_; }

private:
    static constexpr std::uint64_t kShortestPauseNs = 1'000'000'000;
    static constexpr std::size_t kMostPieces =
        virtio::NetDevice::kMostSegments - 2; // the header, and one cut where memory is not contiguous
    static void received(void* context, const virtio::NetFrame& frame) noexcept;
    static void transmitted(void* context, void* cookie) noexcept;
    static void link_changed(void* context) noexcept;

    virtio::NetDevice device_;
    virtio::RoomWaiter room_{.on_room = [](virtio::RoomWaiter&) noexcept {}};
    LinkClient* client_ = nullptr;
    std::uint64_t next_recovery_ns_ = 0;
    std::uint64_t pause_ns_ = kShortestPauseNs; // between attempts; longer with each that failed
    bool lost_ = false;                         // the last recovery failed
    char name_[8] = {};
};

} // namespace kernel
