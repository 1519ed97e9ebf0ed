#!/usr/bin/env python3
"""Other machines: fewer vectors, no interrupts, small queues, other features, other sizes, devices missing. One short boot of the
self-test image for each; the guest's own checks judge.

    variants_test.py [NAME ...]
"""

import random
import re
import sys
import tempfile
from pathlib import Path

from ringside.guest import Guest
from ringside.machine import Disk
from ringside.selftest import JOINED_PORTS, joined_chardevs

from support.checks import Checks, equal, need
from support.machines import image, make

MIB = 1 << 20
NO_RING_FEATURES = "indirect_desc=off,event_idx=off"
NOTHING_FANCY = f"mrg_rxbuf=off,csum=off,guest_csum=off,ctrl_vq=off,{NO_RING_FEATURES}"

DEVICES = "entropy disks ports net"

# name: what differs. `only` limits the guest's checks to some groups; `disk` are options of the disk; `skips` are the checks that the guest
# must skip, because it lacks what they need (and no others); `modes` is how all devices but the balloon (which has no messages) interrupt;
# `says` is a part of its log.
VARIANTS = {
    "poll": {"words": ["irq=poll"], "modes": "polled", "only": DEVICES},
    "line_by_choice": {"words": ["irq=intx"], "modes": "line", "only": DEVICES},
    "one_vector": {"vectors": 1, "modes": "one message", "only": DEVICES},
    "two_vectors": {"vectors": 2, "modes": "two messages|message per queue", "only": DEVICES},
    "microvm_poll": {"configuration": "microvm", "words": ["irq=poll"], "modes": "polled", "only": DEVICES},
    "microvm_without_acpi": {"configuration": "microvm-noacpi", "modes": "line", "only": DEVICES},
    "pc_without_messages": {"configuration": "pc", "vectors": 0, "modes": "line", "only": DEVICES},
    # Legacy devices: the network's header shorter, or in a descriptor of its own, as chains and as tables.
    "legacy_short_header": {"transport": "pci-legacy", "network_options": "mrg_rxbuf=off", "only": DEVICES},
    "legacy_header_apart": {"configuration": "pc", "transport": "pci-legacy", "network_options": "mrg_rxbuf=off,any_layout=off",
                            "disk": "any_layout=off", "only": DEVICES},
    "legacy_mmio_chains": {"configuration": "microvm", "transport": "mmio-legacy", "network_options": "any_layout=off,indirect_desc=off",
                           "disk": f"any_layout=off,{NO_RING_FEATURES}", "only": DEVICES},
    # Both interfaces are there, and nobody says which: the modern one.
    "transitional": {"transitional": True, "only": DEVICES, "says": "pci-modern, interrupts"},
    "legacy_poll": {"transport": "pci-legacy", "words": ["irq=poll"], "modes": "polled", "only": DEVICES},
    "window_poll": {"transport": "pci-cfg", "words": ["irq=poll"], "modes": "polled", "only": DEVICES,
                    "says": "no interrupt: the device is polled"},
    "one_processor": {"smp": 1},
    "four_processors": {"smp": 4, "only": "disks processors tasks"},
    # Each disk is served by another processor, and read from all of them.
    "disks_spread": {"smp": 4, "disks": 4, "words": ["disks=spread"], "only": "disks processors", "says": "of processor 3"},
    "processors_left_alone": {"smp": 2, "words": ["processors=1", "smp=1"], "only": "disks processors"},
    "little_memory": {"memory": 40},
    "beyond_4_gib": {"memory": 5120, "only": "memory"},
    "disk_beyond_4_gib": {"memory": 5120, "only": "disks"},
    # The device may be translated and is not believed to see all memory: everything is copied through a pool.
    "bounced": {"words": ["dma=bounce"], "disk": "iommu_platform=on", "network_options": "iommu_platform=on", "only": DEVICES,
                "says": "devices reach a pool of 8 MiB and nothing else"},
    "plain_rings": {"disk": NO_RING_FEATURES, "network_options": NOTHING_FANCY, "only": DEVICES},
    "small_queue": {"disk": "queue-size=4", "only": "disks"},
    "one_segment": {"disk": "queue-size=4,seg-max-adjust=on", "only": "disks"},
    "large_queue": {"disk": "queue-size=1024", "only": "disks"},
    "write_through": {"disk": "write-cache=off", "only": "disks"},
    "no_cache_switch": {"disk": "config-wce=off", "only": "disks"},
    "many_queues": {"disk": "num-queues=4", "only": "disks"},
    "large_network_rings": {"network_options": "rx_queue_size=1024", "only": "net"},
    "small_mtu": {"network_options": "host_mtu=1280", "only": "net"},
    "no_link_status": {"network_options": "status=off", "only": "net"},
    "no_network": {"network": False, "skips": ["net.up"], "only": DEVICES},
    "no_disk": {"disks": 0, "skips": ["disks"], "only": DEVICES},
    "no_balloon": {"balloon": False, "only": DEVICES},
    "no_entropy_device": {"entropy": False, "only": DEVICES},
    "no_console": {"console": False, "skips": ["ports"]},
    "no_device_at_all": {"network": False, "balloon": False, "entropy": False, "disks": 0, "console": False, "skips": ["disks", "net.up", "ports", "processors.disk"]},
    "large_blocks": {"disk": "logical_block_size=4096,physical_block_size=4096", "only": "disks"},
    "many_disks": {"disks": 12, "only": "disks"},
}


def variant(name, folder, options):
    options = dict(options)
    console = options.pop("console", True)
    only = options.pop("only", "")
    skips = options.pop("skips", [])
    count = options.pop("disks", 1)
    disk_options = options.pop("disk", "")
    modes = options.pop("modes", "")
    says = options.pop("says", "")
    disks = []
    for number in range(count):
        path = Path(folder) / f"{name}{number}.img"
        content = random.Random(number).randbytes(2 * MIB if count == 1 else MIB // 4)
        path.write_bytes(content)
        disks.append((path, content))
    words = [*options.pop("words", []), *[f"only={group}" for group in only.split()]]
    machine = make(options.pop("configuration", "q35"), image("selftest"), disks=[Disk(path, f"disk{n}", options=disk_options) for n, (path, _) in enumerate(disks)],
                   command_line=words, chardevs=joined_chardevs(folder) if console else [], ports=JOINED_PORTS if console else {}, **options)
    with Guest(machine, console=console) as guest:
        try:
            status = guest.wait(60)
            text = guest.serial_text() + guest.console_text()
            failures = re.findall(r"(?m)^FAIL (.*?)\r?$", text)
            need(not failures, f"the guest's checks: {'; '.join(failures)}")
            equal(status, 0, "status")
            counts = re.findall(r"(\d+) passed, 0 failed", text)
            need(counts and int(counts[-1]) > 0, "no check was counted")
            skipped = re.findall(r"(?m)^skip (\S+):", text)
            equal(sorted(skipped), sorted(skips), "skipped checks")
            need(not re.search(r"(?m)^PANIC", text), "a panic")
            need(says in guest.serial_text(), f"not said: {says}")
            if modes:
                # Devices that start before the console tell the 16550.
                told = re.findall(r"(?:disk|entropy)\d: .*interrupts: (.*?)\r?$", guest.serial_text(), re.M)
                need(told and all(re.fullmatch(modes, mode) for mode in told), f"interrupts: {told} instead of {modes}")
        except AssertionError:
            guest.show()
            raise
    for path, content in disks:
        need(path.read_bytes() == content, "the checks did not put back what they overwrote")
        path.unlink()


def main(names):
    with Checks("variants", 230) as checks, tempfile.TemporaryDirectory(prefix="ringside-variants-") as folder:
        for name in names or VARIANTS:
            checks.run(f"variant.{name}", variant, name, folder, VARIANTS[name])
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
