"""Programs of this computer that talk with the guest: streams of a pattern over TCP, datagrams, pages over HTTP."""

import socket
import threading
import time

from .checks import Failure, equal, need
from .pattern import difference, stream

CHUNK = 1 << 20


def connect(port, timeout=30):
    """To the guest. QEMU's user network accepts before the guest has, so the answer may be an end of file: see Service. It lets one
    connection wait for that, and of more Linux resets some (QEMU listens with a backlog of 1): several are opened one after another,
    with an answer over each before the next."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    connection.settimeout(timeout)
    return connection


def receive(connection, length):
    """Exactly `length` bytes."""
    parts = []
    left = length
    while left:
        part = connection.recv(min(left, CHUNK))
        need(part, f"the connection ended after {length - left} of {length} bytes")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


class Service:
    """The agent's TCP service (`listen PORT`) through a forwarded port."""

    def __init__(self, port, timeout=60):
        self._connection = connect(port, timeout)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._connection.close()

    def up(self, length, key):
        """To the guest, which compares."""
        self._connection.sendall(f"up {length} {key}\n".encode())
        for at in range(0, length, CHUNK):
            self._connection.sendall(stream(key, min(CHUNK, length - at), at))
        answer = b""
        while not answer.endswith(b"\n"):
            part = self._connection.recv(100)
            need(part, "the guest closed the connection instead of judging")
            answer += part
        equal(answer, b"good\n", "the guest's judgement of what it received")

    def down(self, length, key):
        """From the guest, compared here."""
        self._connection.sendall(f"down {length} {key}\n".encode())
        for at in range(0, length, CHUNK):
            count = min(CHUNK, length - at)
            wrong = difference(receive(self._connection, count), stream(key, count, at))
            need(not wrong, f"what the guest sent, from {at} on: {wrong}")

    def echo(self, data):
        """Both directions at once."""
        self._connection.sendall(f"echo {len(data)} 0\n".encode())
        failure = []

        def send():
            try:
                self._connection.sendall(data)
            except OSError as error:
                failure.append(error)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            wrong = difference(receive(self._connection, len(data)), data)
        finally:
            sender.join(60)
        need(not failure, f"sending failed: {failure}")
        need(not wrong, f"the echo: {wrong}")


class Host:
    """A TCP server on this computer for one connection that the guest opens: takes or gives a stream."""

    def __init__(self, timeout=60):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(timeout)
        self.port = self._listener.getsockname()[1]
        self._result = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._listener.close()

    def take(self, length, key):
        self._run(lambda connection: difference(receive(connection, length), stream(key, length)))

    def give(self, length, key):
        def send(connection):
            for at in range(0, length, CHUNK):
                connection.sendall(stream(key, min(CHUNK, length - at), at))
            # The guest closes when it has everything.
            connection.recv(1)
            return ""
        self._run(send)

    def _run(self, body):
        def serve():
            try:
                connection, _ = self._listener.accept()
                with connection:
                    connection.settimeout(60)
                    self._result = body(connection)
            except (OSError, Failure) as error:
                self._result = str(error) or type(error).__name__
        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()

    def finish(self):
        self._thread.join(60)
        need(not self._thread.is_alive(), "the host's side of the connection did not end")
        need(not self._result, f"the host's side: {self._result}")


def datagrams(port, sizes, key=0):
    """Sends one datagram of each size, waits for its echo, and sends again what was lost on the way (it may be, that is UDP); returns
    how many times something had to be sent again."""
    again = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.connect(("127.0.0.1", port))
        for number, size in enumerate(sizes):
            data = stream(key + number, size)
            deadline = time.monotonic() + 20
            while True:
                connection.send(data)
                connection.settimeout(2)
                try:
                    while (answer := connection.recv(65536)) != data:
                        # A late echo of an earlier one is no error, anything else is.
                        need(answer in (stream(key + n, s) for n, s in enumerate(sizes[:number])), f"a datagram of {size} bytes came back as {len(answer)} others")
                    break
                except (TimeoutError, ConnectionRefusedError):
                    need(time.monotonic() < deadline, f"no echo of a datagram of {size} bytes")
                    again += 1
    return again
