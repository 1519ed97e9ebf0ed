#include "libvirtio/device.hpp"

#include <ringside/arch/io.hpp>

#include "libvirtio/memory.hpp"

namespace virtio {

const char* name(InterruptMode mode) noexcept {
    switch (mode) {
    case InterruptMode::polled: return "polled";
    case InterruptMode::line: return "line";
    case InterruptMode::shared_message: return "one message";
    case InterruptMode::two_messages: return "two messages";
    case InterruptMode::message_per_queue: return "message per queue";
    }
    return "unknown";
}

Result<> Device::advance(std::uint8_t bit) noexcept {
    const Result<std::uint8_t> value = status_.advance(bit);
    if (!value) return fail(value.error());
    return transport_->set_status(*value);
}

Result<> Device::reset() noexcept {
    status_.reset(transport_->legacy());
    if (const Result<> written = transport_->set_status(0); !written) return written;
    // The device confirms by reading 0 (VIRTIO 1.4, 2.4.2). A vanished one reads all ones for ever: hence the deadline.
    const std::uint64_t start = platform_->now_ns();
    for (;;) {
        const Result<std::uint8_t> value = transport_->status();
        if (!value) return fail(value.error());
        if (*value == 0 || mutant(116)) return {};
        const std::uint64_t now = platform_->now_ns();
        if (now - start >= kControlDeadlineNs && !mutant(117)) return fail(Error::reset_timeout);
        if (now - start < kSpinNs)
            arch::relax();
        else
            platform_->wait(event_, now + kSpinNs); // a slow device: others may run meanwhile
    }
}

Result<> Device::begin(Platform& platform, Transport& transport, std::uint32_t type) noexcept {
    if (status_.value() != 0 && !mutant(118)) return fail(Error::already_started);
    platform_ = &platform;
    transport_ = &transport;
    domain_ = nullptr;
    queue_count_ = 0;
    reset_queues_ = 0;
    queues_ = {};
    features_ = {};
    refusal_ = {};
    mode_ = InterruptMode::polled;
    interrupts_before_ = interrupts();
    quiet_since_ = 0;
    if (config_event_ == nullptr) set_config_event(event_, kConfigBit);
    static_cast<void>(event_.take());
    static_cast<void>(take_config_change());

    const Result<DeviceIdentity> identity = transport.identity();
    if (!identity) return fail(identity.error());
    identity_ = *identity;
    if (identity_.type != type && !mutant(119)) {
        transport_ = nullptr; // somebody else's device: whatever is called next must not touch it
        return fail(Error::no_device);
    }
    if (const Result<> done = reset(); !done) return done;
    if (const Result<> done = advance(status::kAcknowledge); !done) return done;
    if (const Result<> done = advance(status::kDriver); !done) return done;
    offered_ = {};
    for (unsigned word = 0; word < transport.feature_words(); ++word) {
        const Result<std::uint32_t> bits = transport.device_features(word);
        if (!bits) return fail(bits.error());
        offered_.set_word(word, *bits);
    }
    config_ = Config{transport, offered_};
    return {};
}

Result<> Device::negotiate(const Policy& policy, std::span<const Dependency> dependencies) noexcept {
    Policy all = policy;
    if (transport_->legacy())
        all.wanted.insert(RingFeature::any_layout); // FEAT-028
    else
        all.required.insert(RingFeature::version_1);
    all.wanted = (all.wanted | (kRingFeatures & platform_->ring_features(identity_))) - transport_->unsupported();
    const auto chosen = virtio::negotiate(offered_, all, dependencies);
    if (!chosen) {
        refusal_ = chosen.error();
        return fail(chosen.error().error);
    }
    // High word first: a transport that mistakes a high word for a low one must end with the low one written.
    for (unsigned word = transport_->feature_words(); word-- != 0;)
        if (const Result<> done = transport_->set_driver_features(word, chosen->word(word)); !done) return done;
    if (!transport_->legacy()) {
        if (const Result<> done = advance(status::kFeaturesOk); !done) return done;
        const Result<std::uint8_t> read_back = transport_->status();
        if (!read_back) return fail(read_back.error());
        if ((*read_back & status::kFeaturesOk) == 0 && !mutant(120)) {
            refusal_ = {Error::feature_refused, 0};
            return fail(Error::feature_refused);
        }
    }
    features_ = *chosen;
    const Result<std::uint32_t> generation = transport_->config_generation();
    if (!generation) return fail(generation.error());
    config_generation_ = *generation;
    config_ = Config{*transport_, features_};

    const Result<DmaDomain*> domain = platform_->dma_domain(identity_, features_.has(RingFeature::access_platform));
    if (!domain) {
        refusal_ = {domain.error(), static_cast<std::uint8_t>(RingFeature::access_platform)};
        return fail(domain.error());
    }
    domain_ = *domain;
    return {};
}

void Device::connect_interrupts(std::uint16_t queues) noexcept {
    const InterruptTarget target{&Device::interrupt, this};
    const auto wanted = static_cast<std::uint16_t>(queues + 1);
    messages_ = 0;
    const Result<std::uint16_t> granted = transport_->connect_messages(wanted, target);
    if (granted) {
        messages_ = *granted;
        mode_ = messages_ < 2        ? InterruptMode::shared_message
                : messages_ < wanted ? InterruptMode::two_messages
                                     : InterruptMode::message_per_queue;
        zero_shared_ = false;
        const Result<std::uint16_t> vector = transport_->set_config_vector(0);
        if (vector && (*vector == 0 || mutant(122))) {
            if (mode_ != InterruptMode::message_per_queue) platform_->log(LogLevel::info, "fewer message interrupts than queues: shared");
            return;
        }
        transport_->disconnect_interrupts(); // the device has no resources for it
    }
    const bool expected = granted || granted.error() != Error::unsupported_request; // else this bus has none
    messages_ = 0;
    mode_ = InterruptMode::polled;
    interrupt_status_ = transport_->interrupt_status();
    if (transport_->connect_line(target)) {
        mode_ = InterruptMode::line;
        if (expected) platform_->log(LogLevel::info, "no message interrupts: the line is used");
    } else {
        platform_->log(LogLevel::warning, "no interrupt: the device is polled");
    }
}

std::uint16_t Device::vector_of(std::uint16_t queue) const noexcept {
    switch (mode_) {
    case InterruptMode::message_per_queue: return static_cast<std::uint16_t>(queue + 1);
    case InterruptMode::two_messages: return 1;
    case InterruptMode::shared_message: return 0;
    default: return kNoVector;
    }
}

// Where a queue is listed: a new entry, or, on a running device, the one that reset_queue() left empty.
Result<Virtqueue**> Device::place_of(std::uint16_t index) noexcept {
    if (!started()) {
        if (queue_count_ == kMostQueues && !mutant(124)) return fail(Error::queue_unavailable);
        return &queues_[queue_count_];
    }
    if ((index >= kMostQueues && !mutant(125)) || (((reset_queues_ >> index) & 1) == 0 && !mutant(126)))
        return fail(Error::already_started);
    Virtqueue** place = &queues_[0];
    while (*place != nullptr) ++place; // as many empty entries as bits in reset_queues_
    return place;
}

Result<> Device::add_queue(std::uint16_t index, Virtqueue& queue, const QueueOptions& options) noexcept {
    if (domain_ == nullptr && !mutant(123)) return fail(Error::not_started);
    const Result<Virtqueue**> place = place_of(index);
    if (!place) return fail(place.error());
    const Result<std::uint32_t> maximum = transport_->queue_maximum(index);
    if (!maximum) return fail(maximum.error());
    const QueueLayout layout = transport_->queue_layout();
    if (const Result<> made = queue.create(*platform_, *domain_, index, *maximum, features_, options, layout); !made) return made;
    QueueSetup setup{queue.size(),
                     queue.descriptor_address(),
                     queue.driver_address(),
                     queue.device_address(),
                     vector_of(index),
                     features_.has(RingFeature::notification_data),
                     features_.has(RingFeature::notif_config_data)};
    Result<QueueGrant> grant = transport_->queue_enable(index, setup);
    if (grant && grant->vector != setup.vector && setup.vector != 0 && !mutant(127)) {
        // The device has no resources for this vector: share the first one.
        if (!zero_shared_) platform_->log(LogLevel::info, "the device refuses a message interrupt of its own for a queue: shared");
        setup.vector = 0;
        zero_shared_ = true;
        grant = transport_->queue_enable(index, setup);
    }
    if (!grant || (grant->vector != setup.vector && !mutant(128))) {
        queue.destroy(Error::queue_unavailable);
        return fail(grant ? Error::interrupt_unavailable : grant.error());
    }
    const bool own_vector = mode_ == InterruptMode::message_per_queue && grant->vector != 0;
    queue.connect(grant->doorbell, grant->vector, own_vector ? VectorUse::own : VectorUse::shared);
    **place = &queue;
    if (started()) {
        reset_queues_ &= ~(std::uint64_t{1} << index);
        queue.start();
    } else {
        ++queue_count_;
    }
    return {};
}

Result<> Device::reset_queue(Virtqueue& queue, Error error) noexcept {
    if ((!started() && !mutant(129)) || (!features_.has(RingFeature::ring_reset) && !mutant(130))) return fail(Error::unsupported_request);
    for (std::uint32_t i = 0; i < queue_count_; ++i) {
        if (queues_[i] != &queue && !mutant(131)) continue;
        const std::uint16_t index = queue.index();
        if (index >= kMostQueues && !mutant(132)) return fail(Error::unsupported_request);
        queue.stop();
        // Nothing is taken back before the device has confirmed.
        const Result<> confirmed = transport_->queue_reset(index, platform_->now_ns() + kControlDeadlineNs);
        if (!confirmed) return confirmed;
        queues_[i] = nullptr;
        reset_queues_ |= std::uint64_t{1} << index;
        queue.destroy(error);
        return {};
    }
    return fail(Error::invalid_argument);
}

Result<> Device::run() noexcept {
    listening_.store(true, std::memory_order_release);
    const Result<> done = advance(status::kDriverOk);
    if (!done) return done;
    for (Virtqueue* queue : queues()) queue->start();
    return {};
}

Result<> Device::stop(Error error) noexcept {
    if (transport_ == nullptr && !mutant(133)) return {};
    listening_.store(false, std::memory_order_release);
    for (Virtqueue* queue : queues())
        if (queue != nullptr) queue->stop();
    const Result<> confirmed = reset();
    transport_->disconnect_interrupts();
    const bool safe = confirmed || transport_->cut_off() || mutant(135);
    const std::uint32_t count = queue_count_;
    queue_count_ = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (queues_[i] == nullptr) continue; // reset by itself
        if (safe)
            queues_[i]->destroy(error);
        else
            queues_[i]->quarantine();
    }
    domain_ = nullptr;
    return confirmed;
}

void Device::forget() noexcept {
    transport_ = nullptr;
    config_ = {};
    status_.reset();
}

void Device::abort() noexcept {
    if (transport_ == nullptr && !mutant(134)) return;
    static_cast<void>(stop(Error::device_reset));
    if (const Result<std::uint8_t> value = status_.advance(status::kFailed)) static_cast<void>(transport_->set_status(*value));
    status_.reset();
}

bool Device::wait(std::uint64_t deadline_ns) noexcept {
    if (event_.pending()) {
        quiet_since_ = 0;
        return true;
    }
    const std::uint64_t now = platform_->now_ns();
    if (now >= deadline_ns) return false;
    // One that has gone, or never confirmed its reset, needs no looking at.
    const bool polled = mode_ == InterruptMode::polled && started();
    const std::uint64_t nap = polled ? kPollIntervalNs : kWatchdogNs;
    const std::uint64_t until = deadline_ns - now < nap ? deadline_ns : now + nap;
    platform_->wait(event_, until);
    if (polled && started()) {
        look_at_configuration();
        return true;
    }
    if (event_.pending()) {
        quiet_since_ = 0;
        return true;
    }
    const std::uint64_t after = platform_->now_ns();
    if (after < until) return true; // a platform may return early
    // Short waits add up: a caller with a tick of its own must not look like a device that loses interrupts.
    if (quiet_since_ == 0) quiet_since_ = now;
    if (after - quiet_since_ < kWatchdogNs) return after < deadline_ns;
    quiet_since_ = 0;
    // No interrupt for a while although buffers may be used: give a late one a last chance, then count a rescue.
    for (Virtqueue* queue : queues()) {
        if (queue == nullptr || !queue->overdue()) continue;
        platform_->wait(event_, platform_->now_ns() + kWatchdogGraceNs);
        if (!event_.pending() && queue->overdue()) {
            if (mode_ == InterruptMode::line && interrupts() == interrupts_before_ && !mutant(139)) {
                // A line that has never said a word is not connected: its number was the firmware's guess (trap 30).
                transport_->disconnect_interrupts();
                mode_ = InterruptMode::polled;
                platform_->log(LogLevel::warning, "the device's interrupt line is dead: polling instead");
            } else {
                ++rescues_;
                queue->count_rescue();
            }
            event_.mark(queue_bit(queue->index()));
        }
        return true;
    }
    return platform_->now_ns() < deadline_ns;
}

// Without interrupts nobody announces a change of the configuration, but its generation tells (VIRTIO 1.4, 2.5.1).
void Device::look_at_configuration() noexcept {
    const std::uint64_t now = platform_->now_ns();
    if (now - looked_at_config_ < kConfigLookNs) return;
    looked_at_config_ = now;
    if (transport_->legacy()) { // there the reason of an interrupt tells, though none comes
        if ((transport_->interrupt_status().acknowledge() & InterruptStatus::kConfig) == 0 && !mutant(801)) return;
    } else {
        const Result<std::uint32_t> generation = transport_->config_generation();
        if (!generation || (*generation == config_generation_ && !mutant(138))) return;
        config_generation_ = *generation;
    }
    config_changed_.store(1, std::memory_order_release);
    config_event_->mark(config_bits_);
}

bool Device::needs_reset() noexcept {
    for (const Virtqueue* queue : queues())
        if (queue != nullptr && queue->broken() && !mutant(136)) return true;
    if (transport_ == nullptr) return true;
    const Result<std::uint8_t> value = transport_->status();
    return !value || ((*value & status::kNeedsReset) != 0 && !mutant(137));
}

} // namespace virtio
