#include "tests/referee/log.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "tests/referee/clause.hpp"
#include "tests/referee/lie.hpp"

namespace referee {

namespace {

template<class... Arguments> std::string print(const char* format, Arguments... arguments) {
    char line[160];
    const int length = std::snprintf(line, sizeof line, format, arguments...);
    return {line, static_cast<std::size_t>(std::clamp(length, 0, static_cast<int>(sizeof line) - 1))};
}

std::string what(const Event& event) {
    const auto a = event.a;
    const auto b = event.b;
    switch (event.kind) {
    case EventKind::none: return "nothing";
    case EventKind::enabled: return print("enabled: %" PRIu64 " entries, features 0x%" PRIx64, a, b);
    case EventKind::available: return print("%" PRIu64 " new available, position 0x%" PRIx64, b, a);
    case EventKind::kick: return print("notified: 0x%" PRIx64, a);
    case EventKind::taken: return print("took buffer %" PRIu64 ", %" PRIu64 " descriptors", a, b);
    case EventKind::used: return print("used buffer %" PRIu64 ", %" PRIu64 " bytes", a, b);
    case EventKind::interrupt: return a != 0 ? "interrupt" : "interrupt that was not asked for";
    case EventKind::suppressed: return print("device asks for notifications: flags %" PRIu64 ", event 0x%" PRIx64, a, b);
    case EventKind::asked: return print("driver asks for interrupts: flags %" PRIu64 ", event 0x%" PRIx64, a, b);
    case EventKind::lie: return "lie: " + std::string{name(static_cast<LieKind>(a))} + print(", value %" PRIu64, b);
    case EventKind::reset: return a != 0 ? "reset confirmed" : "reset asked for";
    case EventKind::released: return print("memory given back: 0x%" PRIx64 ", %" PRIu64 " bytes", a, b);
    case EventKind::read: return print("register 0x%03" PRIx64 " read: 0x%" PRIx64, a, b);
    case EventKind::write: return print("register 0x%03" PRIx64 " written: 0x%" PRIx64, a, b);
    case EventKind::status: return print("status 0x%" PRIx64 ", was 0x%" PRIx64, a, b);
    case EventKind::violation: return "violation of " + std::string{info(static_cast<Clause>(a)).id};
    }
    return "?";
}

} // namespace

std::string text(const Event& event) { return print("step %" PRIu64 ", queue %u: ", event.step, event.queue) + what(event); }

std::vector<std::string> Log::last(std::size_t most) const {
    const std::uint64_t kept = std::min<std::uint64_t>({count_, kKept, most});
    std::vector<std::string> lines;
    lines.reserve(kept);
    for (std::uint64_t i = count_ - kept; i < count_; ++i) lines.push_back(text(events_[i % kKept]));
    return lines;
}

} // namespace referee
