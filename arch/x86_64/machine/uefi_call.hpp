// How UEFI's functions are called on this processor: with Microsoft's convention (UEFI 2.10, 2.3.4.2).
#pragma once

namespace arch {

template<class Result, class... Arguments> using UefiFunction = Result(__attribute__((ms_abi)) *)(Arguments...);

} // namespace arch
