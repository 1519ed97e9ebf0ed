#include "kernel/device_manager/net_link.hpp"

#include <array>
#include <cstdio>

#include "kernel/entropy/entropy.hpp"
#include "kernel/log/log.hpp"

namespace kernel {
namespace {
constexpr std::uint64_t kLongestPauseNs = 60'000'000'000;
}

NetLink::NetLink(unsigned number) noexcept { std::snprintf(name_, sizeof name_, "net%u", number); }

virtio::Result<> NetLink::start(virtio::Platform& platform, virtio::Transport& transport) {
    virtio::NetDevice::Options options;
    options.copy_slots = 0; // the stack lends all its frames
    options.random = [](std::span<std::uint8_t> out) noexcept { random_bytes(std::as_writable_bytes(out)); };
    options.client = {.context = this, .received = received, .transmitted = transmitted, .link_changed = link_changed};
    if (client_ == nullptr) return device_.start(platform, transport, options);
    virtio::Result<> started;
    change_link(*this, [&] { started = device_.start(platform, transport, options); });
    return started;
}

virtio::Result<> NetLink::remove() {
    virtio::Result<> removed;
    change_link(*this, [&] {
        removed = device_.remove();
        lost_ = false;
        pause_ns_ = kShortestPauseNs;
        next_recovery_ns_ = 0;
    });
    return removed;
}

Link::Capabilities NetLink::capabilities() const {
    return {.transmit_checksum = device_.transmits_checksums(),
            .receive_checksum = device_.receives_checksums(),
            // A pool keeps the device away from what the stack works on, and is itself within its reach for ever.
            .lends = device_.device().started() && device_.device().domain().direct(),
            .receive_buffers = device_.receive_buffers(),
            .maximum_pieces = kMostPieces};
}

virtio::Result<> NetLink::open(LinkClient& client) {
    if (client_ != nullptr) return virtio::fail(virtio::Error::already_started);
    client_ = &client;
    return {};
}

virtio::Result<> NetLink::transmit(const TransmitFrame& frame) {
    std::array<std::span<const std::byte>, kMostPieces> fragments;
    if (frame.pieces.size() > fragments.size()) return virtio::fail(virtio::Error::too_many_segments);
    for (std::size_t i = 0; i < frame.pieces.size(); ++i)
        fragments[i] = {static_cast<const std::byte*>(frame.pieces[i].data), frame.pieces[i].length};
    virtio::NetTransmit wanted{
        .fragments = std::span(fragments).first(frame.pieces.size()), .cookie = frame.cookie, .headroom = frame.headroom};
    if (frame.needs_checksum) wanted.checksum = virtio::ChecksumRequest{frame.checksum_start, frame.checksum_offset};
    auto taken = device_.transmit(wanted);
    // The stack keeps the frame and offers it again after the next poll(); the waiter only makes sure that there is one.
    if (!taken && taken.error() == virtio::Error::ring_full) device_.when_room(room_);
    return taken;
}

bool NetLink::poll(std::uint32_t budget) {
    static_cast<void>(device_.poll(budget));
    const virtio::Error state = device_.state();
    if (lost_ || state == virtio::Error::queue_broken || state == virtio::Error::needs_reset) {
        if (now_ns() >= next_recovery_ns_) { // a device that breaks at once again must not keep us busy
            const auto healed = device_.recover();
            // Nor one that cannot be healed: its reset is waited for with the stack's lock held, a second and more, which everybody lacks.
            if (healed)
                pause_ns_ = kShortestPauseNs;
            else if (lost_)
                pause_ns_ = pause_ns_ < kLongestPauseNs / 2 ? pause_ns_ * 2 : kLongestPauseNs;
            next_recovery_ns_ = now_ns() + pause_ns_;
            if (healed || !lost_) {
                log(healed ? LogLevel::warning : LogLevel::error, "%s: %s: %s", name_, virtio::message(state),
                    healed ? "device was reset" : virtio::message(healed.error()));
            }
            lost_ = !healed; // tried again after the pause
        }
    }
    return device_.device().event().pending();
}

void NetLink::received(void* context, const virtio::NetFrame& frame) noexcept {
    auto& link = *static_cast<NetLink*>(context);
    std::array<ReceivedPiece, virtio::NetDevice::kMostPieces> pieces;
    if (link.client_ == nullptr || frame.pieces.size() > pieces.size()) {
        for (const virtio::NetPiece& piece : frame.pieces) link.device_.recycle(piece.token);
        return;
    }
    for (std::size_t i = 0; i < frame.pieces.size(); ++i) pieces[i] = {frame.pieces[i].data, frame.pieces[i].length, frame.pieces[i].token};
    link.client_->received(
        {.pieces = std::span(pieces).first(frame.pieces.size()), .checksum_valid = frame.checksum != virtio::NetChecksum::unknown});
}

void NetLink::transmitted(void* context, void* cookie) noexcept {
    if (auto& link = *static_cast<NetLink*>(context); link.client_ != nullptr) link.client_->transmitted(cookie);
}

void NetLink::link_changed(void* context) noexcept {
    auto& link = *static_cast<NetLink*>(context);
    log(LogLevel::info, "%s: link %s", link.name_, link.up() ? "up" : "down");
    if (link.client_ != nullptr) link.client_->link_changed();
}

} // namespace kernel
