"""A listening socket for protocols whose clients connect for every request, as SMAPI's do.

asyncio's server makes a task, two futures and several registrations for each connection, which take as long as the
request itself. Here a connection that brings its request along is read, answered and closed where it was accepted; it
is registered with the event loop only when it has to wait.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

_BACKLOG = 512
_AT_ONCE = 64
"""Connections that are taken before others get their turn on the event loop."""
_DEFER = 1
"""Seconds for which the system keeps a connection to itself that has brought nothing: it is told of the connection and
the request at once, instead of being woken twice, the first time between the client's connect and send."""
_PIECE = 65536
_PAUSE = 1.0
"""Seconds without accepting after the system had no room for another connection."""


class Doorway:
    """Listens; each connection gets a protocol of its own."""

    def __init__(self, host: str, port: int, protocol: Callable[[], asyncio.Protocol]) -> None:
        """OSError when the place is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
            self._socket.setblocking(False)
            self._socket.bind((host, port))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _DEFER)
            self._socket.listen(_BACKLOG)
        except BaseException:
            self._socket.close()
            raise
        self.port = int(self._socket.getsockname()[1])
        self._loop.add_reader(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Take no more connections; closing twice is fine."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _where = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as problem:
                log.warning("a connection cannot be accepted: %s", problem)
                self._loop.remove_reader(self._socket.fileno())
                self._loop.call_later(_PAUSE, self._resume)
                return
            connection.setblocking(False)
            Wire(self._loop, connection, self._protocol())

    def _resume(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket.fileno(), self._accept)


class Wire(asyncio.Transport):
    """One connection, as its protocol sees it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: socket.socket, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._loop = loop
        self._socket = connection
        self._number = connection.fileno()
        self._protocol = protocol
        self._buffer = bytearray()
        self._reading = self._writing = self._closing = self._ended = False
        protocol.connection_made(self)
        if not self._closing:
            self._read()
        if not self._closing and not self._ended:
            self._reading = True
            loop.add_reader(self._number, self._read)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The socket is all there is to tell."""
        return self._socket if name == "socket" else default

    def is_closing(self) -> bool:
        """Whether it is closed, or will be as soon as all is sent."""
        return self._closing

    def get_write_buffer_size(self) -> int:
        """Bytes that the system has not taken yet."""
        return len(self._buffer)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send, now or as soon as the other side has read."""
        if self._closing:
            return
        sent = 0
        if not self._buffer:
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as problem:
                self._lost(problem)
                return
        if sent < len(data):
            self._buffer += memoryview(data)[sent:]
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._number, self._flush)

    def close(self) -> None:
        """Close when all is sent."""
        if not self._closing:
            self._closing = True
            self._stop_reading()
            if not self._buffer:
                self._end(None)

    def abort(self) -> None:
        """Close now."""
        self._lost(None)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_PIECE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as problem:
            self._lost(problem)
            return
        if data:
            self._protocol.data_received(data)
        elif self._protocol.eof_received():
            self._ended = True  # it has its request, and waits for the answer
            self._stop_reading()
        else:
            self.close()

    def _flush(self) -> None:
        try:
            sent = self._socket.send(self._buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as problem:
            self._lost(problem)
            return
        del self._buffer[:sent]
        if not self._buffer:
            self._stop_writing()
            if self._closing:
                self._end(None)

    def _lost(self, problem: OSError | None) -> None:
        self._buffer.clear()
        ended = self._number < 0
        self._closing = True
        self._stop_reading()
        if not ended:
            self._end(problem)

    def _end(self, problem: OSError | None) -> None:
        """What the protocol does at the end comes later: it may be what is closing just now."""
        self._stop_writing()
        self._socket.close()
        self._number = -1
        self._loop.call_soon(self._protocol.connection_lost, problem)

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._number)

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._number)
