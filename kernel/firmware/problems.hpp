// What was wrong in the firmware's tables: noted while they are read, which is before there is a log, and told once there is one. Task
// context. Noting the same again changes nothing; what is more than can be kept is counted.
//
//     kernel::note_firmware_problem("APIC", address, "its checksum is wrong");
//     kernel::log_firmware_problems();                      // "firmware: APIC at 0x7fe1234: its checksum is wrong"
#pragma once

#include <cstdint>
#include <string_view>

namespace kernel {

/// `where` is copied (31 characters), anything unprintable in it shown as '?'; `what` must live for ever. Address 0: none is shown.
void note_firmware_problem(std::string_view where, std::uint64_t address, const char* what) noexcept;
/// After start_log(); what is noted later comes with the next call.
void log_firmware_problems();

} // namespace kernel
