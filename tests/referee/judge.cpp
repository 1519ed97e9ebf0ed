#include "tests/referee/judge.hpp"

#include <cstdio>

#include "tests/referee/wire.hpp"

namespace referee {

namespace {

constexpr std::size_t kEventsKept = 16;

std::string print(const char* format, std::va_list arguments) {
    char line[256];
    const int length = std::vsnprintf(line, sizeof line, format, arguments);
    return length < 0 ? std::string{format} : std::string{line};
}

/// Clauses that only a seat with registers sees.
bool needs_registers(Clause clause) noexcept { return clause == Clause::reset_001 || clause >= Clause::init_001; }
bool needs_disk(Clause clause) noexcept { return clause >= Clause::blk_015 && clause < Clause::count; }

} // namespace

void Judge::violated(Clause clause, std::uint16_t queue, const char* format, ...) {
    std::va_list arguments;
    va_start(arguments, format);
    record(clause, queue, print(format, arguments));
    va_end(arguments);
}

void Judge::hold(bool kept, Clause clause, std::uint16_t queue, const char* format, ...) {
    if (kept) {
        held(clause);
        return;
    }
    std::va_list arguments;
    va_start(arguments, format);
    record(clause, queue, print(format, arguments));
    va_end(arguments);
}

void Judge::record(Clause clause, std::uint16_t queue, std::string seen) {
    Record& its = records_[static_cast<unsigned>(clause)];
    if (its.violated++ == 0) {
        its.seen = std::move(seen);
        its.events = log_.last(kEventsKept);
    }
    ++violations_;
    log_.add(EventKind::violation, queue, static_cast<std::uint64_t>(clause));
}

bool Judge::tell(std::string_view id, Value value, std::string_view seen) {
    const std::optional<Clause> clause = find_clause(id);
    if (!clause) return false;
    if (value == Value::held) held(*clause);
    if (value == Value::violated) record(*clause, 0, std::string{seen});
    return true;
}

void Judge::applies(RingKind ring, std::uint64_t features) noexcept {
    for (unsigned i = 0; i < kClauses; ++i) {
        const auto clause = static_cast<Clause>(i);
        const ClauseInfo& its = info(clause);
        if (needs_disk(clause) || (needs_registers(clause) && !registers_)) continue;
        if (its.ring != RingKind::any && its.ring != ring) continue;
        if ((its.with & ~features) != 0 || (its.without & features) != 0) continue;
        records_[i].applies = true;
    }
}

void Judge::applies_registers(std::uint32_t type) noexcept {
    registers_ = true;
    for (unsigned i = 0; i < kClauses; ++i) {
        const auto clause = static_cast<Clause>(i);
        if (needs_registers(clause) && info(clause).with == 0 && (!needs_disk(clause) || type == kBlockType)) records_[i].applies = true;
    }
}

Value Judge::value(Clause clause) const noexcept {
    const Record& its = records_[static_cast<unsigned>(clause)];
    return its.violated != 0 ? Value::violated : its.held != 0 ? Value::held : Value::not_exercised;
}

Verdict Judge::verdict(std::string_view selection) const {
    Verdict verdict;
    for (unsigned i = 0; i < kClauses; ++i) {
        const auto clause = static_cast<Clause>(i);
        const ClauseInfo& its = info(clause);
        if (!selects(selection, its.id)) continue;
        const Record& record = records_[i];
        const Finding finding{clause, its.id, its.level, its.text, value(clause), record.held, record.violated, record.seen, record.events};
        const bool put = finding.value != Value::not_exercised;
        if (!put && (its.sight == Sight::hidden || its.sight == Sight::legacy || its.sight == Sight::told)) {
            verdict.out_of_sight.push_back(finding);
        } else if (!put && !record.applies) {
            verdict.not_applicable.push_back(finding);
        } else {
            verdict.findings.push_back(finding);
            if (finding.value == Value::violated) verdict.violations.push_back(finding);
            if (!put && its.level != Level::may) ++verdict.not_exercised;
        }
    }
    verdict.replay = replay_;
    return verdict;
}

} // namespace referee
