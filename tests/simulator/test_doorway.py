"""Connections of one request each: what comes with the connection, what comes later, and who reads slowly."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

import pytest

from zvmcloud.simulator.smapi.doorway import Doorway


class Twice(asyncio.Protocol):
    """Answers what came with a promise and a million bytes, once a line is whole; then it closes."""

    made: list[Twice]

    def __init__(self, *, half: bool = True) -> None:
        self.transport = cast("asyncio.Transport", None)
        self.data = b""
        self.half = half
        self.ended: list[Exception | None] = []
        Twice.made.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.data += data
        if data == b"cut":
            self.transport.abort()
        elif self.data.endswith(b"\n"):
            self.transport.write(b"id: ")
            self.transport.write(self.data * 250_000)
            self.transport.close()

    def eof_received(self) -> bool:
        return self.half

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.append(exc)


@asynccontextmanager
async def door(*, half: bool = True) -> AsyncIterator[int]:
    Twice.made = []
    found = Doorway("127.0.0.1", 0, lambda: Twice(half=half))
    try:
        yield found.port
    finally:
        found.close()
        found.close()


async def until_ended(protocol: Twice) -> list[Exception | None]:
    async with asyncio.timeout(30):
        while not protocol.ended:  # noqa: ASYNC110 (what is tested tells nobody)
            await asyncio.sleep(0.005)
    return protocol.ended


async def test_a_request_that_comes_with_its_connection_and_one_that_comes_in_pieces_are_answered_whole() -> None:
    async with door() as port:
        for pieces in ((b"abc\n",), (b"a", b"b", b"c\n")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
            answer = bytearray()
            while data := await reader.read(50_000):
                answer += data
                await asyncio.sleep(0)
            assert answer == b"id: " + b"abc\n" * 250_000
            writer.close()
        assert [await until_ended(protocol) for protocol in Twice.made] == [[None], [None]]


async def test_many_connections_at_once_are_all_taken() -> None:
    async with door() as port:
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(150)]
        for client in clients:
            client.setblocking(False)
            client.sendall(b"\n")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(30):
            for client in clients:
                answer = b""
                while data := await loop.sock_recv(client, 300_000):
                    answer += data
                assert answer == b"id: " + b"\n" * 250_000
                client.close()


@pytest.mark.parametrize("half", [True, False])
async def test_a_client_that_sends_no_more_still_gets_its_answer_if_the_protocol_says_so(half: bool) -> None:
    async with door(half=half) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"abc")
        writer.write_eof()
        async with asyncio.timeout(30):
            while not Twice.made or (half and not Twice.made[0].data):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            if half:
                await asyncio.sleep(0.02)
                assert Twice.made[0].ended == []
                Twice.made[0].transport.write(b"later")
                Twice.made[0].transport.close()
            assert await reader.read() == (b"later" if half else b"")
        assert await until_ended(Twice.made[0]) == [None]
        writer.close()


async def test_a_client_that_is_gone_or_cut_off_ends_its_protocol_once() -> None:
    async with door() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"cut")
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert await until_ended(Twice.made[0]) == [None]
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.sendall(b"some of it")
        async with asyncio.timeout(30):
            while len(Twice.made) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        client.close()  # with a reset
        (problem,) = await until_ended(Twice.made[1])
        assert isinstance(problem, OSError)
        Twice.made[1].transport.write(b"nobody")
        Twice.made[1].transport.close()
        Twice.made[1].transport.abort()
        await asyncio.sleep(0.01)
        assert len(Twice.made[1].ended) == 1
        writer.close()


async def test_a_connection_is_taken_when_its_request_has_come() -> None:
    async with door() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.2)
        assert Twice.made == []
        writer.write(b"abc\n")
        assert len(await reader.read()) == 4 + 4 * 250_000
        assert [one.data for one in Twice.made] == [b"abc\n"]
        writer.close()


async def test_a_client_that_connects_and_says_nothing_is_noticed_a_little_later() -> None:
    """Until then the system keeps it to itself; who hangs up is told at once."""
    async with door(half=False) as port:
        socket.create_connection(("127.0.0.1", port)).close()
        with socket.create_connection(("127.0.0.1", port)):
            async with asyncio.timeout(30):
                while len(Twice.made) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                assert await until_ended(Twice.made[0]) == [None]
            assert (Twice.made[1].data, Twice.made[1].ended) == (b"", [])
