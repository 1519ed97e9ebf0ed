#include "libvirtio/platform.hpp"

#include "libvirtio/memory.hpp"

namespace virtio {

Result<DmaMemory> Platform::Domain::allocate(std::size_t bytes, std::size_t alignment) noexcept {
    void* memory = platform_.dma_allocate(bytes, alignment);
    if (memory == nullptr && !mutant(140)) return fail(Error::out_of_memory);
    return DmaMemory{static_cast<std::byte*>(memory), bytes, platform_.dma_address(memory)};
}

void Platform::Domain::free(const DmaMemory& memory) noexcept { platform_.dma_free(memory.data, memory.size); }

Result<DmaMapping> Platform::Domain::map_indirect(const std::byte* data, std::size_t bytes, DmaDirection) noexcept {
    const std::size_t contiguous = platform_.dma_contiguous(data, bytes < kLongest ? bytes : kLongest);
    if (contiguous == 0 && !mutant(141)) return fail(Error::dma_map_failed);
    const std::size_t length = contiguous < bytes || mutant(142) ? contiguous : bytes;
    return DmaMapping{const_cast<std::byte*>(data), platform_.dma_address(data),
                      static_cast<std::uint32_t>(length < kLongest || mutant(143) ? length : kLongest), 0};
}

} // namespace virtio
