// What an operating system or firmware gives the drivers: memory, addresses, time. It is an object, not a global, so that two
// devices may live in two domains and a test can run several. Everything here is called at set-up or while waiting, never per
// request. It outlives every device started on it.
//
//     struct Board final : virtio::Platform {
//         void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override { return pool.take(bytes, alignment); }
//         void dma_free(void* memory, std::size_t bytes) noexcept override { pool.give(memory, bytes); }
//         virtio::DmaAddress dma_address(const void* memory) noexcept override { return {reinterpret_cast<std::uintptr_t>(memory)}; }
//         std::uint64_t now_ns() noexcept override { return timer(); }
//     };
#pragma once

#include <cstddef>
#include <cstdint>

#include <ringside/arch/io.hpp>

#include "libvirtio/base.hpp"
#include "libvirtio/dma.hpp"
#include "libvirtio/event.hpp"
#include "libvirtio/feature.hpp"

namespace virtio {

enum class LogLevel : std::uint8_t { error, warning, info, debug };

/// What a device says it is: the virtio device type (1 net, 2 blk, ...) and its vendor.
struct DeviceIdentity {
    std::uint32_t type = 0;
    std::uint32_t vendor = 0;
};

class Platform {
public:
    // The constructor takes no arguments and is constexpr: a platform can stand in static memory.
    constexpr Platform() noexcept : domain_(*this) {}
    Platform(const Platform&) = delete;
    Platform& operator=(const Platform&) = delete;

    // --- the four functions that every port writes ---

    /// Contiguous, zeroed memory that the device can reach and that is coherent with it; nullptr when there is none.
    [[nodiscard]] virtual void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept = 0;
    virtual void dma_free(void* memory, std::size_t bytes) noexcept = 0;
    /// Where the device sees an address of ours.
    [[nodiscard]] virtual DmaAddress dma_address(const void* memory) noexcept = 0;
    /// A monotonic clock in nanoseconds.
    [[nodiscard]] virtual std::uint64_t now_ns() noexcept = 0;

    // --- optional ---

    /// How many bytes from `memory` on (at most `bytes`) are contiguous for the device. Default: all of them.
    [[nodiscard]] virtual std::size_t dma_contiguous(const void*, std::size_t bytes) noexcept { return bytes; }

    /// The domain for a device, asked after FEATURES_OK because ACCESS_PLATFORM (`translated`) decides. Default: one domain made
    /// of the functions above, and an error for a translated device. Errors: dma_domain_missing.
    [[nodiscard]] virtual Result<DmaDomain*> dma_domain(const DeviceIdentity&, bool translated) noexcept {
        if (translated) return fail(Error::dma_domain_missing);
        return &domain_;
    }

    /// Which of kRingFeatures a device may use, for platforms and hypervisors on which one of them does not work. Default: all.
    [[nodiscard]] virtual FeatureSet ring_features(const DeviceIdentity&) noexcept { return kRingFeatures; }

    /// Private memory of the driver's, which no device needs to reach. Default: DMA memory.
    [[nodiscard]] virtual void* allocate(std::size_t bytes, std::size_t alignment) noexcept { return dma_allocate(bytes, alignment); }
    virtual void free(void* memory, std::size_t bytes) noexcept { dma_free(memory, bytes); }

    /// Waits until `event` has a bit set or the clock reaches `deadline_ns`; may return early. Default: spin politely, once.
    // (Inline, so that the abstract class's table stands in the port that derives from it, not in the library.)
    virtual void wait(const Event&, std::uint64_t) noexcept { arch::relax(); }
    /// An interrupt handler or a completion marked an event: once for each event. Any context; general registers only. Default: nothing.
    virtual void wake() noexcept {}

    /// One line of news for people, without a newline.
    virtual void log(LogLevel, const char*) noexcept {}

protected:
    ~Platform() = default;

private:
    class Domain final : public DmaDomain {
    public:
        constexpr explicit Domain(Platform& platform) noexcept : platform_(platform) {}
        [[nodiscard]] Result<DmaMemory> allocate(std::size_t bytes, std::size_t alignment) noexcept override;
        void free(const DmaMemory& memory) noexcept override;

    protected:
        [[nodiscard]] Result<DmaMapping> map_indirect(const std::byte* data, std::size_t bytes, DmaDirection direction) noexcept override;

    private:
        Platform& platform_;
    };
    Domain domain_;
};

} // namespace virtio
