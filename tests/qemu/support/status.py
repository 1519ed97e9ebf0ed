"""What QEMU knows about a virtio device (x-query-virtio-status), and what its log holds against the guest."""

import dataclasses
import re

from ringside.guest import Guest

from .checks import eventually, need
from .machines import image

# Names that QEMU 7.2 gives to bits, with the bit: ring features first, then by device type. Everything that our drivers may negotiate.
RING = {"VIRTIO_F_NOTIFY_ON_EMPTY": 24, "VIRTIO_F_ANY_LAYOUT": 27, "VIRTIO_RING_F_INDIRECT_DESC": 28, "VIRTIO_RING_F_EVENT_IDX": 29,
        "VIRTIO_F_VERSION_1": 32, "VIRTIO_F_IOMMU_PLATFORM": 33, "VIRTIO_F_RING_PACKED": 34, "VIRTIO_F_IN_ORDER": 35,
        "VIRTIO_F_ORDER_PLATFORM": 36, "VIRTIO_F_SR_IOV": 37, "VIRTIO_F_RING_RESET": 40}
DEVICE = {
    "virtio-blk": {"VIRTIO_BLK_F_SIZE_MAX": 1, "VIRTIO_BLK_F_SEG_MAX": 2, "VIRTIO_BLK_F_GEOMETRY": 4, "VIRTIO_BLK_F_RO": 5,
                   "VIRTIO_BLK_F_BLK_SIZE": 6, "VIRTIO_BLK_F_FLUSH": 9, "VIRTIO_BLK_F_TOPOLOGY": 10, "VIRTIO_BLK_F_CONFIG_WCE": 11,
                   "VIRTIO_BLK_F_MQ": 12, "VIRTIO_BLK_F_DISCARD": 13, "VIRTIO_BLK_F_WRITE_ZEROES": 14},
    "virtio-net": {"VIRTIO_NET_F_CSUM": 0, "VIRTIO_NET_F_GUEST_CSUM": 1, "VIRTIO_NET_F_CTRL_GUEST_OFFLOADS": 2, "VIRTIO_NET_F_MTU": 3,
                   "VIRTIO_NET_F_MAC": 5, "VIRTIO_NET_F_GUEST_TSO4": 7, "VIRTIO_NET_F_GUEST_TSO6": 8, "VIRTIO_NET_F_GUEST_ECN": 9,
                   "VIRTIO_NET_F_GUEST_UFO": 10, "VIRTIO_NET_F_HOST_TSO4": 11, "VIRTIO_NET_F_HOST_TSO6": 12, "VIRTIO_NET_F_HOST_ECN": 13,
                   "VIRTIO_NET_F_HOST_UFO": 14, "VIRTIO_NET_F_MRG_RXBUF": 15, "VIRTIO_NET_F_STATUS": 16, "VIRTIO_NET_F_CTRL_VQ": 17,
                   "VIRTIO_NET_F_CTRL_RX": 18, "VIRTIO_NET_F_CTRL_VLAN": 19, "VIRTIO_NET_F_CTRL_RX_EXTRA": 20,
                   "VIRTIO_NET_F_GUEST_ANNOUNCE": 21, "VIRTIO_NET_F_MQ": 22, "VIRTIO_NET_F_CTRL_MAC_ADDR": 23,
                   "VIRTIO_NET_F_SPEED_DUPLEX": 63},
    "virtio-serial": {"VIRTIO_CONSOLE_F_SIZE": 0, "VIRTIO_CONSOLE_F_MULTIPORT": 1, "VIRTIO_CONSOLE_F_EMERG_WRITE": 2},
    "virtio-balloon": {"VIRTIO_BALLOON_F_MUST_TELL_HOST": 0, "VIRTIO_BALLOON_F_STATS_VQ": 1, "VIRTIO_BALLOON_F_DEFLATE_ON_OOM": 2,
                       "VIRTIO_BALLOON_F_FREE_PAGE_HINT": 3, "VIRTIO_BALLOON_F_PAGE_POISON": 4, "VIRTIO_BALLOON_F_REPORTING": 5},
    "virtio-rng": {},
}


def devices(guest):
    """[(device name, QOM path)] in QEMU's order."""
    return sorted((entry["name"], entry["path"]) for entry in guest.qmp("x-query-virtio"))


def status(guest, path):
    return guest.qmp("x-query-virtio-status", path=path)


def negotiated(report):
    """The 64 feature bits that the guest accepted, out of a report of QEMU's."""
    features = report["guest-features"]
    bits = features.get("unknown-dev-features", 0)
    names = [*features["transports"], *features.get("dev-features", [])]
    known = {**RING, **DEVICE.get(report["name"], {})}
    for text in names:
        name = text.split(":")[0].strip()
        need(name in known, f"QEMU names a feature that this test does not know: {name}")
        bits |= 1 << known[name]
    return bits


def complaints(text):
    """What -d guest_errors logged, without addresses and numbers, so that two runs can be compared."""
    lines = set()
    for line in text.splitlines():
        line = re.sub(r"0x[0-9a-fA-F]+|\b[0-9a-f]{6,}\b|\b\d+\b", "#", line.strip())
        if line:
            lines.add(line)
    return lines


def nothing_but_firmware(log, machine):
    """Compares what QEMU logged against a guest with what it logs on the same machine against an image that only halts. The other
    guest has ended: both would write to the same disks."""
    halting = dataclasses.replace(machine, image=image("halt"), command_line=[], forwards=[])
    with Guest(halting) as guest:
        eventually(30, lambda: guest.serial_text().rstrip().endswith("H"), "the image that only halts has started")
        unavoidable = complaints(guest.guest_errors())
    ours = complaints(log) - unavoidable
    need(not ours, f"QEMU's log of what the guest did wrong: {sorted(ours)}")
