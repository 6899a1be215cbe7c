"""Sends recorded requests to a live request server and compares its answers with those recorded.

Two things are compared. The codes: the same return and reason code. The structure: the same fields present, lists that
hold items where the recorded ones do, and items of the same form (a record's number of words, a structure's members).
Values are not compared: another system has other disks and other guests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from zvmcloud.smapi.connection import ClientConnection, ReplyFrame
from zvmcloud.smapi.declare import Answer, Answering, Message
from zvmcloud.smapi.errors import WireError
from zvmcloud.smapi.layout import Limited, Repeat, Spec
from zvmcloud.smapi.recording import Exchange, read_answer, read_request

TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """One request sent again."""

    label: str
    recorded: tuple[int, int]
    got: tuple[int, int]
    differences: tuple[str, ...] = ()
    """What differs in structure; empty when nothing does."""

    @property
    def same_codes(self) -> bool:
        return self.recorded == self.got

    @property
    def same_structure(self) -> bool:
        return not self.differences


async def replay(exchanges: Sequence[Exchange], host: str, port: int) -> list[Comparison]:
    """Send every recorded request, in order, one after the other. Subscriptions to event streams are left out."""
    return [found for exchange in exchanges if (found := await _once(exchange, host, port)) is not None]


async def _once(exchange: Exchange, host: str, port: int) -> Comparison | None:
    _, request, _, _ = read_request([exchange.sent])
    if request.spec.answering is not Answering.REPLY:
        return None
    _, recorded, _ = read_answer(request, [exchange.received])
    if recorded is None:
        raise WireError(f"{exchange.label}: the recording holds no reply")
    codes = (recorded.rc, recorded.rs)
    try:
        received = await _send(exchange.sent, host, port, ClientConnection(request.spec))
        _, got, _ = read_answer(request, [received])
    except (WireError, OSError, TimeoutError) as error:
        return Comparison(exchange.label, codes, (-1, -1), (str(error) or type(error).__name__,))
    if got is None:
        return Comparison(exchange.label, codes, (-1, -1), ("no reply",))
    return Comparison(exchange.label, codes, (got.rc, got.rs), tuple(differences(recorded, got)))


async def _send(wire: bytes, host: str, port: int, connection: ClientConnection) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    received = bytearray()
    try:
        writer.write(wire)
        async with asyncio.timeout(TIMEOUT):
            while piece := await reader.read(65536):
                received += piece
                connection.receive_data(piece)
                if any(isinstance(event, ReplyFrame) for event in connection.events()):
                    break
    finally:
        writer.close()
    return bytes(received)


def differences(recorded: Answer[Any], got: Answer[Any]) -> Iterator[str]:
    """Where the structure of an answer is not that of the recorded one."""
    if bool(recorded.text) != bool(got.text):
        yield f"text: {'missing' if recorded.text else 'not in the recording'}"
    if (recorded.data is None) != (got.data is None):
        yield f"data: {'missing' if got.data is None else 'not in the recording'}"
    elif recorded.data is not None and got.data is not None:
        yield from _members(recorded.data, got.data, "")


def _members(recorded: Message, got: Message, path: str) -> Iterator[str]:
    for member in recorded.__fields__:
        first, second = getattr(recorded, member.attribute), getattr(got, member.attribute)
        yield from _compare(first, second, member.spec, f"{path}{member.name}")


def _compare(recorded: object, got: object, spec: Spec, path: str) -> Iterator[str]:
    if isinstance(recorded, tuple) and isinstance(got, tuple):
        item = spec.item if isinstance(spec, Repeat) else spec
        if bool(recorded) != bool(got):
            yield f"{path}: {len(got)} items, recorded {len(recorded)}"
        known = {_form(value, item) for value in recorded}
        strange = next((form for value in got if known and (form := _form(value, item)) not in known), None)
        if strange is not None:
            yield f"{path}: an item has the form {strange}; recorded: {', '.join(sorted(known))}"
        if recorded and got and isinstance(recorded[0], Message) and isinstance(got[0], Message):
            yield from _members(recorded[0], got[0], f"{path}[].")
    elif isinstance(recorded, str) and isinstance(got, str):
        if _form(recorded, spec) != _form(got, spec):
            yield f"{path}: {_form(got, spec)}; recorded: {_form(recorded, spec)}"
    elif type(recorded) is not type(got):
        yield f"{path}: {type(got).__name__}, recorded {type(recorded).__name__}"


def _form(value: object, spec: Spec) -> str:
    """The form of an item: keys of `key=value` texts, the number of words of records, empty or not for other text."""
    if not isinstance(value, str):
        return type(value).__name__
    if isinstance(spec, Limited) and spec.words:
        return f"{len(value.split(spec.separator or None))} words"
    key, equals, _ = value.partition("=")
    if equals and key.replace("_", "").isalnum():
        return f"{key}="
    return "text" if value.strip() else "empty"
