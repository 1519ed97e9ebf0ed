#include "tests/conformance/pci_script.hpp"

namespace scripted {
namespace {

// The common configuration structure (4.1.4.3).
constexpr std::uintptr_t kDriverSelect = 8, kDriverFeature = 12, kStatus = 20, kQueueSelect = 22, kQueueSize = 24, kQueueEnable = 28,
                         kQueueDescriptor = 32, kNotifyConfig = 56, kQueueReset = 58;
constexpr unsigned kPacked = 34, kOrderPlatform = 36, kNotificationData = 38, kNotifConfigData = 39, kRingReset = 40;
constexpr std::uint8_t kAcknowledge = 1, kDriver = 2, kDriverOk = 4, kFeaturesOk = 8;

} // namespace

void drive(conformance::PciSeat& seat, PciFault fault) {
    const auto is = [&](PciFault it) { return fault == it; };
    const auto bit = [](unsigned number) { return std::uint64_t{1} << number; };

    std::uint64_t features = seat.offered;
    if (is(PciFault::refuse_packed)) features &= ~bit(kPacked);
    if (is(PciFault::refuse_order)) features &= ~bit(kOrderPlatform);
    if (is(PciFault::refuse_config_data)) features &= ~bit(kNotifConfigData);
    seat.write(kStatus, 1, 0);
    seat.write(kStatus, 1, kAcknowledge);
    seat.write(kStatus, 1, kAcknowledge | kDriver);
    for (unsigned word : {1u, 0u}) {
        seat.write(kDriverSelect, 4, word);
        seat.write(kDriverFeature, 4, static_cast<std::uint32_t>(features >> (32 * word)));
    }
    seat.write(kStatus, 1, kAcknowledge | kDriver | kFeaturesOk);

    const bool data = (features & bit(kNotificationData)) != 0, config = (features & bit(kNotifConfigData)) != 0;
    const auto set_up = [&](unsigned queue, std::uint32_t size, bool addresses) {
        seat.write(kQueueSelect, 2, queue);
        if (is(PciFault::write_read_only)) seat.write(kNotifyConfig, 2, 7);
        seat.write(kQueueSize, 2, is(PciFault::size_zero) ? 0 : is(PciFault::size_not_a_power) ? 48 : size);
        for (std::uintptr_t at = kQueueDescriptor; addresses && at < kNotifyConfig; at += 4) seat.write(at, 4, 0x1000);
        seat.write(kQueueEnable, 2, 1);
    };
    const auto notify = [&](unsigned queue) {
        seat.write(kQueueSelect, 2, queue);
        std::uint32_t value = config ? seat.read(kNotifyConfig, 2) : queue;
        if (is(PciFault::wrong_name)) value = config ? queue : queue + 1;
        if (data) value |= 1u << 16;
        const unsigned width = is(PciFault::wrong_width) == data ? 2 : 4;
        seat.write(conformance::PciSeat::kNotify + queue * conformance::PciSeat::kMultiplier, width, value);
    };
    for (unsigned queue = 0; queue < conformance::PciSeat::kQueues; ++queue) set_up(queue, 64, true);
    seat.write(kStatus, 1, kAcknowledge | kDriver | kFeaturesOk | kDriverOk);
    for (unsigned queue = 0; queue < conformance::PciSeat::kQueues; ++queue) notify(queue);

    if ((features & bit(kRingReset)) == 0) return;
    seat.write(kQueueSelect, 2, 1);
    seat.write(kQueueReset, 2, 1);
    while (!is(PciFault::impatient) && seat.read(kQueueReset, 2) != 0) {
    }
    set_up(1, 32, !is(PciFault::half_set_up));
    notify(1);
}

} // namespace scripted
