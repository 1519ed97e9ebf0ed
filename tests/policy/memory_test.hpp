// The memory policy of the tests (RINGSIDE_MEMORY_POLICY): the same words in plain memory as in the product, and besides
//  - every access is counted, and loads of device-written words per word, so that a test can bound the work of a call and prove
//    that no word is read twice in one operation;
//  - a hook may answer any load of a device-written word (a device that gives a different value on every read);
//  - each validation has a switch: mutant(17) is true when the environment's RINGSIDE_MUTANT, or set_mutant(), says 17.
// All state is per thread but the mutant. Library and drivers compiled under it are ringside_libvirtio_probed and
// ringside_drivers_probed; it stands in an inline namespace of its own, so that the two builds cannot be mixed.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "libvirtio/bytes.hpp"
#include "libvirtio/memory_words.hpp"
#include "tests/policy/mutant.hpp"

namespace virtio {
inline namespace test_memory {

/// What the tests see and steer.
struct Probe {
    /// Answers a load: `value` is what stands in memory. Null: as it stands.
    using Answer = std::uint64_t (*)(void* context, SharedWord role, std::uint16_t index, std::uint64_t value) noexcept;

    std::uint64_t accesses = 0; // loads and stores of shared words, since reset()
    std::uint64_t repeated = 0; // loads of a device-written word that had been loaded already since begin_operation()
    Answer answer = nullptr;
    void* context = nullptr;

    void reset() noexcept { *this = Probe{}; }
    /// From here on no device-written word may be loaded twice.
    void begin_operation() noexcept { seen_count_ = 0; }

    void note_load(SharedWord role, std::uint16_t index) noexcept {
        ++accesses;
        const std::uint32_t word = (static_cast<std::uint32_t>(role) << 16) | index;
        for (std::size_t i = 0; i < seen_count_; ++i)
            if (seen_[i] == word) {
                ++repeated;
                return;
            }
        if (seen_count_ < seen_.size()) seen_[seen_count_++] = word;
    }

private:
    std::array<std::uint32_t, 64> seen_{};
    std::size_t seen_count_ = 0;
};

[[nodiscard]] inline Probe& probe() noexcept {
    static thread_local Probe its;
    return its;
}

template<class T> [[nodiscard]] inline T load_once(const T& word) noexcept {
    static_assert(sizeof(T) <= sizeof(void*));
    ++probe().accesses;
    return *const_cast<const volatile T*>(&word);
}
template<class T> [[nodiscard]] inline T load_once(const Le<T>& word) noexcept { return load_once(reinterpret_cast<const T&>(word)); }

struct ProbedAccess {
    template<class T> [[nodiscard]] static T load(T& word, SharedWord role, std::uint16_t index) noexcept {
        return answered(std::atomic_ref(word).load(std::memory_order_relaxed), role, index);
    }
    template<class T> [[nodiscard]] static T load_acquire(T& word, SharedWord role, std::uint16_t index) noexcept {
        return answered(std::atomic_ref(word).load(std::memory_order_acquire), role, index);
    }
    template<class T> static void store(T& word, T value, SharedWord, std::uint16_t) noexcept {
        ++probe().accesses;
        std::atomic_ref(word).store(value, std::memory_order_relaxed);
    }
    template<class T> static void store_release(T& word, T value, SharedWord, std::uint16_t) noexcept {
        ++probe().accesses;
        std::atomic_ref(word).store(value, std::memory_order_release);
    }
    template<class T> static void store_body(T& place, const T& value, SharedWord, std::uint16_t) noexcept {
        ++probe().accesses;
        place = value;
    }

private:
    template<class T> [[nodiscard]] static T answered(T value, SharedWord role, std::uint16_t index) noexcept {
        Probe& its = probe();
        its.note_load(role, index);
        return its.answer == nullptr ? value : static_cast<T>(its.answer(its.context, role, index, value));
    }
};

using SplitMemory = SplitMemoryOf<ProbedAccess>;
using PackedMemory = PackedMemoryOf<ProbedAccess>;

inline void store_table_entry(std::byte* table, std::size_t index, const Descriptor& descriptor) noexcept {
    ++probe().accesses;
    copy_bytes(table + index * sizeof(Descriptor), &descriptor, sizeof(Descriptor));
}
inline void store_table_entry(std::byte* table, std::size_t index, const PackedDescriptor& descriptor) noexcept {
    ++probe().accesses;
    copy_bytes(table + index * sizeof(PackedDescriptor), &descriptor, sizeof(PackedDescriptor));
}

} // namespace test_memory
} // namespace virtio
