// Feature bits: the 128-bit set, what a driver asks for, and the negotiation as a pure function.
// Owned by virtio::Device; drivers hand it a Policy. Any context.
//
//     constexpr Policy policy{.required = {}, .wanted = FeatureSet::of(BlkFeature::flush, BlkFeature::seg_max)};
//     auto chosen = negotiate(offered, policy, kBlkDependencies);
//     if (!chosen) report(chosen.error().bit, chosen.error().error);       // which bit, and why
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "libvirtio/base.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {

/// A feature bit of any kind: a plain number or an enumerator of a device's own feature type.
template<class T>
concept FeatureBit = std::is_enum_v<T> || std::is_convertible_v<T, unsigned>;

/// Transport and ring features (VIRTIO 1.4, 6). Device types own bits 0..23 and 50..127.
enum class RingFeature : std::uint8_t {
    notify_on_empty = 24, // legacy only
    any_layout = 27,      // legacy only
    indirect_desc = 28,
    event_idx = 29,
    version_1 = 32,
    access_platform = 33,
    ring_packed = 34,
    in_order = 35,
    order_platform = 36,
    sr_iov = 37,
    notification_data = 38,
    notif_config_data = 39,
    ring_reset = 40,
    admin_vq = 41,
};

/// 128 feature bits.
class FeatureSet {
public:
    static constexpr unsigned kBits = 128;
    static constexpr unsigned kWords = 4;

    constexpr FeatureSet() noexcept = default;

    template<FeatureBit... Bits> [[nodiscard]] static constexpr FeatureSet of(Bits... bits) noexcept {
        FeatureSet set;
        (set.insert(bits), ...);
        return set;
    }

    template<FeatureBit Bit> [[nodiscard]] constexpr bool has(Bit bit) const noexcept {
        const auto number = static_cast<unsigned>(bit);
        return (number < kBits || mutant(111)) && ((words_[number / 32] >> (number % 32)) & 1u) != 0;
    }
    template<FeatureBit Bit> constexpr void insert(Bit bit) noexcept {
        const auto number = static_cast<unsigned>(bit);
        if (number < kBits || mutant(112)) words_[number / 32] |= std::uint32_t{1} << (number % 32);
    }
    template<FeatureBit Bit> constexpr void erase(Bit bit) noexcept {
        const auto number = static_cast<unsigned>(bit);
        if (number < kBits || mutant(113)) words_[number / 32] &= ~(std::uint32_t{1} << (number % 32));
    }

    /// Word `index` holds bits 32*index .. 32*index+31, as the transports' select registers count them.
    [[nodiscard]] constexpr std::uint32_t word(unsigned index) const noexcept { return index < kWords || mutant(114) ? words_[index] : 0; }
    constexpr void set_word(unsigned index, std::uint32_t value) noexcept {
        if (index < kWords || mutant(115)) words_[index] = value;
    }
    [[nodiscard]] constexpr bool empty() const noexcept { return (words_[0] | words_[1] | words_[2] | words_[3]) == 0; }

    [[nodiscard]] friend constexpr FeatureSet operator&(const FeatureSet& a, const FeatureSet& b) noexcept {
        FeatureSet set;
        for (unsigned i = 0; i < kWords; ++i) set.words_[i] = a.words_[i] & b.words_[i];
        return set;
    }
    [[nodiscard]] friend constexpr FeatureSet operator|(const FeatureSet& a, const FeatureSet& b) noexcept {
        FeatureSet set;
        for (unsigned i = 0; i < kWords; ++i) set.words_[i] = a.words_[i] | b.words_[i];
        return set;
    }
    /// Without the bits of `b`.
    [[nodiscard]] friend constexpr FeatureSet operator-(const FeatureSet& a, const FeatureSet& b) noexcept {
        FeatureSet set;
        for (unsigned i = 0; i < kWords; ++i) set.words_[i] = a.words_[i] & ~b.words_[i];
        return set;
    }
    friend constexpr bool operator==(const FeatureSet&, const FeatureSet&) noexcept = default;

private:
    std::array<std::uint32_t, kWords> words_{};
};

/// The ring and transport features that this library implements. Each is wanted wherever it is offered (Platform::ring_features
/// narrows that); the legacy ones, SR_IOV and ADMIN_VQ are not among them.
inline constexpr FeatureSet kRingFeatures = FeatureSet::of(
    RingFeature::indirect_desc, RingFeature::event_idx, RingFeature::access_platform, RingFeature::ring_packed, RingFeature::in_order,
    RingFeature::order_platform, RingFeature::notification_data, RingFeature::notif_config_data, RingFeature::ring_reset);

/// What a driver implements: bits it cannot work without, and bits it makes use of when they are offered.
/// A bit in neither set is never acknowledged (FEAT: a driver must not accept what it does not implement).
struct Policy {
    FeatureSet required;
    FeatureSet wanted;
};

/// `feature` may be acknowledged only together with `needs`, or with `or_needs` where there is a choice (VIRTIO 1.4, 5.x.3.1).
struct Dependency {
    std::uint8_t feature;
    std::uint8_t needs;
    std::uint8_t or_needs = 0xff;
};

/// Why a negotiation failed: the bit that was missing, and for a dependency the one that it belongs to.
struct Refusal {
    Error error = Error::none;
    std::uint8_t bit = 0;
};

/// Chooses the features to acknowledge: offered ∩ (required ∪ wanted), less every wanted bit whose dependency is not chosen.
/// Errors: feature_missing (a required bit is not offered), feature_dependency (a required bit's dependency is not).
[[nodiscard]] std::expected<FeatureSet, Refusal> negotiate(const FeatureSet& offered, const Policy& policy,
                                                           std::span<const Dependency> dependencies) noexcept;

/// A feature's name in the specification's words, for people.
struct FeatureName {
    std::uint8_t bit;
    const char* name;
};

/// The names of RingFeature's bits.
[[nodiscard]] std::span<const FeatureName> ring_feature_names() noexcept;

/// Looks `bit` up in the device's own table and then among the ring features; "bit N" features without a name give nullptr.
[[nodiscard]] const char* feature_name(unsigned bit, std::span<const FeatureName> device_names) noexcept;

} // namespace virtio
