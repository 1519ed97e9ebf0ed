#include "drivers/balloon/balloon.hpp"

#include "libvirtio/bytes.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

constexpr std::size_t kLaneBytes = std::size_t{4} * BalloonDevice::kBatch;
constexpr std::size_t kStatisticsOffset = 2 * kLaneBytes;
constexpr std::size_t kMemoryBytes = kStatisticsOffset + align_up(kBalloonStatistics * kBalloonStatisticBytes, kDmaLine);

/// Where the reporting queue stands. The specification's number is 4; a device without the hint queue may have counted on
/// without a gap (QEMU: 3), and one without statistics too (2).
Result<std::uint16_t> reporting_queue(Transport& transport, const FeatureSet& offered) noexcept {
    const Result<std::uint32_t> fourth = transport.queue_maximum(kReportingQueue);
    if (!fourth) return fail(fourth.error());
    if (*fourth != 0 || mutant(600)) return kReportingQueue;
    std::uint16_t index = kReportingQueue;
    if (!offered.has(BalloonFeature::free_page_hint)) --index;
    if (index == kReportingQueue && !mutant(601)) return fail(Error::queue_unavailable);
    const Result<std::uint32_t> third = transport.queue_maximum(index);
    if (!third) return fail(third.error());
    if ((*third == 0 || mutant(602)) && !offered.has(BalloonFeature::stats_vq)) --index;
    return index;
}

} // namespace

Result<> BalloonDevice::start(Platform& platform, Transport& transport, const Options& options) noexcept {
    if (device_.started() && !mutant(603)) return fail(Error::already_started);
    if (options.statistics.size() > kBalloonStatistics && !mutant(604)) return fail(Error::invalid_argument);
    options_ = options;
    platform_ = &platform;
    transport_ = &transport;
    pages_ = 0;
    target_ = 0;
    const Result<> running = run();
    if (!running) {
        device_.abort();
        end();
    }
    return running;
}

Result<> BalloonDevice::run() noexcept {
    needs_recovery_ = false;
    if (const Result<> done = device_.begin(*platform_, *transport_, kBalloonType); !done) return done;

    Policy policy;
    policy.wanted = FeatureSet::of(BalloonFeature::must_tell_host); // BALLOON-001
    const bool statistics = (options_.observer != nullptr || mutant(605)) && (options_.observer->statistic != nullptr || mutant(606)) &&
                            (!options_.statistics.empty() || mutant(607));
    if (statistics) policy.wanted.insert(BalloonFeature::stats_vq);
    if (options_.reporting) policy.wanted.insert(BalloonFeature::page_reporting);
    if (options_.deflate_on_oom) policy.wanted.insert(BalloonFeature::deflate_on_oom);
    // FREE_PAGE_HINT and PAGE_POISON are not implemented and never accepted (BALLOON-002, trap 12).
    if (const Result<> done = device_.negotiate(policy, {}); !done) return done;

    domain_ = &device_.domain();
    const Result<DmaMemory> memory = domain_->allocate(kMemoryBytes, kDmaLine);
    if (!memory) return fail(memory.error());
    memory_ = *memory;
    inflate_.owner = deflate_.owner = statistics_.owner = report_request_.owner = this;
    inflate_.complete = &BalloonDevice::inflated;
    deflate_.complete = &BalloonDevice::deflated;
    statistics_.complete = &BalloonDevice::statistics_wanted;
    report_request_.complete = &BalloonDevice::reported;
    inflate_.data = memory_.data;
    deflate_.data = memory_.data + kLaneBytes;
    statistics_.data = memory_.data + kStatisticsOffset;

    device_.connect_interrupts(kReportingQueue + 1);
    constexpr QueueOptions kSmall{.maximum_size = 16};
    if (const Result<> done = device_.add_queue(kInflateQueue, inflate_queue_, kSmall); !done) return done;
    if (const Result<> done = device_.add_queue(kDeflateQueue, deflate_queue_, kSmall); !done) return done;
    if (device_.features().has(BalloonFeature::stats_vq))
        if (const Result<> done = device_.add_queue(kStatisticsQueue, statistics_queue_, kSmall); !done) return done;
    if (device_.features().has(BalloonFeature::page_reporting)) {
        const Result<std::uint16_t> index = reporting_queue(*transport_, device_.offered());
        if (!index) return fail(index.error());
        if (const Result<> done = device_.add_queue(*index, report_queue_, {.maximum_size = kReportSegments}); !done) return done;
    }
    statistics_due_ = statistics_queue_.created();
    offer_statistics(); // BALLOON-020
    if (const Result<> done = device_.run(); !done) return done;
    for (Virtqueue* queue : device_.queues()) // every queue's first answer interrupts
        if (queue->arm_interrupts()) device_.event().mark(Device::queue_bit(queue->index()));
    if (pages_ != 0) write_actual();
    read_target();
    return {};
}

Result<> BalloonDevice::stop() noexcept {
    const Result<> stopped = device_.stop(Error::closed);
    end();
    return stopped;
}

Result<> BalloonDevice::remove() noexcept {
    const Result<> stopped = stop();
    device_.forget();
    transport_ = nullptr;
    return stopped;
}

Result<> BalloonDevice::recover() noexcept {
    if (transport_ == nullptr && !mutant(608)) return fail(Error::not_started);
    const Result<> stopped = device_.stop(Error::device_reset);
    end();
    if (!stopped) return stopped;
    const Result<> running = run();
    if (!running) {
        device_.abort();
        end();
        needs_recovery_ = running.error() != Error::device_gone; // it may go better the next time
    }
    return running;
}

bool BalloonDevice::abandoned() const noexcept {
    bool any = false;
    for (const Lane* lane : {&inflate_, &deflate_, &statistics_, &report_request_}) any = any || lane->state == Request::State::abandoned;
    return any;
}

void BalloonDevice::end() noexcept {
    // After a reset that was never confirmed the device may still read there, and keeps what it was given: the owner is not told
    // of an end, so the pages stay lent.
    if (memory_ && (!abandoned() || mutant(609))) domain_->free(memory_);
    memory_ = {};
    for (Lane* lane : {&inflate_, &deflate_, &statistics_, &report_request_}) {
        if (lane->state != Request::State::abandoned || mutant(610)) lane->busy = false;
        lane->state = Request::State::idle;
        lane->data = nullptr;
    }
    needs_recovery_ = false;
}

unsigned BalloonDevice::poll() noexcept {
    if (!device_.started() && !mutant(611)) return 0;
    static_cast<void>(device_.event().take());
    handled_ = 0;
    for (Virtqueue* queue : device_.queues()) {
        if (queue->pending()) {
            queue->suppress_interrupts();
            // One request is in flight at most, so this is all there is.
            static_cast<void>(queue->poll(1));
            if (queue == &statistics_queue_) offer_statistics();
            if (queue->arm_interrupts()) device_.event().mark(Device::queue_bit(queue->index()));
        }
        if (queue->broken() && !mutant(612) && !needs_recovery_) {
            needs_recovery_ = true;
            platform_->log(LogLevel::error, "balloon: a queue is broken");
        }
    }
    if (device_.take_config_change()) {
        if (device_.needs_reset() && !needs_recovery_ && !mutant(879)) {
            needs_recovery_ = true;
            platform_->log(LogLevel::error, "balloon: the device needs a reset");
        }
        read_target();
    }
    return handled_;
}

void BalloonDevice::tell(BalloonChange change, Error error) noexcept {
    if ((options_.observer != nullptr || mutant(613)) && (options_.observer->changed != nullptr || mutant(614)))
        options_.observer->changed(*options_.observer, change, error);
}

void BalloonDevice::read_target() noexcept {
    const Result<std::uint32_t> wanted = device_.config().read(balloon_config::kPages);
    if (!wanted || (*wanted == target_ && !mutant(615))) return;
    target_ = *wanted;
    tell(BalloonChange::target, Error::none);
}

void BalloonDevice::write_actual() noexcept {
    if (!device_.config().write(balloon_config::kActual, pages_) && !mutant(630)) needs_recovery_ = true; // BALLOON-015, one 4-byte store
}

// --- giving and taking back ---

Result<> BalloonDevice::send(Virtqueue& queue, Lane& lane, std::size_t offset, std::span<const std::uint32_t> numbers) noexcept {
    if (!device_.started() && !mutant(616)) return fail(Error::not_started);
    if ((numbers.empty() && !mutant(617)) || (numbers.size() > kBatch && !mutant(618))) return fail(Error::invalid_argument);
    if (lane.busy && !mutant(619)) return fail(Error::busy);
    copy_bytes(lane.data, numbers.data(), numbers.size_bytes());
    const Segment segment = memory_.segment(offset, static_cast<std::uint32_t>(numbers.size_bytes()));
    if (const Result<> added = queue.add({&segment, 1}, {}, lane); !added) return added;
    queue.count_bytes(numbers.size_bytes());
    lane.count = static_cast<std::uint32_t>(numbers.size());
    lane.busy = true;
    queue.kick();
    return {};
}

Result<> BalloonDevice::inflate(std::span<const std::uint32_t> page_numbers) noexcept {
    return send(inflate_queue_, inflate_, 0, page_numbers);
}

Result<> BalloonDevice::deflate(std::span<const std::uint32_t> page_numbers) noexcept {
    if (page_numbers.size() > pages_ && !mutant(620))
        return fail(Error::invalid_argument);                        // BALLOON-014: only what was answered is counted
    return send(deflate_queue_, deflate_, kLaneBytes, page_numbers); // BALLOON-010
}

void BalloonDevice::inflated(Request& request) noexcept {
    auto& lane = static_cast<Lane&>(request);
    BalloonDevice& balloon = *lane.owner;
    lane.busy = false;
    if (lane.error == Error::none || mutant(621)) {
        balloon.pages_ += lane.count;
        balloon.write_actual();
        ++balloon.handled_;
    }
    balloon.tell(BalloonChange::inflated, lane.error);
}

void BalloonDevice::deflated(Request& request) noexcept {
    auto& lane = static_cast<Lane&>(request);
    BalloonDevice& balloon = *lane.owner;
    lane.busy = false;
    if (lane.error == Error::none || mutant(622)) {
        balloon.pages_ -= lane.count;
        balloon.write_actual();
        ++balloon.handled_;
    }
    balloon.tell(BalloonChange::deflated, lane.error);
}

// --- statistics ---

void BalloonDevice::statistics_wanted(Request& request) noexcept {
    auto& lane = static_cast<Lane&>(request);
    lane.owner->statistics_due_ = true;
    ++lane.owner->handled_;
}

void BalloonDevice::offer_statistics() noexcept {
    if (!statistics_due_) return;
    std::size_t at = 0;
    for (const BalloonStatistic which : options_.statistics) { // BALLOON-022
        const Le16 tag{static_cast<std::uint16_t>(which)};
        const Le64 value{options_.observer->statistic(*options_.observer, which)};
        copy_bytes(statistics_.data + at, &tag, sizeof tag);
        copy_bytes(statistics_.data + at + kBalloonStatisticValueOffset, &value, sizeof value);
        at += kBalloonStatisticBytes;
    }
    const Segment segment = memory_.segment(kStatisticsOffset, static_cast<std::uint32_t>(at));
    if (!statistics_queue_.add({&segment, 1}, {}, statistics_)) return; // BALLOON-019: refused while one is in flight
    statistics_queue_.count_bytes(at);
    statistics_due_ = false;
    statistics_queue_.kick(); // BALLOON-021
}

// --- free page reporting ---

unsigned BalloonDevice::report_limit() const noexcept {
    return report_queue_.size() < kReportSegments ? report_queue_.size() : kReportSegments;
}

Result<> BalloonDevice::report(std::span<const Segment> pieces) noexcept {
    if (!device_.started() && !mutant(624)) return fail(Error::not_started);
    if (!report_queue_.created() && !mutant(625)) return fail(Error::unsupported_request);
    if (report_request_.busy && !mutant(626)) return fail(Error::busy);
    if ((pieces.empty() && !mutant(627)) || (pieces.size() > report_limit() && !mutant(628))) return fail(Error::invalid_argument);
    if (const Result<> added = report_queue_.add({}, pieces, report_request_); !added) return added;
    for (const Segment& piece : pieces) report_queue_.count_bytes(piece.length);
    report_request_.busy = true;
    report_queue_.kick();
    return {};
}

void BalloonDevice::reported(Request& request) noexcept {
    auto& lane = static_cast<Lane&>(request);
    lane.busy = false;
    ++lane.owner->handled_;
    lane.owner->tell(BalloonChange::reported, lane.error);
}

} // namespace virtio
