#!/usr/bin/env python3
"""Counts that do not depend on the computer's speed, with room to grow a little: what a start and a read cost the guest. Whoever makes
them worse should know it (`ringside bench` prints the figures).
"""

import sys
from pathlib import Path

from support.checks import Checks, need
from support.machines import image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import bench_boot  # noqa: E402
import bench_disk  # noqa: E402

# way of reading: most kicks and interrupts per 1,000 reads, most instructions per read
# (At depth 32 a slow host answers one by one, a fast one all at once: never more than one of each for a read.)
LIMITS = {"depth1": (1000, 1000, 3000), "depth32-tasks": (1000, 1000, 2500), "depth32-batch": (1000, 1000, 2500)}
BOOT = 150_000                    # instructions without devices
BOOT_WITH_DEVICES = 900_000


def reads(machine):
    lines = list(bench_disk.measure(image("bench"), [machine]))
    need({line["way"] for line in lines} == set(LIMITS), f"not every way was measured: {lines}")
    for line in lines:
        for what, most in zip(("kicks", "interrupts", "instructions"), LIMITS[line["way"]]):
            need(line[what] <= most, f"{line['way']}: {line[what]:.0f} {what}, at most {most} expected")


def boot(devices, most):
    count, _, halts = bench_boot.measure(image("selftest"), "q35", devices)
    need(count <= most, f"{count} instructions from the entry to main(), at most {most} expected")
    need(halts <= 40, f"{halts} halts before main()")


def main():
    with Checks("counts", 80) as checks:
        for machine in bench_disk.MACHINES:
            checks.run(f"reads.{machine.replace(' ', '_')}", reads, machine)
        checks.run("boot.no_devices", boot, False, BOOT)
        checks.run("boot.all_devices", boot, True, BOOT_WITH_DEVICES)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
