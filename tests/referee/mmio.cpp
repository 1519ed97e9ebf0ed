#include "tests/referee/mmio.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstring>

namespace referee {

namespace {

constexpr std::uint32_t kVendor = 0x5245'4645; // "EFER"
constexpr std::uint32_t kUsedBuffer = 1;       // InterruptStatus (4.2.2)
constexpr std::uint32_t kConfigChange = 2;
constexpr unsigned kPatience = 100; // steps until an interrupt that nobody acknowledges is a violation

enum Direction : std::uint8_t { undefined = 0, readable = 1, writable = 2, both = 3 };

Direction direction(std::uint64_t offset) noexcept {
    switch (offset) {
    case mmio::kMagicValue:
    case mmio::kVersion:
    case mmio::kDeviceId:
    case mmio::kVendorId:
    case mmio::kDeviceFeatures:
    case mmio::kQueueSizeMax:
    case mmio::kInterruptStatus:
    case mmio::kShmLenLow:
    case mmio::kShmLenHigh:
    case mmio::kShmBaseLow:
    case mmio::kShmBaseHigh:
    case mmio::kConfigGeneration: return readable;
    case mmio::kDeviceFeaturesSel:
    case mmio::kDriverFeatures:
    case mmio::kDriverFeaturesSel:
    case mmio::kQueueSel:
    case mmio::kQueueSize:
    case mmio::kQueueNotify:
    case mmio::kInterruptAck:
    case mmio::kQueueDescLow:
    case mmio::kQueueDescHigh:
    case mmio::kQueueDriverLow:
    case mmio::kQueueDriverHigh:
    case mmio::kQueueDeviceLow:
    case mmio::kQueueDeviceHigh:
    case mmio::kShmSel: return writable;
    case mmio::kQueueReady:
    case mmio::kStatus:
    case mmio::kQueueReset: return both;
    default: return undefined;
    }
}

} // namespace

MmioDevice::MmioDevice(Memory& memory, Judge& judge, const Device& device, std::shared_ptr<Disk> disk)
    : judge_(judge), device_(device), disk_(std::move(disk)) {
    queues_.resize(device.queue_sizes.size());
    for (std::size_t i = 0; i < queues_.size(); ++i) {
        Script script = device.script;
        script.seed += i;
        queues_[i].maximum = device.queue_sizes[i];
        queues_[i].queue = std::make_unique<Queue>(memory, judge, script);
        queues_[i].queue->on_interrupt([this] { raise(kUsedBuffer); });
        if (device_.serve)
            queues_[i].queue->set_server(
                [this, i](const Chain& chain) { return device_.serve(static_cast<std::uint16_t>(i), chain, judge_); });
    }
    judge_.applies_registers(device.type);
}

// --- interrupts and time ---

void MmioDevice::raise(std::uint32_t bit) noexcept {
    interrupt_status_ |= bit;
    interrupt_noted_ = true;
}

bool MmioDevice::take_interrupt() noexcept {
    const bool noted = interrupt_noted_;
    interrupt_noted_ = false;
    return noted && handler_ != nullptr;
}

void MmioDevice::interrupt_delivered() noexcept {
    if (!delivered_) unacknowledged_ = 0; // the handler of a line that stays asserted is called again and again
    delivered_ = true;
    status_read_ = false;
}

void MmioDevice::step() {
    if (gone_.load(std::memory_order_relaxed)) return;
    // The line stays asserted until it is acknowledged: its handler runs again.
    if (interrupt_status_ != 0 && delivered_) {
        interrupt_noted_ = true;
        if (++unacknowledged_ > kPatience && !unacknowledged_told_) {
            unacknowledged_told_ = true;
            judge_.violated(Clause::mmio_021, 0, "InterruptStatus is 0x%x for %u steps", interrupt_status_, unacknowledged_);
        }
    }
    if ((status_ & status::kDriverOk) == 0 || resetting_) return;
    for (QueueRegisters& each : queues_)
        if (each.ready) each.queue->step();
}

void MmioDevice::set_threaded(bool threaded) {
    for (QueueRegisters& each : queues_) each.queue->script().threaded = threaded;
}

void MmioDevice::notify_threaded(std::uint32_t value) {
    const std::size_t index = value & 0xffff;
    if (index < queues_.size() && !gone_.load(std::memory_order_relaxed)) queues_[index].queue->notify(value);
}

void MmioDevice::memory_released(std::uint64_t guest, std::size_t bytes) {
    for (QueueRegisters& each : queues_) each.queue->memory_released(guest, bytes);
}

void MmioDevice::change_config(std::size_t offset, std::span<const std::uint8_t> bytes) {
    if (offset > device_.config.size() || bytes.size() > device_.config.size() - offset) return;
    std::ranges::copy(bytes, device_.config.begin() + static_cast<std::ptrdiff_t>(offset));
    ++generation_;
    raise(kConfigChange);
}

void MmioDevice::need_reset() {
    status_ |= status::kNeedsReset;
    raise(kConfigChange);
}

// --- what every access keeps ---

void MmioDevice::judge_probe(std::uint64_t offset) {
    if (probe_ == 7) return;
    const unsigned had = probe_;
    if (offset == mmio::kMagicValue || offset == mmio::kVersion) {
        probe_ |= offset == mmio::kMagicValue ? 1u : 2u;
        return;
    }
    judge_.hold((had & 3) == 3, Clause::mmio_026, 0, "register 0x%" PRIx64 " is used before MagicValue and Version were read", offset);
    judge_.hold(offset == mmio::kDeviceId, Clause::mmio_027, 0, "register 0x%" PRIx64 " is used before DeviceID was read", offset);
    probe_ = 7; // said once
}

std::uint64_t MmioDevice::read(std::uint64_t offset, unsigned width) {
    if (gone_.load(std::memory_order_relaxed)) return all_ones(width);
    std::uint64_t value = 0;
    if (offset >= mmio::kConfig) {
        value = read_config(offset - mmio::kConfig, width);
    } else {
        judge_probe(offset);
        const Direction its = direction(offset);
        judge_.hold(width == 4 && offset % 4 == 0, Clause::mmio_004, 0, "register 0x%" PRIx64 " is read with %u bytes", offset, width);
        judge_.hold(its != undefined, Clause::mmio_001, 0, "register 0x%" PRIx64 " is read", offset);
        if (its != undefined) judge_.hold((its & readable) != 0, Clause::mmio_003, 0, "register 0x%" PRIx64 " is read", offset);
        if ((its & readable) != 0) value = read_register(offset);
    }
    judge_.log().add(EventKind::read, 0, offset, value);
    return value;
}

void MmioDevice::write(std::uint64_t offset, unsigned width, std::uint64_t value) {
    if (gone_.load(std::memory_order_relaxed)) return;
    if (offset != mmio::kQueueNotify) judge_.log().add(EventKind::write, 0, offset, value);
    if (offset >= mmio::kConfig) {
        write_config(offset - mmio::kConfig, width, value);
        return;
    }
    judge_probe(offset);
    const Direction its = direction(offset);
    judge_.hold(width == 4 && offset % 4 == 0, Clause::mmio_004, 0, "register 0x%" PRIx64 " is written with %u bytes", offset, width);
    judge_.hold(its != undefined, Clause::mmio_001, 0, "register 0x%" PRIx64 " is written", offset);
    if (its != undefined) judge_.hold((its & writable) != 0, Clause::mmio_002, 0, "register 0x%" PRIx64 " is written", offset);
    if ((its & writable) != 0) write_register(offset, static_cast<std::uint32_t>(value));
}

std::uint64_t MmioDevice::read_config(std::uint64_t offset, unsigned width) {
    if (disk_) { // its size may change, its place may not
        const std::vector<std::uint8_t> fresh = disk_->config();
        if (device_.config.size() < fresh.size()) device_.config = fresh;
    }
    judge_.hold(width <= device_.config.size() && offset <= device_.config.size() - width, Clause::mmio_001, 0,
                "configuration is read at %" PRIu64 ", %u bytes", offset, width);
    std::uint64_t value = 0;
    for (unsigned i = 0; i < width && offset + i < device_.config.size(); ++i)
        value |= std::uint64_t{device_.config[offset + i]} << (8 * i);
    return value;
}

void MmioDevice::write_config(std::uint64_t offset, unsigned width, std::uint64_t value) {
    if ((status_ & status::kFeaturesOk) == 0) {
        judge_.violated(Clause::init_004, 0, "configuration is written at %" PRIu64 " before FEATURES_OK", offset);
        config_written_early_ = true;
    }
    for (unsigned i = 0; i < width && offset + i < device_.config.size(); ++i)
        device_.config[offset + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

// --- registers ---

std::uint32_t MmioDevice::read_register(std::uint64_t offset) {
    switch (offset) {
    case mmio::kMagicValue: return mmio::kMagic;
    case mmio::kVersion: return 2;
    case mmio::kDeviceId: return device_.type;
    case mmio::kVendorId: return kVendor;
    case mmio::kDeviceFeatures:
        judge_.hold(device_sel_written_, Clause::mmio_014, 0, "DeviceFeatures is read without a selection");
        return device_sel_ < 2 ? static_cast<std::uint32_t>(device_.features >> (32 * device_sel_)) : 0;
    case mmio::kQueueSizeMax: return selected() != nullptr ? selected()->maximum : 0;
    case mmio::kQueueReady: return selected() != nullptr && selected()->ready ? 1 : 0;
    case mmio::kQueueReset: {
        QueueRegisters* its = selected();
        if (its == nullptr || !its->reset_asked) return 0;
        if (its->queue->reset_pending()) return 1;
        its->reset_asked = its->ready = false;
        its->was_reset = true;
        its->programmed = 0;
        judge_.held(Clause::mmio_023);
        return 0;
    }
    case mmio::kInterruptStatus:
        if (delivered_) judge_.held(Clause::mmio_032);
        status_read_ = true;
        return interrupt_status_;
    case mmio::kConfigGeneration: return generation_;
    case mmio::kStatus:
        if (resetting_) {
            // Where the old status was 0 nothing can be seen of the time that it takes.
            const std::uint32_t reads = old_status_ == 0 ? 0 : device_.script.status_reads;
            if (reads == Script::kNever || reset_reads_++ < reads) return old_status_;
            judge_.held(Clause::reset_001);
            finish_reset();
        }
        if ((status_ & status::kFeaturesOk) != 0) read_back_ = true;
        return status_;
    default: return 0xffff'ffff; // shared memory: none
    }
}

MmioDevice::QueueRegisters* MmioDevice::programmable(std::uint64_t offset) {
    QueueRegisters* its = selected();
    if (its == nullptr) return nullptr;
    if (its->reset_asked)
        judge_.violated(Clause::mmio_023, static_cast<std::uint16_t>(queue_sel_),
                        "register 0x%" PRIx64 " is written while QueueReset reads 1", offset);
    judge_.hold(!its->ready || its->reset_asked, Clause::mmio_017, static_cast<std::uint16_t>(queue_sel_),
                "register 0x%" PRIx64 " is written while QueueReady is 1", offset);
    return its;
}

void MmioDevice::write_area(std::uint64_t offset, std::uint32_t value) {
    QueueRegisters* its = programmable(offset);
    if (its == nullptr) return;
    const std::uint64_t area = (offset - mmio::kQueueDescLow) / 0x10;
    const bool high = offset % 8 != 0;
    its->programmed |= 2u << (2 * area + (high ? 1 : 0));
    std::uint64_t& address = its->areas[area];
    address = high ? (address & 0xffff'ffff) | (std::uint64_t{value} << 32) : (address & ~std::uint64_t{0xffff'ffff}) | value;
}

void MmioDevice::write_register(std::uint64_t offset, std::uint32_t value) {
    switch (offset) {
    case mmio::kDeviceFeaturesSel:
        device_sel_ = value;
        device_sel_written_ = true;
        break;
    case mmio::kDriverFeaturesSel:
        driver_sel_ = value;
        driver_sel_written_ = true;
        break;
    case mmio::kDriverFeatures: {
        judge_.hold(driver_sel_written_, Clause::mmio_015, 0, "DriverFeatures is written without a selection");
        const std::uint64_t bits = driver_sel_ < 2 ? std::uint64_t{value} << (32 * driver_sel_) : 0;
        if ((status_ & status::kFeaturesOk) != 0) {
            judge_.violated(Clause::init_005, 0, "features 0x%" PRIx64 " are written after FEATURES_OK", bits);
            break;
        }
        if (driver_sel_ < 2) accepted_ = (accepted_ & (driver_sel_ == 0 ? ~std::uint64_t{0xffff'ffff} : std::uint64_t{0xffff'ffff})) | bits;
        if (driver_sel_ >= 2 && value != 0)
            judge_.violated(Clause::feat_001, 0, "features 0x%x of word %u, none were offered", value, driver_sel_);
        break;
    }
    case mmio::kQueueSel: queue_sel_ = value; break;
    case mmio::kQueueSize:
        if (QueueRegisters* its = programmable(offset)) {
            judge_.hold(value <= its->maximum, Clause::mmio_016, static_cast<std::uint16_t>(queue_sel_), "QueueSize %u, QueueSizeMax is %u",
                        value, its->maximum);
            its->size = value;
            its->programmed |= 1;
        }
        break;
    case mmio::kQueueDescLow:
    case mmio::kQueueDescHigh:
    case mmio::kQueueDriverLow:
    case mmio::kQueueDriverHigh:
    case mmio::kQueueDeviceLow:
    case mmio::kQueueDeviceHigh: write_area(offset, value); break;
    case mmio::kQueueReady: write_ready(value); break;
    case mmio::kQueueReset: write_reset(value); break;
    case mmio::kQueueNotify: {
        judge_.hold((status_ & status::kDriverOk) != 0, Clause::init_010, 0, "notified with 0x%x before DRIVER_OK", value);
        const std::size_t index = value & 0xffff;
        if (index < queues_.size() && queues_[index].ready)
            queues_[index].queue->notify(value);
        else
            judge_.violated(Clause::rule_007, 0, "notified with 0x%x, no such queue is enabled", value);
        break;
    }
    case mmio::kInterruptAck:
        judge_.hold((value & ~(kUsedBuffer | kConfigChange)) == 0, Clause::mmio_022, 0, "InterruptACK is 0x%x", value);
        if (delivered_ && !status_read_) judge_.violated(Clause::mmio_032, 0, "an interrupt is acknowledged whose cause was not read");
        if ((value & interrupt_status_) != 0) judge_.held(Clause::mmio_021);
        interrupt_status_ &= ~value;
        delivered_ = delivered_ && interrupt_status_ != 0;
        unacknowledged_ = 0;
        break;
    case mmio::kStatus: write_status(value); break;
    default: break;
    }
}

void MmioDevice::write_ready(std::uint32_t value) {
    QueueRegisters* its = selected();
    if (its == nullptr) return;
    const auto index = static_cast<std::uint16_t>(queue_sel_);
    if (value == 0) {
        if (its->ready) its->queue->reset();
        its->ready = false;
        return;
    }
    if (its->reset_asked) {
        judge_.violated(Clause::mmio_023, index, "QueueReady is written while QueueReset reads 1");
        its->reset_asked = false;
        its->was_reset = true; // too early, but meant as a second start
    }
    if (its->was_reset) {
        judge_.hold((its->programmed & its->at_first) == its->at_first, Clause::reset_004, index,
                    "enabled again with registers 0x%x written, the first time 0x%x were", its->programmed, its->at_first);
    } else {
        const bool in_time = (status_ & status::kFeaturesOk) != 0 && (status_ & status::kDriverOk) == 0;
        judge_.hold(in_time, Clause::init_007, index, "the queue is enabled at status 0x%x", status_);
        judge_.hold(read_back_, Clause::init_006, index, "the queue is enabled before FEATURES_OK was read back");
        its->at_first = its->programmed;
    }
    its->was_reset = false;
    its->ready = its->queue->enable({.size = its->size,
                                     .descriptors = its->areas[0],
                                     .driver = its->areas[1],
                                     .device = its->areas[2],
                                     .features = accepted_,
                                     .index = index});
}

void MmioDevice::write_reset(std::uint32_t value) {
    QueueRegisters* its = selected();
    if (its == nullptr || value != 1) return;
    if ((accepted_ & feature::kRingReset) == 0) {
        judge_.violated(Clause::mmio_001, static_cast<std::uint16_t>(queue_sel_), "QueueReset is written without RING_RESET");
        return;
    }
    its->queue->request_reset();
    its->reset_asked = true;
}

void MmioDevice::finish_reset() {
    for (QueueRegisters& each : queues_) {
        each.queue->reset();
        each.ready = each.reset_asked = each.was_reset = false;
        each.programmed = 0;
        each.size = 0;
        std::ranges::fill(each.areas, 0);
    }
    resetting_ = read_back_ = false;
    accepted_ = 0;
    interrupt_status_ = 0;
    interrupt_noted_ = delivered_ = unacknowledged_told_ = false;
    device_sel_written_ = driver_sel_written_ = config_written_early_ = false;
}

void MmioDevice::write_status(std::uint32_t value) {
    judge_.log().add(EventKind::status, 0, value, status_);
    if (!any_status_write_) judge_.hold(value == 0, Clause::init_002, 0, "the first status written is 0x%x", value);
    any_status_write_ = true;
    if (value == 0) {
        old_status_ = resetting_ ? old_status_ : status_;
        status_ = 0;
        resetting_ = true;
        reset_reads_ = 0;
        for (QueueRegisters& each : queues_) each.queue->request_reset();
        return;
    }
    if (resetting_) {
        judge_.violated(Clause::reset_001, 0, "status 0x%x is written before the reset was seen to be done", value);
        finish_reset();
    }
    const std::uint32_t kept = status_ & ~(value | status::kNeedsReset);
    judge_.hold(kept == 0, Clause::status_002, 0, "status 0x%x drops bits of 0x%x", value, status_);
    const std::uint32_t added = value & ~status_;
    // Each bit needs those before it, and none comes together with another (3.1.1).
    static constexpr struct {
        std::uint32_t bit, before;
    } kSteps[] = {{status::kAcknowledge, 0},
                  {status::kDriver, status::kAcknowledge},
                  {status::kFeaturesOk, status::kAcknowledge | status::kDriver},
                  {status::kDriverOk, status::kAcknowledge | status::kDriver | status::kFeaturesOk}};
    for (const auto& step : kSteps)
        if ((added & step.bit) != 0)
            judge_.hold((status_ & step.before) == step.before && (added & ~step.bit & ~status::kFailed) == 0, Clause::init_001, 0,
                        "status goes from 0x%x to 0x%x", status_, value);
    if ((added & status::kFeaturesOk) != 0) {
        judge_.hold((accepted_ & ~device_.features) == 0, Clause::feat_001, 0, "accepted 0x%" PRIx64 ", offered 0x%" PRIx64, accepted_,
                    device_.features);
        if ((device_.features & feature::kVersion1) != 0)
            judge_.hold((accepted_ & feature::kVersion1) != 0, Clause::feat_014, 0, "accepted 0x%" PRIx64, accepted_);
        judge_.held(Clause::init_005);
        if (!config_written_early_) judge_.held(Clause::init_004);
        read_back_ = false;
        if (device_.refuse_features || (accepted_ & ~device_.features) != 0) value &= ~status::kFeaturesOk;
    }
    if ((added & status::kDriverOk) != 0)
        judge_.hold(read_back_ && (status_ & status::kFeaturesOk) != 0, Clause::init_006, 0, "DRIVER_OK at status 0x%x, FEATURES_OK %s",
                    status_, read_back_ ? "was read back" : "was not read back");
    status_ = value | (status_ & status::kNeedsReset);
}

} // namespace referee
