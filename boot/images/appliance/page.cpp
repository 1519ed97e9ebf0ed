// The page at "/": everything in one document, nothing to fetch beside it. A small script puts fresh contents into it every two
// seconds; without scripts the browser loads it again every five.
#include "boot/images/appliance/report.hpp"
#include "boot/images/appliance/text.hpp"

namespace appliance {

namespace {

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ringside</title>
<link rel="icon" href="data:,">
<noscript><meta http-equiv="refresh" content="5"></noscript>
<style>
:root { --ink: #1d2733; --soft: #66758a; --line: #dfe5ec; --paper: #fff; --ground: #f2f5f8; --accent: #0a6c74; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e9f0; --soft: #93a1b3; --line: #2d3946; --paper: #18212b; --ground: #10171e; --accent: #5cc5cd; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; }
header, main, footer { max-width: 72rem; margin: 0 auto; padding: 0 1.25rem; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .4rem 1.5rem; padding-top: 1.6rem; }
h1 { margin: 0; font-size: 1.7rem; letter-spacing: -.01em; }
h1 i { display: inline-block; width: .62em; height: .62em; margin-right: .35em; border: .16em solid var(--accent); border-radius: 50%; }
h2 { margin: 0 0 .5rem; font-size: 1rem; }
header p { margin: 0; color: var(--soft); }
nav { margin-left: auto; } a { color: var(--accent); } nav a { margin-left: 1rem; }
section, .tile { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; }
section { margin: 1rem 0; padding: 1rem 1.2rem; overflow-x: auto; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(13.5rem, 1fr)); gap: 1rem; margin-top: 1.2rem; }
.tile { padding: .9rem 1.1rem; } .tile h2 { color: var(--soft); font-weight: 500; margin: 0; }
.tile b { display: block; font-size: 1.45rem; font-weight: 600; } .tile small { color: var(--soft); }
meter { width: 100%; height: .7rem; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: .85rem; }
th, td { padding: .28rem .9rem .28rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; } .n { text-align: right; } .bad { color: var(--bad); font-weight: 600; }
.device { display: flex; flex-wrap: wrap; gap: .1rem 1rem; align-items: baseline; margin-bottom: .5rem; }
.device b { font-size: 1.05rem; } .device span { color: var(--soft); }
.tag { display: inline-block; margin: 0 .3rem .3rem 0; padding: 0 .5rem; border-radius: 99px; border: 1px solid var(--line);
  font: 12px/1.7 ui-monospace, "DejaVu Sans Mono", monospace; }
footer { padding-bottom: 2rem; color: var(--soft); }
</style>
</head>
<body>
)";

constexpr std::string_view kFoot = R"(<script>
setInterval(async () => {
  try {
    const text = await (await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(5000) })).text();
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const id of ["top", "all"]) document.getElementById(id).replaceWith(fresh.getElementById(id));
  } catch { document.getElementById("state").textContent = "no answer"; }
}, 2000);
</script>
</body>
</html>
)";

unsigned long long number(std::uint64_t value) { return value; }

void write_top(Output& out, const Report& report) {
    out.print("<header id=\"top\"><h1><i></i>Ringside</h1><p>up <span id=\"state\">%s</span> &middot; %s</p>\n",
              Duration(report.uptime_ns).c_str(), Date(report.wall_clock_ns).c_str());
    out.write("<nav><a href=\"/files/\">files</a><a href=\"/metrics\">metrics</a></nav></header>\n");
}

void write_memory_tile(Output& out, const Report& report) {
    const MemoryReport& memory = report.memory;
    out.print("<div class=\"tile\"><h2>Memory</h2><b>%s free</b>", ByteCount(memory.free).c_str());
    out.print("<meter min=\"0\" max=\"%llu\" value=\"%llu\"></meter>", number(memory.total), number(memory.total - memory.free));
    out.print("<small>of %s; heap %s, ", ByteCount(memory.total).c_str(), ByteCount(memory.heap).c_str());
    out.print("largest free run %s</small></div>\n", ByteCount(memory.largest_run).c_str());
}

void write_network_tile(Output& out, const Report& report) {
    const NetworkReport& network = report.network;
    out.write("<div class=\"tile\"><h2>Network</h2><b>");
    write_html(out, network.configured ? network.address.view() : std::string_view(network.problem));
    out.write("</b><small>");
    if (network.configured) out.print("mask %s, gateway %s, DNS %s", network.netmask.c_str(), network.gateway.c_str(), network.dns.c_str());
    out.write("</small></div>\n");
}

void write_balloon_tile(Output& out, const Report& report) {
    if (!report.balloon) {
        out.write("<div class=\"tile\"><h2>Balloon</h2><b>no device</b><small>the memory is all ours</small></div>\n");
        return;
    }
    const BalloonReport& balloon = *report.balloon;
    out.print("<div class=\"tile\"><h2>Balloon</h2><b>%s</b>", ByteCount(balloon.pages * 4096).c_str());
    out.print("<meter min=\"0\" max=\"%llu\" value=\"%llu\"></meter>", number(report.memory.total + balloon.pages * 4096),
              number(balloon.pages * 4096));
    out.print("<small>the host asks for %s; ", ByteCount(balloon.target * 4096).c_str());
    out.print("%s reported free so far</small></div>\n", ByteCount(balloon.reported * 4096).c_str());
}

void write_load_tile(Output& out, const Report& report) {
    const std::uint64_t tenths = report.uptime_ns < 1000 ? 0 : report.idle_ns / (report.uptime_ns / 1000);
    out.print("<div class=\"tile\"><h2>Web server</h2><b>%llu requests</b>", number(report.web.requests));
    out.print("<small>%s sent, %u open, ", ByteCount(report.web.bytes).c_str(), report.web.open);
    out.print("%zu tasks, idle %llu.%llu %%</small></div>\n", report.tasks, number(tenths / 10), number(tenths % 10));
}

void write_disks(Output& out, const Report& report) {
    out.write("<section><h2>Disks</h2>\n");
    if (report.disk_count == 0) {
        out.write("<p>There is no disk.</p></section>\n");
        return;
    }
    out.write("<table><tr><th>name<th>model<th class=\"n\">size<th>access<th>files\n");
    for (const DiskReport& disk : report.disk_list()) {
        out.print("<tr><td>%s<td>", disk.name.c_str());
        write_html(out, disk.model.view());
        out.print("<td class=\"n\">%s<td>%s<td>", ByteCount(disk.bytes).c_str(), disk.read_only ? "read only" : "read and write");
        if (disk.serves_files) out.print("<a href=\"/files/\">%zu files and folders</a>", report.files);
        out.write("\n");
    }
    out.write("</table></section>\n");
}

void write_queue_table(Output& out, std::span<const QueueReport> queues) {
    if (queues.empty()) return;
    out.write("<table><tr><th>queue<th class=\"n\">size<th class=\"n\">in flight<th class=\"n\">requests<th class=\"n\">bytes<th "
              "class=\"n\">kicks"
              "<th class=\"n\">spared<th class=\"n\">interrupts<th class=\"n\">spurious<th class=\"n\">full<th class=\"n\">errors"
              "<th class=\"n\">rescues\n");
    std::size_t unused = 0;
    for (const QueueReport& queue : queues) {
        if (!queue.used()) {
            ++unused;
            continue;
        }
        const virtio::QueueCounters& count = queue.counters;
        out.print("<tr><td>%u %s%s", queue.index, queue.name, queue.broken ? " <span class=\"bad\">broken</span>" : "");
        out.print("<td class=\"n\">%u<td class=\"n\">%u", queue.size, queue.in_flight);
        out.print("<td class=\"n\">%llu<td class=\"n\">%s", number(count.requests), ByteCount(count.bytes).c_str());
        out.print("<td class=\"n\">%llu<td class=\"n\">%llu", number(count.kicks), number(count.kicks_suppressed));
        out.print("<td class=\"n\">%llu<td class=\"n\">%llu", number(count.interrupts), number(count.spurious_interrupts));
        out.print("<td class=\"n\">%llu<td class=\"n\">%llu", number(count.ring_full), number(count.errors));
        out.print("<td class=\"n%s\">%llu\n", count.watchdog_rescues != 0 ? " bad" : "", number(count.watchdog_rescues));
    }
    if (unused > 0) out.print("<tr><td colspan=\"12\"><small>%zu more, not used so far</small>\n", unused);
    out.write("</table>\n");
}

void write_device(Output& out, const Report& report, const DeviceReport& device) {
    out.print("<section><div class=\"device\"><b>%s</b> %s <span>%s %s</span> ", device.name.c_str(), device.kind, device.transport,
              device.where.c_str());
    if (device.problem.view().empty()) {
        out.print("<span>interrupts: %s</span> <span>", device.interrupt_mode);
        write_html(out, device.detail.view());
        out.write("</span></div>\n<div>");
        for (unsigned bit = 0; bit < virtio::FeatureSet::kBits; ++bit) {
            if (!device.features.has(bit)) continue;
            const char* name = virtio::feature_name(bit, device.feature_names);
            if (name != nullptr)
                out.print("<span class=\"tag\">%s</span>", name);
            else
                out.print("<span class=\"tag\">bit %u</span>", bit);
        }
        out.write("</div>\n");
    } else {
        out.write("<span class=\"bad\">");
        write_html(out, device.problem.view());
        out.write("</span></div>\n");
    }
    write_queue_table(out, report.queues_of(device));
    out.write("</section>\n");
}

} // namespace

void write_page(Output& out, const Report& report) {
    out.write(kHead);
    write_top(out, report);
    out.write("<main id=\"all\"><div class=\"tiles\">\n");
    write_memory_tile(out, report);
    write_network_tile(out, report);
    write_balloon_tile(out, report);
    write_load_tile(out, report);
    out.write("</div>\n");
    write_disks(out, report);
    for (const DeviceReport& device : report.device_list()) write_device(out, report, device);
    if (report.device_count == 0) out.write("<section><p>No virtio device was found.</p></section>\n");
    out.write("</main>\n<footer>Drawn by the guest itself: no operating system underneath, virtio drivers on all four sides.</footer>\n");
    out.write(kFoot);
}

} // namespace appliance
