// What the drivers do to a ring, as functions that codegen_test.py runs one by one in an emulator: it knows the addresses of the ring, of the
// device's registers and of the payload, and looks at the order of the accesses and at the fences between them. The engines are compiled
// into this file, so that the compiler may do with them whatever it does in a driver.
#include <array>
#include <cstddef>
#include <cstdint>

#include "libvirtio/doorbell.hpp"
#include "libvirtio/ring/packed.hpp"
#include "libvirtio/ring/split.hpp"

#include "libvirtio/ring/packed.cpp"
#include "libvirtio/ring/ring.cpp"
#include "libvirtio/ring/split.cpp"

namespace {

constexpr std::uint16_t kSize = 4;
enum Bits : std::uintptr_t { kEventIndex = 1, kPlatform = 2, kInOrder = 4 };

// Each on pages of its own: an address says what is reached.
struct Page {
    alignas(4096) std::array<std::byte, 4096> bytes{};
};

} // namespace

extern "C" {

Page probe_split_memory;
Page probe_packed_memory;
Page probe_payload;   // a buffer that is lent, and taken back
Page probe_registers; // 0: doorbell, 0x10: interrupt status, 0x14: its acknowledgement
volatile std::uint32_t probe_sink = 0;
// Where the areas of each ring start: driver's, device's.
extern const std::uint32_t probe_layout[4];
const std::uint32_t probe_layout[4] = {virtio::split_layout(kSize).driver, virtio::split_layout(kSize).device,
                                       virtio::packed_layout(kSize).driver, virtio::packed_layout(kSize).device};

// Compilers call these for structures that they copy.
void* memcpy(void* to, const void* from, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) static_cast<volatile char*>(to)[i] = static_cast<const char*>(from)[i];
    return to;
}
void* memset(void* to, int value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) static_cast<volatile char*>(to)[i] = static_cast<char>(value);
    return to;
}
#ifdef __arm__
void __aeabi_memcpy(void* to, const void* from, std::size_t size) { memcpy(to, from, size); }
void __aeabi_memcpy4(void* to, const void* from, std::size_t size) { memcpy(to, from, size); }
void __aeabi_memcpy8(void* to, const void* from, std::size_t size) { memcpy(to, from, size); }
void __aeabi_memset(void* to, std::size_t size, int value) { memset(to, value, size); }
void __aeabi_memclr(void* to, std::size_t size) { memset(to, 0, size); }
void __aeabi_memclr4(void* to, std::size_t size) { memset(to, 0, size); }
void __aeabi_memclr8(void* to, std::size_t size) { memset(to, 0, size); }
#endif

} // extern "C"

namespace {

template<class Ring, class Memory> struct Side {
    Ring ring;
    std::array<typename Ring::Slot, kSize> slots{};
    std::array<virtio::Request, 2> requests{};
    virtio::Doorbell bell;
    virtio::InterruptStatus status;

    void set_up(Page& memory, std::uintptr_t bits) {
        requests = {};
        virtio::RingSetup setup;
        setup.size = kSize;
        setup.event_index = (bits & kEventIndex) != 0;
        setup.in_order = (bits & kInOrder) != 0;
        setup.ordering = (bits & kPlatform) != 0 ? arch::Ordering::platform : arch::Ordering::processors;
        ring.attach(Memory{memory.bytes.data(), kSize}, slots, nullptr, {}, setup);
        const auto registers = reinterpret_cast<std::uintptr_t>(&probe_registers);
        bell = virtio::Doorbell::at(virtio::Doorbell::Kind::mmio16, registers, 0, false);
        status = virtio::InterruptStatus::at(virtio::InterruptStatus::Kind::mmio32, registers + 0x10);
    }

    /// What was in a buffer is read, two chains are lent, the device is told.
    void send() {
        const auto seen = static_cast<std::uint32_t>(probe_payload.bytes[0]);
        const std::array<virtio::Segment, 1> readable{{{virtio::DmaAddress{0x1000}, 16}}};
        const std::array<virtio::Segment, 1> writable{{{virtio::DmaAddress{0x2000}, 16}}};
        bool good = true;
        for (virtio::Request& request : requests) good = ring.add(readable, writable, request).has_value() && good;
        (void)ring.publish();
        if (ring.needs_kick()) bell.ring(0);
        probe_sink = seen + (good ? 0U : 0x100U);
    }

    /// An interrupt: why, what was used, what is in its buffer; then interrupts are armed.
    void receive() {
        const std::uint32_t reason = status.acknowledge();
        ring.suppress_interrupts();
        const auto taken = ring.take();
        std::uint32_t seen = taken.request == &requests[0] ? 0 : 0x100;
        if (taken.request != nullptr) seen += taken.request->length + static_cast<std::uint32_t>(probe_payload.bytes[0]);
        const bool again = ring.arm_interrupts();
        probe_sink = seen + (reason == 1 ? 0U : 0x200U) + (again ? 0x400U : 0U);
    }
};

Side<virtio::SplitRing, virtio::SplitMemory> split;
Side<virtio::PackedRing, virtio::PackedMemory> packed;

} // namespace

extern "C" {

void probe_split_setup(std::uintptr_t bits) { split.set_up(probe_split_memory, bits); }
void probe_split_send() { split.send(); }
void probe_split_receive() { split.receive(); }
void probe_packed_setup(std::uintptr_t bits) { packed.set_up(probe_packed_memory, bits); }
void probe_packed_send() { packed.send(); }
void probe_packed_receive() { packed.receive(); }

} // extern "C"
