// Ending the halt of another processor: from any context, with general registers only.
#include "arch/arm/interrupt_vectors.hpp"
#include "arch/processors.hpp"

namespace arch {

void wake_processor(std::uint64_t id) noexcept { interrupt_vectors.gic->wake(id); }

} // namespace arch
