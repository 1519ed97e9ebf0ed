// Why a device did not start, in words. Pure; any context with a stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "libvirtio/feature.hpp"

namespace kernel {

/// "feature VERSION_1 is missing", "the device refused the features that we chose", or the error's message.
void describe_failure(std::span<char> into, virtio::Error error, const virtio::Refusal& refusal,
                      std::span<const virtio::FeatureName> names) noexcept;

/// What VIRTIO 1.4, 5 calls a device type, or null.
[[nodiscard]] const char* virtio_type_name(std::uint32_t type) noexcept;

} // namespace kernel
