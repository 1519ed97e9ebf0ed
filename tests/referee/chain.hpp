// One buffer that a driver made available, as the device walked it: bounds-checked pieces of guest memory, readable ones before
// writable ones. Valid until it is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace referee {

struct Element {
    std::uint64_t address = 0; // guest
    std::uint32_t length = 0;
    std::byte* data = nullptr; // null: not in guest memory (which was noted as a violation)
};

struct Chain {
    std::uint16_t id = 0;          // split: the head's index; packed: the buffer id
    std::uint16_t descriptors = 0; // ring slots or table descriptors taken in the queue itself (indirect ones not counted)
    std::uint16_t slot = 0;        // split: the available ring's entry; packed: the first descriptor's slot
    std::uint64_t serial = 0;      // counts the queue's buffers from 0
    std::uint64_t taken_at = 0;    // step
    bool indirect = false;
    bool sound = true; // false: the walk met something that forbids serving it
    bool withheld = false;
    std::vector<Element> readable;
    std::vector<Element> writable;

    [[nodiscard]] std::uint64_t readable_bytes() const noexcept;
    [[nodiscard]] std::uint64_t writable_bytes() const noexcept;
    /// Copies out of the readable elements; into the writable ones, from `offset` on. Return how many bytes.
    std::size_t read(std::uint64_t offset, void* out, std::size_t bytes) const noexcept;
    std::size_t write(std::uint64_t offset, const void* data, std::size_t bytes) const noexcept;

    // --- for the queue ---
    std::uint64_t hash = 0;           // of everything that the driver must leave alone
    std::vector<std::uint16_t> slots; // descriptors in the queue itself, in chain order
    std::uint64_t table = 0;          // indirect: guest address and entries
    std::uint32_t entries = 0;
};

} // namespace referee
