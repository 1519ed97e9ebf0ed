#!/usr/bin/env python3
"""`ringside run --command` as a user types it: right answers, the right status, and nothing else on standard output."""

import hashlib
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from ringside import disk, platforms
from ringside.paths import ROOT


def run(*words, timeout=120):
    return subprocess.run([ROOT / "ringside", "run", "--timeout", str(timeout), *words], capture_output=True, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, timeout=timeout + 60)


def chosen(word):
    """A machine of x86_64's, or another processor with its first machine."""
    return ["--arch" if word in platforms.ARCHS else "--machine", word]


def expect(condition, result, what):
    assert condition, f"{what}\n--- status {result.returncode}, stdout:\n{result.stdout}\n--- stderr:\n{result.stderr}"


def answers(machine):
    disk.sample()  # made at its first use, which is said in one more line: have it made before
    result = run(*machine, "--command", "devices; sha256 disk:0; ip; balloon")
    expect(result.returncode == 0, result, "the status is not 0")
    expect(hashlib.sha256(disk.sample().read_bytes()).hexdigest() in result.stdout, result, "the disk's SHA-256 is not the host's")
    expect("10.0.2.15" in result.stdout, result, "no address from DHCP")
    for device in ("bl(oc)?k", "net", "console", "balloon", "entropy|rng"):
        expect(re.search(device, result.stdout, re.I), result, f"no {device} among the devices")
    expect(result.stdout.count("\n") < 60, result, "more than the commands' answers on standard output")
    said = [line for line in result.stderr.splitlines() if "is taken: using" not in line]  # another guest may have the usual port
    expect(len(said) == 1 and "http://127.0.0.1:" in said[0], result, "not one line about what is booted")


def failing(machine):
    result = run(*machine, "--no-net", "--command", "cat no-such-file; echo-nothing; devices")
    expect(result.returncode not in (0, 124), result, "a failing command did not show in the status")
    expect(re.search("balloon", result.stdout, re.I), result, "the command after the failing one did not run")
    expect("Traceback" not in result.stderr and "PANIC" not in result.stderr, result, "it went wrong in another way")


def packed(machine):
    result = run(*machine, "--ring", "packed", "--command", "devices")
    expect(result.returncode == 0, result, "the status is not 0")
    expect(result.stdout.count("RING_PACKED") == 5, result, "not every device has packed rings")
    expect("packed rings" in result.stderr, result, "what is booted does not say which rings")


def two_disks(machine):
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "first, with a comma.img"), Path(folder, "second.img")
        first.write_bytes(bytes(1 << 20))
        second.write_bytes(b"two" * 512 + bytes(512))
        result = run(*machine, "--disk", str(first), "--disk", str(second), "--command",
                     "write disk:0 5 hello; sha256 disk:1; sha256 disk:0:5,1")
        expect(result.returncode == 0, result, "the status is not 0")
        expect(first.read_bytes()[5 * 512:5 * 512 + 5] == b"hello", result, "what was written is not in the image")
        expect(hashlib.sha256(second.read_bytes()).hexdigest() in result.stdout, result, "the second disk's SHA-256 is not the host's")
        expect(hashlib.sha256(first.read_bytes()[2560:3072]).hexdigest() in result.stdout, result, "the sector's SHA-256 is not the host's")


def taken_port(machine):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run(*machine, "--port", str(port), "--command", "time")
        expect(result.returncode == 0, result, "the status is not 0")
        expect(re.search(rf"port {port} is taken: using \d+", result.stderr), result, "it is not said that the port is taken")


def time_out(machine):
    result = run(*machine, "--qemu-args", "-S", "--command", "time", timeout=2)
    expect(result.returncode == 124 and "no answer within 2 s" in result.stderr, result, "a guest that never answers is not given up")


if __name__ == "__main__":
    machine = chosen(sys.argv[1])
    answers(machine)
    if sys.argv[1] == "q35":
        failing(machine)
        packed(machine)
        two_disks(machine)
        taken_port(machine)
        time_out(machine)
    elif sys.argv[1] in platforms.ARCHS:
        failing(machine)
        packed(machine)
