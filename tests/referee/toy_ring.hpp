// A small, well-behaved driver's side of one ring, for the referee's own tests: written for clarity, sharing nothing with the
// library under test elsewhere. It can be told to misbehave in single ways by whoever reaches into its fields.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "tests/referee/referee.hpp"

namespace referee::toy {

struct Part {
    std::uint64_t address = 0;
    std::uint32_t length = 0;
    bool writable = false;
};

/// What came back: which buffer (the number that add() gave) and how long.
struct Back {
    std::uint64_t number = 0;
    std::uint32_t length = 0;
};

class Ring {
public:
    Ring(Memory& memory, std::uint16_t size, std::uint64_t features, std::uint16_t first = 0);

    [[nodiscard]] QueueSetup setup(std::uint16_t index = 0) const;
    [[nodiscard]] bool packed() const noexcept { return (features_ & feature::kRingPacked) != 0; }

    /// Adds a buffer; nullopt: no room. `indirect` puts its parts into a table.
    std::optional<std::uint64_t> add(const std::vector<Part>& parts, bool indirect = false);
    void publish();
    /// Whether the device wants to hear of what was published since the last call.
    bool needs_kick();
    /// The value of a notification.
    [[nodiscard]] std::uint32_t kick_value(std::uint16_t index = 0) const;
    std::optional<Back> take();
    void suppress();
    /// Asks for an interrupt; true: something is there already.
    bool arm();
    /// Something that no honest device does was seen.
    [[nodiscard]] const char* fault() const noexcept { return fault_; }

    [[nodiscard]] std::size_t in_flight() const noexcept { return lent_.size(); }
    [[nodiscard]] std::byte* descriptor(std::uint16_t slot) const noexcept { return memory_.at(descriptors_, 0) + 16 * std::size_t{slot}; }
    [[nodiscard]] std::byte* driver() const noexcept { return memory_.at(driver_, 0); }
    [[nodiscard]] std::byte* device() const noexcept { return memory_.at(device_, 0); }
    [[nodiscard]] std::uint16_t position() const noexcept;
    [[nodiscard]] const std::vector<std::uint16_t>& slots(std::uint64_t number) const { return lent_.at(number).slots; }

private:
    struct Lent {
        std::uint64_t number = 0;
        std::vector<std::uint16_t> slots{};
        std::uint16_t id = 0;
        std::uint64_t table = 0;
        std::uint64_t writable = 0;
    };
    void store(std::byte* at, std::uint64_t address, std::uint32_t length, std::uint16_t third, std::uint16_t fourth);
    [[nodiscard]] std::uint64_t make_table(const std::vector<Part>& parts);
    std::optional<Back> finish(std::uint32_t id, std::uint32_t length);
    std::optional<Back> take_packed();

    Memory& memory_;
    std::uint64_t features_;
    std::uint16_t size_;
    std::uint16_t first_;
    std::uint64_t descriptors_ = 0;
    std::uint64_t driver_ = 0;
    std::uint64_t device_ = 0;
    std::deque<std::uint16_t> free_; // split: descriptors; packed: ids
    std::map<std::uint64_t, Lent> lent_;
    std::map<std::uint16_t, std::uint64_t> by_id_;
    std::deque<Back> batch_; // IN_ORDER: the rest of a batch
    std::uint64_t numbers_ = 0;
    const char* fault_ = nullptr;
    // split
    std::uint16_t available_ = 0;
    std::uint16_t published_ = 0;
    std::uint16_t checked_ = 0;
    std::uint16_t used_ = 0;
    // packed
    struct Place {
        std::uint16_t slot = 0;
        bool wrap = true;
    };
    void advance(Place& place, std::size_t by) const noexcept;
    Place next_;
    Place done_;
    Place told_;
    std::uint16_t room_ = 0;
    std::optional<Place> held_back_; // the first slot of the batch, whose flags come last
    std::uint16_t held_flags_ = 0;
};

} // namespace referee::toy
