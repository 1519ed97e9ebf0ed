#include "boot/images/appliance/collect.hpp"

#include <algorithm>
#include <cstdio>

#include "boot/images/appliance/files.hpp"
#include "boot/images/appliance/site.hpp"
#include "boot/images/appliance/text.hpp"
#include "kernel/app.hpp"
#include "kernel/balloon/balloon_service.hpp"
#include "kernel/console/console_service.hpp"
#include "kernel/device_manager/block_disk.hpp"
#include "kernel/device_manager/device_manager.hpp"
#include "kernel/device_manager/net_link.hpp"
#include "kernel/entropy/entropy.hpp"
#include "kernel/memory/heap.hpp"
#include "kernel/memory/pages.hpp"
#include "kernel/task/task.hpp"

namespace appliance {

namespace {

using kernel::DeviceEntry;
using kernel::DeviceKind;

template<std::size_t Size> void set(ShortText<Size>& text, const char* value) { std::snprintf(text.characters.data(), Size, "%s", value); }

/// What the specification calls a device's queues.
const char* queue_name(const DeviceEntry& device, unsigned index) {
    switch (device.kind()) {
    case DeviceKind::net: return index == 0 ? "receive" : index == 1 ? "transmit" : "control";
    case DeviceKind::console:
        if (index == 2 || index == 3) return index == 2 ? "control receive" : "control transmit";
        return index % 2 == 0 ? "receive" : "transmit";
    case DeviceKind::balloon:
        if (index < 2) return index == 0 ? "inflate" : "deflate";
        return index == 2 ? "statistics" : "reporting";
    default: return "requests";
    }
}

const char* kind_name(DeviceKind kind) {
    switch (kind) {
    case DeviceKind::net: return "network";
    case DeviceKind::block: return "disk";
    case DeviceKind::console: return "console";
    case DeviceKind::entropy: return "entropy";
    case DeviceKind::balloon: return "balloon";
    default: return "other";
    }
}

void describe(DeviceReport& into, const DeviceEntry& device) {
    const auto print = [&](const char* format, auto... values) {
        std::snprintf(into.detail.characters.data(), into.detail.characters.size(), format, values...);
    };
    switch (device.kind()) {
    case DeviceKind::block:
        for (kernel::BlockDisk* disk : kernel::block_disks()) {
            if (&disk->device().device() != device.device()) continue;
            print("%s%s%s%s", ByteCount(disk->bytes()).c_str(), disk->read_only() ? ", read only" : "", disk->model()[0] != 0 ? ", " : "",
                  disk->model());
        }
        break;
    case DeviceKind::net:
        for (kernel::NetLink* link : kernel::net_links()) {
            if (&link->device().device() != device.device()) continue;
            const auto mac = link->mac();
            print("%02x:%02x:%02x:%02x:%02x:%02x, MTU %u, link %s", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], link->mtu(),
                  link->up() ? "up" : "down");
        }
        break;
    case DeviceKind::balloon:
        if (kernel::BalloonService* service = kernel::balloon_service();
            service != nullptr && &service->device().device() == device.device())
            print("%s of %s asked for", ByteCount(service->status().pages * 4096).c_str(),
                  ByteCount(service->status().target * 4096).c_str());
        break;
    case DeviceKind::console:
        for (kernel::ConsoleService* service : kernel::console_services()) {
            if (&service->device().device() != device.device()) continue;
            Text names(into.detail.characters.size() - 1);
            for (const virtio::ConsolePort& port : service->device().ports()) {
                if (!port.present()) continue;
                if (!names.view().empty()) names.write(", ");
                names.write(port.name().empty() ? std::string_view("terminal") : port.name());
            }
            std::ranges::copy(names.view(), into.detail.characters.begin());
        }
        break;
    default: break;
    }
}

void collect_queues(Report& report, DeviceReport& into, const DeviceEntry& entry, const virtio::Device& device) {
    for (const virtio::Virtqueue* queue : device.queues()) {
        if (queue == nullptr || report.queue_count == report.queues.size()) continue;
        report.queues[report.queue_count++] = {.index = queue->index(),
                                               .name = queue_name(entry, queue->index()),
                                               .size = queue->size(),
                                               .in_flight = queue->in_flight(),
                                               .broken = queue->broken(),
                                               .counters = queue->counters()};
        ++into.queue_count;
    }
}

void collect_devices(Report& report) {
    unsigned nameless = 0;
    for (const DeviceEntry& entry : kernel::devices()) {
        if (report.device_count == report.devices.size()) return;
        DeviceReport& into = report.devices[report.device_count++];
        into.first_queue = report.queue_count;
        if (entry.name()[0] != 0)
            set(into.name, entry.name());
        else
            std::snprintf(into.name.characters.data(), into.name.characters.size(), "other%u", nameless++);
        set(into.where, entry.where());
        set(into.found_by, entry.found_by());
        set(into.problem, entry.problem());
        into.kind = kind_name(entry.kind());
        into.transport = entry.transport();
        into.feature_names = entry.feature_names();
        const virtio::Device* device = entry.device();
        if (device == nullptr) continue;
        if (!entry.running() && entry.problem()[0] == 0) set(into.problem, "stopped");
        into.interrupt_mode = virtio::name(device->interrupt_mode());
        into.offered = device->offered();
        into.features = device->features();
        into.interrupts = device->interrupts();
        into.spurious_interrupts = device->spurious_interrupts();
        into.watchdog_rescues = device->watchdog_rescues();
        describe(into, entry);
        collect_queues(report, into, entry, *device);
    }
}

void collect_disks(Report& report) {
    for (ringside::Disk& disk : ringside::disks()) {
        if (report.disk_count == report.disks.size()) return;
        DiskReport& into = report.disks[report.disk_count++];
        set(into.name, disk.name());
        set(into.model, disk.model());
        into.bytes = disk.bytes();
        into.read_only = disk.read_only();
        into.serves_files = &disk == files().disk;
    }
    report.files = files().archive.entries().size();
}

void collect_network(NetworkReport& into) {
    const auto lan = ringside::net::status();
    into.configured = lan.has_value();
    if (!lan) {
        into.problem = virtio::message(lan.error());
        return;
    }
    set(into.address, lan->address.text().c_str());
    set(into.netmask, lan->netmask.text().c_str());
    set(into.gateway, lan->gateway.text().c_str());
    set(into.dns, lan->dns.text().c_str());
}

} // namespace

void collect(Report& report) {
    report.uptime_ns = kernel::now_ns();
    report.wall_clock_ns = kernel::wall_clock_ns();
    const kernel::TaskStatistics tasks = kernel::task_statistics();
    report.idle_ns = tasks.idle_ns;
    report.tasks = tasks.tasks;
    const kernel::PageStatistics pages = kernel::page_statistics();
    const kernel::HeapStatistics heap = kernel::heap_statistics();
    report.memory = {.total = pages.total * kernel::kPageSize,
                     .free = pages.free * kernel::kPageSize,
                     .largest_run = pages.largest_run * kernel::kPageSize,
                     .heap = heap.bytes,
                     .heap_maximum = heap.maximum};
    report.entropy = kernel::entropy_source_name();
    collect_devices(report);
    collect_disks(report);
    collect_network(report.network);
    if (const kernel::BalloonService* service = kernel::balloon_service(); service != nullptr) {
        const kernel::BalloonStatus status = service->status();
        report.balloon = BalloonReport{.target = status.target,
                                       .pages = status.pages,
                                       .given = status.given,
                                       .taken_back = status.taken_back,
                                       .reported = status.reported};
    }
    const HttpCounters& web = web_server().counters();
    report.web = {.connections = web.connections,
                  .refused = web.refused,
                  .requests = web.requests,
                  .failed = web.failed,
                  .bytes = web.bytes,
                  .open = web.open};
}

} // namespace appliance
