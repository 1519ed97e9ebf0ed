// The memory policy of the product: shared words are plain memory, reached with exactly the ordering that each needs.
// Included through libvirtio/memory.hpp only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "libvirtio/bytes.hpp"
#include "libvirtio/ring/abi.hpp"

namespace virtio {
inline namespace real_memory {

/// Mutation tests switch single checks off at run time; the product has no such switch.
[[nodiscard]] constexpr bool mutant(unsigned) noexcept { return false; }

/// Reads a word that a device may change at any time: exactly one access, never repeated by the compiler.
template<class T> [[nodiscard]] inline T load_once(const T& word) noexcept {
    static_assert(sizeof(T) <= sizeof(void*));
    return *const_cast<const volatile T*>(&word);
}
template<class T> [[nodiscard]] inline T load_once(const Le<T>& word) noexcept { return load_once(reinterpret_cast<const T&>(word)); }

/// A split ring's shared words, by role and index. Indices are already reduced to the ring's size.
class SplitMemory {
public:
    constexpr SplitMemory() noexcept = default;
    SplitMemory(std::byte* base, std::uint16_t size) noexcept
        : descriptors_(reinterpret_cast<Descriptor*>(base)), available_(reinterpret_cast<std::uint16_t*>(base + split_layout(size).driver)),
          used_(base + split_layout(size).device), size_(size) {}

    void store_descriptor(std::uint16_t index, const Descriptor& descriptor) noexcept { descriptors_[index] = descriptor; }

    void store_available(std::uint16_t slot, std::uint16_t head) noexcept {
        std::atomic_ref(available_[2 + slot]).store(head, std::memory_order_relaxed);
    }
    /// Release: the descriptors and ring entries before it are visible to whoever reads the index (SPLIT: available ring).
    void publish_available_index(std::uint16_t index) noexcept { std::atomic_ref(available_[1]).store(index, std::memory_order_release); }
    void store_available_flags(std::uint16_t flags) noexcept { std::atomic_ref(available_[0]).store(flags, std::memory_order_relaxed); }
    void store_used_event(std::uint16_t index) noexcept { std::atomic_ref(available_[2 + size_]).store(index, std::memory_order_relaxed); }

    /// Acquire: pairs with the device's release of the used index.
    [[nodiscard]] std::uint16_t load_used_index() const noexcept { return std::atomic_ref(word16(2)).load(std::memory_order_acquire); }
    [[nodiscard]] std::uint16_t load_used_flags() const noexcept { return std::atomic_ref(word16(0)).load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint16_t load_available_event() const noexcept {
        return std::atomic_ref(word16(4 + std::size_t{8} * size_)).load(std::memory_order_relaxed);
    }
    [[nodiscard]] UsedElement load_used(std::uint16_t slot) const noexcept {
        const std::size_t at = 4 + std::size_t{8} * slot;
        return {Le32{std::atomic_ref(word32(at)).load(std::memory_order_relaxed)},
                Le32{std::atomic_ref(word32(at + 4)).load(std::memory_order_relaxed)}};
    }

private:
    [[nodiscard]] std::uint16_t& word16(std::size_t offset) const noexcept { return *reinterpret_cast<std::uint16_t*>(used_ + offset); }
    [[nodiscard]] std::uint32_t& word32(std::size_t offset) const noexcept { return *reinterpret_cast<std::uint32_t*>(used_ + offset); }

    Descriptor* descriptors_ = nullptr;
    std::uint16_t* available_ = nullptr; // flags, index, ring[size], used_event
    std::byte* used_ = nullptr;          // flags, index, elements[size], available_event
    std::uint16_t size_ = 0;
};

/// An indirect table: written whole before it is lent, never read back.
inline void store_table_entry(std::byte* table, std::size_t index, const Descriptor& descriptor) noexcept {
    copy_bytes(table + index * sizeof(Descriptor), &descriptor, sizeof(Descriptor));
}

} // namespace real_memory
} // namespace virtio
