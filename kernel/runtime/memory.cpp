// operator new and delete on malloc. Without exceptions there is nothing that a plain new could do without memory but stop; who can
// carry on asks with std::nothrow or malloc. Task context only (malloc's lock says so).
#include <cstdlib>
#include <malloc.h>
#include <new>

#include "kernel/panic/panic.hpp"

namespace {

void* aligned(std::size_t size, std::align_val_t alignment) noexcept {
    return memalign(static_cast<std::size_t>(alignment), size == 0 ? 1 : size);
}
void* plain(std::size_t size) noexcept { return std::malloc(size == 0 ? 1 : size); }
void* insist(void* memory, std::size_t size) {
    if (memory == nullptr) kernel::panic("out of memory: %zu bytes for operator new", size);
    return memory;
}

} // namespace

namespace std {
const nothrow_t nothrow{};
}

void* operator new(std::size_t size) { return insist(plain(size), size); }
void* operator new[](std::size_t size) { return insist(plain(size), size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return plain(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return plain(size); }
void* operator new(std::size_t size, std::align_val_t alignment) { return insist(aligned(size, alignment), size); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return insist(aligned(size, alignment), size); }
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept { return aligned(size, alignment); }
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept { return aligned(size, alignment); }

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept { std::free(memory); }
