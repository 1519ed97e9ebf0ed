// The page at "/metrics": Prometheus' text format, version 0.0.4. Each family's HELP and TYPE stand before all of its samples.
#include "boot/images/appliance/report.hpp"
#include "boot/images/appliance/text.hpp"

namespace appliance {

namespace {

unsigned long long number(std::uint64_t value) { return value; }

void family(Output& out, const char* name, const char* type, const char* help) {
    out.print("# HELP ringside_%s %s\n# TYPE ringside_%s %s\n", name, help, name, type);
}

/// A value in quotes: backslash, quote and newline are the three that need a backslash.
void label(Output& out, const char* name, std::string_view value) {
    out.print("%s=\"", name);
    for (const char& each : value) {
        if (each == '\n')
            out.write("\\n");
        else if (each == '\\' || each == '"')
            out.print("\\%c", each);
        else
            out.write({&each, 1});
    }
    out.write("\"");
}

void sample(Output& out, const char* name, std::uint64_t value) { out.print("ringside_%s %llu\n", name, number(value)); }

void single(Output& out, const char* name, const char* type, const char* help, std::uint64_t value) {
    family(out, name, type, help);
    sample(out, name, value);
}

struct QueueMetric {
    const char* name;
    const char* help;
    std::uint64_t virtio::QueueCounters::* counter;
};

using Counters = virtio::QueueCounters;
constexpr std::array kQueueMetrics{
    QueueMetric{"queue_requests_total", "Buffer chains made available to the device.", &Counters::requests},
    QueueMetric{"queue_completions_total", "Buffer chains that the device has used.", &Counters::completions},
    QueueMetric{"queue_bytes_total", "Bytes lent to the device in requests.", &Counters::bytes},
    QueueMetric{"queue_kicks_total", "Notifications sent to the device.", &Counters::kicks},
    QueueMetric{"queue_suppressed_kicks_total", "Notifications that the device did not want.", &Counters::kicks_suppressed},
    QueueMetric{"queue_interrupts_total", "Interrupts that announced this queue.", &Counters::interrupts},
    QueueMetric{"queue_spurious_interrupts_total", "Interrupts after which nothing was found.", &Counters::spurious_interrupts},
    QueueMetric{"queue_ring_full_total", "Requests that found the ring full.", &Counters::ring_full},
    QueueMetric{"queue_errors_total", "Requests refused or ended without an answer.", &Counters::errors},
    QueueMetric{"queue_watchdog_rescues_total", "Completions that the watchdog found because no interrupt came.",
                &Counters::watchdog_rescues},
};

void queue_labels(Output& out, const char* name, const DeviceReport& device, const QueueReport& queue) {
    out.print("ringside_%s{", name);
    label(out, "device", device.name.view());
    out.print(",queue=\"%u\"} ", queue.index);
}

void write_queue_metrics(Output& out, const Report& report) {
    for (const QueueMetric& metric : kQueueMetrics) {
        family(out, metric.name, "counter", metric.help);
        for (const DeviceReport& device : report.device_list())
            for (const QueueReport& queue : report.queues_of(device)) {
                queue_labels(out, metric.name, device, queue);
                out.print("%llu\n", number(queue.counters.*metric.counter));
            }
    }
    const auto gauge = [&](const char* name, const char* help, auto value) {
        family(out, name, "gauge", help);
        for (const DeviceReport& device : report.device_list())
            for (const QueueReport& queue : report.queues_of(device)) {
                queue_labels(out, name, device, queue);
                out.print("%u\n", static_cast<unsigned>(value(queue)));
            }
    };
    gauge("queue_size", "Descriptors of the ring.", [](const QueueReport& queue) { return queue.size; });
    gauge("queue_in_flight", "Requests that the device has.", [](const QueueReport& queue) { return queue.in_flight; });
    gauge("queue_broken", "1 if the device broke the rules and the queue is shut.", [](const QueueReport& queue) { return queue.broken; });
}

void write_device_metrics(Output& out, const Report& report) {
    family(out, "device_info", "gauge", "A device that was found; 0 if it is not used.");
    for (const DeviceReport& device : report.device_list()) {
        out.write("ringside_device_info{");
        label(out, "device", device.name.view());
        out.write(",");
        label(out, "kind", device.kind);
        out.write(",");
        label(out, "transport", device.transport);
        out.write(",");
        label(out, "where", device.where.view());
        out.write(",");
        label(out, "interrupts", device.interrupt_mode);
        out.write(",");
        label(out, "problem", device.problem.view());
        out.print("} %d\n", device.problem.view().empty() ? 1 : 0);
    }
    const auto counter = [&](const char* name, const char* help, std::uint64_t DeviceReport::* value) {
        family(out, name, "counter", help);
        for (const DeviceReport& device : report.device_list()) {
            out.print("ringside_%s{", name);
            label(out, "device", device.name.view());
            out.print("} %llu\n", number(device.*value));
        }
    };
    counter("device_interrupts_total", "Interrupts of the device, for queues and configuration.", &DeviceReport::interrupts);
    counter("device_spurious_interrupts_total", "Interrupts that announced nothing.", &DeviceReport::spurious_interrupts);
    counter("device_watchdog_rescues_total", "Times the watchdog found what no interrupt had announced.", &DeviceReport::watchdog_rescues);
}

void write_disk_metrics(Output& out, const Report& report) {
    family(out, "disk_bytes", "gauge", "Size of the disk.");
    for (const DiskReport& disk : report.disk_list()) {
        out.write("ringside_disk_bytes{");
        label(out, "disk", disk.name.view());
        out.write(",");
        label(out, "model", disk.model.view());
        out.print(",read_only=\"%d\"} %llu\n", disk.read_only ? 1 : 0, number(disk.bytes));
    }
}

} // namespace

void write_metrics(Output& out, const Report& report) {
    family(out, "uptime_seconds", "gauge", "Time since the start.");
    out.print("ringside_uptime_seconds %llu.%03llu\n", number(report.uptime_ns / 1'000'000'000),
              number(report.uptime_ns / 1'000'000 % 1000));
    family(out, "idle_seconds_total", "counter", "Time the processor was halted.");
    out.print("ringside_idle_seconds_total %llu.%03llu\n", number(report.idle_ns / 1'000'000'000),
              number(report.idle_ns / 1'000'000 % 1000));
    single(out, "tasks", "gauge", "Tasks that have not ended.", report.tasks);
    single(out, "memory_bytes", "gauge", "Memory that the page allocator manages.", report.memory.total);
    single(out, "memory_free_bytes", "gauge", "Memory that can be allocated.", report.memory.free);
    single(out, "memory_largest_run_bytes", "gauge", "Longest contiguous free memory.", report.memory.largest_run);
    single(out, "heap_bytes", "gauge", "Memory of the C library's heap.", report.memory.heap);
    write_device_metrics(out, report);
    write_queue_metrics(out, report);
    write_disk_metrics(out, report);
    if (report.balloon) {
        single(out, "balloon_target_bytes", "gauge", "What the host asks for.", report.balloon->target * 4096);
        single(out, "balloon_bytes", "gauge", "What the host has.", report.balloon->pages * 4096);
        single(out, "balloon_given_bytes_total", "counter", "Given to the host since the start.", report.balloon->given * 4096);
        single(out, "balloon_taken_back_bytes_total", "counter", "Taken back since the start.", report.balloon->taken_back * 4096);
        single(out, "balloon_reported_bytes_total", "counter", "Free memory that the host was told of.", report.balloon->reported * 4096);
    }
    single(out, "network_configured", "gauge", "1 if the network has an address.", report.network.configured ? 1 : 0);
    single(out, "http_connections_total", "counter", "Connections that were served.", report.web.connections);
    single(out, "http_refused_connections_total", "counter", "Connections beyond the limit.", report.web.refused);
    single(out, "http_open_connections", "gauge", "Connections that are open.", report.web.open);
    single(out, "http_requests_total", "counter", "Requests that were answered.", report.web.requests);
    single(out, "http_failed_requests_total", "counter", "Requests answered with a status of 400 or above.", report.web.failed);
    single(out, "http_sent_bytes_total", "counter", "Bytes of answers.", report.web.bytes);
}

} // namespace appliance
