#include "kernel/device_manager/device_manager.hpp"

#include <array>
#include <cstdio>
#include <cstring>
#include <new>

#include "drivers/blk/abi.hpp"
#include "drivers/bus/mmio_slot.hpp"
#include "drivers/bus/pci_bus.hpp"
#include "drivers/entropy/entropy.hpp"
#include "kernel/console/console_service.hpp"
#include "kernel/device_manager/block_disk.hpp"
#include "kernel/device_manager/device_text.hpp"
#include "kernel/device_manager/front_ends.hpp"
#include "kernel/device_manager/hot_plug.hpp"
#include "kernel/device_manager/mmio_line.hpp"
#include "kernel/device_manager/pci_space.hpp"
#include "kernel/device_manager/platform.hpp"
#include "kernel/device_manager/plugging.hpp"
#include "kernel/device_manager/transport_choice.hpp"
#include "kernel/firmware/command_line.hpp"
#include "kernel/firmware/hardware.hpp"
#include "kernel/log/log.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/power/power.hpp"
#include "kernel/processor/processor.hpp"
#include "kernel/task/mutex.hpp"
#include "kernel/task/task.hpp"
#include "kernel/time/clock.hpp"

namespace kernel {
namespace {

constexpr std::uint64_t kDrainNs = 2'000'000'000;

DeviceKind kind_of(std::uint32_t type) noexcept {
    switch (type) {
    case 1: return DeviceKind::net;
    case virtio::kBlockDeviceType: return DeviceKind::block;
    case 3: return DeviceKind::console;
    case virtio::kEntropyDeviceType: return DeviceKind::entropy;
    case 5: return DeviceKind::balloon;
    default: return DeviceKind::other;
    }
}

} // namespace

const char* name(DeviceKind kind) noexcept {
    switch (kind) {
    case DeviceKind::other: return "other";
    case DeviceKind::entropy: return "entropy";
    case DeviceKind::block: return "blk";
    case DeviceKind::console: return "console";
    case DeviceKind::net: return "net";
    case DeviceKind::balloon: return "balloon";
    }
    return "other";
}

class DeviceManager {
public:
    void find() {
        device_platform().start();
        space_.start(device_platform());
        choice_ = transport_choice();
        PciConfig& config = device_platform().config();
        for (const PciHost& range : config.ranges()) {
            const auto scanned = bus_.scan(device_platform(), {range.segment, range.first_bus, range.last_bus}, listener_);
            if (!scanned) log(LogLevel::warning, "pci: more functions than can be looked after");
        }
        for (const MmioDevice& slot : mmio_devices()) on_slot(slot);
        for (const CommandLineWord& word : command_line())
            if (word.key == "virtio_mmio.device") on_word(word.value);
    }

    void start_all() {
        // Random numbers before the first TCP connection; disks and the console before whatever may take its time.
        for (const DeviceKind kind : {DeviceKind::entropy, DeviceKind::block, DeviceKind::console, DeviceKind::net, DeviceKind::balloon})
            for (DeviceEntry* entry = entries.front(); entry != nullptr; entry = List<DeviceEntry>::next(*entry))
                if (entry->kind_ == kind && entry->error_ == virtio::Error::none && !entry->driven_) front_ends.start(*entry);
    }

    // --- hot-plug (plugging.hpp) ---

    void let_go_of(const virtio::PciAddress& slot, Leaving how) {
        for (DeviceEntry* entry = entries.front(); entry != nullptr;) {
            DeviceEntry* const next = List<DeviceEntry>::next(*entry);
            virtio::PciAddress at = entry->address_;
            at.function = slot.function;
            if (entry->is_pci_ && at == slot) {
                front_ends.remove(*entry, how);
                entries.remove(*entry);
                delete entry;
            }
            entry = next;
        }
        for (std::uint8_t function = 0; function < 8; ++function) {
            const virtio::PciAddress each{slot.segment, slot.bus, slot.device, function};
            bus_.forget(each);
            space_.release(each);
        }
    }

    void look_for_devices() {
        arriving_ = true;
        // Once more where something has gone: the other functions of that card have been forgotten with it.
        removed_ = true;
        for (unsigned scan = 0; removed_ && scan < kMostScans; ++scan) {
            removed_ = false;
            for (const PciHost& range : device_platform().config().ranges())
                static_cast<void>(bus_.scan(device_platform(), {range.segment, range.first_bus, range.last_bus}, listener_));
        }
        start_all();
    }

    void look_at_slots(bool others) { hot_plug.look(device_platform(), space_, others); }
    void watch_slots() { hot_plug.start(device_platform(), space_); }
    HotPlug hot_plug;

    List<DeviceEntry> entries;
    FrontEnds front_ends;

private:
    static void on_function(void* context, const virtio::PciFunction& function) noexcept {
        auto& manager = *static_cast<DeviceManager*>(context);
        if ((function.header_type() & 0x7f) == 1) return manager.arriving_ ? void() : manager.hot_plug.consider(function);
        if (manager.arriving_ && !manager.has_place(function)) return;
        manager.found(function);
    }

    static void on_removal(void* context, const virtio::PciAddress& address) noexcept {
        static_cast<DeviceManager*>(context)->removed_ = true;
        static_cast<DeviceManager*>(context)->let_go_of({address.segment, address.bus, address.device, 0}, Leaving::gone);
    }

    /// Nobody has given a function that came later its addresses. Those that we would not drive stay without.
    bool has_place(const virtio::PciFunction& function) {
        if (!virtio::virtio_type(function)) return false;
        const auto placed = space_.add(device_platform(), function.address());
        if (!placed)
            log(LogLevel::warning, "pci %02x:%02x.%u: no addresses for what was plugged in: %s", function.address().bus,
                function.address().device, static_cast<unsigned>(function.address().function), virtio::message(placed.error()));
        return placed.has_value();
    }

    [[nodiscard]] DeviceEntry* add_entry(const char* where) {
        auto* entry = new (std::nothrow) DeviceEntry;
        if (entry == nullptr) {
            log(LogLevel::error, "%s: no memory for the device", where);
            return nullptr;
        }
        std::snprintf(entry->where_, sizeof entry->where_, "%s", where);
        entries.push_back(*entry);
        return entry;
    }

    void reject(DeviceEntry& entry, virtio::Error error, const char* why) { FrontEnds::reject(entry, error, why); }

    /// Sets what the registers say; false if nobody can drive it.
    bool identify(DeviceEntry& entry, virtio::Transport& transport) {
        entry.transport_ = &transport;
        const auto identity = transport.identity();
        if (!identity) {
            reject(entry, identity.error(), virtio::message(identity.error()));
            return false;
        }
        entry.type_ = identity->type;
        entry.kind_ = kind_of(identity->type);
        if (entry.kind_ != DeviceKind::other) return true;
        char text[64];
        const char* type = virtio_type_name(identity->type);
        if (type != nullptr)
            std::snprintf(text, sizeof text, "no driver for %s", type);
        else
            std::snprintf(text, sizeof text, "no driver for device type %u", static_cast<unsigned>(identity->type));
        reject(entry, virtio::Error::unsupported_device, text);
        return false;
    }

    /// What nobody here uses, but people may want to know of.
    static void list_extras(const char* where, const virtio::PciCapabilities& capabilities) {
        for (const virtio::PciSharedMemory& region : std::span(capabilities.shared_memory).first(capabilities.shared_memory_count))
            log(LogLevel::info, "%s: shared memory region %u: %llu KiB in BAR %u", where, static_cast<unsigned>(region.id),
                static_cast<unsigned long long>(region.length >> 10), static_cast<unsigned>(region.bar));
        for (const virtio::PciVendorData& data : std::span(capabilities.vendor_data).first(capabilities.vendor_data_count))
            log(LogLevel::info, "%s: %u bytes of data of vendor %04x", where, static_cast<unsigned>(data.size),
                static_cast<unsigned>(data.vendor));
    }

    void found(const virtio::PciFunction& function) {
        const auto type = virtio::virtio_type(function);
        if (!type) {
            // Somebody else's card: it must not hold a line that one of ours shares (trap 30).
            if ((function.header_type() & 0x7f) == 0) function.set_line_interrupt(false);
            return;
        }
        char where[24];
        std::snprintf(where, sizeof where, "pci %02x:%02x.%u", function.address().bus, function.address().device,
                      static_cast<unsigned>(function.address().function));
        DeviceEntry* entry = add_entry(where);
        if (entry == nullptr) return;
        entry->type_ = *type;
        entry->kind_ = kind_of(*type);
        entry->address_ = function.address();
        const bool mapped = device_platform().config().memory_mapped();
        std::snprintf(entry->found_by_, sizeof entry->found_by_, "%s%s%s", mapped ? "ECAM, " : "ports 0xcf8",
                      mapped ? pci_hosts_source() : "", arriving_ ? ", plugged in" : "");
        entry->is_pci_ = true;
        auto* seat = new (std::nothrow) PciSeat;
        if (seat == nullptr) return reject(*entry, virtio::Error::out_of_memory, virtio::message(virtio::Error::out_of_memory));
        const auto opened = seat->open(function, choice_);
        if (!opened) {
            reject(*entry, opened.error(), seat->problem());
            delete seat;
            return;
        }
        entry->seat_ = seat;
        entry->free_seat_ = [](void* mine) { delete static_cast<PciSeat*>(mine); };
        if (const virtio::PciCapabilities* capabilities = seat->capabilities()) list_extras(entry->where_, *capabilities);
        identify(*entry, **opened);
    }

    void on_word(std::string_view text) {
        const auto slot = virtio::parse_mmio_slot(text);
        if (!slot) {
            log(LogLevel::warning, "virtio_mmio.device=%.*s: %s", static_cast<int>(text.size()), text.data(),
                virtio::message(slot.error()));
            return;
        }
        // A virtio-mmio device holds its line until the interrupt is acknowledged (VIRTIO 1.4, 4.2.2): level, active high.
        on_slot({slot->base,
                 slot->size,
                 {.gsi = slot->interrupt, .trigger = Trigger::level, .polarity = Polarity::high},
                 MmioDevice::Source::command_line});
    }

    void on_slot(const MmioDevice& slot) {
        char where[24];
        std::snprintf(where, sizeof where, "mmio 0x%llx", static_cast<unsigned long long>(slot.base));
        for (const DeviceEntry& entry : DeviceList(entries.front()))
            if (std::strcmp(entry.where_, where) == 0) return; // named twice, driven once
        // As the processor sees it: no window of a PCI host is in between.
        const auto mapped = map_device(slot.base, slot.size);
        const std::uintptr_t base = mapped ? reinterpret_cast<std::uintptr_t>(*mapped) : 0;
        auto* line = new (std::nothrow) MmioLine;
        auto* transport = new (std::nothrow) virtio::MmioTransport;
        const auto opened = base == 0                                 ? virtio::fail(virtio::Error::bad_bar)
                            : line == nullptr || transport == nullptr ? virtio::fail(virtio::Error::out_of_memory)
                                                                      : open(*transport, *line, slot, base, where);
        if (!opened) {
            if (line != nullptr && line->connected) device_platform().disconnect_slot(line->target()); // it answered, and then it did not
            delete line;
            delete transport;
            if (opened.error() == virtio::Error::no_device) return; // an empty slot
            if (DeviceEntry* entry = add_entry(where)) {
                say_source(*entry, slot.source);
                reject(*entry, opened.error(), virtio::message(opened.error()));
            }
            return;
        }
        DeviceEntry* entry = add_entry(where);
        if (entry == nullptr) return;
        say_source(*entry, slot.source);
        if (const char* refusal = mmio_refusal(*transport, choice_)) return reject(*entry, virtio::Error::unsupported_device, refusal);
        if (!identify(*entry, *transport)) return;
        line->device = &entry->device_;
        entry->line_ = line;
    }

    static void say_source(DeviceEntry& entry, MmioDevice::Source source) {
        const char* name = source == MmioDevice::Source::acpi          ? "ACPI"
                           : source == MmioDevice::Source::device_tree ? "device tree"
                                                                       : "command line";
        std::snprintf(entry.found_by_, sizeof entry.found_by_, "%s", name);
    }

    static virtio::Result<> open(virtio::MmioTransport& transport, MmioLine& line, const MmioDevice& slot, std::uintptr_t base,
                                 const char* where) {
        const auto size = static_cast<std::size_t>(slot.size); // it has been mapped
        // Whether there is a line is known before the transport is; the registers are looked at first, by a transport without one.
        virtio::MmioTransport probe;
        if (const auto opened = probe.open(device_platform(), base, size, virtio::MmioTransport::Line::absent); !opened) return opened;
        line.status = probe.interrupt_status();
        line.line = slot.line;
        line.connected = device_platform().connect_slot(slot.line, line.target(), where).has_value();
        return transport.open(device_platform(), base, size,
                              line.connected ? virtio::MmioTransport::Line::connected : virtio::MmioTransport::Line::absent);
    }

    virtio::PciBus bus_;
    PciSpace space_;
    TransportChoice choice_ = TransportChoice::best;
    virtio::PciListener listener_{.added = &DeviceManager::on_function, .removed = &DeviceManager::on_removal, .context = this};
    static constexpr unsigned kMostScans = 4;
    bool removed_ = false;
    bool arriving_ = false; // functions that are found now were not there at the start
};

namespace {
constinit DeviceManager manager;
} // namespace

void start_devices() {
    manager.find();
    manager.look_at_slots(processor_count() > 1 && command_line_value("disks").has_value());
    manager.start_all();
    manager.watch_slots();
    // The host's power button ends the machine cleanly whatever the program does.
    const auto watcher = spawn(
        "power-button",
        [](void*) {
            static_cast<void>(wait_for(power_button_word(), kNever));
            log(LogLevel::info, "power button: flushing the disks and powering off");
            stop_devices();
            power_off(0);
        },
        nullptr, 16 * 1024);
    if (!watcher) log(LogLevel::error, "no task for the power button: %s", virtio::message(watcher.error()));
}

void stop_devices() {
    // Whoever comes second waits until the first has written everything.
    static constinit Mutex ending;
    static bool stopped = false;
    const MutexLock lock(ending);
    if (stopped) return;
    stopped = true;
    manager.hot_plug.stop();
    for (BlockDisk* disk : manager.front_ends.disks()) {
        if (!disk->device().device().started()) continue;
        if (const auto done = disk->stop(); !done) log(LogLevel::error, "%s: %s", disk->name(), virtio::message(done.error()));
    }
    drain_consoles(now_ns() + kDrainNs);
    // From here on nobody else runs: the front ends need not know.
    for (const DeviceEntry& entry : devices())
        if (entry.running()) static_cast<void>(entry.device()->stop(virtio::Error::closed));
}

void let_go_of(const virtio::PciAddress& slot, Leaving how) { manager.let_go_of(slot, how); }
void look_for_devices() { manager.look_for_devices(); }

DeviceList devices() noexcept { return DeviceList(manager.entries.front()); }
std::span<BlockDisk* const> block_disks() noexcept { return manager.front_ends.disks(); }
std::span<NetLink* const> net_links() noexcept { return manager.front_ends.links(); }
std::span<ConsoleService* const> console_services() noexcept { return manager.front_ends.consoles(); }
std::span<virtio::EntropyDevice* const> entropy_devices() noexcept { return manager.front_ends.entropy(); }
BalloonService* balloon_service() noexcept { return manager.front_ends.balloon(); }

} // namespace kernel
