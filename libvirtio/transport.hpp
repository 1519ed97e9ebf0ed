// A transport reaches one device's registers: PCI, MMIO, and what later sits beside them. Abstract and cold: set-up,
// configuration and reset only; kicks go through the Doorbell that queue_enable() returns. Every call is fallible, because the
// device may vanish. Owned by the bus or the caller, outlives its Device; task context.
//
// The order of calls (virtio::Device makes them):
//   1. identity()                        what is it?
//   2. reset(), status(), set_status()   the status machine (VIRTIO 1.4, 3.1.1)
//   3. device_features(), set_driver_features()
//   4. connect_messages() or connect_line()
//   5. queue_maximum(), queue_enable()   per queue; returns the Doorbell
//   6. read_config(), config_generation()   any time after 1
#pragma once

#include <cstdint>
#include <span>

#include "libvirtio/base.hpp"
#include "libvirtio/doorbell.hpp"
#include "libvirtio/feature.hpp"
#include "libvirtio/platform.hpp"
#include "libvirtio/ring/abi.hpp"

namespace virtio {

/// Whom an interrupt calls: `vector` counts this device's messages from 0; a line is vector 0. Interrupt context: the handler
/// uses general registers only, touches no ring and calls no libc.
struct InterruptTarget {
    void (*handler)(void* context, std::uint16_t vector) noexcept = nullptr;
    void* context = nullptr;
};

inline constexpr std::uint16_t kNoVector = 0xffff;

struct QueueSetup {
    std::uint16_t size = 0;
    DmaAddress descriptor;
    DmaAddress driver; // available ring, or driver event suppression
    DmaAddress device; // used ring, or device event suppression
    std::uint16_t vector = kNoVector;
    bool notification_data = false; // NOTIFICATION_DATA: kicks carry the ring's position
    bool config_data = false;       // NOTIF_CONFIG_DATA: kicks name the queue by a number that the device chose
};

struct QueueGrant {
    Doorbell doorbell;
    std::uint16_t vector = kNoVector; // as the device took it: kNoVector where it refused the one wanted
};

/// A region of memory that the device shares (VIRTIO 1.4, 2.10): where it stands among the bus's addresses (map_device() takes those).
struct SharedMemory {
    std::uint64_t address = 0;
    std::uint64_t length = 0;
};

/// What a legacy interface is told of a queue's address. Errors: dma_map_failed (beyond what 32 bits of page number reach).
[[nodiscard]] constexpr Result<std::uint32_t> legacy_page(DmaAddress address) noexcept {
    const std::uint64_t page = address.value / kLegacyAlignment;
    if ((address.value % kLegacyAlignment != 0 && !mutant(807)) || (page > 0xffff'ffffu && !mutant(808)) || (page == 0 && !mutant(809)))
        return fail(Error::dma_map_failed);
    return static_cast<std::uint32_t>(page);
}

class Transport {
public:
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;

    [[nodiscard]] virtual Result<DeviceIdentity> identity() noexcept = 0;
    /// "pci-modern", "mmio": for people.
    [[nodiscard]] virtual const char* name() const noexcept = 0;
    /// How queues must lie in memory.
    [[nodiscard]] virtual QueueLayout queue_layout() const noexcept { return QueueLayout::free; }
    /// Whether the device is driven by the legacy interface: one feature word without VERSION_1, no FEATURES_OK, no generation of the
    /// configuration, rings in one piece.
    [[nodiscard]] bool legacy() const noexcept { return queue_layout() != QueueLayout::free; }

    [[nodiscard]] virtual Result<std::uint8_t> status() noexcept = 0;
    [[nodiscard]] virtual Result<> set_status(std::uint8_t value) noexcept = 0;

    /// Features that need something of the transport which this one does not have; they are never acknowledged.
    [[nodiscard]] virtual FeatureSet unsupported() const noexcept { return FeatureSet::of(RingFeature::notif_config_data); }
    /// How many 32-bit feature words may be selected here: 4, or 2 where higher ones alias lower ones; legacy: 1.
    [[nodiscard]] virtual unsigned feature_words() const noexcept = 0;
    [[nodiscard]] virtual Result<std::uint32_t> device_features(unsigned word) noexcept = 0;
    [[nodiscard]] virtual Result<> set_driver_features(unsigned word, std::uint32_t value) noexcept = 0;

    /// Bytes of device configuration that can be reached.
    [[nodiscard]] virtual std::size_t config_size() const noexcept = 0;
    /// One access of exactly `width` (1, 2 or 4) bytes. Errors: out_of_range.
    [[nodiscard]] virtual Result<std::uint32_t> read_config(std::size_t offset, unsigned width) noexcept = 0;
    [[nodiscard]] virtual Result<> write_config(std::size_t offset, unsigned width, std::uint32_t value) noexcept = 0;
    /// Legacy interfaces have none: always 0.
    [[nodiscard]] virtual Result<std::uint32_t> config_generation() noexcept = 0;

    /// The largest size of a queue; 0 where there is no such queue.
    [[nodiscard]] virtual Result<std::uint32_t> queue_maximum(std::uint16_t index) noexcept = 0;
    [[nodiscard]] virtual Result<QueueGrant> queue_enable(std::uint16_t index, const QueueSetup& setup) noexcept = 0;
    /// RING_RESET (VIRTIO 1.4, 2.6.1): returns once the device has confirmed or `deadline_ns` has passed (reset_timeout).
    [[nodiscard]] virtual Result<> queue_reset(std::uint16_t index, std::uint64_t deadline_ns) noexcept = 0;

    /// The shared memory region `id`; what it is for, the device type says. Errors: not_found, bad_bar (it has no address), bad_config
    /// (beyond the end of the address space).
    [[nodiscard]] virtual Result<SharedMemory> shared_memory(std::uint8_t) noexcept { return fail(Error::not_found); }

    /// Up to `wanted` message interrupts; returns how many there are (1..wanted). Errors: interrupt_unavailable; unsupported_request (this bus
    /// knows none, so that the line is no second choice).
    [[nodiscard]] virtual Result<std::uint16_t> connect_messages(std::uint16_t wanted, const InterruptTarget& target) noexcept = 0;
    /// Which message announces configuration changes; returns it as read back (kNoVector: refused).
    [[nodiscard]] virtual Result<std::uint16_t> set_config_vector(std::uint16_t vector) noexcept = 0;
    /// The line interrupt. Errors: interrupt_unavailable.
    [[nodiscard]] virtual Result<> connect_line(const InterruptTarget& target) noexcept = 0;
    virtual void disconnect_interrupts() noexcept = 0;
    /// How a line interrupt is acknowledged.
    [[nodiscard]] virtual InterruptStatus interrupt_status() const noexcept = 0;

    /// A device that never confirms its reset: cut it off from memory where the bus can (PCI: Bus Master Enable). True when no
    /// DMA can come any more.
    [[nodiscard]] virtual bool cut_off() noexcept { return false; }

protected:
    constexpr Transport() noexcept = default;
    ~Transport() = default;
};

} // namespace virtio
