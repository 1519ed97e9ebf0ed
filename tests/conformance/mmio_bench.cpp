#include "tests/conformance/mmio_bench.hpp"

#include <ringside/arch/io.hpp>

namespace conformance {

OurDevice::OurDevice(std::uint64_t features, std::uint16_t queue_size, const referee::Script& script)
    : machine({.memory = std::size_t{1} << 20}), platform(machine.memory()) {
    machine.add_mmio(kBase, referee::Echo{.queue_sizes = {queue_size, queue_size}, .features = features, .script = script});
    arch::observed_registers() = {kBase, 0x200, this,
                                  [](void* context, std::uintptr_t offset, unsigned width) noexcept {
                                      const referee_access& access = *static_cast<OurDevice*>(context)->machine.access();
                                      return static_cast<std::uint32_t>(access.read(access.context, kBase + offset, width));
                                  },
                                  [](void* context, std::uintptr_t offset, unsigned width, std::uint32_t value) noexcept {
                                      const referee_access& access = *static_cast<OurDevice*>(context)->machine.access();
                                      access.write(access.context, kBase + offset, width, value);
                                  }};
    const referee_access& access = *machine.access();
    access.connect(access.context, kBase, [](void* argument) { static_cast<virtio::Device*>(argument)->on_interrupt(0); }, &device);
    const auto must = [&](const virtio::Result<>& done, const char* what) {
        if (!done && mistakes.empty()) mistakes.push_back(std::string(what) + ": " + virtio::message(done.error()));
        return done.has_value();
    };
    if (!must(transport.open(platform, kBase, 0x200), "open") || !must(device.begin(platform, transport, 4), "begin") ||
        !must(device.negotiate({}, {}), "negotiate"))
        return;
    device.connect_interrupts(2);
    for (std::uint16_t i = 0; i < 2; ++i)
        if (!must(device.add_queue(i, queues[i], {.indirect_entries = 4}), "add_queue")) return;
    must(device.run(), "run");
}

OurDevice::~OurDevice() {
    static_cast<void>(device.stop());
    arch::observed_registers() = {};
}

bool OurDevice::send(unsigned queue) {
    auto buffer = std::make_unique<Buffer>();
    buffer->memory = machine.memory().allocate(128);
    buffer->complete = [](virtio::Request&) noexcept {};
    const virtio::Segment readable{{buffer->memory}, 64}, writable{{buffer->memory + 64}, 64};
    if (!queues[queue].add({&readable, 1}, {&writable, 1}, *buffer)) return false;
    queues[queue].kick();
    buffers_.push_back(std::move(buffer));
    return true;
}

bool OurDevice::echo(unsigned queue) {
    if (!send(queue)) return false;
    Buffer& buffer = *buffers_.back();
    for (unsigned i = 0; i < 100 && !buffer.done(); ++i) {
        machine.step();
        if (device.event().take() == 0) continue;
        for (virtio::Virtqueue& each : queues) // one line for both
            do {
                each.suppress_interrupts();
                while (each.poll(8) == 8) {
                }
            } while (each.arm_interrupts());
    }
    const bool back = buffer.done() && buffer.error == virtio::Error::none && buffer.length == 64;
    if (buffer.done()) machine.memory().release(buffer.memory);
    return back;
}

} // namespace conformance
