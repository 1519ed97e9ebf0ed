// UEFI on this processor (UEFI 2.10, 2.3.6).
#pragma once

namespace arch {

/// Its functions are called as any other.
template<class Result, class... Arguments> using UefiFunction = Result (*)(Arguments...);

/// The kernel finds the machine in the device tree.
constexpr bool kUefiNeedsDeviceTree = true;

} // namespace arch
