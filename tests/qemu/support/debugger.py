"""gdb's remote protocol, as much of it as tests need.

    with Debugger(socket) as debugger:
        debugger.stop_at(address)           # runs until a processor is there; returns its thread
        debugger.set_register(thread, 32, address)
        debugger.go()                       # lets everything run, for good
"""

import re


class Debugger:
    def __init__(self, connection):
        """A connected socket; the machine stands still from then on."""
        self._connection = connection
        connection.settimeout(60)
        # Before somebody has read which registers there are, QEMU tells of none.
        self.ask("qXfer:features:read:target.xml:0,ffb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()

    def ask(self, text):
        """Sends a packet, returns the answer to it."""
        self._connection.sendall(b"$" + text.encode() + b"#%02x" % (sum(text.encode()) & 0xFF))
        data = b""
        while not (found := re.search(rb"\$([^#]*)#..", data)):
            part = self._connection.recv(4096)
            assert part, f"QEMU closed the debugger's connection after {text!r}: {data}"
            data += part
        self._connection.sendall(b"+")
        return found[1].decode()

    def _expect(self, text, answer="OK"):
        said = self.ask(text)
        assert said == answer, f"{text!r} was answered with {said!r}"

    def stop_at(self, address):
        self._expect(f"Z1,{address:x},4")
        said = self.ask("c")
        self._expect(f"z1,{address:x},4")
        thread = re.fullmatch(r"T05.*thread:([0-9a-f]+);.*", said)
        assert thread, f"no processor came to {address:#x}: {said!r}"
        return thread[1]

    def register(self, thread, number):
        """64 bits."""
        self._expect(f"Hg{thread}")
        value = bytes.fromhex(self.ask(f"p{number:x}"))
        assert len(value) == 8, f"register {number} has {len(value)} bytes"
        return int.from_bytes(value, "little")

    def set_register(self, thread, number, value):
        self._expect(f"Hg{thread}")
        self._expect(f"P{number:x}={value.to_bytes(8, 'little').hex()}")

    def go(self):
        self._expect("D")
