// The memory policy of the product: shared words are plain memory, reached with exactly the ordering that each needs.
// Included through libvirtio/memory.hpp only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "libvirtio/bytes.hpp"
#include "libvirtio/memory_words.hpp"

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

struct RealAccess {
    template<class T> [[nodiscard]] static T load(T& word, SharedWord, std::uint16_t) noexcept {
        return std::atomic_ref(word).load(std::memory_order_relaxed);
    }
    template<class T> [[nodiscard]] static T load_acquire(T& word, SharedWord, std::uint16_t) noexcept {
        return std::atomic_ref(word).load(std::memory_order_acquire);
    }
    template<class T> static void store(T& word, T value, SharedWord, std::uint16_t) noexcept {
        std::atomic_ref(word).store(value, std::memory_order_relaxed);
    }
    template<class T> static void store_release(T& word, T value, SharedWord, std::uint16_t) noexcept {
        std::atomic_ref(word).store(value, std::memory_order_release);
    }
    template<class T> static void store_body(T& place, const T& value, SharedWord, std::uint16_t) noexcept { place = value; }
};

using SplitMemory = SplitMemoryOf<RealAccess>;
using PackedMemory = PackedMemoryOf<RealAccess>;

/// An indirect table: written whole before it is lent, never read back.
inline void store_table_entry(std::byte* table, std::size_t index, const Descriptor& descriptor) noexcept {
    reinterpret_cast<Descriptor*>(table)[index] = descriptor;
}
inline void store_table_entry(std::byte* table, std::size_t index, const PackedDescriptor& descriptor) noexcept {
    reinterpret_cast<PackedDescriptor*>(table)[index] = descriptor;
}

} // namespace real_memory
} // namespace virtio
