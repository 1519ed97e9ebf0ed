#!/usr/bin/env python3
"""`ringside run --gdb` waits at the first instruction for a debugger, says what to type, and goes on when the debugger lets it."""

import re
import socket
import subprocess
import time

from ringside.paths import ROOT

from support.debugger import Debugger


def main():
    child = subprocess.Popen([ROOT / "ringside", "run", "hello", "--gdb", "--no-net"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, errors="replace")
    try:
        said = ""
        while not (match := re.search(r"gdb \S+hello\.elf -ex 'target remote 127\.0\.0\.1:(\d+)'", said)):
            line = child.stderr.readline()
            assert line, f"it ended without saying what to type:\n{said}"
            said += line
        deadline = time.monotonic() + 20
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", int(match[1])), 20)
                break
            except OSError:
                assert time.monotonic() < deadline, "nobody listens for gdb"
                time.sleep(0.1)
        with Debugger(connection) as debugger:
            stopped = debugger.ask("?")
            assert stopped.startswith(("T05", "S05")), stopped
            assert child.poll() is None
            debugger.go()
            output, _ = child.communicate(timeout=60)
        assert "Hello from" in output, output
        assert child.returncode == 0, child.returncode
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait(10)


if __name__ == "__main__":
    main()
