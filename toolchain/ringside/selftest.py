"""`ringside selftest`: boots the self-test image once, in one configuration, and shows what it prints: a line per check, then a count."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from . import app, disk, platforms, process, setup
from .arguments import integer
from .machine import Disk, Machine, accelerator, exit_status, shown
from .messages import UserError, say


def add_arguments(parser):
    parser.add_argument("--arch", choices=platforms.archs(), default="x86_64", help="the processor (default: x86_64)")
    parser.add_argument("--machine", choices=platforms.machines(), metavar="NAME",
                        help="QEMU's machine (default: the processor's first that has the transport); 'ringside platforms' lists them")
    parser.add_argument("--transport", choices=platforms.TRANSPORTS, help="how devices are reached (default: what the machine does best)")
    parser.add_argument("--ring", choices=platforms.RINGS, default="split", help="layout of the virtqueues (default: split)")
    parser.add_argument("--irq", choices=platforms.INTERRUPTS,
                        help="how devices interrupt (default: msix where there is such a thing, else the line)")
    parser.add_argument("--accel", choices=["auto", "tcg", "kvm"], default="auto", help="default: auto")
    parser.add_argument("--smp", type=integer(1, 255), default=2, metavar="N", help="the guest's processors (default: 2)")
    parser.add_argument("--memory", type=integer(32, 1 << 20), default=256, metavar="MiB", help="the guest's memory (default: 256)")
    parser.add_argument("--timeout", type=integer(1, 86400), default=300, metavar="SECONDS", help="give up after this time (default: 300)")
    parser.add_argument("--print-qemu", action="store_true", help="also print QEMU's command line")


def resolve(options):
    """Board, transport and interrupts that fit together; a combination that cannot exist is an error of the arguments."""
    boards = [board for board in platforms.BOARDS if board.arch == options.arch]
    if options.machine:
        board = platforms.board(options.arch, options.machine)
    elif options.transport:
        bus = platforms.TRANSPORTS[options.transport].bus
        board = next(board for board in boards if (board.pci if bus == "pci" else board.mmio))
    else:
        board = boards[0]
    transport = options.transport or platforms.best_transport(board)
    interrupts = options.irq or platforms.best_interrupts(board, transport)
    reason = platforms.why_not(board, transport, options.ring, interrupts)
    if reason:
        raise UserError(f"--arch {board.arch} --machine {board.name} --transport {transport} --ring {options.ring} --irq {interrupts}: {reason}", 2)
    return board, transport, interrupts


# Two ports of the guest that are joined outside: what it says into one, it hears from the other.
JOINED_PORTS = {"selftest.a": "joined-a", "selftest.b": "joined-b"}


def joined_chardevs(folder):
    return [f"socket,id=joined-a,path={folder}/joined,server=on,wait=off", f"socket,id=joined-b,path={folder}/joined"]


def main(options):
    board, transport, interrupts = resolve(options)
    setup.ensure(architectures=[board.arch])
    image = app.image("selftest", board.arch)
    with tempfile.TemporaryDirectory(prefix="ringside-") as folder:
        console, serial = Path(folder) / "console", Path(folder) / "serial"
        console.touch()
        serial.touch()
        machine = Machine(image=image, arch=board.arch, machine=board.name, transport=options.transport or "", memory=options.memory,
                          smp=options.smp, accel=accelerator(options.accel, board.arch),
                          disks=[Disk(disk.scratch_copy(folder), "sample")], console="console", serial="chardev:serial",
                          chardevs=[f"file,id=console,path={console}", f"file,id=serial,path={serial}", *joined_chardevs(folder)],
                          ports=JOINED_PORTS, ring=options.ring,
                          vectors=0 if platforms.TRANSPORTS[transport].bus == "pci" and interrupts == "intx" else -1,
                          command_line=[f"irq={interrupts}"])
        say(f"self-test on {board.arch} {board.name}: {transport}, {options.ring} ring, {interrupts}")
        if options.print_qemu:
            say(shown(machine.arguments()))
        printed = bytearray()

        def write(data):
            printed.extend(data)
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

        # What it prints before the console is up, or when there is none, comes by the 16550.
        tail = process.Tail((serial, write), (console, write))
        child = process.start(machine.arguments(), stdin=subprocess.DEVNULL)
        try:
            code = process.wait_and_follow(child, tail, options.timeout)
        finally:
            process.stop(child)
            tail.close()
    if code is None:
        raise UserError(f"the self-test did not end within {options.timeout} s", 124)
    status, cause = exit_status(code, board.arch)
    if cause:
        say(cause)
    count = re.findall(rb"(\d+) passed, (\d+) failed", bytes(printed))
    if status == 0 and (not count or int(count[-1][1]) or not int(count[-1][0])):
        raise UserError("the self-test image ended well but did not count its checks as passed")
    # The machine has every device and a disk of a good size: a check that finds nothing to check has found a fault.
    skipped = re.findall(rb"(?m)^skip (.*?)\r?$", bytes(printed))
    if status == 0 and skipped:
        raise UserError("skipped, though this machine has what they need: " + "; ".join(line.decode(errors="replace") for line in skipped))
    return status
