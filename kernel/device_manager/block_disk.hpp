// A disk of the machine: a virtio block device, the task that serves it, and the ringside::Disk that programs see. Any number of
// tasks may use it at once, on any processor; each sleeps until its own request is done. The device belongs to one processor; callers on others
// are taken there. A request that the device does not answer within kPatienceNs
// (and a little more, so that a machine that stood still does not expire everything) costs a reset of the device and ends with an
// error. Owned by the device manager, never freed: after remove() it waits for the next device.
//
//     auto* disk = new BlockDisk("disk0");
//     auto started = disk->start(platform, transport);
#pragma once

#include <cstdint>

#include "drivers/blk/blk.hpp"
#include "kernel/app.hpp"
#include "kernel/processor/processor.hpp"
#include "kernel/task/list.hpp"
#include "kernel/task/mutex.hpp"
#include "kernel/task/wait_queue.hpp"

namespace kernel {

class BlockDisk final : public ringside::Disk {
public:
    static constexpr std::uint64_t kPatienceNs = 60'000'000'000;
    static constexpr std::uint64_t kGraceNs = 2'000'000'000;

    /// `number`: 0 is "disk0".
    /// It belongs to `owner`: its interrupts come there, and only there its queue is touched.
    explicit BlockDisk(unsigned number, Processor& owner = processors::boot) noexcept;
    [[nodiscard]] Processor& owner() const noexcept { return *owner_; }

    /// Starts the device and its task. Errors: those of BlockDevice::start, out_of_memory.
    virtio::Result<> start(virtio::Platform& platform, virtio::Transport& transport);
    /// Before the machine goes: what was written is durable, and the device is reset.
    virtio::Result<> stop();
    /// The device has gone, or is about to: requests end with `device_gone`, and so does whatever is asked until the next start(). Returns
    /// when the task has ended. Errors: busy, to be asked again; others are for information.
    virtio::Result<> remove();

    const char* name() const override { return name_; }
    const char* model() const override { return model_; }
    std::uint64_t sectors() const override { return device_.sectors(); }
    bool read_only() const override { return device_.read_only(); }
    ringside::Result<> read(std::uint64_t sector, std::span<std::byte> into) override;
    ringside::Result<> write(std::uint64_t sector, std::span<const std::byte> from) override;
    ringside::Result<> flush() override;

    [[nodiscard]] virtio::BlockDevice& device() noexcept { return device_; }

    /// Sends what was submitted to device() directly, and sees to it that it is served.
    void kick() noexcept;
    /// kick(), then waits until a request that was submitted to device() is done. For programs that keep many in flight: all that are
    /// done meanwhile have been completed too, mostly in the calling task. False: it was not done within kPatienceNs.
    bool wait(const virtio::BlockRequest& request);

private:
    /// A task's request. It may stand on the task's stack: run() returns only when the driver has let go of it.
    struct Waiter : ListNode<Waiter> {
        WaitQueue done;
    };
    /// Where somebody else serves the device, `waiter` is whom to wake.
    struct Ask : virtio::BlockRequest {
        Waiter* waiter = nullptr;
    };
    struct OnIdle : BeforeIdle {
        BlockDisk* disk = nullptr;
    };
    struct Room : virtio::RoomWaiter {
        BlockDisk* disk = nullptr;
    };
    void join_task();
    template<class Function> virtio::Result<> on_owner(Function function);
    template<class Submit> virtio::Result<> run(Submit submit);
    [[nodiscard]] virtio::Result<> run_long(Ask& ask, virtio::Result<> sent, virtio::Result<> (*submit)(void*, Ask&), void* context,
                                            std::uint64_t deadline);
    void serve_until_done(const virtio::BlockRequest& request, std::uint64_t begun);
    void poll();
    void kick_soon() noexcept;
    void send() noexcept;
    /// A device with larger blocks takes whole ones only; programs are promised sectors.
    [[nodiscard]] bool partial(std::uint64_t sector, std::size_t bytes) const noexcept;
    template<class Byte, class Use, class UsePart>
    virtio::Result<> in_blocks(std::uint64_t sector, std::span<Byte> bytes, Use use, UsePart use_part);
    void recover();
    void wake_everybody();
    void serve();

    virtio::BlockDevice device_;
    Processor* owner_;
    List<Waiter> waiters_;
    WaitQueue room_;
    WaitQueue served_;   // tasks in wait() while another one serves
    WaitQueue replaced_; // the device's own task, while another one serves
    Task* task_ = nullptr;
    Mutex write_mutex_; // where blocks are larger than sectors
    Room room_waiter_;
    OnIdle unsent_; // a notification is due
    OnIdle resume_; // the device's own task may go on
    char name_[12] = {};
    char model_[virtio::kBlockIdBytes + 1] = {};
    bool interrupts_ = false; // the device tells when it has done something
    bool put_off_ = false;    // a notification is due, when nobody can run or with the next completion
    bool serving_ = false;    // a task that waits for its own request serves the device
    bool stopping_ = false;
};

} // namespace kernel
