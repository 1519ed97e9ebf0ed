// The state of the whole machine as plain data, at one moment: what the page, the metrics and the shell's listings are written from.
// collect() (collect.hpp) fills it from the system; tests fill it by hand. Views in it belong to the system and stay valid.
//
//     auto report = std::make_unique<Report>();
//     collect(*report);
//     write_page(page, *report);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "libvirtio/feature.hpp"
#include "libvirtio/virtqueue.hpp"

namespace appliance {

/// A short text of its own.
template<std::size_t Size> struct ShortText {
    std::array<char, Size> characters{};
    [[nodiscard]] const char* c_str() const noexcept { return characters.data(); }
    [[nodiscard]] std::string_view view() const noexcept { return characters.data(); }
};

struct QueueReport {
    std::uint16_t index = 0;
    const char* name = ""; // "receive"
    std::uint16_t size = 0;
    std::uint16_t in_flight = 0;
    bool broken = false;
    virtio::QueueCounters counters;

    /// Most ports of a console have queues that nobody ever uses: listings for people leave them out.
    [[nodiscard]] bool used() const noexcept {
        return broken || counters.requests != 0 || counters.interrupts != 0 || counters.errors != 0 || counters.watchdog_rescues != 0;
    }
};

struct DeviceReport {
    ShortText<16> name;    // "net0"
    ShortText<32> where;   // "00:03.0", "0xfeb00200"
    const char* kind = ""; // "network"
    const char* transport = "";
    ShortText<40> found_by; // "ECAM, MCFG"
    const char* interrupt_mode = "";
    ShortText<96> problem; // why it is not used; empty if it is
    ShortText<96> detail;  // what there is to say about one of its kind
    virtio::FeatureSet offered;
    virtio::FeatureSet features;
    std::span<const virtio::FeatureName> feature_names;
    std::uint64_t interrupts = 0;
    std::uint64_t spurious_interrupts = 0;
    std::uint64_t watchdog_rescues = 0;
    std::size_t first_queue = 0; // in Report::queues
    std::size_t queue_count = 0;
};

struct DiskReport {
    ShortText<16> name;
    ShortText<32> model;
    std::uint64_t bytes = 0;
    bool read_only = false;
    bool serves_files = false;
};

/// In pages of 4 KiB.
struct BalloonReport {
    std::uint64_t target = 0, pages = 0, given = 0, taken_back = 0, reported = 0;
};

struct NetworkReport {
    bool configured = false;
    ShortText<16> address, netmask, gateway, dns;
    const char* problem = ""; // why it is not configured
};

struct MemoryReport {
    std::uint64_t total = 0, free = 0, largest_run = 0, heap = 0, heap_maximum = 0; // bytes
};

struct WebReport {
    std::uint64_t connections = 0, refused = 0, requests = 0, failed = 0, bytes = 0;
    unsigned open = 0;
};

struct Report {
    static constexpr std::size_t kMostDevices = 48;
    static constexpr std::size_t kMostQueues = 192;
    static constexpr std::size_t kMostDisks = 32;

    std::array<DeviceReport, kMostDevices> devices{};
    std::size_t device_count = 0;
    std::array<QueueReport, kMostQueues> queues{};
    std::size_t queue_count = 0;
    std::array<DiskReport, kMostDisks> disks{};
    std::size_t disk_count = 0;

    std::uint64_t uptime_ns = 0;
    std::int64_t wall_clock_ns = 0;
    std::uint64_t idle_ns = 0;
    std::size_t tasks = 0;
    std::size_t files = 0;
    MemoryReport memory;
    NetworkReport network;
    std::optional<BalloonReport> balloon;
    WebReport web;
    const char* entropy = "";

    [[nodiscard]] std::span<const DeviceReport> device_list() const noexcept { return std::span(devices).first(device_count); }
    [[nodiscard]] std::span<const DiskReport> disk_list() const noexcept { return std::span(disks).first(disk_count); }
    [[nodiscard]] std::span<const QueueReport> queues_of(const DeviceReport& device) const noexcept {
        return std::span(queues).subspan(device.first_queue, device.queue_count);
    }
};

class Output;

/// The names of all features in a set, separated by blanks; bits without a name as "bit N".
void write_features(Output& output, const virtio::FeatureSet& features, std::span<const virtio::FeatureName> names);

void write_page(Output& output, const Report& report);    // HTML
void write_metrics(Output& output, const Report& report); // Prometheus' text format
void write_devices(Output& output, const Report& report); // for the shell
void write_queues(Output& output, const Report& report);

} // namespace appliance
