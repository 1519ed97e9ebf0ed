// Inside the referee: the disk behind Block.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tests/referee/chain.hpp"
#include "tests/referee/device.hpp"
#include "tests/referee/judge.hpp"

namespace referee {

/// The requests of virtio-blk over memory (VIRTIO 1.4, 5.2.6).
class Disk {
public:
    explicit Disk(const Block& block);
    /// Serves one request and judges its form. Returns the bytes written.
    std::uint32_t serve(const Chain& chain, Judge& judge, std::uint16_t queue);
    [[nodiscard]] std::vector<std::uint8_t>& contents() noexcept { return contents_; }
    [[nodiscard]] std::vector<std::uint8_t> config() const;

private:
    std::vector<std::uint8_t> contents_;
    bool read_only_;
};

/// The general form of a disk; `disk` serves it and must live as long.
[[nodiscard]] Device make_device(const Block& block, const std::shared_ptr<Disk>& disk);
[[nodiscard]] Device make_device(const Echo& echo);

} // namespace referee
