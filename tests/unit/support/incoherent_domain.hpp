// Domains for the fake device. Whatever a driver lends goes through a WatchedDomain, which keeps a firewall: the fake device may
// touch what is allocated or mapped at the moment, in the direction that it was mapped for, and nothing else. What lies behind it
// the environment's RINGSIDE_TEST_DOMAIN chooses, so that a driver's whole suite runs over each of them:
//     (unset)      translated addresses that are the host's pointers: a mapping costs nothing and moves nothing
//     incoherent   the device has a copy of its own of everything mapped; bytes move on map and on unmap only, and what did not move
//                  is poison: a missing, late or wrong map, unmap or direction shows as wrong data
//     bounce       virtio::BounceDomain: the device reaches one pool only, rings included
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "libvirtio/bounce.hpp"
#include "libvirtio/dma.hpp"
#include "libvirtio/platform.hpp"

namespace fake {

/// What a device may touch right now.
class Firewall {
public:
    /// Memory of both sides: rings, headers, pages that somebody reports to be free.
    void allow(const std::byte* data, std::size_t bytes) { allocations_[address(data)] = bytes; }
    void forget(const std::byte* data) { allocations_.erase(address(data)); }
    void lend(std::uint64_t at, std::size_t bytes, virtio::DmaDirection direction);
    /// False: never lent so, or ended before.
    bool end(std::uint64_t at, std::size_t bytes, virtio::DmaDirection direction);
    /// A direct domain does not say what it lends.
    void open() { open_ = true; }

    enum class Access : std::uint8_t { read, write };
    [[nodiscard]] bool admits(const std::byte* data, std::size_t bytes, Access access) const;
    [[nodiscard]] std::size_t lent() const { return loans_.size(); }

private:
    struct Loan {
        std::size_t bytes = 0;
        virtio::DmaDirection direction = virtio::DmaDirection::both;
    };
    static std::uint64_t address(const std::byte* data) { return reinterpret_cast<std::uintptr_t>(data); }

    std::map<std::uint64_t, std::size_t> allocations_;
    std::multimap<std::uint64_t, Loan> loans_;
    std::size_t longest_loan_ = 0;
    bool open_ = false;
};

/// Separate copies for processor and device.
class IncoherentDomain final : public virtio::DmaDomain {
public:
    /// `memory` gives the rings, and says what is contiguous.
    explicit IncoherentDomain(virtio::DmaDomain& memory) : memory_(memory) {}

    virtio::Result<virtio::DmaMemory> allocate(std::size_t bytes, std::size_t alignment) noexcept override {
        return memory_.allocate(bytes, alignment);
    }
    void free(const virtio::DmaMemory& memory) noexcept override { memory_.free(memory); }

protected:
    virtio::Result<virtio::DmaMapping> map_indirect(const std::byte* data, std::size_t bytes,
                                                    virtio::DmaDirection direction) noexcept override;
    void unmap_indirect(const virtio::DmaMapping& mapping, virtio::DmaDirection direction) noexcept override;

private:
    virtio::DmaDomain& memory_;
    std::map<std::uint64_t, std::unique_ptr<std::byte[]>> copies_; // the device's side, by its address
};

/// A domain over another one, with a firewall. A wrong end of a loan ends the test.
class WatchedDomain final : public virtio::DmaDomain {
public:
    WatchedDomain(virtio::Platform& platform, Firewall& firewall) : platform_(platform), firewall_(firewall) {}

    /// The domain that the environment wants, over the platform's own.
    virtio::DmaDomain* over(virtio::DmaDomain& plain);
    [[nodiscard]] bool in_place() const { return incoherent_ == nullptr && pool_ == nullptr; }

    virtio::Result<virtio::DmaMemory> allocate(std::size_t bytes, std::size_t alignment) noexcept override;
    void free(const virtio::DmaMemory& memory) noexcept override;

protected:
    virtio::Result<virtio::DmaMapping> map_indirect(const std::byte* data, std::size_t bytes,
                                                    virtio::DmaDirection direction) noexcept override;
    void unmap_indirect(const virtio::DmaMapping& mapping, virtio::DmaDirection direction) noexcept override;

private:
    static constexpr std::size_t kPoolBytes = std::size_t{16} << 20;
    struct Release {
        void operator()(std::byte* pool) const;
    };

    virtio::Platform& platform_;
    Firewall& firewall_;
    virtio::DmaDomain* inner_ = nullptr;
    std::unique_ptr<IncoherentDomain> incoherent_;
    std::unique_ptr<std::byte, Release> pool_;
    virtio::BounceDomain bounce_;
    std::map<std::byte*, void*> paid_; // for the platform's books: an allocation in the pool costs one of its own
};

} // namespace fake
