#include "tests/referee/verdict.hpp"

#include <algorithm>
#include <ostream>

namespace referee {

std::string_view name(Value value) noexcept {
    switch (value) {
    case Value::not_exercised: return "not exercised";
    case Value::held: return "held";
    case Value::violated: return "violated";
    }
    return "?";
}

std::string Finding::text() const {
    std::string out{id};
    out += " (";
    out += name(level);
    out += ") ";
    out += name(value);
    if (value == Value::violated) out += " " + std::to_string(violated) + " times, held " + std::to_string(held) + " times";
    if (value == Value::held) out += " " + std::to_string(held) + " times";
    out += "\n  rule: ";
    out += requirement;
    if (value == Value::violated) {
        out += "\n  seen: " + seen;
        for (const std::string& event : events) out += "\n    " + event;
    }
    return out + "\n";
}

bool Verdict::lawful() const noexcept {
    return std::ranges::none_of(violations,
                                [](const Finding& finding) { return finding.level == Level::must || finding.level == Level::must_not; });
}

const Finding* Verdict::find(std::string_view id) const noexcept {
    for (const auto* list : {&findings, &out_of_sight, &not_applicable})
        for (const Finding& finding : *list)
            if (finding.id == id) return &finding;
    return nullptr;
}

Value Verdict::of(std::string_view id) const noexcept {
    const Finding* finding = find(id);
    return finding == nullptr ? Value::not_exercised : finding->value;
}

std::string Verdict::text() const {
    const auto held = std::ranges::count(findings, Value::held, &Finding::value);
    std::string out = std::to_string(held) + " held, " + std::to_string(violations.size()) + " violated, " + std::to_string(not_exercised) +
                      " not exercised, " + std::to_string(out_of_sight.size()) + " out of sight, " + std::to_string(not_applicable.size()) +
                      " not applicable\n";
    for (const Finding& finding : violations) out += finding.text();
    if (not_exercised != 0) {
        out += "not exercised:";
        for (const Finding& finding : findings)
            if (finding.value == Value::not_exercised && finding.level != Level::may) (out += ' ') += finding.id;
        out += '\n';
    }
    if (!replay.empty()) out += "replay: RINGSIDE_REFEREE='" + replay + "'\n";
    return out;
}

std::ostream& operator<<(std::ostream& stream, const Verdict& verdict) { return stream << verdict.text(); }
std::ostream& operator<<(std::ostream& stream, Value value) { return stream << name(value); }

} // namespace referee
