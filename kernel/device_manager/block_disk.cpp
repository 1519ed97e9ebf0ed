#include "kernel/device_manager/block_disk.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include "kernel/log/log.hpp"
#include "kernel/task/task.hpp"
#include "kernel/time/clock.hpp"

namespace kernel {

BlockDisk::BlockDisk(unsigned number, Processor& owner) noexcept : owner_(&owner) {
    std::snprintf(name_, sizeof name_, "disk%u", number);
    room_waiter_.disk = this;
    room_waiter_.on_room = [](virtio::RoomWaiter& waiter) noexcept { static_cast<Room&>(waiter).disk->room_.wake_all(); };
    unsent_.disk = this;
    unsent_.run = [](BeforeIdle& me) noexcept { static_cast<OnIdle&>(me).disk->send(); };
    resume_.disk = this;
    resume_.run = [](BeforeIdle& me) noexcept {
        if (BlockDisk& disk = *static_cast<OnIdle&>(me).disk; !disk.serving_) disk.replaced_.wake_all();
    };
    device_.on_capacity = nullptr;
}

template<class Function> virtio::Result<> BlockDisk::on_owner(Function function) {
    virtio::Result<> result = virtio::fail(virtio::Error::none);
    call_on(*owner_, [&] { result = function(); });
    return result;
}

virtio::Result<> BlockDisk::start(virtio::Platform& platform, virtio::Transport& transport) {
    if (owner_ != &this_processor()) return on_owner([&] { return start(platform, transport); });
    if (const auto started = device_.start(platform, transport); !started) return started;
    // The name is the first request; it also shows whether interrupts arrive.
    const std::string_view id = device_.id();
    interrupts_ = device_.device().interrupt_mode() != virtio::InterruptMode::polled;
    std::memcpy(model_, id.data(), id.size());
    model_[id.size()] = '\0';
    stopping_ = false;
    const auto task = spawn(name_, [](void* disk) { static_cast<BlockDisk*>(disk)->serve(); }, this, 16 * 1024, TaskLifetime::joinable);
    if (!task) {
        static_cast<void>(device_.stop());
        return virtio::fail(task.error());
    }
    task_ = *task;
    return {};
}

virtio::Result<> BlockDisk::stop() {
    if (owner_ != &this_processor()) return on_owner([&] { return stop(); });
    const auto flushed = read_only() ? virtio::Result<>{} : flush();
    stopping_ = true;
    const auto stopped = device_.stop();
    device_.device().event().mark(virtio::Device::kAllQueues); // the task sees it and ends
    wake_hint();
    replaced_.wake_all();
    join_task();
    return flushed ? stopped : flushed;
}

virtio::Result<> BlockDisk::remove() {
    if (owner_ != &this_processor()) return on_owner([&] { return remove(); });
    const auto removed = device_.remove();
    if (!removed && removed.error() == virtio::Error::busy) return removed;
    stopping_ = true;
    device_.device().event().mark(virtio::Device::kAllQueues); // whoever sleeps on it looks at its own request
    wake_hint();
    wake_everybody();
    replaced_.wake_all();
    join_task();
    return removed;
}

void BlockDisk::join_task() {
    if (task_ != nullptr) join(*task_);
    task_ = nullptr;
}

/// Requests may have ended without a call: when they were abandoned, or with the device.
void BlockDisk::wake_everybody() {
    for (Waiter* waiter = waiters_.front(); waiter != nullptr; waiter = List<Waiter>::next(*waiter)) waiter->done.wake_all();
    room_.wake_all();
    if (served_.has_waiters()) served_.wake_all();
}

/// The device's task.
void BlockDisk::serve() {
    const virtio::Virtqueue& queue = device_.queue();
    while (!stopping_) {
        if (serving_) { // now and then it is looked whether that task has gone
            static_cast<void>(replaced_.wait(now_ns() + kWatchdogPeriodNs));
            continue;
        }
        poll();
        // Without interrupts there is nothing to look for while nothing is in flight (a submitter marks the event), but now and then for a
        // change of the configuration: the wait looks for that.
        if (device_.device().interrupt_mode() != virtio::InterruptMode::polled || queue.in_flight() != 0 ||
            !wait_for(device_.device().event().word(), now_ns() + kWatchdogPeriodNs))
            device_.device().wait(kNever);
    }
}

void BlockDisk::kick() noexcept {
    device_.kick();
    if (!serving_) replaced_.wake_all();
    if (device_.device().interrupt_mode() == virtio::InterruptMode::polled) {
        device_.device().event().mark(virtio::Device::queue_bit(0));
        wake_hint();
    }
}

bool BlockDisk::wait(const virtio::BlockRequest& request) {
    const std::uint64_t begun = now_ns();
    if (!serving_ && interrupts_) {
        device_.kick();
        serve_until_done(request, begun);
    } else {
        kick();
        while (request.state == virtio::Request::State::in_flight && served_.wait(begun + kPatienceNs)) {
        }
    }
    return request.state != virtio::Request::State::in_flight;
}

/// Completions, configuration changes, healing.
void BlockDisk::poll() {
    static_cast<void>(device_.poll());
    // What was put off may be all that is left for the device to do, and while somebody can run nobody is idle.
    if (put_off_) [[unlikely]]
        send();
    if (device_.failed()) [[unlikely]]
        recover();
    if (served_.has_waiters()) served_.wake_all();
}

void BlockDisk::recover() {
    if (stopping_) return; // the device has gone: there is nothing to heal
    const auto healed = device_.recover();
    if (!healed) log(LogLevel::error, "%s: reset failed: %s", name_, virtio::message(healed.error()));
    interrupts_ = device_.device().interrupt_mode() != virtio::InterruptMode::polled;
    device_.device().event().mark(virtio::Device::queue_bit(0)); // whoever serves the device looks at its own request
    wake_hint();
    wake_everybody();
}

/// A task that waits for its own request serves the device meanwhile, one task at a time: without a switch to the device's own task and
/// back. The others sleep until theirs has been served.
void BlockDisk::serve_until_done(const virtio::BlockRequest& request, std::uint64_t begun) {
    virtio::Device& device = device_.device();
    serving_ = true;
    // It may be done already: with another one, or because there was nothing to do.
    if (request.state == virtio::Request::State::in_flight) [[likely]]
        static_cast<void>(wait_for(device.event().word(), begun + kWatchdogPeriodNs));
    for (;;) {
        poll();
        if (request.state != virtio::Request::State::in_flight) [[likely]]
            break;
        const std::uint64_t now = now_ns();
        if (now >= begun + kPatienceNs) break;
        device.wait(begun + kPatienceNs); // the long way: it sees lost interrupts
    }
    serving_ = false;
    if (!replaced_.has_waiters()) return;
    // The device's own task goes on: at once where others wait, else when nobody can run and nobody serves again.
    if (device_.queue().in_flight() != 0)
        replaced_.wake_all();
    else
        before_idle(resume_);
}

template<class Submit> virtio::Result<> BlockDisk::run(Submit submit) {
    Ask ask;
    const std::uint64_t begun = now_ns();
    const virtio::Result<> sent = submit(ask);
    if (!serving_ && sent && interrupts_) [[likely]] {
        kick_soon();
        serve_until_done(ask, begun);
        if (ask.state != virtio::Request::State::in_flight) [[likely]] {
            if (ask.error == virtio::Error::none && ask.state == virtio::Request::State::done) [[likely]]
                return {};
            return virtio::fail(ask.state == virtio::Request::State::abandoned ? virtio::Error::abandoned : ask.error);
        }
    }
    return run_long(
        ask, sent, [](void* context, Ask& again) { return (*static_cast<Submit*>(context))(again); }, &submit, begun + kPatienceNs);
}

/// Waits for room and among others.
virtio::Result<> BlockDisk::run_long(Ask& ask, virtio::Result<> sent, virtio::Result<> (*submit)(void*, Ask&), void* context,
                                     std::uint64_t deadline) {
    Waiter waiter;
    ask.waiter = &waiter;
    ask.complete = [](virtio::Request& request) noexcept { static_cast<Ask&>(request).waiter->done.wake_all(); };
    while (!sent) {
        if (sent.error() != virtio::Error::ring_full) return sent;
        device_.when_room(room_waiter_);
        kick();
        if (!room_.wait(deadline)) return virtio::fail(virtio::Error::timeout);
        sent = submit(context, ask);
    }
    waiters_.push_back(waiter);
    if (serving_)
        kick_soon();
    else
        kick();
    while (ask.state == virtio::Request::State::in_flight) {
        if (waiter.done.wait(deadline) || ask.state != virtio::Request::State::in_flight) continue;
        // The clock may have jumped while the whole machine stood still: the device gets a moment of its own.
        if (waiter.done.wait(now_ns() + kGraceNs) || ask.state != virtio::Request::State::in_flight) continue;
        log(LogLevel::error, "%s: no answer for %llu s, resetting the device", name_,
            static_cast<unsigned long long>(kPatienceNs / 1'000'000'000));
        recover();
    }
    waiters_.remove(waiter);
    if (ask.state == virtio::Request::State::abandoned) return virtio::fail(virtio::Error::abandoned);
    if (ask.error != virtio::Error::none) return virtio::fail(ask.error);
    return {};
}

/// While the device has something to do and others can run, who may want to read as well, one notification is for all of them: when
/// nobody can run any more.
void BlockDisk::kick_soon() noexcept {
    put_off_ = device_.queue().in_flight() > 1 && others_ready();
    if (put_off_)
        before_idle(unsent_);
    else
        device_.kick();
}

void BlockDisk::send() noexcept {
    put_off_ = false;
    device_.kick();
}

ringside::Result<> BlockDisk::read(std::uint64_t sector, std::span<std::byte> into) {
    if (owner_ != &this_processor()) return on_owner([&] { return read(sector, into); });
    if (device_.limits().block_size == ringside::kSectorBytes || !partial(sector, into.size()))
        return run([&](virtio::BlockRequest& request) { return device_.read(request, sector, into); });
    return in_blocks(
        sector, into,
        [&](std::uint64_t first, std::span<std::byte> whole) {
            return run([&](virtio::BlockRequest& request) { return device_.read(request, first, whole); });
        },
        [&](std::uint64_t first, std::span<std::byte> block, std::size_t at, std::span<std::byte> part) -> virtio::Result<> {
            const auto got = run([&](virtio::BlockRequest& request) { return device_.read(request, first, block); });
            if (got) std::memcpy(part.data(), block.data() + at, part.size());
            return got;
        });
}

ringside::Result<> BlockDisk::write(std::uint64_t sector, std::span<const std::byte> from) {
    if (owner_ != &this_processor()) return on_owner([&] { return write(sector, from); });
    const auto write_whole = [&](std::uint64_t first, std::span<const std::byte> whole) {
        return run([&](virtio::BlockRequest& request) { return device_.write(request, first, whole); });
    };
    if (device_.limits().block_size == ringside::kSectorBytes) return write_whole(sector, from);
    // Nobody else writes between our reading of a block and our writing of it.
    const MutexLock lock(write_mutex_);
    if (!partial(sector, from.size())) return write_whole(sector, from);
    if (read_only()) return virtio::fail(virtio::Error::read_only);
    return in_blocks(sector, from, write_whole,
                     [&](std::uint64_t first, std::span<std::byte> block, std::size_t at, std::span<const std::byte> part) {
                         const auto got = run([&](virtio::BlockRequest& request) { return device_.read(request, first, block); });
                         if (!got) return got;
                         std::memcpy(block.data() + at, part.data(), part.size());
                         return write_whole(first, block);
                     });
}

bool BlockDisk::partial(std::uint64_t sector, std::size_t bytes) const noexcept {
    const std::uint32_t block = device_.limits().block_size;
    return ((sector * ringside::kSectorBytes | bytes) & (block - 1)) != 0 && bytes % ringside::kSectorBytes == 0 && bytes != 0;
}

/// Cuts a request at block boundaries: use(first sector, bytes) for whole blocks, use_part(block's first sector, memory for the block,
/// where in it, bytes) for the others.
template<class Byte, class Use, class UsePart>
virtio::Result<> BlockDisk::in_blocks(std::uint64_t sector, std::span<Byte> bytes, Use use, UsePart use_part) {
    const std::uint32_t block = device_.limits().block_size;
    const std::uint64_t unit = block / ringside::kSectorBytes;
    const std::uint64_t count = bytes.size() / ringside::kSectorBytes;
    if (!device_.device().started()) return virtio::fail(virtio::Error::device_gone);
    if (sector > sectors() || count > sectors() - sector) return virtio::fail(virtio::Error::out_of_range);
    const std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[block]);
    if (memory == nullptr) return virtio::fail(virtio::Error::out_of_memory);
    while (!bytes.empty()) {
        const std::size_t at = static_cast<std::size_t>(sector % unit) * ringside::kSectorBytes;
        const std::size_t whole = bytes.size() - bytes.size() % block;
        const std::size_t now = at != 0 || whole == 0 ? std::min<std::size_t>(block - at, bytes.size()) : whole;
        const auto done = now == whole && at == 0 ? use(sector, bytes.first(now))
                                                  : use_part(sector - sector % unit, {memory.get(), block}, at, bytes.first(now));
        if (!done) return done;
        bytes = bytes.subspan(now);
        sector += now / ringside::kSectorBytes;
    }
    return {};
}

ringside::Result<> BlockDisk::flush() {
    if (owner_ != &this_processor()) return on_owner([&] { return flush(); });
    return run([&](virtio::BlockRequest& request) { return device_.flush(request); });
}

} // namespace kernel
