"""Both sides of one SMAPI connection as state machines without I/O: bytes in, events out, bytes to send returned.

::

    client                                     server
      total_length, request  ------------------>
      <------------------ request_id (4 bytes)           read and accepted; nothing has run yet
      <------------------ output_length, request_id, rc, rs, data
                                                          or, for Event_Subscribe: length, type, data; ...

    request   0     4  total_length: bytes that follow
              4     4  function_name_length (1-64)     function_name
                    4  authenticated_userid_length (0-8)   authenticated_userid
                    4  password_length (0-200)             password
                    4  target_identifier_length (0-64)     target_identifier
                       parameters
    legacy    0     4  total_length
              4     1  X'FF'                            function name NUL, arguments NUL ...   (IUCV only)

Any split of the stream is accepted, down to single bytes. A length is checked against its limit before any byte behind
it is kept, so a peer cannot make the other side hold more than the limit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from zvmcloud.smapi.declare import Answering, Framing, Function, Request
from zvmcloud.smapi.errors import ParameterError, WireError
from zvmcloud.smapi.spelling import CANONICAL, Shape, decode_text, encode_text

MAX_REQUEST = 16 * 1024 * 1024
"""Bytes of a request that a server takes unless told otherwise."""
MAX_REPLY = 256 * 1024 * 1024
"""Bytes of a reply (or of one event record) that a client takes unless told otherwise."""

BAD_LENGTH = 36
LENGTH_MISMATCH = 20

_HEADER = struct.Struct(">IIII")
_NAME_LIMIT, _USERID_LIMIT, _PASSWORD_LIMIT, _TARGET_LIMIT = 64, 8, 200, 64


@dataclass(frozen=True, slots=True)
class RequestFrame:
    """A request as framed: credentials and target are known, the parameters are still bytes."""

    function: str
    userid: str
    password: str = field(repr=False)
    target: str | None
    """None when the request ended before the target (allowed for Check_Authentication)."""
    parameters: bytes = b""
    legacy: bool = False

    def encode(self) -> bytes:
        """The frame as it goes over the wire, total_length included."""
        if self.legacy:
            body = b"\xff" + encode_text(self.function, "function") + b"\0" + self.parameters
            return len(body).to_bytes(4, "big") + body
        body = _counted(self.function, "function", _NAME_LIMIT)
        body += _counted(self.userid, "authenticated_userid", _USERID_LIMIT)
        body += _counted(self.password, "password", _PASSWORD_LIMIT)
        if self.target is not None:
            body += _counted(self.target, "target_identifier", _TARGET_LIMIT) + self.parameters
        return len(body).to_bytes(4, "big") + body


def _counted(text: str, name: str, limit: int) -> bytes:
    data = encode_text(text, name)
    if len(data) > limit:
        raise ParameterError(name, f"{len(data)} characters; at most {limit} are allowed", rc=900, rs=BAD_LENGTH)
    return len(data).to_bytes(4, "big") + data


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server has read the request and given it an id; the work begins."""

    request_id: int


@dataclass(frozen=True, slots=True)
class ReplyFrame:
    """A reply as framed; the data are still bytes."""

    request_id: int
    rc: int
    rs: int
    data: bytes = b""

    def encode(self) -> bytes:
        return _HEADER.pack(len(self.data) + 12, self.request_id, self.rc, self.rs) + self.data


@dataclass(frozen=True, slots=True)
class EventFrame:
    """One record of an event stream: type 0 *VMEVENT data, type 1 SMAPI events (see `events`)."""

    data_type: int
    data: bytes

    def encode(self) -> bytes:
        return (len(self.data) + 4).to_bytes(4, "big") + self.data_type.to_bytes(4, "big") + self.data


def encode_request(
    request: Request[Any], userid: str = "", password: str = "", shape: Shape = CANONICAL, *, legacy: bool = False
) -> bytes:
    """The bytes of a request. `legacy` chooses the X'FF' form, which carries no credentials and no target."""
    function = request.spec
    if legacy and function.framing is not Framing.LEGACY:
        raise ParameterError("function", f"{function.name} has no legacy form")
    parameters = function.encode_parameters(request, shape)
    return RequestFrame(function.name, userid, password, request.target, parameters, legacy).encode()


class _Buffer:
    """Bytes received and not yet used."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def peek_int4(self, offset: int = 0) -> int | None:
        if len(self.data) < offset + 4:
            return None
        return int.from_bytes(self.data[offset : offset + 4], "big")

    def take(self, count: int) -> bytes:
        taken = bytes(self.data[:count])
        del self.data[:count]
        return taken


class ServerConnection:
    """The server's side. A client sends one request per connection; more, back to back, are understood too."""

    def __init__(self, max_request: int = MAX_REQUEST) -> None:
        self._buffer = _Buffer()
        self._max_request = max_request

    def receive_data(self, data: bytes) -> None:
        """Feed bytes from the client. WireError (900/36) as soon as a request announces itself as too long."""
        self._buffer.data += data
        self._announced()

    def _announced(self) -> int | None:
        total = self._buffer.peek_int4()
        if total is not None and not 2 <= total <= self._max_request:
            message = f"a request of {total} bytes was announced; allowed are 2 to {self._max_request}"
            raise WireError(message, rs=BAD_LENGTH)
        return total

    @property
    def pending(self) -> int:
        """Bytes that are held and make no whole request yet."""
        return len(self._buffer.data)

    def frames(self) -> Iterator[RequestFrame]:
        """The requests that are complete. WireError when one breaks the framing."""
        while True:
            total = self._announced()
            if total is None or len(self._buffer.data) < total + 4:
                return
            yield decode_frame(self._buffer.take(total + 4)[4:])

    def receive_eof(self) -> None:
        """The client sends no more. WireError if that is in the middle of a request."""
        if self._buffer.data:
            raise WireError(f"the request ended early, after {len(self._buffer.data)} bytes")

    @staticmethod
    def accepted(request_id: int) -> bytes:
        """The immediate reply. Send it as a write of its own: some clients read exactly four bytes first."""
        return request_id.to_bytes(4, "big")

    @staticmethod
    def reply(request_id: int, rc: int, rs: int, data: bytes = b"") -> bytes:
        return ReplyFrame(request_id, rc, rs, data).encode()

    @staticmethod
    def event(data_type: int, data: bytes) -> bytes:
        return EventFrame(data_type, data).encode()


def decode_frame(body: bytes) -> RequestFrame:
    """Read the bytes behind total_length. WireError 900/36: a length out of range; 900/20: lengths do not add up."""
    if body[:1] == b"\xff":
        name, nul, arguments = body[1:].partition(b"\0")
        if not nul or not 1 <= len(name) <= _NAME_LIMIT:
            raise WireError("a legacy request begins with X'FF' and a function name of 1-64 characters", rs=BAD_LENGTH)
        return RequestFrame(decode_text(name), "", "", "", arguments, legacy=True)
    at = 0

    def text(name: str, minimum: int, limit: int) -> str:
        nonlocal at
        length = int.from_bytes(body[at : at + 4], "big")
        if len(body) < at + 4:
            raise WireError(f"{name}: the request ends before its length")
        if not minimum <= length <= limit:
            raise ParameterError(name, f"length {length}; allowed are {minimum} to {limit}", rc=900, rs=BAD_LENGTH)
        if at + 4 + length > len(body):
            raise ParameterError(name, "longer than what is left of the request", rc=900, rs=LENGTH_MISMATCH)
        at += 4 + length
        return decode_text(body[at - length : at])

    function = text("function_name", 1, _NAME_LIMIT)
    userid = text("authenticated_userid", 0, _USERID_LIMIT)
    password = text("password", 0, _PASSWORD_LIMIT)
    target = None if at == len(body) else text("target_identifier", 0, _TARGET_LIMIT)
    return RequestFrame(function, userid, password, target, body[at:])


def decode_request(function: Function, frame: RequestFrame) -> tuple[Request[Any], Shape]:
    """Read the parameters of a framed request. ParameterError or WireError when they do not fit the declaration."""
    if frame.target is None and function.framing is not Framing.NO_TARGET:
        raise ParameterError("target_identifier", "the request ends before it", rc=900, rs=LENGTH_MISMATCH)
    if frame.legacy and function.framing is not Framing.LEGACY:
        raise WireError(f"{function.name} has no legacy form")
    return function.decode_parameters(frame.target or "", frame.parameters)


class ClientConnection:
    """The client's side of one request: `send` once, then feed bytes and read events until `done`."""

    def __init__(self, function: Function, max_reply: int = MAX_REPLY) -> None:
        self.function = function
        self.request_id: int | None = None
        self.done = False
        self._streaming = False
        self._buffer = _Buffer()
        self._max_reply = max_reply

    def receive_data(self, data: bytes) -> None:
        """Feed bytes from the server. WireError as soon as a reply announces itself as too long."""
        self._buffer.data += data
        self._announced()

    def _announced(self) -> int | None:
        length = self._buffer.peek_int4(0 if self.request_id is not None else 4)
        if length is not None and length > self._max_reply:
            raise WireError(f"a reply of {length} bytes was announced; at most {self._max_reply} are taken")
        return length

    def events(self) -> Iterator[Accepted | ReplyFrame | EventFrame]:
        """What has come so far. A reply ends the connection; event records go on until the server closes."""
        if self.request_id is None:
            request_id = self._buffer.peek_int4()
            if request_id is None:
                return
            self._buffer.take(4)
            self.request_id = request_id
            self.done = self.function.answering is Answering.REQUEST_ID_ONLY
            yield Accepted(request_id)
        while not self.done:
            length = self._announced()
            if length is None or len(self._buffer.data) < length + 4:
                return
            yield self._record(self._buffer.take(length + 4)[4:])

    def _record(self, body: bytes) -> ReplyFrame | EventFrame:
        # A record of 12 bytes is a refusal only as the first one, and only with the id of this request.
        refusal = len(body) == 12 and not self._streaming and int.from_bytes(body[:4], "big") == self.request_id
        if self.function.answering is Answering.EVENTS and not refusal:
            if len(body) < 4:
                raise WireError(f"an event record of {len(body)} bytes; at least 4 are needed")
            self._streaming = True
            return EventFrame(int.from_bytes(body[:4], "big"), body[4:])
        if len(body) < 12:
            raise WireError(f"a reply of {len(body)} bytes; at least 12 are needed")
        request_id, rc, rs = struct.unpack_from(">III", body)
        if request_id != self.request_id:
            raise WireError(f"the reply is for request {request_id}, not for {self.request_id}")
        self.done = True
        return ReplyFrame(request_id, rc, rs, body[12:])

    @property
    def trailing(self) -> bytes:
        """Bytes behind the reply; a server sends none, a recording may hold the next exchange."""
        return bytes(self._buffer.data)

    def receive_eof(self) -> None:
        """The server closed. WireError if the reply was not complete."""
        streaming = self.function.answering is Answering.EVENTS and self.request_id is not None
        if not self.done and not (streaming and not self._buffer.data):
            got = "nothing" if self.request_id is None else f"{len(self._buffer.data)} bytes after the request id"
            raise WireError(f"the server closed the connection before its reply was complete ({got})")
