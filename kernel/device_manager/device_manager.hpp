// Finds the machine's devices (PCI; MMIO by ACPI, device tree and virtio_mmio.device=), gives each its driver, and keeps the list that people
// read: what is there, where, with which features, interrupts and counters, and what did not start and why. A device that is unknown
// or refused is one line in the log and an entry in the list; the rest goes on. An entry lives as long as its device is there, its front end
// for ever. Task context.
//
//     kernel::start_devices();                                             // by kernel_main, before the program
//     for (const kernel::DeviceEntry& device : kernel::devices()) std::printf("%s %s\n", device.where(), name(device.kind()));
//     for (kernel::BlockDisk* disk : kernel::block_disks()) ...
#pragma once

#include <cstdint>
#include <span>

#include "kernel/task/list.hpp"
#include "libvirtio/device.hpp"
#include "libvirtio/pci.hpp"

namespace virtio {
class EntropyDevice;
}

namespace kernel {

class BalloonService;
class BlockDisk;
class ConsoleService;
class NetLink;
struct MmioLine;

enum class DeviceKind : std::uint8_t { other, entropy, block, console, net, balloon };
/// "net", "blk", "console", "entropy", "balloon", "other".
[[nodiscard]] const char* name(DeviceKind kind) noexcept;

class DeviceEntry : public ListNode<DeviceEntry> {
public:
    [[nodiscard]] DeviceKind kind() const noexcept { return kind_; }
    /// "disk0", "net0", ...; empty for what has no driver.
    [[nodiscard]] const char* name() const noexcept { return name_; }
    /// "pci 00:03.0", "mmio 0xfeb02e00".
    [[nodiscard]] const char* where() const noexcept { return where_; }
    /// How it was found: "ECAM, MCFG", "ports 0xcf8", "command line", "ACPI", "device tree"; behind it ", plugged in" if it came later.
    [[nodiscard]] const char* found_by() const noexcept { return found_by_; }
    /// "pci-modern", "mmio"; empty if not even the registers were found.
    [[nodiscard]] const char* transport() const noexcept { return transport_ == nullptr ? "" : transport_->name(); }
    /// The virtio device type (2 is blk); 0 if unknown.
    [[nodiscard]] std::uint32_t type() const noexcept { return type_; }
    [[nodiscard]] bool running() const noexcept { return device_ != nullptr && device_->started(); }
    /// Why it does not run: "feature VERSION_1 is not offered", "no driver for SCSI host"; empty while it does.
    [[nodiscard]] const char* problem() const noexcept {
        return problem_[0] == '\0' && device_ != nullptr && !device_->started() ? "stopped" : problem_;
    }
    [[nodiscard]] virtio::Error error() const noexcept { return error_; }

    /// Features, interrupt mode, queues and their counters; null where there is no driver.
    [[nodiscard]] virtio::Device* device() const noexcept { return device_; }
    /// The device's own features by name; virtio::feature_name() looks among the ring's as well.
    [[nodiscard]] std::span<const virtio::FeatureName> feature_names() const noexcept { return feature_names_; }

private:
    friend class DeviceManager;
    friend class FrontEnds;

    DeviceKind kind_ = DeviceKind::other;
    char name_[12] = {};
    char where_[24] = {};
    char found_by_[40] = {};
    char problem_[96] = {};
    std::uint32_t type_ = 0;
    virtio::Error error_ = virtio::Error::none;
    virtio::Transport* transport_ = nullptr;
    virtio::Device* device_ = nullptr;
    std::span<const virtio::FeatureName> feature_names_;
    bool driven_ = false;     // a front end has the device: the one of this number
    std::uint8_t number_ = 0; // among those of its kind
    virtio::PciAddress address_;
    bool is_pci_ = false;
    MmioLine* line_ = nullptr; // MMIO
    // What goes with the entry, by whoever made it: the transport's object; a front end that did not start.
    void* seat_ = nullptr;
    void (*free_seat_)(void*) = nullptr;
    void* failed_ = nullptr;
    void (*free_failed_)(void*) = nullptr;
};

/// For range loops, in the order of discovery.
class DeviceList {
public:
    class Iterator {
    public:
        explicit Iterator(DeviceEntry* entry) noexcept : entry_(entry) {}
        [[nodiscard]] DeviceEntry& operator*() const noexcept { return *entry_; }
        Iterator& operator++() noexcept {
            entry_ = List<DeviceEntry>::next(*entry_);
            return *this;
        }
        [[nodiscard]] bool operator==(const Iterator&) const noexcept = default;

    private:
        DeviceEntry* entry_;
    };
    explicit DeviceList(DeviceEntry* first) noexcept : first_(first) {}
    [[nodiscard]] Iterator begin() const noexcept { return Iterator(first_); }
    [[nodiscard]] Iterator end() const noexcept { return Iterator(nullptr); }

private:
    DeviceEntry* first_;
};

/// Once, in the task "main" before the program.
void start_devices();
/// Before the machine goes: disks are flushed, what was printed is out, every device is reset (no DMA into the next system's memory).
void stop_devices();

[[nodiscard]] DeviceList devices() noexcept;
[[nodiscard]] std::span<BlockDisk* const> block_disks() noexcept;
[[nodiscard]] std::span<NetLink* const> net_links() noexcept;
[[nodiscard]] std::span<ConsoleService* const> console_services() noexcept;
[[nodiscard]] std::span<virtio::EntropyDevice* const> entropy_devices() noexcept;
[[nodiscard]] BalloonService* balloon_service() noexcept; // the machine's first, or null

} // namespace kernel
