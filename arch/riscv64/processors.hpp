// Inside arch/riscv64 only: what the start of other harts changes elsewhere.
#pragma once

namespace arch {

struct Processor;

/// Translations are to be forgotten by the other harts, too. Set before the first of them starts.
extern bool remote_fences;

/// Why a processor could not be interrupted; null if it can be.
[[nodiscard]] const char* cannot_interrupt(const Processor& processor) noexcept;

} // namespace arch
