// What the C++ compiler and libstdc++'s headers expect of a runtime library and do not bring: the libstdc++ archive is not linked.
#include <bits/functexcept.h>
#include <cstdarg>
#include <cstdint>
#include <cstdio>

#include "kernel/panic/panic.hpp"
#include "kernel/runtime/program.hpp"

extern "C" {

[[noreturn]] void __cxa_pure_virtual() { kernel::panic("a pure virtual function was called"); }
[[noreturn]] void __cxa_deleted_virtual() { kernel::panic("a deleted virtual function was called"); }

// Function-local statics of code that was not compiled with -fno-threadsafe-statics. The first byte says "done". Tasks switch only
// where they wait: a constructor that waits and is entered again by another task is the one case to stop at.
int __cxa_guard_acquire(std::uint64_t* guard) {
    auto* bytes = reinterpret_cast<std::uint8_t*>(guard);
    if (bytes[0] != 0) return 0;
    if (bytes[1] != 0) kernel::panic("a function-local static is used while it is being made");
    bytes[1] = 1;
    return 1;
}
void __cxa_guard_release(std::uint64_t* guard) {
    auto* bytes = reinterpret_cast<std::uint8_t*>(guard);
    bytes[0] = 1;
    bytes[1] = 0;
}
void __cxa_guard_abort(std::uint64_t* guard) { reinterpret_cast<std::uint8_t*>(guard)[1] = 0; }

void* __dso_handle = nullptr;

using Function = void (*)();
extern const Function __preinit_array_start[], __preinit_array_end[];
extern const Function __init_array_start[], __init_array_end[];
extern const Function __fini_array_start[], __fini_array_end[];
}

namespace kernel {

void run_static_constructors() {
    for (const Function* each = __preinit_array_start; each != __preinit_array_end; ++each) (*each)();
    for (const Function* each = __init_array_start; each != __init_array_end; ++each) (*each)();
}

void run_static_destructors() {
    for (const Function* each = __fini_array_end; each != __fini_array_start;) (*--each)();
}

} // namespace kernel

// libstdc++'s headers call these where other builds throw.
namespace std {

using kernel::panic;

void __throw_bad_exception() { panic("std::bad_exception"); }
void __throw_bad_alloc() { panic("std::bad_alloc: out of memory"); }
void __throw_bad_array_new_length() { panic("std::bad_array_new_length"); }
void __throw_bad_cast() { panic("std::bad_cast"); }
void __throw_bad_typeid() { panic("std::bad_typeid"); }
void __throw_logic_error(const char* what) { panic("std::logic_error: %s", what); }
void __throw_domain_error(const char* what) { panic("std::domain_error: %s", what); }
void __throw_invalid_argument(const char* what) { panic("std::invalid_argument: %s", what); }
void __throw_length_error(const char* what) { panic("std::length_error: %s", what); }
void __throw_out_of_range(const char* what) { panic("std::out_of_range: %s", what); }
void __throw_out_of_range_fmt(const char* format, ...) {
    char what[200];
    std::va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    panic("std::out_of_range: %s", what);
}
void __throw_runtime_error(const char* what) { panic("std::runtime_error: %s", what); }
void __throw_range_error(const char* what) { panic("std::range_error: %s", what); }
void __throw_overflow_error(const char* what) { panic("std::overflow_error: %s", what); }
void __throw_underflow_error(const char* what) { panic("std::underflow_error: %s", what); }
void __throw_ios_failure(const char* what) { panic("std::ios_base::failure: %s", what); }
void __throw_ios_failure(const char* what, int number) { panic("std::ios_base::failure: %s (%d)", what, number); }
void __throw_system_error(int number) { panic("std::system_error %d", number); }
void __throw_future_error(int number) { panic("std::future_error %d", number); }
void __throw_bad_function_call() { panic("std::bad_function_call: an empty std::function was called"); }

} // namespace std
