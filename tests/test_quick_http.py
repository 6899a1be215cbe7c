"""Plain requests are answered the short way, everything else by h11: over real sockets, and beside h11 itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from zvmcloud.quick_http import QuickProtocol
from zvmcloud.serving import Server, tcp_door


async def _echo(request: Request) -> Response:
    body = await request.body()
    told = {"method": request.method, "path": request.url.path, "query": request.url.query, "body": body.decode()}
    return JSONResponse({**told, "x": request.headers.get("x-value")})


async def _stream(_: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for word in (b"one ", b"", b"two"):
            await asyncio.sleep(0)
            yield word

    return StreamingResponse(pieces(), media_type="text/plain")


async def _raw(request: Request) -> Response:
    """Answers what an application must not."""
    kind = request.path_params["kind"]
    if kind == "injected":
        return Response(b"", headers={"x-value": "a\r\nset-cookie: b"})
    if kind == "short":
        return Response(b"abc", headers={"content-length": "5"})
    if kind == "raises":
        raise RuntimeError("an error of the application")
    if kind == "nothing":
        return Response(status_code=204)
    return Response(b"bye", headers={"connection": "close"})


_APPLICATION = Starlette(
    routes=[
        Route("/echo", _echo, methods=["GET", "POST", "DELETE"]),
        Route("/stream", _stream),
        Route("/raw/{kind}", _raw),
    ]
)


@asynccontextmanager
async def served(protocol: type[asyncio.Protocol] | str = QuickProtocol) -> AsyncIterator[int]:
    """A server; its port."""
    config = uvicorn.Config(
        _APPLICATION, http=protocol, log_level="critical", access_log=False, lifespan="off",
        timeout_graceful_shutdown=1, timeout_keep_alive=1, date_header=False,
    )  # fmt: skip
    server = Server(config)
    with tcp_door("127.0.0.1", 0) as door:
        task = asyncio.create_task(server.serve([door]))
        while not server.started:  # noqa: ASYNC110 (uvicorn has no event)
            await asyncio.sleep(0.01)
        try:
            yield door.getsockname()[1]
        finally:
            server.leave()
            await task


async def exchanged(port: int, *pieces: bytes, end: bytes = b"") -> bytes:
    """What comes back for pieces sent one by one: up to `end`, or to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        async with asyncio.timeout(30):
            return await reader.readuntil(end) if end else await reader.read()
    finally:
        writer.close()


def request(method: str, target: str, body: bytes = b"", *fields: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: here", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def parts(answer: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    return line, {name.lower(): value.strip() for name, _, value in (field.partition(b":") for field in fields)}, body


CLOSE = "Connection: close"
ALIKE = {
    "plain": [request("GET", "/echo?a=b%20c", b"", "X-Value: yes"), request("GET", "/echo", b"", CLOSE)],
    "body": [request("POST", "/echo", b'{"a": 1}', "Connection: keep-alive"), request("GET", "/echo", b"", CLOSE)],
    "head and body apart": [
        request("POST", "/echo", b"123456")[:-6], b"123", b"456" + request("GET", "/echo", b"", CLOSE),
    ],
    "two in one piece": [request("GET", "/echo") + request("POST", "/echo", b"x", CLOSE)],
    "half a head": [b"GET /echo HT", b"TP/1.1\r\nHost: here\r\n", b"\r\n" + request("GET", "/echo", b"", CLOSE)],
    "chunks": [
        request("POST", "/echo", b"", "Transfer-Encoding: chunked", CLOSE), b"3\r\nabc\r\n", b"0\r\n\r\n",
    ],
    "go on": [request("POST", "/echo", b"", "Expect: 100-continue", CLOSE, "Content-Length: 2"), b"ok"],
    "empty stream piece": [request("GET", "/stream"), request("GET", "/stream", b"", CLOSE)],
    "head only": [request("HEAD", "/stream"), request("GET", "/echo", b"", CLOSE)],
    "no content": [request("GET", "/raw/nothing"), request("GET", "/echo", b"", CLOSE)],
    "no route": [request("GET", "/nowhere"), request("GET", "/echo", b"", CLOSE)],
    "closing answer": [request("GET", "/raw/closing")],
    "lines end with LF": [b"GET /echo HTTP/1.1\nHost: here\nConnection: close\n\n"],
    "no host": [b"GET /echo HTTP/1.1\r\nX-Value: 1\r\n\r\n"],
    "two hosts": [b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
    "two lengths": [b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
    "no length and then one": [b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 3\r\n\r\nabc"],
    "a length and then none": [b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 0\r\n\r\nabc"],
    "zero twice": [request("POST", "/echo", b"", "Content-Length: 0", "Content-Length: 0", CLOSE)],
    "chunks and a length": [
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    ],
    "two hosts that are one": [b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"],
    "a length that is none": [b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na"],
    "a length and chunks": [
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    "blank before the colon": [b"GET /echo HTTP/1.1\r\nHost : a\r\n\r\n"],
    "a folded field": [b"GET /echo HTTP/1.1\r\nHost: a\r\nX-Value: 1\r\n 2\r\nConnection: close\r\n\r\n"],
    "NUL in a field": [b"GET /echo HTTP/1.1\r\nHost: a\r\nX-Value: 1\0\r\n\r\n"],
    "no HTTP": [b"\x16\x03\x01\r\n\r\n"],
    "an old version": [b"GET /echo HTTP/1.0\r\nHost: a\r\n\r\n"],
}  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
async def test_answers_are_those_of_h11(name: str) -> None:
    async with served() as quick, served("h11") as h11:
        assert await exchanged(quick, *ALIKE[name]) == await exchanged(h11, *ALIKE[name])


REFUSED = ("two hosts", "two lengths", "no length and then one", "a length and then none", "two hosts that are one")


@pytest.mark.parametrize("name", REFUSED)
async def test_a_request_whose_end_or_host_can_be_read_in_two_ways_is_refused(name: str) -> None:
    async with served() as quick:
        assert (await exchanged(quick, *ALIKE[name])).startswith(b"HTTP/1.1 400 ")


async def test_many_requests_on_one_connection_and_what_came_too_early_waits() -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(50):
            writer.write(request("POST", f"/echo?{number}", b"x" * number))
            head = await reader.readuntil(b"\r\n\r\n")
            line, fields, _ = parts(head)
            assert line == b"HTTP/1.1 200 OK"
            told = json.loads(await reader.readexactly(int(fields[b"content-length"])))
            assert (told["query"], told["body"]) == (str(number), "x" * number)
        writer.write(request("GET", "/stream"))
        await asyncio.sleep(0)
        writer.write(request("GET", "/echo?later", b"", CLOSE))
        rest = await reader.read()
        assert rest.count(b"HTTP/1.1 200 OK") == 2
        assert rest.endswith(b'"query":"later","body":"","x":null}')
        writer.close()


async def test_a_long_body_goes_through_h11_whole() -> None:
    body = b"y" * 300_000
    async with served() as port:
        answer = await exchanged(port, request("POST", "/echo", body, CLOSE))
    assert json.loads(parts(answer)[2])["body"] == body.decode()


async def test_an_application_cannot_put_a_line_break_into_a_field_nor_promise_another_length() -> None:
    async with served() as port:
        answer = await exchanged(port, request("GET", "/raw/injected"), end=b"Internal Server Error")
        line, fields, _ = parts(answer)
        assert line == b"HTTP/1.1 500 Internal Server Error"
        assert b"set-cookie" not in fields
        cut = await exchanged(port, request("GET", "/raw/short"))
        assert not parts(cut)[2], "nothing of a body that is not whole; the connection is closed"
        failed = await exchanged(port, request("GET", "/raw/raises"), end=b"Internal Server Error")
        assert parts(failed)[0] == b"HTTP/1.1 500 Internal Server Error"
