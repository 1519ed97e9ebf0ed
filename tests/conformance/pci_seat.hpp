// A virtio device on PCI for the clauses about its registers: configuration space with the virtio capabilities, the common
// configuration structure and the notification area, written from VIRTIO 1.4, 4.1, and a verdict per clause (PCI-..., FEAT-...,
// RESET-002 and RESET-004). It is a platform with one PCI function; register accesses come through observed/ringside/arch/io.hpp, or
// from a script by read() and write(). It looks at no ring: the referee judges those.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "libvirtio/pci.hpp"

namespace conformance {

/// Held, violated or not exercised, by clause id.
class SmallVerdict {
public:
    void hold(bool kept, const std::string& clause, const std::string& seen) {
        Record& record = records_[clause];
        ++(kept ? record.held : record.violated);
        if (!kept && record.seen.empty()) record.seen = seen;
    }
    [[nodiscard]] bool held(const std::string& clause) const {
        const auto found = records_.find(clause);
        return found != records_.end() && found->second.held != 0 && found->second.violated == 0;
    }
    /// The clauses that were violated.
    [[nodiscard]] std::vector<std::string> violated() const {
        std::vector<std::string> ids;
        for (const auto& [id, record] : records_)
            if (record.violated != 0) ids.push_back(id);
        return ids;
    }
    [[nodiscard]] std::string text() const {
        std::string all;
        for (const auto& [id, record] : records_)
            all += id + (record.violated != 0 ? " violated: " + record.seen : " held " + std::to_string(record.held) + " times") + "\n";
        return all;
    }

private:
    struct Record {
        unsigned held = 0, violated = 0;
        std::string seen;
    };
    std::map<std::string, Record> records_;
};

class PciSeat final : public virtio::PciPlatform {
public:
    static constexpr std::uintptr_t kBar = 0x7'0000'0000; // where the device's memory is mapped; nothing real stands there
    static constexpr std::uintptr_t kBarSize = 0x4000;
    static constexpr std::uintptr_t kNotify = 0x3000; // offset of the notification area
    static constexpr std::uint32_t kMultiplier = 4;
    static constexpr unsigned kQueues = 2;

    explicit PciSeat(std::uint64_t features);
    ~PciSeat();

    // --- the device's side ---
    std::uint64_t offered;
    std::uint64_t accepted = 0;
    unsigned queue_reset_reads = 0; // reads of queue_reset that still show 1
    SmallVerdict verdict;
    /// A notification may come at a time when none is due only if the test says so; each one's value and width are judged.
    unsigned notifications = 0;
    std::uint64_t clock = 0;
    std::array<std::uint16_t, kQueues> maximum{64, 64};
    [[nodiscard]] std::uint32_t read(std::uintptr_t offset, unsigned width);
    void write(std::uintptr_t offset, unsigned width, std::uint32_t value);
    /// queue_notif_config_data: an odd value that is no queue's index.
    [[nodiscard]] static std::uint16_t config_data(unsigned queue) { return static_cast<std::uint16_t>(0x5a00 + 0x11 * queue); }
    [[nodiscard]] bool enabled(unsigned queue) const { return queues_.at(queue).enabled; }
    [[nodiscard]] std::uint16_t size_of(unsigned queue) const { return queues_.at(queue).size; }

    // --- the platform ---
    void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override;
    void dma_free(void* memory, std::size_t bytes) noexcept override;
    virtio::DmaAddress dma_address(const void* at) noexcept override { return {reinterpret_cast<std::uintptr_t>(at)}; }
    std::uint64_t now_ns() noexcept override { return clock += 1000; }
    std::uint32_t pci_read(const virtio::PciAddress& address, std::uint16_t offset, unsigned width) noexcept override;
    void pci_write(const virtio::PciAddress& address, std::uint16_t offset, unsigned width, std::uint32_t value) noexcept override;
    std::uintptr_t map_device(std::uint64_t base, std::uint64_t size) noexcept override;

private:
    struct Queue {
        std::uint16_t size = 0;
        std::uint64_t addresses[3] = {};
        bool enabled = false;
        bool resetting = false; // queue_reset was written and has not yet read 0
        unsigned reset_reads_left = 0;
        bool was_reset = false;
        std::uint32_t configured = 0; // since the last reset: bit 0 size, bits 1..6 the address halves
    };
    void write_queue(std::uintptr_t offset, unsigned width, std::uint32_t value);
    void notified(unsigned queue, unsigned width, std::uint32_t value);
    [[nodiscard]] bool has(unsigned bit) const { return ((accepted >> bit) & 1) != 0; }

    std::array<std::uint8_t, 256> space_{};
    std::array<Queue, kQueues> queues_{};
    std::uint32_t device_select_ = 0, driver_select_ = 0;
    std::uint16_t select_ = 0;
    std::uint8_t status_ = 0;
    std::vector<std::pair<void*, std::size_t>> live_;
};

} // namespace conformance
