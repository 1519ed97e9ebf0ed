// Random numbers: a ChaCha20 generator (RFC 8439's block function), seeded before its first use from the best source there is: a
// registered device (virtio entropy), RDRAND/RDSEED, else the jitter of the time stamp counter, with a warning in the log. Reseeded
// after every MiB of output and when a source registers. Task context only (a device source may wait). getentropy() is this.
//
//     kernel::random_bytes(std::as_writable_bytes(std::span(key)));
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "libvirtio/base.hpp"

namespace kernel {

/// A device that gives entropy. Owned by its driver; stays registered for ever.
class EntropySource {
public:
    [[nodiscard]] virtual const char* name() const = 0;
    /// Fills the front of `into` and gives the number of bytes, at least one; may wait, but not for ever.
    [[nodiscard]] virtual virtio::Result<std::size_t> read(std::span<std::byte> into) = 0;

protected:
    ~EntropySource() = default;
};

/// Asked first from now on; the generator is reseeded at its next use.
void register_entropy_source(EntropySource& source) noexcept;
/// It is not asked any more.
void unregister_entropy_source(EntropySource& source) noexcept;

/// Fills all of it. Never fails: without any source it is the time jitter, once with a warning.
void random_bytes(std::span<std::byte> into);
[[nodiscard]] std::uint32_t random_u32();

/// Which source seeded the generator last: a device's name, "rdrand", "jitter", or "none yet".
[[nodiscard]] const char* entropy_source_name() noexcept;

} // namespace kernel
