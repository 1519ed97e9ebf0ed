// Frames of 60 bytes in batches of 32, by the driver's own interface: sent into the first link; and sent into the last but one and
// received from the last, where the two are on one hub. The TCP/IP stack is not asked: its link is stopped and the driver started anew.
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "boot/images/bench/measurement.hpp"
#include "kernel/device_manager/device_manager.hpp"
#include "kernel/device_manager/net_link.hpp"
#include "kernel/device_manager/platform.hpp"
#include "kernel/interrupt/interrupts.hpp"
#include "kernel/task/task.hpp"
#include "kernel/time/clock.hpp"

namespace bench {
namespace {

constexpr std::size_t kFrameBytes = 60, kBatch = 32, kFrames = 256;
constexpr std::uint64_t kDigestNs = 300'000, kPatienceNs = 1'000'000'000;

struct alignas(16) Frame {
    std::array<std::byte, virtio::kNetHeadroom> headroom;
    std::array<std::byte, kFrameBytes> bytes;
    std::array<std::span<const std::byte>, 1> fragments;
    Frame* next;
};

/// A card, and frames that are either free or with it.
class Card {
public:
    void start(kernel::NetLink& link) {
        if (const auto stopped = link.stop(); !stopped) return fail("stopping the link", stopped.error());
        virtio::NetDevice::Options options;
        options.copy_slots = 0;
        options.client = {.context = this, .received = received, .transmitted = transmitted};
        const auto started = device.start(kernel::device_platform(), link.device().device().transport(), options);
        if (!started) return fail("starting the card", started.error());
        frames_.resize(kFrames);
        for (Frame& frame : frames_) {
            const unsigned char header[] = {0x52, 0x54, 0, 0x12, 0x34, 0x57, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x88, 0xb5};
            std::memcpy(frame.bytes.data(), header, sizeof header);
            frame.fragments[0] = frame.bytes;
            put(frame);
        }
    }

    /// A batch into the queue; flush() sends it.
    void queue_batch() {
        for (std::size_t i = 0; i < kBatch; ++i) {
            Frame* frame = free_;
            if (frame == nullptr) return fail("no frame is free");
            free_ = frame->next;
            const auto sent = device.transmit({.fragments = frame->fragments, .cookie = frame, .headroom = virtio::kNetHeadroom});
            if (!sent) return fail("a frame was not taken", sent.error());
        }
    }

    virtio::NetDevice device;
    std::uint64_t frames_received = 0;

private:
    void put(Frame& frame) noexcept {
        frame.next = free_;
        free_ = &frame;
    }
    static void transmitted(void* context, void* cookie) noexcept { static_cast<Card*>(context)->put(*static_cast<Frame*>(cookie)); }
    static void received(void* context, const virtio::NetFrame& frame) noexcept {
        auto& card = *static_cast<Card*>(context);
        ++card.frames_received;
        for (const virtio::NetPiece& piece : frame.pieces) card.device.recycle(piece.token);
    }

    std::vector<Frame> frames_;
    Frame* free_ = nullptr;
};

void transmit(Card& card, std::uint64_t count) {
    Measurement measure("tx60", card.device.device());
    std::uint64_t done = 0;
    for (; done < count && !failed(); done += kBatch) {
        card.queue_batch();
        card.device.flush();
        measure.pause();
        kernel::sleep_until(kernel::now_ns() + kDigestNs); // so that each batch meets a device that has done the last one
        measure.resume();
    }
    measure.end(done);
}

void receive(Card& sender, Card& receiver, std::uint64_t count) {
    Measurement measure("rx60", receiver.device.device());
    std::uint64_t done = 0;
    const std::uint64_t before = receiver.frames_received;
    for (; done < count && !failed(); done += kBatch) {
        measure.pause();
        sender.queue_batch();
        {
            // Not one instruction of the receiver's interrupt is to fall into the pause.
            const kernel::InterruptGuard off;
            sender.device.flush();
            measure.resume();
        }
        while (receiver.frames_received - before < done + kBatch) {
            if (!receiver.device.wait(kernel::now_ns() + kPatienceNs)) {
                fail("frames were lost");
                break;
            }
            static_cast<void>(receiver.device.poll());
        }
    }
    measure.end(done);
}

constinit std::array<Card, 3> cards;

} // namespace

void measure_network() {
    const auto links = kernel::net_links();
    if (!links.empty() && wanted("tx60")) {
        cards[0].start(*links[0]);
        if (!failed()) transmit(cards[0], operations());
    }
    if (links.size() >= 3 && wanted("rx60")) {
        cards[1].start(*links[links.size() - 2]);
        cards[2].start(*links[links.size() - 1]);
        if (!failed()) receive(cards[1], cards[2], operations());
    }
}

} // namespace bench
