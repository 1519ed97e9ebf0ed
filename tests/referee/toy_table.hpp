// One toy driver at one queue, with echoed buffers whose contents are checked: what the tests of queue, scripts and lies share.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/referee/referee.hpp"
#include "tests/referee/toy_ring.hpp"

namespace referee::toy {

class Table {
public:
    Table(std::uint64_t features, const Script& script, std::uint16_t size = 8, std::uint16_t first = 0);

    /// Adds a buffer of one or two parts; false: no room.
    bool submit();
    void kick();
    /// Takes what came back; returns how many.
    unsigned reap();
    /// `total` buffers through the ring, in batches of random size. False: the device stopped, or the driver saw a fault.
    bool run(std::uint64_t total);
    [[nodiscard]] Verdict verdict(std::string_view selection = {}) const { return judge.verdict(selection); }

    struct Sent {
        std::uint64_t data;
        std::uint32_t length;
        bool both;
    };
    Memory memory{{.size = 1 << 20}};
    Judge judge;
    Ring ring;
    Queue queue;
    Random random;
    bool indirect;      // tables are used now and then
    bool enabled;       // the queue took the ring
    bool intact = true; // every buffer came back once, with the right contents
    std::map<std::uint64_t, Sent> sent;
    std::uint64_t done = 0;
    unsigned interrupts = 0;
};

/// Features and script, for CAPTURE.
[[nodiscard]] std::string described(std::uint64_t features, const Script& script);

} // namespace referee::toy
