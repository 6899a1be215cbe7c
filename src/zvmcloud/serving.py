"""What the programs of all rooms do alike: one program for one state folder, an HTTP server that ends in good order.

Imports nothing of ours, so that every room may import it.
"""

from __future__ import annotations

import fcntl
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn


class Server(uvicorn.Server):
    """Signals belong to the program around it, which has files, disks or jobs to see to before it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def leave(self) -> None:
        """Take no new connections and finish what is under way; called again, do not wait for that either."""
        self.force_exit = self.should_exit
        self.should_exit = True


def tcp_door(host: str, port: int) -> socket.socket:
    """A socket bound to an address (port 0: any free one) for a server to listen on. OSError when it is taken.

    The protocol is named because asyncio sends at once (TCP_NODELAY) only where it is: without it, an answer of two
    writes waits 40 ms for the client's acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
    except OSError:
        door.close()
        raise
    return door


def unix_door(path: Path) -> socket.socket:
    """The same on a Unix socket for its owner only, in place of one that a program which died has left. OSError."""
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        door.bind(str(path))
        path.chmod(0o600)
    except OSError:
        door.close()
        raise
    return door


class TakenError(OSError):
    """Another program uses the state folder."""


@contextmanager
def alone(state: Path, who: str) -> Iterator[None]:
    """Keep a second program out of a state folder; the folder is made. A program that dies leaves no lock.

    ``who`` is what such a program is called in the text of the TakenError. Blocking, but not for long.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TakenError(f"another {who} uses the state folder {state}") from None
        yield
