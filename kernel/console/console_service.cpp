#include "kernel/console/console_service.hpp"

#include "kernel/console/channel_tasks.hpp"
#include "kernel/log/log.hpp"
#include "kernel/newlib/descriptors.hpp"
#include "kernel/panic/panic.hpp"
#include "kernel/processor/processor.hpp"

#include <cerrno>
#include <utility>

namespace kernel {
namespace {

using virtio::ConsoleChange;

constexpr std::size_t kStackBytes = 32 * 1024;
constexpr std::uint64_t kReturnNs = 1'000'000'000;  // for ports that come back after a reset
constexpr std::uint64_t kLastWordsNs = 100'000'000; // for a panic's report, and what was said before it
// QEMU forgets bytes that come by the register faster than its character device is read: of a socket's, every one beyond 278.
constexpr std::size_t kPart = 64;
constexpr std::uint64_t kPartNs = 2'000'000;
constexpr std::string_view kFolder = "/dev/virtio-ports/";

constinit ConsoleService* services = nullptr;
constinit EmergencyWriter other_writer = nullptr; // there was one before
constinit Channel* system_console = nullptr;
constinit Channel* old_console = nullptr; // its device has gone, no other has come yet
constinit bool leaving = false;
constinit bool queue_works = true; // as far as a panic knows
constinit bool registered = false; // for files, and for panics

/// By the terminal's queue as long as the device takes it, then by registers. The queue belongs to the first processor, which runs on while
/// another one panics.
void emergency_writer(std::string_view text) {
    // A panic in here is reported without the queue.
    const bool by_queue = std::exchange(queue_works, false) && &this_processor() == &processors::boot && system_console != nullptr;
    queue_works = by_queue && system_console->port().emergency_put(text, kLastWordsNs);
    if (queue_works) return;
    if (other_writer != nullptr) other_writer(text);
    ConsoleService* speaker = services;
    if (system_console != nullptr && system_console->service().device().has_emergency_write()) speaker = &system_console->service();
    while (speaker != nullptr && !speaker->device().has_emergency_write()) speaker = speaker->next();
    while (speaker != nullptr && !text.empty()) {
        const std::string_view part = text.substr(0, kPart);
        speaker->device().emergency_write(part.data(), part.size());
        text.remove_prefix(part.size());
        for (const std::uint64_t next = now_ns() + kPartNs; now_ns() < next;) {
        }
    }
}

File* open_channel(const char* path, int, int& error);

} // namespace

ConsoleService* first_console() noexcept { return services; }

Channel* find_channel(std::string_view name) noexcept {
    for (ConsoleService* service = services; service != nullptr; service = service->next())
        if (Channel* channel = service->find(name)) return channel;
    return nullptr;
}

bool ConsoleService::is_system_console(const Channel& channel) noexcept { return &channel == system_console; }

Channel* ConsoleService::find(std::string_view name) noexcept {
    virtio::ConsolePort* port = device_.find(name);
    return port == nullptr ? nullptr : &channels_[port->id()];
}

virtio::Result<> ConsoleService::start(virtio::Platform& platform, virtio::Transport& transport) {
    virtio::ConsoleObserver::changed = &ConsoleService::on_change;
    virtio::ConsoleObserver::wait = nullptr; // until there is a task
    stopping_ = false;
    for (Channel& channel : channels_) channel.service_ = this;
    if (auto started = device_.start(platform, transport, {.observer = this}); !started) return started;

    if (!registered) {
        register_opener([](const char* path, int flags, int& error) { return open_channel(path, flags, error); });
        other_writer = set_emergency_writer(emergency_writer);
    }
    registered = true;
    next_ = nullptr;
    ConsoleService** last = &services;
    while (*last != nullptr) last = &(*last)->next_;
    *last = this;

    // A program that starts before its console is there would say its first words to the serial port.
    if (!device_.settle()) log(LogLevel::warning, "console: the device leaves control messages unanswered");
    virtio::ConsoleObserver::wait = &ConsoleService::on_wait;
    auto task =
        spawn("console", [](void* service) { static_cast<ConsoleService*>(service)->serve(); }, this, kStackBytes, TaskLifetime::joinable);
    if (!task) {
        (void)stop();
        return virtio::fail(task.error());
    }
    task_ = *task;
    return {};
}

virtio::Result<> ConsoleService::stop() {
    if (task_ != nullptr) {
        stopping_ = true;
        device_.device().event().mark(virtio::Device::kAllQueues);
        wake_hint();
        join(*task_);
        task_ = nullptr;
    }
    if (system_console != nullptr && system_console->service_ == this) {
        old_console = system_console; // descriptors 0, 1 and 2 go on with the next console that comes
        system_console = nullptr;
    }
    for (ConsoleService** link = &services; *link != nullptr; link = &(*link)->next_)
        if (*link == this) {
            *link = next_;
            break;
        }
    return device_.stop();
}

virtio::Result<> ConsoleService::remove() {
    const auto stopped = stop();
    static_cast<void>(device_.remove());
    return stopped;
}

void ConsoleService::serve() {
    while (!stopping_) {
        (void)device_.device().wait(kNever);
        (void)device_.poll();
        if (!device_.needs_recovery() || stopping_) continue;
        recovering_ = true;
        auto recovered = device_.recover();
        log(LogLevel::warning, "console: reset%s%s", recovered ? "" : ": ", recovered ? "" : virtio::message(recovered.error()));
        if (recovered) (void)device_.settle();
        // With another reset ahead they may still come; what opens them after a failed one begins anew.
        if (!recovered || !device_.needs_recovery()) lose_missing();
        if (!recovered) sleep_until(now_ns() + kReturnNs);
    }
}

void ConsoleService::on_wait(virtio::ConsoleObserver& observer, virtio::ConsolePort& port, std::uint64_t deadline_ns) noexcept {
    static_cast<ConsoleService&>(observer).channels_[port.id()].wait(deadline_ns);
}

void ConsoleService::on_change(virtio::ConsoleObserver& observer, virtio::ConsolePort& port, ConsoleChange change) noexcept {
    auto& service = static_cast<ConsoleService&>(observer);
    Channel& channel = service.channels_[port.id()];
    channel.port_ = &port;
    service.changed(channel, change);
}

void ConsoleService::changed(Channel& channel, ConsoleChange change) {
    virtio::ConsolePort& port = *channel.port_;
    switch (change) {
    case ConsoleChange::added: log(LogLevel::debug, "console: port %u added", static_cast<unsigned>(port.id())); break;
    case ConsoleChange::removed:
        log(LogLevel::debug, "console: port %u removed", static_cast<unsigned>(port.id()));
        channel.server_ = nullptr; // it notices
        // A reset takes every port away, and gives it back, open as it was: a port that has gone is open no more.
        if (!port.opened()) channel.handle_.stale = channel.handle_.references != 0;
        break;
    case ConsoleChange::named: named(channel); break;
    case ConsoleChange::host_opened:
    case ConsoleChange::became_console:
        if (change == ConsoleChange::host_opened) ++channel.connection_;
        recovering_ = recovering_ && !is_system_console(channel);
        // A console without anybody behind it would swallow what the serial port still shows.
        if (system_console == nullptr && port.is_console() && port.host_open()) {
            system_console = &channel;
            set_console(channel.terminal_);
            if (old_console != nullptr) old_console->changes_.wake_all();
            old_console = nullptr;
        }
        break;
    default: break;
    }
    channel.changes_.wake_all();
    channel.terminal_.poll_source.notify();
    channel.handle_.source.notify();
}

/// After a reset: what was open and has not come back. (It went while the device was out of order, and no message could tell.)
void ConsoleService::lose_missing() {
    for (Channel& channel : channels_)
        if (channel.in_use() && !channel.port_->present()) channel.lose();
}

void ConsoleService::named(Channel& channel) {
    const std::string_view name = channel.port_->name();
    log(LogLevel::debug, "console: port %u is \"%.*s\"", static_cast<unsigned>(channel.port_->id()), static_cast<int>(name.size()),
        name.data());
    if (channel.in_use() && name != channel.opened_as()) channel.lose(); // another port has come in its place during a reset
    if (channel.server_ != nullptr || channel.handle_.references != 0) return;
    if (TaskEntry entry = channel_task(name)) {
        auto task = spawn(name.data(), entry, &channel, kStackBytes);
        channel.server_ = task ? *task : nullptr;
        if (!task) log(LogLevel::error, "console: no memory to serve a port");
    }
}

// --- the terminal ---

virtio::Result<std::size_t> Channel::Terminal::read(std::span<char> into, std::uint64_t deadline_ns) {
    for (;;) {
        if (&console() != this) return virtio::fail(virtio::Error::closed); // another console took over
        auto count = channel_.port_->read(std::as_writable_bytes(into), deadline_ns);
        if (count || count.error() == virtio::Error::timeout) return count;
        if (now_ns() >= deadline_ns) return virtio::fail(virtio::Error::timeout);
        // Closed or removed: until the port is back, which it may be since that happened, with all its news told.
        if (!channel_.port_->host_open() || !channel_.port_->opened()) channel_.wait(deadline_ns);
    }
}

virtio::Result<std::size_t> Channel::Terminal::write(std::span<const char> from) {
    const auto bytes = std::as_bytes(from);
    std::size_t done = 0;
    const std::uint64_t back_by = now_ns() + kReturnNs;
    while (done < bytes.size()) {
        auto count = leaving ? channel_.port_->put(bytes.subspan(done)) : channel_.port_->write(bytes.subspan(done));
        if (count) {
            done += *count;
            if (leaving && *count == 0) break;
            continue;
        }
        // Only a reset that heals is worth waiting for.
        if (leaving || !channel_.service_->recovering_ || now_ns() >= back_by) break;
        channel_.wait(back_by);
    }
    return from.size();
}

Console::Size Channel::Terminal::size() const {
    const virtio::ConsoleSize size = channel_.port_->size();
    if (size.columns == 0 || size.rows == 0) return {};
    return {size.columns, size.rows};
}

// --- descriptors ---

File* Channel::open(int& error) {
    // One user at a time, as Linux has it; the system's own ports and the terminal have theirs.
    if (server_ != nullptr || handle_.references != 0 || ConsoleService::is_system_console(*this)) {
        error = EBUSY;
        return nullptr;
    }
    if (!port_->open()) {
        error = ENODEV;
        return nullptr;
    }
    handle_.stale = false;
    opened_length_ = port_->name().copy(opened_as_.data(), opened_as_.size());
    return &handle_;
}

void Channel::lose() {
    port_->close(); // the next port of this number is not the one that was opened
    handle_.stale = true;
    changes_.wake_all();
    handle_.source.notify();
}

long Channel::Handle::read(std::span<char> into, Blocking blocking) {
    if (stale) return -ENODEV;
    const auto bytes = std::as_writable_bytes(into);
    if (blocking == Blocking::never) {
        const std::size_t count = channel_.port_->take(bytes);
        if (count != 0 || into.empty()) return static_cast<long>(count);
        return channel_.port_->host_open() ? -EAGAIN : 0;
    }
    auto count = channel_.port_->read(bytes);
    if (count) return static_cast<long>(*count);
    return stale ? -ENODEV : 0;
}

long Channel::Handle::write(std::span<const char> from, Blocking blocking) {
    if (stale) return -ENODEV;
    const auto bytes = std::as_bytes(from);
    auto count = blocking == Blocking::never ? channel_.port_->put(bytes) : channel_.port_->write(bytes);
    if (!count) return stale ? -ENODEV : -EPIPE;
    return *count == 0 && !from.empty() ? -EAGAIN : static_cast<long>(*count);
}

void Channel::Handle::closed() {
    if (!stale) channel_.port_->close();
    stale = false;
}

short Channel::Handle::ready() {
    if (stale) return kReadable | kWritable | kFailed;
    const bool open = channel_.port_->host_open();
    const bool readable = channel_.port_->readable() || !open;
    const bool writable = channel_.port_->writable() || !open;
    return static_cast<short>((readable ? kReadable : 0) | (writable ? kWritable : 0));
}

// --- leaving ---

void drain_consoles(std::uint64_t deadline_ns) {
    leaving = true;
    for (ConsoleService* service = services; service != nullptr; service = service->next())
        for (virtio::ConsolePort& port : service->device().ports())
            if (port.host_open()) (void)port.drain(deadline_ns);
}

namespace {

File* open_channel(const char* path, int, int& error) {
    std::string_view name = path;
    if (!name.starts_with(kFolder)) return nullptr;
    name.remove_prefix(kFolder.size());
    Channel* channel = name.empty() ? nullptr : find_channel(name);
    if (channel == nullptr) {
        error = ENOENT;
        return nullptr;
    }
    return channel->open(error);
}

} // namespace
} // namespace kernel
