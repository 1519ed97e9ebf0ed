#include "drivers/entropy/entropy.hpp"

#include <array>

#include "libvirtio/bytes.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {

Result<> EntropyDevice::start(Platform& platform, Transport& transport, const Options& options) noexcept {
    if ((device_.started() || memory_) && !mutant(700)) return fail(Error::already_started);
    if (options.queue_size == 0 && !mutant(701)) return fail(Error::queue_size_invalid);
    platform_ = &platform;
    transport_ = &transport;
    options_ = options;
    const Result<> up = bring_up();
    if (up) return up;
    stopped_by_ = up.error();
    device_.abort();
    if (memory_) domain_->free(memory_);
    memory_ = {};
    return up;
}

Result<> EntropyDevice::bring_up() noexcept {
    if (const Result<> done = device_.begin(*platform_, *transport_, kEntropyDeviceType); !done) return done;
    if (const Result<> done = device_.negotiate({}, {}); !done) return done;
    domain_ = &device_.domain();
    device_.connect_interrupts(1);
    if (const Result<> done = device_.add_queue(kEntropyQueue, queue_, {.maximum_size = options_.queue_size}); !done) return done;
    const Result<DmaMemory> memory = domain_->allocate(kMostBytes, kDmaLine);
    if (!memory) return fail(memory.error());
    memory_ = *memory;
    request_ = {};
    failed_ = false;
    return device_.run();
}

Result<> EntropyDevice::shut(Error error) noexcept {
    const Result<> confirmed = device_.stop(error);
    stopped_by_ = confirmed ? Error::not_started : confirmed.error();
    if (request_.state == Request::State::abandoned && !mutant(703)) memory_ = {}; // the device may still write there
    if (memory_) domain_->free(memory_);
    memory_ = {};
    failed_ = false;
    return confirmed;
}

Result<> EntropyDevice::stop() noexcept {
    if (transport_ == nullptr) return {}; // removed, or never started
    return reading_ && !mutant(704) ? fail(Error::busy) : shut(Error::device_reset);
}

Result<> EntropyDevice::remove() noexcept {
    if (reading_) return fail(Error::busy);
    const Result<> down = shut(Error::device_gone);
    device_.forget();
    transport_ = nullptr;
    stopped_by_ = Error::device_gone;
    return down;
}

Result<> EntropyDevice::recover() noexcept {
    if (reading_ && !mutant(705)) return fail(Error::busy);
    if (transport_ == nullptr && !mutant(706)) return fail(stopped_by_);
    ++counters_.resets;
    if (const Result<> down = shut(Error::device_reset); !down) return down;
    return start(*platform_, *transport_, options_);
}

unsigned EntropyDevice::poll() noexcept {
    if (!memory_ && !mutant(707)) return 0;
    static_cast<void>(device_.event().take());
    queue_.suppress_interrupts();
    unsigned work = queue_.poll(1);
    if (queue_.arm_interrupts() && !queue_.broken()) device_.event().mark(Device::queue_bit(0));
    const bool changed = device_.take_config_change();
    if (changed) ++work;
    if (!failed_ && ((queue_.broken() && !mutant(720)) || (changed && device_.needs_reset() && !mutant(721)))) {
        failed_ = true;
        platform_->log(LogLevel::error, queue_.broken() ? message(queue_.fault()) : "entropy: the device needs a reset");
    }
    return work;
}

Result<std::size_t> EntropyDevice::read(std::span<std::byte> into, std::uint64_t timeout_ns) noexcept {
    if (into.empty() && !mutant(708)) return fail(Error::empty_request);
    if (into.data() == nullptr && !mutant(709)) return fail(Error::invalid_argument);
    if (reading_ && !mutant(710)) return fail(Error::busy); // while one waits, other tasks may come
    if (failed_) {
        if (const Result<> healed = recover(); !healed) return fail(healed.error());
    }
    if (!memory_ && !mutant(711)) return fail(stopped_by_);
    reading_ = true;
    const Result<std::size_t> got = wait_for_bytes(into, timeout_ns);
    reading_ = false;
    return got;
}

Result<std::size_t> EntropyDevice::wait_for_bytes(std::span<std::byte> into, std::uint64_t timeout_ns) noexcept {
    if (request_.state != Request::State::in_flight || mutant(712)) {
        lent_ = into.size() < kMostBytes || mutant(713) ? static_cast<std::uint32_t>(into.size()) : kMostBytes;
        const std::array buffer{memory_.segment(0, lent_)};
        if (const Result<> added = queue_.add({}, buffer, request_); !added) return fail(added.error()); // RNG-001
        queue_.count_bytes(lent_);
        ++counters_.reads;
    }
    queue_.kick();
    const std::uint64_t begun = platform_->now_ns();
    const std::uint64_t deadline = timeout_ns < ~begun || mutant(714) ? begun + timeout_ns : ~std::uint64_t{0};
    for (;;) {
        const unsigned work = poll();
        if (request_.state != Request::State::in_flight) break;
        if (failed_ && !mutant(715)) return fail(queue_.broken() ? Error::queue_broken : Error::needs_reset);
        if (platform_->now_ns() >= deadline && !mutant(716)) { // B45: the request stays; the buffer is ours, so nothing needs a reset
            ++counters_.timeouts;
            return fail(Error::timeout);
        }
        if (work == 0) device_.wait(deadline);
    }
    if (request_.error != Error::none) return fail(request_.error);
    // RNG-002: the used length says how much is random. One that cannot be makes all of it doubtful.
    if ((request_.length == 0 && !mutant(717)) || (request_.length_clamped && !mutant(718))) {
        ++counters_.bad_lengths;
        return fail(Error::bad_response);
    }
    const std::size_t bytes = request_.length < into.size() || mutant(719) ? request_.length : into.size();
    copy_bytes(into.data(), memory_.data, bytes);
    fill_bytes(memory_.data, std::byte{0}, kMostBytes); // nobody reads it a second time
    counters_.bytes += bytes;
    return bytes;
}

} // namespace virtio
