"""HTTP/1.1 to one agent: a request goes out in one piece, over a connection that is kept for the next one.

A general client library takes three times as long for such an exchange as the agent takes to answer it, and a general
parser of HTTP half as long (docs/performance.md). What is needed here is little: bodies of a known kind, no redirects,
no cookies. Answers are read as RFC 9112 frames them: by length, in chunks, or to the end of the connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

_CONNECT_SECONDS = 10.0
_IDLE_SECONDS = 60.0
"""After this time a kept connection is not trusted any more; the agent closes it after 75 seconds."""
_CONNECTIONS = 64
_HEAD = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n]*)?")
_HEAD_LIMIT = 64 * 1024
"""Bytes of the head of an answer, and of the line before a chunk."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class GarbledError(Exception):
    """What came is no HTTP."""


class LostError(Exception):
    """There is no answer. ``sent`` is False when the request certainly never reached the agent."""

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__(detail)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer."""

    status: int
    body: bytes


class Door(Protocol):
    """Where requests go. Safe for many tasks of one event loop."""

    async def exchange(self, method: str, target: str, body: bytes, headers: Mapping[str, str], wait: float) -> Answer:
        """Send a request with a path and query, and a JSON body unless it is empty; wait for its answer, ``wait``
        seconds at most. LostError."""

    async def close(self) -> None:
        """Close what is kept open."""


class HttpDoor:
    """An agent at ``http://``, ``https://`` (with the ``context``) or ``unix:/path``.

    ``fingerprint``: SHA-256, in hexadecimal, of the one certificate that is believed; "": each that the context does.
    """

    def __init__(self, address: str, context: ssl.SSLContext | None = None, fingerprint: str = "") -> None:
        self.address = address
        self._fingerprint = fingerprint
        self._prefix = ""
        self._open: Callable[[], Awaitable[Streams]]
        if address.startswith("unix:"):
            path = address.removeprefix("unix:").removeprefix("//")
            self._host = "zhcp"
            self._open = lambda: asyncio.open_unix_connection(path, limit=_HEAD_LIMIT)
        else:
            url = urlsplit(address)
            secure = context if url.scheme == "https" else None
            port = url.port or (443 if secure else 80)
            self._host = url.netloc.rpartition("@")[2]
            self._prefix = url.path.rstrip("/")
            self._open = lambda: asyncio.open_connection(url.hostname, port, ssl=secure, limit=_HEAD_LIMIT)
        self._limit = asyncio.Semaphore(_CONNECTIONS)
        self._idle: list[_Line] = []

    async def exchange(self, method: str, target: str, body: bytes, headers: Mapping[str, str], wait: float) -> Answer:
        """See Door."""
        lines = [f"{method} {self._prefix}{target} HTTP/1.1", f"Host: {self._host}", f"Content-Length: {len(body)}"]
        if body:
            lines.append("Content-Type: application/json")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if not all(map(str.isprintable, lines)) or lines[0].count(" ") != 2:
            raise ValueError("a request to an agent has a line break or a blank where none may be")
        wire = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        async with self._limit:
            line = self._kept() or await self._fresh()
            try:
                async with asyncio.timeout(wait):
                    answer = await line.exchange(wire)
            except TimeoutError:
                line.close()
                raise LostError(f"no answer within {wait:g} s", sent=True) from None
            except (OSError, EOFError, GarbledError) as error:
                line.close()
                raise LostError(str(error) or type(error).__name__, sent=True) from error
            except BaseException:
                line.close()
                raise
            if line.reusable:
                self._idle.append(line)
            else:
                line.close()
            return answer

    async def close(self) -> None:
        """See Door."""
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> _Line | None:
        while self._idle:
            line = self._idle.pop()
            if line.alive:
                return line
            line.close()
        return None

    async def _fresh(self) -> _Line:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                reader, writer = await self._open()
        except TimeoutError:
            raise LostError(f"no connection within {_CONNECT_SECONDS:g} s", sent=False) from None
        except OSError as error:
            raise LostError(str(error) or type(error).__name__, sent=False) from error
        if self._fingerprint and _shown(writer) != self._fingerprint:
            writer.close()
            raise LostError(
                "it shows another certificate than it was enrolled with last: start it again, or enroll it", sent=False
            )
        return _Line(reader, writer)


def _shown(writer: asyncio.StreamWriter) -> str:
    """The fingerprint of the other side's certificate."""
    secure: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    shown = secure.getpeercert(binary_form=True) if secure is not None else None
    return hashlib.sha256(shown or b"").hexdigest()


class _Line:
    """A connection with one exchange at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._used = 0.0
        self.reusable = False
        """Whether the last exchange left the connection ready for another one."""

    @property
    def alive(self) -> bool:
        """Whether a kept connection is still open, as far as this end knows."""
        return not self._reader.at_eof() and time.monotonic() - self._used < _IDLE_SECONDS

    def close(self) -> None:
        self._writer.close()

    async def exchange(self, wire: bytes) -> Answer:
        """Send a request; its answer. OSError, EOFError and GarbledError when there is none."""
        self.reusable = False
        self._writer.write(wire)
        await self._writer.drain()
        status, kept, fields = await self._head()
        while status < 200:  # "go on", which nobody asked for
            status, kept, fields = await self._head()
        length = fields.get(b"content-length", b"")
        if b"transfer-encoding" in fields:
            body = await self._chunks(fields[b"transfer-encoding"])
        elif length.isdigit():
            body = await self._reader.readexactly(int(length))
        elif length:
            raise GarbledError(f"the length of the answer is {length!r}")
        elif status in (204, 304):
            body = b""
        else:
            body, kept = await self._reader.read(), False
        self.reusable = kept
        self._used = time.monotonic()
        return Answer(status, body)

    async def _head(self) -> tuple[int, bool, dict[bytes, bytes]]:
        """Status, whether the connection stays open, and the fields by their names in lower case."""
        head, *lines = (await self._until(b"\r\n\r\n"))[:-4].split(b"\r\n")
        found = _HEAD.fullmatch(head)
        if found is None:
            raise GarbledError(f"no answer in HTTP: {head[:40]!r}")
        fields: dict[bytes, bytes] = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            name = name.lower()
            if not colon or (name in fields and name in (b"content-length", b"transfer-encoding")):
                raise GarbledError(f"no field of an answer, or a second one: {line[:40]!r}")
            fields[name] = value.strip()
        kept = found[1] == b"1" and fields.get(b"connection", b"").lower() != b"close"
        return int(found[2]), kept, fields

    async def _chunks(self, encoding: bytes) -> bytes:
        if encoding.lower() != b"chunked":
            raise GarbledError(f"an answer in {encoding!r}")
        pieces: list[bytes] = []
        while True:
            size = (await self._until(b"\r\n")).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", size):
                raise GarbledError(f"a chunk of {size!r} bytes")
            if not int(size, 16):
                break
            pieces.append(await self._reader.readexactly(int(size, 16)))
            if await self._reader.readexactly(2) != b"\r\n":
                raise GarbledError("a chunk is longer than it says")
        while await self._until(b"\r\n") != b"\r\n":
            pass  # fields behind the last chunk
        return b"".join(pieces)

    async def _until(self, end: bytes) -> bytes:
        try:
            return await self._reader.readuntil(end)
        except asyncio.LimitOverrunError:
            raise GarbledError(f"more than {_HEAD_LIMIT} bytes without an end") from None
