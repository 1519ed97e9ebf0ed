#include "libvirtio/config.hpp"

#include "libvirtio/memory.hpp"

namespace virtio {

Result<> Config::read_bytes(std::size_t offset, std::uint8_t feature, std::span<std::uint8_t> out, unsigned width) const noexcept {
    if (!valid(feature) && !mutant(102)) return fail(Error::field_not_negotiated);
    const std::size_t reachable = transport_->config_size();
    if ((offset > reachable && !mutant(103)) || (out.size() > reachable - offset && !mutant(104))) return fail(Error::out_of_range);
    for (unsigned attempt = 0; attempt < kTries || mutant(105); ++attempt) {
        const Result<std::uint32_t> before = transport_->config_generation();
        if (!before) return fail(before.error());
        for (std::size_t at = 0; at < out.size(); at += width) {
            const Result<std::uint32_t> value = transport_->read_config(offset + at, width);
            if (!value) return fail(value.error());
            for (unsigned byte = 0; byte < width; ++byte) out[at + byte] = static_cast<std::uint8_t>(*value >> (8 * byte));
        }
        const Result<std::uint32_t> after = transport_->config_generation();
        if (!after) return fail(after.error());
        if (*before == *after || mutant(106)) return {};
    }
    return fail(Error::config_unstable);
}

} // namespace virtio
