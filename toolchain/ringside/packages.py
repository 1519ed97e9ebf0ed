"""The distribution's packages: which are missing, and how to install them as root or through sudo."""

import os
import platform
import shutil
import subprocess
import sys

from .messages import Progress, UserError, say
from .paths import cache_folder

# What a guest is built with and run in. libstdc++-arm-none-eabi-dev: its headers are configured for newlib and serve every processor.
RUN_PACKAGES = ["g++", "make", "cmake", "ninja-build", "python3", "xz-utils", "ca-certificates", "newlib-source",
                "libstdc++-arm-none-eabi-dev", "qemu-system-x86"]
if platform.machine() != "x86_64":
    # Elsewhere the compiler for x86_64 is a cross compiler like any other.
    RUN_PACKAGES.append("g++-x86-64-linux-gnu")
# What guests for each processor are built with and run in.
ARCH_PACKAGES = {
    "x86_64": [],
    "aarch64": ["g++-aarch64-linux-gnu", "qemu-system-arm"],
    # QEMU for RISC-V is in a package of its own from Debian 13 on.
    "riscv64": ["g++-riscv64-linux-gnu", "qemu-system-misc", "opensbi"],
    "armv7": ["gcc-arm-none-eabi", "qemu-system-arm"],
}
# What 'image' needs besides, for each processor and format.
GRUB_PACKAGES = ["grub-common", "grub-pc-bin", "grub-efi-amd64-bin", "mtools"]
IMAGE_PACKAGES = {
    "x86_64": {"elf": [], "bzimage": [], "iso": [*GRUB_PACKAGES, "xorriso"], "raw": GRUB_PACKAGES, "qcow2": [*GRUB_PACKAGES, "qemu-utils"]},
    "aarch64": {"elf": [], "image": [], "raw": ["mtools"], "qcow2": ["mtools", "qemu-utils"]},
    "riscv64": {"elf": []},
    "armv7": {"elf": []},
}
# What the tests need besides.
TEST_PACKAGES = ["doctest-dev", "linux-libc-dev", "clang-format-19", "spin", "relacy-dev", "clang-19", "libclang-rt-19-dev",
                 "g++-aarch64-linux-gnu", "g++-riscv64-linux-gnu", "libunicorn-dev",
                 # The examples without our kernel.
                 "gcc-arm-none-eabi", "libnewlib-dev", "qemu-system-arm",
                 # The device trees of its machines.
                 "qemu-system-misc",
                 # What boots the images that 'image' makes, and what makes them.
                 "ovmf", "qemu-efi-aarch64", *GRUB_PACKAGES, "xorriso", "qemu-utils"]
# ... and for those of `test --all`.
LONG_TEST_PACKAGES = ["clang-tidy-19"]


def missing(packages):
    query = subprocess.run(["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *packages],
                           capture_output=True, text=True)
    there = {line.split()[0] for line in query.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in packages if name not in there]


def install_command(packages):
    return f"apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)}"


def root_prefix():
    """The words before a command that make root run it, or None."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        if subprocess.run(["sudo", "-n", "true"], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0:
            return ["sudo", "-n"]
        if sys.stdin.isatty():
            return ["sudo"]
    return None


def ensure(packages):
    """Installs what is missing; says nothing when all is there."""
    if not shutil.which("dpkg-query"):
        raise UserError("this is not a Debian or Ubuntu system; install by hand what these packages hold: " + " ".join(packages))
    wanted = missing(packages)
    if not wanted:
        return False
    prefix = root_prefix()
    if prefix is None:
        raise UserError("packages are missing, and this user can become root neither directly nor through sudo without a password. "
                        f"Run this as root:\n  {install_command(wanted)}")
    say("installing packages: " + " ".join(wanted))
    log = cache_folder() / "apt.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as file:
        progress = Progress("package lists", 10)
        _apt(prefix, ["update", "-q"], file, progress, wanted)
        progress.done()
        progress = Progress("packages", 90)
        _apt(prefix, ["install", "-y", "-q", "--no-install-recommends", "-o", "APT::Status-Fd=3", "-o", "Dpkg::Use-Pty=0", *wanted],
             file, progress, wanted)
        progress.done()
    return True


def _apt(prefix, arguments, log, progress, wanted):
    # Descriptor 3 is opened by a shell behind sudo, which would close ours. Not 1: apt closes the status descriptor for dpkg, and a package's
    # script that prints something would fail.
    command = [*prefix, "sh", "-c", 'exec env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -o DPkg::Lock::Timeout=300 "$@" 3>&1', "apt-get",
               *arguments]
    process = subprocess.Popen(command, stdin=None if prefix == ["sudo"] else subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace")
    errors = []
    for line in process.stdout:
        log.write(line)
        # Status lines: dlstatus:1:43.2:... while downloading, pmstatus:package:12.0:... while installing.
        kind, _, rest = line.partition(":")
        if kind in ("dlstatus", "pmstatus"):
            try:
                percent = float(rest.split(":")[1])
            except (IndexError, ValueError):
                continue
            progress.update((percent if kind == "dlstatus" else 100 + percent) / 200)
        elif line.startswith("E:"):
            errors.append(line[2:].strip())
    if process.wait() != 0:
        raise UserError(f"apt-get failed: {'; '.join(errors) or 'see ' + log.name}. Once that is mended, this does the same by hand (as root):\n"
                        f"  {install_command(wanted)}")
