#include "tests/referee/script.hpp"

#include <array>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <utility>

namespace referee {

namespace {

using namespace std::string_view_literals;

constexpr std::array kOrders{"in_order"sv, "reversed"sv, "random"sv, "batches"sv};
constexpr std::array kLengths{"exact"sv, "one_less"sv, "half"sv, "zero"sv, "random"sv};
constexpr std::array kNotifies{"always"sv, "never"sv, "busy"sv, "ahead"sv, "random"sv, "by_hand"sv};

bool number(std::string_view text, std::uint64_t& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size();
}

std::string plain(const Lie& lie) {
    std::string out{name(lie.kind)};
    out += "@" + std::to_string(lie.when);
    if (lie.value != 0) out += ":" + std::to_string(lie.value);
    if (lie.times != 1) out += "x" + std::to_string(lie.times);
    return out;
}

/// "kind@when", "kind@when:value", each with "xTIMES" behind.
bool read_lie(std::string_view text, Lie& lie) {
    const std::size_t at = text.find('@');
    if (at == std::string_view::npos) return false;
    const auto kind = lie_kind(text.substr(0, at));
    if (!kind) return false;
    lie.kind = *kind;
    text = text.substr(at + 1);
    if (const std::size_t times = text.rfind('x'); times != std::string_view::npos) {
        if (!number(text.substr(times + 1), lie.times)) return false;
        text = text.substr(0, times);
    }
    if (const std::size_t value = text.find(':'); value != std::string_view::npos) {
        if (!number(text.substr(value + 1), lie.value)) return false;
        text = text.substr(0, value);
    }
    return number(text, lie.when);
}

/// Every field of a script by name: one list for writing and reading, so that none can be forgotten in one of them.
template<class Visitor> void each_field(const Visitor& visit) {
    visit("order"sv, &Script::order, kOrders);
    visit("delay"sv, &Script::delay);
    visit("budget"sv, &Script::budget);
    visit("batch"sv, &Script::batch);
    visit("length"sv, &Script::length, kLengths);
    visit("withhold"sv, &Script::withhold);
    visit("notify"sv, &Script::notify, kNotifies);
    visit("ahead"sv, &Script::ahead);
    visit("junk_events"sv, &Script::junk_events);
    visit("deaf"sv, &Script::deaf);
    visit("spurious"sv, &Script::spurious);
    visit("lose_interrupts"sv, &Script::lose_interrupts);
    visit("eager"sv, &Script::eager);
    visit("patient"sv, &Script::patient);
    visit("status_reads"sv, &Script::status_reads);
    visit("queue_reset_reads"sv, &Script::queue_reset_reads);
    visit("longest_chain"sv, &Script::longest_chain);
    visit("excessive"sv, &Script::excessive);
    visit("threaded"sv, &Script::threaded);
}

struct Writer {
    const Script& script;
    const Script& defaults;
    std::string& out;

    template<class T> void operator()(std::string_view key, T Script::* field) const {
        if (script.*field == defaults.*field) return;
        (out += ' ') += key;
        out += "=" + std::to_string(script.*field);
    }
    template<class T, std::size_t N>
    void operator()(std::string_view key, T Script::* field, const std::array<std::string_view, N>& names) const {
        if (script.*field == defaults.*field) return;
        (out += ' ') += key;
        (out += '=') += names[static_cast<std::size_t>(script.*field)];
    }
};

struct Reader {
    Script& script;
    std::string_view key;
    std::string_view value;
    bool& known;
    bool& good;

    template<class T> void operator()(std::string_view name, T Script::* field) const {
        if (name != key) return;
        std::uint64_t out = 0;
        known = true;
        good = number(value, out) && out <= std::numeric_limits<T>::max();
        script.*field = static_cast<T>(out);
    }
    template<class T, std::size_t N>
    void operator()(std::string_view name, T Script::* field, const std::array<std::string_view, N>& names) const {
        if (name != key) return;
        known = true;
        good = false;
        for (std::size_t i = 0; i < N; ++i)
            if (names[i] == value) {
                script.*field = static_cast<T>(i);
                good = true;
            }
    }
};

} // namespace

std::string Script::text() const {
    const Script defaults;
    std::string out = "seed=" + std::to_string(seed);
    each_field(Writer{*this, defaults, out});
    for (const Lie& lie : lies) out += " lie=" + plain(lie);
    return out;
}

std::expected<Script, std::string> Script::parse(std::string_view text) {
    Script script;
    while (!text.empty()) {
        const std::size_t end = text.find(' ');
        const std::string_view word = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (word.empty()) continue;
        const std::size_t equals = word.find('=');
        if (equals == std::string_view::npos) return std::unexpected("no value: " + std::string{word});
        const std::string_view key = word.substr(0, equals);
        const std::string_view value = word.substr(equals + 1);
        bool known = false;
        bool good = true;
        if (key == "seed") {
            known = true;
            good = number(value, script.seed);
        } else if (key == "lie") {
            known = true;
            good = read_lie(value, script.lies.emplace_back());
        } else {
            each_field(Reader{script, key, value, known, good});
        }
        if (!known) return std::unexpected("unknown name: " + std::string{word});
        if (!good) return std::unexpected("bad value: " + std::string{word});
    }
    return script;
}

std::expected<Script, std::string> Script::or_environment() const {
    // The test's main thread asks before anything runs; nobody changes the environment.
    const char* text = std::getenv("RINGSIDE_REFEREE"); // NOLINT(concurrency-mt-unsafe)
    return text == nullptr ? std::expected<Script, std::string>{*this} : parse(text);
}

} // namespace referee
