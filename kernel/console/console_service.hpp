// A virtio console device in the kernel: a task serves it, its first console port becomes descriptors 0, 1 and 2, the others are
// channels that programs open by name. Two names are the system's: `ringside.echo` sends back what it gets, `ringside.log` carries
// the log, from its beginning for every connection and then as it grows. Owned by the device manager. Task context.
//
//     static constinit kernel::ConsoleService service;
//     auto started = service.start(platform, transport);     // returns when the ports of the start are there
//     int channel = open("/dev/virtio-ports/org.example.control", O_RDWR);            // in a program
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "drivers/console/console.hpp"
#include "kernel/newlib/console.hpp"
#include "kernel/newlib/file.hpp"
#include "kernel/task/task.hpp"
#include "kernel/task/wait_queue.hpp"

namespace kernel {

class ConsoleService;

/// A port as the kernel sees it. Lives as long as its service.
class Channel {
public:
    [[nodiscard]] virtio::ConsolePort& port() noexcept { return *port_; }
    [[nodiscard]] ConsoleService& service() noexcept { return *service_; }

    /// For a descriptor; null and an errno in `error` if it cannot be: EBUSY, ENODEV.
    [[nodiscard]] File* open(int& error);
    /// Waits until something changed, or the deadline.
    void wait(std::uint64_t deadline_ns = kNever) { (void)changes_.wait(deadline_ns); }
    /// Grows with each connection of the host's.
    [[nodiscard]] std::uint32_t connection() const noexcept { return connection_; }
    /// The task of the system's that serves the port that is there now, or null.
    [[nodiscard]] const Task* server() const noexcept { return server_; }

private:
    friend class ConsoleService;

    /// The terminal: outlives the port's comings and goings.
    class Terminal final : public Console {
    public:
        explicit constexpr Terminal(Channel& channel) noexcept : channel_(channel) {}
        virtio::Result<std::size_t> read(std::span<char> into, std::uint64_t deadline_ns) override;
        /// Waits for room while the host side is open; else the bytes are dropped (and counted by the port).
        virtio::Result<std::size_t> write(std::span<const char> from) override;
        bool readable() const override { return channel_.port_ != nullptr && channel_.port_->readable(); }
        bool writable() const override { return channel_.port_ == nullptr || !channel_.port_->host_open() || channel_.port_->writable(); }
        Size size() const override;

    private:
        Channel& channel_;
    };
    /// A descriptor, as Linux has it for /dev/virtio-ports: a read is 0 and a write EPIPE while nobody is connected. A reset of the device is
    /// such a moment for all its ports.
    class Handle final : public File {
    public:
        explicit constexpr Handle(Channel& channel) noexcept : channel_(channel) {}
        long read(std::span<char> into, Blocking blocking) override;
        long write(std::span<const char> from, Blocking blocking) override;
        void closed() override;
        short ready() override;
        PollSource* poll_source() override { return &source; }

        PollSource source;
        bool stale = false; // the port that was opened is gone

    private:
        Channel& channel_;
    };

    /// Whether a program has the port open that was there when it opened it.
    [[nodiscard]] bool in_use() const noexcept { return handle_.references != 0 && !handle_.stale; }
    [[nodiscard]] std::string_view opened_as() const noexcept { return {opened_as_.data(), opened_length_}; }
    void lose();

    virtio::ConsolePort* port_ = nullptr;
    ConsoleService* service_ = nullptr;
    WaitQueue changes_;
    std::uint32_t connection_ = 0;
    Task* server_ = nullptr;
    std::array<char, virtio::ConsolePort::kNameBytes> opened_as_{};
    std::size_t opened_length_ = 0;
    Terminal terminal_{*this};
    Handle handle_{*this};
};

class ConsoleService final : private virtio::ConsoleObserver {
public:
    constexpr ConsoleService() noexcept = default;
    ConsoleService(const ConsoleService&) = delete;
    ConsoleService& operator=(const ConsoleService&) = delete;

    /// Starts the device and its task. Errors: those of ConsoleDevice::start, out_of_memory.
    virtio::Result<> start(virtio::Platform& platform, virtio::Transport& transport);
    /// Ends the task and the device; everybody who waits for a port hears of it.
    virtio::Result<> stop();
    /// The device has gone, or is about to: stop(), and start() takes the next one.
    virtio::Result<> remove();

    [[nodiscard]] virtio::ConsoleDevice& device() noexcept { return device_; }
    /// The channel of that name, or null.
    [[nodiscard]] Channel* find(std::string_view name) noexcept;
    [[nodiscard]] Channel& channel(std::uint32_t port) noexcept { return channels_[port]; }
    /// Whether this device's port is the system's console.
    [[nodiscard]] static bool is_system_console(const Channel& channel) noexcept;

    [[nodiscard]] ConsoleService* next() const noexcept { return next_; }

private:
    friend class Channel;
    static void on_change(virtio::ConsoleObserver& observer, virtio::ConsolePort& port, virtio::ConsoleChange change) noexcept;
    static void on_wait(virtio::ConsoleObserver& observer, virtio::ConsolePort& port, std::uint64_t deadline_ns) noexcept;
    void changed(Channel& channel, virtio::ConsoleChange change);
    void named(Channel& channel);
    void lose_missing();
    void serve();

    virtio::ConsoleDevice device_;
    std::array<Channel, virtio::ConsoleDevice::kMaximumPorts> channels_{};
    Task* task_ = nullptr;
    ConsoleService* next_ = nullptr;
    bool stopping_ = false;
    bool recovering_ = false;
};

/// All console devices, first to last: for (auto* service = first_console(); service; service = service->next()).
[[nodiscard]] ConsoleService* first_console() noexcept;
/// The channel of that name on any device, or null.
[[nodiscard]] Channel* find_channel(std::string_view name) noexcept;

/// Before the machine goes: waits, at most until the deadline, until the host has everything that was printed; later output no
/// longer waits for anybody.
void drain_consoles(std::uint64_t deadline_ns);

} // namespace kernel
