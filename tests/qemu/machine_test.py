#!/usr/bin/env python3
"""The drivers on one machine, with data: one boot of the self-test image, its own checks first, then everything that needs a host.

    machine_test.py q35|q35-intx|pc|microvm
"""

import hashlib
import random
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

from ringside.guest import Guest
from ringside.machine import Disk, Forward
from ringside.selftest import JOINED_PORTS, joined_chardevs

from support import status, traffic
from support.agent import Agent
from support.checks import Checks, equal, eventually, need
from support.machines import free_ports, image, make
from support.pattern import difference, scribble, stream

MIB = 1 << 20
READ, WRITE, GROW = 0, 1, 2                       # disks, by number
SIZES = [64 * MIB, 32 * MIB, 8 * MIB]
MEMORY = 256                                      # MiB
TCP, UDP = 7000, 7001                             # the guest's ports
STREAM = 10 * MIB


def make_disks(folder):
    chooser = random.Random(20)
    paths = []
    for number, size in enumerate(SIZES):
        path = Path(folder) / f"disk{number}.img"
        path.write_bytes(chooser.randbytes(size))
        paths.append(path)
    return paths


# The guest's own checks.

def own_checks(guest):
    found = guest.expect(r"(\d+) passed, (\d+) failed", 120)
    text = guest.console_text()
    for line in re.findall(r"(?m)^(?:ok|FAIL|skip) .*?$", text):
        print(f"   guest: {line.strip()}")
    failures = re.findall(r"(?m)^FAIL (.*?)\r?$", text)
    need(not failures and found[2] == "0", f"the guest's own checks: {'; '.join(failures)}")
    need(int(found[1]) > 40, f"only {found[1]} checks were run")
    skipped = re.findall(r"(?m)^skip (.*?)\r?$", text)
    need(not skipped, f"this machine has everything, but the guest skipped {skipped}")


# Disks.

def disks_as_described(agent):
    disks = agent.items("disks")
    equal([disk["sectors"] * 512 for disk in disks], SIZES, "sizes")
    equal([disk["model"] for disk in disks], ["read64", "write32", "grow8"], "what GET_ID says")
    equal([disk["readonly"] for disk in disks], [1, 0, 0], "read-only flags")


def disk_hash(agent, paths):
    expected = hashlib.sha256(paths[READ].read_bytes()).hexdigest()
    equal(agent.call("sha256", READ, timeout=120)["sha256"], expected, "SHA-256 of 64 MiB")
    # A part, by an odd number of sectors at a time.
    part = paths[READ].read_bytes()[1001 * 512:(1001 + 4999) * 512]
    equal(agent.call("sha256", READ, 1001, 4999, 333)["sha256"], hashlib.sha256(part).hexdigest(), "SHA-256 of a part")


def disk_random_writes(agent, paths):
    # The guest's own checks have put back what they wrote.
    expected = bytearray(random_content(WRITE))
    for seed, strokes, tasks in ((1, 150, 1), (2, 300, 16), (3, 300, 64)):
        agent.call("scribble", WRITE, seed, strokes, tasks)
        scribble(expected, seed, strokes)
    agent.call("flush", WRITE)
    wrong = difference(paths[WRITE].read_bytes(), bytes(expected))
    need(not wrong, f"the image on the host: {wrong}")
    equal(agent.call("sha256", WRITE)["sha256"], hashlib.sha256(expected).hexdigest(), "SHA-256 of what was written")


def random_content(number):
    chooser = random.Random(20)
    return [chooser.randbytes(size) for size in SIZES][number]


def disk_resize(guest, agent, paths):
    size = 12 * MIB
    guest.qmp("block_resize", **{"node-name": f"disk{GROW}", "size": size})
    eventually(20, lambda: agent.items("disks")[GROW]["sectors"] * 512 == size, "the new size seen by the guest")
    agent.call("scribble", GROW, 9, 200, 8)
    agent.call("flush", GROW)
    expected = bytearray(random_content(GROW) + bytes(size - SIZES[GROW]))
    scribble(expected, 9, 200)
    wrong = difference(paths[GROW].read_bytes(), bytes(expected))
    need(not wrong, f"the grown image on the host: {wrong}")


# Network.

def net_address(agent):
    lan = agent.call("net", 60)
    equal((lan["address"], lan["gateway"], lan["netmask"]), ("10.0.2.15", "10.0.2.2", "255.255.255.0"), "what DHCP gave")


def net_ping(agent):
    for _ in range(3):
        need(agent.call("ping", "10.0.2.2")["ns"] > 0, "an answer in no time")


def net_ping_nobody(agent):
    pending = agent.start("ping", "10.0.2.77", 1500)
    try:
        agent.finish(pending)
    except AssertionError:
        return
    need(False, "somebody answered for an address that nobody has")


def tcp_in(port):
    with traffic.Service(port) as service:
        service.up(STREAM, 21)


def tcp_out(port):
    with traffic.Service(port) as service:
        service.down(STREAM, 22)


def tcp_both(port):
    with traffic.Service(port) as service:
        service.echo(stream(23, 3 * MIB))
        service.up(100_001, 24)
        service.down(99_999, 25)


def tcp_many(port):
    """Eight connections at once."""
    problems = []

    def one(number):
        try:
            with traffic.Service(port) as service:
                service.up(500_000 + number, 30 + number)
                service.down(500_000 + number, 40 + number)
        except (AssertionError, OSError) as error:
            problems.append(f"connection {number}: {error}")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    need(not problems, "; ".join(problems))


def tcp_from_guest(agent):
    for direction, action in (("up", "take"), ("down", "give")):
        with traffic.Host() as host:
            getattr(host, action)(STREAM, 50)
            equal(agent.call("connect", "10.0.2.2", host.port, direction, STREAM, 50, timeout=90)["bytes"], STREAM, direction)
            host.finish()


def udp(port):
    sizes = [1, 2, 17, 18, 19, 63, 64, 511, 512, 1000, 1399, 1471, 1472] * 10
    again = traffic.datagrams(port, sizes)
    need(again <= len(sizes) // 10, f"{again} of {len(sizes)} datagrams were lost")


def link_down_and_up(guest, agent, port):
    with traffic.Service(port) as service:
        service.up(10_000, 60)
        guest.qmp("set_link", name="nic0", up=False)
        try:
            eventually(20, lambda: "link" in net_state(agent), "the guest notices that the link is down")
            problems = []

            def waiting():
                try:
                    service.up(MIB, 61)
                except (AssertionError, OSError) as error:
                    problems.append(str(error))

            thread = threading.Thread(target=waiting)
            thread.start()
            time.sleep(0.5)
            need(thread.is_alive(), "data went through a link that is down")
        finally:
            guest.qmp("set_link", name="nic0", up=True)
        eventually(20, lambda: net_state(agent) == "up", "the guest notices that the link is up")
        thread.join(90)
        need(not thread.is_alive() and not problems, f"the connection did not go on: {problems}")
        service.down(MIB, 62)
    need(agent.call("ping", "10.0.2.2")["ns"] > 0, "ping")


def net_state(agent):
    try:
        agent.call("net")
        return "up"
    except AssertionError as error:
        return str(error)


# Console ports.

def echo(guest):
    connection = guest.port("ringside.echo")
    connection.settimeout(30)
    data = random.Random(1).randbytes(MIB)
    problems = []

    def send():
        try:
            connection.sendall(data)
        except OSError as error:
            problems.append(str(error))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        wrong = difference(traffic.receive(connection, len(data)), data)
    finally:
        sender.join(30)
    need(not problems, f"sending: {problems}")
    need(not wrong, f"the echo: {wrong}")


def log_port(guest):
    connection = guest.port("ringside.log")
    connection.settimeout(5)
    text = b""
    while b"MiB of memory" not in text or b"disk0: blk at" not in text:
        part = connection.recv(65536)
        need(part, "the log ended")
        text += part
    need(re.search(rb"(?m)^\[ *\d+\.\d+\] ", text), f"no time stamps: {text[:200]!r}")


def still_there(guest, agent):
    """The console itself in both directions, while the echo is busy."""
    results = []
    thread = threading.Thread(target=lambda: results.append(echo(guest)))
    thread.start()
    for _ in range(20):
        agent.call("clock")
    thread.join(60)
    equal(results, [None], "the echo beside it")


# Balloon.

def actual(guest):
    return guest.qmp("query-balloon")["actual"]


def resident(guest):
    """Bytes of this computer's memory that QEMU holds."""
    text = Path(f"/proc/{guest.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024


def set_balloon(guest, size):
    guest.qmp("balloon", value=size)
    eventually(60, lambda: actual(guest) == size, f"query-balloon says {size // MIB} MiB")


def balloon_under_load(guest, agent):
    total = MEMORY * MIB
    # Memory that was used before: what the balloon takes must really come back to this computer.
    agent.call("memory-hold", 150)
    before = resident(guest)
    agent.call("memory-drop")
    agent.call("memory-hold", 24)
    agent.call("load-start", GROW)
    set_balloon(guest, total // 2)
    equal(agent.call("pages")["ballooned"] * 4096, total // 2, "what the guest has given away")
    agent.call("memory-check")
    gained = before - resident(guest)
    need(gained > 60 * MIB, f"128 MiB were given away, and this computer has gained {gained // MIB} MiB")
    seen = agent.call("load-look")["rounds"]
    eventually(30, lambda: agent.call("load-look")["rounds"] > seen + 8, "the disk load goes on")
    set_balloon(guest, total)
    equal(agent.call("pages")["ballooned"], 0, "pages in the balloon at the end")
    agent.call("memory-check")
    agent.call("memory-hold", 120)                      # of what came back
    agent.call("memory-check")
    agent.call("memory-drop")
    load = agent.call("load-stop")
    equal(load["wrong"], 0, "wrong blocks under the load")
    need(load["rounds"] > 10, f"only {load['rounds']} rounds of load")


def balloon_statistics(guest, agent):
    path = "/machine/peripheral/balloon0"
    guest.qmp("qom-set", path=path, property="guest-stats-polling-interval", value=1)
    try:
        first = eventually(30, lambda: fresh(guest, path, 0), "statistics from the guest")
        figures = eventually(30, lambda: fresh(guest, path, first["last-update"]), "newer statistics")["stats"]
    finally:
        guest.qmp("qom-set", path=path, property="guest-stats-polling-interval", value=0)
    pages = agent.call("pages")
    # What the guest tells the host and what it tells us, a moment apart.
    for figure, expected in (("stat-total-memory", pages["total"] * 4096), ("stat-free-memory", pages["free"] * 4096)):
        need(abs(figures[figure] - expected) <= 4 * MIB, f"{figure}: {figures[figure]} but the guest says {expected}")
    need(figures["stat-total-memory"] > 200 * MIB, f"of {MEMORY} MiB the guest has {figures['stat-total-memory']}")


def fresh(guest, path, than):
    report = guest.qmp("qom-get", path=path, property="guest-stats")
    unknown = (1 << 64) - 1
    known = report["stats"].get("stat-free-memory", unknown) not in (unknown, -1)
    return report if report["last-update"] > than and known else None


# What QEMU says about us.

def negotiated(guest, agent, machine):
    reports = [status.status(guest, path) for _, path in status.devices(guest)]
    ours = agent.items("devices")
    need(len(reports) == len(ours) and len(ours) >= 7, f"QEMU has {len(reports)} virtio devices, the guest {len(ours)}")
    for report in reports:
        name = report["name"]
        words = [text.split(":")[0] for text in report["status"]["statuses"]]
        for word in ("ACKNOWLEDGE", "DRIVER", "FEATURES_OK", "DRIVER_OK"):
            need(f"VIRTIO_CONFIG_S_{word}" in words, f"{name}: QEMU's status is {words}")
        need(not any("FAILED" in word or "NEEDS_RESET" in word for word in words), f"{name}: QEMU's status is {words}")
        need(not report["broken"], f"{name} is broken")
        need(status.negotiated(report) >> 32 & 1, f"{name}: VERSION_1 was not negotiated")
        equal(status.negotiated(report) >> status.RING["VIRTIO_F_RING_PACKED"] & 1, machine.ring == "packed", f"{name}: RING_PACKED")
    seen = sorted((report["device-id"], status.negotiated(report)) for report in reports)
    told = sorted((device["type"], int(device["features"], 16)) for device in ours)
    equal([f"{kind}:{bits:#x}" for kind, bits in told], [f"{kind}:{bits:#x}" for kind, bits in seen], "features that the guest says it negotiated")


def no_rescues(agent):
    for device in agent.items("devices"):
        equal(device["rescues"], 0, f"watchdog rescues of {device['name']}")
        equal(device["broken"], 0, f"broken queues of {device['name']}")
        equal(device["errors"], 0, f"errors of the queues of {device['name']}")


def interrupts_as_meant(configuration, agent):
    modes = {device["name"]: device["interrupts"] for device in agent.items("devices")}
    need("polled" not in modes.values(), f"a device is polled: {modes}")
    if configuration in ("q35-intx", "microvm", "microvm-packed"):
        need(set(modes.values()) == {"line"}, f"no device has messages here, but: {modes}")
    else:
        lines = [name for name, mode in modes.items() if mode == "line"]
        need(len(lines) == 1, f"only the balloon has no messages here, but: {modes}")
    for device in agent.items("devices"):
        # A single answer may be there before the driver asks for an interrupt (the entropy device has one request in all).
        if not device["name"].startswith("balloon") and device["requests"] > 4:
            need(device["irqs"] > 0, f"{device['name']} never interrupted")


def panics(guest, agent):
    agent.send_only("panic", "just_so")
    equal(guest.wait(20), 101, "status")
    text = guest.serial_text()
    need("PANIC: asked for by the host: just_so" in text, "the message is not on the 16550")
    need(re.search(r"#\d+ [0-9a-f]+ .*panic_now", text), "the backtrace does not name the function")


def main(configuration):
    with Checks(f"machine {configuration}", 270) as checks, tempfile.TemporaryDirectory(prefix="ringside-machine-") as folder:
        paths = make_disks(folder)
        tcp_port, = free_ports(1)
        udp_port, = free_ports(1, 2)
        machine = make(configuration, image("selftest"), memory=MEMORY, command_line=["agent"],
                       disks=[Disk(paths[READ], "read64", read_only=True), Disk(paths[WRITE], "write32"), Disk(paths[GROW], "grow8")],
                       forwards=[Forward(tcp_port, TCP), Forward(udp_port, UDP, "udp")],
                       chardevs=joined_chardevs(folder), ports=JOINED_PORTS)
        with Guest(machine, ports=["ringside.echo", "ringside.log"]) as guest:
            checks.guest = guest
            checks.run("own_checks", own_checks, guest)
            agent = Agent(guest)
            checks.run("disk.as_described", disks_as_described, agent)
            checks.run("disk.hash_64_mib", disk_hash, agent, paths)
            checks.run("disk.random_writes", disk_random_writes, agent, paths)
            checks.run("disk.resize", disk_resize, guest, agent, paths)
            checks.run("net.address", net_address, agent)
            checks.run("net.ping", net_ping, agent)
            checks.run("net.ping_nobody", net_ping_nobody, agent)
            checks.run("net.listen", agent.call, "listen", TCP)
            checks.run("net.datagrams", agent.call, "datagrams", UDP)
            checks.run("net.tcp_10_mib_in", tcp_in, tcp_port)
            checks.run("net.tcp_10_mib_out", tcp_out, tcp_port)
            checks.run("net.tcp_both_ways", tcp_both, tcp_port)
            checks.run("net.tcp_many", tcp_many, tcp_port)
            checks.run("net.tcp_from_guest", tcp_from_guest, agent)
            checks.run("net.udp", udp, udp_port)
            checks.run("net.link_down_and_up", link_down_and_up, guest, agent, tcp_port)
            checks.run("console.echo_1_mib", echo, guest)
            checks.run("console.log_port", log_port, guest)
            checks.run("console.several_at_once", still_there, guest, agent)
            checks.run("balloon.half_and_back_under_load", balloon_under_load, guest, agent)
            checks.run("balloon.statistics", balloon_statistics, guest, agent)
            checks.run("qemu.negotiated", negotiated, guest, agent, machine)
            checks.run("interrupts", interrupts_as_meant, configuration, agent)
            checks.run("watchdog.no_rescues", no_rescues, agent)
            log = guest.guest_errors()
            checks.run("panic", panics, guest, agent)
        checks.run("qemu.guest_errors", status.nothing_but_firmware, log, machine)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
