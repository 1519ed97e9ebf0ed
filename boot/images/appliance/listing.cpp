// The shell's listings of devices and queues.
#include "boot/images/appliance/report.hpp"
#include "boot/images/appliance/text.hpp"

namespace appliance {

void write_features(Output& out, const virtio::FeatureSet& features, std::span<const virtio::FeatureName> names) {
    const char* separator = "";
    for (unsigned bit = 0; bit < virtio::FeatureSet::kBits; ++bit) {
        if (!features.has(bit)) continue;
        if (const char* name = virtio::feature_name(bit, names); name != nullptr)
            out.print("%s%s", separator, name);
        else
            out.print("%sbit %u", separator, bit);
        separator = " ";
    }
}

void write_devices(Output& out, const Report& report) {
    for (const DeviceReport& device : report.device_list()) {
        out.print("%-9s %-13s %-11s %-11s ", device.name.c_str(), device.kind, device.transport, device.where.c_str());
        if (!device.problem.view().empty()) {
            out.write("NOT USED: ");
            write_printable(out, device.problem.view());
            out.print("\n          found by %s\n", device.found_by.c_str());
            continue;
        }
        out.print("%s%s", device.interrupt_mode, device.detail.view().empty() ? "" : "; ");
        write_printable(out, device.detail.view());
        out.print("\n          found by %s\n          ", device.found_by.c_str());
        write_features(out, device.features, device.feature_names);
        out.write("\n");
    }
    if (report.device_count == 0) out.write("no virtio device was found\n");
}

void write_queues(Output& out, const Report& report) {
    out.print("%-26s %5s %6s %9s %9s %8s %8s %8s %8s %6s %6s %7s\n", "queue", "size", "flight", "requests", "bytes", "kicks", "spared",
              "intr", "spurious", "full", "errors", "rescues");
    std::size_t unused = 0;
    for (const DeviceReport& device : report.device_list()) {
        for (const QueueReport& queue : report.queues_of(device)) {
            if (!queue.used()) {
                ++unused;
                continue;
            }
            Text label(64);
            label.print("%s.%u %s", device.name.c_str(), queue.index, queue.broken ? "BROKEN" : queue.name);
            const auto& count = queue.counters;
            out.print("%-26.*s %5u %6u %9llu ", static_cast<int>(label.view().size()), label.view().data(), queue.size, queue.in_flight,
                      static_cast<unsigned long long>(count.requests));
            out.print("%9s %8llu %8llu ", ByteCount(count.bytes).c_str(), static_cast<unsigned long long>(count.kicks),
                      static_cast<unsigned long long>(count.kicks_suppressed));
            out.print("%8llu %8llu ", static_cast<unsigned long long>(count.interrupts),
                      static_cast<unsigned long long>(count.spurious_interrupts));
            out.print("%6llu %6llu %7llu\n", static_cast<unsigned long long>(count.ring_full),
                      static_cast<unsigned long long>(count.errors), static_cast<unsigned long long>(count.watchdog_rescues));
        }
    }
    if (unused > 0) out.print("and %zu that have not been used\n", unused);
}

} // namespace appliance
