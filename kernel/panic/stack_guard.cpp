// The compiler's stack protector: a value that every function with an array checks before it returns. The entry stub fills it.
#include <cstdint>

#include "kernel/panic/panic.hpp"

extern "C" {
std::uintptr_t __stack_chk_guard = 0;
[[noreturn]] void __stack_chk_fail() { kernel::panic("stack smashed: a function wrote beyond its local variables"); }
}
