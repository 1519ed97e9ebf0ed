// For processors whose others are not started: says so when somebody wants to. (A processor with arch/NAME/processors.cpp does without.)
#include "arch/processors.hpp"

namespace arch {

std::uint64_t this_processor_id() noexcept { return ~std::uint64_t{0}; }
const char* prepare_processors(const Hardware&) noexcept { return "the others are not started on this kind of processor"; }
const char* start_processor(const Hardware& hardware, const Processor&, const ProcessorStart&) noexcept {
    return prepare_processors(hardware);
}
std::size_t exception_bytes() noexcept { return 0; }
void start_exceptions_here(void*) noexcept {}
void* exception_guard(void*, std::size_t) noexcept { return nullptr; }
void start_interrupts_here() noexcept {}
void start_timer_here(std::uint32_t) noexcept {}
void wake_processor(std::uint64_t) noexcept {}

} // namespace arch
