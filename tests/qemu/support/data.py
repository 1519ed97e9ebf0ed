"""What a self-test image and this computer do together, with data that is compared on both sides: disks, network, console, balloon, what QEMU
knows about the devices. machine_test.py does it with much data on a few machines, matrix_test.py with little on all.

    data = Data(guest, machine, FULL, paths, tcp_port, udp_port)
    data.run(checks)
"""

import contextlib
import hashlib
import random
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ringside.machine import Disk

from . import status, traffic
from .agent import Agent
from .checks import equal, eventually, need
from .pattern import difference, scribble, stream

KIB, MIB = 1 << 10, 1 << 20
READ, WRITE, GROW = 0, 1, 2                       # disks, by number
MODELS = ["read", "write", "grow"]
TCP, UDP = 7000, 7001                             # the guest's ports
MEMORY = 256                                      # MiB
PORTS = ["ringside.echo", "ringside.log"]


@dataclass(frozen=True)
class Amounts:
    """How much of everything. Sizes in bytes."""
    disks: tuple                # READ, WRITE, GROW
    grown: int                  # ... and GROW afterwards
    writes: tuple               # (seed, strokes, tasks) of random writes
    stream: int                 # over TCP, each way
    connections: int            # at once
    datagrams: int              # of each size
    echo: int                   # through a console port
    held: int                   # MiB of memory that the guest has used before it gives half away
    regained: int               # ... and uses of what came back
    own_checks: int             # the guest's own, at least


FULL = Amounts(disks=(64 * MIB, 32 * MIB, 8 * MIB), grown=12 * MIB, writes=((1, 150, 1), (2, 300, 16), (3, 300, 64)), stream=10 * MIB,
               connections=8, datagrams=10, echo=MIB, held=150, regained=120, own_checks=41)
BRIEF = Amounts(disks=(16 * MIB, 8 * MIB, 8 * MIB), grown=10 * MIB, writes=((1, 60, 1), (2, 150, 16)), stream=2 * MIB, connections=3,
                datagrams=2, echo=256 * KIB, held=110, regained=50, own_checks=15)


def contents(amounts):
    """Of the three disks."""
    chooser = random.Random(20)
    return [chooser.randbytes(size) for size in amounts.disks]


def make_disks(folder, amounts):
    """(paths, what a Machine is told about them)"""
    paths = [Path(folder) / f"disk{number}.img" for number in range(len(amounts.disks))]
    for path, content in zip(paths, contents(amounts)):
        path.write_bytes(content)
    return paths, [Disk(path, model, read_only=model == MODELS[READ]) for path, model in zip(paths, MODELS)]


class Data:
    def __init__(self, guest, machine, amounts, paths, tcp_port, udp_port, interrupts):
        """interrupts: what the devices are to use: "msix", "intx" or "poll"."""
        self.guest = guest
        self.machine = machine
        self.amounts = amounts
        self.paths = paths
        self.tcp_port = tcp_port
        self.udp_port = udp_port
        self.interrupts = interrupts
        self.agent = None

    def run(self, checks):
        checks.run("own_checks", self.own_checks)
        self.agent = Agent(self.guest)
        checks.run("disk.as_described", self.disks_as_described)
        checks.run("disk.hash", self.disk_hash)
        checks.run("disk.random_writes", self.disk_random_writes)
        checks.run("disk.resize", self.disk_resize)
        checks.run("net.address", self.net_address)
        checks.run("net.ping", self.net_ping)
        checks.run("net.ping_nobody", self.net_ping_nobody)
        checks.run("net.listen", self.agent.call, "listen", TCP)
        checks.run("net.datagrams", self.agent.call, "datagrams", UDP)
        checks.run("net.tcp_in", self.tcp_in)
        checks.run("net.tcp_out", self.tcp_out)
        checks.run("net.tcp_both_ways", self.tcp_both)
        checks.run("net.tcp_many", self.tcp_many)
        checks.run("net.tcp_from_guest", self.tcp_from_guest)
        checks.run("net.udp", self.udp)
        checks.run("net.link_down_and_up", self.link_down_and_up)
        checks.run("console.echo", self.echo)
        checks.run("console.log_port", self.log_port)
        checks.run("console.several_at_once", self.several_at_once)
        checks.run("balloon.half_and_back_under_load", self.balloon_under_load)
        checks.run("balloon.statistics", self.balloon_statistics)
        checks.run("qemu.negotiated", self.negotiated)
        checks.run("interrupts", self.interrupts_as_meant)
        checks.run("watchdog.no_rescues", self.no_rescues)

    # The guest's own checks.

    def own_checks(self):
        found = self.guest.expect(r"(\d+) passed, (\d+) failed", 120)
        text = self.guest.console_text()
        for line in re.findall(r"(?m)^(?:ok|FAIL|skip) .*?$", text):
            print(f"   guest: {line.strip()}")
        failures = re.findall(r"(?m)^FAIL (.*?)\r?$", text)
        need(not failures and found[2] == "0", f"the guest's own checks: {'; '.join(failures)}")
        need(int(found[1]) >= self.amounts.own_checks, f"only {found[1]} checks were run")
        skipped = re.findall(r"(?m)^skip (.*?)\r?$", text)
        need(not skipped, f"this machine has everything, but the guest skipped {skipped}")

    # Disks.

    def disks_as_described(self):
        disks = self.agent.items("disks")
        equal([disk["sectors"] * 512 for disk in disks], list(self.amounts.disks), "sizes")
        equal([disk["model"] for disk in disks], MODELS, "what GET_ID says")
        equal([disk["readonly"] for disk in disks], [1, 0, 0], "read-only flags")

    def disk_hash(self):
        whole = self.paths[READ].read_bytes()
        equal(self.agent.call("sha256", READ, timeout=120)["sha256"], hashlib.sha256(whole).hexdigest(), "SHA-256 of the whole disk")
        # A part, by an odd number of sectors at a time.
        part = whole[1001 * 512:(1001 + 4999) * 512]
        equal(self.agent.call("sha256", READ, 1001, 4999, 333)["sha256"], hashlib.sha256(part).hexdigest(), "SHA-256 of a part")

    def disk_random_writes(self):
        # The guest's own checks have put back what they wrote.
        expected = bytearray(contents(self.amounts)[WRITE])
        for seed, strokes, tasks in self.amounts.writes:
            self.agent.call("scribble", WRITE, seed, strokes, tasks)
            scribble(expected, seed, strokes)
        self.agent.call("flush", WRITE)
        wrong = difference(self.paths[WRITE].read_bytes(), bytes(expected))
        need(not wrong, f"the image on the host: {wrong}")
        equal(self.agent.call("sha256", WRITE)["sha256"], hashlib.sha256(expected).hexdigest(), "SHA-256 of what was written")

    def disk_resize(self):
        size = self.amounts.grown
        self.guest.qmp("block_resize", **{"node-name": f"disk{GROW}", "size": size})
        eventually(20, lambda: self.agent.items("disks")[GROW]["sectors"] * 512 == size, "the new size seen by the guest")
        self.agent.call("scribble", GROW, 9, 200, 8)
        self.agent.call("flush", GROW)
        before = contents(self.amounts)[GROW]
        expected = bytearray(before + bytes(size - len(before)))
        scribble(expected, 9, 200)
        wrong = difference(self.paths[GROW].read_bytes(), bytes(expected))
        need(not wrong, f"the grown image on the host: {wrong}")

    # Network.

    def net_address(self):
        lan = self.agent.call("net", 60)
        equal((lan["address"], lan["gateway"], lan["netmask"]), ("10.0.2.15", "10.0.2.2", "255.255.255.0"), "what DHCP gave")

    def net_ping(self):
        for _ in range(3):
            need(self.agent.call("ping", "10.0.2.2")["ns"] > 0, "an answer in no time")

    def net_ping_nobody(self):
        pending = self.agent.start("ping", "10.0.2.77", 1500)
        try:
            self.agent.finish(pending)
        except AssertionError:
            return
        need(False, "somebody answered for an address that nobody has")

    def tcp_in(self):
        with traffic.Service(self.tcp_port) as service:
            service.up(self.amounts.stream, 21)

    def tcp_out(self):
        with traffic.Service(self.tcp_port) as service:
            service.down(self.amounts.stream, 22)

    def tcp_both(self):
        with traffic.Service(self.tcp_port) as service:
            service.echo(stream(23, self.amounts.stream // 3))
            service.up(100_001, 24)
            service.down(99_999, 25)

    def tcp_many(self):
        """Several connections at once."""
        problems = []

        def one(number, service):
            try:
                service.up(500_000 + number, 30 + number)
                service.down(500_000 + number, 40 + number)
            except (AssertionError, OSError) as error:
                problems.append(f"connection {number}: {error}")

        with contextlib.ExitStack() as stack:
            threads = []
            for number in range(self.amounts.connections):
                service = stack.enter_context(traffic.Service(self.tcp_port))
                service.up(1, number)       # it is through, so the next may come (traffic.connect)
                threads.append(threading.Thread(target=one, args=(number, service)))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)
        need(not problems, "; ".join(problems))

    def tcp_from_guest(self):
        for direction, action in (("up", "take"), ("down", "give")):
            with traffic.Host() as host:
                getattr(host, action)(self.amounts.stream, 50)
                moved = self.agent.call("connect", "10.0.2.2", host.port, direction, self.amounts.stream, 50, timeout=90)["bytes"]
                equal(moved, self.amounts.stream, direction)
                host.finish()

    def udp(self):
        sizes = [1, 2, 17, 18, 19, 63, 64, 511, 512, 1000, 1399, 1471, 1472] * self.amounts.datagrams
        again = traffic.datagrams(self.udp_port, sizes)
        need(again <= len(sizes) // 10, f"{again} of {len(sizes)} datagrams were lost")

    def link_down_and_up(self):
        guest, agent = self.guest, self.agent
        with traffic.Service(self.tcp_port) as service:
            service.up(10_000, 60)
            guest.qmp("set_link", name="nic0", up=False)
            try:
                eventually(20, lambda: "link" in self._net_state(), "the guest notices that the link is down")
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
            eventually(20, lambda: self._net_state() == "up", "the guest notices that the link is up")
            thread.join(90)
            need(not thread.is_alive() and not problems, f"the connection did not go on: {problems}")
            service.down(MIB, 62)
        need(agent.call("ping", "10.0.2.2")["ns"] > 0, "ping")

    def _net_state(self):
        try:
            self.agent.call("net")
            return "up"
        except AssertionError as error:
            return str(error)

    # Console ports.

    def echo(self):
        connection = self.guest.port("ringside.echo")
        connection.settimeout(30)
        data = random.Random(1).randbytes(self.amounts.echo)
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

    def log_port(self):
        connection = self.guest.port("ringside.log")
        connection.settimeout(5)
        text = b""
        while b"MiB of memory" not in text or b"disk0: blk at" not in text:
            part = connection.recv(65536)
            need(part, "the log ended")
            text += part
        need(re.search(rb"(?m)^\[ *\d+\.\d+\] ", text), f"no time stamps: {text[:200]!r}")

    def several_at_once(self):
        """The console itself in both directions, while the echo is busy."""
        results = []
        thread = threading.Thread(target=lambda: results.append(self.echo()))
        thread.start()
        for _ in range(20):
            self.agent.call("clock")
        thread.join(60)
        equal(results, [None], "the echo beside it")

    # Balloon.

    def _set_balloon(self, size):
        self.guest.qmp("balloon", value=size)
        eventually(60, lambda: self.guest.qmp("query-balloon")["actual"] == size, f"query-balloon says {size // MIB} MiB")

    def _resident(self):
        """Bytes of this computer's memory that QEMU holds."""
        text = Path(f"/proc/{self.guest.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * KIB

    def balloon_under_load(self):
        agent = self.agent
        total = MEMORY * MIB
        # Memory that was used before: what the balloon takes must really come back to this computer.
        agent.call("memory-hold", self.amounts.held)
        before = self._resident()
        agent.call("memory-drop")
        agent.call("memory-hold", 24)
        agent.call("load-start", GROW)
        self._set_balloon(total // 2)
        equal(agent.call("pages")["ballooned"] * 4096, total // 2, "what the guest has given away")
        agent.call("memory-check")
        gained = before - self._resident()
        need(gained > 60 * MIB, f"128 MiB were given away, and this computer has gained {gained // MIB} MiB")
        seen = agent.call("load-look")["rounds"]
        eventually(30, lambda: agent.call("load-look")["rounds"] > seen + 8, "the disk load goes on")
        self._set_balloon(total)
        equal(agent.call("pages")["ballooned"], 0, "pages in the balloon at the end")
        agent.call("memory-check")
        agent.call("memory-hold", self.amounts.regained)
        agent.call("memory-check")
        agent.call("memory-drop")
        load = agent.call("load-stop")
        equal(load["wrong"], 0, "wrong blocks under the load")
        need(load["rounds"] > 10, f"only {load['rounds']} rounds of load")

    def balloon_statistics(self):
        path = "/machine/peripheral/balloon0"
        self.guest.qmp("qom-set", path=path, property="guest-stats-polling-interval", value=1)
        try:
            first = eventually(30, lambda: self._fresh(path, 0), "statistics from the guest")
            figures = eventually(30, lambda: self._fresh(path, first["last-update"]), "newer statistics")["stats"]
        finally:
            self.guest.qmp("qom-set", path=path, property="guest-stats-polling-interval", value=0)
        pages = self.agent.call("pages")
        # What the guest tells the host and what it tells us, a moment apart.
        for figure, expected in (("stat-total-memory", pages["total"] * 4096), ("stat-free-memory", pages["free"] * 4096)):
            need(abs(figures[figure] - expected) <= 4 * MIB, f"{figure}: {figures[figure]} but the guest says {expected}")
        need(figures["stat-total-memory"] > 200 * MIB, f"of {MEMORY} MiB the guest has {figures['stat-total-memory']}")

    def _fresh(self, path, than):
        report = self.guest.qmp("qom-get", path=path, property="guest-stats")
        unknown = (1 << 64) - 1
        known = report["stats"].get("stat-free-memory", unknown) not in (unknown, -1)
        return report if report["last-update"] > than and known else None

    # What QEMU says about us.

    def negotiated(self):
        reports = [status.status(self.guest, path) for _, path in status.devices(self.guest)]
        ours = self.agent.items("devices")
        need(len(reports) == len(ours) and len(ours) >= 7, f"QEMU has {len(reports)} virtio devices, the guest {len(ours)}")
        legacy = self.machine.legacy
        for report in reports:
            name = report["name"]
            words = [text.split(":")[0] for text in report["status"]["statuses"]]
            # A legacy interface knows no FEATURES_OK.
            for word in ("ACKNOWLEDGE", "DRIVER", *([] if legacy else ["FEATURES_OK"]), "DRIVER_OK"):
                need(f"VIRTIO_CONFIG_S_{word}" in words, f"{name}: QEMU's status is {words}")
            need(not any("FAILED" in word or "NEEDS_RESET" in word for word in words), f"{name}: QEMU's status is {words}")
            need(not report["broken"], f"{name} is broken")
            bits = status.negotiated(report)
            equal(bits >> status.RING["VIRTIO_F_VERSION_1"] & 1, not legacy, f"{name}: VERSION_1")
            equal(bits >> status.RING["VIRTIO_F_RING_PACKED"] & 1, self.machine.ring == "packed", f"{name}: RING_PACKED")
        seen = sorted((report["device-id"], status.negotiated(report)) for report in reports)
        told = sorted((device["type"], int(device["features"], 16)) for device in ours)
        equal([f"{kind}:{bits:#x}" for kind, bits in told], [f"{kind}:{bits:#x}" for kind, bits in seen],
              "features that the guest says it negotiated")

    def interrupts_as_meant(self):
        devices = self.agent.items("devices")
        modes = {device["name"]: device["interrupts"] for device in devices}
        if self.interrupts == "poll":
            equal(set(modes.values()), {"polled"}, f"every device is to be polled, but: {modes}")
            return
        # Through the window there is no line.
        without = "polled" if self.machine.transport == "pci-cfg" else "line"
        others = [name for name, mode in modes.items() if mode in ("polled", "line")]
        if self.interrupts == "intx":
            need(set(modes.values()) == {"line"}, f"no device has messages here, but: {modes}")
        else:
            need(len(others) == 1 and others[0].startswith("balloon") and modes[others[0]] == without,
                 f"only the balloon has no messages here, and is {without}, but: {modes}")
        for device in devices:
            # A single answer may be there before the driver asks for an interrupt (the entropy device has one request in all).
            if not device["name"].startswith("balloon") and device["requests"] > 4:
                need(device["irqs"] > 0, f"{device['name']} never interrupted")

    def no_rescues(self):
        for device in self.agent.items("devices"):
            equal(device["rescues"], 0, f"watchdog rescues of {device['name']}")
            equal(device["broken"], 0, f"broken queues of {device['name']}")
            equal(device["errors"], 0, f"errors of the queues of {device['name']}")
        self.agent.no_word_overlooked()
