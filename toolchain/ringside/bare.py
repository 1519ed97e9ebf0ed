"""The examples that use libvirtio and the drivers without our kernel (docs/porting.md): each is a CMake project of its own with its own
toolchain file, built here as its reader would build it, and booted in QEMU.

    elf = bare.build("bare-armv7")
    command = bare.command("bare-armv7", elf, "disk.img", console="console.txt")
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import process
from .machine import exit_status, shown
from .messages import UserError, say
from .paths import ROOT, build_folder


@dataclass(frozen=True)
class Example:
    tools: str                  # prefix of the GNU tools
    packages: tuple
    machine: tuple              # QEMU's words for the machine
    transport: str              # "device" (MMIO) or "pci"
    console: bool               # whether it drives a virtio console


EXAMPLES = {
    "bare-armv7": Example("arm-none-eabi", ("cmake", "ninja-build", "gcc-arm-none-eabi", "libstdc++-arm-none-eabi-dev", "libnewlib-dev", "qemu-system-arm"),
                          ("qemu-system-arm", "-M", "virt", "-cpu", "cortex-a15", "-global", "virtio-mmio.force-legacy=false"), "device", True),
    # Without highmem the configuration space and the windows of the PCI host stand below 1 GiB.
    "bare-aarch64-pci": Example("aarch64-linux-gnu", ("cmake", "ninja-build", "g++-aarch64-linux-gnu", "qemu-system-arm"),
                                ("qemu-system-aarch64", "-M", "virt,highmem=off", "-cpu", "cortex-a57"), "pci", False),
}
PACKAGES = sorted({package for example in EXAMPLES.values() for package in example.packages})


def build(name, folder=None):
    """Its ELF file, made by `cmake -S examples/NAME` with no option at all."""
    folder = Path(folder or build_folder(name))
    for step in (["cmake", "-G", "Ninja", "-S", str(ROOT / "examples" / name), "-B", str(folder)], ["cmake", "--build", str(folder)]):
        if "--build" not in step and (folder / "build.ninja").exists():
            continue
        run = subprocess.run(step, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
        if run.returncode != 0:
            raise UserError(f"{name}: {' '.join(step[:2])} failed:\n{run.stdout}{run.stderr}".rstrip())
        if "warning:" in run.stdout + run.stderr:
            raise UserError(f"{name}: warnings:\n{run.stdout}{run.stderr}".rstrip())
    return folder / f"{name}.elf"


def sizes(name, elf):
    """Bytes of code and read-only data, and of RAM: data (which also stands in ROM), zeroed memory, stack and tables."""
    line = subprocess.run([f"{EXAMPLES[name].tools}-size", str(elf)], check=True, capture_output=True, text=True).stdout.splitlines()[1]
    text, data, bss = map(int, line.split()[:3])
    return {"text": text, "data": data, "ram": data + bss}


def command(name, elf, disk, console="", serial="stdio"):
    """QEMU's command line. The guest's status is QEMU's, by semihosting."""
    example = EXAMPLES[name]
    words = [*example.machine, "-accel", "tcg", "-m", "64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
             "-semihosting-config", "enable=on,target=native", "-serial", serial,
             "-blockdev", json.dumps({"driver": "raw", "node-name": "disk0", "file": {"driver": "file", "filename": str(disk)}}),
             "-device", f"virtio-blk-{example.transport},drive=disk0,serial=bare"]
    if example.console and console:
        words += ["-chardev", f"file,id=console,path={console}", "-device", f"virtio-serial-{example.transport}",
                  "-device", "virtconsole,chardev=console"]
    return [*words, "-kernel", str(elf)]


def run(name, disk, folder, print_qemu=False):
    """Boots it; what it prints over its UART goes to standard output. Returns its status."""
    elf = build(name)
    words = command(name, elf, disk, console=Path(folder) / "console")
    if print_qemu:
        say(shown(words))
    child = process.start(words, stdin=subprocess.DEVNULL)
    try:
        code = child.wait()
    finally:
        process.stop(child)
    status, cause = exit_status(code, "bare")
    if cause:
        say(cause)
    return status
