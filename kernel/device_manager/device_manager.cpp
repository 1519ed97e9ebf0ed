#include "kernel/device_manager/device_manager.hpp"

#include <array>
#include <cstdio>
#include <cstring>
#include <new>

#include "drivers/blk/abi.hpp"
#include "drivers/bus/mmio_slot.hpp"
#include "drivers/bus/pci_bus.hpp"
#include "drivers/entropy/entropy.hpp"
#include "kernel/app_devices.hpp"
#include "kernel/balloon/balloon_service.hpp"
#include "kernel/console/console_service.hpp"
#include "kernel/device_manager/block_disk.hpp"
#include "kernel/device_manager/device_text.hpp"
#include "kernel/device_manager/mmio_line.hpp"
#include "kernel/device_manager/net_link.hpp"
#include "kernel/device_manager/pci_space.hpp"
#include "kernel/device_manager/platform.hpp"
#include "kernel/device_manager/transport_choice.hpp"
#include "kernel/entropy/entropy.hpp"
#include "kernel/firmware/command_line.hpp"
#include "kernel/firmware/hardware.hpp"
#include "kernel/log/log.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/network/link.hpp"
#include "kernel/power/power.hpp"
#include "kernel/task/task.hpp"
#include "kernel/time/clock.hpp"

namespace kernel {
namespace {

constexpr std::uint64_t kEntropyPatienceNs = 100'000'000;
constexpr std::uint64_t kDrainNs = 2'000'000'000;

/// A few things of one kind, in the order of their discovery.
template<class T, std::size_t kMost> struct Few {
    std::array<T*, kMost> items{};
    std::size_t count = 0;

    [[nodiscard]] bool full() const noexcept { return count == kMost; }
    void add(T* item) noexcept { items[count++] = item; }
    [[nodiscard]] std::span<T* const> span() const noexcept { return std::span(items).first(count); }
};

class VirtioEntropy final : public EntropySource {
public:
    virtio::EntropyDevice device;
    const char* name() const override { return "virtio"; }
    virtio::Result<std::size_t> read(std::span<std::byte> into) override { return device.read(into, kEntropyPatienceNs); }
};

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
            const virtio::PciListener listener{.added = &DeviceManager::on_function, .removed = nullptr, .context = this};
            const auto scanned = bus_.scan(device_platform(), {range.segment, range.first_bus, range.last_bus}, listener);
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
                if (entry->kind_ == kind && entry->error_ == virtio::Error::none) start(*entry);
    }

    List<DeviceEntry> entries;
    Few<BlockDisk, 64> disks;
    Few<NetLink, 8> links;
    Few<ConsoleService, 8> consoles;
    Few<virtio::EntropyDevice, 4> entropy;
    BalloonService* balloon = nullptr;

private:
    static void on_function(void* context, const virtio::PciFunction& function) noexcept {
        static_cast<DeviceManager*>(context)->found(function);
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

    void reject(DeviceEntry& entry, virtio::Error error, const char* why) {
        entry.error_ = error;
        std::snprintf(entry.problem_, sizeof entry.problem_, "%s", why);
        const bool known = entry.kind_ != DeviceKind::other;
        log(LogLevel::warning, "%s: %s%s%s", entry.where_, known ? kernel::name(entry.kind_) : "", known ? ": " : "", entry.problem_);
    }

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
        auto* seat = new (std::nothrow) PciSeat;
        if (seat == nullptr) return reject(*entry, virtio::Error::out_of_memory, virtio::message(virtio::Error::out_of_memory));
        const auto opened = seat->open(function, choice_);
        if (!opened) {
            reject(*entry, opened.error(), seat->problem());
            delete seat;
            return;
        }
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
            delete line;
            delete transport;
            if (opened.error() == virtio::Error::no_device) return; // an empty slot
            if (DeviceEntry* entry = add_entry(where)) reject(*entry, opened.error(), virtio::message(opened.error()));
            return;
        }
        DeviceEntry* entry = add_entry(where);
        if (entry == nullptr) return;
        if (const char* refusal = mmio_refusal(*transport, choice_)) return reject(*entry, virtio::Error::unsupported_device, refusal);
        if (identify(*entry, *transport)) line->device = &entry->device_;
    }

    static virtio::Result<> open(virtio::MmioTransport& transport, MmioLine& line, const MmioDevice& slot, std::uintptr_t base,
                                 const char* where) {
        const auto size = static_cast<std::size_t>(slot.size); // it has been mapped
        // Whether there is a line is known before the transport is; the registers are looked at first, by a transport without one.
        virtio::MmioTransport probe;
        if (const auto opened = probe.open(device_platform(), base, size, virtio::MmioTransport::Line::absent); !opened) return opened;
        line.status = probe.interrupt_status();
        const auto connected = device_platform().connect_slot(slot.line, line.target(), where);
        return transport.open(device_platform(), base, size,
                              connected ? virtio::MmioTransport::Line::connected : virtio::MmioTransport::Line::absent);
    }

    // --- drivers ---

    void start(DeviceEntry& entry) {
        switch (entry.kind_) {
        case DeviceKind::entropy: return start_entropy(entry);
        case DeviceKind::block: return start_block(entry);
        case DeviceKind::console: return start_console(entry);
        case DeviceKind::net: return start_net(entry);
        case DeviceKind::balloon: return start_balloon(entry);
        case DeviceKind::other: return;
        }
    }

    /// `make` gives a new front end; `front_end(made)` is its virtio object, whose Device and feature names the entry shows.
    template<class T, class FrontEnd> T* start_as(DeviceEntry& entry, T* made, FrontEnd front_end) {
        if (made == nullptr) {
            reject(entry, virtio::Error::out_of_memory, virtio::message(virtio::Error::out_of_memory));
            return nullptr;
        }
        auto& driver = front_end(*made);
        entry.device_ = &driver.device();
        entry.feature_names_ = driver.feature_names();
        virtio::Result<> started = virtio::fail(virtio::Error::none);
        if constexpr (requires { made->start(device_platform(), *entry.transport_); })
            started = made->start(device_platform(), *entry.transport_);
        else
            started = driver.start(device_platform(), *entry.transport_);
        if (started) {
            log(LogLevel::info, "%s: %s at %s, %s, interrupts: %s", entry.name_, kernel::name(entry.kind_), entry.where_,
                entry.transport_->name(), virtio::name(entry.device_->interrupt_mode()));
            return made;
        }
        char text[sizeof entry.problem_];
        describe_failure(text, started.error(), entry.device_->refusal(), entry.feature_names_);
        reject(entry, started.error(), text); // the object stays: interrupts may still be on their way to it
        return nullptr;
    }

    void too_many(DeviceEntry& entry) { reject(entry, virtio::Error::out_of_memory, "more devices of this kind than can be looked after"); }
    void set_name(DeviceEntry& entry, const char* stem, std::size_t number) {
        std::snprintf(entry.name_, sizeof entry.name_, "%s%u", stem, static_cast<unsigned>(number));
    }

    void start_entropy(DeviceEntry& entry) {
        if (entropy.full()) return too_many(entry);
        set_name(entry, "entropy", entropy.count);
        auto* made = start_as(entry, new (std::nothrow) VirtioEntropy, [](VirtioEntropy& source) -> auto& { return source.device; });
        if (made == nullptr) return;
        entropy.add(&made->device);
        if (entropy.count == 1) register_entropy_source(*made);
    }

    void start_block(DeviceEntry& entry) {
        if (disks.full()) return too_many(entry);
        set_name(entry, "disk", disks.count);
        auto* made = start_as(entry, new (std::nothrow) BlockDisk(static_cast<unsigned>(disks.count)),
                              [](BlockDisk& disk) -> auto& { return disk.device(); });
        if (made == nullptr) return;
        disks.add(made);
        add_disk(*made);
    }

    void start_console(DeviceEntry& entry) {
        if (consoles.full()) return too_many(entry);
        set_name(entry, "console", consoles.count);
        auto* made = start_as(entry, new (std::nothrow) ConsoleService, [](ConsoleService& service) -> auto& { return service.device(); });
        if (made != nullptr) consoles.add(made);
    }

    void start_net(DeviceEntry& entry) {
        if (links.full()) return too_many(entry);
        set_name(entry, "net", links.count);
        auto* made = start_as(entry, new (std::nothrow) NetLink(static_cast<unsigned>(links.count)),
                              [](NetLink& link) -> auto& { return link.device(); });
        if (made == nullptr) return;
        links.add(made);
        if (const auto attached = attach_link(*made); !attached) {
            static_cast<void>(made->stop());
            reject(entry, attached.error(), "the network stack did not take it");
        }
    }

    void start_balloon(DeviceEntry& entry) {
        set_name(entry, "balloon", balloon == nullptr ? 0 : 1);
        if (balloon != nullptr) return too_many(entry);
        balloon = start_as(entry, new (std::nothrow) BalloonService, [](BalloonService& service) -> auto& { return service.device(); });
    }

    virtio::PciBus bus_;
    PciSpace space_;
    TransportChoice choice_ = TransportChoice::best;
};

namespace {
constinit DeviceManager manager;
} // namespace

void start_devices() {
    manager.find();
    manager.start_all();
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
    static bool stopped = false;
    if (stopped) return;
    stopped = true;
    for (BlockDisk* disk : manager.disks.span()) {
        if (!disk->device().device().started()) continue;
        if (const auto done = disk->stop(); !done) log(LogLevel::error, "%s: %s", disk->name(), virtio::message(done.error()));
    }
    drain_consoles(now_ns() + kDrainNs);
    // From here on nobody else runs: the front ends need not know.
    for (const DeviceEntry& entry : devices())
        if (entry.running()) static_cast<void>(entry.device()->stop(virtio::Error::closed));
}

DeviceList devices() noexcept { return DeviceList(manager.entries.front()); }
std::span<BlockDisk* const> block_disks() noexcept { return manager.disks.span(); }
std::span<NetLink* const> net_links() noexcept { return manager.links.span(); }
std::span<ConsoleService* const> console_services() noexcept { return manager.consoles.span(); }
std::span<virtio::EntropyDevice* const> entropy_devices() noexcept { return manager.entropy.span(); }
BalloonService* balloon_service() noexcept { return manager.balloon; }

} // namespace kernel
