// A printf for the last words: no libc, no heap, no floating point, output through a callback. Any context.
// Knows %s %d %i %u %x %X %p %c %% with l, ll, z, h, hh, field width, '-', '0' and %.*s; anything else is printed as it stands.
//
//     kernel::format_to(write, nullptr, "cr2=%016lx\n", arguments);
#pragma once

#include <cstdarg>
#include <cstddef>

namespace kernel {

using FormatSink = void (*)(void* context, const char* text, std::size_t size);
void format_to(FormatSink sink, void* context, const char* format, std::va_list arguments) noexcept;

} // namespace kernel
