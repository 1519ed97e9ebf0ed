"""Ports of this computer that lead to a guest."""

import socket

from .messages import UserError

_claims = []


def reserve(candidates, kind=socket.SOCK_STREAM):
    """The first of these ports of 127.0.0.1 that nobody uses. Between this look and QEMU's own bind() somebody else could take it: not another
    `ringside`, for which it is taken until this process ends."""
    for port in candidates:
        # A name in the network namespace, where ports are too; whoever has it bound has the port, and it goes with its process.
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0ringside-{'udp' if kind == socket.SOCK_DGRAM else 'tcp'}-{port}")
            with socket.socket(socket.AF_INET, kind) as probe:
                # As QEMU does: a connection that was closed a moment ago is no obstacle. (For UDP the word would let two have one port.)
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
                probe.bind(("127.0.0.1", port))
        except OSError as error:
            claim.close()
            why = error.strerror
        else:
            _claims.append(claim)
            return port
    raise UserError(f"no free port among {min(candidates)} to {max(candidates)}: {why}")
