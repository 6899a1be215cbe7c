"""Replays recorded exchanges through the codec and tells every byte that differs.

A recording is a file of JSON lines with `function`, `test`, `send_hex` (all that a client sent on its connection) and
`recv_hex` (all that the server sent). Each message is decoded with every byte used and encoded again; it is fed whole,
behind its neighbour, and byte by byte. `zvm smapi verify FILE` does this from the command line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zvmcloud.smapi.connection import (
    Accepted,
    ClientConnection,
    EventFrame,
    ReplyFrame,
    RequestFrame,
    ServerConnection,
    decode_request,
)
from zvmcloud.smapi.declare import Answer, Answering, Function, Request
from zvmcloud.smapi.errors import WireError
from zvmcloud.smapi.registry import REGISTRY
from zvmcloud.smapi.spelling import Shape


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recorded connection."""

    label: str
    function: str
    sent: bytes
    received: bytes


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A message that the codec could not reproduce."""

    label: str
    side: str
    problem: str


def load(path: Path) -> list[Exchange]:
    """Read a recording. WireError names the line that is none."""
    exchanges = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            sent, received = bytes.fromhex(item["send_hex"]), bytes.fromhex(item["recv_hex"])
            exchanges.append(Exchange(str(item.get("test", number)), str(item["function"]), sent, received))
        except (ValueError, KeyError, TypeError) as error:
            raise WireError(f"{path.name}, line {number}: no recorded exchange ({error!r})") from None
    return exchanges


def read_request(pieces: Iterable[bytes], behind: bytes = b"") -> tuple[RequestFrame, Request[Any], Shape, bytes]:
    """Decode the request at the head of a stream given in pieces; also gives its encoding.

    `behind` is what follows the request in the stream; WireError when anything else is left over.
    """
    connection = ServerConnection()
    frames = []
    for piece in pieces:
        connection.receive_data(piece)
        frames += list(connection.frames())
    if not frames:
        raise WireError(f"the {connection.pending} bytes sent make no whole request")
    frame, *others = frames
    if b"".join(other.encode() for other in others) != behind or connection.pending:
        raise WireError("what follows the request in the stream is not what was sent")
    request, shape = decode_request(_function(frame.function), frame)
    parameters = request.spec.encode_parameters(request, shape)
    again = RequestFrame(frame.function, frame.userid, frame.password, frame.target, parameters, frame.legacy)
    return frame, request, shape, again.encode()


def read_answer(
    request: Request[Any], pieces: Iterable[bytes], behind: bytes = b""
) -> tuple[list[Accepted | ReplyFrame | EventFrame], Answer[Any] | None, bytes]:
    """Decode what a server sent in answer to `request`; also gives its encoding. `behind`: as for `read_request`."""
    function = request.spec
    connection = ClientConnection(function)
    events: list[Accepted | ReplyFrame | EventFrame] = []
    for piece in pieces:
        connection.receive_data(piece)
        events += list(connection.events())
    answer: Answer[Any] | None = None
    encoded = bytearray()
    for event in events:
        if isinstance(event, Accepted):
            encoded += ServerConnection.accepted(event.request_id)
        elif isinstance(event, EventFrame):
            encoded += event.encode()
        else:
            answer = function.decode_answer(event.rc, event.rs, event.data, request, event.request_id)
            data = encode_answer(function, answer, request)
            encoded += ReplyFrame(event.request_id, event.rc, event.rs, data).encode()
    if connection.trailing != behind:
        raise WireError(f"{len(connection.trailing)} bytes follow the reply, {len(behind)} should")
    if not behind:
        connection.receive_eof()
    return events, answer, bytes(encoded)


def encode_answer(function: Function, answer: Answer[Any], request: Request[Any]) -> bytes:
    """The data of a decoded answer, in the shape in which it came."""
    if answer.data is not None:
        return function.encode_reply(answer.data, request, answer.shape)
    return function.encode_error(answer.rc, answer.rs, answer.text, answer.shape)


def _function(name: str) -> Function:
    function = REGISTRY.get(name)
    if function is None:
        raise WireError(f"the function {name} is not declared", rs=12)
    return function


def _manners(data: bytes, neighbour: bytes) -> Iterator[tuple[str, list[bytes], bytes]]:
    """Ways to feed a message: name, pieces, what follows it."""
    yield "whole", [data], b""
    yield "byte by byte", [data[at : at + 1] for at in range(len(data))], b""
    yield "with the neighbour behind it", [data + neighbour], neighbour


def verify(exchanges: list[Exchange]) -> Iterator[Mismatch]:
    """Every message of the recording that does not decode, or does not encode to the bytes recorded."""
    for index, exchange in enumerate(exchanges):
        neighbour = exchanges[(index + 1) % len(exchanges)]
        request: Request[Any] | None = None
        for manner, pieces, behind in _manners(exchange.sent, neighbour.sent):
            try:
                _, request, _, again = read_request(pieces, behind)
            except WireError as error:
                yield Mismatch(exchange.label, f"request, {manner}", str(error))
                continue
            if again != exchange.sent:
                yield Mismatch(exchange.label, f"request, {manner}", _difference(exchange.sent, again))
        if request is None:
            continue
        for manner, pieces, behind in _manners(exchange.received, neighbour.received):
            if behind and request.spec.answering is Answering.EVENTS:
                continue  # a stream has no end behind which anything could follow
            try:
                _, _, again = read_answer(request, pieces, behind)
            except WireError as error:
                yield Mismatch(exchange.label, f"reply, {manner}", str(error))
                continue
            if again != exchange.received:
                yield Mismatch(exchange.label, f"reply, {manner}", _difference(exchange.received, again))


def _difference(expected: bytes, got: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(expected, got, strict=False)) if a != b), min(len(expected), len(got)))
    return (
        f"differs at offset {at}: recorded {expected[at : at + 8].hex(' ') or '(end)'} of {len(expected)} bytes, "
        f"encoded {got[at : at + 8].hex(' ') or '(end)'} of {len(got)}"
    )
