#!/usr/bin/env python3
"""Counts that do not depend on the computer's speed, with room to grow a little: what a start, a read, a frame and a line of output cost
the guest. Whoever makes them worse should know it (`ringside bench guest` prints the figures).

    counts_test.py [aarch64.virt|riscv64.virt|armv7.virt]
"""

import sys
from pathlib import Path

from support.checks import Checks, need
from support.machines import image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import bench_boot  # noqa: E402
import guest_ours  # noqa: E402
from counting import Counter  # noqa: E402

# Most kicks, interrupts and instructions per operation. What several answers at once save depends on the host: at depth 32 a slow one
# answers one by one, so that there is never more than one of each for a read.
LIMITS = {
    "qd1_sleep": (1, 1.01, 2500),
    "qd1_poll": (1, 1.01, 800),
    "qd32": (1, 1, 2500),
    "qd32_tasks": (1, 1, 2500),
    "read1m": (1, 1.01, 2500),
    "tx60": (1 / 32, 0.01, 300),
    "rx60": (1 / 32, 1, 1500),
    "1mib": (4 / (1 << 20), 8 / (1 << 20), 0.01),
    "1k": (1 / 1024, 1 / 1024, 2),
    "64b": (1 / 64, 1 / 64, 16),
}
MACHINES = {"q35": {}, "q35 without messages": {"vectors": 0}, "microvm": {"machine": "microvm"},
            **{f"{arch}.virt": {"arch": arch, "machine": "virt"} for arch in ("aarch64", "riscv64", "armv7")}}
BOOT = 150_000                    # instructions without devices
BOOT_WITH_DEVICES = 900_000


def operations(title):
    setting = guest_ours.Setting(operations=512, **MACHINES[title])
    wanted = dict(LIMITS)
    if setting.machine == "microvm":
        wanted.pop("rx60")        # QEMU's hub takes more cards than this machine is given
    with Counter() as counter:
        figures = guest_ours.measure(counter, image("bench"), setting)
    need(set(figures) == set(wanted), f"not everything was measured: {sorted(figures)}")
    for name, most in wanted.items():
        found = figures[name]
        for what, limit in zip(("kicks", "interrupts", "instructions"), most):
            value = getattr(found, what)
            need(value <= limit, f"{name}: {value:.4f} {what} per operation, at most {limit:.4f} expected")


def boot(devices, most):
    count, _, halts = bench_boot.measure(image("selftest"), "q35", devices)
    need(count <= most, f"{count} instructions from the entry to main(), at most {most} expected")
    need(halts <= 40, f"{halts} halts before main()")


def main(configuration):
    with Checks("counts", 80) as checks:
        for title in [configuration] if configuration else [title for title in MACHINES if "virt" not in title]:
            checks.run(f"operations.{title.replace(' ', '_')}", operations, title)
        if configuration:
            return checks.status()
        checks.run("boot.no_devices", boot, False, BOOT)
        checks.run("boot.all_devices", boot, True, BOOT_WITH_DEVICES)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
