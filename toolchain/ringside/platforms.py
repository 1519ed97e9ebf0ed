"""Where Ringside runs: processors, machines of QEMU's, transports, rings, interrupts, and which of them go together. One table, from which
come the command line of `run` and `selftest`, the cells of the QEMU matrix (tests/qemu/matrix_test.py), the sample of them that every push
runs, and docs/platforms.md (`ringside platforms --write`; a test says when the document is stale).

    board = platforms.board("aarch64", "virt-gicv3")
    platforms.why_not(board, "mmio", "split", "msix")       # "MMIO has no messages: ..."; "" for what exists
    for cell in platforms.cells(): cell.name, cell.sample
"""

from dataclasses import dataclass

from .messages import UserError
from .paths import ROOT

DOCUMENT = ROOT / "docs" / "platforms.md"


@dataclass(frozen=True)
class Arch:
    qemu: str                   # the program
    exits: str                  # how a guest ends QEMU with a status
    exit_word: str              # what the kernel's command line says about that


ARCHS = {
    "x86_64": Arch("qemu-system-x86_64", "`isa-debug-exit`", "debug-exit=0xf4"),
    "aarch64": Arch("qemu-system-aarch64", "semihosting", "debug-exit=semihosting"),
    "riscv64": Arch("qemu-system-riscv64", "the machine's test device", ""),
    "armv7": Arch("qemu-system-arm", "semihosting", "debug-exit=semihosting"),
}


@dataclass(frozen=True)
class Board:
    """A machine of QEMU's with the options that make a difference to a driver."""
    arch: str
    name: str
    words: tuple                # QEMU's -M and -cpu
    pci: bool = True
    mmio: bool = True
    messages: bool = True       # message interrupts (MSI-X) reach the processor
    about: str = ""             # how devices and interrupts are found
    few: bool = False           # differs from another in one respect: its cells are the best of each bus


def _virt(arch, name, options, cpu, **more):
    return Board(arch, name, ("-M", f"virt{options}", "-cpu", cpu), **more)


BOARDS = [
    Board("x86_64", "q35", ("-M", "q35", "-cpu", "max"), mmio=False, about="ACPI; PCI by ECAM; local and I/O APIC"),
    Board("x86_64", "pc", ("-M", "pc", "-cpu", "max"), mmio=False, about="ACPI; PCI by ports 0xCF8; local and I/O APIC"),
    Board("x86_64", "microvm", ("-M", "microvm,acpi=on", "-cpu", "max"), pci=False, about="24 MMIO slots, in ACPI's DSDT; second I/O APIC"),
    Board("x86_64", "microvm-noacpi", ("-M", "microvm,acpi=off", "-cpu", "max"), pci=False,
          about="8 MMIO slots, on the command line; MP table"),
    _virt("aarch64", "virt", ",gic-version=2", "cortex-a72", about="device tree; GICv2, messages by GICv2m"),
    _virt("aarch64", "virt-gicv3", ",gic-version=3", "cortex-a72", about="device tree; GICv3, messages by its ITS"),
    _virt("riscv64", "virt", ",aia=none", "rv64", messages=False, about="device tree; PLIC, no messages"),
    _virt("riscv64", "virt-aia", ",aia=aplic-imsic", "rv64", about="device tree; APLIC, messages by IMSIC"),
    _virt("armv7", "virt", "", "cortex-a15", about="device tree; GICv2 and GICv2m; PCI's configuration space above 4 GiB"),
    _virt("armv7", "virt-lowmem", ",highmem=off", "cortex-a15", few=True, about="the same with everything below 4 GiB"),
]


@dataclass(frozen=True)
class Transport:
    bus: str                    # pci or mmio
    legacy: bool
    about: str


TRANSPORTS = {
    "pci": Transport("pci", False, "PCI, modern: structures in memory BARs, found by capabilities"),
    "pci-legacy": Transport("pci", True, "PCI, legacy (0.9.5): a transitional device that is driven by its port BAR"),
    "pci-cfg": Transport("pci", False, "PCI, modern, every register reached through the window in configuration space"),
    "mmio": Transport("mmio", False, "MMIO, version 2"),
    "mmio-legacy": Transport("mmio", True, "MMIO, version 1 (legacy)"),
}
RINGS = ["split", "packed"]
INTERRUPTS = ["msix", "intx", "poll"]

# What QEMU cannot do, for the document.
BEYOND_QEMU = [
    "QEMU 7.2 offers neither IN_ORDER nor NOTIFICATION_DATA on any device: the referee does ([tests/referee](../tests/referee/README.md)).",
    "Its balloon has no MSI-X over PCI: the cells with `msix` have it on the line.",
    "Its legacy interfaces have split rings only, as the specification says.",
    "x86 machines but microvm have no MMIO slots; microvm has PCI only with `pcie=on`, a machine that q35 covers.",
    "What sits on MMIO cannot be plugged in or out, and no PCI device can be pulled out without a word: the guest is always asked first. How a device "
    "that vanishes is survived is shown with every access of a driver's life on every transport (`tests/conformance/vanishing_test.cpp`).",
    "riscv64's `virt` has no power button.",
    "Through the window there is no line (`pci-cfg` with `intx`): a handler would use the registers that whom it interrupts may be using.",
    "Which memory accesses a processor may reorder is not seen here: QEMU's TCG on an x86-64 computer keeps that computer's order. The models "
    "and the object code prove the fences (`ringside test -L 'model|codegen'`).",
]


def archs():
    return list(ARCHS)


def machines():
    """Every name that --machine knows."""
    return list(dict.fromkeys(board.name for board in BOARDS))


def board(arch, name=""):
    """The processor's machine of that name; the first one without a name."""
    found = [board for board in BOARDS if board.arch == arch and name in ("", board.name)]
    if not found:
        there = ", ".join(board.name for board in BOARDS if board.arch == arch)
        raise UserError(f"--machine {name} does not go with --arch {arch}: there is {there}", 2)
    return found[0]


def best_transport(board):
    return "pci" if board.pci else "mmio"


def best_interrupts(board, transport):
    if TRANSPORTS[transport].bus == "pci" and board.messages:
        return "msix"
    return "poll" if transport == "pci-cfg" else "intx"


def why_not(board, transport, ring, interrupts):
    """Why there is no such combination, in words; "" if there is."""
    its = TRANSPORTS[transport]
    if its.bus == "pci" and not board.pci:
        return f"{board.name} has no PCI: its devices are on MMIO (mmio, mmio-legacy)"
    if its.bus == "mmio" and not board.mmio:
        slots = ", ".join(dict.fromkeys(other.name for other in BOARDS if other.arch == board.arch and other.mmio))
        return f"{board.name} has no MMIO slots: its devices are on PCI (on {board.arch}, {slots} have them)"
    if its.legacy and ring == "packed":
        return "a legacy interface has split rings only: RING_PACKED is a feature above the 32 bits that it can negotiate"
    if interrupts == "msix" and its.bus == "mmio":
        return "MSI-X is PCI's: over MMIO there is the interrupt line (intx) or polling (poll)"
    if interrupts == "intx" and transport == "pci-cfg":
        return "a handler cannot read the reason of a line interrupt through the window, which whom it interrupts may be using: msix or poll"
    if interrupts == "msix" and not board.messages:
        return f"{board.name} has no controller for message interrupts: there is the interrupt line (intx) or polling (poll)"
    return ""


@dataclass(frozen=True)
class Cell:
    board: Board
    transport: str
    ring: str
    interrupts: str

    @property
    def name(self):
        return ".".join((self.board.arch, self.board.name, self.transport, self.ring, self.interrupts))

    @property
    def sample(self):
        """Whether every push runs it. The rule: each machine with its best transport, rings and interrupts; the first machine of each processor
        that has the bus, with every other transport too, packed rings where there are any, and the line (through the window, which has no
        line, what there is)."""
        return self.name not in MACHINE_TESTS and self._in_sample()

    def _in_sample(self):
        board, best = self.board, best_transport(self.board)
        if self.transport == best:
            return (self.ring, self.interrupts) == ("split", best_interrupts(board, best))
        bus = TRANSPORTS[self.transport].bus
        first = next(other for other in BOARDS if other.arch == board.arch and (other.pci if bus == "pci" else other.mmio))
        last = (_last_ring(self.transport), _last_interrupts(board, self.transport))
        return board == first and not board.few and (self.ring, self.interrupts) == last


def _last_ring(transport):
    return "split" if TRANSPORTS[transport].legacy else "packed"


def _last_interrupts(board, transport):
    """The line; through the window messages, or none."""
    return "intx" if transport != "pci-cfg" else best_interrupts(board, transport)


# Cells that machine_test.py runs with every push, with more data.
MACHINE_TESTS = ("x86_64.q35.pci.split.msix", "x86_64.pc.pci.split.msix", "x86_64.microvm.mmio.split.intx")


def cells():
    """All that are run: every combination that exists, but polling only with a machine's best transport and split rings."""
    found = []
    for board in BOARDS:
        for transport, its in TRANSPORTS.items():
            for ring in RINGS:
                for interrupts in INTERRUPTS:
                    if why_not(board, transport, ring, interrupts):
                        continue
                    best = transport in (best_transport(board), "mmio") and not its.legacy and ring == "split"
                    needed = interrupts == "poll" and transport == "pci-cfg" and not board.messages
                    if (interrupts == "poll" and not needed and (not best or transport != best_transport(board))) or (
                            board.few and (not best or interrupts != best_interrupts(board, transport))):
                        continue
                    found.append(Cell(board, transport, ring, interrupts))
    return found


def cell(name):
    for one in cells():
        if one.name == name:
            return one
    raise UserError(f"there is no cell '{name}' ('ringside platforms --cells' lists them)", 2)


def pushed(cell):
    """Whether every push runs it, as a cell or as a machine test."""
    return cell.sample or cell.name in MACHINE_TESTS


def _mark(board, transport, ring, interrupts, cell):
    if why_not(board, transport, ring, interrupts):
        return "–"
    return "" if cell is None else "**●**" if pushed(cell) else "●"


def document():
    """docs/platforms.md."""
    every = cells()
    lines = ["<!-- Generated from toolchain/ringside/platforms.py by `./ringside platforms --write`. -->", "# Where it runs", "",
             f"{len(every)} combinations of a machine, a transport, a ring and a kind of interrupt boot the self-test image in QEMU and move",
             "data that is compared on both sides: disks, network, console, balloon (`tests/qemu/matrix_test.py`).",
             f"**●** is run by every push ({len([cell for cell in every if pushed(cell)])} of them), ● by `./ringside test --all`;",
             "empty: not run, because it says nothing new (`./ringside selftest` with the same options does it);",
             "–: there is no such combination (`./ringside selftest` with the same options says why).", ""]
    columns = [(ring, interrupts) for ring in RINGS for interrupts in INTERRUPTS]
    lines += ["| processor | machine | transport | " + " | ".join(f"{ring}, {interrupts}" for ring, interrupts in columns) + " |",
              "|---|---|---|" + ":-:|" * len(columns)]
    for board in BOARDS:
        for transport in TRANSPORTS:
            its = {(cell.ring, cell.interrupts): cell for cell in every if (cell.board, cell.transport) == (board, transport)}
            if its:
                lines.append(f"| {board.arch} | `{board.name}` | `{transport}` | " + " | ".join(_mark(board, transport, *column, its.get(column)) for column in columns) + " |")
    lines += ["", "## Machines", "", "| processor | machine | QEMU | devices and interrupts | ends by |", "|---|---|---|---|---|"]
    for board in BOARDS:
        lines.append(f"| {board.arch} | `{board.name}` | `{' '.join(board.words)}` | {board.about} | {ARCHS[board.arch].exits} |")
    lines += ["", "```", "./ringside run --arch aarch64 --machine virt-gicv3",
              "./ringside selftest --arch riscv64 --transport mmio-legacy --irq poll",
              "```", "", "## Transports", "", "| name | what it is |", "|---|---|"]
    lines += [f"| `{name}` | {transport.about} |" for name, transport in TRANSPORTS.items()]
    lines += ["", "`msix`: a message for each queue, or fewer where there are fewer; `intx`: the interrupt line; `poll`: neither.", "",
              "## What QEMU cannot do", ""]
    lines += [f"- {text}" for text in BEYOND_QEMU]
    return "\n".join(lines) + "\n"


def add_arguments(parser):
    parser.add_argument("--cells", action="store_true", help="instead: the combinations by name, one a line, with 'sample' behind those of every push")
    parser.add_argument("--write", action="store_true", help="write docs/platforms.md anew")
    parser.add_argument("--check", action="store_true", help="fail if docs/platforms.md is not what --write would write")


def main(options):
    if options.cells:
        for cell in cells():
            print(cell.name, "sample" if cell.sample else "")
    elif options.write:
        DOCUMENT.write_text(document(), encoding="utf-8")
    elif options.check:
        if not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != document():
            raise UserError("docs/platforms.md is stale: './ringside platforms --write' writes it anew")
    else:
        print(document(), end="")
    return 0
