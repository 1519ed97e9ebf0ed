"""QEMU as a child process that never outlives us."""

import contextlib
import ctypes
import signal
import subprocess
import time

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_parent():
    # Even if we are killed with SIGKILL, no QEMU is left behind.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def start(arguments, **options):
    return subprocess.Popen(arguments, preexec_fn=_die_with_parent, **options)


def stop(process):
    """Ends it whatever it does; returns its exit code."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        if process.poll() is None:
            process.kill()
    return process.wait()


class Tail:
    """Follows files that grow and hands over what is new."""

    def __init__(self, *outputs):
        """outputs: (path, write function) pairs"""
        self._files = [(open(path, "rb"), write) for path, write in outputs]

    def copy(self):
        for file, write in self._files:
            while data := file.read(1 << 16):
                write(data)

    def close(self):
        for file, _ in self._files:
            file.close()


def wait_and_follow(process, tail, timeout=None):
    """Waits for the end while copying what the guest prints. Returns QEMU's exit code, or None when the time is over (and QEMU ended)."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        tail.copy()
        try:
            code = process.wait(0.05)
            tail.copy()
            return code
        except subprocess.TimeoutExpired:
            if deadline is not None and time.monotonic() > deadline:
                stop(process)
                tail.copy()
                return None
