// Which device an interrupt belongs to: message vectors have one target each, a line may have several. A line comes to the processor that
// asked for it first; the others that share it are told. Handlers run with general registers only (routes_interrupt.cpp); everything else is
// task context, one caller at a time. Owned by the platform, static.
//
//     auto message = routes.add_message(target, requester, 0, "pci 00:03.0");         // write it into the device's MSI-X table
//     routes.add_line({.gsi = 11, .trigger = Trigger::level}, target, "mmio 0xfeb02e00");
//     routes.remove(target);
#pragma once

#include <array>
#include <cstdint>

#include "kernel/interrupt/interrupts.hpp"
#include "libvirtio/transport.hpp"

namespace kernel {

class Processor;

class InterruptRoutes {
public:
    static constexpr std::size_t kMostMessages = 160;
    static constexpr std::size_t kMostLines = 24;
    static constexpr std::size_t kSharers = 8;

    constexpr InterruptRoutes() noexcept = default;

    /// A vector of its own for message `index` of the device that has this id at the interrupt controller. `owner` is copied (31 characters). Errors: interrupt_unavailable.
    [[nodiscard]] virtio::Result<MsiMessage> add_message(const virtio::InterruptTarget& target, std::uint32_t device, std::uint16_t index,
                                                         const char* owner);
    /// Lets a line call the target, beside those that it calls already. Errors: interrupt_unavailable, out_of_range (no such input).
    [[nodiscard]] virtio::Result<> add_line(const Line& line, const virtio::InterruptTarget& target, const char* owner);
    /// Forgets a target everywhere; a line that nobody is left on is masked.
    void remove(const virtio::InterruptTarget& target);

private:
    struct Message {
        virtio::InterruptTarget target;
        std::uint16_t index = 0;
        Vector vector;
        char owner[32] = {};
    };
    struct Sharer {
        virtio::InterruptTarget target;
        Processor* processor = nullptr; // its device's
    };
    struct SharedLine {
        std::array<Sharer, kSharers> sharers{}; // changed on `processor` only, with interrupts off
        std::size_t count = 0;
        Processor* processor = nullptr;
        std::uint32_t gsi = 0;
        Vector vector;
        char owner[32] = {};
    };
    static void message_arrived(void* context); // routes_interrupt.cpp
    static void line_raised(void* context);
    static void leave(SharedLine& line, const virtio::InterruptTarget& target);

    std::array<Message, kMostMessages> messages_{};
    std::array<SharedLine, kMostLines> lines_{};
};

} // namespace kernel
