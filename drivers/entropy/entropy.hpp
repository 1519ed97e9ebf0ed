// The entropy device driver: random bytes from the host (VIRTIO 1.4, 5.4). Constant-initialised, never moved, outlived by its
// platform and transport; one task context at a time, only on_interrupt() belongs to interrupt context. The device writes into the
// driver's own memory, never into the caller's: a host that has no entropy left costs a caller its deadline and nothing else, and
// the request simply stays there for the next one.
//
//     static constinit virtio::EntropyDevice source;
//     source.start(board, transport);
//     auto got = source.read(seed, 100'000'000);              // at least one byte, or timeout, bad_response, ...
#pragma once

#include <cstdint>
#include <span>

#include "drivers/entropy/abi.hpp"
#include "libvirtio/device.hpp"

namespace virtio {

struct EntropyOptions {
    std::uint16_t queue_size = 4; // one request is in flight at most
};

class EntropyDevice {
public:
    static constexpr std::uint32_t kMostBytes = 256; // per request

    using Options = EntropyOptions;
    struct Counters {
        std::uint64_t reads = 0;
        std::uint64_t bytes = 0;
        std::uint64_t timeouts = 0;
        std::uint64_t bad_lengths = 0; // nothing written, or more than was lent
        std::uint64_t resets = 0;
    };

    constexpr EntropyDevice() noexcept = default;
    EntropyDevice(const EntropyDevice&) = delete;
    EntropyDevice& operator=(const EntropyDevice&) = delete;

    /// Errors: no_device (another type), feature_missing, feature_refused, dma_domain_missing, out_of_memory, reset_timeout, ...
    [[nodiscard]] Result<> start(Platform& platform, Transport& transport, const Options& options = {}) noexcept;
    Result<> stop() noexcept;
    /// The device has gone, or is about to: as stop(), and whoever asks later gets `device_gone`. The transport is forgotten and may be
    /// destroyed; start() takes the next one. Errors: those of stop(); after `busy` it is to be called again.
    Result<> remove() noexcept;
    Result<> recover() noexcept;

    /// Fills the front of `into`, at most kMostBytes, and says how much. Errors: empty_request, timeout, bad_response (a length that
    /// cannot be), busy (another read waits), not_started, device_gone.
    [[nodiscard]] Result<std::size_t> read(std::span<std::byte> into, std::uint64_t timeout_ns) noexcept;

    /// The owner's service: takes a late answer, follows configuration changes. Returns the work done.
    unsigned poll() noexcept;
    /// The queue is broken or the device asked for a reset: recover() heals; read() does it by itself.
    [[nodiscard]] bool failed() const noexcept { return failed_; }

    /// Interrupt context.
    void on_interrupt(std::uint16_t vector = 0) noexcept { device_.on_interrupt(vector); }
    [[nodiscard]] Device& device() noexcept { return device_; }
    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
    [[nodiscard]] static std::span<const FeatureName> feature_names() noexcept { return {}; }

private:
    [[nodiscard]] Result<> bring_up() noexcept;
    Result<> shut(Error error) noexcept;
    [[nodiscard]] Result<std::size_t> wait_for_bytes(std::span<std::byte> into, std::uint64_t timeout_ns) noexcept;

    Device device_;
    Virtqueue queue_;
    Request request_;
    DmaMemory memory_;
    DmaDomain* domain_ = nullptr;
    Platform* platform_ = nullptr;
    Transport* transport_ = nullptr;
    Options options_;
    std::uint32_t lent_ = 0;
    bool reading_ = false;
    bool failed_ = false;
    Error stopped_by_ = Error::not_started;
    Counters counters_;
};

} // namespace virtio
