// Which pages are in the balloon, as runs, newest last. The record itself lives in pages that its owner supplies (never in the
// ballooned ones: the host has those), about 8 bytes for each run. Task context; no allocation of its own, so it runs in host tests.
//
//     while (record.room() < 256) record.add_storage(page);
//     record.push(number);                                  // after room() was checked
//     std::size_t count = record.pop(numbers);              // newest first
//     while (void* page = record.take_spare_storage()) free(page);
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kernel {

class PageRecord {
public:
    static constexpr std::size_t kStorageBytes = 4096;

    constexpr PageRecord() noexcept = default;
    PageRecord(const PageRecord&) = delete;
    PageRecord& operator=(const PageRecord&) = delete;

    /// How many more pages fit in any case, even if no two of them are neighbours.
    [[nodiscard]] std::size_t room() const noexcept { return free_runs_; }
    /// Takes a page of kStorageBytes for the record's own use.
    void add_storage(void* page) noexcept;
    /// A page of storage that is no longer needed; keeps one in reserve. Null: none.
    [[nodiscard]] void* take_spare_storage() noexcept;
    /// Everything, when the record is empty.
    [[nodiscard]] void* take_any_storage() noexcept;

    /// False if there is no room (nothing happened then).
    [[nodiscard]] bool push(std::uint32_t page) noexcept;
    /// The newest run's pages, lowest first, at most `into.size()`; returns how many.
    [[nodiscard]] std::size_t pop(std::span<std::uint32_t> into) noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return pages_; }

private:
    struct Run {
        std::uint32_t first;
        std::uint32_t count;
    };
    struct Block;
    static constexpr std::size_t kRuns = (kStorageBytes - 2 * sizeof(void*)) / sizeof(Run);
    struct Block {
        Block* older;
        std::size_t used;
        Run runs[kRuns];
    };
    static_assert(sizeof(Block) <= kStorageBytes);

    Block* newest_ = nullptr; // blocks with runs, newest first
    Block* spare_ = nullptr;  // empty ones
    std::size_t free_runs_ = 0;
    std::size_t pages_ = 0;
};

} // namespace kernel
