#include <cinttypes>

#include "tests/referee/ring.hpp"

namespace referee {

void RingSide::hash(std::uint64_t& state, const void* data, std::size_t bytes) noexcept {
    const auto* byte = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < bytes; ++i) state = (state ^ byte[i]) * 0x100'0000'01b3u;
}

void RingSide::element(Walk& walk, std::uint64_t address, std::uint32_t length, bool writable) {
    std::byte* const data = bench_.memory.at(address, length);
    if (!bench_.has(feature::kAccessPlatform))
        bench_.judge.hold(data != nullptr, Clause::feat_018, bench_.setup.index, "buffer at 0x%" PRIx64 ", %u bytes: not guest memory",
                          address, length);
    if (data == nullptr) walk.chain.sound = false;
    if (writable)
        walk.writable_seen = true;
    else if (walk.writable_seen)
        walk.order_broken = true;
    (writable ? walk.chain.writable : walk.chain.readable).push_back({address, length, data});
    walk.bytes += length;
    ++walk.elements;
}

const std::byte* RingSide::table(Walk& walk, std::uint64_t address, std::uint32_t length) {
    walk.chain.indirect = true;
    const bool whole = length != 0 && length % sizeof(RawDescriptor) == 0;
    bench_.judge.hold(whole, Clause::rule_004, bench_.setup.index, "indirect table of %u bytes", length);
    const std::byte* const data = bench_.memory.at(address, length);
    if (data == nullptr)
        bench_.judge.violated(Clause::feat_018, bench_.setup.index, "indirect table at 0x%" PRIx64 ", %u bytes: not guest memory", address,
                              length);
    if (!whole || data == nullptr) {
        walk.chain.sound = false;
        return nullptr;
    }
    walk.chain.table = address;
    walk.chain.entries = length / static_cast<std::uint32_t>(sizeof(RawDescriptor));
    return data;
}

void RingSide::finish(Walk& walk) {
    const bool packed = bench_.has(feature::kRingPacked);
    const std::uint16_t queue = bench_.setup.index;
    Judge& judge = bench_.judge;
    if (walk.order_broken || (!walk.chain.readable.empty() && !walk.chain.writable.empty())) {
        judge.hold(!walk.order_broken, Clause::vq_001, queue, "buffer %u: a readable element after a writable one", walk.chain.id);
        if (packed)
            judge.hold(!walk.order_broken, Clause::packed_006, queue, "buffer %u: a readable element after a writable one", walk.chain.id);
    }
    if (walk.elements > 1)
        judge.hold(walk.elements <= bench_.script.excessive || walk.bytes / walk.elements >= 64, Clause::vq_002, queue,
                   "buffer %u: %u descriptors for %" PRIu64 " bytes", walk.chain.id, walk.elements, walk.bytes);
    if (!packed)
        judge.hold(walk.bytes <= std::uint64_t{1} << 32, Clause::split_002, queue, "buffer %u: %" PRIu64 " bytes in one chain",
                   walk.chain.id, walk.bytes);
    // Buffers that cover guest memory many times over are a mistake, and to copy them would take for ever.
    if (walk.bytes / 16 > bench_.memory.size()) walk.chain.sound = false;
    if (packed) {
        // Where the device sets no limit of its own it is the queue's size.
        const std::uint32_t most = bench_.script.longest_chain != 0 ? bench_.script.longest_chain : bench_.setup.size;
        const Clause clause = walk.chain.indirect ? Clause::packed_012 : Clause::packed_004;
        judge.hold(walk.elements <= most, clause, queue, "buffer %u: %u descriptors, the device allows %u", walk.chain.id, walk.elements,
                   most);
    }
}

void RingSide::notified(std::uint32_t value) {
    const std::uint16_t queue = bench_.setup.index;
    bench_.judge.log().add(EventKind::kick, queue, value);
    const bool data = bench_.has(feature::kNotificationData);
    const std::uint32_t number = data ? value & 0xffff : value;
    if (!bench_.has(feature::kNotifConfigData))
        bench_.judge.hold(number == queue, Clause::rule_007, queue, "notified with 0x%x, the queue is %u", value, queue);
    if (bench_.script.threaded) return;
    look();
    if (data) judge_position(static_cast<std::uint16_t>(value >> 16));
    if (unaccounted() == 0) {
        // Without new buffers: allowed (2.9), and said so for packed rings.
        if (bench_.has(feature::kRingPacked)) bench_.judge.held(Clause::notif_015);
        return;
    }
    kick_came(kick_due());
    account();
}

bool RingSide::driver_waits() {
    if (unaccounted() == 0) return true;
    const bool due = kick_due();
    if (due)
        missing_kick(0);
    else
        no_kick_needed();
    account();
    return !due;
}

} // namespace referee
