// A memory policy that forgot release and acquire: what codegen_test.py has to find lacking.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "libvirtio/bytes.hpp"
#include "libvirtio/memory_words.hpp"

namespace virtio {
inline namespace relaxed_memory {

[[nodiscard]] constexpr bool mutant(unsigned) noexcept { return false; }

struct RelaxedAccess {
    template<class T> [[nodiscard]] static T load(T& word, SharedWord, std::uint16_t) noexcept {
        return std::atomic_ref(word).load(std::memory_order_relaxed);
    }
    template<class T> [[nodiscard]] static T load_acquire(T& word, SharedWord, std::uint16_t) noexcept {
        return std::atomic_ref(word).load(std::memory_order_relaxed);
    }
    template<class T> static void store(T& word, T value, SharedWord, std::uint16_t) noexcept {
        std::atomic_ref(word).store(value, std::memory_order_relaxed);
    }
    template<class T> static void store_release(T& word, T value, SharedWord, std::uint16_t) noexcept {
        std::atomic_ref(word).store(value, std::memory_order_relaxed);
    }
    template<class T> static void store_body(T& place, const T& value, SharedWord, std::uint16_t) noexcept { place = value; }
};

using SplitMemory = SplitMemoryOf<RelaxedAccess>;
using PackedMemory = PackedMemoryOf<RelaxedAccess>;

template<class Entry> inline void store_table_entry(std::byte* table, std::size_t index, const Entry& entry) noexcept {
    copy_bytes(table + index * sizeof(Entry), &entry, sizeof(Entry));
}

} // namespace relaxed_memory
} // namespace virtio
