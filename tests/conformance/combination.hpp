// The kinds of ring that each clause is tested for: split or packed, with every set of the features that change a ring's rules.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libvirtio/feature.hpp"
#include "tests/referee/wire.hpp"

namespace conformance {

struct Combination {
    bool packed = false;
    bool indirect = false;
    bool event_index = false;
    bool in_order = false;
    bool notification_data = false;
    std::uint16_t size = 16; // of a queue

    [[nodiscard]] std::uint64_t features() const {
        namespace feature = referee::feature;
        return feature::kVersion1 | (packed ? feature::kRingPacked : 0) | (indirect ? feature::kIndirectDesc : 0) |
               (event_index ? feature::kEventIdx : 0) | (in_order ? feature::kInOrder : 0) |
               (notification_data ? feature::kNotificationData : 0);
    }
    [[nodiscard]] virtio::FeatureSet feature_set() const {
        virtio::FeatureSet set;
        for (unsigned bit = 0; bit < 64; ++bit)
            if (((features() >> bit) & 1) != 0) set.insert(bit);
        return set;
    }
    [[nodiscard]] std::string name() const {
        return std::string(packed ? "packed" : "split") + (indirect ? " INDIRECT" : "") + (event_index ? " EVENT_IDX" : "") +
               (in_order ? " IN_ORDER" : "") + (notification_data ? " NOTIFICATION_DATA" : "") + " size " + std::to_string(size);
    }
};

/// Which combinations a clause applies to.
struct Where {
    enum class Need : std::uint8_t { any, yes, no };
    Need packed = Need::any;
    Need indirect = Need::any;
    Need event_index = Need::any;
    Need in_order = Need::any;
    Need notification_data = Need::any;

    [[nodiscard]] bool admits(const Combination& it) const {
        const auto fits = [](Need need, bool has) { return need == Need::any || (need == Need::yes) == has; };
        return fits(packed, it.packed) && fits(indirect, it.indirect) && fits(event_index, it.event_index) && fits(in_order, it.in_order) &&
               fits(notification_data, it.notification_data);
    }
};
inline constexpr Where kBoth{};
inline constexpr Where kSplit{.packed = Where::Need::no};
inline constexpr Where kPacked{.packed = Where::Need::yes};

/// All 32; a packed ring's size is no power of two, which it need not be.
[[nodiscard]] inline std::vector<Combination> combinations(const Where& where) {
    std::vector<Combination> found;
    for (unsigned bits = 0; bits < 32; ++bits) {
        Combination it;
        it.packed = (bits & 16) != 0;
        it.indirect = (bits & 1) != 0;
        it.event_index = (bits & 2) != 0;
        it.in_order = (bits & 4) != 0;
        it.notification_data = (bits & 8) != 0;
        it.size = it.packed ? 13 : 16;
        if (where.admits(it)) found.push_back(it);
    }
    return found;
}

} // namespace conformance
