"""uvicorn's HTTP/1.1 by h11, with a short way for requests that are plain.

Nearly every request that comes here is a few hundred bytes in one piece: a request line, some fields, a body as long as
Content-Length says. h11 reads such a request, and writes its answer, by a general state machine that takes about as
long as the program that answers. A request that :func:`_plain` recognises is read here instead; what is anything else
(chunks, Expect, Upgrade, Connection: close, two requests in one piece, a long body, a malformed line) goes to h11
with all that follows on its connection, so h11 alone decides what is an error. Framing is that of RFC 9112.

Imports nothing of ours, so that every room may import it.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import unquote

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent, HTTPScope
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol, RequestResponseCycle

_MOST_HELD = 64 * 1024
"""Bytes of a request that is waited for before it is left to h11."""
_HEAD = re.compile(
    rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /[!-~]* HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t!-~\x80-\xff]*\r\n){1,100}\r\n"
)
_END = re.compile(rb"\n\r?\n")
"""The end of a head, also where lines end as h11 allows."""
_LEFT_TO_H11 = frozenset((b"transfer-encoding", b"expect", b"upgrade", b"te", b"trailer"))
_LENGTH = re.compile(rb"[0-9]{1,6}")
_NO_BODY = frozenset((*range(100, 200), 204, 304))

Fields = list[tuple[bytes, bytes]]


class _Head:
    """A request line with its fields. `length`: bytes of the body."""

    __slots__ = ("fields", "length", "method", "size", "target")

    def __init__(self, method: bytes, target: bytes, fields: Fields, length: int, size: int) -> None:
        self.method, self.target, self.fields, self.length, self.size = method, target, fields, length, size


def _plain(data: bytes) -> _Head | None:
    """The head that these bytes begin with; None when it is not whole, or not plain."""
    size = data.find(b"\r\n\r\n") + 4
    if size < 4 or not _HEAD.fullmatch(data, 0, size):
        return None
    line, *lines = data[: size - 4].split(b"\r\n")
    method, target, _ = line.split(b" ")
    fields: Fields = []
    length: bytes | None = None
    hosts = 0
    for text in lines:
        name, _, value = text.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            if length is not None or not _LENGTH.fullmatch(value):
                return None
            length = value
        elif name in _LEFT_TO_H11 or (name == b"connection" and value.lower() != b"keep-alive"):
            return None
        fields.append((name, value))
    return _Head(method, target, fields, int(length or 0), size) if hosts == 1 else None


class QuickProtocol(H11Protocol):
    """To be given to uvicorn as `http`."""

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        self._quick = self.limit_concurrency is None and not self.access_log
        """Whether h11 has not seen anything of this connection."""
        self._held = b""

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if not self._quick:
            super().data_received(data)
            return
        data = self._held + data if self._held else data
        if self.cycle is not None and not self.cycle.response_complete:
            self._held = data  # of the next request: its turn comes with the end of the answer
            self.flow.pause_reading()
            return
        head = _plain(data)
        whole = head is not None and len(data) == head.size + head.length
        if head is not None and whole:
            self._held = b""
            self._unset_keepalive_if_required()
            self._answer(head, data[head.size :])
        elif len(data) < _MOST_HELD and (not _END.search(data) or (head and len(data) < head.size + head.length)):
            self._unset_keepalive_if_required()
            self._held = data
        else:
            self._held, self._quick = b"", False
            super().data_received(data)

    def _answer(self, head: _Head, body: bytes) -> None:
        raw_path, _, query = head.target.partition(b"?")
        self.headers = head.fields
        self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,  # type: ignore[typeddict-item]
            "method": head.method.decode("ascii"),
            "root_path": self.root_path,
            "path": self.root_path + unquote(raw_path.decode("ascii")),
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query,
            "headers": head.fields,
            "state": self.app_state.copy(),
        }
        self.cycle = _Cycle(self, self.scope, body)
        task = self.loop.create_task(self.cycle.run_asgi(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        """See H11Protocol; then the request that came meanwhile."""
        super().on_response_complete()
        if self._held and not self.transport.is_closing():
            held, self._held = self._held, b""
            self.data_received(held)


class _Cycle(RequestResponseCycle):
    """One request whose body is here, and its answer; the head goes out with the first bytes of the body, unless it is
    a stream without an end that is known."""

    def __init__(self, protocol: QuickProtocol, scope: HTTPScope, body: bytes) -> None:
        super().__init__(
            scope=scope,
            conn=protocol.conn,
            transport=protocol.transport,
            flow=protocol.flow,
            logger=protocol.logger,
            access_logger=protocol.access_logger,
            access_log=False,
            default_headers=protocol.server_state.default_headers,
            message_event=asyncio.Event(),
            on_response=protocol.on_response_complete,
        )
        self._request: bytes | None = body
        self._head = b""
        self._left = 0
        """Bytes of the body that Content-Length promised and that did not come yet; below 0: chunks."""
        self._silent = scope["method"] == "HEAD"

    async def receive(self) -> ASGIReceiveEvent:
        """See ASGI."""
        if self._request is not None and not self.disconnected:
            body, self._request = self._request, None
            return {"type": "http.request", "body": body, "more_body": False}
        if not self.disconnected and not self.response_complete:
            await self.message_event.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: ASGISendEvent) -> None:
        """See ASGI. RuntimeError for a message that does not come next, and for a body that is not as long as was
        said."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"the answer begins with {message['type']}")
            self._start(message["status"], list(message.get("headers", ())))
        elif self.response_complete or message["type"] != "http.response.body":
            raise RuntimeError(f"{message['type']} does not come next in the answer")
        else:
            self._send(message.get("body", b""), last=not message.get("more_body", False))

    def _start(self, status: int, given: Fields) -> None:
        fields = self.default_headers + given
        head = b"HTTP/1.1 %d %b\r\n" % (status, STATUS_PHRASES[status])
        head += b"".join([b"%b: %b\r\n" % field for field in fields])
        lengths = [value for name, value in given if name.lower() == b"content-length"]
        if status in _NO_BODY:
            self._silent = True
        elif lengths:
            self._left = int(lengths[0])
        else:
            self._left = -1
            head += b"Transfer-Encoding: chunked\r\n"
        if head.count(b"\n") != head.count(b"\r\n") or head.count(b"\r") != len(fields) + 1 + (self._left < 0):
            raise RuntimeError("a field of the answer has a line break")
        if any(name.lower() == b"connection" and value.lower() == b"close" for name, value in given):
            self.keep_alive = False
        self.response_started = True
        self._head = head + b"\r\n"
        if self._left < 0:
            self._write(b"")

    def _send(self, body: bytes, *, last: bool) -> None:
        if self._silent:
            body = b""
        elif self._left < 0:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"0\r\n\r\n" if last else b"")
        else:
            self._left -= len(body)
            if self._left < 0 or (last and self._left):
                raise RuntimeError("the body of the answer is not as long as its head says")
        self._write(body)
        if last:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()

    def _write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if head or data:
            self.transport.write(head + data if head else data)
