// The line of an MMIO device: what comes while the handler is at work.
#include <doctest/doctest.h>

#include <utility>

#include "kernel/device_manager/mmio_line.hpp"
#include "tests/unit/support/fake_device.hpp"

using namespace virtio;

namespace {

/// InterruptStatus and InterruptACK as memory. A write to the second has no effect, so what the driver does to them goes through a function.
struct Registers {
    std::uint32_t status = 0, acknowledge = 0;
    unsigned reads = 0;
    std::uint32_t later = 0; // comes between a look at the status and its acknowledgement
    bool sticks = false;     // the device always has something to say
};

std::uint32_t read_and_acknowledge(void* context) noexcept {
    auto& registers = *static_cast<Registers*>(context);
    ++registers.reads;
    const std::uint32_t seen = registers.status;
    if (!registers.sticks) registers.status = (registers.status | std::exchange(registers.later, 0)) & ~seen;
    return seen;
}

class Slot final : public fake::FakeDevice {
public:
    Slot(Options options, Registers& registers) : FakeDevice(std::move(options)), registers_(registers) {}
    InterruptStatus interrupt_status() const noexcept override { return InterruptStatus::through(read_and_acknowledge, &registers_); }

private:
    Registers& registers_;
};

struct Bench {
    explicit Bench(kernel::Trigger trigger) : device(options(), registers) {
        REQUIRE(driver.begin(platform, device, 4));
        REQUIRE(driver.negotiate({}, {}));
        driver.connect_interrupts(1);
        REQUIRE(driver.add_queue(0, queue, {}));
        REQUIRE(driver.run());
        REQUIRE(driver.interrupt_mode() == InterruptMode::line);
        line.line.trigger = trigger;
        line.status = InterruptStatus::at(InterruptStatus::Kind::mmio32, reinterpret_cast<std::uintptr_t>(&registers.status));
        line.device = &place;
    }
    ~Bench() { static_cast<void>(driver.stop()); }

    static fake::FakeDevice::Options options() {
        fake::FakeDevice::Options options;
        options.type = 4;
        options.features = FeatureSet::of(RingFeature::version_1);
        options.queue_sizes = {16};
        options.messages = 0;
        options.line = true;
        return options;
    }

    Registers registers;
    fake::HostPlatform platform;
    Slot device;
    Virtqueue queue;
    Device driver;
    Device* place = &driver;
    kernel::MmioLine line;
};

} // namespace

TEST_CASE("MMIO line: what comes between the look and the acknowledgement is not lost on an edge-triggered line") {
    Bench bench(kernel::Trigger::edge);
    bench.registers.status = InterruptStatus::kQueue;
    bench.registers.later = InterruptStatus::kConfig;
    kernel::MmioLine::raised(&bench.line, 0);
    CHECK(bench.registers.status == 0);
    CHECK(bench.registers.reads == 2);
    CHECK(bench.driver.event().pending());
    CHECK(bench.driver.take_config_change());
    CHECK(bench.driver.spurious_interrupts() == 0);
}

TEST_CASE("MMIO line: a level-triggered line comes again by itself") {
    Bench bench(kernel::Trigger::level);
    bench.registers.status = InterruptStatus::kQueue;
    bench.registers.later = InterruptStatus::kConfig;
    kernel::MmioLine::raised(&bench.line, 0);
    CHECK(bench.registers.reads == 1);
}

TEST_CASE("MMIO line: a device that always has something to say does not hold the processor") {
    Bench bench(kernel::Trigger::edge);
    bench.registers.status = InterruptStatus::kQueue;
    bench.registers.sticks = true;
    kernel::MmioLine::raised(&bench.line, 0);
    CHECK(bench.registers.reads == 4);
    bench.place = nullptr; // no driver
    kernel::MmioLine::raised(&bench.line, 0);
    CHECK(bench.registers.acknowledge == InterruptStatus::kQueue);
}
