// Copying and filling memory that is ours alone (never what a device may change meanwhile). The compiler's own functions, so that a
// foreign kernel needs no <cstring>: it supplies memcpy and memset, as every freestanding C compiler demands. Any context but an
// interrupt handler.
//
//     copy_bytes(header_memory, &header, sizeof header);
#pragma once

#include <cstddef>

namespace virtio {

/// The two ranges must not overlap.
inline void copy_bytes(void* to, const void* from, std::size_t count) noexcept { __builtin_memcpy(to, from, count); }
inline void fill_bytes(void* to, std::byte value, std::size_t count) noexcept { __builtin_memset(to, static_cast<int>(value), count); }

} // namespace virtio
