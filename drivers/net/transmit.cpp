// Sending: a frame takes a slot (header, bookkeeping) and its descriptors, and gives both back when the device is done. Completions
// do not interrupt; they are collected by the next activity, by a tick while a caller's memory is out, or by the one interrupt that
// when_room() asks for.

#include <array>

#include "drivers/net/net.hpp"
#include "libvirtio/bytes.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

constexpr std::size_t kHeaderStride = 16;
constexpr std::uint16_t kFarAhead = 0x8000; // completions; half of what an index can tell

} // namespace

inline NetDevice::TransmitSlot* NetDevice::take(FreeList& list) noexcept {
    if (list.head == kNoSlot) return nullptr;
    TransmitSlot& slot = slots_[list.head];
    list.head = slot.next;
    return &slot;
}

inline void NetDevice::put(TransmitSlot& slot) noexcept {
    FreeList& list = slot.index < copy_slots_ ? free_copies_ : free_;
    slot.next = list.head;
    list.head = slot.index;
}

inline void NetDevice::reclaim_if_short() noexcept {
    if (transmit_.room() < transmit_.size() / 2) reclaim();
}

// One descriptor on its way: what nearly every frame is, so without a call in between. Where it fails, the caller puts the slot back.
[[gnu::always_inline]] inline Result<> NetDevice::send(TransmitSlot& slot, const Segment& segment, std::size_t length) noexcept {
    if (!fixed_transmit_) [[unlikely]]
        return send_many(slot, {&segment, 1}, length);
    transmit_.fix_readable(slot.index, segment);
    const Result<> added = transmit_.add_fixed(slot.index, slot);
    if (added) [[likely]]
        count(length);
    return added;
}

Result<> NetDevice::send_many(TransmitSlot& slot, std::span<const Segment> segments, std::size_t length) noexcept {
    Result<> added;
    if (fixed_transmit_) {
        added = transmit_.fix_table(slot.index, segments);
        if (added) added = transmit_.add_fixed(slot.index, slot);
    } else {
        added = transmit_.add(segments, {}, slot);
    }
    if (added) count(length);
    return added;
}

Result<> NetDevice::create_transmit() noexcept {
    slot_count_ = transmit_.size();
    fixed_transmit_ = device_.features().has(RingFeature::indirect_desc);
    longest_sent_ = std::uint32_t{mtu_} + kEthernetHeader;
    copy_slots_ = options_.copy_slots < slot_count_ ? options_.copy_slots : slot_count_;
    slots_ = static_cast<TransmitSlot*>(platform_->allocate(sizeof(TransmitSlot) * slot_count_, alignof(TransmitSlot)));
    if (slots_ == nullptr) return fail(Error::out_of_memory);
    for (std::uint16_t i = 0; i < slot_count_; ++i) slots_[i] = {};
    const Result<DmaMemory> headers = domain_->allocate(kHeaderStride * slot_count_, kDmaLine);
    if (!headers) return fail(headers.error());
    headers_ = *headers;
    if (!domain_->direct()) {
        mappings_ = static_cast<DmaMapping*>(platform_->allocate(sizeof(DmaMapping) * kMostSegments * slot_count_, alignof(DmaMapping)));
        if (mappings_ == nullptr) return fail(Error::out_of_memory);
    }
    copy_stride_ = align_up<std::uint32_t>(kNetHeadroom + longest_frame_, kDmaLine);
    while (copy_slots_ != 0) {
        const Result<DmaMemory> copies = domain_->allocate_unfilled(std::size_t{copy_stride_} * copy_slots_, 4096);
        if (copies) {
            copies_ = *copies;
            break;
        }
        copy_slots_ = static_cast<std::uint16_t>(copy_slots_ / 2);
        if (copy_slots_ == 0) return fail(copies.error());
    }
    free_ = {};
    free_copies_ = {};
    for (std::uint16_t i = slot_count_; i-- != 0;) {
        TransmitSlot& slot = slots_[i];
        slot.complete = &NetDevice::transmit_complete;
        slot.owner = this;
        slot.index = i;
        put(slot);
    }
    frames_lent_ = 0;
    quick_frames_ = fixed_transmit_ && domain_->direct() && !framed_otherwise_ ? slot_count_ / 2u : 0;
    quiet_for_ = 0;
    room_wanted_ = false;
    return {};
}

void NetDevice::release_transmit() noexcept {
    if (domain_ == nullptr || slots_ == nullptr) return;
    bool abandoned = false;
    for (std::uint16_t i = 0; i < slot_count_; ++i) abandoned = abandoned || slots_[i].state == Request::State::abandoned;
    if (!abandoned || mutant(460)) { // else the device may still read there: given up for good, and so is what callers lent
        if (headers_) domain_->free(headers_);
        if (copies_) domain_->free(copies_);
    }
    if (mappings_ != nullptr) platform_->free(mappings_, sizeof(DmaMapping) * kMostSegments * slot_count_);
    platform_->free(slots_, sizeof(TransmitSlot) * slot_count_);
    slots_ = nullptr;
    mappings_ = nullptr;
    headers_ = {};
    copies_ = {};
    slot_count_ = copy_slots_ = 0;
    free_ = {};
    free_copies_ = {};
    frames_lent_ = quick_frames_ = 0;
    room_wanted_ = false;
}

inline NetHeader NetDevice::header_for(const std::optional<ChecksumRequest>& checksum) noexcept {
    NetHeader header; // NET-020, NET-048, NET-060, NET-061: all zero but what follows
    if (checksum) {
        header.flags = net_header::kNeedsChecksum;
        header.checksum_start.store(checksum->start);
        header.checksum_offset.store(checksum->offset);
    }
    return header;
}

Result<> NetDevice::transmit(std::span<const std::byte> frame, std::optional<ChecksumRequest> checksum) noexcept {
    if (refuse_ != Error::none && !mutant(461)) [[unlikely]]
        return fail(refuse_);
    if (const Error bad = check(frame.size(), checksum); bad != Error::none && !mutant(462)) [[unlikely]]
        return fail(bad);
    if (free_copies_.head == kNoSlot)
        reclaim();
    else
        reclaim_if_short();
    TransmitSlot* slot = take(free_copies_);
    if (slot == nullptr && !mutant(464)) {
        if (copy_slots_ == 0 && !mutant(463)) return fail(Error::unsupported_request);
        transmit_.count_ring_full();
        return fail(Error::ring_full);
    }
    const std::size_t offset = std::size_t{copy_stride_} * slot->index;
    const NetHeader header = header_for(checksum);
    copy_bytes(copies_.data + offset, &header, sizeof(header));
    copy_bytes(copies_.data + offset + sizeof(header), frame.data(), frame.size());
    slot->lent = false;
    slot->mapped = 0;
    const Segment segment = copies_.segment(offset, static_cast<std::uint32_t>(sizeof(header) + frame.size()));
    const Result<> sent = framed_otherwise_ ? send_copy_otherwise(*slot, frame.size()) : send(*slot, segment, frame.size());
    if (!sent) [[unlikely]]
        put(*slot);
    return sent;
}

// The header and the frame that stand in the slot's copy, as a legacy device wants them.
Result<> NetDevice::send_copy_otherwise(TransmitSlot& slot, std::size_t length) noexcept {
    const std::size_t offset = std::size_t{copy_stride_} * slot.index;
    if (header_missing_ != 0) { // what is left of it ends where the frame begins
        NetHeader header;
        copy_bytes(&header, copies_.data + offset, sizeof header);
        copy_bytes(copies_.data + offset + header_missing_, &header, header_bytes());
    }
    const Segment all = copies_.segment(offset + header_missing_, static_cast<std::uint32_t>(header_bytes() + length));
    if (!header_apart_) return send(slot, all, length);
    const std::array parts{Segment{all.address, header_bytes()}, Segment{all.address + header_bytes(), all.length - header_bytes()}};
    return send_many(slot, parts, length);
}

Result<> NetDevice::transmit(const NetTransmit& frame) noexcept {
    // What nearly every frame is, without a call: one fragment with room for the header in front of it, no checksum, nothing to map,
    // and no need to collect what was sent.
    if (refuse_ == Error::none && frames_lent_ < quick_frames_ && frame.fragments.size() == 1 && frame.headroom >= sizeof(NetHeader) &&
        !frame.checksum) [[likely]] {
        const std::span<const std::byte> only = frame.fragments.front();
        const std::uint32_t index = free_.head;
        if (only.size() - kEthernetHeader <= longest_sent_ - kEthernetHeader && index != kNoSlot) [[likely]] {
            auto* const start = const_cast<std::byte*>(only.data()) - sizeof(NetHeader);
            fill_bytes(start, std::byte{0}, sizeof(NetHeader)); // NET-020, NET-048, NET-060, NET-061
            TransmitSlot& slot = slots_[index];
            slot.cookie = frame.cookie;
            slot.lent = true;
            const auto length = static_cast<std::uint32_t>(only.size());
            transmit_.fix_readable(static_cast<std::uint16_t>(index),
                                   {domain_->direct_address(start), static_cast<std::uint32_t>(length + sizeof(NetHeader))});
            if (transmit_.add_fixed_quickly(static_cast<std::uint16_t>(index), slot)) [[likely]] {
                free_.head = slot.next;
                ++frames_lent_;
                count(length);
                return {};
            }
        }
    }
    return transmit_otherwise(frame);
}

Result<> NetDevice::transmit_otherwise(const NetTransmit& frame) noexcept {
    if (refuse_ != Error::none && !mutant(465)) [[unlikely]]
        return fail(refuse_);
    std::size_t length = 0;
    for (const std::span<const std::byte> fragment : frame.fragments) {
        if (fragment.empty() && !mutant(466)) return fail(Error::invalid_argument);
        if (fragment.size() > longest_frame_ && !mutant(467)) return fail(Error::frame_too_long);
        length += fragment.size();
    }
    if (const Error bad = check(length, frame.checksum); bad != Error::none && !mutant(469)) [[unlikely]]
        return fail(bad);
    reclaim_if_short();
    TransmitSlot* slot = take(free_);
    if (slot == nullptr) slot = take(free_copies_);
    if (slot == nullptr && !mutant(470)) {
        transmit_.count_ring_full();
        return fail(Error::ring_full);
    }
    slot->mapped = 0;
    slot->cookie = frame.cookie;
    slot->lent = true;
    const NetHeader header = header_for(frame.checksum);
    std::span<const std::byte> first = frame.fragments[0];
    const bool in_front = frame.headroom >= sizeof(NetHeader) && !header_apart_;
    if (in_front) {
        // The headroom is lent with the frame: the header stands in front of the payload, in one descriptor.
        first = {first.data() - header_bytes(), first.size() + header_bytes()};
        copy_bytes(const_cast<std::byte*>(first.data()), &header, header_bytes());
    }
    Result<> sent;
    if (in_front && frame.fragments.size() == 1 && domain_->direct()) [[likely]] {
        const Result<DmaMapping> mapping = domain_->map(first.data(), first.size(), DmaDirection::to_device);
        sent = send(*slot, {mapping->address, static_cast<std::uint32_t>(first.size())}, length); // a direct domain maps all of it
    } else {
        sent = send_fragments(*slot, frame, first, header, length);
    }
    if (!sent) [[unlikely]] {
        unmap(*slot);
        put(*slot);
        return sent;
    }
    ++frames_lent_;
    return {};
}

Result<> NetDevice::send_fragments(TransmitSlot& slot, const NetTransmit& frame, std::span<const std::byte> first, const NetHeader& header,
                                   std::size_t length) noexcept {
    std::array<Segment, kMostSegments> segments;
    std::size_t used = 0;
    if (first.size() == frame.fragments[0].size()) { // the header is not in front
        const std::size_t offset = kHeaderStride * slot.index;
        copy_bytes(headers_.data + offset, &header, sizeof(header));
        segments[used++] = headers_.segment(offset, header_bytes());
    }
    Result<> done = map_fragment(slot, first, segments, used);
    for (std::size_t i = 1; done && i < frame.fragments.size(); ++i) done = map_fragment(slot, frame.fragments[i], segments, used);
    if (!done) return done;
    return used == 1 ? send(slot, segments[0], length) : send_many(slot, {segments.data(), used}, length);
}

Result<> NetDevice::map_fragment(TransmitSlot& slot, std::span<const std::byte> bytes, std::span<Segment> segments,
                                 std::size_t& used) noexcept {
    while (!bytes.empty()) {
        if (used == segments.size() && !mutant(471)) return fail(Error::too_many_segments);
        const Result<DmaMapping> mapping = domain_->map(bytes.data(), bytes.size(), DmaDirection::to_device);
        if (!mapping) return fail(mapping.error());
        if (mappings_ != nullptr) mappings_[slot.index * std::size_t{kMostSegments} + slot.mapped++] = *mapping;
        if ((mapping->length == 0 && !mutant(472)) || (mapping->length > bytes.size() && !mutant(473))) return fail(Error::dma_map_failed);
        segments[used++] = {mapping->address, mapping->length};
        bytes = bytes.subspan(mapping->length); // memory may be contiguous for the device only in parts
    }
    return {};
}

void NetDevice::unmap(TransmitSlot& slot) noexcept {
    for (std::uint16_t i = 0; i < slot.mapped; ++i)
        domain_->unmap(mappings_[slot.index * std::size_t{kMostSegments} + i], DmaDirection::to_device);
    slot.mapped = 0;
}

void NetDevice::transmit_complete(Request& request) noexcept {
    auto& slot = static_cast<TransmitSlot&>(request);
    NetDevice& device = *slot.owner;
    if (slot.mapped != 0 || slot.error != Error::none) [[unlikely]]
        transmit_ended(slot);
    void* const cookie = slot.cookie;
    const bool lent = slot.lent;
    device.put(slot); // the client may send at once
    if (!lent) return;
    --device.frames_lent_;
    const NetClient& client = device.options_.client;
    if (client.transmitted != nullptr || mutant(475)) client.transmitted(client.context, cookie);
}

void NetDevice::transmit_ended(TransmitSlot& slot) noexcept {
    slot.owner->unmap(slot);
    if (slot.error != Error::none && !mutant(474)) ++slot.owner->counters_.transmit_ended;
}

unsigned NetDevice::reclaim() noexcept {
    if (reclaiming_ && !mutant(476)) return 0; // a client sends from transmitted()
    reclaiming_ = true;
    const bool wanted = room_wanted_;
    room_wanted_ = false;
    const unsigned done = transmit_.poll(transmit_.size());
    reclaiming_ = false;
    if (done == 0) {
        room_wanted_ = room_wanted_ || wanted;
        return 0;
    }
    quiet_for_ += done;
    if (!room_wanted_ && (wanted || quiet_for_ >= kFarAhead / 2)) quiet_interrupts();
    return done;
}

// Asks for no transmit interrupt in any foreseeable time.
void NetDevice::quiet_interrupts() noexcept {
    quiet_for_ = 0;
    if (device_.features().has(RingFeature::event_idx)) static_cast<void>(transmit_.arm_interrupts(kFarAhead));
    transmit_.suppress_interrupts();
}

void NetDevice::when_room(RoomWaiter& waiter) noexcept {
    const std::uint16_t in_flight = transmit_.in_flight();
    if ((fault_ != Error::none && !mutant(477)) || (in_flight == 0 && !mutant(478))) {
        waiter.on_room(waiter); // there is room, or the next transmit() says why not
        return;
    }
    transmit_.when_room(waiter);
    room_wanted_ = true;
    // One interrupt, when most of what is in flight is done: a new burst is worth it then.
    const auto most = static_cast<std::uint16_t>(in_flight - in_flight / 4);
    if (transmit_.arm_interrupts(most)) device_.event().mark(Device::queue_bit(1));
}

void NetDevice::flush() noexcept {
    if (fault_ != Error::none && !mutant(479)) return;
    if (transmit_.publish()) {
        if (tell_of_frame_) [[unlikely]] {
            tell_of_frame_ = false;
            transmit_.kick_always();
        } else {
            transmit_.kick_if_needed();
        }
    }
    receive_.kick();
}

} // namespace virtio
