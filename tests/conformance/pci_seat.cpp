#include "tests/conformance/pci_seat.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <ringside/arch/io.hpp>

namespace conformance {
namespace {

// The common configuration structure (4.1.4.3).
constexpr std::uintptr_t kDeviceSelect = 0, kDeviceFeature = 4, kDriverSelect = 8, kDriverFeature = 12, kConfigVector = 16,
                         kQueueCount = 18, kStatus = 20, kGeneration = 21, kQueueSelect = 22, kSize = 24, kVector = 26, kEnable = 28,
                         kNotifyOffset = 30, kDescriptor = 32, kNotifyConfig = 56, kReset = 58, kCommonLength = 64;
constexpr unsigned kPacked = 34, kOrderPlatform = 36, kNotificationData = 38, kNotifConfigData = 39;
constexpr std::uint8_t kFeaturesOk = 8;

std::string number(std::uint64_t value) {
    char text[24];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
    return text;
}

} // namespace

PciSeat::PciSeat(std::uint64_t features) : offered(features) {
    const auto put = [&](std::size_t at, std::uint64_t value, std::size_t bytes) { std::memcpy(&space_[at], &value, bytes); };
    put(0, 0x1af4, 2);
    put(2, 0x1042, 2);
    put(6, 0x10, 2);        // has capabilities
    put(0x10, kBar | 4, 4); // BAR 0, 64 bits wide
    put(0x14, kBar >> 32, 4);
    put(0x34, 0x40, 1);
    const auto structure = [&](std::size_t at, std::size_t next, unsigned type, std::uint64_t offset, std::uint64_t length) {
        put(at, 9, 1);
        put(at + 1, next, 1);
        put(at + 2, type == 2 ? 20 : 16, 1);
        put(at + 3, type, 1);
        put(at + 8, offset, 4);
        put(at + 12, length, 4);
    };
    structure(0x40, 0x50, 1, 0x0000, kCommonLength);
    structure(0x50, 0x60, 3, 0x1000, 4);
    structure(0x60, 0, 2, kNotify, 0x100);
    put(0x70, kMultiplier, 4);

    arch::observed_registers() = {
        kBar, kBarSize, this,
        [](void* seat, std::uintptr_t offset, unsigned width) noexcept { return static_cast<PciSeat*>(seat)->read(offset, width); },
        [](void* seat, std::uintptr_t offset, unsigned width, std::uint32_t value) noexcept {
            static_cast<PciSeat*>(seat)->write(offset, width, value);
        }};
}

PciSeat::~PciSeat() {
    arch::observed_registers() = {};
    for (const auto& [memory, bytes] : live_) std::free(memory);
}

std::uint32_t PciSeat::read(std::uintptr_t offset, unsigned width) {
    Queue& queue = queues_[std::min<unsigned>(select_, kQueues - 1)];
    const bool there = select_ < kQueues;
    switch (offset) {
    case kDeviceSelect: return device_select_;
    case kDeviceFeature: return device_select_ < 2 ? static_cast<std::uint32_t>(offered >> (32 * device_select_)) : 0;
    case kDriverSelect: return driver_select_;
    case kDriverFeature: return driver_select_ < 2 ? static_cast<std::uint32_t>(accepted >> (32 * driver_select_)) : 0;
    case kConfigVector:
    case kVector: return 0xffff;
    case kQueueCount: return kQueues;
    case kStatus: return status_;
    case kGeneration: return 0;
    case kQueueSelect: return select_;
    case kSize: return there ? (queue.size != 0 ? queue.size : maximum[select_]) : 0;
    case kEnable: return there && queue.enabled ? 1 : 0;
    case kNotifyOffset: return select_;
    case kNotifyConfig: return config_data(select_);
    case kReset:
        if (!queue.resetting) return 0;
        if (queue.reset_reads_left != 0) {
            --queue.reset_reads_left;
            return 1;
        }
        queue.resetting = false;
        queue.was_reset = true;
        verdict.hold(true, "PCI-024", "");
        verdict.hold(true, "RESET-002", "");
        return 0;
    default: return width == 1 ? 0xffu : width == 2 ? 0xffffu : 0u;
    }
}

void PciSeat::write(std::uintptr_t offset, unsigned width, std::uint32_t value) {
    if (offset >= kNotify) return notified(static_cast<unsigned>((offset - kNotify) / kMultiplier), width, value);
    for (const std::uintptr_t fixed : {kDeviceFeature, kQueueCount, kGeneration, kNotifyOffset, kNotifyConfig})
        verdict.hold(offset != fixed, "PCI-018", "a write of " + number(value) + " at " + number(offset));
    switch (offset) {
    case kDeviceSelect: device_select_ = value; break;
    case kDriverSelect: driver_select_ = value; break;
    case kDriverFeature:
        if (driver_select_ < 2) {
            accepted &= ~(std::uint64_t{0xffff'ffff} << (32 * driver_select_));
            accepted |= std::uint64_t{value} << (32 * driver_select_);
        }
        break;
    case kStatus:
        if (value == 0) {
            accepted = 0;
            queues_ = {};
        } else if ((value & kFeaturesOk) != 0 && (status_ & kFeaturesOk) == 0) {
            const auto accepts = [&](unsigned bit, const char* clause) {
                if (((offered >> bit) & 1) != 0) verdict.hold(has(bit), clause, "feature " + std::to_string(bit) + " was not accepted");
            };
            accepts(kPacked, "FEAT-019");
            accepts(kOrderPlatform, "FEAT-020");
            accepts(kNotifConfigData, "FEAT-027");
        }
        status_ = static_cast<std::uint8_t>(value);
        break;
    case kQueueSelect: select_ = static_cast<std::uint16_t>(value); break;
    default:
        if (offset >= kSize && offset < kCommonLength && select_ < kQueues) write_queue(offset, width, value);
    }
}

void PciSeat::write_queue(std::uintptr_t offset, unsigned, std::uint32_t value) {
    Queue& queue = queues_[select_];
    if (queue.resetting) {
        const std::string seen = "queue " + std::to_string(select_) + " was set up before queue_reset read 0";
        verdict.hold(false, "PCI-024", seen);
        verdict.hold(false, "RESET-002", seen);
    }
    switch (offset) {
    case kSize:
        if (has(kPacked))
            verdict.hold(value != 0, "PCI-019", "queue_size 0 with a packed ring");
        else
            verdict.hold(value != 0 && (value & (value - 1)) == 0, "PCI-020", "queue_size " + std::to_string(value) + " with a split ring");
        if (queue.was_reset && value != queue.size && queue.size != 0) verdict.hold(true, "PCI-026", "");
        queue.size = static_cast<std::uint16_t>(value);
        queue.configured |= 1;
        break;
    case kEnable:
        if (queue.was_reset) {
            verdict.hold((queue.configured & 0x7f) == 0x7f, "RESET-004", "queue enabled again, but not all of its fields were written");
            verdict.hold(true, "PCI-025", "");
        }
        queue.enabled = value != 0;
        break;
    case kReset:
        queue.enabled = false;
        queue.resetting = true;
        queue.reset_reads_left = queue_reset_reads;
        queue.configured = 0;
        break;
    default:
        if (offset >= kDescriptor && offset < kNotifyConfig) queue.configured |= 2u << ((offset - kDescriptor) / 4);
    }
}

void PciSeat::notified(unsigned queue, unsigned width, std::uint32_t value) {
    ++notifications;
    const bool data = has(kNotificationData), config = has(kNotifConfigData);
    verdict.hold(width == (data ? 4u : 2u), data ? "PCI-041" : "PCI-040", "a notification " + std::to_string(8 * width) + " bits wide");
    if (queue < kQueues && queues_[queue].resetting) {
        verdict.hold(false, "PCI-024", "a notification before queue_reset read 0");
        verdict.hold(false, "RESET-002", "a notification before queue_reset read 0");
    }
    const std::uint32_t expected = config ? config_data(queue) : queue;
    const std::uint32_t name = data ? value & 0xffff : value;
    const char* clause = config ? (data ? "PCI-045" : "PCI-044") : data ? "PCI-043" : "PCI-042";
    verdict.hold(name == expected, clause, "queue " + std::to_string(queue) + " was notified by the value " + number(value));
}

void* PciSeat::dma_allocate(std::size_t bytes, std::size_t alignment) noexcept {
    const std::size_t align = std::max<std::size_t>(alignment, alignof(std::max_align_t));
    void* memory = std::aligned_alloc(align, (bytes + align - 1) / align * align);
    std::memset(memory, 0, bytes);
    live_.emplace_back(memory, bytes);
    return memory;
}

void PciSeat::dma_free(void* memory, std::size_t bytes) noexcept {
    const auto found = std::find(live_.begin(), live_.end(), std::pair{memory, bytes});
    if (found == live_.end()) std::abort(); // a wrong free is the driver's mistake
    live_.erase(found);
    std::free(memory);
    for (unsigned i = 0; i < kQueues; ++i) {
        if (!queues_[i].resetting) continue;
        verdict.hold(false, "PCI-024", "memory was freed before queue_reset read 0");
        verdict.hold(false, "RESET-002", "memory was freed before queue_reset read 0");
    }
}

std::uint32_t PciSeat::pci_read(const virtio::PciAddress&, std::uint16_t offset, unsigned width) noexcept {
    std::uint32_t value = 0;
    if (offset + width <= space_.size()) std::memcpy(&value, &space_[offset], width);
    return value;
}

void PciSeat::pci_write(const virtio::PciAddress&, std::uint16_t offset, unsigned width, std::uint32_t value) noexcept {
    if (offset + width > space_.size()) return;
    if (offset == 0x10) value = (value & ~static_cast<std::uint32_t>(kBarSize - 1)) | 4; // its size is what does not stick
    if (offset >= 0x18 && offset < 0x28) return;                                         // no other BARs
    std::memcpy(&space_[offset], &value, width);
}

std::uintptr_t PciSeat::map_device(std::uint64_t base, std::uint64_t size) noexcept {
    return base >= kBar && base + size <= kBar + kBarSize ? base : 0;
}

} // namespace conformance
