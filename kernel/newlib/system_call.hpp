// Files, sockets and devices' data are the first processor's: what the C library's functions do with them is done there, whichever processor
// they are called on, and errno comes back. Task context.
//
//     int close(int number) { return kernel::system_call([&] { return descriptors().close(number) ? 0 : fail(EBADF); }); }
#pragma once

#include <cerrno>

#include "kernel/processor/processor.hpp"

namespace kernel {

template<class Function> auto system_call(Function function) -> decltype(function()) {
    if (&this_processor() == &processors::boot) [[likely]]
        return function();
    decltype(function()) result{};
    int error = 0;
    call_on(processors::boot, [&] {
        errno = 0;
        result = function();
        error = errno;
    });
    if (error != 0) errno = error;
    return result;
}

} // namespace kernel
