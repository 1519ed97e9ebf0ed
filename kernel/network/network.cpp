// The stack as a whole: started once, then links are attached, configured and watched.
#include <array>
#include <new>

#include "kernel/firmware/command_line.hpp"
#include "kernel/log/log.hpp"
#include "kernel/network/address_option.hpp"
#include "kernel/network/core_lock.hpp"
#include "kernel/network/link.hpp"
#include "kernel/network/net_interface.hpp"
#include "kernel/task/semaphore.hpp"
#include "kernel/task/wait_queue.hpp"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcpip.h"

namespace kernel {

namespace {

constinit std::array<NetInterface*, 4> interfaces{};
constinit bool started = false;
constinit WaitQueue changed;
constinit WaitQueue room;

ip4_addr_t to_lwip(const Ipv4& address) {
    ip4_addr_t result;
    IP4_ADDR(&result, address[0], address[1], address[2], address[3]);
    return result;
}

void status_changed(struct netif* netif) {
    changed.wake_all();
    if (netif_is_up(netif) && !ip4_addr_isany_val(*netif_ip4_addr(netif))) {
        std::array<char, IP4ADDR_STRLEN_MAX> address, gateway;
        ip4addr_ntoa_r(netif_ip4_addr(netif), address.data(), address.size());
        ip4addr_ntoa_r(netif_ip4_gw(netif), gateway.data(), gateway.size());
        unsigned prefix = 0;
        for (u32_t mask = ip4_addr_get_u32(netif_ip4_netmask(netif)); mask != 0; mask &= mask - 1) ++prefix;
        log(LogLevel::info, "%s: address %s/%u, gateway %s", static_cast<NetInterface*>(netif->state)->link().name(), address.data(),
            prefix, gateway.data());
    }
}

void link_changed(struct netif*) { changed.wake_all(); }

/// Under the core lock.
void configure(NetInterface& interface, bool first) {
    struct netif& netif = interface.netif();
    netif_set_status_callback(&netif, status_changed);
    netif_set_link_callback(&netif, link_changed);
    if (first) netif_set_default(&netif);
    const auto text = first ? command_line_value("ip") : std::nullopt;
    const auto option = text ? parse_address_option(*text) : std::nullopt;
    if (text && !option && *text != "dhcp") {
        log(LogLevel::warning, "ip=%.*s is not A.B.C.D/NN[,gateway[,dns]]: DHCP instead", static_cast<int>(text->size()), text->data());
    }
    if (option) {
        const ip4_addr_t address = to_lwip(option->address);
        const ip4_addr_t netmask = to_lwip(option->netmask);
        const ip4_addr_t gateway = to_lwip(option->gateway.value_or(Ipv4{}));
        if (option->dns) {
            ip_addr_t server;
            ip_addr_copy_from_ip4(server, to_lwip(*option->dns));
            dns_setserver(0, &server);
        }
        netif_set_up(&netif);
        netif_set_addr(&netif, &address, &netmask, &gateway);
        return;
    }
    netif_set_up(&netif);
    if (dhcp_start(&netif) != ERR_OK) log(LogLevel::error, "%s: no memory for DHCP", interface.link().name());
}

} // namespace

virtio::Result<> start_network() {
    if (started) return {};
    started = true;
    Semaphore ready;
    {
        CoreLock lock;
        tcpip_init([](void* semaphore) { static_cast<Semaphore*>(semaphore)->release(); }, &ready);
    }
    (void)ready.acquire();
    return {};
}

virtio::Result<> attach_link(Link& link) {
    std::size_t index = 0;
    while (index < interfaces.size() && interfaces[index] != nullptr) ++index;
    if (index == interfaces.size()) return virtio::fail(virtio::Error::busy);
    if (auto up = start_network(); !up) return up;
    auto* interface = new (std::nothrow) NetInterface(link);
    if (interface == nullptr) return virtio::fail(virtio::Error::out_of_memory);
    if (auto running = interface->start(); !running) {
        delete interface;
        return running;
    }
    interfaces[index] = interface;
    auto task = spawn(link.name(), [](void* mine) { static_cast<NetInterface*>(mine)->run(); }, interface);
    if (!task) return virtio::fail(task.error());
    CoreLock lock;
    configure(*interface, index == 0);
    return {};
}

void change_link(Link& link, void (*change)(void* context), void* context) {
    CoreLock lock;
    change(context);
    for (NetInterface* interface : interfaces)
        if (interface != nullptr && &interface->link() == &link) interface->refresh();
}

void drain_network(std::uint64_t deadline_ns) {
    constexpr std::uint64_t kLookNs = 5'000'000;
    auto unconfirmed = [] {
        CoreLock lock;
        for (const tcp_pcb* pcb = tcp_active_pcbs; pcb != nullptr; pcb = pcb->next) {
            if (pcb->state == FIN_WAIT_1 || pcb->state == CLOSING || pcb->state == LAST_ACK) return true;
        }
        return false;
    };
    while (started && now_ns() < deadline_ns && unconfirmed()) sleep_until(now_ns() + kLookNs);
}

NetInterface* network_interface(std::size_t index) noexcept { return index < interfaces.size() ? interfaces[index] : nullptr; }

bool wait_for_network_change(std::uint64_t deadline_ns) { return changed.wait(deadline_ns); }

bool interfaces_full() noexcept {
    for (const NetInterface* interface : interfaces) {
        if (interface != nullptr && interface->full()) return true;
    }
    return false;
}

void wait_for_interfaces(std::uint64_t deadline_ns) { (void)room.wait(deadline_ns); }
void interface_has_room() noexcept { room.wake_all(); }

void flush_interfaces() {
    for (NetInterface* interface : interfaces) {
        if (interface != nullptr) interface->flush();
    }
}

} // namespace kernel
