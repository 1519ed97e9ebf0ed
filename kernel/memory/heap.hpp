// The heap that newlib's sbrk stands on: grows upward in place from free pages, gives pages back when it shrinks, and leaves a
// reserve for DMA memory and stacks. Task context only. Failure is nullptr (sbrk answers ENOMEM), never a hang.
//
//     void* old_break = kernel::heap_extend(increment);        // sbrk(increment)
#pragma once

#include <cstddef>

namespace kernel {

/// As sbrk: moves the break by `increment` bytes and returns the old break; nullptr if there is no memory (or the heap would shrink below its start).
/// When the pages behind the heap are taken, the heap goes on at a higher address: the returned pointer is then not the previous break.
[[nodiscard]] void* heap_extend(std::ptrdiff_t increment);

/// Asked when the heap cannot grow: gets `pages` pages more than the reserve free and returns true, or returns false. It may wait, as
/// malloc's lock may. nullptr: nobody.
using HeapRelief = bool (*)(std::size_t pages);
void set_heap_relief(HeapRelief relief) noexcept;

struct HeapStatistics {
    std::size_t bytes = 0;   ///< between start and break, all parts
    std::size_t maximum = 0; ///< highest value of bytes so far
    std::size_t pages = 0;   ///< that the heap has taken; more than bytes, since it grows and shrinks in steps
    std::size_t reserve = 0; ///< bytes that the heap leaves for DMA and stacks
};
[[nodiscard]] HeapStatistics heap_statistics();

} // namespace kernel
