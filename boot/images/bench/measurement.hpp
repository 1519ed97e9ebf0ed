// One thing that is measured: two instructions that do nothing mark its beginning and its end for a counting emulator
// (tests/bench/count.c), the queues' counters are compared before and after, and a line tells both to whoever started the image:
//     RESULT NAME operations=N kicks=N suppressed=N interrupts=N rescues=N ns=N
// Task context; one at a time.
//
//     bench::Measurement measure("qd1_sleep", disk.device().device());
//     for (...) { measure.pause(); prepare(); measure.resume(); operate(); }
//     measure.end(operations);
#pragma once

#include <cstdint>

#include <machine/mark.hpp>

#include "libvirtio/device.hpp"

namespace bench {

/// Something failed: the image ends with status 1.
void fail(const char* what, virtio::Error why = virtio::Error::none);
[[nodiscard]] bool failed() noexcept;

/// Operations for each measurement (operations=N on the command line).
[[nodiscard]] std::uint64_t operations() noexcept;
/// Whether measure=A,B,... names it; without measure= everything is wanted.
[[nodiscard]] bool wanted(const char* name) noexcept;

class Measurement {
public:
    /// Counts the kicks of all of the device's queues; the name must outlive it.
    Measurement(const char* name, const virtio::Device& device) noexcept;
    Measurement(const Measurement&) = delete;
    Measurement& operator=(const Measurement&) = delete;

    /// What happens until resume() is not counted by the emulator: preparations, and waiting in a loop for a device.
    void pause() noexcept { arch::mark<3>(); }
    void resume() noexcept { arch::mark<4>(); }
    void end(std::uint64_t operations);

private:
    struct Counts {
        std::uint64_t kicks, suppressed, interrupts, rescues;
    };
    [[nodiscard]] Counts now() const noexcept;

    const char* name_;
    const virtio::Device& device_;
    Counts before_;
    std::uint64_t begun_;
};

// block.cpp, network.cpp, console.cpp: each measures what is wanted and there.
void measure_block();
void measure_network();
void measure_console();

} // namespace bench
