// Receiving: buffers come back from the device, are checked, put together where a frame spans several, and lent to the client.
// Every word of the device's header is read once, and nothing in it is believed beyond what is checked here.
#include <array>

#include "drivers/net/net.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {

inline void NetDevice::post(ReceiveSlot& slot) noexcept {
    // A queue that is not sound refuses, and the slot stays with us: recover() posts it.
    if (!receive_.add_fixed_quickly(static_cast<std::uint16_t>(slot.index), slot)) [[unlikely]]
        post_otherwise(slot);
}

void NetDevice::post_otherwise(ReceiveSlot& slot) noexcept {
    if (header_apart_) {
        const Segment all = receive_segment(slot);
        const std::array parts{Segment{all.address, header_bytes()}, Segment{all.address + header_bytes(), all.length - header_bytes()}};
        static_cast<void>(receive_.add({}, parts, slot));
        return;
    }
    static_cast<void>(receive_.add_fixed(static_cast<std::uint16_t>(slot.index), slot));
}

// A shorter header ends where the longer one does: frames stand in the same place.
Segment NetDevice::receive_segment(const ReceiveSlot& slot) const noexcept {
    const Segment all = pool_.segment(slot);
    return {all.address + header_missing_, all.length - header_missing_};
}

Result<> NetDevice::create_receive() noexcept {
    constexpr std::uint32_t kPage = 4096 - ReceivePool::kOffset;
    const std::uint32_t queue_size = header_apart_ ? receive_.size() / 2u : receive_.size();
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
        slot.complete = header_missing_ != 0 ? &NetDevice::receive_complete_short : &NetDevice::receive_complete;
        if (!header_apart_) receive_.fix_writable(static_cast<std::uint16_t>(i), receive_segment(slot));
        if (!slot.lent) post(slot);
    }
    receive_.publish(); // announced by run()
    return {};
}

void NetDevice::release_receive() noexcept {
    bool abandoned = false;
    for (std::uint32_t i = 0; i < pool_.count(); ++i) abandoned = abandoned || pool_[i].state == Request::State::abandoned;
    piece_count_ = pieces_wanted_ = pieces_to_skip_ = 0;
    if (abandoned && !mutant(431))
        pool_.quarantine();
    else
        pool_.release();
}

namespace {

/// The words of the device's header that matter, each read once.
inline NetHeader read_header(const NetHeader& wire) noexcept {
    NetHeader header;
    header.flags = load_once(wire.flags);
    header.gso_type = load_once(wire.gso_type);
    if ((header.flags & net_header::kNeedsChecksum) != 0) { // NET-073
        header.checksum_start.store(load_once(wire.checksum_start));
        header.checksum_offset.store(load_once(wire.checksum_offset));
    }
    return header;
}

} // namespace

// By which counter a whole frame is dropped; null: it is good, and `checksum` says what to make of its sum.
[[gnu::always_inline]] inline std::uint64_t* NetDevice::judge(const NetHeader& header, std::uint32_t length,
                                                              NetChecksum& checksum) noexcept {
    if (length > longest_frame_ && !mutant(432)) [[unlikely]]
        return &counters_.dropped_too_long;
    // No receive segmentation offload was negotiated, tunnels included (NET-078 .. NET-082).
    if (header.gso_type != net_header::kGsoNone && !mutant(433)) [[unlikely]]
        return &counters_.dropped_segmentation;
    if (header.flags == 0) return nullptr;
    if ((header.flags & net_header::kNeedsChecksum) != 0) { // unknown bits are ignored (NET-070)
        if (!checksum_in_ && !mutant(434)) return &counters_.dropped_unexpected;
        if ((header.flags & net_header::kUdpTunnelChecksum) != 0 && !mutant(435)) return &counters_.dropped_checksum; // NET-083
        // With RSC_INFO the two fields hold something else (NET-074).
        const std::uint32_t end = std::uint32_t{header.checksum_start.load()} + header.checksum_offset.load() + 2;
        if ((header.flags & net_header::kRscInfo) == 0 && end > length && !mutant(436)) return &counters_.dropped_checksum;
        checksum = NetChecksum::partial;
    } else if ((header.flags & net_header::kDataValid) != 0 && (checksum_in_ || mutant(437))) {
        checksum = NetChecksum::verified;
    }
    return nullptr;
}

// A whole frame, to the client or back to the device.
[[gnu::always_inline]] inline void NetDevice::hand_up(std::span<const NetPiece> pieces, const NetHeader& header,
                                                      std::uint32_t length) noexcept {
    NetFrame frame{pieces, length, NetChecksum::unknown};
    std::uint64_t* reason = judge(header, length, frame.checksum);
    const NetClient& client = options_.client;
    if (client.received == nullptr && reason == nullptr && !mutant(438)) [[unlikely]]
        reason = &counters_.dropped_no_client;
    if (reason != nullptr) [[unlikely]]
        return drop_all(pieces, *reason);
    ++counters_.received_frames;
    counters_.received_bytes += length;
    receive_.count_bytes(length);
    for (const NetPiece& piece : pieces) pool_[piece.token].lent = true;
    client.received(client.context, frame);
}

void NetDevice::drop_all(std::span<const NetPiece> pieces, std::uint64_t& reason) noexcept {
    ++reason;
    for (const NetPiece& piece : pieces) post(pool_[piece.token]);
}

[[gnu::always_inline]] inline void NetDevice::received(ReceiveSlot& slot) noexcept {
    if (slot.error != Error::none && !mutant(439)) [[unlikely]]
        return; // ended by a reset
    if ((pieces_wanted_ | pieces_to_skip_) != 0) [[unlikely]]
        return next_buffer(slot);
    const auto& wire = *reinterpret_cast<const NetHeader*>(slot.data);
    if ((mergeable_ || mutant(440)) && (slot.length >= sizeof(NetHeader) || mutant(441))) { // without MRG_RXBUF the field may hold garbage
        const std::uint16_t count = load_once(wire.buffer_count);
        if (count != 1) [[unlikely]]
            return first_of_many(slot, count);
    }
    // The device's claim: the header and an Ethernet header at least, the lent buffer at most.
    if (slot.length_clamped && !mutant(442)) [[unlikely]]
        return drop(slot, counters_.dropped_length);
    if (slot.length < sizeof(NetHeader) + kEthernetHeader && !mutant(443)) [[unlikely]]
        return drop(slot, counters_.dropped_runt);
    const NetPiece piece{slot.data + sizeof(NetHeader), slot.length - static_cast<std::uint32_t>(sizeof(NetHeader)), slot.index};
    hand_up({&piece, 1}, read_header(wire), piece.length);
}

void NetDevice::receive_complete(Request& request) noexcept {
    auto& slot = static_cast<ReceiveSlot&>(request);
    slot.owner->received(slot);
}

// The header is moved to where others begin; from there on nobody need know.
void NetDevice::receive_complete_short(Request& request) noexcept {
    auto& slot = static_cast<ReceiveSlot&>(request);
    const std::uint32_t missing = slot.owner->header_missing_;
    for (std::uint32_t at = 0; at < slot.owner->header_bytes(); at += sizeof(Le16)) {
        const std::uint16_t word = load_once(*reinterpret_cast<const Le16*>(slot.data + missing + at));
        reinterpret_cast<Le16*>(slot.data + at)->store(word);
    }
    slot.length += missing;
    slot.owner->received(slot);
}

// A frame over several buffers begins, or so the device says.
void NetDevice::first_of_many(ReceiveSlot& slot, std::uint32_t count) noexcept {
    if ((count == 0 && !mutant(444)) || (count > most_pieces_ && !mutant(445))) {
        // More than a frame can need, but possible: skip them all. More than there are buffers: nonsense, skip nothing.
        pieces_to_skip_ = (count == 0 && !mutant(446)) || (count > pool_.count() && !mutant(447)) ? 0 : count - 1;
        return drop(slot, counters_.dropped_buffer_count);
    }
    if ((slot.length_clamped && !mutant(448)) || (slot.length != pool_.capacity() && !mutant(449))) {
        pieces_to_skip_ = count - 1;
        return drop(slot, counters_.dropped_length);
    }
    frame_header_ = read_header(*reinterpret_cast<const NetHeader*>(slot.data));
    frame_length_ = slot.length - static_cast<std::uint32_t>(sizeof(NetHeader));
    pieces_[0] = {slot.data + sizeof(NetHeader), frame_length_, slot.index};
    piece_count_ = 1;
    pieces_wanted_ = count;
}

void NetDevice::next_buffer(ReceiveSlot& slot) noexcept {
    if (pieces_to_skip_ != 0) {
        --pieces_to_skip_;
        return post(slot);
    }
    pieces_[piece_count_++] = {slot.data, slot.length, slot.index};
    frame_length_ += slot.length;
    const bool last = piece_count_ == pieces_wanted_;
    // All buffers but the last are filled to the end (VIRTIO 1.4, 5.1.6.4.1).
    if ((slot.length_clamped && !mutant(450)) || (slot.length == 0 && !mutant(451)) ||
        (!last && slot.length != pool_.capacity() && !mutant(452)))
        return drop_collected(counters_.dropped_length);
    if (!last) return;
    const std::span<const NetPiece> pieces{pieces_.data(), piece_count_};
    piece_count_ = pieces_wanted_ = 0; // no second frame is put together before the client returns
    hand_up_many(pieces);
}

void NetDevice::hand_up_many(std::span<const NetPiece> pieces) noexcept { hand_up(pieces, frame_header_, frame_length_); }

// Gives back what was collected and lets the rest of the frame pass by.
void NetDevice::drop_collected(std::uint64_t& reason) noexcept {
    ++reason;
    pieces_to_skip_ = pieces_wanted_ - piece_count_;
    for (unsigned i = 0; i < piece_count_; ++i) post(pool_[pieces_[i].token]);
    piece_count_ = pieces_wanted_ = 0;
}

void NetDevice::drop(ReceiveSlot& slot, std::uint64_t& reason) noexcept {
    ++reason;
    post(slot);
}

// The device shows all buffers of a frame together (VIRTIO 1.4, 5.1.6.4.1): with the used ring empty, the rest will never come.
void NetDevice::drop_incomplete() noexcept {
    if (pieces_wanted_ != 0 && !mutant(453)) drop_collected(counters_.dropped_incomplete);
    if (!mutant(454)) pieces_to_skip_ = 0;
}

void NetDevice::recycle(std::uint32_t token) noexcept {
    if (!pool_.give_back(token)) [[unlikely]] {
        ++counters_.bad_tokens;
        return;
    }
    if (fault_ == Error::none || mutant(455)) post(pool_[token]); // else the pool may be gone
}

} // namespace virtio
