"""The C library: built once from the distribution's newlib-source, kept in the cache under a name that says what it was built from."""

import glob
import hashlib
import os
import re
import shutil
import signal
import subprocess

from .messages import Progress, UserError
from .paths import TOOLCHAIN, cache_folder

SCRIPT = TOOLCHAIN / "build-newlib.sh"
# The compilers' prefixes, as in toolchain/ARCH.cmake.
TOOLS = {"x86_64": "x86_64-linux-gnu-", "aarch64": "aarch64-linux-gnu-", "riscv64": "riscv64-linux-gnu-", "armv7": "arm-none-eabi-"}
# How many lines the build prints (newlib 3.3): a measure for progress only.
USUAL_LINES = 2120


def archive():
    found = sorted(glob.glob("/usr/src/newlib/newlib-*.tar.*"))
    if not found:
        raise UserError("no newlib sources under /usr/src/newlib: install the package newlib-source, or run 'ringside setup'")
    return found[0]


def folder(arch):
    """The same name as ringside_newlib_folder in toolchain/dependencies.cmake makes."""
    version = re.sub(r"\.tar\..*$", "", os.path.basename(archive()))
    compiler = subprocess.run([f"{TOOLS[arch]}gcc", "-dumpfullversion"], check=True, capture_output=True, text=True).stdout.strip()
    script = hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[:12]
    return cache_folder() / f"{version}-{arch}-gcc{compiler}-{script}"


def ensure(arch):
    """Builds it if it is not there. A build that was killed leaves a scratch folder at most, which the next one removes."""
    result = folder(arch)
    if (result / "lib" / "libc.a").exists():
        return False
    # A folder of this build alone: processes of one that was killed may still be writing into theirs.
    for stale in cache_folder().glob("newlib-work-*"):
        shutil.rmtree(stale, ignore_errors=True)
    work = cache_folder() / f"newlib-work-{os.getpid()}"
    work.mkdir(parents=True)
    log = cache_folder() / "newlib-build.log"
    progress = Progress(f"newlib for {arch}", 60)
    lines = 0
    with open(log, "w", encoding="utf-8", errors="replace") as file:
        process = subprocess.Popen([str(SCRIPT), arch, archive(), str(work), str(result)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
        try:
            for line in process.stdout:
                file.write(line)
                lines += 1
                progress.update(min(0.99, lines / USUAL_LINES))
            status = process.wait()
        finally:
            if process.poll() is None:
                # make and the compilers, too
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            shutil.rmtree(work, ignore_errors=True)
    if status != 0 or not (result / "lib" / "libc.a").exists():
        raise UserError(f"newlib did not build; the last lines of {log}:\n" + "".join(open(log, encoding="utf-8").readlines()[-15:]))
    progress.done()
    return True
