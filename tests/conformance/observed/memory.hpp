// The memory policy of the conformance tests: the words of the product in plain memory, and after each access to a shared
// word the device looks, so that it sees every state that a device on another processor could see, and may act between any two.
// Included through libvirtio/memory.hpp only (RINGSIDE_MEMORY_POLICY).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "libvirtio/bytes.hpp"
#include "libvirtio/memory_words.hpp"
#include "tests/policy/mutant.hpp"

namespace virtio {
inline namespace observed_memory {

/// Who looks.
struct Observer {
    void (*stored)(void* context, SharedWord role) noexcept = nullptr;
    void (*loaded)(void* context, SharedWord role) noexcept = nullptr; // after the load: what it gave is past
    void* context = nullptr;
};
[[nodiscard]] inline Observer& observer() noexcept {
    static Observer its;
    return its;
}

template<class T> [[nodiscard]] inline T load_once(const T& word) noexcept {
    static_assert(sizeof(T) <= sizeof(void*));
    return *const_cast<const volatile T*>(&word);
}
template<class T> [[nodiscard]] inline T load_once(const Le<T>& word) noexcept { return load_once(reinterpret_cast<const T&>(word)); }

struct ObservedAccess {
    template<class T> [[nodiscard]] static T load(T& word, SharedWord role, std::uint16_t) noexcept {
        return loaded(std::atomic_ref(word).load(std::memory_order_relaxed), role);
    }
    template<class T> [[nodiscard]] static T load_acquire(T& word, SharedWord role, std::uint16_t) noexcept {
        return loaded(std::atomic_ref(word).load(std::memory_order_acquire), role);
    }
    template<class T> static void store(T& word, T value, SharedWord role, std::uint16_t) noexcept {
        std::atomic_ref(word).store(value, std::memory_order_relaxed);
        stored(role);
    }
    template<class T> static void store_release(T& word, T value, SharedWord role, std::uint16_t) noexcept {
        std::atomic_ref(word).store(value, std::memory_order_release);
        stored(role);
    }
    template<class T> static void store_body(T& place, const T& value, SharedWord role, std::uint16_t) noexcept {
        place = value;
        stored(role);
    }
    static void stored(SharedWord role) noexcept {
        const Observer& its = observer();
        if (its.stored != nullptr) its.stored(its.context, role);
    }
    template<class T> [[nodiscard]] static T loaded(T value, SharedWord role) noexcept {
        const Observer& its = observer();
        if (its.loaded != nullptr) its.loaded(its.context, role);
        return value;
    }
};

using SplitMemory = SplitMemoryOf<ObservedAccess>;
using PackedMemory = PackedMemoryOf<ObservedAccess>;

/// Of either kind of ring: Descriptor or PackedDescriptor.
template<class Entry> inline void store_table_entry(std::byte* table, std::size_t index, const Entry& entry) noexcept {
    copy_bytes(table + index * sizeof(Entry), &entry, sizeof(Entry));
    ObservedAccess::stored(SharedWord::table_entry);
}

} // namespace observed_memory
} // namespace virtio
