// MULTIPORT's control messages (VIRTIO 1.4, 5.3.6.2). The device may send them in any order, for any port, as fast as it likes:
// each changes a few words of a port's record, and answers are bits that wait for a free slot, so a flood cannot pile anything up.
#include <bit>

#include "drivers/console/console.hpp"
#include "libvirtio/bytes.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

// Messages that the device sends in answer to one PORT_READY: CONSOLE_PORT, PORT_NAME, PORT_OPEN; and room for one more. QEMU
// drops what finds no buffer, so no more of ours are under way than the buffers lent can answer.
constexpr unsigned kAnswersToReady = 4;
constexpr std::size_t kTransmitStride = 16;

} // namespace

Result<> ConsoleDevice::start_control() noexcept {
    const Result<DmaMemory> receive = domain_->allocate(std::size_t{kControlReceive} * kControlBytes, kDmaLine);
    if (!receive) return fail(receive.error());
    control_receive_memory_ = *receive;
    const Result<DmaMemory> transmit = domain_->allocate(kControlTransmit * kTransmitStride, kDmaLine);
    if (!transmit) return fail(transmit.error());
    control_transmit_memory_ = *transmit;
    control_lent_ = 0;
    for (unsigned i = 0; i < kControlReceive && i < control_receive_.size(); ++i) {
        control_receive_slots_[i].owner = this;
        control_receive_slots_[i].complete = &ConsoleDevice::control_received;
        static_cast<void>(lend_control(i));
    }
    control_receive_.publish();
    control_free_ = 0;
    for (unsigned i = 0; i < kControlTransmit && i < control_transmit_.size(); ++i) {
        control_transmit_slots_[i].owner = this;
        control_transmit_slots_[i].complete = &ConsoleDevice::control_sent;
        control_free_ = static_cast<std::uint16_t>(control_free_ | 1u << i);
    }
    return {};
}

bool ConsoleDevice::lend_control(unsigned index) noexcept {
    const Segment segment = control_receive_memory_.segment(std::size_t{index} * kControlBytes, kControlBytes);
    const bool lent = control_receive_.add({}, {&segment, 1}, control_receive_slots_[index]).has_value();
    if (lent) ++control_lent_;
    return lent;
}

void ConsoleDevice::control_received(Request& request) noexcept {
    auto& slot = static_cast<ControlSlot&>(request);
    ConsoleDevice& console = *slot.owner;
    --console.control_lent_;
    if (slot.error != Error::none && !mutant(530)) return;
    ++console.handled_;
    const auto index = static_cast<unsigned>(&slot - console.control_receive_slots_.data());
    // Copied once, so that the device cannot change it under our checks; `length` is at most what was lent.
    std::array<std::byte, kControlBytes> message;
    copy_bytes(message.data(), console.control_receive_memory_.data + std::size_t{index} * kControlBytes, slot.length);
    console.control_receive_.count_bytes(slot.length);
    const std::uint32_t length = slot.length; // QEMU claims the whole of a name that did not fit
    static_cast<void>(console.lend_control(index));
    console.handle(message.data(), length);
}

void ConsoleDevice::handle(const std::byte* data, std::uint32_t length) noexcept {
    ++counters_.control_messages;
    if (length < sizeof(ConsoleControl) && !mutant(531)) return bad_control();
    ConsoleControl message;
    copy_bytes(&message, data, sizeof message);
    const std::uint32_t id = message.id.load();
    const auto event = static_cast<ConsoleEvent>(message.event.load());
    if (id >= port_limit_ && !mutant(532)) {
        if ((id >= device_ports_ && !mutant(533)) || (event != ConsoleEvent::port_add && !mutant(534))) return bad_control();
        ++counters_.ports_refused; // a real port, but one more than we serve
        refused_id_ = id;
        refuse_wanted_ = true;
        return;
    }
    handle_port(ports_[id], event, message.value.load(), data + sizeof message, length - static_cast<std::uint32_t>(sizeof message));
}

void ConsoleDevice::handle_port(ConsolePort& port, ConsoleEvent event, std::uint16_t value, const std::byte* data,
                                std::uint32_t length) noexcept {
    // A message about a port that was not announced yet is remembered for when it is (trap 35: they come in any order).
    switch (event) {
    case ConsoleEvent::port_add: return add_port(port);
    case ConsoleEvent::port_remove: {
        if (!port.present_ && !mutant(535)) return bad_control();
        const std::uint32_t bit = 1u << port.id_;
        ready_wanted_ &= ~bit;
        open_wanted_ &= ~bit;
        port.remove();
        return;
    }
    case ConsoleEvent::console_port:
        port.console_ = true;
        port.guest_open_ = true;
        ask_open(port); // CONS-005, CONS-006
        if (port.present_ || mutant(536)) port.tell(ConsoleChange::became_console);
        return;
    case ConsoleEvent::resize: {
        if (length < sizeof(ConsoleResize) && !mutant(537)) return bad_control();
        ConsoleResize size;
        copy_bytes(&size, data, sizeof size);
        port.size_ = {size.columns.load(), size.rows.load()};
        if (port.present_ || mutant(538)) port.tell(ConsoleChange::resized);
        return;
    }
    case ConsoleEvent::port_open: return port.set_host_open(value != 0);
    case ConsoleEvent::port_name:
        port.set_name({data, length});
        if (port.present_ || mutant(539)) port.tell(ConsoleChange::named);
        return;
    default: return bad_control(); // ours only, or unknown
    }
}

void ConsoleDevice::add_port(ConsolePort& port) noexcept {
    if (port.present_ && !mutant(540)) return bad_control();
    if (port.has_leftovers() && !mutant(541)) return request_recovery("console: a new port would get an old one's output");
    if (!port.prepare()) {
        ++counters_.ports_refused;
        platform_->log(LogLevel::error, "console: no memory for a port");
        return ask_ready(port, false);
    }
    port.present_ = true;
    ask_ready(port, true);
    if (port.guest_open_) ask_open(port); // it was open before a reset
    port.tell(ConsoleChange::added);
    if (port.name_length_ != 0) port.tell(ConsoleChange::named);
    if (port.console_) port.tell(ConsoleChange::became_console);
    if (port.host_open_) port.tell(ConsoleChange::host_opened);
}

void ConsoleDevice::ask_ready(ConsolePort& port, bool accepted) noexcept {
    const std::uint32_t bit = 1u << port.id_;
    ready_wanted_ |= bit;
    ready_accepted_ = accepted ? ready_accepted_ | bit : ready_accepted_ & ~bit;
}

void ConsoleDevice::ask_open(ConsolePort& port) noexcept {
    open_wanted_ |= 1u << port.id_;
    pump_control();
}

bool ConsoleDevice::send_control(std::uint32_t id, ConsoleEvent event, std::uint16_t value) noexcept {
    if (control_free_ == 0 && !mutant(543)) return false;
    const auto index = static_cast<unsigned>(std::countr_zero(control_free_));
    const ConsoleControl message{Le32{id}, Le16{static_cast<std::uint16_t>(event)}, Le16{value}};
    copy_bytes(control_transmit_memory_.data + index * kTransmitStride, &message, sizeof message);
    const Segment segment = control_transmit_memory_.segment(index * kTransmitStride, sizeof message);
    ControlSlot& slot = control_transmit_slots_[index];
    slot.ready = event == ConsoleEvent::port_ready;
    if (!control_transmit_.add({&segment, 1}, {}, slot)) return false;
    control_transmit_.count_bytes(sizeof message);
    control_free_ = static_cast<std::uint16_t>(control_free_ & ~(1u << index));
    if (slot.ready) ++readies_in_flight_;
    return true;
}

void ConsoleDevice::control_sent(Request& request) noexcept {
    auto& slot = static_cast<ControlSlot&>(request);
    ConsoleDevice& console = *slot.owner;
    const auto index = static_cast<unsigned>(&slot - console.control_transmit_slots_.data());
    console.control_free_ = static_cast<std::uint16_t>(console.control_free_ | 1u << index);
    if (slot.ready) --console.readies_in_flight_;
    slot.ready = false;
    ++console.handled_;
}

void ConsoleDevice::send_readies() noexcept {
    while (ready_wanted_ != 0 && (readies_in_flight_ == 0 || (readies_in_flight_ + 1) * kAnswersToReady <= control_lent_ || mutant(544))) {
        const auto id = static_cast<std::uint32_t>(std::countr_zero(ready_wanted_));
        const std::uint32_t bit = 1u << id;
        if (!send_control(id, ConsoleEvent::port_ready, (ready_accepted_ & bit) != 0 ? 1 : 0)) break;
        ready_wanted_ &= ~bit;
    }
}

void ConsoleDevice::pump_control() noexcept {
    if (!device_.started() || !control_transmit_.created()) return;
    control_receive_.kick(); // buffers for the answers first
    if (device_ready_wanted_ && send_control(0, ConsoleEvent::device_ready, 1)) device_ready_wanted_ = false; // CONS-003
    // Open follows ready: QEMU forgets what is said of a port that is not ready.
    std::uint32_t opened = 0;
    for (std::uint32_t left = open_wanted_ & ~ready_wanted_; left != 0; left &= left - 1) {
        const auto id = static_cast<std::uint32_t>(std::countr_zero(left));
        if (!ports_[id].present_ && !mutant(545)) continue;
        if (!send_control(id, ConsoleEvent::port_open, ports_[id].guest_open_ ? 1 : 0)) break;
        open_wanted_ &= ~(1u << id);
        if (ports_[id].guest_open_) opened |= 1u << id;
    }
    if (refuse_wanted_ && send_control(refused_id_, ConsoleEvent::port_ready, 0)) refuse_wanted_ = false;
    control_transmit_.kick();
    // Input that waited at the host for this side to open: QEMU looks at it again only when it hears of buffers.
    for (; opened != 0; opened &= opened - 1) ports_[static_cast<unsigned>(std::countr_zero(opened))].receive_.kick_always();
    if (control_transmit_.in_flight() != 0 && control_transmit_.arm_interrupts()) look_again(Device::queue_bit(kControlTransmitQueue));
}

bool ConsoleDevice::settled() const noexcept {
    if (!multiport_) return true;
    // QEMU's answers to a message are received before the message comes back, so nothing is on its way then.
    return !device_ready_wanted_ && ready_wanted_ == 0 && control_transmit_.in_flight() == 0 && !control_receive_.pending();
}

bool ConsoleDevice::settle() noexcept {
    const std::uint64_t deadline = platform_->now_ns() + kSettleNs;
    // wait() returns at once while there is news, whatever the time is: a device that never stops talking ends here by the clock.
    while (!settled() && !needs_recovery_ && platform_->now_ns() < deadline) {
        static_cast<void>(device_.wait(deadline));
        static_cast<void>(poll());
    }
    static_cast<void>(poll());
    return settled();
}

bool ConsoleDevice::service_control() noexcept {
    if (!control_receive_.created()) return false;
    const bool news = !control_armed_ || control_receive_.pending() || control_transmit_.pending();
    if (!news) return false;
    in_control_ = true;
    control_receive_.suppress_interrupts();
    control_transmit_.suppress_interrupts();
    // Finished messages of ours first: the device's answers to them are then among those received.
    static_cast<void>(control_transmit_.poll(kControlTransmit));
    static_cast<void>(control_receive_.poll(kControlReceive));
    // Here, and only here, is known how many buffers really wait for answers.
    send_readies();
    pump_control();
    const bool more = control_receive_.arm_interrupts();
    control_armed_ = !more;
    in_control_ = false;
    return more || control_transmit_.pending();
}

void ConsoleDevice::catch_up() noexcept {
    // The two queues are read one after the other, and a host that opens and sends at once can fall between: who then answers what he
    // read would find the port closed. The device announced PORT_OPEN first, so with the input in hand its message is there.
    if (!multiport_) return;
    const unsigned before = handled_;
    const bool more = service_control();
    // What the messages brought about is for poll(), which sees to every port.
    if (more || handled_ != before) look_again(Device::queue_bit(kControlReceiveQueue));
}

} // namespace virtio
