"""HTTP/1.1 to one agent: a request goes out in one piece, over a connection that is kept for the next one.

A general client library takes three times as long for such an exchange as the agent takes to answer it
(docs/performance.md). What is needed here is little: bodies of a known kind, no redirects, no cookies, no proxies.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import h11

_CONNECT_SECONDS = 10.0
_IDLE_SECONDS = 60.0
"""After this time a kept connection is not trusted any more; the agent closes it after 75 seconds."""
_CONNECTIONS = 64
_PIECE = 256 * 1024

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


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
            self._open = lambda: asyncio.open_unix_connection(path)
        else:
            url = urlsplit(address)
            secure = context if url.scheme == "https" else None
            port = url.port or (443 if secure else 80)
            self._host = url.netloc.rpartition("@")[2]
            self._prefix = url.path.rstrip("/")
            self._open = lambda: asyncio.open_connection(url.hostname, port, ssl=secure)
        self._limit = asyncio.Semaphore(_CONNECTIONS)
        self._idle: list[_Line] = []

    async def exchange(self, method: str, target: str, body: bytes, headers: Mapping[str, str], wait: float) -> Answer:
        """See Door."""
        request = h11.Request(
            method=method,
            target=self._prefix + target,
            headers=[
                ("Host", self._host),
                ("Content-Length", str(len(body))),
                *([("Content-Type", "application/json")] if body else []),
                *headers.items(),
            ],
        )
        async with self._limit:
            line = self._kept() or await self._fresh()
            try:
                async with asyncio.timeout(wait):
                    answer = await line.exchange(request, body)
            except TimeoutError:
                line.close()
                raise LostError(f"no answer within {wait:g} s", sent=True) from None
            except (OSError, EOFError, h11.RemoteProtocolError) as error:
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
        self._http = h11.Connection(h11.CLIENT)
        self._used = 0.0

    @property
    def alive(self) -> bool:
        """Whether a kept connection is still open, as far as this end knows."""
        return not self._reader.at_eof() and time.monotonic() - self._used < _IDLE_SECONDS

    @property
    def reusable(self) -> bool:
        """Whether both sides are ready for another exchange."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        self._used = time.monotonic()
        return True

    def close(self) -> None:
        self._writer.close()

    async def exchange(self, request: h11.Request, body: bytes) -> Answer:
        wire = self._http.send(request) or b""
        if body:
            wire += self._http.send(h11.Data(data=body)) or b""
        wire += self._http.send(h11.EndOfMessage()) or b""
        self._writer.write(wire)
        await self._writer.drain()
        status = 0
        pieces: list[bytes] = []
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_PIECE))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return Answer(status, b"".join(pieces))
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError("the connection was closed before the answer was complete")
