// Starting, serving and ending a console device; control messages are in control.cpp, a port's streams in port.cpp.
#include "drivers/console/console.hpp"

#include "libvirtio/memory.hpp"

namespace virtio {

Result<> ConsoleDevice::start(Platform& platform, Transport& transport, const Options& options) noexcept {
    if (device_.started() && !mutant(500)) return fail(Error::already_started);
    options_ = options;
    platform_ = &platform;
    transport_ = &transport;
    counters_ = {};
    const Result<> running = run();
    if (!running) {
        device_.abort();
        end();
    }
    return running;
}

Result<> ConsoleDevice::run() noexcept {
    needs_recovery_ = false;
    multiport_ = false;
    port_limit_ = 0;
    control_armed_ = false;
    if (const Result<> done = device_.begin(*platform_, *transport_, kConsoleType); !done) return done;
    emergency_ = device_.offered().has(ConsoleFeature::emerg_write);

    Policy policy;
    policy.wanted = FeatureSet::of(ConsoleFeature::size, ConsoleFeature::emerg_write);
    if (options_.multiport) policy.wanted.insert(ConsoleFeature::multiport);
    if (const Result<> done = device_.negotiate(policy, {}); !done) return done;
    domain_ = &device_.domain();
    multiport_ = device_.features().has(ConsoleFeature::multiport);
    device_ports_ = 1;
    if (multiport_) {
        const Result<std::uint32_t> maximum = device_.config().read(console_config::kMaximumPorts);
        if (!maximum) return fail(maximum.error());
        device_ports_ = *maximum;
        if (device_ports_ == 0 && !mutant(501)) return fail(Error::bad_config);
    }
    const std::uint32_t ours = options_.maximum_ports < kMaximumPorts || mutant(502) ? options_.maximum_ports : kMaximumPorts;
    port_limit_ = device_ports_ < ours || mutant(503) ? device_ports_ : ours;
    if (port_limit_ == 0 && !mutant(504)) return fail(Error::invalid_argument);
    for (std::uint32_t id = 0; id < port_limit_; ++id) ports_[id].attach(*this, id);

    device_.connect_interrupts(console_queue_count(port_limit_, multiport_));
    if (const Result<> done = start_queues(); !done) return done;
    if (const Result<> done = multiport_ ? start_control() : ports_[0].prepare(); !done) return done;
    if (const Result<> done = device_.run(); !done) return done;
    if (multiport_) {
        device_ready_wanted_ = true;
        pump_control();
    } else {
        ConsolePort& port = ports_[0];
        port.present_ = port.host_open_ = port.console_ = port.guest_open_ = true;
        port.tell(ConsoleChange::added);
        port.tell(ConsoleChange::became_console);
    }
    read_size();
    return {};
}

Result<> ConsoleDevice::start_queues() noexcept {
    const QueueOptions options{.maximum_size = options_.queue_size};
    for (std::uint32_t id = 0; id < port_limit_; ++id) {
        ConsolePort& port = ports_[id];
        Result<> done = device_.add_queue(console_receive_queue(id), port.receive_, options);
        if (done) done = device_.add_queue(console_transmit_queue(id), port.transmit_, options);
        if (!done && done.error() == Error::queue_unavailable && id != 0 && !mutant(505)) {
            port_limit_ = id; // the device promises more ports than it has queues for
            break;
        }
        if (!done) return done;
        if (id != 0 || !multiport_) continue;
        if (const Result<> made = device_.add_queue(kControlReceiveQueue, control_receive_, options); !made) return made;
        if (const Result<> made = device_.add_queue(kControlTransmitQueue, control_transmit_, options); !made) return made;
    }
    return {};
}

Result<> ConsoleDevice::stop() noexcept {
    for (ConsolePort& port : ports()) port.guest_open_ = false;
    const Result<> stopped = device_.stop(Error::closed);
    end();
    emergency_ = false;
    return stopped;
}

void ConsoleDevice::quiesce() noexcept {
    // What healthy ports have on their way would be lost with the reset: a moment for it.
    const std::uint64_t deadline = platform_->now_ns() + kQuiesceNs;
    for (;;) {
        static_cast<void>(poll());
        bool busy = false;
        for (const ConsolePort& port : ports()) {
            if ((port.receive_.broken() || port.transmit_.broken()) && !mutant(507)) return;
            busy = busy || (port.host_open() && (port.under_way_ != 0 || port.fill_ != 0));
        }
        if (!busy || control_receive_.broken() || !device_.started() || (platform_->now_ns() >= deadline && !mutant(508))) return;
        static_cast<void>(device_.wait(deadline));
    }
}

Result<> ConsoleDevice::remove() noexcept {
    const Result<> stopped = stop();
    device_.forget();
    transport_ = nullptr;
    return stopped;
}

Result<> ConsoleDevice::recover() noexcept {
    if (transport_ == nullptr && !mutant(506)) return fail(Error::not_started);
    ++counters_.recoveries;
    quiesce();
    const Result<> stopped = device_.stop(Error::device_reset);
    end();
    if (!stopped) return stopped;
    const Result<> running = run();
    if (!running) {
        device_.abort();
        end();
        needs_recovery_ = running.error() != Error::device_gone; // it may go better the next time
    }
    return running;
}

void ConsoleDevice::end() noexcept {
    for (ConsolePort& port : ports()) port.forget();
    bool abandoned = false;
    for (const ControlSlot& slot : control_receive_slots_) abandoned = abandoned || slot.state == Request::State::abandoned;
    for (const ControlSlot& slot : control_transmit_slots_) abandoned = abandoned || slot.state == Request::State::abandoned;
    if (!abandoned || mutant(509)) {
        if (control_receive_memory_) domain_->free(control_receive_memory_);
        if (control_transmit_memory_) domain_->free(control_transmit_memory_);
    }
    control_receive_memory_ = {};
    control_transmit_memory_ = {};
    for (ControlSlot& slot : control_receive_slots_) slot.state = Request::State::idle;
    for (ControlSlot& slot : control_transmit_slots_) slot.state = Request::State::idle;
    ready_wanted_ = ready_accepted_ = open_wanted_ = 0;
    readies_in_flight_ = control_lent_ = 0;
    control_free_ = 0;
    refuse_wanted_ = device_ready_wanted_ = false;
    needs_recovery_ = false;
}

unsigned ConsoleDevice::poll() noexcept {
    if (!device_.started() && !mutant(510)) return 0;
    static_cast<void>(device_.event().take());
    handled_ = 0;
    bool more = true;
    for (unsigned pass = 0; (pass < kPasses || mutant(511)) && more; ++pass) {
        more = multiport_ && service_control();
        for (ConsolePort& port : ports())
            if (port.present_ || port.transmit_.in_flight() != 0 || port.receive_.pending()) more = port.service() || more;
    }
    // A device that never stops talking: the rest is for the next call, others may run before.
    if (more) device_.event().mark(Device::kAllQueues);
    if (device_.take_config_change()) {
        if (device_.needs_reset() && !mutant(878))
            request_recovery("console: the device needs a reset");
        else
            read_size();
    }
    if ((control_receive_.broken() && !mutant(512)) || (control_transmit_.broken() && !mutant(513)))
        request_recovery("console: the control queue is broken");
    for (const ConsolePort& port : ports())
        if ((port.receive_.broken() && !mutant(514)) || (port.transmit_.broken() && !mutant(515)))
            request_recovery("console: a port's queue is broken");
    return handled_;
}

void ConsoleDevice::read_size() noexcept {
    if (port_limit_ == 0) return;
    const Result<std::uint16_t> columns = device_.config().read(console_config::kColumns);
    const Result<std::uint16_t> rows = device_.config().read(console_config::kRows);
    if (!columns || !rows) return;
    ConsolePort& port = ports_[0]; // the configuration's size is port 0's
    if (port.size_.columns == *columns && port.size_.rows == *rows && !mutant(517)) return;
    port.size_ = {*columns, *rows};
    if (port.present_) port.tell(ConsoleChange::resized);
}

void ConsoleDevice::request_recovery(const char* why) noexcept {
    if (needs_recovery_) return;
    needs_recovery_ = true;
    look_again(Device::kAllQueues);
    platform_->log(LogLevel::warning, why);
}

void ConsoleDevice::look_again(std::uint32_t bits) noexcept {
    device_.event().mark(bits);
    platform_->wake();
}

void ConsoleDevice::emergency_write(const char* text, std::size_t size) noexcept {
    if (!emergency_ && !mutant(518)) return;
    for (std::size_t i = 0; i < size; ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (!transport_->write_config(console_config::kEmergencyWrite.offset, 4, byte)) return;
    }
}

ConsolePort* ConsoleDevice::find(std::string_view name) noexcept {
    for (ConsolePort& port : ports())
        if ((port.present_ || mutant(519)) && port.name() == name) return &port;
    return nullptr;
}

ConsolePort* ConsoleDevice::console() noexcept {
    for (ConsolePort& port : ports())
        if ((port.present_ || mutant(520)) && port.console_) return &port;
    return nullptr;
}

} // namespace virtio
