#include "libvirtio/config.hpp"

#include "libvirtio/memory.hpp"

namespace virtio {

Result<bool> Config::read_pass(std::size_t offset, std::span<std::uint8_t> out, unsigned width) const noexcept {
    bool changed = false;
    for (std::size_t at = 0; at < out.size(); at += width) {
        const Result<std::uint32_t> value = transport_->read_config(offset + at, width);
        if (!value) return fail(value.error());
        for (unsigned byte = 0; byte < width; ++byte) {
            const auto now = static_cast<std::uint8_t>(*value >> (8 * byte));
            changed = changed || out[at + byte] != now;
            out[at + byte] = now;
        }
    }
    return changed;
}

Result<> Config::read_bytes(std::size_t offset, std::uint8_t feature, std::span<std::uint8_t> out, unsigned width) const noexcept {
    if (!valid(feature) && !mutant(102)) return fail(Error::field_not_negotiated);
    const std::size_t reachable = transport_->config_size();
    if ((offset > reachable && !mutant(103)) || (out.size() > reachable - offset && !mutant(104))) return fail(Error::out_of_range);
    const bool legacy = transport_->legacy();
    for (unsigned attempt = 0; attempt < kTries || mutant(105); ++attempt) {
        const Result<std::uint32_t> before = transport_->config_generation();
        if (!before) return fail(before.error());
        const Result<bool> changed = read_pass(offset, out, width);
        if (!changed) return fail(changed.error());
        const Result<std::uint32_t> after = transport_->config_generation();
        if (!after) return fail(after.error());
        // Without a generation two readings must agree, which one access of a whole field always does (CONF-007).
        const bool stands = legacy && out.size() > width ? attempt != 0 && !*changed : *before == *after;
        if (stands || mutant(106)) return {};
    }
    return fail(Error::config_unstable);
}

} // namespace virtio
