// A DmaDomain whose devices reach one pool of memory and nothing else: what ACCESS_PLATFORM asks for where the host cannot see a
// guest's memory (pKVM, TDX, SEV), where an IOMMU lets one window through, or where caches are not coherent. Rings are allocated in
// the pool; a caller's memory is copied into it by map() and out of it by unmap(). Owned by the platform, which hands it out from
// dma_domain(device, translated = true). Constant-initialised; one context at a time; no allocation, no lock.
//
//     static constinit virtio::BounceDomain bounce;
//     bounce.start(shared_pages, {.value = address_for_devices});          // the pool: at most 256 MiB, of the platform's memory
//     Result<DmaDomain*> dma_domain(const DeviceIdentity&, bool translated) noexcept override {
//         return translated ? &bounce : &direct;
//     }
#pragma once

#include <array>
#include <cstdint>

#include "libvirtio/dma.hpp"

namespace virtio {

class BounceDomain final : public DmaDomain {
public:
    static constexpr std::size_t kGranule = 2048; // what one map() takes at least
    static constexpr std::size_t kLongestMap = 256 * 1024;
    static constexpr std::size_t kMostBytes = 256u << 20;

    struct Statistics {
        std::size_t granules = 0; // of kGranule bytes
        std::size_t in_use = 0;
        std::size_t most_in_use = 0;
        std::uint64_t refused = 0; // maps and allocations that found no room
    };

    constexpr BounceDomain() noexcept = default;

    /// Takes `pool` over for good; `address` is where devices see its first byte. The start of it holds the books: one bit a
    /// granule. Errors: invalid_argument (smaller than four granules, not aligned to kGranule, more than kMostBytes),
    /// already_started.
    [[nodiscard]] Result<> start(std::span<std::byte> pool, DmaAddress address) noexcept;

    [[nodiscard]] Result<DmaMemory> allocate(std::size_t bytes, std::size_t alignment) noexcept override;
    void free(const DmaMemory& memory) noexcept override;
    [[nodiscard]] std::size_t regions(std::span<DmaRegion> out) noexcept override;
    [[nodiscard]] const Statistics& statistics() const noexcept { return statistics_; }

protected:
    /// The longest stretch that there is room for, up to `bytes` and kLongestMap. Memory lent for writing is zeroed first, so that
    /// nobody reads an earlier request's bytes where a device wrote less than it could. Errors: dma_map_failed (no room at all).
    [[nodiscard]] Result<DmaMapping> map_indirect(const std::byte* data, std::size_t bytes, DmaDirection direction) noexcept override;
    void unmap_indirect(const DmaMapping& mapping, DmaDirection direction) noexcept override;

private:
    struct Run {
        std::size_t first = 0;
        std::size_t count = 0;
    };
    [[nodiscard]] bool used(std::size_t granule) const noexcept { return ((books_[granule / 64] >> (granule % 64)) & 1) != 0; }
    [[nodiscard]] Run find(std::size_t wanted, std::size_t alignment) noexcept;
    void mark(const Run& run, bool used) noexcept;
    [[nodiscard]] bool held(std::size_t first, std::size_t count) const noexcept;

    std::byte* pool_ = nullptr;
    DmaAddress address_;
    std::uint64_t* books_ = nullptr;
    std::size_t next_ = 0; // where the next search starts: what was freed last is lent again last
    Statistics statistics_;
};

} // namespace virtio
