// Typed access to a device's configuration. A Field names where a value stands, how wide it is and which feature makes it valid;
// reading one whose feature was not offered or negotiated is an error, never garbage. Values wider than the register's 32 bits
// and several values that belong together are read inside the generation loop (VIRTIO 1.4, 2.5), a bounded number of times; where
// there is no generation (legacy), until two readings agree. Task context; owned by Device.
//
//     inline constexpr Field<std::uint64_t> kCapacity{.offset = 0};
//     inline constexpr Field<std::uint32_t> kSegMax{.offset = 12, .feature = static_cast<std::uint8_t>(BlkFeature::seg_max)};
//     auto sectors = device.config().read(kCapacity);
#pragma once

#include <cstdint>
#include <span>

#include "libvirtio/base.hpp"
#include "libvirtio/feature.hpp"
#include "libvirtio/memory.hpp"
#include "libvirtio/transport.hpp"

namespace virtio {

template<std::unsigned_integral T> struct Field {
    static constexpr std::uint8_t kAlways = 0xff;
    std::size_t offset;
    std::uint8_t feature = kAlways;
};

class Config {
public:
    static constexpr unsigned kTries = 8;

    constexpr Config() noexcept = default;
    /// `valid` are the features whose fields may be read: those offered before FEATURES_OK, those negotiated after it.
    Config(Transport& transport, const FeatureSet& valid) noexcept : transport_(&transport), valid_(valid) {}

    /// One field, untorn. Errors: field_not_negotiated, out_of_range (the device's configuration is too short), config_unstable
    /// (the generation changed on every try), device_gone.
    template<class T> [[nodiscard]] Result<T> read(const Field<T>& field) const noexcept {
        std::array<std::uint8_t, sizeof(T)> bytes{};
        const Result<> got = read_bytes(field.offset, field.feature, bytes, sizeof(T) < 4 ? sizeof(T) : 4);
        if (!got) return fail(got.error());
        return std::bit_cast<T>(bytes);
    }
    /// A byte array (a MAC address), untorn, read byte by byte.
    [[nodiscard]] Result<> read(const Field<std::uint8_t>& first, std::span<std::uint8_t> out) const noexcept {
        return read_bytes(first.offset, first.feature, out, 1);
    }
    template<class T>
        requires(sizeof(T) <= 4)
    [[nodiscard]] Result<> write(const Field<T>& field, T value) const noexcept {
        if (!valid(field.feature) && !mutant(100)) return fail(Error::field_not_negotiated);
        return transport_->write_config(field.offset, sizeof(T), value);
    }
    [[nodiscard]] bool valid(std::uint8_t feature) const noexcept {
        return (transport_ != nullptr || mutant(101)) && (feature == Field<std::uint8_t>::kAlways || valid_.has(feature));
    }

private:
    /// One pass over the registers. Returns whether `out` held something else before.
    [[nodiscard]] Result<bool> read_pass(std::size_t offset, std::span<std::uint8_t> out, unsigned width) const noexcept;
    [[nodiscard]] Result<> read_bytes(std::size_t offset, std::uint8_t feature, std::span<std::uint8_t> out, unsigned width) const noexcept;

    Transport* transport_ = nullptr;
    FeatureSet valid_;
};

} // namespace virtio
