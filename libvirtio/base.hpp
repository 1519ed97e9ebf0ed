// The words that every part of the library shares: errors as values, little-endian wire integers, device addresses.
// No context is forbidden; nothing here allocates or blocks.
//
//     virtio::Result<std::uint32_t> size = transport.queue_maximum(0);
//     if (!size) return std::unexpected(size.error());      // virtio::message(size.error()): "device gone"
#pragma once

#include <array> // brings <compare>, as the standard demands
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <type_traits>

namespace virtio {

static_assert(std::endian::native == std::endian::little, "virtio's wire order is little-endian, and so are all our processors");

/// What went wrong. The numbers are stable (a C face and logs rely on them): append, never renumber.
enum class Error : std::uint16_t {
    none = 0,
    // finding and starting a device
    no_device = 1,
    device_gone = 2,
    bad_magic = 3,
    bad_version = 4,
    unsupported_device = 5,
    bad_capability = 6,
    bad_bar = 7,
    feature_missing = 8,
    feature_refused = 9,
    feature_dependency = 10,
    dma_domain_missing = 11,
    bad_config = 12,
    config_unstable = 13,
    field_not_negotiated = 14,
    interrupt_unavailable = 15,
    reset_timeout = 16,
    needs_reset = 17,
    already_started = 18,
    not_started = 19,
    // memory
    out_of_memory = 30,
    dma_map_failed = 31,
    // queues
    ring_full = 40,
    queue_broken = 41,
    queue_unavailable = 42,
    queue_size_invalid = 43,
    too_many_segments = 44,
    empty_request = 45,
    request_in_flight = 46,
    device_reset = 47,
    abandoned = 48,
    timeout = 49,
    // requests
    invalid_argument = 60,
    out_of_range = 61,
    unaligned = 62,
    read_only = 63,
    io_error = 64,
    unsupported_request = 65,
    bad_response = 66,
    frame_too_long = 67,
    bad_header = 68,
    link_down = 69,
    // programs
    would_block = 80,
    not_found = 81,
    closed = 82,
    no_lease = 83,
    unreachable = 84,
    refused = 85,
    address_in_use = 86,
    busy = 87,
};

/// A short English phrase for an error; never null.
[[nodiscard]] const char* message(Error error) noexcept;

template<class T = void> using Result = std::expected<T, Error>;

/// `return fail(Error::timeout);` in a function that returns any Result.
[[nodiscard]] constexpr std::unexpected<Error> fail(Error error) noexcept { return std::unexpected<Error>(error); }

/// An integer as it stands in a wire structure: little-endian, readable only through load(), writable only through store(),
/// so that an unconverted access cannot be written by accident.
template<std::unsigned_integral T> class Le {
public:
    constexpr Le() noexcept = default;
    constexpr explicit Le(T value) noexcept : value_(value) {}
    [[nodiscard]] constexpr T load() const noexcept { return value_; }
    constexpr void store(T value) noexcept { value_ = value; }

private:
    T value_ = 0;
};

using Le16 = Le<std::uint16_t>;
using Le32 = Le<std::uint32_t>;
using Le64 = Le<std::uint64_t>;

/// An address as the device sees it. Never mixed up with a pointer or a plain integer.
struct DmaAddress {
    std::uint64_t value = 0;

    friend constexpr auto operator<=>(DmaAddress, DmaAddress) noexcept = default;
    [[nodiscard]] friend constexpr DmaAddress operator+(DmaAddress address, std::uint64_t bytes) noexcept {
        return {address.value + bytes};
    }
};

/// One descriptor's worth of memory: where the device finds it, and how many bytes (1..2^32-1).
struct Segment {
    DmaAddress address;
    std::uint32_t length = 0;
};

/// Rounds up to a multiple of a power of two.
template<std::unsigned_integral T> [[nodiscard]] constexpr T align_up(T value, T alignment) noexcept {
    return static_cast<T>((value + alignment - 1) & ~(alignment - 1));
}

} // namespace virtio
