// UEFI on this processor (UEFI 2.10, 2.3.4).
#pragma once

namespace arch {

/// Its functions have Microsoft's calling convention.
template<class Result, class... Arguments> using UefiFunction = Result(__attribute__((ms_abi)) *)(Arguments...);

/// The kernel finds the machine in ACPI's tables.
constexpr bool kUefiNeedsDeviceTree = false;

} // namespace arch
