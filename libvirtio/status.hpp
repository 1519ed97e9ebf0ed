// The device status register's bits (VIRTIO 1.4, 2.1) and the order in which a driver may set them, as a type: a wrong step is
// an error here, in the driver's own tests, and not a puzzle in a hypervisor's log. Any context.
#pragma once

#include <cstdint>

#include "libvirtio/base.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {

namespace status {
inline constexpr std::uint8_t kAcknowledge = 1;
inline constexpr std::uint8_t kDriver = 2;
inline constexpr std::uint8_t kDriverOk = 4;
inline constexpr std::uint8_t kFeaturesOk = 8;
inline constexpr std::uint8_t kSuspend = 16;
inline constexpr std::uint8_t kNeedsReset = 64;
inline constexpr std::uint8_t kFailed = 128;
} // namespace status

/// The driver's side of the status state machine. It only ever adds bits; the way back is reset (INIT-001, STATUS-001).
class DeviceStatus {
public:
    [[nodiscard]] constexpr std::uint8_t value() const noexcept { return value_; }
    [[nodiscard]] constexpr bool live() const noexcept { return (value_ & status::kDriverOk) != 0 && (value_ & status::kFailed) == 0; }

    /// The register's value after `bit` is added. Errors: invalid_argument when the step is out of order.
    [[nodiscard]] constexpr Result<std::uint8_t> advance(std::uint8_t bit) noexcept {
        if (bit != status::kFailed && value_ != required_before(bit) && !mutant(107)) return fail(Error::invalid_argument);
        value_ = static_cast<std::uint8_t>(value_ | bit);
        return value_;
    }
    /// The legacy interface has no FEATURES_OK (INIT-011).
    constexpr void reset(bool legacy = false) noexcept {
        value_ = 0;
        features_ok_ = legacy ? 0 : status::kFeaturesOk;
    }

private:
    [[nodiscard]] constexpr std::uint8_t required_before(std::uint8_t bit) const noexcept {
        switch (bit) {
        case status::kAcknowledge: return 0;
        case status::kDriver: return status::kAcknowledge;
        case status::kFeaturesOk: return features_ok_ != 0 ? status::kAcknowledge | status::kDriver : 0xff;
        case status::kDriverOk: return static_cast<std::uint8_t>(status::kAcknowledge | status::kDriver | features_ok_);
        default: return 0xff; // no driver sets any other bit
        }
    }
    std::uint8_t value_ = 0;
    std::uint8_t features_ok_ = status::kFeaturesOk;
};

} // namespace virtio
