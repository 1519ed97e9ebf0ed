#include "tests/conformance/mmio_script.hpp"

#include <cstring>

#include "tests/conformance/scripted_driver.hpp"
#include "tests/referee/wire.hpp"

namespace scripted {

bool drive_mmio(const referee_access& access, std::uint64_t base, const conformance::Combination& together, MmioFault fault) {
    namespace mmio = referee::mmio;
    namespace status = referee::status;
    const auto read = [&](std::uint64_t at) { return static_cast<std::uint32_t>(access.read(access.context, base + at, 4)); };
    const auto write = [&](std::uint64_t at, std::uint64_t value) { access.write(access.context, base + at, 4, value & 0xffff'ffff); };
    const auto is = [&](MmioFault it) { return fault == it; };
    const auto host = [&](std::uint64_t guest) { return static_cast<std::byte*>(access.memory) + (guest - access.memory_address); };
    const std::uint64_t features = together.features() | referee::feature::kRingReset;

    if (read(mmio::kMagicValue) != mmio::kMagic || read(mmio::kVersion) != 2 || read(mmio::kDeviceId) == 0) return false;
    const auto bring_up = [&] {
        write(mmio::kStatus, 0);
        while (!is(MmioFault::reset_unproven) && read(mmio::kStatus) != 0) {
        }
        write(mmio::kStatus, status::kAcknowledge);
        write(mmio::kStatus, status::kAcknowledge | status::kDriver);
        for (std::uint32_t word = 0; word < 2; ++word) {
            write(mmio::kDeviceFeaturesSel, word);
            static_cast<void>(read(mmio::kDeviceFeatures));
            write(mmio::kDriverFeaturesSel, word);
            write(mmio::kDriverFeatures, features >> (32 * word));
        }
        write(mmio::kStatus, status::kAcknowledge | status::kDriver | status::kFeaturesOk);
        return (read(mmio::kStatus) & status::kFeaturesOk) != 0;
    };
    if (!bring_up()) return false;

    struct Queue {
        std::uint64_t memory = 0, buffers = 0;
        std::unique_ptr<Driver> driver;
    } queues[2];
    const auto make_queue = [&](std::uint16_t index, std::uint16_t size) {
        Queue& queue = queues[index];
        const std::size_t bytes = Driver::footprint(size);
        queue.memory = access.allocate(access.context, bytes, 4096);
        queue.buffers = access.allocate(access.context, 4096, 16);
        std::memset(host(queue.memory), 0, bytes);
        queue.driver = make(
            {.packed = together.packed,
             .indirect = together.indirect,
             .event_index = together.event_index,
             .in_order = together.in_order,
             .notification_data = together.notification_data,
             .size = size,
             .queue = index},
            {host(queue.memory), queue.memory}, [write](std::uint32_t value) { write(mmio::kQueueNotify, value); }, [] {});
    };
    const auto set_up = [&](std::uint16_t index, std::uint32_t size, bool addresses) {
        const Driver& driver = *queues[index].driver;
        write(mmio::kQueueSel, index);
        static_cast<void>(read(mmio::kQueueReady));
        const std::uint32_t most = read(mmio::kQueueSizeMax);
        write(mmio::kQueueSize, is(MmioFault::queue_too_large) ? 2 * most : size);
        if (addresses) {
            const auto area = [&](std::uint64_t low, std::uint64_t address) {
                write(low, address);
                write(low + 4, address >> 32);
            };
            area(mmio::kQueueDescLow, driver.descriptor_area());
            area(mmio::kQueueDriverLow, driver.driver_area());
            area(mmio::kQueueDeviceLow, driver.device_area());
        }
        write(mmio::kQueueReady, 1);
        if (is(MmioFault::queue_while_ready)) write(mmio::kQueueSize, size);
    };
    const auto send = [&](Queue& queue) {
        const Part readable{queue.buffers, 64}, writable{queue.buffers + 64, 64};
        queue.driver->add({&readable, 1}, {&writable, 1}, Shape::direct, 0);
        queue.driver->publish();
        queue.driver->kick();
    };
    const auto free_memory = [&](Queue& queue) {
        for (std::uint64_t* memory : {&queue.buffers, &queue.memory}) {
            if (*memory != 0) access.release(access.context, *memory);
            *memory = 0;
        }
    };

    for (std::uint16_t i = 0; i < 2; ++i) {
        make_queue(i, together.size);
        set_up(i, together.size, true);
    }
    write(mmio::kStatus, status::kAcknowledge | status::kDriver | status::kFeaturesOk | status::kDriverOk);
    if (is(MmioFault::queue_too_large)) return true; // such a ring cannot be served
    for (Queue& queue : queues) {
        send(queue);
        access.step(access.context);
        queue.driver->reap();
    }

    // Queue 1 alone, with a buffer in flight.
    send(queues[1]);
    write(mmio::kQueueSel, 1);
    write(mmio::kQueueReset, 1);
    while (!is(MmioFault::queue_reset_unproven) && read(mmio::kQueueReset) != 0) {
    }
    const auto second = static_cast<std::uint16_t>(together.packed ? 7 : 8);
    if (!is(MmioFault::queue_reset_unproven)) free_memory(queues[1]);
    make_queue(1, second);
    set_up(1, second, !is(MmioFault::half_set_up));
    if (is(MmioFault::half_set_up) || is(MmioFault::queue_reset_unproven)) return true;
    send(queues[1]);
    access.step(access.context);

    // The end, with a buffer in flight in queue 0.
    send(queues[0]);
    access.step(access.context);
    if (is(MmioFault::freed_before_reset)) free_memory(queues[0]);
    write(mmio::kStatus, 0);
    if (!is(MmioFault::reset_unproven)) {
        while (read(mmio::kStatus) != 0) {
        }
        for (Queue& queue : queues) free_memory(queue);
    }
    return bring_up();
}

} // namespace scripted
