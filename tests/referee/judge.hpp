// Keeps the verdicts. Whoever sees something of a clause says so here: queues and register seats by themselves, a test what only
// it can see (tell). One judge per machine, or per raw queue. One context at a time.
//
//     judge.tell("SPLIT-012", referee::Value::held, "the driver handed up 3 bytes of 512");
#pragma once

#include <array>
#include <cstdarg>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/referee/clause.hpp"
#include "tests/referee/log.hpp"
#include "tests/referee/verdict.hpp"

namespace referee {

class Judge {
public:
    /// `replay` is the text that replays the run: seed and script.
    explicit Judge(std::string replay = {}) : replay_(std::move(replay)) {}
    Judge(const Judge&) = delete;
    Judge& operator=(const Judge&) = delete;

    void held(Clause clause) noexcept { ++records_[static_cast<unsigned>(clause)].held; }
    /// A printf format says what was seen.
    void violated(Clause clause, std::uint16_t queue, const char* format, ...) __attribute__((format(printf, 4, 5)));
    /// held or violated, by a condition that is true when the clause is kept.
    void hold(bool kept, Clause clause, std::uint16_t queue, const char* format, ...) __attribute__((format(printf, 5, 6)));

    /// What only a test can see: that data beyond the used length was ignored, that a freed buffer was not touched. False: no such clause.
    bool tell(std::string_view id, Value value, std::string_view seen);

    /// A ring of this kind with these features took part: its clauses apply from here on.
    void applies(RingKind ring, std::uint64_t features) noexcept;
    /// Registers take part too (INIT, STATUS, FEAT, MMIO); `type` is the device's, 2 for a disk.
    void applies_registers(std::uint32_t type) noexcept;

    [[nodiscard]] Value value(Clause clause) const noexcept;
    [[nodiscard]] std::uint64_t times_held(Clause clause) const noexcept { return records_[static_cast<unsigned>(clause)].held; }
    [[nodiscard]] std::uint64_t times_violated(Clause clause) const noexcept { return records_[static_cast<unsigned>(clause)].violated; }
    /// Any clause at all.
    [[nodiscard]] std::uint64_t violations() const noexcept { return violations_; }

    /// `selection`: see selects().
    [[nodiscard]] Verdict verdict(std::string_view selection = {}) const;

    [[nodiscard]] Log& log() noexcept { return log_; }
    [[nodiscard]] const std::string& replay() const noexcept { return replay_; }
    void set_replay(std::string text) { replay_ = std::move(text); }

private:
    struct Record {
        std::uint64_t held = 0;
        std::uint64_t violated = 0;
        bool applies = false;
        std::string seen;
        std::vector<std::string> events;
    };
    void record(Clause clause, std::uint16_t queue, std::string seen);

    std::array<Record, kClauses> records_{};
    Log log_;
    std::uint64_t violations_ = 0;
    bool registers_ = false;
    std::string replay_;
};

} // namespace referee
