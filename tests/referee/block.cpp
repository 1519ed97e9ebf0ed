#include "tests/referee/block.hpp"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstring>

#include "tests/referee/queue.hpp"

namespace referee {

namespace {

constexpr std::uint64_t kReadOnly = std::uint64_t{1} << 5; // feature bits (5.2.3)
constexpr std::uint64_t kFlush = std::uint64_t{1} << 9;
constexpr std::uint32_t kIn = 0; // request types (5.2.6)
constexpr std::uint32_t kOut = 1;
constexpr std::uint32_t kFlushRequest = 4;
constexpr std::uint32_t kGetId = 8;
constexpr std::uint8_t kOk = 0; // status
constexpr std::uint8_t kIoError = 1;
constexpr std::uint8_t kUnsupported = 2;
constexpr std::uint64_t kSector = 512;
constexpr std::size_t kHeader = 16;
constexpr std::size_t kIdBytes = 20;
constexpr std::size_t kConfigBytes = 96; // up to the last field of 5.2.4

} // namespace

Disk::Disk(const Block& block) : contents_(block.contents), read_only_(block.read_only) { contents_.resize(block.sectors * kSector); }

std::vector<std::uint8_t> Disk::config() const {
    std::vector<std::uint8_t> config(kConfigBytes);
    const std::uint64_t capacity = contents_.size() / kSector;
    std::memcpy(config.data(), &capacity, sizeof capacity);
    return config;
}

std::uint32_t Disk::serve(const Chain& chain, Judge& judge, std::uint16_t queue) {
    struct {
        std::uint32_t type = 0;
        std::uint32_t reserved = 0;
        std::uint64_t sector = 0;
    } header;
    static_assert(sizeof header == kHeader);
    const std::uint64_t writable = chain.writable_bytes();
    if (chain.read(0, &header, kHeader) != kHeader || writable == 0) return 0; // no place for a status
    const std::uint64_t out = chain.readable_bytes() - kHeader;
    const std::uint64_t in = writable - 1;
    const std::uint64_t bytes = header.type == kOut ? out : in;
    std::uint8_t status = kOk;
    std::uint64_t written = 0;
    switch (header.type) {
    case kIn:
    case kOut: {
        const bool whole = bytes % kSector == 0 && (header.type == kIn ? out : in) == 0;
        judge.hold(whole, Clause::blk_019, queue, "request of type %u with %" PRIu64 " bytes out and %" PRIu64 " in", header.type, out, in);
        const std::uint64_t sectors = contents_.size() / kSector;
        const bool inside = header.sector <= sectors && (bytes + kSector - 1) / kSector <= sectors - header.sector;
        judge.hold(inside, Clause::blk_015, queue, "sector %" PRIu64 ", %" PRIu64 " bytes, the disk has %" PRIu64 " sectors", header.sector,
                   bytes, sectors);
        if (!whole || !inside || (header.type == kOut && read_only_)) {
            status = kIoError;
        } else if (header.type == kOut) {
            chain.read(kHeader, contents_.data() + header.sector * kSector, bytes);
        } else {
            written = chain.write(0, contents_.data() + header.sector * kSector, bytes);
        }
        break;
    }
    case kFlushRequest:
        judge.hold(header.sector == 0, Clause::blk_017, queue, "flush with sector %" PRIu64, header.sector);
        judge.hold(out == 0 && in == 0, Clause::blk_018, queue, "flush with %" PRIu64 " bytes of data", out + in);
        break;
    case kGetId: {
        judge.hold(in == kIdBytes, Clause::blk_021, queue, "get-ID with %" PRIu64 " bytes of room", in);
        static constexpr std::array<char, kIdBytes> kName{"referee"};
        written = chain.write(0, kName.data(), std::min<std::uint64_t>(in, kIdBytes));
        break;
    }
    default: status = kUnsupported; break;
    }
    chain.write(in, &status, 1);
    // What was written in one piece from the start: all of it, status included, or less if the data part was left alone (2.7.8.2).
    return static_cast<std::uint32_t>(written == in ? writable : written);
}

Device make_device(const Block& block, const std::shared_ptr<Disk>& disk) {
    Device device;
    device.type = kBlockType;
    device.features = block.features | (block.flush ? kFlush : 0) | (block.read_only ? kReadOnly : 0);
    device.config = disk->config();
    device.queue_sizes = {block.queue_size};
    device.script = block.script;
    if (block.order) device.script.order = *block.order;
    device.serve = [disk](std::uint16_t queue, const Chain& chain, Judge& judge) { return disk->serve(chain, judge, queue); };
    return device;
}

Device make_device(const Echo& echo_device) {
    Device device;
    device.type = kEntropyType;
    device.features = echo_device.features;
    device.queue_sizes = echo_device.queue_sizes;
    device.script = echo_device.script;
    if (echo_device.order) device.script.order = *echo_device.order;
    device.serve = [](std::uint16_t, const Chain& chain, Judge&) { return echo(chain); };
    return device;
}

} // namespace referee
