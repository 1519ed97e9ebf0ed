// A network card: Ethernet frames in and out (VIRTIO 1.4, 5.1). One receive and one transmit queue, checksum offload both ways,
// mergeable receive buffers, link state, MTU. Constant-initialised, needs no heap, outlived by its platform and transport. One
// context at a time (the owner's); on_interrupt() alone belongs to interrupt context.
//
//     static constinit virtio::NetDevice card;
//     card.start(platform, transport, {.client = {.context = &stack, .received = on_frame, .transmitted = on_sent}});
//     card.transmit(frame);  card.transmit(another);  card.flush();          // copied; one publish, one kick
//     for (;;) { card.poll(); card.wait(deadline); }                         // calls the client
//     void on_frame(void*, const virtio::NetFrame& frame) { use(frame); for (auto& piece : frame.pieces) card.recycle(piece.token); }
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "drivers/net/abi.hpp"
#include "drivers/net/receive_pool.hpp"
#include "libvirtio/device.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {

/// A piece of a received frame: one receive buffer, lent until recycle(token).
struct NetPiece {
    std::byte* data = nullptr;
    std::uint32_t length = 0;
    std::uint32_t token = 0;
};

enum class NetChecksum : std::uint8_t {
    unknown,  // look at it yourself
    verified, // the device looked at it (DATA_VALID)
    partial   // right, but the field holds the pseudo header's sum only: the frame never left the host (NEEDS_CSUM)
};

/// A received frame. The Ethernet header is at the start of the first piece; every piece goes back by recycle().
struct NetFrame {
    std::span<const NetPiece> pieces;
    std::uint32_t length = 0;
    NetChecksum checksum = NetChecksum::unknown; // of TCP and UDP; an IPv4 header's is never looked at
};

/// "Sum from `start` (bytes from the Ethernet header) to the frame's end and store the result `offset` bytes after `start`, where
/// the pseudo header's sum stands now" (VIRTIO 1.4, 5.1.6.2).
struct ChecksumRequest {
    std::uint16_t start = 0;
    std::uint16_t offset = 0;
};

/// A frame to send from the caller's memory, which stays as it is until client.transmitted(cookie).
struct NetTransmit {
    std::span<const std::span<const std::byte>> fragments; // none of them empty
    void* cookie = nullptr;
    /// With at least kNetHeadroom writable bytes in front of the first fragment, lent with it, the device's header goes there and
    /// a frame of one fragment takes one descriptor.
    std::uint32_t headroom = 0;
    std::optional<ChecksumRequest> checksum = {}; // only with NetDevice::transmits_checksums()
};
inline constexpr std::uint32_t kNetHeadroom = sizeof(NetHeader);

/// Whom the device tells; called from poll(), transmit() and flush(), never from an interrupt. They may transmit, flush and recycle.
struct NetClient {
    void* context = nullptr;
    void (*received)(void* context, const NetFrame& frame) noexcept = nullptr;
    void (*transmitted)(void* context, void* cookie) noexcept = nullptr; // done with a NetTransmit; sent or given up
    void (*link_changed)(void* context) noexcept = nullptr;
};

/// Everything that happened to frames. Receive drops by reason; refusals of transmit() are the caller's errors and not counted,
/// but for ring_full in the queue's counters.
struct NetCounters {
    std::uint64_t received_frames = 0;
    std::uint64_t received_bytes = 0; // without the device's header, as everywhere here
    std::uint64_t transmitted_frames = 0;
    std::uint64_t transmitted_bytes = 0;
    std::uint64_t dropped_length = 0;       // used length beyond the buffer, or a fragment that does not fill it
    std::uint64_t dropped_runt = 0;         // no room for the device's and the Ethernet header
    std::uint64_t dropped_too_long = 0;     // more than the MTU allows
    std::uint64_t dropped_segmentation = 0; // gso_type of an offload that was not negotiated
    std::uint64_t dropped_checksum = 0;     // checksum position outside the frame, or an impossible combination of flags
    std::uint64_t dropped_unexpected = 0;   // NEEDS_CSUM without GUEST_CSUM
    std::uint64_t dropped_buffer_count = 0; // num_buffers 0 or more than any frame can need
    std::uint64_t dropped_incomplete = 0;   // fewer buffers used than num_buffers announced
    std::uint64_t dropped_no_client = 0;
    std::uint64_t transmit_ended = 0; // frames that a reset ended before the device was done with them
    std::uint64_t link_changes = 0;
    std::uint64_t bad_tokens = 0; // recycle() of something that was not lent

    [[nodiscard]] std::uint64_t received_dropped() const noexcept {
        return dropped_length + dropped_runt + dropped_too_long + dropped_segmentation + dropped_checksum + dropped_unexpected +
               dropped_buffer_count + dropped_incomplete + dropped_no_client;
    }
};

class NetDevice {
public:
    using MacAddress = std::array<std::uint8_t, 6>;

    static constexpr unsigned kBudget = 64;       // frames per poll()
    static constexpr unsigned kMostPieces = 17;   // of a received frame: 65,535 + headers in buffers of a page
    static constexpr unsigned kMostSegments = 18; // of a transmitted one: fragments, split where memory is not contiguous, and header
    static constexpr std::uint64_t kReclaimNs = 10'000'000; // how long a sent frame's memory may wait for the next activity

    struct Options {
        std::uint16_t receive_queue = 256; // caps on what the device offers
        std::uint16_t transmit_queue = 256;
        std::uint16_t copy_slots = 64;           // frames that transmit(span) can have in flight; 0: it is unsupported
        std::uint32_t receive_memory = 4u << 20; // most bytes of receive buffers (at least 8 buffers in any case)
        /// Random bytes for a locally administered address. Without it a device that gives no MAC address is refused.
        void (*random)(std::span<std::uint8_t> out) noexcept = nullptr;
        NetClient client{};
    };

    constexpr NetDevice() noexcept = default;
    NetDevice(const NetDevice&) = delete;
    NetDevice& operator=(const NetDevice&) = delete;

    /// Negotiates, fills the receive queue and goes live. Errors: Device::begin's and negotiate's, bad_config (the address is no
    /// unicast address), out_of_memory, busy (receive buffers of an earlier life are lent and do not fit).
    [[nodiscard]] Result<> start(Platform& platform, Transport& transport, const Options& options) noexcept;
    [[nodiscard]] Result<> start(Platform& platform, Transport& transport) noexcept { return start(platform, transport, Options{}); }
    /// Interrupt context.
    void on_interrupt(std::uint16_t vector = 0) noexcept { device_.on_interrupt(vector); }
    /// The owner's service: link changes, sent frames, at most `budget` received buffers. Returns how much it did; event() stays
    /// marked when there is more.
    unsigned poll(unsigned budget = kBudget) noexcept;
    /// Flushes, then sleeps until there is something to poll (true) or `deadline_ns` comes. With frames of the caller's in flight it
    /// also wakes every kReclaimNs, for poll() to give them back. Calls nobody.
    bool wait(std::uint64_t deadline_ns) noexcept;
    /// Confirmed reset; frames in flight come back through transmitted(). Lent receive pieces stay readable until recycled.
    Result<> stop() noexcept;
    /// The device has gone, or is about to: as stop(), but whatever is asked later ends with `device_gone`, and the link is down. The
    /// transport is forgotten and may be destroyed; start() takes the next one. Errors: those of stop(), for information only.
    Result<> remove() noexcept;
    /// Heals a broken queue, NEEDS_RESET, or a failed start: stop, then start with the options of the last start.
    [[nodiscard]] Result<> recover() noexcept;

    // --- sending ---

    /// Queues a frame from the caller's memory; flush() tells the device. Never queues in software. Errors: link_down, ring_full
    /// (see when_room), frame_too_long, invalid_argument (empty fragment, shorter than an Ethernet header, checksum position outside
    /// the frame), unsupported_request (checksum not negotiated), too_many_segments, dma_map_failed, queue_broken, needs_reset,
    /// device_gone, not_started.
    [[nodiscard]] Result<> transmit(const NetTransmit& frame) noexcept;
    /// The same with a copy of the frame; the caller's memory is free at once. ring_full also when all copy slots are in flight.
    [[nodiscard]] Result<> transmit(std::span<const std::byte> frame, std::optional<ChecksumRequest> checksum = {}) noexcept;
    /// Publishes what was queued and recycled since the last flush, and kicks each queue once if the device wants to know.
    void flush() noexcept;
    /// After ring_full: calls `waiter` once, from the poll() (or transmit) that finds room again. Arms one transmit interrupt.
    void when_room(RoomWaiter& waiter) noexcept;

    // --- receiving ---

    /// Gives a lent piece back to the device (published by the next flush, poll or wait).
    void recycle(std::uint32_t token) noexcept;
    /// Buffers that the device can still fill; a client that holds many copies and recycles at once below a quarter of
    /// receive_buffers().
    [[nodiscard]] std::uint32_t posted() const noexcept { return receive_.in_flight(); }
    [[nodiscard]] std::uint32_t receive_buffers() const noexcept { return pool_.count(); }

    // --- what it is ---

    [[nodiscard]] const MacAddress& mac() const noexcept { return mac_; }
    [[nodiscard]] std::uint16_t mtu() const noexcept { return mtu_; } // without the Ethernet header
    [[nodiscard]] bool link_up() const noexcept { return link_up_; }
    /// Mbit/s, where the device tells.
    [[nodiscard]] std::optional<std::uint32_t> speed() const noexcept { return speed_; }
    [[nodiscard]] std::optional<bool> full_duplex() const noexcept { return full_duplex_; }
    [[nodiscard]] bool transmits_checksums() const noexcept { return checksum_out_; }
    [[nodiscard]] bool receives_checksums() const noexcept { return checksum_in_; }
    /// none while frames can flow; else why not: link_down, queue_broken, needs_reset, device_gone, not_started.
    [[nodiscard]] Error state() const noexcept { return refuse_; }
    [[nodiscard]] const NetCounters& counters() const noexcept { return counters_; }
    [[nodiscard]] const Virtqueue& receive_queue() const noexcept { return receive_; }
    [[nodiscard]] const Virtqueue& transmit_queue() const noexcept { return transmit_; }
    [[nodiscard]] Device& device() noexcept { return device_; }
    [[nodiscard]] const Device& device() const noexcept { return device_; }
    [[nodiscard]] static std::span<const FeatureName> feature_names() noexcept;

private:
    static constexpr std::uint16_t kNoSlot = 0xffff;

    /// One frame on its way out. The first `copy_slots_` slots own a buffer for a copied frame; every slot owns a header.
    struct TransmitSlot : Request {
        NetDevice* owner = nullptr;
        void* cookie = nullptr;
        std::uint16_t index = 0;
        std::uint16_t next = kNoSlot; // free list
        std::uint16_t mapped = 0;     // mappings to undo
        bool lent = false;            // the caller's memory
    };
    /// The slots of one kind that are not in flight.
    struct FreeList {
        std::uint16_t head = kNoSlot;
    };

    // net.cpp: life cycle and configuration
    [[nodiscard]] Result<> bring_up() noexcept;
    [[nodiscard]] Result<Policy> inspect() noexcept;
    [[nodiscard]] Result<> read_link() noexcept;
    void configuration_changed() noexcept;
    void announce_link(bool known) noexcept;
    void refuse(Error error) noexcept;
    void update_state() noexcept;
    void look_for_faults() noexcept;

    // receive.cpp
    [[nodiscard]] Result<> create_receive() noexcept;
    void release_receive() noexcept;
    static void receive_complete(Request& request) noexcept;
    static void receive_complete_short(Request& request) noexcept;
    [[nodiscard]] Segment receive_segment(const ReceiveSlot& slot) const noexcept;
    void received(ReceiveSlot& slot) noexcept;
    void first_of_many(ReceiveSlot& slot, std::uint32_t count) noexcept;
    void next_buffer(ReceiveSlot& slot) noexcept;
    [[nodiscard]] std::uint64_t* judge(const NetHeader& header, std::uint32_t length, NetChecksum& checksum) noexcept;
    void hand_up(std::span<const NetPiece> pieces, const NetHeader& header, std::uint32_t length) noexcept;
    [[gnu::noinline]] void hand_up_many(std::span<const NetPiece> pieces) noexcept;
    [[gnu::noinline]] void drop(ReceiveSlot& slot, std::uint64_t& reason) noexcept;
    [[gnu::noinline, gnu::cold]] void drop_all(std::span<const NetPiece> pieces, std::uint64_t& reason) noexcept;
    [[gnu::noinline]] void post_otherwise(ReceiveSlot& slot) noexcept;
    void drop_collected(std::uint64_t& reason) noexcept;
    void post(ReceiveSlot& slot) noexcept;
    void drop_incomplete() noexcept;

    // transmit.cpp
    [[nodiscard]] Result<> create_transmit() noexcept;
    void release_transmit() noexcept;
    static void transmit_complete(Request& request) noexcept;
    [[nodiscard]] Error check(std::size_t length, const std::optional<ChecksumRequest>& checksum) const noexcept {
        if (length > longest_sent_ && !mutant(480)) return Error::frame_too_long; // NET-009
        if (length < kEthernetHeader && !mutant(481)) return Error::invalid_argument;
        if (!checksum) [[likely]]
            return Error::none;
        if (!checksum_out_ && !mutant(482)) return Error::unsupported_request; // NET-021
        return std::size_t{checksum->start} + checksum->offset + 2 > length && !mutant(483) ? Error::invalid_argument
                                                                                            : Error::none; // NET-047
    }
    [[nodiscard, gnu::noinline]] Result<> transmit_otherwise(const NetTransmit& frame) noexcept;
    [[nodiscard, gnu::noinline, gnu::cold]] Result<> send_copy_otherwise(TransmitSlot& slot, std::size_t length) noexcept;
    [[gnu::noinline, gnu::cold]] static void transmit_ended(TransmitSlot& slot) noexcept;
    [[nodiscard]] TransmitSlot* take(FreeList& list) noexcept;
    void put(TransmitSlot& slot) noexcept;
    void unmap(TransmitSlot& slot) noexcept;
    [[nodiscard]] Result<> map_fragment(TransmitSlot& slot, std::span<const std::byte> bytes, std::span<Segment> segments,
                                        std::size_t& used) noexcept;
    [[nodiscard]] Result<> send(TransmitSlot& slot, const Segment& segment, std::size_t length) noexcept;
    [[nodiscard]] Result<> send_many(TransmitSlot& slot, std::span<const Segment> segments, std::size_t length) noexcept;
    [[nodiscard]] Result<> send_fragments(TransmitSlot& slot, const NetTransmit& frame, std::span<const std::byte> first,
                                          const NetHeader& header, std::size_t length) noexcept;
    void count(std::size_t length) noexcept {
        ++counters_.transmitted_frames;
        counters_.transmitted_bytes += length;
        transmit_.count_bytes(length);
    }
    [[nodiscard]] std::uint32_t header_bytes() const noexcept { return sizeof(NetHeader) - header_missing_; }
    [[nodiscard]] static NetHeader header_for(const std::optional<ChecksumRequest>& checksum) noexcept;
    void reclaim_if_short() noexcept;
    unsigned reclaim() noexcept;
    void quiet_interrupts() noexcept;

    Device device_;
    Virtqueue receive_;
    Virtqueue transmit_;
    Platform* platform_ = nullptr;
    Transport* transport_ = nullptr;
    DmaDomain* domain_ = nullptr;
    Options options_;
    NetCounters counters_;

    // receiving
    ReceivePool pool_;
    std::uint32_t longest_frame_ = 0;
    std::uint32_t most_pieces_ = 1;              // that the longest frame can need
    std::array<NetPiece, kMostPieces> pieces_{}; // of the frame that is being put together
    unsigned piece_count_ = 0;
    unsigned pieces_wanted_ = 0;
    unsigned pieces_to_skip_ = 0; // of a frame that was dropped
    std::uint32_t frame_length_ = 0;
    NetHeader frame_header_;

    // sending
    TransmitSlot* slots_ = nullptr;
    DmaMapping* mappings_ = nullptr; // kMostSegments per slot, where the domain keeps books
    DmaMemory headers_;
    DmaMemory copies_;
    FreeList free_;
    FreeList free_copies_;
    std::uint16_t slot_count_ = 0;
    std::uint16_t copy_slots_ = 0;
    std::uint32_t copy_stride_ = 0;
    std::uint32_t longest_sent_ = 0;
    std::uint32_t quiet_for_ = 0; // completions since used_event was pushed ahead
    std::uint32_t frames_lent_ = 0;
    std::uint32_t quick_frames_ = 0; // so many may be lent on the shortest way; 0: frames need chains or mappings

    MacAddress mac_{};
    std::uint16_t mtu_ = kEthernetMtu;
    std::optional<std::uint32_t> speed_;
    std::optional<bool> full_duplex_;
    Error fault_ = Error::not_started;  // until a recover
    Error refuse_ = Error::not_started; // fault_, or link_down: the one word that transmit() looks at
    bool random_mac_ = false;
    bool link_up_ = false;
    bool tell_of_frame_ = false; // the device may have forgotten to ask
    bool announced_up_ = false;  // what the client knows
    bool mergeable_ = false;
    // A legacy device's framing (VIRTIO 1.4, 5.1.6.1, 5.1.7): a header without its last field, or in a descriptor of its own.
    std::uint8_t header_missing_ = 0; // bytes that its header is shorter than NetHeader: 0 or 2
    bool header_apart_ = false;
    bool framed_otherwise_ = false; // either of the two
    bool fixed_transmit_ = false;   // slot = descriptor = indirect table
    bool checksum_out_ = false;
    bool checksum_in_ = false;
    bool polling_ = false;
    bool reclaiming_ = false;
    bool room_wanted_ = false;
};

} // namespace virtio
