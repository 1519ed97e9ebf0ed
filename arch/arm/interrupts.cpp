// Lines and messages of ARM machines: INTIDs of a GIC, whose version the machine chooses.
#include "arch/interrupts.hpp"

#include "arch/arm/gic.hpp"
#include "arch/arm/gic_v2m.hpp"
#include "arch/arm/interrupt_vectors.hpp"

namespace arch {
namespace {

constinit GicV2m message_frame;

} // namespace

bool Gic::connect_message(std::uint32_t, std::uint32_t, std::uint32_t, Message&) noexcept { return false; }
void Gic::disconnect_message(std::uint32_t) noexcept {}

const char* start_interrupts(const Hardware& hardware, MapRegisters map) noexcept {
    Gic* gic = choose_gic(hardware);
    if (gic == nullptr) return "there is no GIC that we know";
    if (const char* missing = gic->start(hardware, map)) return missing;
    interrupt_vectors.gic = gic;
    static_cast<void>(message_frame.start(hardware, map)); // without one, devices use lines
    return nullptr;
}

bool route_line(const Line& line, std::uint32_t vector) noexcept {
    // A GIC's inputs are active high; the few lines that are not have an inverter in front of them.
    if (line.gsi >= Gic::kInputs) return false;
    const std::uint8_t before = interrupt_vectors.of_intid[line.gsi];
    interrupt_vectors.of_intid[line.gsi] = static_cast<std::uint8_t>(vector);
    if (interrupt_vectors.gic->enable(line.gsi, line.trigger)) return true;
    interrupt_vectors.of_intid[line.gsi] = before;
    return false;
}

void mask_line(std::uint32_t gsi) noexcept {
    if (gsi < Gic::kInputs) interrupt_vectors.gic->disable(gsi);
}

bool connect_message(std::uint32_t vector, std::uint32_t device, std::uint32_t index, Message& message) noexcept {
    if (!message_frame.started()) return interrupt_vectors.gic->connect_message(vector, device, index, message);
    const std::uint32_t intid = message_frame.allocate(vector);
    if (intid == 0) return false;
    if (!route_line({.gsi = intid, .trigger = Trigger::edge}, vector)) {
        static_cast<void>(message_frame.release(vector));
        return false;
    }
    message = message_frame.message(intid);
    return true;
}

void disconnect_message(std::uint32_t vector) noexcept {
    if (!message_frame.started()) return interrupt_vectors.gic->disconnect_message(vector);
    const std::uint32_t intid = message_frame.release(vector);
    if (intid == 0) return;
    mask_line(intid);
    interrupt_vectors.of_intid[intid] = 0;
}

} // namespace arch
