// The drivers of the machine's devices: disk0, net0, console0 ... Each is made once and outlives its device: when that is removed, whoever
// still uses the object gets `device_gone`, and the next device of the kind takes over object and name. Owned by the device manager. Task
// context.
//
//     front_ends.start(entry);                       // the entry has a transport and a kind
//     front_ends.remove(entry, Leaving::asked);      // the device is about to go
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "drivers/entropy/entropy.hpp"
#include "kernel/device_manager/device_manager.hpp"
#include "kernel/entropy/entropy.hpp"

namespace kernel {

/// Whether the device still answers: then what was written is made durable first.
enum class Leaving : std::uint8_t { asked, gone };

class FrontEnds {
public:
    constexpr FrontEnds() noexcept = default;

    /// Gives the device its driver; what goes wrong is told by reject().
    void start(DeviceEntry& entry);
    /// Ends the driver, waits until nobody is inside it any more, and lets go of the entry's transport.
    void remove(DeviceEntry& entry, Leaving how);
    /// Notes in the entry and in the log why the device is not driven.
    static void reject(DeviceEntry& entry, virtio::Error error, const char* why);

    [[nodiscard]] std::span<BlockDisk* const> disks() const noexcept { return disks_.all(); }
    [[nodiscard]] std::span<NetLink* const> links() const noexcept { return links_.all(); }
    [[nodiscard]] std::span<ConsoleService* const> consoles() const noexcept { return consoles_.all(); }
    [[nodiscard]] std::span<virtio::EntropyDevice* const> entropy() const noexcept { return entropy_devices_.all(); }
    [[nodiscard]] BalloonService* balloon() const noexcept;

private:
    class VirtioEntropy;

    /// Objects of one kind by their number. One whose device has gone keeps its place, and the next device takes it.
    template<class T, std::size_t kMost> struct Few {
        std::array<T*, kMost> items{};
        std::array<bool, kMost> driven{};
        std::size_t count = 0;

        [[nodiscard]] std::span<T* const> all() const noexcept { return std::span(items).first(count); }
        /// The lowest number without a device; kMost: there is none.
        [[nodiscard]] std::size_t vacant() const noexcept {
            std::size_t number = 0;
            while (number < count && driven[number]) ++number;
            return number;
        }
        void put(std::size_t number, T* item) noexcept {
            items[number] = item;
            driven[number] = true;
            if (number == count) ++count;
        }
    };

    template<class T, std::size_t kMost, class Make, class FrontEnd>
    T* start_as(DeviceEntry& entry, Few<T, kMost>& few, Make make, FrontEnd front_end);
    void start_entropy(DeviceEntry& entry);
    void start_block(DeviceEntry& entry);
    void start_console(DeviceEntry& entry);
    void start_net(DeviceEntry& entry);
    void start_balloon(DeviceEntry& entry);

    Few<VirtioEntropy, 4> entropy_;
    Few<virtio::EntropyDevice, 4> entropy_devices_;
    Few<BlockDisk, 64> disks_;
    Few<ConsoleService, 8> consoles_;
    Few<NetLink, 8> links_;
    Few<BalloonService, 1> balloons_;
};

} // namespace kernel
