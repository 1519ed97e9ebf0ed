// The rules that the referee keeps a verdict on: driver requirements of VIRTIO 1.4 (ids of the project's clause table: VQ, SPLIT,
// PACKED, NOTIF, RESET, and of the registers' what the MMIO seat sees), and rules without a keyword in the text (RULE-...), which
// a device relies on all the same. Each says when it applies and from where it can be seen. Constant data; any context.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace referee {

enum class Clause : std::uint8_t {
    vq_001,
    vq_002,
    vq_003,
    vq_004,
    vq_005,
    vq_006,
    split_001,
    split_002,
    split_003,
    split_004,
    split_005,
    split_006,
    split_007,
    split_008,
    split_009,
    split_010,
    split_011,
    split_012,
    split_013,
    split_014,
    split_015,
    packed_001,
    packed_002,
    packed_003,
    packed_004,
    packed_005,
    packed_006,
    packed_007,
    packed_008,
    packed_009,
    packed_010,
    packed_011,
    packed_012,
    packed_013,
    packed_014,
    packed_015,
    packed_016,
    notif_001,
    notif_002,
    notif_003,
    notif_004,
    notif_005,
    notif_006,
    notif_007,
    notif_008,
    notif_009,
    notif_010,
    notif_011,
    notif_012,
    notif_013,
    notif_014,
    notif_015,
    notif_016,
    reset_001,
    reset_002,
    reset_003,
    reset_004,
    reset_005,
    reset_006,
    feat_018,
    rule_001,
    rule_002,
    rule_003,
    rule_004,
    rule_005,
    rule_006,
    rule_007,
    rule_008,
    rule_009,
    rule_010,
    rule_011,
    rule_012,
    init_001,
    init_002,
    init_004,
    init_005,
    init_006,
    init_007,
    init_010,
    status_002,
    feat_001,
    feat_014,
    mmio_001,
    mmio_002,
    mmio_003,
    mmio_004,
    mmio_014,
    mmio_015,
    mmio_016,
    mmio_017,
    mmio_021,
    mmio_022,
    mmio_023,
    mmio_026,
    mmio_027,
    mmio_032,
    blk_015,
    blk_017,
    blk_018,
    blk_019,
    blk_021,
    count
};
inline constexpr unsigned kClauses = static_cast<unsigned>(Clause::count);

enum class Level : std::uint8_t { must, must_not, should, should_not, may };

/// From where a clause can be judged.
enum class Sight : std::uint8_t {
    seen,   // by the device
    told,   // only by who sees what the driver does with its data: Judge::tell()
    hidden, // not from memory and registers: model, code generation
    legacy, // binds the legacy interface only, for which there is no seat
};

/// Which ring a clause is about.
enum class RingKind : std::uint8_t { any, split, packed };

struct ClauseInfo {
    std::string_view id; // "SPLIT-003"
    Level level = Level::must;
    RingKind ring = RingKind::any;
    std::uint64_t with = 0;    // features without which the clause does not apply
    std::uint64_t without = 0; // features with which it does not apply
    Sight sight = Sight::seen;
    std::string_view text;
};

[[nodiscard]] const ClauseInfo& info(Clause clause) noexcept;
[[nodiscard]] std::optional<Clause> find_clause(std::string_view id) noexcept;
[[nodiscard]] std::string_view name(Level level) noexcept;
/// Whether `id` is named by a selection such as "VQ SPLIT NOTIF-008": a prefix before the dash, or a whole id. An empty one selects all.
[[nodiscard]] bool selects(std::string_view selection, std::string_view id) noexcept;

} // namespace referee
