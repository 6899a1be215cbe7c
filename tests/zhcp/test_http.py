"""The manager's end of the wire to an agent, against a server that follows a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from zvmcloud.zhcp import http
from zvmcloud.zhcp.http import Answer, HttpDoor, LostError

Script = Callable[[int, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def agent(script: Script) -> AsyncIterator[HttpDoor]:
    """A server that runs the script for each connection, with its number; and a door to it."""
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        try:
            await script(count, reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    door = HttpDoor(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/below")
    try:
        yield door
    finally:
        await door.close()
        server.close()
        await server.wait_closed()


async def ask(door: HttpDoor, wait: float = 5.0) -> Answer:
    return await door.exchange("PUT", "/v1/x?wait=1", b'{"a":1}', {"X-More": "yes"}, wait)


async def request(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b'{"a":1}')


async def test_one_connection_serves_one_request_after_the_other() -> None:
    seen = []

    async def script(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            seen.append((number, await request(reader)))
            for byte in OK:
                writer.write(bytes([byte]))
                await writer.drain()

    async with agent(script) as door:
        for _ in range(3):
            assert await ask(door) == Answer(200, b"{}")
    assert [number for number, _ in seen] == [1, 1, 1]
    head = seen[0][1]
    assert head.startswith(b"PUT /below/v1/x?wait=1 HTTP/1.1\r\n")
    assert b"Content-Type: application/json" in head
    assert b"X-More: yes" in head


async def test_requests_at_the_same_time_have_connections_of_their_own() -> None:
    both = asyncio.Barrier(2)

    async def script(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        await both.wait()
        writer.write(OK)

    async with agent(script) as door:
        both_answers = await asyncio.gather(ask(door), ask(door))
        assert tuple(both_answers) == (Answer(200, b"{}"), Answer(200, b"{}"))


async def test_a_connection_that_the_agent_closed_meanwhile_is_replaced() -> None:
    async def script(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK)

    async with agent(script) as door:
        for _ in range(3):
            assert (await ask(door)).status == 200
            await asyncio.sleep(0.05)


async def test_a_connection_that_was_idle_for_long_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = []

    async def script(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            numbers.append(number)
            writer.write(OK)

    monkeypatch.setattr(http, "_IDLE_SECONDS", 0.0)
    async with agent(script) as door:
        await ask(door)
        await ask(door)
    assert numbers == [1, 2]


@pytest.mark.parametrize("part", [b"", OK[:20], OK[:-1], b"SMTP ready\r\n\r\n"])
async def test_an_answer_that_does_not_come_whole_is_lost_and_the_request_was_sent(part: bytes) -> None:
    async def script(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(part if number == 1 else OK)

    async with agent(script) as door:
        with pytest.raises(LostError) as caught:
            await ask(door)
        assert caught.value.sent
        assert (await ask(door)).status == 200, "the next request has a connection of its own"


async def test_silence_is_an_answer_lost() -> None:
    async def script(_: int, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await request(reader)
        await reader.read()

    async with agent(script) as door:
        with pytest.raises(LostError, match=r"within 0\.05 s") as caught:
            await ask(door, 0.05)
    assert caught.value.sent


async def test_a_request_that_is_given_up_leaves_no_connection_with_an_old_answer() -> None:
    async def script(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        if number == 1:
            await reader.read()
        writer.write(OK)

    async with agent(script) as door:
        given_up = asyncio.create_task(ask(door))
        await asyncio.sleep(0.05)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert (await ask(door)).status == 200


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "unix:{folder}/nobody.sock"])
async def test_nobody_there_means_the_request_was_not_sent(address: str, tmp_path: Path) -> None:
    with pytest.raises(LostError) as caught:
        await ask(HttpDoor(address.format(folder=tmp_path)))
    assert not caught.value.sent


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nX-After: 1\r\n\r\n",
            b"{}",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\ncontent-length:2\r\n\r\n{}", b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
async def test_answers_are_understood_however_they_are_framed(wire: bytes, body: bytes) -> None:
    connections = set()

    async def script(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(number)
        while True:
            await request(reader)
            writer.write(wire)

    async with agent(script) as door:
        for _ in range(2):
            assert (await ask(door)).body == body
    assert connections == {1}, "the end of each answer is known, so the connection is kept"


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
async def test_a_connection_that_ends_with_its_answer_is_not_kept(wire: bytes) -> None:
    connections = []

    async def script(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(number)
        await request(reader)
        writer.write(wire)

    async with agent(script) as door:
        for _ in range(2):
            assert (await ask(door)).body == b"{}"
    assert connections == [1, 2]


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * http._HEAD_LIMIT + b"\r\n\r\n",
    ],
)
async def test_an_answer_that_breaks_http_is_lost(wire: bytes) -> None:
    async def script(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(wire)
        await reader.read()

    async with agent(script) as door:
        with pytest.raises(LostError) as caught:
            await ask(door)
    assert caught.value.sent


@pytest.mark.parametrize(("target", "value"), [("/v1/a b", "x"), ("/v1/a\r\nX: y", "x"), ("/v1/a", "x\r\nX: y")])
async def test_nothing_can_be_smuggled_into_a_request(target: str, value: str) -> None:
    with pytest.raises(ValueError, match="line break or a blank"):
        await HttpDoor("http://127.0.0.1:9").exchange("GET", target, b"", {"X-More": value}, 1.0)
