"""A request server on a real socket that does what a test tells it, connection by connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from zvmcloud.smapi.connection import RequestFrame, ServerConnection

Behaviour = Callable[[RequestFrame, asyncio.StreamWriter], Awaitable[None]]


class ScriptedServer:
    """Plays one behaviour per connection, in order; the last one is used for all further connections."""

    def __init__(self, *behaviours: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self.behaviours = list(behaviours)
        self.frames: list[RequestFrame] = []
        self.port = 0
        self._tls = tls

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = ServerConnection()
        frame = None
        while frame is None and (data := await reader.read(4096)):
            connection.receive_data(data)
            frame = next(connection.frames(), None)
        if frame is not None:
            behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
            self.frames.append(frame)
            await behaviour(frame, writer)
        writer.close()


def answers(rc: int, rs: int, data: bytes = b"", request_id: int = 77) -> Behaviour:
    """Accept, then reply in the smallest pieces."""

    async def behave(_frame: RequestFrame, writer: asyncio.StreamWriter) -> None:
        writer.write(ServerConnection.accepted(request_id))
        await writer.drain()
        for byte in ServerConnection.reply(request_id, rc, rs, data):
            writer.write(bytes([byte]))
            await writer.drain()

    return behave


async def closes_at_once(_frame: RequestFrame, _writer: asyncio.StreamWriter) -> None:
    """The connection ends before the request was accepted."""


async def accepts_and_closes(_frame: RequestFrame, writer: asyncio.StreamWriter) -> None:
    """The request was accepted; then the connection ends in the middle of the reply."""
    writer.write(ServerConnection.accepted(77) + ServerConnection.reply(77, 0, 0)[:7])
    await writer.drain()


async def accepts_and_hangs(_frame: RequestFrame, writer: asyncio.StreamWriter) -> None:
    writer.write(ServerConnection.accepted(77))
    await writer.drain()
    await asyncio.sleep(5)
