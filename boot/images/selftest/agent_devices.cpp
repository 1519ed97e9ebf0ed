// The agent's list of devices: what the kernel negotiated and counted, for comparison with what QEMU says.
#include "boot/images/selftest/agent.hpp"
#include "kernel/device_manager/device_manager.hpp"

namespace selftest {

namespace {

void list(const Words&, Answer& answer) {
    for (const kernel::DeviceEntry& entry : kernel::devices()) {
        const virtio::Device* device = entry.device();
        answer.value("name", std::string_view(entry.name()));
        answer.value("where", std::string_view(entry.where()));
        answer.value("found_by", std::string_view(entry.found_by()));
        answer.value("transport", std::string_view(entry.transport()));
        answer.value("type", entry.type());
        answer.value("running", entry.running() ? 1 : 0);
        answer.value("problem", std::string_view(entry.problem()));
        if (device != nullptr) {
            answer.print("features", "0x%llx",
                         static_cast<unsigned long long>(device->features().word(1)) << 32 | device->features().word(0));
            answer.value("interrupts", std::string_view(virtio::name(device->interrupt_mode())));
            answer.value("irqs", device->interrupts());
            answer.value("spurious", device->spurious_interrupts());
            std::uint64_t rescues = device->watchdog_rescues(), broken = 0;
            virtio::QueueCounters sum;
            for (const virtio::Virtqueue* queue : device->queues()) {
                if (queue == nullptr) continue;
                const virtio::QueueCounters& counters = queue->counters();
                rescues += counters.watchdog_rescues;
                broken += queue->broken() ? 1 : 0;
                sum.requests += counters.requests;
                sum.completions += counters.completions;
                sum.kicks += counters.kicks;
                sum.kicks_suppressed += counters.kicks_suppressed;
                sum.ring_full += counters.ring_full;
                sum.errors += counters.errors;
            }
            answer.value("queues", device->queues().size());
            answer.value("rescues", rescues);
            answer.value("broken", broken);
            answer.value("requests", sum.requests);
            answer.value("completions", sum.completions);
            answer.value("kicks", sum.kicks);
            answer.value("suppressed", sum.kicks_suppressed);
            answer.value("full", sum.ring_full);
            answer.value("errors", sum.errors);
        }
        answer.item();
    }
}

} // namespace

std::span<const Verb> device_verbs() {
    static constexpr Verb kVerbs[] = {{"devices", 0, list}};
    return kVerbs;
}

} // namespace selftest
