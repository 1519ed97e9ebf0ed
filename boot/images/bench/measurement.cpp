#include "boot/images/bench/measurement.hpp"

#include <cstdio>
#include <string_view>

#include "kernel/firmware/command_line.hpp"
#include "kernel/time/clock.hpp"

namespace bench {

namespace {
bool something_failed = false;

unsigned long long wide(std::uint64_t value) { return value; }
} // namespace

void fail(const char* what, virtio::Error why) {
    something_failed = true;
    std::printf("FAILED %s%s%s\n", what, why == virtio::Error::none ? "" : ": ", why == virtio::Error::none ? "" : virtio::message(why));
}

bool failed() noexcept { return something_failed; }

std::uint64_t operations() noexcept {
    const auto text = kernel::command_line_value("operations");
    return text ? kernel::parse_number(*text).value_or(1000) : 1000;
}

bool wanted(const char* name) noexcept {
    const auto list = kernel::command_line_value("measure");
    if (!list) return true;
    for (std::string_view rest = *list; !rest.empty();) {
        const std::size_t comma = rest.find(',');
        if (rest.substr(0, comma) == name) return true;
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    }
    return false;
}

Measurement::Measurement(const char* name, const virtio::Device& device) noexcept
    : name_(name), device_(device), before_(now()), begun_(kernel::now_ns()) {
    arch::mark<1>();
}

void Measurement::end(std::uint64_t operations) {
    arch::mark<2>();
    const std::uint64_t ns = kernel::now_ns() - begun_;
    const Counts after = now();
    std::printf("RESULT %s operations=%llu kicks=%llu suppressed=%llu interrupts=%llu rescues=%llu ns=%llu\n", name_, wide(operations),
                wide(after.kicks - before_.kicks), wide(after.suppressed - before_.suppressed), wide(after.interrupts - before_.interrupts),
                wide(after.rescues - before_.rescues), wide(ns));
    std::fflush(stdout);
}

Measurement::Counts Measurement::now() const noexcept {
    Counts counts{0, 0, device_.interrupts(), device_.watchdog_rescues()};
    for (const virtio::Virtqueue* queue : device_.queues()) {
        if (queue == nullptr) continue;
        counts.kicks += queue->counters().kicks;
        counts.suppressed += queue->counters().kicks_suppressed;
    }
    return counts;
}

} // namespace bench
