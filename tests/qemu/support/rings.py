"""What a device writes into its queues, written by a test instead: for messages that QEMU's own device cannot be made to send.
The guest's memory is a file that both share, QEMU says where a queue's rings are, and the guest stands still meanwhile.

    machine = shared(make("q35", image("selftest"), memory=128), folder)
    with Guest(machine) as guest:
        Injector(guest, folder, "virtio-serial", queue=2).send(b"...")       # into the next buffer that the guest has lent

QEMU does not know of such a message: the queue is ours from then on, and the device must have nothing more to say there.
"""

import dataclasses
import mmap
import struct
from pathlib import Path

from . import status
from .checks import need


def shared(machine, folder):
    """The machine with its memory in a file. Its addresses are offsets in the file below 2 GiB."""
    path = Path(folder) / "memory"
    extra = [*machine.extra, "-object", f"memory-backend-file,id=shared,size={machine.memory}M,mem-path={path},share=on",
             "-machine", "memory-backend=shared"]
    return dataclasses.replace(machine, extra=extra)


class Rings:
    """A device's queues, as they stand in the guest's memory."""

    def __init__(self, guest, folder, device, packed):
        self.guest = guest
        self.packed = packed
        self._file = open(Path(folder) / "memory", "r+b")
        self.memory = mmap.mmap(self._file.fileno(), 0)
        self._path = next(path for name, path in status.devices(guest) if name == device)

    def close(self):
        self.memory.close()
        self._file.close()

    def where(self, queue):
        return self.guest.qmp("x-query-virtio-queue-status", path=self._path, queue=queue)

    def ruin_descriptors(self, queue):
        """Every descriptor goes on at one that there is not; packed: is an indirect table of a length that none has. QEMU refuses such a chain
        and sets DEVICE_NEEDS_RESET. The guest must stand still."""
        where = self.where(queue)
        for number in range(where["vring-num"]):
            at = where["vring-desc"] + 16 * number
            if self.packed:
                flags, = struct.unpack_from("<H", self.memory, at + 14)
                struct.pack_into("<I", self.memory, at + 8, 17)
                struct.pack_into("<H", self.memory, at + 14, flags | 4)
            else:
                flags, = struct.unpack_from("<H", self.memory, at + 12)
                struct.pack_into("<HH", self.memory, at + 12, flags | 1, 0xFFFF)


class Injector:
    def __init__(self, guest, folder, device, queue):
        self._guest = guest
        self._file = open(Path(folder) / "memory", "r+b")
        self._memory = mmap.mmap(self._file.fileno(), 0)
        self._path = next(path for name, path in status.devices(guest) if name == device)
        self._queue = queue
        self._sent = 0

    def send(self, message):
        """One used buffer. No interrupt comes with it: let the device have another reason for one."""
        self._guest.qmp("stop")
        try:
            rings = self._guest.qmp("x-query-virtio-queue-status", path=self._path, queue=self._queue)
            size = rings["vring-num"]
            available, used, table = rings["vring-avail"], rings["vring-used"], rings["vring-desc"]
            position = (rings["last-avail-idx"] + self._sent) & 0xFFFF
            lent = (self._word("<H", available + 2) - position) & 0xFFFF
            need(0 < lent <= size, f"the guest has lent {lent} buffers of queue {self._queue}")
            head = self._word("<H", available + 4 + 2 * (position % size))
            address, length, flags = struct.unpack_from("<QIH", self._memory, table + 16 * head)
            need(flags == 2, f"descriptor flags {flags}: not one buffer for the device to write")
            need(len(message) <= length, f"{len(message)} bytes for a buffer of {length}")
            self._memory[address:address + len(message)] = message
            index = self._word("<H", used + 2)
            struct.pack_into("<II", self._memory, used + 4 + 8 * (index % size), head, len(message))
            struct.pack_into("<H", self._memory, used + 2, (index + 1) & 0xFFFF)
            self._sent += 1
        finally:
            self._guest.qmp("cont")

    def _word(self, layout, address):
        return struct.unpack_from(layout, self._memory, address)[0]

    def close(self):
        self._memory.close()
        self._file.close()
