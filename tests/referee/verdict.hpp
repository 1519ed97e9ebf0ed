// What the referee found: for each clause held, violated or not exercised. Silence is no pass: a test of a clause fails when the
// clause was not exercised. A violation carries what was seen, the events before it, and a line that replays it. A plain value.
//
//     auto verdict = machine.verdict("VQ SPLIT NOTIF");
//     CHECK_MESSAGE(verdict.clean(), verdict.text());
//     CHECK(verdict.of("SPLIT-003") == referee::Value::held);
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "tests/referee/clause.hpp"

namespace referee {

enum class Value : std::uint8_t { not_exercised, held, violated };
[[nodiscard]] std::string_view name(Value value) noexcept;

/// One clause's verdict.
struct Finding {
    Clause clause = Clause::count;
    std::string_view id;
    Level level = Level::must;
    std::string_view requirement;
    Value value = Value::not_exercised;
    std::uint64_t held = 0;          // how often it was put to the test and kept
    std::uint64_t violated = 0;      // how often it was broken
    std::string seen;                // violated: what was seen the first time
    std::vector<std::string> events; // violated: the last events before that, oldest first

    /// Several lines: id, level, requirement, what was seen, events.
    [[nodiscard]] std::string text() const;
};

struct Verdict {
    /// Clauses of the selection that apply (ring kind, negotiated features) and can be seen from this seat, in the table's order.
    std::vector<Finding> findings;
    /// Clauses of the selection that no device can see (memory barriers), or that only binds the legacy interface.
    std::vector<Finding> out_of_sight;
    /// Clauses of the selection that do not apply to what was negotiated.
    std::vector<Finding> not_applicable;
    /// Those of `findings` that were broken.
    std::vector<Finding> violations;
    /// Findings that were never put to the test; permissions (MAY) that were not used do not count.
    unsigned not_exercised = 0;
    /// The line that replays the run.
    std::string replay;

    /// Nothing was violated, be it MUST or SHOULD.
    [[nodiscard]] bool clean() const noexcept { return violations.empty(); }
    /// No MUST and no MUST NOT was violated.
    [[nodiscard]] bool lawful() const noexcept;
    /// The value of one clause, wherever it stands; not_exercised for an id that is not in the selection.
    [[nodiscard]] Value of(std::string_view id) const noexcept;
    [[nodiscard]] const Finding* find(std::string_view id) const noexcept;
    /// The whole verdict for a reader: counts, every violation with its events, clauses not exercised, the replay line.
    [[nodiscard]] std::string text() const;
};

std::ostream& operator<<(std::ostream& stream, const Verdict& verdict);
std::ostream& operator<<(std::ostream& stream, Value value);

} // namespace referee
