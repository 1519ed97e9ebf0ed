#!/usr/bin/env python3
"""`ringside run` in a terminal: keys reach the shell, `poweroff` and Ctrl-A X end it, and the terminal is as it was before, however it ends."""

import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import termios
import time
from pathlib import Path

from ringside.paths import ROOT


class Terminal:
    def __init__(self, *words):
        # Somewhere to leave files for the one that is killed and cannot clean up.
        self.scratch = tempfile.TemporaryDirectory()
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.text = ""
        self.child = subprocess.Popen([ROOT / "ringside", "run", *words], stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                      start_new_session=True, env=os.environ | {"TMPDIR": self.scratch.name})

    def until(self, pattern, timeout=60):
        deadline = time.monotonic() + timeout
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, f"no {pattern!r} within {timeout} s in:\n{self.text}"
            self._read(0.2)

    def _read(self, timeout):
        if select.select([self.master], [], [], timeout)[0]:
            self.text += os.read(self.master, 1 << 16).decode(errors="replace")

    def type(self, keys):
        os.write(self.master, keys.encode())

    def end(self, timeout=30):
        deadline = time.monotonic() + timeout
        while self.child.poll() is None:
            assert time.monotonic() < deadline, f"it did not end within {timeout} s:\n{self.text}"
            self._read(0.1)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal was not restored"
        left = os.listdir(self.scratch.name)
        assert not left, f"files were left behind: {left}"
        return self.child.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
        os.close(self.master)
        os.close(self.slave)
        self.scratch.cleanup()


def qemu_of(process):
    """The process number of the child's QEMU."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = re.match(r"\d+ \((.*)\) (.*)", entry.read_text()).groups()
        except (OSError, AttributeError):
            continue
        if name.startswith("qemu") and int(rest.split()[1]) == process.pid:
            return int(entry.parent.name)
    raise AssertionError("no QEMU is running")


def ready(terminal):
    terminal.until(r"web page http://127\.0\.0\.1:\d+/; Ctrl-A X ends it")
    # The shell is there when it answers.
    deadline = time.monotonic() + 60
    while "poweroff" not in terminal.text.split("Ctrl-A X")[-1]:
        assert time.monotonic() < deadline, f"the shell does not answer:\n{terminal.text}"
        terminal.type("help\r")
        for _ in range(10):
            terminal._read(0.1)


def main():
    with Terminal("--machine", "q35") as terminal:
        ready(terminal)
        terminal.type("poweroff\r")
        assert terminal.end() == 0, terminal.text

    with Terminal("--machine", "microvm") as terminal:
        ready(terminal)
        # Ctrl-C is a key for the guest, not the end of everything.
        terminal.type("\x03")
        time.sleep(0.5)
        assert terminal.child.poll() is None, "Ctrl-C ended it"
        terminal.type("\x01x")
        assert terminal.end() == 0, terminal.text

    with Terminal() as terminal:
        ready(terminal)
        qemu = qemu_of(terminal.child)
        terminal.child.send_signal(signal.SIGTERM)
        assert terminal.end() == 128 + signal.SIGTERM
        assert not Path(f"/proc/{qemu}").exists(), "QEMU was left behind"

    with Terminal() as terminal:
        ready(terminal)
        qemu = qemu_of(terminal.child)
        terminal.child.send_signal(signal.SIGKILL)
        terminal.child.wait()
        deadline = time.monotonic() + 5
        while Path(f"/proc/{qemu}").exists():
            assert time.monotonic() < deadline, "QEMU outlived its parent"
            time.sleep(0.1)


if __name__ == "__main__":
    main()
