// The MMIO transport (VIRTIO 1.4, 4.2): a block of 32-bit registers and one interrupt line, which the owner connects itself. Version 2,
// and version 1, the legacy interface (4.2.4), which differs in how queues are set up and has no FEATURES_OK. Constant-initialised, comes alive by open(), outlives its Device. Task context.
//
//     static constinit virtio::MmioTransport slot;
//     auto opened = slot.open(board, 0x0a000000, 0x200);       // "no device", "bad magic value", "unsupported transport version"
#pragma once

#include "libvirtio/platform.hpp"
#include "libvirtio/transport.hpp"

namespace virtio {

namespace mmio_abi {
inline constexpr std::uint32_t kMagicNumber = 0x7472'6976; // "virt"
inline constexpr std::size_t kMagic = 0x000;
inline constexpr std::size_t kVersion = 0x004;
inline constexpr std::size_t kDeviceId = 0x008;
inline constexpr std::size_t kVendorId = 0x00c;
inline constexpr std::size_t kDeviceFeatures = 0x010;
inline constexpr std::size_t kDeviceFeaturesSelect = 0x014;
inline constexpr std::size_t kDriverFeatures = 0x020;
inline constexpr std::size_t kDriverFeaturesSelect = 0x024;
inline constexpr std::size_t kGuestPageSize = 0x028; // legacy
inline constexpr std::size_t kQueueSelect = 0x030;
inline constexpr std::size_t kQueueMaximum = 0x034;
inline constexpr std::size_t kQueueSize = 0x038;
inline constexpr std::size_t kQueueAlign = 0x03c;      // legacy
inline constexpr std::size_t kQueuePageNumber = 0x040; // legacy
inline constexpr std::size_t kQueueReady = 0x044;
inline constexpr std::size_t kQueueNotify = 0x050;
inline constexpr std::size_t kInterruptStatus = 0x060;
inline constexpr std::size_t kInterruptAcknowledge = 0x064;
inline constexpr std::size_t kStatus = 0x070;
inline constexpr std::size_t kQueueDescriptor = 0x080;
inline constexpr std::size_t kQueueDriver = 0x090;
inline constexpr std::size_t kQueueDevice = 0x0a0;
inline constexpr std::size_t kSharedMemorySelect = 0x0ac;
inline constexpr std::size_t kSharedMemoryLength = 0x0b0; // 64 bits, as the base
inline constexpr std::size_t kSharedMemoryBase = 0x0b8;
inline constexpr std::size_t kQueueReset = 0x0c0;
inline constexpr std::size_t kConfigGeneration = 0x0fc;
inline constexpr std::size_t kConfig = 0x100;
} // namespace mmio_abi

class MmioTransport final : public Transport {
public:
    /// Whether the owner has connected the device's interrupt to on_interrupt(), or the device is to be polled.
    enum class Line : std::uint8_t { connected, absent };

    constexpr MmioTransport() noexcept = default;

    /// `base` is the address of an uncached mapping of `size` bytes. Errors: invalid_argument (no room for the registers),
    /// bad_magic, bad_version, no_device (an empty slot), already_started.
    [[nodiscard]] Result<> open(Platform& platform, std::uintptr_t base, std::size_t size, Line line = Line::connected) noexcept;

    Result<DeviceIdentity> identity() noexcept override;
    const char* name() const noexcept override { return legacy_ ? "mmio-legacy" : "mmio"; }
    QueueLayout queue_layout() const noexcept override { return legacy_ ? QueueLayout::contiguous : QueueLayout::free; }
    Result<std::uint8_t> status() noexcept override;
    Result<> set_status(std::uint8_t value) noexcept override;
    /// Two: words 2 and 3 would alias words 0 and 1 on QEMU's device (which looks at one bit of the select register).
    unsigned feature_words() const noexcept override { return legacy_ ? 1 : 2; }
    Result<std::uint32_t> device_features(unsigned word) noexcept override;
    Result<> set_driver_features(unsigned word, std::uint32_t value) noexcept override;
    std::size_t config_size() const noexcept override { return size_ - mmio_abi::kConfig; }
    Result<std::uint32_t> read_config(std::size_t offset, unsigned width) noexcept override;
    Result<> write_config(std::size_t offset, unsigned width, std::uint32_t value) noexcept override;
    Result<std::uint32_t> config_generation() noexcept override;
    Result<std::uint32_t> queue_maximum(std::uint16_t index) noexcept override;
    Result<QueueGrant> queue_enable(std::uint16_t index, const QueueSetup& setup) noexcept override;
    Result<> queue_reset(std::uint16_t index, std::uint64_t deadline_ns) noexcept override;
    Result<SharedMemory> shared_memory(std::uint8_t id) noexcept override;
    Result<std::uint16_t> connect_messages(std::uint16_t, const InterruptTarget&) noexcept override {
        return fail(Error::unsupported_request);
    }
    Result<std::uint16_t> set_config_vector(std::uint16_t) noexcept override { return kNoVector; }
    Result<> connect_line(const InterruptTarget& target) noexcept override;
    void disconnect_interrupts() noexcept override {}
    InterruptStatus interrupt_status() const noexcept override {
        return InterruptStatus::at(InterruptStatus::Kind::mmio32, base_ + mmio_abi::kInterruptStatus);
    }

private:
    [[nodiscard]] std::uint32_t read(std::size_t offset) const noexcept;
    [[nodiscard]] std::uint64_t read64(std::size_t offset) const noexcept { return read(offset) | std::uint64_t{read(offset + 4)} << 32; }
    void write(std::size_t offset, std::uint32_t value) const noexcept;
    void write64(std::size_t offset, std::uint64_t value) const noexcept;
    [[nodiscard]] Result<> enable_modern(const QueueSetup& setup) noexcept;
    [[nodiscard]] Result<> enable_legacy(const QueueSetup& setup) noexcept;
    [[nodiscard]] bool gone() const noexcept { return read(mmio_abi::kMagic) != mmio_abi::kMagicNumber; }

    Platform* platform_ = nullptr;
    std::uintptr_t base_ = 0;
    std::size_t size_ = mmio_abi::kConfig;
    Line line_ = Line::absent;
    bool legacy_ = false; // version 1
};

} // namespace virtio
