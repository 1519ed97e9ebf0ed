#include "kernel/balloon/page_record.hpp"

#include <new>

namespace kernel {

void PageRecord::add_storage(void* page) noexcept {
    spare_ = new (page) Block{spare_, 0, {}};
    free_runs_ += kRuns;
}

void* PageRecord::take_spare_storage() noexcept { return spare_ != nullptr && spare_->older != nullptr ? take_any_storage() : nullptr; }

void* PageRecord::take_any_storage() noexcept {
    Block* block = spare_;
    if (block == nullptr) return nullptr;
    spare_ = block->older;
    free_runs_ -= kRuns;
    return block;
}

bool PageRecord::push(std::uint32_t page) noexcept {
    if (newest_ != nullptr) {
        Run& run = newest_->runs[newest_->used - 1];
        // Pages come from the top of memory downwards, and back in the other order.
        const bool below = run.first != 0 && page == run.first - 1;
        if (below || page == run.first + run.count) {
            if (below) run.first = page;
            ++run.count;
            ++pages_;
            return true;
        }
    }
    if (newest_ == nullptr || newest_->used == kRuns) {
        if (spare_ == nullptr) return false;
        Block* block = spare_;
        spare_ = block->older;
        block->older = newest_;
        newest_ = block;
    }
    newest_->runs[newest_->used++] = {page, 1};
    --free_runs_;
    ++pages_;
    return true;
}

std::size_t PageRecord::pop(std::span<std::uint32_t> into) noexcept {
    std::size_t count = 0;
    while (count < into.size() && newest_ != nullptr) {
        Run& run = newest_->runs[newest_->used - 1];
        // From below: what comes back first joins the free memory that the heap grows into.
        into[count++] = run.first++;
        --run.count;
        --pages_;
        if (run.count != 0) continue;
        ++free_runs_;
        if (--newest_->used != 0) continue;
        Block* empty = newest_;
        newest_ = empty->older;
        empty->older = spare_;
        spare_ = empty;
    }
    return count;
}

} // namespace kernel
