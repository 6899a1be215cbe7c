"""Sends recorded requests to a live request server and compares its answers with those recorded.

Two things are compared. The codes: the same return and reason code. The structure: the same fields present, lists that
hold items where the recorded ones do, and items of the same form (a record's number of words, a structure's members).
Values are not compared: another system has other disks and other guests.

A recording that is sorted by name has lost the order in which it was made: a request may stand in front of the one that
creates what it needs. So the requests are sent in the order of the file, and those that are answered otherwise are sent
once more behind the rest, in as many rounds as help. What was answered as recorded is never repeated, and the report
keeps both figures apart. An answer 592 (work that goes on) is followed to its end, as those who record do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zvmcloud.smapi.client import ASYNCHRONOUS, IMPATIENT, Client
from zvmcloud.smapi.connection import ClientConnection, ReplyFrame
from zvmcloud.smapi.declare import Answer, Answering, Message, Request
from zvmcloud.smapi.errors import SmapiError, SmapiFault, WireError
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
    round: int = 1
    """The round in which it was answered like this."""

    @property
    def same_codes(self) -> bool:
        return self.recorded == self.got

    @property
    def same_structure(self) -> bool:
        return not self.differences

    @property
    def same(self) -> bool:
        return self.same_codes and self.same_structure


@dataclass(frozen=True, slots=True)
class Report:
    """All requests of a replay: as first answered, in the order sent, and as answered at last."""

    first: tuple[Comparison, ...]
    last: tuple[Comparison, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    """Label and reason of what was not sent."""

    @property
    def late(self) -> tuple[Comparison, ...]:
        """What was answered as recorded in a later round only."""
        return tuple(found for found in self.last if found.round > 1)


async def replay(exchanges: Sequence[Exchange], host: str, port: int, *, rounds: int = 1) -> Report:
    """Send every recorded request, one after the other, in at most so many rounds.

    Left out, with the reason: subscriptions to event streams, and requests or replies that the declared functions
    cannot read. A server that does not answer counts as another answer (-1, -1).
    """
    sent: list[tuple[Exchange, Comparison]] = []
    left_out: list[tuple[str, str]] = []
    for exchange in exchanges:
        try:
            recorded = _recorded(exchange)
        except WireError as error:
            left_out.append((exchange.label, str(error)))
            continue
        if recorded is None:
            left_out.append((exchange.label, "it opens or closes an event stream"))
            continue
        sent.append((exchange, await _once(exchange, recorded, host, port)))
    first = tuple(found for _, found in sent)
    last = list(first)
    for number in range(2, rounds + 1):
        helped = False
        for at, (exchange, _) in enumerate(sent):
            recorded = None if last[at].same else _recorded(exchange)
            if recorded is None:
                continue
            again = await _once(exchange, recorded, host, port)
            if again.same:
                last[at] = replace(again, round=number)
                helped = True
        if not helped:
            break
    return Report(first, tuple(last), tuple(left_out))


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A recorded exchange, decoded."""

    request: Request[Any]
    answer: Answer[Any]
    userid: str
    password: str


def _recorded(exchange: Exchange) -> _Recorded | None:
    """What was asked and answered; None when there is no ordinary reply. WireError when it cannot be read."""
    frame, request, _, _ = read_request([exchange.sent])
    if request.spec.answering is not Answering.REPLY:
        return None
    _, answer, _ = read_answer(request, [exchange.received])
    if answer is None:
        raise WireError("the recording holds no reply")
    return _Recorded(request, answer, frame.userid, frame.password)


async def _once(exchange: Exchange, recorded: _Recorded, host: str, port: int) -> Comparison:
    request, codes = recorded.request, (recorded.answer.rc, recorded.answer.rs)
    try:
        received = await _send(exchange.sent, host, port, ClientConnection(request.spec))
        _, got, _ = read_answer(request, [received])
        if got is not None and got.rc == ASYNCHRONOUS and recorded.answer.rc != ASYNCHRONOUS:
            client = Client(host, port, userid=recorded.userid, password=recorded.password, patience=IMPATIENT)
            got = await client.follow(request, got)
    except SmapiError as refused:
        return Comparison(exchange.label, codes, (refused.rc, refused.rs), ("the work that went on has failed",))
    except (SmapiFault, OSError, TimeoutError) as error:
        return Comparison(exchange.label, codes, (-1, -1), (str(error) or type(error).__name__,))
    if got is None:
        return Comparison(exchange.label, codes, (-1, -1), ("no reply",))
    return Comparison(exchange.label, codes, (got.rc, got.rs), tuple(differences(recorded.answer, got)))


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
