// Inside the referee: one block of virtio-mmio registers (VIRTIO 1.4, 4.2.2), which judges how they are used and owns the queues
// behind them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "tests/referee/block.hpp"
#include "tests/referee/machine.hpp"

namespace referee {

/// What a read gives where nothing answers.
[[nodiscard]] constexpr std::uint64_t all_ones(unsigned width) noexcept { return ~std::uint64_t{0} >> (64 - 8 * (width < 8 ? width : 8)); }

class MmioDevice final : public Mmio {
public:
    MmioDevice(Memory& memory, Judge& judge, const Device& device, std::shared_ptr<Disk> disk);

    [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width);
    void write(std::uint64_t offset, unsigned width, std::uint64_t value);
    void step();
    /// The line is asserted and somebody should be told; clears the note.
    [[nodiscard]] bool take_interrupt() noexcept;
    /// The handler was called.
    void interrupt_delivered() noexcept;
    void connect(void (*handler)(void*), void* argument) noexcept {
        handler_ = handler;
        argument_ = argument;
    }
    void call_handler() const {
        if (handler_ != nullptr) handler_(argument_);
    }
    /// From another thread than the stepping one, in threaded runs.
    void notify_threaded(std::uint32_t value);
    void memory_released(std::uint64_t guest, std::size_t bytes);
    void set_threaded(bool threaded);

    [[nodiscard]] Queue* queue(std::uint16_t index) noexcept override {
        return index < queues_.size() ? queues_[index].queue.get() : nullptr;
    }
    [[nodiscard]] std::uint64_t negotiated() const noexcept override { return accepted_; }
    [[nodiscard]] std::uint32_t status() const noexcept override { return status_; }
    void change_config(std::size_t offset, std::span<const std::uint8_t> bytes) override;
    void need_reset() override;
    void vanish() override { gone_.store(true, std::memory_order_relaxed); }
    [[nodiscard]] std::span<std::uint8_t> contents() noexcept override {
        return disk_ ? std::span<std::uint8_t>{disk_->contents()} : std::span<std::uint8_t>{};
    }

private:
    struct QueueRegisters {
        std::unique_ptr<Queue> queue;
        std::uint32_t maximum = 0;
        std::uint32_t size = 0;
        std::uint64_t areas[3] = {}; // descriptor, driver, device
        bool ready = false;
        bool reset_asked = false; // QueueReset was written and has not read 0
        bool was_reset = false;   // and has to be programmed again
        unsigned programmed = 0;  // bit 0: size, 1 to 6: address halves, written since the last reset
        unsigned at_first = 0;    // what was written the first time: so much is to be written again (RESET-004)
    };

    [[nodiscard]] std::uint32_t read_register(std::uint64_t offset);
    void write_register(std::uint64_t offset, std::uint32_t value);
    [[nodiscard]] std::uint64_t read_config(std::uint64_t offset, unsigned width);
    void write_config(std::uint64_t offset, unsigned width, std::uint64_t value);
    void judge_probe(std::uint64_t offset);
    void write_status(std::uint32_t value);
    void write_ready(std::uint32_t value);
    void write_reset(std::uint32_t value);
    void write_area(std::uint64_t offset, std::uint32_t value);
    void finish_reset();
    void raise(std::uint32_t bit) noexcept;
    [[nodiscard]] QueueRegisters* selected() noexcept { return queue_sel_ < queues_.size() ? &queues_[queue_sel_] : nullptr; }
    [[nodiscard]] QueueRegisters* programmable(std::uint64_t offset);

    Judge& judge_;
    Device device_;
    std::shared_ptr<Disk> disk_;
    std::vector<QueueRegisters> queues_;
    std::uint64_t accepted_ = 0;
    std::uint32_t status_ = 0;
    std::uint32_t old_status_ = 0; // what reads show until a reset is done
    std::uint32_t reset_reads_ = 0;
    std::uint32_t queue_sel_ = 0;
    std::uint32_t device_sel_ = 0;
    std::uint32_t driver_sel_ = 0;
    std::uint32_t interrupt_status_ = 0;
    std::uint32_t generation_ = 0;
    unsigned unacknowledged_ = 0;   // steps since a delivered interrupt
    unsigned probe_ = 0;            // bit 0: magic, 1: version, 2: device id were read
    std::atomic<bool> gone_{false}; // may happen while a thread runs
    bool any_status_write_ = false;
    bool resetting_ = false;
    bool read_back_ = false; // status was read since FEATURES_OK was written
    bool device_sel_written_ = false;
    bool driver_sel_written_ = false;
    bool config_written_early_ = false;
    bool interrupt_noted_ = false;
    bool delivered_ = false;
    bool status_read_ = false; // InterruptStatus, since the interrupt
    bool unacknowledged_told_ = false;
    void (*handler_)(void*) = nullptr;
    void* argument_ = nullptr;
};

} // namespace referee
