// The block device's life: negotiation, limits, slots, service, waiting. Requests are in requests.cpp.
#include "drivers/blk/blk.hpp"
#include "libvirtio/bytes.hpp"

#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

constexpr std::array kNames{
    FeatureName{0, "BARRIER"},   FeatureName{1, "SIZE_MAX"},      FeatureName{2, "SEG_MAX"},       FeatureName{4, "GEOMETRY"},
    FeatureName{5, "RO"},        FeatureName{6, "BLK_SIZE"},      FeatureName{7, "SCSI"},          FeatureName{9, "FLUSH"},
    FeatureName{10, "TOPOLOGY"}, FeatureName{11, "CONFIG_WCE"},   FeatureName{12, "MQ"},           FeatureName{13, "DISCARD"},
    FeatureName{15, "LIFETIME"}, FeatureName{14, "WRITE_ZEROES"}, FeatureName{16, "SECURE_ERASE"}, FeatureName{17, "ZONED"},
};

// The writeback field means something only to a driver that can flush (VIRTIO 1.4, 5.2.5.2: offered together).
constexpr std::array kDependencies{
    Dependency{static_cast<std::uint8_t>(BlockFeature::config_wce), static_cast<std::uint8_t>(BlockFeature::flush)}};

constexpr std::size_t kBounceMemory = 256 * 1024; // per device, at most
constexpr std::uint16_t kFewestSlots = 4;
constexpr std::uint16_t kMostPresets = 64;
constexpr unsigned kPollBudget = 1024;

} // namespace

std::span<const FeatureName> BlockDevice::feature_names() noexcept { return kNames; }

Result<> BlockDevice::start(Platform& platform, Transport& transport, const Options& options) noexcept {
    if ((device_.started() || slots_ != nullptr) && !mutant(300)) return fail(Error::already_started);
    if (options.queue_size == 0 && !mutant(301)) return fail(Error::queue_size_invalid);
    platform_ = &platform;
    transport_ = &transport;
    options_ = options;
    const Result<> up = bring_up(options);
    if (up) return up;
    stopped_by_ = up.error();
    ready_ = false;
    fast_bytes_ = 0;
    device_.abort();
    free_slots();
    return up;
}

Result<> BlockDevice::bring_up(const Options& options) noexcept {
    if (const Result<> done = device_.begin(*platform_, *transport_, kBlockDeviceType); !done) return done;
    // Nothing that is not implemented here: no MQ, no LIFETIME, no SECURE_ERASE, no ZONED. BLK-001, BLK-005, BLK-016
    Policy policy{.required = {},
                  .wanted = FeatureSet::of(BlockFeature::size_max, BlockFeature::seg_max, BlockFeature::ro, BlockFeature::blk_size,
                                           BlockFeature::flush, BlockFeature::topology, BlockFeature::config_wce, BlockFeature::discard,
                                           BlockFeature::write_zeroes)};
    if (device_.offered().has(BlockFeature::zoned)) { // BLK-006
        const Result<std::uint8_t> model = device_.config().read(block_config::kZonedModel);
        if (!model || (*model == block_config::kZonedHostManaged && !mutant(303))) policy.wanted.erase(BlockFeature::discard);
    }
    if (const Result<> done = device_.negotiate(policy, kDependencies); !done) return done;
    domain_ = &device_.domain();
    direct_ = domain_->direct();
    indirect_ = device_.features().has(RingFeature::indirect_desc);
    read_only_ = device_.features().has(BlockFeature::ro);
    if (const Result<> done = read_limits(); !done) return done;

    device_.connect_interrupts(1);
    const Result<std::uint32_t> maximum = transport_->queue_maximum(0);
    if (!maximum) return fail(maximum.error());
    // A preset slot cannot take a block in several segments, and a queue of four has no descriptors to spare for a flush.
    const bool no_presets = limits_.segment_bytes < limits_.block_size || (!indirect_ && (*maximum < 8 || options.queue_size < 8));
    const QueueOptions queue{.maximum_size = options.queue_size,
                             .presets = no_presets ? std::uint16_t{0} : kMostPresets,
                             .indirect_entries = kMostSegments + 2,
                             .strict_length = false};
    if (const Result<> done = device_.add_queue(0, queue_, queue); !done) return done;
    if (queue_.size() < 3 && !mutant(304)) return fail(Error::queue_size_invalid); // header, data, status
    if (const Result<> done = make_slots(); !done) return done;
    if (const Result<> done = device_.run(); !done) return done;

    // Read once the device announces changes: none is missed between.
    const Result<std::uint64_t> capacity = device_.config().read(block_config::kCapacity);
    if (!capacity) return fail(capacity.error());
    capacity_ = *capacity;
    failed_ = false;
    ready_ = true;
    take_short_cuts();
    return {};
}

void BlockDevice::take_short_cuts() noexcept {
    if (!ready_ || !direct_)
        fast_bytes_ = 0;
    else
        fast_bytes_ = capacity_ < limits_.segment_bytes / kSectorSize ? capacity_ * kSectorSize : limits_.segment_bytes;
}

Result<> BlockDevice::read_limits() noexcept {
    const Config& config = device_.config();
    const auto read = [&](auto& into, const auto& field) -> Result<> {
        if (!config.valid(field.feature) && !mutant(305)) return {};
        const auto value = config.read(field);
        if (!value) return fail(value.error());
        into = *value;
        return {};
    };
    limits_ = {.block_size = kSectorSize, .segment_bytes = kMostBytes, .segments = 1}; // where the device promises nothing
    topology_ = {};
    std::uint32_t discard_segments = 0;
    std::uint32_t zero_segments = 0;
    for (const Result<>& done :
         {read(limits_.block_size, block_config::kBlkSize), read(limits_.segment_bytes, block_config::kSizeMax),
          read(limits_.segments, block_config::kSegMax), read(limits_.discard_sectors, block_config::kMaxDiscardSectors),
          read(discard_segments, block_config::kMaxDiscardSeg), read(limits_.write_zeroes_sectors, block_config::kMaxWriteZeroesSectors),
          read(zero_segments, block_config::kMaxWriteZeroesSeg), read(topology_.physical_block_exponent, block_config::kPhysicalBlockExp),
          read(topology_.alignment_offset, block_config::kAlignmentOffset), read(topology_.minimum_io_blocks, block_config::kMinIoSize),
          read(topology_.optimal_io_blocks, block_config::kOptIoSize)})
        if (!done) return done;

    if (((limits_.block_size & (limits_.block_size - 1)) != 0 && !mutant(306)) || (limits_.block_size < kSectorSize && !mutant(307)) ||
        (limits_.block_size > kLargestBlock && !mutant(308))) {
        platform_->log(LogLevel::warning, "blk: the device's block size makes no sense here, taken for 512");
        limits_.block_size = kSectorSize; // the protocol's unit in any case
    }
    if (discard_segments == 0 && !mutant(309)) limits_.discard_sectors = 0;
    if (zero_segments == 0 && !mutant(310)) limits_.write_zeroes_sectors = 0;
    if (limits_.segments == 0 && !mutant(311)) limits_.segments = 1;
    if (limits_.segments > kMostSegments && !mutant(312)) limits_.segments = kMostSegments;
    if (limits_.segment_bytes > kMostBytes && !mutant(313)) limits_.segment_bytes = kMostBytes;
    return {};
}

Result<> BlockDevice::make_slots() noexcept {
    preset_count_ = queue_.preset_count();
    if (limits_.segments > queue_.size() - 2u && !mutant(316)) limits_.segments = queue_.size() - 2u;
    if (limits_.segment_bytes < limits_.block_size) { // the queue or its tables may be smaller than asked for
        const std::uint32_t entries = queue_.indirect_entries() < 2 ? 0 : queue_.indirect_entries() - 2u;
        if (std::uint64_t{limits_.segment_bytes} * (entries < limits_.segments ? entries : limits_.segments) < limits_.block_size &&
            !mutant(317))
            return fail(Error::bad_config);
    }
    const std::uint16_t general = queue_.room(); // what presets leave
    // An indirect chain takes one descriptor, a direct one three at least.
    auto count = static_cast<std::uint16_t>(preset_count_ + (queue_.indirect_entries() >= 3 ? general : general / 3));
    const std::size_t affordable = kBounceMemory / limits_.block_size;
    if (count > affordable) count = static_cast<std::uint16_t>(affordable < kFewestSlots ? kFewestSlots : affordable);
    if (preset_count_ > count) preset_count_ = count;

    // What the driver writes, what the device writes, and the bounce blocks stand on lines of their own. The statuses share
    // theirs: each is written by both sides anyway, since it is prefilled.
    statuses_at_ = align_up<std::size_t>(kHeaderStride * count, kDmaLine);
    id_at_ = align_up<std::size_t>(statuses_at_ + count, kDmaLine);
    bounce_at_ = align_up<std::size_t>(id_at_ + kBlockIdBytes, 512);
    Result<DmaMemory> memory = domain_->allocate_unfilled(bounce_at_ + std::size_t{limits_.block_size} * count, 4096);
    if (!memory) return fail(memory.error());
    memory_ = *memory;
    fill_bytes(memory_.data, std::byte{0}, bounce_at_);
    slots_ = static_cast<Slot*>(platform_->allocate(sizeof(Slot) * count, alignof(Slot)));
    if (slots_ == nullptr) return fail(Error::out_of_memory);
    slot_count_ = count;
    if (!direct_) {
        mappings_ = static_cast<DmaMapping*>(platform_->allocate(sizeof(DmaMapping) * kMostSegments * count, alignof(DmaMapping)));
        if (mappings_ == nullptr) return fail(Error::out_of_memory);
    }
    free_preset_ = free_general_ = kNoSlot;
    for (std::uint16_t i = count; i-- != 0;) {
        Slot& slot = slots_[i];
        slot = Slot{};
        slot.device = this;
        slot.header = reinterpret_cast<BlockHeader*>(memory_.data + kHeaderStride * i);
        slot.status = reinterpret_cast<std::uint8_t*>(memory_.data + statuses_at_ + i);
        slot.index = i;
        if (i < preset_count_)
            if (const Result<> set = queue_.preset(i, header_segment(slot), status_segment(slot)); !set) return set;
        give_slot(slot);
    }
    return {};
}

void BlockDevice::free_slots() noexcept {
    if (mappings_ != nullptr) platform_->free(mappings_, sizeof(DmaMapping) * kMostSegments * slot_count_);
    if (slots_ != nullptr) platform_->free(slots_, sizeof(Slot) * slot_count_);
    if (memory_) domain_->free(memory_);
    mappings_ = nullptr;
    slots_ = nullptr;
    memory_ = {};
    slot_count_ = 0;
    preset_count_ = 0;
    free_preset_ = free_general_ = kNoSlot;
    capacity_ = 0;
}

Result<> BlockDevice::shut(Error error) noexcept {
    if (polling_ && !mutant(318)) return fail(Error::busy);
    ready_ = false;
    fast_bytes_ = 0;
    stopped_by_ = Error::not_started;
    polling_ = true; // completions run now: they can neither submit nor stop
    const Result<> confirmed = device_.stop(error);
    polling_ = false;
    bool abandoned = false;
    for (std::uint16_t i = 0; i < slot_count_; ++i) {
        if (slots_[i].state != Request::State::abandoned || slots_[i].owner == nullptr) continue;
        abandoned = true;
        slots_[i].owner->error = Error::abandoned;
        slots_[i].owner->state = Request::State::abandoned;
    }
    if (abandoned && !mutant(319)) {
        platform_->log(LogLevel::error, "blk: the reset was never confirmed; memory of requests in flight stays with the device");
        memory_ = {};
    }
    if (!confirmed) stopped_by_ = confirmed.error();
    failed_ = false;
    resumed_ = false;
    if (slots_ != nullptr) free_slots();
    return confirmed;
}

Result<> BlockDevice::stop() noexcept {
    if (transport_ == nullptr) return {}; // removed, or never started
    const Result<> down = shut(Error::device_reset);
    if (down || down.error() != Error::busy) tell_room(); // who waits for room learns that there is nothing to wait for
    return down;
}

Result<> BlockDevice::remove() noexcept {
    const Result<> down = shut(Error::device_gone);
    if (!down && down.error() == Error::busy) return down;
    device_.forget();
    transport_ = nullptr;
    stopped_by_ = Error::device_gone;
    id_known_ = false;
    id_length_ = 0;
    tell_room();
    return down;
}

void BlockDevice::tell_room() noexcept {
    if (room_waiter_ == nullptr) return;
    RoomWaiter* waiter = room_waiter_;
    room_waiter_ = nullptr;
    waiter->on_room(*waiter);
}

Result<> BlockDevice::recover() noexcept {
    if (polling_ && !mutant(320)) return fail(Error::busy);
    if (transport_ == nullptr && !mutant(321)) return fail(stopped_by_);
    ++counters_.resets;
    Result<> up = shut(Error::device_reset);
    if (up) up = start(*platform_, *transport_, options_);
    tell_room();
    platform_->log(up ? LogLevel::warning : LogLevel::error, up ? "blk: device was reset" : "blk: device did not start again");
    return up;
}

void BlockDevice::note_failure() noexcept {
    if (failed_) return;
    failed_ = true;
    ready_ = false;
    fast_bytes_ = 0;
    if (queue_.broken()) {
        stopped_by_ = Error::queue_broken;
        platform_->log(LogLevel::error, message(queue_.fault()));
    } else {
        stopped_by_ = Error::needs_reset;
        platform_->log(LogLevel::error, "blk: the device needs a reset");
    }
}

void BlockDevice::configuration_changed() noexcept {
    if (device_.needs_reset() && !mutant(322)) return note_failure();
    const Result<std::uint64_t> capacity = device_.config().read(block_config::kCapacity); // BLK-014
    if (!capacity || (*capacity == capacity_ && !mutant(323))) return;
    capacity_ = *capacity;
    take_short_cuts();
    ++counters_.capacity_changes;
    platform_->log(LogLevel::info, "blk: the capacity changed");
    if (on_capacity != nullptr || mutant(324)) on_capacity(*this);
}

unsigned BlockDevice::poll(PollEnd end) noexcept {
    // Taken in any case, or whoever sleeps on the mark would not sleep. (While the device is polled or stopped already, that goes on
    // until there is nothing left.)
    static_cast<void>(device_.event().take());
    if (polling_ && !mutant(326)) return 0;
    if (slots_ == nullptr && !mutant(325)) return 0; // not running
    polling_ = true;
    unsigned work = 0;
    bool more = true;
    while (more && (work < kPollBudget || mutant(327))) {
        queue_.suppress_interrupts();
        work += queue_.poll(kPollBudget - work);
        if (queue_.broken() && !mutant(328)) [[unlikely]] {
            note_failure();
            break;
        }
        if (resumed_) {
            resumed_ = false;
            queue_.kick();
        }
        more = end == PollEnd::armed && queue_.arm_interrupts();
    }
    if (more && !failed_) device_.event().mark(Device::queue_bit(0)); // the budget is used up: again at once
    if (device_.take_config_change()) [[unlikely]] {
        configuration_changed();
        ++work;
    }
    if (room_waiter_ != nullptr && work != 0 && (free_preset_ != kNoSlot || free_general_ != kNoSlot)) tell_room();
    polling_ = false;
    return work;
}

Result<> BlockDevice::wait(BlockRequest& request, std::uint64_t timeout_ns) noexcept {
    if (request.state == Request::State::idle && !mutant(330)) return fail(Error::invalid_argument); // never submitted
    if (platform_ == nullptr && !mutant(331)) return fail(Error::not_started);
    if (polling_ && !mutant(332)) return fail(Error::busy); // a completion may not wait
    const std::uint64_t begun = platform_->now_ns();
    const std::uint64_t deadline = timeout_ns < kForever - begun || mutant(333) ? begun + timeout_ns : kForever;
    kick();
    for (;;) {
        const unsigned work = poll();
        if (request.state != Request::State::in_flight) break;
        if (failed_ && !mutant(334)) { // nothing will ever complete: end everything; the next request finds a fresh device
            static_cast<void>(recover());
            break;
        }
        // The clock decides in any case: a device that interrupts for nothing must not keep us for ever.
        if (platform_->now_ns() >= deadline && !mutant(335)) {
            static_cast<void>(recover());
            return fail(request.state == Request::State::abandoned ? Error::abandoned : Error::timeout);
        }
        if (work == 0) device_.wait(deadline);
    }
    if (request.state == Request::State::abandoned) return fail(Error::abandoned);
    if (request.error != Error::none && !mutant(336)) return fail(request.error);
    return {};
}

std::string_view BlockDevice::id() noexcept {
    if (!id_known_ && (ready_ || mutant(337)) && (!polling_ || mutant(338))) {
        id_known_ = true;
        BlockRequest request;
        Result<> got = submit(request, BlockOperation::get_id, 0, kBlockIdBytes, nullptr, {});
        if (got) got = wait(request, kIdDeadlineNs);
        // A device without a name says so with an error, or with zeroes.
        for (id_length_ = 0; got && id_length_ < kBlockIdBytes; ++id_length_) {
            const char c = id_[id_length_];
            if (c == '\0') break;
            if (c < ' ' || c > '~') id_[id_length_] = '?';
        }
        while (id_length_ != 0 && id_[id_length_ - 1u] == ' ') --id_length_;
    }
    return {id_.data(), id_length_};
}

Result<CacheMode> BlockDevice::cache_mode() noexcept {
    if (!device_.started() && !mutant(339)) return fail(stopped_by_);
    if (!device_.features().has(BlockFeature::flush) && !mutant(340)) return CacheMode::write_through;   // BLK-002
    if (!device_.features().has(BlockFeature::config_wce) && !mutant(341)) return CacheMode::write_back; // BLK-003
    const Result<std::uint8_t> value = device_.config().read(block_config::kWriteback);                  // BLK-004: after FEATURES_OK
    if (!value) return fail(value.error());
    return *value == 0 ? CacheMode::write_through : CacheMode::write_back;
}

Result<> BlockDevice::set_cache_mode(CacheMode mode) noexcept {
    if (!device_.started() && !mutant(342)) return fail(stopped_by_);
    return device_.config().write(block_config::kWriteback, static_cast<std::uint8_t>(mode == CacheMode::write_back ? 1 : 0)); // BLK-025
}

} // namespace virtio
