#include "kernel/device_manager/front_ends.hpp"

#include <cstdio>
#include <new>

#include "kernel/app_devices.hpp"
#include "kernel/balloon/balloon_service.hpp"
#include "kernel/console/console_service.hpp"
#include "kernel/device_manager/block_disk.hpp"
#include "kernel/device_manager/device_text.hpp"
#include "kernel/device_manager/mmio_line.hpp"
#include "kernel/device_manager/net_link.hpp"
#include "kernel/device_manager/platform.hpp"
#include "kernel/firmware/command_line.hpp"
#include "kernel/log/log.hpp"
#include "kernel/network/link.hpp"
#include "kernel/processor/processor.hpp"
#include "kernel/task/task.hpp"

namespace kernel {
namespace {

constexpr std::uint64_t kEntropyPatienceNs = 1'000'000'000;
constexpr std::uint64_t kBusyPauseNs = 1'000'000;

void too_many(DeviceEntry& entry) {
    FrontEnds::reject(entry, virtio::Error::out_of_memory, "more devices of this kind than can be looked after");
}

/// What is in the middle of something is asked again.
template<class Remove> void insist(Remove remove) {
    for (virtio::Result<> done = remove(); !done && done.error() == virtio::Error::busy; done = remove())
        sleep_until(now_ns() + kBusyPauseNs);
}

/// disks=spread on the command line: each disk belongs to the next processor, and its requests are served there. Else all are the first one's.
Processor& disk_owner(std::size_t number) {
    const auto wanted = command_line_value("disks");
    if (!wanted) return processors::boot;
    if (*wanted != "spread")
        log(LogLevel::warning, "disks=%.*s is not spread: ignored", static_cast<int>(wanted->size()), wanted->data());
    else if (device_platform().bounces())
        log(LogLevel::warning, "disks=spread: the pool of dma=bounce is one processor's, and so are the disks");
    else
        return processor(static_cast<unsigned>(number % processor_count()));
    return processors::boot;
}

} // namespace

class FrontEnds::VirtioEntropy final : public EntropySource {
public:
    const char* name() const override { return "virtio"; }
    virtio::Result<std::size_t> read(std::span<std::byte> into) override { return device_.read(into, kEntropyPatienceNs); }
    [[nodiscard]] virtio::EntropyDevice& device() noexcept { return device_; }
    virtio::Result<> start(virtio::Platform& platform, virtio::Transport& transport) { return device_.start(platform, transport); }

private:
    virtio::EntropyDevice device_;
};

void FrontEnds::reject(DeviceEntry& entry, virtio::Error error, const char* why) {
    entry.error_ = error;
    std::snprintf(entry.problem_, sizeof entry.problem_, "%s", why);
    const bool known = entry.kind_ != DeviceKind::other;
    log(LogLevel::warning, "%s: %s%s%s", entry.where_, known ? kernel::name(entry.kind_) : "", known ? ": " : "", entry.problem_);
}

BalloonService* FrontEnds::balloon() const noexcept { return balloons_.driven[0] ? balloons_.items[0] : nullptr; }

void FrontEnds::start(DeviceEntry& entry) {
    switch (entry.kind_) {
    case DeviceKind::entropy: return start_entropy(entry);
    case DeviceKind::block: return start_block(entry);
    case DeviceKind::console: return start_console(entry);
    case DeviceKind::net: return start_net(entry);
    case DeviceKind::balloon: return start_balloon(entry);
    case DeviceKind::other: return;
    }
}

/// Takes the front end of the lowest number that has no device, or `make(number)`; `front_end(object)` is its virtio object, whose Device
/// and feature names the entry shows.
template<class T, std::size_t kMost, class Make, class FrontEnd>
T* FrontEnds::start_as(DeviceEntry& entry, Few<T, kMost>& few, Make make, FrontEnd front_end) {
    const std::size_t number = few.vacant();
    std::snprintf(entry.name_, sizeof entry.name_, "%s%u", entry.kind_ == DeviceKind::block ? "disk" : kernel::name(entry.kind_),
                  static_cast<unsigned>(number));
    if (number == kMost) {
        too_many(entry);
        return nullptr;
    }
    T* object = number < few.count ? few.items[number] : make(number);
    if (object == nullptr) {
        reject(entry, virtio::Error::out_of_memory, virtio::message(virtio::Error::out_of_memory));
        return nullptr;
    }
    auto& driver = front_end(*object);
    entry.device_ = &driver.device();
    entry.feature_names_ = driver.feature_names();
    virtio::Result<> started;
    if constexpr (requires { object->owner(); })
        if (entry.line_ != nullptr) started = entry.line_->move_to(object->owner(), entry.where_);
    if (started) started = object->start(device_platform(), *entry.transport_);
    if (started) {
        char whose[24] = "";
        if constexpr (requires { object->owner(); })
            if (object->owner().index != 0) std::snprintf(whose, sizeof whose, ", of processor %u", object->owner().index);
        log(LogLevel::info, "%s: %s at %s, %s, interrupts: %s%s", entry.name_, kernel::name(entry.kind_), entry.where_,
            entry.transport_->name(), virtio::name(entry.device_->interrupt_mode()), whose);
        entry.number_ = static_cast<std::uint8_t>(number);
        entry.driven_ = true;
        few.put(number, object);
        return object;
    }
    char text[sizeof entry.problem_];
    describe_failure(text, started.error(), entry.device_->refusal(), entry.feature_names_);
    reject(entry, started.error(), text);
    if (number < few.count) { // the object waits for another device
        entry.device_->forget();
        entry.device_ = nullptr;
        return nullptr;
    }
    // The object stays as long as its entry: interrupts may still be on their way to it, and people see what was negotiated.
    entry.failed_ = object;
    entry.free_failed_ = [](void* failed) { delete static_cast<T*>(failed); };
    return nullptr;
}

void FrontEnds::start_entropy(DeviceEntry& entry) {
    auto* made = start_as(
        entry, entropy_, [](std::size_t) { return new (std::nothrow) VirtioEntropy; },
        [](VirtioEntropy& source) -> auto& { return source.device(); });
    if (made == nullptr) return;
    entropy_devices_.put(entry.number_, &made->device());
    if (entry.number_ == 0) register_entropy_source(*made);
}

void FrontEnds::start_block(DeviceEntry& entry) {
    BlockDisk* disk = start_as(
        entry, disks_, [](std::size_t number) { return new (std::nothrow) BlockDisk(static_cast<unsigned>(number), disk_owner(number)); },
        [](BlockDisk& each) -> auto& { return each.device(); });
    if (disk == nullptr) return;
    // Programs see the disks in the order of their numbers.
    std::size_t next = entry.number_ + std::size_t{1};
    while (next < disks_.count && !disks_.driven[next]) ++next;
    add_disk(*disk, next < disks_.count ? disks_.items[next] : nullptr);
}

void FrontEnds::start_console(DeviceEntry& entry) {
    static_cast<void>(start_as(
        entry, consoles_, [](std::size_t) { return new (std::nothrow) ConsoleService; },
        [](ConsoleService& service) -> auto& { return service.device(); }));
}

void FrontEnds::start_net(DeviceEntry& entry) {
    NetLink* link = start_as(
        entry, links_, [](std::size_t number) { return new (std::nothrow) NetLink(static_cast<unsigned>(number)); },
        [](NetLink& each) -> auto& { return each.device(); });
    if (link == nullptr || link->attached()) return; // the stack has it already
    if (const auto attached = attach_link(*link); !attached) {
        static_cast<void>(link->stop());
        reject(entry, attached.error(), "the network stack did not take it");
    }
}

void FrontEnds::start_balloon(DeviceEntry& entry) {
    static_cast<void>(start_as(
        entry, balloons_, [](std::size_t) { return new (std::nothrow) BalloonService; },
        [](BalloonService& service) -> auto& { return service.device(); }));
}

void FrontEnds::remove(DeviceEntry& entry, Leaving how) {
    const std::size_t number = entry.number_;
    if (entry.driven_) {
        switch (entry.kind_) {
        case DeviceKind::entropy: {
            entropy_.driven[number] = entropy_devices_.driven[number] = false;
            unregister_entropy_source(*entropy_.items[number]);
            for (std::size_t other = 0; other < entropy_.count; ++other)
                if (entropy_.driven[other]) register_entropy_source(*entropy_.items[other]);
            insist([&] { return entropy_.items[number]->device().remove(); });
            break;
        }
        case DeviceKind::block:
            remove_disk(*disks_.items[number]);
            if (how == Leaving::asked && !disks_.items[number]->read_only()) static_cast<void>(disks_.items[number]->flush());
            insist([&] { return disks_.items[number]->remove(); });
            disks_.driven[number] = false;
            break;
        case DeviceKind::console:
            static_cast<void>(consoles_.items[number]->remove());
            consoles_.driven[number] = false;
            break;
        case DeviceKind::net:
            static_cast<void>(links_.items[number]->remove());
            links_.driven[number] = false;
            break;
        case DeviceKind::balloon:
            static_cast<void>(balloons_.items[number]->remove());
            balloons_.driven[number] = false;
            break;
        case DeviceKind::other: break;
        }
        log(LogLevel::info, "%s: %s at %s has been removed", entry.name_, kernel::name(entry.kind_), entry.where_);
    }
    entry.driven_ = false;
    entry.device_ = nullptr;
    entry.transport_ = nullptr;
    if (entry.failed_ != nullptr) entry.free_failed_(entry.failed_);
    entry.failed_ = nullptr;
    if (entry.seat_ != nullptr) entry.free_seat_(entry.seat_);
    entry.seat_ = nullptr;
}

} // namespace kernel
