"""`ringside build`: configure once, then build what has changed, in build/PRESET."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess

from . import lwip, newlib, setup
from .messages import Progress, UserError, say
from .paths import ROOT, build_folder

PRESETS = ["host", *setup.ARCHITECTURES]


def bootable():
    """The presets whose kernel has an entry: on a processor without one there is nothing to build."""
    return [preset for preset in PRESETS if preset == "host" or (ROOT / "boot" / preset / "kernel.ld").exists()]


def _base(preset):
    """What a build folder was configured against; with anything else it has to be made anew."""
    toolchain = ROOT / "toolchain" / f"{preset}.cmake"
    if not toolchain.exists():
        return "host\n"
    return f"{newlib.folder(preset)}\n{lwip.folder()}\n{hashlib.sha256(toolchain.read_bytes()).hexdigest()}\n"


def configure(preset, folder):
    stamp, base = folder / "ringside-base.txt", _base(preset)
    if stamp.exists() and stamp.read_text() == base and (folder / "build.ninja").exists():
        return
    # A folder of another C library or of another toolchain file, or one whose configuration was cut short, has wrong answers in its cache.
    shutil.rmtree(folder, ignore_errors=True)
    command = ["cmake", "--preset", preset, "-B", str(folder)]
    if os.environ.get("LWIP_SOURCE"):
        command.append(f"-DLWIP_SOURCE={lwip.folder()}")
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if run.returncode != 0:
        raise UserError(f"cmake could not configure {preset}:\n{run.stdout}{run.stderr}".rstrip())
    stamp.write_text(base)


@contextlib.contextmanager
def _lock(folder):
    """Two builds of one folder at once (two terminals, two tests) would write over each other."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / f".{folder.name}.lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prepare(preset):
    """Configures only: enough to know which tests there are."""
    with _lock(build_folder(preset)):
        configure(preset, build_folder(preset))
    return build_folder(preset)


def build(preset, targets=(), folder=None, quiet=True):
    """Builds; the output is shown when something goes wrong (or always)."""
    folder = folder or build_folder(preset)
    with _lock(folder):
        _build(preset, targets, folder, quiet)


def _build(preset, targets, folder, quiet):
    configure(preset, folder)
    command = ["cmake", "--build", str(folder), *(["--target", *targets] if targets else [])]
    if not quiet:
        if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
            raise UserError(f"the build of {preset} failed")
        return
    follow(command, f"building {' '.join(targets) or preset}")


def follow(command, title):
    """Runs a build that prints ninja's [done/all] counts: shows how far it is, and its output only if it fails."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    progress = Progress(title, announce=False)
    output = []
    try:
        for line in process.stdout:
            count = re.match(r"\[(\d+)/(\d+)\]", line)
            if count:
                progress.update(int(count[1]) / int(count[2]))
            else:
                output.append(line)
        status = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if status != 0:
        raise UserError(f"{title} failed:\n{''.join(output).rstrip()}")
    progress.done()


def image(name, folder=None):
    """The ELF file of an image or an example."""
    found = sorted((folder or build_folder("x86_64")).rglob(f"{name}.elf"))
    if not found:
        raise UserError(f"there is no image named {name} in {folder or build_folder('x86_64')}")
    return found[0]


def add_arguments(parser):
    parser.add_argument("--preset", choices=PRESETS, default="x86_64", help="what to build (default: x86_64)")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="only these CMake targets")


def main(options):
    setup.ensure(with_tests=options.preset == "host", architectures=[] if options.preset == "host" else [options.preset])
    if options.targets:
        folder = prepare(options.preset)
        known = subprocess.run(["ninja", "-C", str(folder), "-t", "targets", "all"], check=True, capture_output=True, text=True).stdout
        for target in options.targets:
            if not re.search(rf"(?m)^{re.escape(target)}: ", known):
                raise UserError(f"there is no target '{target}' in {options.preset}", 2)
    build(options.preset, options.targets, quiet=False)
    say(f"built {', '.join(options.targets) or 'everything'} in {build_folder(options.preset)}")
    return 0
