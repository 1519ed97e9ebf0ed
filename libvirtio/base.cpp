#include "libvirtio/base.hpp"

namespace virtio {

const char* message(Error error) noexcept {
    switch (error) {
    case Error::none: return "no error";
    case Error::no_device: return "no device";
    case Error::device_gone: return "device gone";
    case Error::bad_magic: return "bad magic value";
    case Error::bad_version: return "unsupported transport version";
    case Error::unsupported_device: return "unsupported device";
    case Error::bad_capability: return "malformed or missing PCI capability";
    case Error::bad_bar: return "PCI base address register missing or too small";
    case Error::feature_missing: return "a required feature is not offered";
    case Error::feature_refused: return "the device refused the chosen features";
    case Error::feature_dependency: return "a required feature lacks one that it depends on";
    case Error::dma_domain_missing: return "ACCESS_PLATFORM offered, but no DMA domain for it";
    case Error::bad_config: return "device configuration makes no sense";
    case Error::config_unstable: return "device configuration changes on every read";
    case Error::field_not_negotiated: return "configuration field of a feature that was not negotiated";
    case Error::interrupt_unavailable: return "no interrupt available";
    case Error::reset_timeout: return "device did not confirm its reset";
    case Error::needs_reset: return "device needs a reset";
    case Error::already_started: return "already started";
    case Error::not_started: return "not started";
    case Error::out_of_memory: return "out of memory";
    case Error::dma_map_failed: return "memory cannot be reached by the device";
    case Error::ring_full: return "ring full";
    case Error::queue_broken: return "queue broken by the device";
    case Error::queue_unavailable: return "queue not available";
    case Error::queue_size_invalid: return "invalid queue size";
    case Error::too_many_segments: return "too many segments";
    case Error::empty_request: return "empty request";
    case Error::request_in_flight: return "request already in flight";
    case Error::device_reset: return "request ended by a reset";
    case Error::abandoned: return "request abandoned: its device never confirmed a reset";
    case Error::timeout: return "timed out";
    case Error::invalid_argument: return "invalid argument";
    case Error::out_of_range: return "out of range";
    case Error::unaligned: return "not a multiple of the block size";
    case Error::read_only: return "read-only";
    case Error::io_error: return "input/output error";
    case Error::unsupported_request: return "request not supported by the device";
    case Error::bad_response: return "malformed response from the device";
    case Error::frame_too_long: return "frame too long";
    case Error::bad_header: return "malformed header";
    case Error::link_down: return "link down";
    case Error::would_block: return "would block";
    case Error::not_found: return "not found";
    case Error::closed: return "closed";
    case Error::no_lease: return "no DHCP lease";
    case Error::unreachable: return "unreachable";
    case Error::refused: return "connection refused";
    case Error::address_in_use: return "address in use";
    case Error::busy: return "busy";
    }
    return "unknown error";
}

} // namespace virtio
