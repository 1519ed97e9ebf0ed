// A machine with devices that judge: guest memory, register blocks, interrupts, a clock of steps. A driver sits at it through
// access() and nothing else. Everything that happens follows from the seed and the driver's calls, so a printed line replays it.
//
//     referee::Machine machine{{.memory = 16 << 20, .seed = 7}};
//     machine.add_mmio(0x0a000000, referee::Block{.sectors = 2048, .order = referee::Order::random});
//     my_disk* disk = my_probe(machine.access(), 0x0a000000);
//     ... my_read(disk, ...) ...
//     auto verdict = machine.verdict("VQ SPLIT NOTIF");
//     CHECK(verdict.clean());
//
// One context at a time, except while a thread runs (run_on_thread): then registers may be used from any thread, and interrupts
// arrive on the machine's.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "tests/referee/access.h"
#include "tests/referee/device.hpp"
#include "tests/referee/judge.hpp"
#include "tests/referee/memory.hpp"
#include "tests/referee/queue.hpp"

namespace referee {

/// One device behind a block of virtio-mmio registers (version 2). Owned by its machine.
class Mmio {
public:
    virtual ~Mmio() = default;
    /// Null: no such queue.
    [[nodiscard]] virtual Queue* queue(std::uint16_t index) noexcept = 0;
    [[nodiscard]] virtual std::uint64_t negotiated() const noexcept = 0;
    [[nodiscard]] virtual std::uint32_t status() const noexcept = 0;
    /// Changes a configuration byte as the device: new generation, configuration change interrupt.
    virtual void change_config(std::size_t offset, std::span<const std::uint8_t> bytes) = 0;
    /// DEVICE_NEEDS_RESET, with its interrupt.
    virtual void need_reset() = 0;
    /// Surprise removal: from here on registers read all ones, and nothing is served any more.
    virtual void vanish() = 0;
    /// A disk's contents; empty for others.
    [[nodiscard]] virtual std::span<std::uint8_t> contents() noexcept = 0;
};

class Machine {
public:
    struct Options {
        std::size_t memory = 16 << 20;              // bytes of guest memory
        std::uint64_t seed = 1;                     // each device draws its own from it
        std::uint64_t memory_address = 0x4000'0000; // or Memory::kHostAddress
    };
    explicit Machine(const Options& options);
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    /// Adds a device whose 512 bytes of registers stand at a guest address.
    Mmio& add_mmio(std::uint64_t address, const Device& device);
    Mmio& add_mmio(std::uint64_t address, const Block& block);
    Mmio& add_mmio(std::uint64_t address, const Echo& echo);

    /// What a driver gets. Valid as long as the machine lives.
    [[nodiscard]] const referee_access* access() const noexcept;
    /// As access()->step: time passes, the driver waits. Without effect while a thread runs.
    void step();
    /// Steps on a thread of its own until stop_thread(): driver and devices really run at once. Verdicts on single kicks are then left out;
    /// a notification that is missing for a second is still found.
    void run_on_thread();
    void stop_thread();

    /// Not while a thread runs.
    [[nodiscard]] Verdict verdict(std::string_view selection = {}) const;
    [[nodiscard]] Judge& judge() noexcept;
    [[nodiscard]] Memory& memory() noexcept;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace referee
