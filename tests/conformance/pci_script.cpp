#include "tests/conformance/pci_script.hpp"

namespace scripted {

void drive(conformance::PciSeat& seat, PciFault fault) {
    const auto is = [&](PciFault it) { return fault == it; };
    const auto bit = [](unsigned number) { return std::uint64_t{1} << number; };

    std::uint64_t features = seat.offered;
    if (is(PciFault::refuse_packed)) features &= ~bit(34);
    if (is(PciFault::refuse_order)) features &= ~bit(36);
    if (is(PciFault::refuse_config_data)) features &= ~bit(39);
    seat.write(20, 1, 0);
    seat.write(20, 1, 1);
    seat.write(20, 1, 3);
    for (unsigned word : {1u, 0u}) {
        seat.write(8, 4, word);
        seat.write(12, 4, static_cast<std::uint32_t>(features >> (32 * word)));
    }
    seat.write(20, 1, 11);

    const bool data = (features & bit(38)) != 0, config = (features & bit(39)) != 0;
    const auto set_up = [&](unsigned queue, std::uint32_t size, bool addresses) {
        seat.write(22, 2, queue);
        if (is(PciFault::write_read_only)) seat.write(56, 2, 7);
        seat.write(24, 2, is(PciFault::size_zero) ? 0 : is(PciFault::size_not_a_power) ? 48 : size);
        for (std::uintptr_t at = 32; addresses && at < 56; at += 4) seat.write(at, 4, 0x1000);
        seat.write(28, 2, 1);
    };
    const auto notify = [&](unsigned queue) {
        seat.write(22, 2, queue);
        std::uint32_t value = config ? seat.read(56, 2) : queue;
        if (is(PciFault::wrong_name)) value = config ? queue : queue + 1;
        if (data) value |= 1u << 16;
        const unsigned width = is(PciFault::wrong_width) == data ? 2 : 4;
        seat.write(conformance::PciSeat::kNotify + queue * conformance::PciSeat::kMultiplier, width, value);
    };
    for (unsigned queue = 0; queue < conformance::PciSeat::kQueues; ++queue) set_up(queue, 64, true);
    seat.write(20, 1, 15);
    for (unsigned queue = 0; queue < conformance::PciSeat::kQueues; ++queue) notify(queue);

    if ((features & bit(40)) == 0) return;
    seat.write(22, 2, 1);
    seat.write(58, 2, 1);
    while (!is(PciFault::impatient) && seat.read(58, 2) != 0) {
    }
    set_up(1, 32, !is(PciFault::half_set_up));
    notify(1);
}

} // namespace scripted
