#include "tests/unit/support/incoherent_domain.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace fake {
namespace {

using virtio::DmaDirection;
using virtio::DmaMapping;
using virtio::DmaMemory;
using virtio::Error;
using virtio::fail;
using virtio::Result;

constexpr int kPoison = 0xa7;

[[noreturn]] void mistake(const char* what) {
    std::fprintf(stderr, "the driver's mistake: %s\n", what);
    std::abort();
}

} // namespace

// --- Firewall ---

void Firewall::lend(std::uint64_t at, std::size_t bytes, DmaDirection direction) {
    loans_.emplace(at, Loan{bytes, direction});
    longest_loan_ = std::max(longest_loan_, bytes);
}

bool Firewall::end(std::uint64_t at, std::size_t bytes, DmaDirection direction) {
    const auto [first, last] = loans_.equal_range(at);
    const auto found =
        std::find_if(first, last, [&](const auto& loan) { return loan.second.bytes == bytes && loan.second.direction == direction; });
    if (found == last) return false;
    loans_.erase(found);
    return true;
}

bool Firewall::admits(const std::byte* data, std::size_t bytes, Access access) const {
    if (open_) return true;
    const std::uint64_t at = address(data);
    auto memory = allocations_.upper_bound(at);
    if (memory != allocations_.begin()) {
        --memory;
        if (at - memory->first <= memory->second && bytes <= memory->second - (at - memory->first)) return true;
    }
    for (auto loan = loans_.upper_bound(at); loan != loans_.begin();) {
        --loan;
        const std::uint64_t into = at - loan->first;
        if (into > longest_loan_) return false;
        const bool right_way = loan->second.direction == DmaDirection::both ||
                               (loan->second.direction == DmaDirection::from_device) == (access == Access::write);
        if (right_way && into <= loan->second.bytes && bytes <= loan->second.bytes - into) return true;
    }
    return false;
}

// --- IncoherentDomain ---

Result<DmaMapping> IncoherentDomain::map_indirect(const std::byte* data, std::size_t bytes, DmaDirection direction) noexcept {
    Result<DmaMapping> mapping = memory_.map(data, bytes, direction);
    if (!mapping) return mapping;
    const std::uint32_t length = mapping->length;
    auto copy = std::make_unique<std::byte[]>(length);
    std::memset(copy.get(), kPoison, length);
    if (direction != DmaDirection::from_device) std::memcpy(copy.get(), data, length);
    mapping->address = {reinterpret_cast<std::uintptr_t>(copy.get())};
    copies_[mapping->address.value] = std::move(copy);
    return mapping;
}

void IncoherentDomain::unmap_indirect(const DmaMapping& mapping, DmaDirection direction) noexcept {
    const auto found = copies_.find(mapping.address.value);
    if (found == copies_.end()) mistake("unmapped what is not mapped");
    if (direction != DmaDirection::to_device) std::memcpy(mapping.data, found->second.get(), mapping.length);
    std::memset(found->second.get(), kPoison, mapping.length);
    copies_.erase(found);
}

// --- WatchedDomain ---

void WatchedDomain::Release::operator()(std::byte* pool) const { std::free(pool); }

virtio::DmaDomain* WatchedDomain::over(virtio::DmaDomain& plain) {
    if (inner_ != nullptr) return this;
    const char* wanted = std::getenv("RINGSIDE_TEST_DOMAIN");
    const std::string_view kind = wanted == nullptr ? "" : wanted;
    if (kind.empty()) {
        inner_ = &plain;
    } else if (kind == "incoherent") {
        incoherent_ = std::make_unique<IncoherentDomain>(plain);
        inner_ = incoherent_.get();
    } else if (kind == "bounce") {
        pool_.reset(static_cast<std::byte*>(std::aligned_alloc(4096, kPoolBytes)));
        if (!bounce_.start({pool_.get(), kPoolBytes}, {reinterpret_cast<std::uintptr_t>(pool_.get())})) std::abort();
        inner_ = &bounce_;
    } else {
        std::fprintf(stderr, "RINGSIDE_TEST_DOMAIN: incoherent or bounce, not %s\n", wanted);
        std::abort();
    }
    return this;
}

Result<DmaMemory> WatchedDomain::allocate(std::size_t bytes, std::size_t alignment) noexcept {
    void* paid = nullptr;
    if (pool_) {
        paid = platform_.dma_allocate(bytes, alignment);
        if (paid == nullptr) return fail(Error::out_of_memory);
    }
    const Result<DmaMemory> memory = inner_->allocate(bytes, alignment);
    if (!memory) {
        if (paid != nullptr) platform_.dma_free(paid, bytes);
        return memory;
    }
    if (paid != nullptr) paid_[memory->data] = paid;
    firewall_.allow(memory->data, memory->size);
    return memory;
}

void WatchedDomain::free(const DmaMemory& memory) noexcept {
    firewall_.forget(memory.data);
    inner_->free(memory);
    if (const auto paid = paid_.find(memory.data); paid != paid_.end()) {
        platform_.dma_free(paid->second, memory.size);
        paid_.erase(paid);
    }
}

Result<DmaMapping> WatchedDomain::map_indirect(const std::byte* data, std::size_t bytes, DmaDirection direction) noexcept {
    const Result<DmaMapping> mapping = inner_->map(data, bytes, direction);
    if (mapping) firewall_.lend(mapping->address.value, mapping->length, direction);
    return mapping;
}

void WatchedDomain::unmap_indirect(const DmaMapping& mapping, DmaDirection direction) noexcept {
    if (!firewall_.end(mapping.address.value, mapping.length, direction)) mistake("unmapped what is not mapped so");
    inner_->unmap(mapping, direction);
}

} // namespace fake
