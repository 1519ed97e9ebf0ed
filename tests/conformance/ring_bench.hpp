// A bench for one ring: guest memory, the referee's queue on one side, libvirtio's Virtqueue or the scripted driver on the other.
// The referee looks after every store of a shared word. Payloads are checked: the device echoes what it reads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libvirtio/virtqueue.hpp"
#include "tests/conformance/combination.hpp"
#include "tests/conformance/scripted_driver.hpp"
#include "tests/referee/referee.hpp"

namespace conformance {

/// Guest memory as libvirtio's platform. What the platform must zero it zeroes; nothing else is.
class GuestPlatform final : public virtio::Platform {
public:
    explicit GuestPlatform(referee::Memory& memory) : memory_(memory) {}
    void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override;
    void dma_free(void* memory, std::size_t bytes) noexcept override;
    virtio::DmaAddress dma_address(const void* at) noexcept override { return {memory_.guest(at)}; }
    std::uint64_t now_ns() noexcept override { return clock_ += 1000; }
    void* allocate(std::size_t bytes, std::size_t alignment) noexcept override;
    void free(void* memory, std::size_t bytes) noexcept override;

private:
    referee::Memory& memory_;
    std::uint64_t clock_ = 0;
};

/// The shape of a buffer: how many bytes each readable and each writable part has.
struct Shape {
    std::vector<std::uint32_t> readable;
    std::vector<std::uint32_t> writable;
};

/// Which of the queue's ways to add a request the traffic takes.
enum class Way : std::uint8_t { general, presets, fixed };

/// libvirtio at the referee's table.
class OurRing {
public:
    OurRing(const Combination& combination, const referee::Script& script, Way way = Way::general);
    ~OurRing();
    OurRing(const OurRing&) = delete;
    OurRing& operator=(const OurRing&) = delete;

    /// Adds a buffer with fresh contents; false when the ring is full.
    bool add(const Shape& shape);
    /// Adds a preset request that is not in flight, with 200 bytes between its parts; false: all are in flight.
    bool add_preset(bool device_writes);
    /// Adds a fixed slot that is not in flight; false: all are in flight.
    bool add_fixed();
    void publish() { queue.publish(); }
    void kick() { queue.kick(); }
    void step() { device.step(); }
    /// What a driver does on an interrupt: quiet, take everything, arm, look again.
    void service();
    /// Adds, publishes and completes `count` buffers of all shapes, in batches, with interrupts; ends when all have come back.
    void traffic(unsigned count);
    /// Steps and services until nothing is in flight; a lost notification fails here.
    void drain();
    [[nodiscard]] unsigned in_flight() const { return static_cast<unsigned>(live_.size()); }

    Combination combination;
    referee::Memory memory;
    referee::Judge judge;
    referee::Queue device;
    GuestPlatform platform;
    virtio::Virtqueue queue;
    bool observed = true;                                  // the referee looks after every store
    bool interrupted = false;                              // and not yet serviced
    std::function<void(virtio::SharedWord role)> on_store; // after the referee's look
    std::function<void(virtio::SharedWord role)> on_load;  // after the value was taken
    std::uint64_t completed = 0;
    std::vector<std::string> mistakes; // payloads that came back wrong, and the like

private:
    struct Live : virtio::Request {
        OurRing* ring = nullptr;
        std::uint64_t memory = 0; // guest, one stretch of readable and then writable bytes; 0: the slot's own
        std::uint32_t bytes = 0;
        std::uint32_t writable = 0;
        std::uint64_t serial = 0;
        std::uint16_t slot = 0; // preset or fixed
        bool has_slot = false;
    };
    /// The parts of a slot that never change.
    struct Slot {
        virtio::Segment first, last; // of a preset; a fixed slot is `first`
        bool writable = false;
        bool live = false;
    };
    std::unique_ptr<Live> make(std::uint32_t readable, std::uint32_t writable);
    bool keep(std::unique_ptr<Live> live, const virtio::Result<>& added);
    [[nodiscard]] bool add_any(std::uint64_t which);
    void set_up_slots();
    void finished(Live& live);
    void check_echo(const Live& live);

    Way way_;
    std::vector<Slot> slots_;
    std::uint16_t room_ = 0; // descriptors for general chains
    std::vector<std::unique_ptr<Live>> live_;
    std::uint64_t serial_ = 0;
    std::uint64_t random_;
};

/// The scripted driver at the same table.
class ScriptedRing {
public:
    ScriptedRing(const Combination& combination, scripted::Fault fault, const referee::Script& script);

    bool add(const Shape& shape, scripted::Shape how);
    void step() { device.step(); }
    void service();
    /// A few rounds of buffers of all shapes.
    void traffic(unsigned rounds);
    /// Until nothing is in flight, or the device has given up.
    void drain();
    /// Adds one buffer, shows it, notifies if the device wants that, and lets the device work.
    void one(const Shape& shape, scripted::Shape how);

    Combination combination;
    referee::Memory memory;
    referee::Judge judge;
    referee::Queue device;
    scripted::Fault fault;
    std::unique_ptr<scripted::Driver> driver;
    bool enabled = false;
    bool interrupted = false;
    std::uint64_t completed = 0;

private:
    std::uint64_t buffers_ = 0; // guest
};

} // namespace conformance
