"""A QEMU machine with our devices: one description, from which the command line is made. Used by `run`, `selftest` and the QEMU tests.

    Machine(image=elf, machine="q35", disks=[Disk("a.img")], forwards=[Forward(8080, 80)],
            chardevs=["file,id=console,path=out.txt"], console="console").arguments()

Machines, transports and what goes with what are in platforms.py. Without `transport` a machine's devices are on its best one (PCI, modern;
MMIO, version 2), and the guest is told nothing about it.
"""

import json
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from . import platforms
from .messages import UserError

# On x86 the kernel writes a failing status to this port; QEMU then exits with (status << 1) | 1.
DEBUG_EXIT = 0xF4


@dataclass
class Disk:
    """A raw image. The serial number is what the guest sees as the disk's name (GET_ID, 20 characters)."""
    path: str = ""
    serial: str = ""
    read_only: bool = False
    options: str = ""
    faults: list = field(default_factory=list)   # for tests: QEMU's blkdebug "inject-error" rules
    node: dict = field(default_factory=dict)     # for measurements: another QEMU block driver with its options, instead of the image

    def name(self):
        return self.serial or re.sub(r"[^A-Za-z0-9._-]", "_", Path(self.path).name)[:20]


@dataclass
class Forward:
    """A TCP (or UDP) port of this computer that leads into the guest."""
    host: int
    guest: int
    protocol: str = "tcp"
    address: str = ""


@dataclass
class Machine:
    image: Path
    machine: str = ""               # of the processor's; "": the first one
    arch: str = "x86_64"
    memory: int = 256
    smp: int = 1
    accel: str = "tcg"
    disks: list = field(default_factory=list)
    network: bool = True
    forwards: list = field(default_factory=list)
    netdev: str = ""                # instead of QEMU's user network, such as "dgram,..." (id=net0 is added)
    network_options: str = ""       # more properties of the network device
    chardevs: list = field(default_factory=list)
    serial: str = "null"            # what the 16550 is connected to, as QEMU's -serial takes it
    console: str = ""               # chardev of the virtio console
    ports: dict = field(default_factory=dict)   # virtserialport name -> chardev id
    balloon: bool = True
    entropy: bool = True
    transport: str = ""             # of platforms.TRANSPORTS: the guest is told to use no other; "": the best, and it may choose
    transitional: bool = False      # PCI devices have both interfaces, whichever is used
    ring: str = "split"             # what every virtio device offers; a split ring is what QEMU's devices have unless told
    vectors: int = -1               # MSI-X vectors of every PCI device; 0: none; -1: QEMU's own number
    reboot: bool = False            # a reset starts the guest anew instead of ending QEMU
    command_line: list = field(default_factory=list)
    program_arguments: list = field(default_factory=list)
    extra: list = field(default_factory=list)

    @property
    def board(self):
        return platforms.board(self.arch, self.machine)

    @property
    def bus(self):
        return platforms.TRANSPORTS[self.transport or platforms.best_transport(self.board)].bus

    @property
    def legacy(self):
        return bool(self.transport) and platforms.TRANSPORTS[self.transport].legacy

    def arguments(self):
        """The whole command, program first."""
        self._slots = 0
        devices = self._devices()
        arch = platforms.ARCHS[self.arch]
        command = [arch.qemu, *self.board.words, "-accel", self.accel, "-m", str(self.memory), "-smp", str(self.smp), "-nodefaults",
                   "-no-user-config", "-display", "none"]
        if self.arch == "x86_64":
            command += ["-device", f"isa-debug-exit,iobase={DEBUG_EXIT:#x},iosize=4"]
        elif arch.exit_word:
            command += ["-semihosting-config", "enable=on,target=native"]
        if self.bus == "mmio":
            # The version 1 (legacy) interface is QEMU's default on every machine.
            command += ["-global", f"virtio-mmio.force-legacy={'true' if self.legacy else 'false'}"]
        if not self.reboot:
            command.append("-no-reboot")
        for chardev in self.chardevs:
            command += ["-chardev", chardev]
        command += ["-serial", self.serial, *devices, *self.extra]
        return [*command, "-kernel", str(self.image), "-append", self._kernel_command_line()]

    def _kernel_command_line(self):
        word = platforms.ARCHS[self.arch].exit_word
        # The self-test compares.
        count = f"smp={self.smp}"
        words = [*([word] if word else []), count, *([f"transport={self.transport}"] if self.transport else []), *self.command_line]
        if self.program_arguments:
            words += ["--", *self.program_arguments]
        return " ".join(map(quoted, words))

    def _device(self, kind, *options, vectors=True):
        options = [option for option in options if option]
        if self.ring == "packed":
            options.append("packed=on")
        if self.bus == "mmio":
            # Left alone, QEMU fills the slots from the last one down. The guest finds them in the order of the tables: on ARM from the first
            # one up, elsewhere from the last one down. (On microvm slot 0 would never be heard: QEMU's I/O APIC turns input 0 into input 2.)
            if self.arch in ("aarch64", "armv7"):
                options.append(f"bus=virtio-mmio-bus.{self._slots}")
                self._slots += 1
            return ["-device", ",".join([f"virtio-{kind}-device", *options])]
        # A modern device, a legacy one, or one that is both.
        options.append(f"disable-legacy={'off' if self.transitional or self.legacy else 'on'}")
        if self.legacy and not self.transitional:
            options.append("disable-modern=on")
        if vectors and self.vectors >= 0:
            options.append(f"vectors={self.vectors}")
        return ["-device", ",".join([f"virtio-{kind}-pci", *options])]

    def _devices(self):
        words = []
        for number, disk in enumerate(self.disks):
            # JSON, so that a comma or a quote in a file name is nothing special.
            file = {"driver": "file", "filename": str(disk.path)}
            if disk.faults:
                file = {"driver": "blkdebug", "inject-error": disk.faults, "image": file}
            node = disk.node or {"driver": "raw", "file": file}
            words += ["-blockdev", json.dumps({**node, "node-name": f"disk{number}", "read-only": disk.read_only})]
            words += self._device("blk", f"drive=disk{number}", f"id=blk{number}", f"serial={disk.name()}", disk.options)
        if self.network:
            words += ["-netdev", self._netdev()]
            # No boot ROM: nobody boots from the network here.
            rom = "romfile=" if self.bus == "pci" else ""
            words += self._device("net", "netdev=net0", "id=nic0", rom, self.network_options)
        if self.console or self.ports:
            words += self._device("serial", "id=serial0", "max_ports=8")
            if self.console:
                words += ["-device", f"virtconsole,bus=serial0.0,chardev={self.console},name=ringside.console"]
            for name, chardev in self.ports.items():
                words += ["-device", f"virtserialport,bus=serial0.0,chardev={chardev},name={name},id=port-{name}"]
        if self.balloon:
            # QEMU's balloon has no MSI-X to configure.
            words += self._device("balloon", "id=balloon0", "free-page-reporting=on", vectors=False)
        if self.entropy:
            words += self._device("rng", "id=rng0")
        return words

    def _netdev(self):
        if self.netdev:
            kind, _, rest = self.netdev.partition(",")
            return ",".join(word for word in (kind, "id=net0", rest) if word)
        return ",".join(["user", "id=net0", *[f"hostfwd={f.protocol}:127.0.0.1:{f.host}-{f.address}:{f.guest}" for f in self.forwards]])


def quoted(word):
    """As the kernel's command line has it: blanks and the other quotes may stand between two quotes; nothing makes a quote a plain letter."""
    if re.fullmatch(r"[^\s\"']+", word):
        return word
    for quote in "\"'":
        if quote not in word:
            return quote + word + quote
    raise UserError(f"{word!r} has both kinds of quotes: there is no way to write that on the kernel's command line", 2)


def exit_status(code, arch="x86_64"):
    """(status, cause) from QEMU's own exit code: what the guest ended with, and in words if that was not of the guest's choosing."""
    if code < 0:
        return 128 - code, f"QEMU was ended by signal {-code}"
    if arch != "x86_64":
        # The guest's status is QEMU's own: 1 may be either's.
        return code, ""
    if code == 1:
        return 1, "QEMU could not run the machine"
    if code & 1:
        return code >> 1, ""
    return code, "" if code == 0 else f"QEMU ended with status {code}"


def accelerator(choice, arch="x86_64"):
    """auto: KVM where the processor's virtualisation is real (the device opens and the processor says vmx or svm), else TCG."""
    if choice != "auto":
        return choice
    if arch != "x86_64":
        return "tcg"
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = file.read()
    except OSError:
        return "tcg"
    return "kvm" if re.search(r"(?m)^flags\s*:.*\b(vmx|svm)\b", flags) else "tcg"


def shown(arguments):
    """The command as it can be typed."""
    return " ".join(shlex.quote(word) for word in arguments)
