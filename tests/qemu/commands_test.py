#!/usr/bin/env python3
"""Commands given to the appliance at its start (`ringside run --command`): what they print, the status, machines that lack a device."""

import hashlib
import random
import re
import sys
import tempfile
import urllib.parse
from pathlib import Path

from ringside.guest import Guest
from ringside.machine import Disk

from support.checks import Checks, equal, need
from support.machines import CONFIGURATIONS, image, make

MIB = 1 << 20


def commands(configuration, line, expected_status=0, **options):
    """What the console showed."""
    machine = make(configuration, image("appliance"), command_line=["command=" + urllib.parse.quote(line, safe=""), *options.pop("words", [])], **options)
    with Guest(machine) as guest:
        try:
            equal(guest.wait(60), expected_status, f"status of '{line}'")
        except AssertionError:
            guest.show()
            raise
        return guest.console_text().replace("\r", "")


def all_four(configuration, disk):
    """devices; sha256 disk:0; ip; balloon"""
    text = commands(configuration, "devices; sha256 disk:0; ip; balloon", disks=[Disk(disk, "sample")])
    digest = hashlib.sha256(disk.read_bytes()).hexdigest()
    need(re.search(rf"(?m)^{digest} +disk:0$", text), f"the checksum: {text}")
    for name in ("disk0", "net0", "console0", "balloon0", "entropy0"):
        need(re.search(rf"(?m)^{name} ", text), f"{name} is not listed: {text}")
    equal(text.count("RING_PACKED"), 5 if configuration.endswith("-packed") else 0, f"devices with packed rings, in {text}")
    need(re.search(r"address +10\.0\.2\.15", text), f"the address: {text}")
    need(re.search(r"the host has +0 pages", text), f"the balloon: {text}")


def only_output(disk):
    equal(commands("q35", "time", disks=[Disk(disk, "sample")]).count("\n") <= 3, True, "few lines from 'time'")
    equal(commands("q35", "help nonsense", 1).strip() != "", True, "a complaint")


def statuses(disk):
    need("no disk 7" in commands("q35", "sha256 disk:7; mem", 1, disks=[Disk(disk, "sample")]), "the complaint names the disk")
    commands("q35", "mem; nonsense; mem", 127)
    commands("q35", "poweroff 9", 9)
    commands("q35", "", 0)


def static_address():
    text = commands("q35", "ip; ping 10.0.2.2", words=["ip=10.0.2.77/24,10.0.2.2,10.0.2.3"])
    need(re.search(r"address +10\.0\.2\.77", text), f"the address: {text}")
    need("3 of 3 answered" in text, f"ping: {text}")


def missing(words, complaints, status=None, **options):
    """The rest works, and what is missing is said, without a panic or a hang."""
    machine = make("q35", image("appliance"), command_line=["command=" + urllib.parse.quote(words, safe="")], **options)
    with Guest(machine) as guest:
        try:
            ended = guest.wait(60)
            text = guest.console_text()
            need("PANIC" not in text + guest.serial_text(), "a panic")
            if status is not None:
                equal(ended, status, "status")
            for complaint in complaints:
                need(re.search(complaint, text), f"nothing like '{complaint}' is said")
        except AssertionError:
            guest.show()
            raise


def main():
    with Checks("commands", 150) as checks, tempfile.TemporaryDirectory(prefix="ringside-commands-") as folder:
        disk = Path(folder) / "disk.img"
        disk.write_bytes(random.Random(5).randbytes(3 * MIB))
        for configuration in CONFIGURATIONS:
            checks.run(f"devices_sha256_ip_balloon.{configuration}", all_four, configuration, disk)
        checks.run("only_output", only_output, disk)
        checks.run("statuses", statuses, disk)
        checks.run("static_address", static_address)
        checks.run("no_network", missing, "ip; disk; mem", [r"(?i)no network|no device", r"disk:0"], network=False, disks=[Disk(disk, "one")])
        checks.run("no_disk", missing, "disk; ls; ip", [r"(?i)no disk", r"10\.0\.2\.15"])
        checks.run("no_balloon", missing, "balloon; ip", [r"(?i)no balloon", r"10\.0\.2\.15"], balloon=False)
        checks.run("no_entropy", missing, "devices; ip", [r"10\.0\.2\.15"], 0, entropy=False)
        checks.run("no_archive", missing, "ls; disk", [r"(?i)archive|no file", r"disk:0"], disks=[Disk(disk, "one")])
        checks.run("almost_nothing", missing, "mem; devices", [r"managed"], 0, network=False, balloon=False, entropy=False)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
