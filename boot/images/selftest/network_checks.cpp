// The network, as far as the gateway: an address, an answer.
#include <cstdio>

#include <ringside/app.hpp>

#include "boot/images/selftest/check.hpp"
#include "kernel/device_manager/platform.hpp"
#include "kernel/network/net_interface.hpp"

namespace selftest {

void check_network() {
    using namespace std::chrono_literals;
    bool there = true;
    run("net.up", [&](Check& check) {
        const auto lan = ringside::net::up(60s);
        if (!lan && lan.error() == virtio::Error::no_device) {
            there = false;
            return check.skip("this machine has no network device");
        }
        (void)(check.need(lan, "no address") && check.need(lan->address != ringside::net::Address{}, "the address is 0.0.0.0"));
    });
    if (!there) return;
    run("net.ping_gateway", [](Check& check) {
        const auto lan = ringside::net::status();
        if (!check.need(lan, "status")) return;
        const auto gateway = lan->gateway.text();
        for (int i = 0; i < 5; ++i)
            if (!check.need(ringside::net::ping(gateway.c_str(), 20s), "ping")) return;
    });
    if (kernel::device_platform().bounces()) {
        // The pool stays within the device's reach: nothing is read twice there, and nothing kept.
        run("net.all_copied", [](Check& check) {
            const kernel::InterfaceCounters& counters = kernel::network_interface(0)->counters();
            const std::uint64_t left = counters.received - counters.received_dropped - counters.received_copied;
            (void)check.need(counters.received != 0 && left == 0, "%llu of %llu frames were not", static_cast<unsigned long long>(left),
                             static_cast<unsigned long long>(counters.received));
        });
    }
    run("net.refused_connection", [](Check& check) {
        const auto lan = ringside::net::status();
        if (!check.need(lan, "status")) return;
        const auto own = ringside::net::connect(lan->address.text().c_str(), 9);
        (void)check.need(!own, "somebody answered on port 9");
    });
}

} // namespace selftest
