"""A connection for one request, as little of one as that needs.

    Plain     a socket and no transport: connect, one write, some reads, close. For TCP to an address.
    Streams   asyncio's streams: TLS, host names, IUCV, whatever an opener gives.

A SMAPI call makes a connection of its own, and with streams most of what a call costs its client is making and
taking down a transport (`make bench ARGS=connector` shows what a call costs).
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import socket
from typing import Protocol

log = logging.getLogger(__name__)

PIECE = 65536


class Line(Protocol):
    """An open connection."""

    async def send(self, data: bytes) -> None:
        """OSError when the connection is broken."""

    async def receive(self) -> bytes:
        """What has come, empty at the end. OSError when the connection is broken."""

    async def rest(self, seconds: float) -> None:
        """Leave for so long what comes: it is received together then."""

    def keep_alive(self) -> None:
        """Have the kernel look whether the other end is still there, after a minute of silence and then every 20 s."""

    async def close(self) -> None:
        """Close; nothing is waited for but the goodbye of TLS."""


class Plain:
    """TCP without a transport.

    What comes is read when the socket has it, and kept until :meth:`receive` asks for it. While a piece is kept nothing
    more is read, so who sends faster than we take waits.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._number = connection.fileno()
        self._loop = asyncio.get_running_loop()
        self._watching = False
        self._kept: bytes | OSError | None = None
        self._waiting: asyncio.Future[None] | None = None

    @classmethod
    async def connect(cls, host: str, port: int, patience: float) -> Plain:
        """To an address, not a name, within ``patience`` seconds. OSError, TimeoutError."""
        connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            failed = connection.connect_ex((host, port))
            if failed == errno.EINPROGRESS:  # on one machine it is made by the time that this is told
                failed = connection.connect_ex((host, port))
            if failed in (errno.EINPROGRESS, errno.EALREADY):
                async with asyncio.timeout(patience):
                    await asyncio.get_running_loop().sock_connect(connection, (host, port))
            elif failed not in (0, errno.EISCONN):
                raise OSError(failed, os.strerror(failed))
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    async def send(self, data: bytes) -> None:
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        if sent < len(data):  # a request seldom is larger than what the kernel takes
            await self._loop.sock_sendall(self._socket, memoryview(data)[sent:])

    async def receive(self) -> bytes:
        if self._kept is None:
            if not self._watching:
                # By its number: by the socket itself, asyncio makes the text of an error that nobody sees.
                self._loop.add_reader(self._number, self._readable)
                self._watching = True
            self._waiting = self._loop.create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        found, self._kept = self._kept, None
        if isinstance(found, OSError):
            raise found
        return found or b""

    def _readable(self) -> None:
        if self._kept is not None:
            self._unwatch()
            return
        try:
            self._kept = self._socket.recv(PIECE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._kept = error
        if not self._kept or isinstance(self._kept, OSError):
            self._unwatch()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _unwatch(self) -> None:
        if self._watching:
            self._loop.remove_reader(self._number)
            self._watching = False

    async def rest(self, seconds: float) -> None:
        self._unwatch()
        await asyncio.sleep(seconds)

    def keep_alive(self) -> None:
        _keep_alive(self._socket)

    async def close(self) -> None:
        self._unwatch()
        self._socket.close()


class Streams:
    """What asyncio opens."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        return await self._reader.read(PIECE)

    async def rest(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def keep_alive(self) -> None:
        found = self._writer.get_extra_info("socket")
        if found is not None and found.family in (socket.AF_INET, socket.AF_INET6):
            _keep_alive(found)

    async def close(self) -> None:
        # Asked before closing: a TLS transport that is closed no longer knows. TCP closes by itself.
        secure = self._writer.get_extra_info("sslcontext") is not None
        self._writer.close()
        if not secure:
            return
        try:
            async with asyncio.timeout(1):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            log.debug("the connection did not close cleanly")


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)


def is_address(host: str) -> bool:
    """Whether it needs no resolving."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
