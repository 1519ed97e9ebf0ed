"""`ringside setup`: everything that a build and a run need. A second run finds all of it and ends at once."""

import contextlib
import fcntl
import time

from . import lwip, newlib, packages
from .messages import say
from .paths import cache_folder

ARCHITECTURES = ["x86_64", "aarch64", "riscv64", "armv7"]
PATIENCE = 2  # seconds before a wait is worth a word


def _try(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _lock():
    """Two set-ups at once would build the same thing into the same place."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", encoding="utf-8") as file:
        # Nearly always the other one finds nothing to do either, and is through in a moment.
        deadline = time.monotonic() + PATIENCE
        while not _try(file) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not _try(file):
            say("another set-up is running: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ensure(with_tests=False, with_long_tests=False, architectures=("x86_64",)):
    """Whether anything had to be done. x86_64 is always among the processors, and tests want all of them."""
    architectures = [arch for arch in ARCHITECTURES if with_tests or arch == "x86_64" or arch in architectures]
    wanted = packages.RUN_PACKAGES + (packages.TEST_PACKAGES if with_tests else []) + (packages.LONG_TEST_PACKAGES if with_long_tests else [])
    for arch in architectures:
        wanted = wanted + packages.ARCH_PACKAGES[arch]
    done = packages.ensure(list(dict.fromkeys(wanted)))
    with _lock():
        for arch in architectures:
            done = newlib.ensure(arch) or done
        done = lwip.ensure() or done
    return done


def add_arguments(parser):
    parser.add_argument("--arch", action="append", choices=ARCHITECTURES, default=[], help="also for this processor (default: x86_64 only)")
    parser.add_argument("--tests", action="store_true", help="also install what the tests need")


def main(options):
    if ensure(options.tests, architectures=options.arch):
        say("all is set up")
    else:
        say(f"nothing to do: packages, newlib ({newlib.folder('x86_64')}) and lwIP ({lwip.folder()}) are there")
    return 0
