// Bits of the long translation table format (ARM DDI 0406C, B3.6), as page_tables.cpp and, by the macros, assembly write them.
#pragma once

// MAIR0: index 0 is Device memory, index 1 Normal memory, write-back, allocating reads and writes.
#define RINGSIDE_MAIR0 0x0000ff04
// TTBCR: long descriptors; tables are walked through inner shareable write-back memory; TTBR0 for all 32 bits.
#define RINGSIDE_TTBCR 0x80003500

#ifndef __ASSEMBLER__
#include <cstdint>

namespace arch::translation {

inline constexpr std::uint64_t kValid = 1;
/// In the lowest level's entries, which are invalid without it: a page. In others: a table.
inline constexpr std::uint64_t kTableOrPage = 2;
inline constexpr std::uint64_t kMemoryKind = std::uint64_t{7} << 2; ///< an index into MAIR
inline constexpr std::uint64_t kReadOnly = std::uint64_t{1} << 7;
inline constexpr std::uint64_t kInnerShareable = std::uint64_t{3} << 8;
inline constexpr std::uint64_t kUsed = std::uint64_t{1} << 10; ///< else the first access is a fault
inline constexpr std::uint64_t kNeverPrivileged = std::uint64_t{1} << 53, kNever = std::uint64_t{1} << 54; ///< executed
inline constexpr std::uint64_t kAddress = 0x000000fffffff000;

inline constexpr std::uint64_t kDeviceMemory = 0;
inline constexpr std::uint64_t kNormalMemory = std::uint64_t{1} << 2 | kInnerShareable;

} // namespace arch::translation
#endif
