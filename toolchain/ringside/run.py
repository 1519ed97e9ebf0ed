"""`ringside run`: boots the appliance, an example or a program of one's own; this terminal is its console."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import termios
import urllib.parse
from pathlib import Path

from . import app, bare, disk, packages, platforms, ports, process, setup
from .arguments import Parser, existing_file, integer, shell_words, static_address
from .machine import Disk, Forward, Machine, accelerator, exit_status, quoted, shown
from .messages import UserError, say
from .paths import ROOT


def add_arguments(parser):
    parser.add_argument("program", nargs="?", default="appliance", metavar="PROGRAM",
                        help="a folder made by 'ringside new', or the name of an image or example (default: appliance)")
    parser.add_argument("--arch", choices=platforms.archs(), default="x86_64", help="the processor (default: x86_64)")
    parser.add_argument("--machine", choices=platforms.machines(), default="", metavar="NAME",
                        help="QEMU's machine (default: q35, or virt on other processors); 'ringside platforms' lists them")
    parser.add_argument("--transport", choices=platforms.TRANSPORTS, help="how the devices are reached (default: what the machine does best)")
    parser.add_argument("--ring", choices=platforms.RINGS, default="split",
                        help="layout of the virtqueues that QEMU's devices offer (default: split)")
    parser.add_argument("--disk", action="append", type=existing_file, default=[], metavar="FILE",
                        help="a raw disk image; may be given several times (default: a sample disk with a tar archive)")
    parser.add_argument("--port", type=integer(1, 65535), default=8080, metavar="N",
                        help="port of this computer that leads to the guest's web server (default: 8080, or the next free one)")
    parser.add_argument("--memory", type=integer(32, 1 << 20), default=256, metavar="MiB", help="the guest's memory (default: 256)")
    parser.add_argument("--smp", type=integer(1, 255), default=1, metavar="N", help="the guest's processors (default: 1)")
    parser.add_argument("--no-net", action="store_true", help="without a network device")
    parser.add_argument("--ip", type=static_address, metavar="A.B.C.D/BITS,GATEWAY[,DNS]", help="a fixed address (default: DHCP)")
    parser.add_argument("--accel", choices=["auto", "tcg", "kvm"], default="auto",
                        help="auto takes KVM only with real hardware virtualisation (default: auto)")
    parser.add_argument("--append", type=shell_words, default=[], metavar="'WORDS'",
                        help="more words for the kernel's command line, such as log=debug; behind -- for the program")
    parser.add_argument("--qemu-args", type=shell_words, default=[], metavar="'...'", help="more arguments for QEMU")
    parser.add_argument("--command", metavar="'CMD; CMD'",
                        help="run these in the guest's shell, print what they print, power off, end with the first failing status")
    parser.add_argument("--timeout", type=integer(1, 86400), metavar="SECONDS", help="with --command: give up after this time")
    parser.add_argument("--gdb", action="store_true", help="wait for gdb before the first instruction, and say what to type")
    parser.add_argument("--print-qemu", action="store_true", help="also print QEMU's command line")


def free_port(first):
    return ports.reserve(range(first, min(first + 100, 65536)))


def describe(machine, program, note):
    parts = [f"{machine.accel.upper()}", f"{machine.smp} processor{'s' if machine.smp != 1 else ''}", f"{machine.memory} MiB"]
    if machine.ring != "split":
        parts.append(f"{machine.ring} rings")
    parts.append("disk " + ", ".join(Path(d.path).name for d in machine.disks) + note)
    where = f"web page http://127.0.0.1:{machine.forwards[0].host}/" if machine.network else "no network"
    name = machine.board.name if machine.arch == "x86_64" else f"{machine.arch} {machine.board.name}"
    return f"booting {program} on {name} ({', '.join(parts)}); {where}"


def split_words(options):
    """The words of --append: the kernel's, and behind -- the program's."""
    split = options.append.index("--") if "--" in options.append else len(options.append)
    options.kernel_words = options.append[:split]
    options.program_arguments = options.append[split + 1:] + options.program_arguments
    for word in options.kernel_words + options.program_arguments:
        quoted(word)    # refuses what cannot be written


def make_machine(options, image, folder):
    """The machine that the options ask for, without its consoles."""
    disks = [Disk(path, read_only=not os.access(path, os.W_OK)) for path in options.disk] or [Disk(disk.scratch_copy(folder), "sample")]
    machine = Machine(image=image, arch=options.arch, machine=options.machine, transport=options.transport or "", memory=options.memory,
                      smp=options.smp, accel=accelerator(options.accel, options.arch),
                      disks=disks, network=not options.no_net, command_line=options.kernel_words, extra=list(options.qemu_args),
                      program_arguments=options.program_arguments, ring=options.ring)
    if machine.network:
        port = free_port(options.port)
        if port != options.port:
            say(f"port {options.port} is taken: using {port}")
        machine.forwards = [Forward(port, 80, address=options.ip[0] if options.ip else "")]
    if options.ip:
        machine.command_line.append("ip=" + options.ip[1])
    if options.gdb:
        port = free_port(1234)
        machine.extra += ["-S", "-gdb", f"tcp:127.0.0.1:{port}"]
        debugger = "gdb" if options.arch == "x86_64" else "gdb-multiarch"
        say(f"waiting for gdb; in another terminal:  {debugger} {image} -ex 'target remote 127.0.0.1:{port}' -ex 'hbreak main' -ex continue")
    return machine


@contextlib.contextmanager
def terminal_restored():
    """QEMU puts the terminal into raw mode; should it die, the shell after it must still be usable."""
    before = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    try:
        yield
    finally:
        if before:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def interactive(machine, options):
    # The 16550 (before virtio is up, and panics) and the virtio console share the terminal; the one added last gets the keys.
    machine.chardevs.append("stdio,id=terminal,mux=on,signal=off")
    machine.serial = "chardev:terminal"
    machine.console = "terminal"
    machine.reboot = True
    arguments = machine.arguments()
    if options.print_qemu:
        say(shown(arguments))
    with terminal_restored():
        # Keys reach the guest, not us; only a terminal that is not raw yet can interrupt.
        child = process.start(arguments)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            code = child.wait()
        finally:
            process.stop(child)
    status, cause = exit_status(code, machine.arch)
    if cause:
        say(cause)
    return status


def batch(machine, options, folder):
    """Runs commands: only what they print goes to standard output."""
    console, serial = Path(folder) / "console", Path(folder) / "serial"
    console.touch()
    serial.touch()
    # Plain files: QEMU drops console output for a pipe or a socket that is full.
    machine.chardevs += [f"file,id=console,path={console}", f"file,id=serial,path={serial}"]
    machine.console = "console"
    machine.serial = "chardev:serial"
    machine.command_line.append("command=" + urllib.parse.quote(options.command, safe=""))
    arguments = machine.arguments()
    if options.print_qemu:
        say(shown(arguments))

    def write(data):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    tail = process.Tail((console, write))
    child = process.start(arguments, stdin=subprocess.DEVNULL)
    try:
        code = process.wait_and_follow(child, tail, options.timeout)
    finally:
        process.stop(child)
        tail.close()
    early = serial.read_text(errors="replace")
    if code is None:
        sys.stderr.write(early)
        raise UserError(f"no answer within {options.timeout} s: the guest was switched off", 124)
    status, cause = exit_status(code, machine.arch)
    if cause or "PANIC" in early:
        sys.stderr.write(early)
        if cause:
            say(cause)
    return status


def bare_example(program):
    """The name of an example that comes without our kernel; "" for any other program. A folder of one's own may have the same name."""
    folder = Path(program)
    if folder.name not in bare.EXAMPLES or (folder.exists() and folder.resolve() != ROOT / "examples" / folder.name):
        return ""
    return folder.name


def without_kernel(name, options):
    """An example that brings its own processor, machine and start code: it does its work on a disk and ends."""
    alone = Parser()
    add_arguments(alone)
    for word, usual in vars(alone.parse_args([])).items():
        if word not in ("program", "disk", "print_qemu") and getattr(options, word) != usual:
            raise UserError(f"--{word.replace('_', '-')} does not go with {name}, which brings its own machine", 2)
    if options.program_arguments or len(options.disk) > 1:
        raise UserError(f"{name} takes one disk and no arguments", 2)
    packages.ensure(bare.EXAMPLES[name].packages)
    with tempfile.TemporaryDirectory(prefix="ringside-") as folder:
        return bare.run(name, options.disk[0] if options.disk else disk.scratch_copy(folder), folder, options.print_qemu)


def main(options):
    if name := bare_example(options.program):
        return without_kernel(name, options)
    split_words(options)
    board = platforms.board(options.arch, options.machine)
    transport = options.transport or platforms.best_transport(board)
    reason = platforms.why_not(board, transport, options.ring, platforms.best_interrupts(board, transport))
    if reason:
        raise UserError(reason, 2)
    setup.ensure(architectures=[options.arch])
    image = app.image(options.program, options.arch)
    with tempfile.TemporaryDirectory(prefix="ringside-") as folder:
        machine = make_machine(options, image, folder)
        note = "" if options.disk else ", a copy that is dropped at the end"
        end = "" if options.command is not None else "; Ctrl-A X ends it"
        say(describe(machine, Path(options.program).name, note) + end)
        if options.command is not None:
            return batch(machine, options, folder)
        return interactive(machine, options)
