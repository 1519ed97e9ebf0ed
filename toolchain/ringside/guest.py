"""A running guest for tests: QEMU with a QMP socket, the virtio console on a socket, the 16550 in a file, and an end that always comes.

    with Guest(Machine(image=elf, machine="q35", disks=[...])) as guest:
        guest.expect(r"ringside> ")                  # waits for it on the console; a timeout shows what was printed
        guest.send("disk\\n")
        guest.qmp("query-status")
        guest.event("SHUTDOWN")
        assert guest.wait(30) == 0                   # the status that the guest ended with

On an exception inside the block everything that the guest printed goes to standard error, so that ctest shows it.
Named ports: Guest(machine, ports=["ringside.echo"]) gives guest.port("ringside.echo"), a connected socket.
"""

import dataclasses
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from . import process
from .machine import Machine, exit_status, shown


class GuestError(AssertionError):
    pass


class Qmp:
    """The machine protocol: commands are answered in order, events are kept until somebody asks."""

    def __init__(self, path, timeout):
        self._socket = connect(path, timeout)
        self._file = self._socket.makefile("r", encoding="utf-8")
        self._file.readline()
        self.events = []
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self._socket.settimeout(30)
        while True:
            message = self._read()
            if "error" in message:
                raise GuestError(f"QMP {command}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def event(self, name, timeout):
        """The next event of that name; earlier ones that nobody asked for count."""
        deadline = time.monotonic() + timeout
        while True:
            for index, event in enumerate(self.events):
                if event["event"] == name:
                    return self.events.pop(index)
            left = deadline - time.monotonic()
            if left <= 0:
                raise GuestError(f"no QMP event {name} within {timeout} s; seen: {[e['event'] for e in self.events]}")
            self._socket.settimeout(left)
            try:
                self._read()
            except TimeoutError:
                continue

    def _read(self):
        line = self._file.readline()
        if not line:
            raise GuestError("QEMU closed the QMP connection")
        message = json.loads(line)
        if "event" in message:
            self.events.append(message)
        return message

    def close(self):
        self._file.close()
        self._socket.close()


class Guest:
    def __init__(self, machine: Machine, ports=(), console=True, trace=(), timeout=60, running=True):
        self.folder = Path(tempfile.mkdtemp(prefix="ringside-guest-"))
        self.machine = dataclasses.replace(machine, chardevs=list(machine.chardevs), ports=dict(machine.ports), extra=list(machine.extra))
        self.serial_path = self.folder / "serial"
        self.errors_path = self.folder / "guest_errors"
        self.timeout = timeout
        self.output = bytearray()      # everything that the console has printed
        self._position = 0             # what expect() has consumed of it
        self._changed = threading.Condition()
        self._sockets = {}
        self._port_names = list(ports)
        self._with_console = console
        self._trace = list(trace)
        self._running = running        # else somebody says "cont" to QEMU later, or a debugger does

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.show()
            self._end()
            raise
        return self

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            self.show()
        self._end()

    # What a test says to the guest and hears from it.

    def send(self, text):
        self._console.sendall(text.encode() if isinstance(text, str) else text)

    def expect(self, pattern, timeout=None):
        """Waits until the console shows the regular expression, behind what was matched before; returns the match (of text)."""
        timeout = timeout or self.timeout
        deadline = time.monotonic() + timeout
        compiled = re.compile(pattern)
        with self._changed:
            while True:
                # One character for each byte, whatever the guest prints: positions stay right.
                match = compiled.search(self.output[self._position:].decode("latin-1"))
                if match:
                    self._position += match.end()
                    return match
                left = deadline - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self._changed.wait(0.5)):
                    raise GuestError(f"the console did not show {pattern!r} within {timeout} s"
                                     + ("" if self.process.poll() is None else " (QEMU has ended)"))
                self._changed.wait(min(left, 0.5))

    def wait_for(self, look, what, timeout=None):
        """Waits until look(everything that the console has printed) gives something, which is returned. Consumes nothing."""
        deadline = time.monotonic() + (timeout or self.timeout)
        with self._changed:
            while True:
                found = look(self.output.decode("utf-8", "replace"))
                if found:
                    return found
                ended = self.process.poll() is not None
                if time.monotonic() > deadline or (ended and not self._changed.wait(0.5)):
                    raise GuestError(f"the console did not show {what}" + (" (QEMU has ended)" if ended else " in time"))
                self._changed.wait(0.5)

    def console_text(self):
        with self._changed:
            return self.output.decode("utf-8", "replace")

    def serial_text(self):
        return self.serial_path.read_text(errors="replace") if self.serial_path.exists() else ""

    def guest_errors(self):
        """What QEMU says that the guest did wrong (-d guest_errors), and trace lines."""
        return self.errors_path.read_text(errors="replace") if self.errors_path.exists() else ""

    def qmp(self, command, **arguments):
        return self._qmp.execute(command, **arguments)

    def event(self, name, timeout=None):
        return self._qmp.event(name, timeout or self.timeout)

    def port(self, name):
        return self._sockets[name]

    def wait(self, timeout=None):
        """The status with which the guest ended by itself."""
        timeout = timeout or self.timeout
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise GuestError(f"the guest did not end within {timeout} s") from None
        if hasattr(self, "_reader"):
            self._reader.join(5)
        status, cause = exit_status(code, self.machine.arch)
        if cause:
            raise GuestError(f"{cause}: {self._qemu_output()}")
        return status

    def show(self):
        for title, text in (("QEMU", self._qemu_output()), ("16550", self.serial_text()), ("virtio console", self.console_text())):
            if text:
                print(f"---- {title} ----\n{text.rstrip()}\n---- end of {title} ----", file=sys.stderr)

    # How it starts and ends.

    def _start(self):
        machine = self.machine
        names = list(self._port_names)
        machine.serial = f"file:{self.serial_path}"
        if self._with_console:
            machine.console = "console"
            machine.chardevs.append(self._chardev("console", "console"))
        for number, name in enumerate(names):
            machine.ports[name] = f"port{number}"
            machine.chardevs.append(self._chardev(f"port{number}", name))
        machine.extra += ["-qmp", f"unix:{self.folder}/qmp,server=on,wait=off", "-d", "guest_errors", "-D", str(self.errors_path)]
        for event in self._trace:
            machine.extra += ["-trace", event]
        # Nothing runs before everything is connected: the first line is not lost.
        machine.extra.append("-S")
        arguments = machine.arguments()
        self._command = shown(arguments)
        with open(self.folder / "qemu", "wb") as output:
            self.process = process.start(arguments, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        self._qmp = Qmp(self.folder / "qmp", 20)
        for name in names:
            self._sockets[name] = connect(self.folder / f"socket-{name}", 10)
        if self._with_console:
            self._console = connect(self.folder / "socket-console", 10)
            self._reader = threading.Thread(target=self._read_console, daemon=True)
            self._reader.start()
        if self._running:
            self._qmp.execute("cont")

    def _chardev(self, identifier, name):
        return f"socket,id={identifier},path={self.folder}/socket-{name},server=on,wait=off"

    def _read_console(self):
        while True:
            try:
                data = self._console.recv(1 << 16)
            except OSError:
                data = b""
            with self._changed:
                self.output += data
                self._changed.notify_all()
            if not data:
                return

    def _qemu_output(self):
        path = self.folder / "qemu"
        text = path.read_text(errors="replace") if path.exists() else ""
        return f"{getattr(self, '_command', '')}\n{text}"

    def _end(self):
        if hasattr(self, "process"):
            process.stop(self.process)
        if hasattr(self, "_qmp"):
            self._qmp.close()
        for connection in self._sockets.values():
            connection.close()
        if hasattr(self, "_console"):
            self._console.close()
        if hasattr(self, "_reader"):
            self._reader.join(5)
        shutil.rmtree(self.folder, ignore_errors=True)


def connect(path, timeout):
    """A socket that leads to one of QEMU's, once it is there."""
    deadline = time.monotonic() + timeout
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(path))
            return connection
        except OSError:
            connection.close()
            if time.monotonic() > deadline:
                raise GuestError(f"QEMU did not open {Path(path).name} within {timeout} s") from None
            time.sleep(0.02)
