"""A plain connection to SMAPI: what comes is read once, kept until it is asked for, and never piles up."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from zvmcloud.smapi.line import PIECE, Plain


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Plain, socket.socket]]:
    """A line, and the other end of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = await Plain.connect("127.0.0.1", listener.getsockname()[1], 10)
        other, _ = listener.accept()
        with other:
            try:
                yield line, other
            finally:
                await line.close()


async def test_pieces_come_in_their_order_and_the_end_is_empty() -> None:
    async with connected() as (line, other):
        await line.send(b"request")
        assert other.recv(100) == b"request"
        for piece in (b"\0\0\0\1", b"reply"):
            other.sendall(piece)
            assert await line.receive() == piece
        other.close()
        assert await line.receive() == b""
        assert await line.receive() == b""


async def test_what_comes_before_it_is_asked_for_is_kept_and_the_rest_waits_in_the_kernel() -> None:
    async with connected() as (line, other):
        other.sendall(b"first")
        assert await line.receive() == b"first"
        other.setblocking(False)
        sent = 0
        for _ in range(10):  # turns of the event loop in which nobody receives
            try:
                while True:
                    sent += other.send(b"x" * PIECE)
            except BlockingIOError:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        got = len(await line.receive())
        assert 0 < got <= PIECE, "one piece was kept"
        other.shutdown(socket.SHUT_WR)
        while piece := await line.receive():
            got += len(piece)
        assert got == sent


async def test_what_comes_during_a_rest_is_received_together() -> None:
    async with connected() as (line, other):
        other.sendall(b"first")
        assert await line.receive() == b"first"
        rest = asyncio.create_task(line.rest(0.1))
        for piece in (b"second", b"third", b"fourth"):
            await asyncio.sleep(0.01)
            other.sendall(piece)
        await rest
        assert await line.receive() == b"secondthirdfourth"
        other.sendall(b"fifth")
        assert await line.receive() == b"fifth"
        other.close()
        await line.rest(0.01)
        assert await line.receive() == b""


async def test_a_connection_that_is_cut_is_an_error_and_not_an_end() -> None:
    async with connected() as (line, other):
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        other.close()
        with pytest.raises(ConnectionResetError):
            await line.receive()


async def test_whoever_stops_waiting_can_close() -> None:
    async with connected() as (line, other):
        waiting = asyncio.create_task(line.receive())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        other.sendall(b"late")
        await asyncio.sleep(0)
        assert await line.receive() == b"late"


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await Plain.connect("127.0.0.1", port, 10)
