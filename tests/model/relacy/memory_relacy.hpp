// The memory policy of the Relacy programs (RINGSIDE_MEMORY_POLICY): the shipped engines' accesses become Relacy's, each with the
// ordering that memory_words.hpp asks for, or without it where the run weakens it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "libvirtio/bytes.hpp"
#include "libvirtio/memory_words.hpp"
#include "tests/model/relacy/shared_words.hpp"

namespace virtio {
inline namespace relacy_memory {

[[nodiscard]] constexpr bool mutant(unsigned) noexcept { return false; }

template<class T> [[nodiscard]] inline T load_once(const T& word) noexcept { return *const_cast<const volatile T*>(&word); }
template<class T> [[nodiscard]] inline T load_once(const Le<T>& word) noexcept { return load_once(reinterpret_cast<const T&>(word)); }

struct RelacyAccess {
    template<class T> [[nodiscard]] static T load(T& word, SharedWord role, std::uint16_t index) noexcept {
        switch (role) {
        case SharedWord::used_id:
        case SharedWord::used_length: relacy_check::read(words().used[index], "driver reads a used element"); return word;
        case SharedWord::packed_id:
        case SharedWord::packed_length: relacy_check::read(words().body[index], "driver reads a used descriptor"); return word;
        default: return static_cast<T>(atomic(role, index).load(rl::mo_relaxed, relacy_check::here("driver loads")));
        }
    }
    template<class T> [[nodiscard]] static T load_acquire(T&, SharedWord role, std::uint16_t index) noexcept {
        const rl::memory_order order = relacy_check::weakened == relacy_check::Weakened::used_acquire ? rl::mo_relaxed : rl::mo_acquire;
        return static_cast<T>(atomic(role, index).load(order, relacy_check::here("driver loads with acquire")));
    }
    template<class T> static void store(T&, T value, SharedWord role, std::uint16_t index) noexcept {
        atomic(role, index).store(value, rl::mo_relaxed, relacy_check::here("driver stores"));
    }
    template<class T> static void store_release(T&, T value, SharedWord role, std::uint16_t index) noexcept {
        const rl::memory_order order = relacy_check::weakened == relacy_check::Weakened::publish_release ? rl::mo_relaxed : rl::mo_release;
        atomic(role, index).store(value, order, relacy_check::here("driver stores with release"));
    }
    template<class T> static void store_body(T& place, const T& value, SharedWord, std::uint16_t index) noexcept {
        relacy_check::write(words().body[index], 1, "driver writes a descriptor");
        place = value;
    }

private:
    [[nodiscard]] static relacy_check::SharedWords& words() noexcept { return *relacy_check::words; }
    [[nodiscard]] static relacy_check::Atomic& atomic(SharedWord role, std::uint16_t index) noexcept {
        switch (role) {
        case SharedWord::available_index: return words().available_index;
        case SharedWord::available_flags: return words().available_flags;
        case SharedWord::used_event: return words().used_event;
        case SharedWord::used_index: return words().used_index;
        case SharedWord::used_flags: return words().used_flags;
        case SharedWord::available_event: return words().available_event;
        case SharedWord::driver_event: return words().driver_event;
        case SharedWord::device_event: return words().device_event;
        default: return words().entry[index];
        }
    }
};

using SplitMemory = SplitMemoryOf<RelacyAccess>;
using PackedMemory = PackedMemoryOf<RelacyAccess>;

// Tables are written before the descriptor that names them, by the same thread: that one's body stands for them.
template<class Entry> inline void store_table_entry(std::byte* table, std::size_t index, const Entry& entry) noexcept {
    copy_bytes(table + index * sizeof(Entry), &entry, sizeof(Entry));
}

} // namespace relacy_memory
} // namespace virtio
