// The block device driver: vectored reads and writes, many in flight, with flush, discard and write-zeroes (VIRTIO 1.4, 5.2).
// A BlockDevice is constant-initialised, never moved, and outlived by its platform and transport. One task context at a time:
// whoever owns it; only on_interrupt() belongs to interrupt context. Requests are the caller's objects and, like the memory that
// they name, belong to the driver until they are done. Nothing is sent before kick(), so that a batch costs one notification.
//
//     static constinit virtio::BlockDevice disk;
//     disk.start(board, transport, {.queue_size = 64});
//     static virtio::BlockRequest request;
//     disk.read(request, /*sector*/ 0, first);                // an error value before anything is sent, or queued
//     disk.kick();
//     disk.wait(request, 1'000'000'000);                      // ns; or request.complete and poll()
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "drivers/blk/abi.hpp"
#include "libvirtio/device.hpp"

namespace virtio {

struct BlockOptions {
    std::uint16_t queue_size = 256; // a cap on what the device offers
};

/// One read, write, flush, ... as its owner sees it. `complete` is called from poll() when all of it is done (or has failed); it may
/// submit again, but not wait or stop the device. Reusable as soon as it is done. Never `abandoned` where the bus can cut a
/// device off; otherwise an abandoned request's memory stays the device's for ever.
struct BlockRequest : Request {
    std::uint64_t bytes = 0; // moved so far; all of it when error is none
};

/// Where the device recommends requests to begin and end (VIRTIO 1.4, 5.2.4: topology). Advice only.
struct BlockTopology {
    std::uint8_t physical_block_exponent = 0; // logical blocks per physical one, as a power of two
    std::uint8_t alignment_offset = 0;        // first aligned logical block
    std::uint16_t minimum_io_blocks = 0;
    std::uint32_t optimal_io_blocks = 0;
};

/// What the device can take. Requests beyond it are split by the driver.
struct BlockLimits {
    std::uint32_t block_size = kSectorSize; // requests begin and end at multiples of it
    std::uint32_t segment_bytes = 0;        // longest data segment
    std::uint32_t segments = 0;             // most data segments per chain
    std::uint32_t discard_sectors = 0;      // most per chain; 0: not supported
    std::uint32_t write_zeroes_sectors = 0; // most per chain; 0: not supported
};

/// What poll() leaves behind: the device tells of the next completion, or whoever polls comes again by himself.
enum class PollEnd : std::uint8_t { armed, quiet };

enum class CacheMode : std::uint8_t { write_through, write_back };
enum class Unmap : std::uint8_t { never, allowed };

class BlockDevice {
public:
    static constexpr std::uint64_t kForever = std::numeric_limits<std::uint64_t>::max();
    static constexpr std::size_t kMostSegments = 16;              // per chain; longer lists are resumed
    static constexpr std::uint32_t kMostBytes = 1u << 30;         // per chain
    static constexpr std::uint32_t kLargestBlock = 64 * 1024;     // beyond it the device's block size is taken for 512
    static constexpr std::uint64_t kIdDeadlineNs = 5'000'000'000; // for id()

    using Options = BlockOptions;
    struct Counters {
        std::uint64_t reads = 0, writes = 0, flushes = 0, others = 0; // accepted
        std::uint64_t bytes_read = 0, bytes_written = 0;              // finished
        std::uint64_t refused = 0;                                    // by us: range, alignment, read-only, ...
        std::uint64_t failed = 0;                                     // by the device, or ended by a reset
        std::uint64_t resumed = 0;                                    // further chains of requests beyond the device's limits
        std::uint64_t bounced = 0;                                    // chains through the driver's own memory
        std::uint64_t capacity_changes = 0;
        std::uint64_t resets = 0;
    };

    constexpr BlockDevice() noexcept = default;
    BlockDevice(const BlockDevice&) = delete;
    BlockDevice& operator=(const BlockDevice&) = delete;

    // --- life ---

    /// The whole negotiation. Errors: no_device (another type), feature_missing, feature_refused, dma_domain_missing,
    /// queue_size_invalid (fewer than three descriptors), bad_config, out_of_memory, reset_timeout, device_gone, already_started.
    [[nodiscard]] Result<> start(Platform& platform, Transport& transport, const Options& options = {}) noexcept;
    /// Confirmed reset; requests in flight end with `device_reset`. Errors: busy (inside poll()), reset_timeout.
    Result<> stop() noexcept;
    /// The device has gone, or is about to: as stop(), but requests end with `device_gone`, and so does whatever is asked later. The
    /// transport is forgotten and may be destroyed; start() takes the next one. Errors: those of stop(), for information only; busy.
    Result<> remove() noexcept;
    /// stop(), then start() as before: heals a broken queue and DEVICE_NEEDS_RESET. Requests in flight end with `device_reset`.
    Result<> recover() noexcept;

    // --- requests ---
    // Errors before anything is sent: empty_request, invalid_argument (no memory), unaligned, out_of_range, read_only,
    // unsupported_request, request_in_flight, ring_full (see when_room), queue_broken, not_started, device_gone.
    // Errors in the request: io_error, unsupported_request, bad_response (no status), out_of_range (the disk shrank), device_reset.

    /// Reads whole blocks from `sector` (512 bytes) on. A list of spans, the list itself too, stays as it is until the request is done.
    [[nodiscard]] Result<> read(BlockRequest& request, std::uint64_t sector, std::span<std::byte> into) noexcept;
    [[nodiscard]] Result<> read(BlockRequest& request, std::uint64_t sector, std::span<const std::span<std::byte>> into) noexcept;
    /// Writes; durable after a flush that was submitted when the write was done.
    [[nodiscard]] Result<> write(BlockRequest& request, std::uint64_t sector, std::span<const std::byte> from) noexcept;
    [[nodiscard]] Result<> write(BlockRequest& request, std::uint64_t sector, std::span<const std::span<const std::byte>> from) noexcept;
    /// Makes every write that is done durable. A device without a volatile cache has nothing to do: the request is done at once.
    [[nodiscard]] Result<> flush(BlockRequest& request) noexcept;
    /// The device may forget these sectors; reads give anything afterwards.
    [[nodiscard]] Result<> discard(BlockRequest& request, std::uint64_t sector, std::uint64_t sectors) noexcept;
    /// Reads give zeroes afterwards; with `Unmap::allowed` the device may free the space.
    [[nodiscard]] Result<> write_zeroes(BlockRequest& request, std::uint64_t sector, std::uint64_t sectors,
                                        Unmap unmap = Unmap::never) noexcept;

    /// Publishes what was submitted and notifies the device once, if it wants to know.
    void kick() noexcept { queue_.kick(); }

    /// The owner's service, bounded: takes completions, follows configuration changes, arms interrupts. Returns the work done.
    unsigned poll(PollEnd end = PollEnd::armed) noexcept;
    /// Kicks, polls and sleeps until the request is done. After `timeout_ns` the device is reset, since virtio cannot cancel one
    /// request: it and all others in flight end, and the device is started again. Errors: the request's; timeout; abandoned.
    [[nodiscard]] Result<> wait(BlockRequest& request, std::uint64_t timeout_ns = kForever) noexcept;

    /// Submit, kick and wait in one. While the queue is full they wait for room.
    [[nodiscard]] Result<> read(std::uint64_t sector, std::span<std::byte> into, std::uint64_t timeout_ns = kForever) noexcept;
    [[nodiscard]] Result<> write(std::uint64_t sector, std::span<const std::byte> from, std::uint64_t timeout_ns = kForever) noexcept;
    [[nodiscard]] Result<> flush(std::uint64_t timeout_ns = kForever) noexcept;

    /// Calls `waiter` once, from the next poll() after which a request can be submitted again, or at the end of stop() or recover().
    void when_room(RoomWaiter& waiter) noexcept { room_waiter_ = &waiter; }

    // --- what it is ---

    [[nodiscard]] std::uint64_t sectors() const noexcept { return capacity_; }
    [[nodiscard]] bool read_only() const noexcept { return read_only_; }
    [[nodiscard]] const BlockLimits& limits() const noexcept { return limits_; }
    [[nodiscard]] const BlockTopology& topology() const noexcept { return topology_; }
    /// How many requests can be in flight.
    [[nodiscard]] std::uint16_t depth() const noexcept { return slot_count_; }
    /// What the device calls itself, at most 20 printable characters; asked for once (waits), empty where the device has no name.
    [[nodiscard]] std::string_view id() noexcept;

    /// write_through only where the device says so or needs no flush at all. Errors: device_gone.
    [[nodiscard]] Result<CacheMode> cache_mode() noexcept;
    /// Errors: field_not_negotiated (CONFIG_WCE). Writes made before a switch still need a flush.
    [[nodiscard]] Result<> set_cache_mode(CacheMode mode) noexcept;

    /// The queue is broken or the device asked for a reset: everything fails until recover().
    [[nodiscard]] bool failed() const noexcept { return failed_; }
    /// Called from poll() after the capacity changed; counters().capacity_changes counts it too.
    void (*on_capacity)(BlockDevice& device) noexcept = nullptr;

    /// Interrupt context: acknowledges, marks, wakes.
    void on_interrupt(std::uint16_t vector = 0) noexcept { device_.on_interrupt(vector); }
    [[nodiscard]] Device& device() noexcept { return device_; }
    [[nodiscard]] Virtqueue& queue() noexcept { return queue_; }
    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
    [[nodiscard]] static std::span<const FeatureName> feature_names() noexcept;

private:
    /// Header, status, bounce block and cursor of one request in flight; what the ring knows of it.
    struct Slot : Request {
        BlockDevice* device = nullptr;
        BlockRequest* owner = nullptr;
        BlockHeader* header = nullptr; // in DMA memory, as is
        std::uint8_t* status = nullptr;
        const void* pieces = nullptr; // the caller's list of spans, or &single
        std::span<std::byte> single;
        std::uint64_t sector = 0; // where the chain in flight begins
        std::uint64_t left = 0;   // bytes (or sectors of a range) not yet done, the chain in flight included
        std::size_t piece = 0;    // where the next chain begins: piece, and bytes into it
        std::size_t offset = 0;
        std::uint32_t part = 0; // bytes (sectors) of the chain in flight
        std::uint32_t flags = 0;
        std::uint16_t mappings = 0;
        std::uint16_t index = 0;
        std::uint16_t next_free = 0;
        BlockOperation operation = BlockOperation::in;
        bool bounce = false;
    };
    enum class SlotKind : std::uint8_t { preset, general };

    // blk.cpp
    [[nodiscard]] Result<> bring_up(const Options& options) noexcept;
    [[nodiscard]] Result<> read_limits() noexcept;
    [[nodiscard]] Result<> make_slots() noexcept;
    void free_slots() noexcept;
    Result<> shut(Error error) noexcept;
    void configuration_changed() noexcept;
    void note_failure() noexcept;
    void tell_room() noexcept;
    void take_short_cuts() noexcept;

    // requests.cpp
    [[nodiscard]] Result<> refuse(Error error) noexcept;
    [[nodiscard]] Result<> check(const Request& request, std::uint64_t sector, std::uint64_t sectors) noexcept;
    template<BlockOperation operation>
    [[nodiscard]] Result<> one(BlockRequest& request, std::uint64_t sector, std::span<std::byte> data) noexcept;
    [[nodiscard, gnu::noinline]] Result<> one_with_call(Slot& slot, std::byte* data, BlockOperation operation) noexcept;
    void one_sent(const Slot& slot, BlockRequest& request, std::uint32_t bytes, BlockOperation operation) noexcept;
    [[nodiscard, gnu::noinline]] Result<> one_checked(BlockRequest& request, BlockOperation operation, std::uint64_t sector,
                                                      std::span<std::byte> data) noexcept;
    [[nodiscard]] Result<> submit(BlockRequest& request, BlockOperation operation, std::uint64_t sector, std::uint64_t left,
                                  const void* pieces, std::span<std::byte> single, std::uint32_t flags = 0) noexcept;
    [[nodiscard]] Result<> range(BlockRequest& request, BlockOperation operation, std::uint64_t sector, std::uint64_t sectors,
                                 std::uint32_t most, std::uint32_t flags) noexcept;
    template<class Submit> [[nodiscard]] Result<> now(Submit submit_one, std::uint64_t timeout_ns) noexcept;

    [[nodiscard]] Slot* take_slot(SlotKind preferred) noexcept;
    void give_slot(Slot& slot) noexcept;
    [[nodiscard]] Segment header_segment(const Slot& slot) const noexcept;
    [[nodiscard]] Segment status_segment(const Slot& slot) const noexcept;

    // chains.cpp
    [[nodiscard]] Result<> send(Slot& slot) noexcept;
    [[nodiscard]] Result<> send_data(Slot& slot) noexcept;
    [[nodiscard]] Result<> send_bounce(Slot& slot) noexcept;
    [[nodiscard]] Result<> send_three(Slot& slot, const Segment& data) noexcept;
    /// parts[1..count] are data; the header and the status are added around them.
    [[nodiscard]] Result<> send_parts(Slot& slot, std::span<Segment> parts, std::size_t count) noexcept;
    [[nodiscard]] Result<DmaMapping> lend(Slot& slot, std::byte* data, std::size_t bytes, DmaDirection direction) noexcept;
    void unmap(Slot& slot) noexcept;
    [[nodiscard]] static std::span<std::byte> piece_at(const Slot& slot, std::size_t index) noexcept;
    void read_bounce(Slot& slot) noexcept;
    static void move_cursor(Slot& slot) noexcept;
    template<class Use> static void each_run(Slot& slot, std::uint64_t bytes, Use use) noexcept;

    // requests.cpp
    template<BlockOperation operation> static void one_done(Request& request) noexcept; // a request of one chain without mappings
    [[gnu::noinline, gnu::cold]] void one_failed(Slot& slot, std::uint8_t status) noexcept;
    static void chain_done(Request& request) noexcept; // any other
    void advance(Slot& slot) noexcept;
    void finish(Slot& slot, Error error) noexcept;

    static constexpr std::uint16_t kNoSlot = 0xffff;
    static constexpr std::size_t kHeaderStride = sizeof(BlockHeader) + sizeof(BlockRange);

    Device device_;
    Virtqueue queue_;
    Platform* platform_ = nullptr;
    Transport* transport_ = nullptr;
    DmaDomain* domain_ = nullptr;
    Options options_;

    // What a request touches.
    Slot* slots_ = nullptr;
    DmaMapping* mappings_ = nullptr; // kMostSegments per slot; null in a direct domain
    DmaMemory memory_;               // headers | statuses | id | bounce blocks
    std::size_t statuses_at_ = 0;
    std::size_t id_at_ = 0;
    std::size_t bounce_at_ = 0;
    std::uint64_t fast_bytes_ = 0; // longest request on the shortest way, never beyond the disk; 0: not ready, or memory needs mapping
    std::uint64_t capacity_ = 0;
    BlockLimits limits_;
    std::uint16_t slot_count_ = 0;
    std::uint16_t preset_count_ = 0;
    std::uint16_t free_preset_ = kNoSlot;
    std::uint16_t free_general_ = kNoSlot;
    bool read_only_ = false;
    bool direct_ = false;
    bool indirect_ = false;
    bool ready_ = false; // started, and neither failed nor being stopped
    bool failed_ = false;
    bool polling_ = false; // inside poll(): complete() may not stop the device
    bool resumed_ = false; // chains were added by completions and want a kick
    bool id_known_ = false;
    std::uint8_t id_length_ = 0;
    Error stopped_by_ = Error::not_started;
    RoomWaiter* room_waiter_ = nullptr;
    BlockTopology topology_;
    Counters counters_;
    std::array<char, kBlockIdBytes> id_{};
};

} // namespace virtio
