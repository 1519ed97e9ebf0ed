// The shared words of one ring as Relacy sees them: an atomic for each word that is read while it may be written, a race-checked
// variable for each descriptor's or used element's body (its bytes stand in plain memory beside). And which ordering is taken away.
#pragma once

#include <array>
#include <cstdint>

#include "tests/model/relacy/relacy_library.hpp"

namespace relacy_check {

inline constexpr std::size_t kSlots = 4; // the largest ring

/// What is left out of the library or of the device for the run of a program.
enum class Weakened : std::uint8_t {
    nothing,
    publish_release,  // Access::store_release of the available index, or of the first flags of a batch
    used_acquire,     // Access::load_acquire of the used index, or of a descriptor's flags
    publish_barrier,  // arch::publish_barrier
    arm_barrier,      // arch::arm_barrier
    doorbell_barrier, // arch::doorbell_barrier
    device_release,   // the device's: its store of the used index or flags
    device_acquire,   // its load of the available index or flags
    device_notify,    // its fence between used and the driver's suppression
    device_arm        // its fence between its own suppression and the second look
};
inline Weakened weakened = Weakened::nothing;

inline rl::debug_info here(const char* what) noexcept { return rl::debug_info(what, "", 0); }

using Atomic = rl::atomic<std::uint32_t>;

// A variable that may not be touched by two threads without an order between them.
template<class T> T read(rl::var<T>& place, const char* what) { return place(here(what)).load(); }
template<class T, class Value> void write(rl::var<T>& place, Value value, const char* what) {
    place(here(what)).store(static_cast<T>(value));
}

struct SharedWords {
    std::array<Atomic, kSlots> entry;      // split: available ring; packed: flags
    std::array<rl::var<int>, kSlots> body; // split: descriptors; packed: the rest of a descriptor
    std::array<rl::var<int>, kSlots> used; // split: used elements
    Atomic available_index, available_flags, used_event, used_index, used_flags, available_event;
    Atomic driver_event, device_event;
    Atomic doorbell, interrupt;

    /// Once per run, before the threads start. The bodies are the driver's then.
    void begin(std::uint32_t index) {
        for (Atomic& word : entry) word.store(0, rl::mo_relaxed, here("zero"));
        for (auto& word : body) write(word, 0, "zero");
        for (auto& word : used) write(word, 0, "zero");
        for (Atomic* word : {&available_flags, &used_flags, &driver_event, &device_event, &doorbell, &interrupt})
            word->store(0, rl::mo_relaxed, here("zero"));
        for (Atomic* word : {&available_index, &used_event, &used_index, &available_event})
            word->store(index, rl::mo_relaxed, here("first index"));
    }
};
inline SharedWords* words = nullptr;

} // namespace relacy_check
