#include "libvirtio/feature.hpp"

#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

constexpr std::array kRingFeatureNames{
    FeatureName{24, "NOTIFY_ON_EMPTY"}, FeatureName{27, "ANY_LAYOUT"},        FeatureName{28, "INDIRECT_DESC"},
    FeatureName{29, "EVENT_IDX"},       FeatureName{32, "VERSION_1"},         FeatureName{33, "ACCESS_PLATFORM"},
    FeatureName{34, "RING_PACKED"},     FeatureName{35, "IN_ORDER"},          FeatureName{36, "ORDER_PLATFORM"},
    FeatureName{37, "SR_IOV"},          FeatureName{38, "NOTIFICATION_DATA"}, FeatureName{39, "NOTIF_CONFIG_DATA"},
    FeatureName{40, "RING_RESET"},      FeatureName{41, "ADMIN_VQ"},
};

bool satisfied(const FeatureSet& chosen, const Dependency& rule) noexcept {
    return chosen.has(rule.needs) || (rule.or_needs != 0xff && chosen.has(rule.or_needs));
}

} // namespace

std::expected<FeatureSet, Refusal> negotiate(const FeatureSet& offered, const Policy& policy,
                                             std::span<const Dependency> dependencies) noexcept {
    for (unsigned bit = 0; bit < FeatureSet::kBits; ++bit) {
        if (policy.required.has(bit) && !offered.has(bit) && !mutant(108))
            return std::unexpected(Refusal{Error::feature_missing, static_cast<std::uint8_t>(bit)});
    }
    FeatureSet chosen = offered & (policy.required | policy.wanted);
    // A dropped bit can be what another one depends on, so look again until nothing changes; each round drops one at least.
    for (bool changed = true; changed;) {
        changed = false;
        for (const Dependency& rule : dependencies) {
            if (!chosen.has(rule.feature) || satisfied(chosen, rule) || mutant(109)) continue;
            if (policy.required.has(rule.feature) && !mutant(110)) return std::unexpected(Refusal{Error::feature_dependency, rule.feature});
            chosen.erase(rule.feature);
            changed = true;
        }
    }
    return chosen;
}

std::span<const FeatureName> ring_feature_names() noexcept { return kRingFeatureNames; }

const char* feature_name(unsigned bit, std::span<const FeatureName> device_names) noexcept {
    for (const FeatureName& entry : device_names)
        if (entry.bit == bit) return entry.name;
    for (const FeatureName& entry : kRingFeatureNames)
        if (entry.bit == bit) return entry.name;
    return nullptr;
}

} // namespace virtio
