// Receiving: buffers come back from the device, are checked, put together where a frame spans several, and lent to the client.
// Every word of the device's header is read once, and nothing in it is believed beyond what is checked here.
#include "drivers/net/net.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {

Result<> NetDevice::create_receive() noexcept {
    constexpr std::uint32_t kPage = 4096 - ReceivePool::kOffset;
    const std::uint32_t queue_size = receive_.size();
    longest_frame_ = std::uint32_t{mtu_} + kEthernetHeader + kVlanTag;
    // NET-066, NET-008: room for the header and a frame of the MTU, and never less than standard Ethernet's.
    const std::uint32_t whole =
        static_cast<std::uint32_t>(sizeof(NetHeader)) + kEthernetHeader + kVlanTag + (mtu_ > kEthernetMtu ? mtu_ : kEthernetMtu);
    const std::uint32_t pages = (whole + kPage - 1) / kPage;
    const std::uint32_t capacity = mergeable_ && 2 * pages <= queue_size && whole > kPage ? kPage : whole;
    const std::uint32_t fitting = options_.receive_memory / capacity;
    const std::uint32_t least = 2 * pages < 8 ? 8 : 2 * pages;
    std::uint32_t count = fitting < least ? least : fitting;
    if (count > queue_size) count = queue_size;
    if (const Result<> made = pool_.create(*platform_, *domain_, count, least < count ? least : count, capacity); !made) return made;
    most_pieces_ = mergeable_ ? (whole + pool_.capacity() - 1) / pool_.capacity() : 1;

    piece_count_ = pieces_wanted_ = pieces_to_skip_ = 0;
    fault_ = Error::none;
    // Slot = descriptor = buffer: written once. A pool of an earlier life may have more slots than the queue now has.
    for (std::uint32_t i = 0; i < pool_.count() && i < queue_size; ++i) {
        ReceiveSlot& slot = pool_[i];
        slot.owner = this;
        slot.complete = &NetDevice::receive_complete;
        receive_.fix_writable(static_cast<std::uint16_t>(i), pool_.segment(slot));
        if (slot.place != ReceiveSlot::Place::client) post(slot);
    }
    receive_.publish(); // announced by run()
    return {};
}

void NetDevice::release_receive() noexcept {
    bool abandoned = false;
    for (std::uint32_t i = 0; i < pool_.count(); ++i) {
        ReceiveSlot& slot = pool_[i];
        abandoned = abandoned || slot.state == Request::State::abandoned;
        if (slot.place != ReceiveSlot::Place::client) slot.place = ReceiveSlot::Place::idle;
    }
    piece_count_ = pieces_wanted_ = pieces_to_skip_ = 0;
    if (abandoned)
        pool_.quarantine();
    else
        pool_.release();
}

void NetDevice::receive_complete(Request& request) noexcept {
    auto& slot = static_cast<ReceiveSlot&>(request);
    slot.owner->received(slot);
}

void NetDevice::received(ReceiveSlot& slot) noexcept {
    slot.place = ReceiveSlot::Place::driver;
    if (slot.error != Error::none) [[unlikely]] { // ended by a reset
        slot.place = ReceiveSlot::Place::idle;
        return;
    }
    if (pieces_to_skip_ != 0) [[unlikely]] {
        --pieces_to_skip_;
        post(slot);
    } else if (pieces_wanted_ == 0) [[likely]] {
        first_buffer(slot);
    } else {
        next_buffer(slot);
    }
}

void NetDevice::first_buffer(ReceiveSlot& slot) noexcept {
    std::byte* const data = pool_.data(slot);
    const auto& wire = *reinterpret_cast<const NetHeader*>(data);
    pieces_wanted_ = 1;
    if (mergeable_ && slot.length >= sizeof(NetHeader)) { // without MRG_RXBUF the field may hold garbage
        pieces_wanted_ = load_once(wire.buffer_count);
        if (pieces_wanted_ == 0 || pieces_wanted_ > most_pieces_) [[unlikely]] {
            // More than a frame can need, but possible: skip them all. More than there are buffers: nonsense, skip nothing.
            if (pieces_wanted_ > pool_.count()) pieces_wanted_ = 0;
            pieces_to_skip_ = pieces_wanted_ == 0 ? 0 : pieces_wanted_ - 1;
            pieces_wanted_ = 0;
            return drop(slot, counters_.dropped_buffer_count);
        }
    }
    // The device's claim: the header and an Ethernet header at least, the lent buffer at most; all of it if the frame goes on.
    pieces_[0] = {data + sizeof(NetHeader), slot.length - static_cast<std::uint32_t>(sizeof(NetHeader)), slot.index};
    piece_count_ = 1;
    if (slot.length_clamped || (pieces_wanted_ > 1 && slot.length != pool_.capacity())) [[unlikely]]
        return drop(counters_.dropped_length);
    if (slot.length < sizeof(NetHeader) + kEthernetHeader) [[unlikely]]
        return drop(counters_.dropped_runt);
    frame_header_.flags = load_once(wire.flags);
    frame_header_.gso_type = load_once(wire.gso_type);
    if ((frame_header_.flags & net_header::kNeedsChecksum) != 0) { // NET-073
        frame_header_.checksum_start.store(load_once(wire.checksum_start));
        frame_header_.checksum_offset.store(load_once(wire.checksum_offset));
    }
    frame_length_ = pieces_[0].length;
    if (pieces_wanted_ == 1) [[likely]]
        deliver();
}

void NetDevice::next_buffer(ReceiveSlot& slot) noexcept {
    pieces_[piece_count_++] = {pool_.data(slot), slot.length, slot.index};
    frame_length_ += slot.length;
    const bool last = piece_count_ == pieces_wanted_;
    // All buffers but the last are filled to the end (VIRTIO 1.4, 5.1.6.4.1).
    if (slot.length_clamped || slot.length == 0 || (!last && slot.length != pool_.capacity())) return drop(counters_.dropped_length);
    if (last) deliver();
}

void NetDevice::deliver() noexcept {
    NetFrame frame;
    frame.length = frame_length_;
    if (frame.length > longest_frame_) [[unlikely]]
        return drop(counters_.dropped_too_long);
    // No receive segmentation offload was negotiated, tunnels included (NET-078 .. NET-082).
    if (frame_header_.gso_type != net_header::kGsoNone) [[unlikely]]
        return drop(counters_.dropped_segmentation);
    const std::uint8_t flags = frame_header_.flags; // unknown bits are ignored (NET-070)
    if ((flags & net_header::kNeedsChecksum) != 0) {
        if (!checksum_in_) return drop(counters_.dropped_unexpected);
        if ((flags & net_header::kUdpTunnelChecksum) != 0) return drop(counters_.dropped_checksum); // NET-083
        // With RSC_INFO the two fields hold something else (NET-074).
        const std::uint32_t end = std::uint32_t{frame_header_.checksum_start.load()} + frame_header_.checksum_offset.load() + 2;
        if ((flags & net_header::kRscInfo) == 0 && end > frame.length) return drop(counters_.dropped_checksum);
        frame.checksum = NetChecksum::partial;
    } else if ((flags & net_header::kDataValid) != 0 && checksum_in_) {
        frame.checksum = NetChecksum::verified;
    }
    const NetClient& client = options_.client;
    if (client.received == nullptr) [[unlikely]]
        return drop(counters_.dropped_no_client);
    ++counters_.received_frames;
    counters_.received_bytes += frame.length;
    receive_.counters().bytes += frame.length;
    frame.pieces = {pieces_.data(), piece_count_};
    for (unsigned i = 0; i < piece_count_; ++i) pool_[pieces_[i].token].place = ReceiveSlot::Place::client;
    piece_count_ = pieces_wanted_ = 0;
    client.received(client.context, frame); // no second frame is put together before it returns
}

// Gives back what was collected and lets the rest of the frame pass by.
void NetDevice::drop(std::uint64_t& reason) noexcept {
    ++reason;
    pieces_to_skip_ = pieces_wanted_ - piece_count_;
    pieces_wanted_ = 0;
    for (unsigned i = 0; i < piece_count_; ++i) post(pool_[pieces_[i].token]);
    piece_count_ = 0;
}

void NetDevice::drop(ReceiveSlot& slot, std::uint64_t& reason) noexcept {
    ++reason;
    post(slot);
}

// The device shows all buffers of a frame together (VIRTIO 1.4, 5.1.6.4.1): with the used ring empty, the rest will never come.
void NetDevice::drop_incomplete() noexcept {
    if (pieces_wanted_ != 0) drop(counters_.dropped_incomplete);
    pieces_to_skip_ = 0;
}

void NetDevice::post(ReceiveSlot& slot) noexcept {
    // A broken queue takes nothing: recover() posts it.
    const bool posted = fault_ == Error::none && receive_.add_fixed(static_cast<std::uint16_t>(slot.index), slot);
    slot.place = posted ? ReceiveSlot::Place::device : ReceiveSlot::Place::idle;
}

void NetDevice::recycle(std::uint32_t token) noexcept {
    if (!pool_.give_back(token)) [[unlikely]] {
        ++counters_.bad_tokens;
        return;
    }
    if (fault_ == Error::none) post(pool_[token]); // else the pool may be gone
}

} // namespace virtio
