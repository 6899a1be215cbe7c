"""Spool files that go through the agent's own reader: made there for a guest, or taken there from one.

z/VM gives the number of a file again as soon as it is free, so after a crash a number alone says nothing. What is
noted of a file is its trace: number, origin, name, type, records, and when it was made, which stay as they are while
it is in one reader. A file is made, or arrives, and is noted while nobody else does that (OUR_READER).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass

from zvmcloud.cp import commands
from zvmcloud.zhcp.errors import AgentError, from_cp
from zvmcloud.zhcp.joining import to_its_end
from zvmcloud.zhcp.machine import SpoolFile
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.readers import files, manage, number_of, trace_of

OUR_READER = "our reader"
"""The turn of whoever makes a file in the agent's own reader and notes it, looks for what arrived there, or reads what
nobody else is to have. It is asked for last: whoever has it waits for no other turn."""
_NO_SUCH_USER = (7, 53)
_NOT_THERE = (42,)
_UNANSWERED = 503
"""The machine cannot be reached, or did not answer: what it was asked for may have been done."""
_PUNCHED, _TAKEN, _TAKING = "punched-", "taken-", "taking-"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CardFile:
    """A file to be punched: name, type and class as CP shows them."""

    name: str
    type: str
    spool_class: str
    data: bytes


async def ours(context: Context) -> dict[str, SpoolFile]:
    """The files of our reader by their traces."""
    return {trace_of(file): file for file in await context.machine.reader()}


async def give(context: Context, userid: str, file: CardFile, mark: str) -> str:
    """Put one file into a guest's reader, once; the number it had in ours. AgentError 404 `guest-unknown`.

    It is made in our reader, noted under `mark`, and handed over; one that cannot be handed over is purged. After a
    crash, a file that is noted and not in our reader any more was handed over; one that nobody noted is what the crash
    left, and goes. A cancellation waits for the file to be handed over.
    """
    return await to_its_end(_given(context, userid, file, f"{_PUNCHED}{mark}"))


async def _given(context: Context, userid: str, file: CardFile, mark: str) -> str:
    while context.intended(f"refused-{mark}"):  # before the crash; then it is made, and refused, once more
        await drop(context, context.recall(mark) or "")
        mark += "+"
    trace = context.recall(mark)
    if trace is None:
        async with context.smapi.turn(OUR_READER):
            if context.again:
                await _purge_nobodys(context, file)
            trace = await context.remember(mark, trace_of(await _make(context, file)))
    elif not await _still_to_give(context, trace):
        return number_of(trace)
    try:
        await hand_over(context, number_of(trace), userid)
    except AgentError as refused:
        if refused.problem.status == _UNANSWERED and not await _still_to_give(context, trace):
            return number_of(trace)
        await context.intend(f"refused-{mark}")
        await drop(context, trace)
        raise
    return number_of(trace)


async def _still_to_give(context: Context, trace: str) -> bool:
    """Whether a file that was noted is in our reader, and not again, because another operation took it from a guest."""
    return trace in await ours(context) and trace not in context.others_noted(_TAKEN)


async def _make(context: Context, file: CardFile) -> SpoolFile:
    started = time.monotonic()
    spoolid = await context.machine.punch(file.name, file.type, file.spool_class, file.data)
    took = (time.monotonic() - started) * 1000
    context.did(
        "punch", file.name, took,
        type=file.type, spool_class=file.spool_class, bytes=len(file.data), spoolid=spoolid,
    )  # fmt: skip
    for made in await context.machine.reader():
        if made.spoolid == spoolid:
            return made
    raise AgentError(502, "file-lost", f"file {spoolid}, just punched, is not in the agent's reader")


async def _purge_nobodys(context: Context, like: CardFile) -> None:
    """Files of this name in our reader, made by us, that no operation under way has noted: what crashes left."""
    me = (await context.machine.identity()).userid
    for file in await nobodys(context):
        alike = (file.name.upper(), file.filetype.upper()) == (like.name.upper(), like.type.upper())
        if alike and file.origin == me:
            await context.cp(commands.purge_reader(file.spoolid), allow=_NOT_THERE)


async def nobodys(context: Context) -> list[SpoolFile]:
    """The files of our reader that no other operation under way has noted, nor was about to take from a guest when a
    crash came, before it could note them. In the turn OUR_READER."""
    noted = context.others_noted(_PUNCHED) | context.others_noted(_TAKEN)
    coming = {_anywhere(trace) for trace in context.others_noted(_TAKING)}
    there = await ours(context)
    return [file for trace, file in there.items() if trace not in noted and _anywhere(trace) not in coming]


def _anywhere(trace: str) -> tuple[str, ...]:
    """What of a trace is the same in every reader, whoever lists it: origin, name, type, records."""
    return tuple(trace.split(" ")[1:5])


async def hand_over(context: Context, spoolid: str, userid: str) -> None:
    """A file of our reader goes to a guest's. AgentError 404 `guest-unknown`."""
    command = commands.transfer_reader(spoolid, userid)
    answer = await context.cp(command, allow=_NO_SUCH_USER)
    if answer.rc:
        raise from_cp(command, answer.rc, answer.lines, status=404, code="guest-unknown")


async def drop(context: Context, trace: str) -> None:
    """Purge a file of our reader, if it is still there."""
    if trace in await ours(context):
        await context.cp(commands.purge_reader(number_of(trace)), allow=_NOT_THERE)


async def take(context: Context, userid: str, number: str, mark: str = "") -> str:
    """Move a file into our own reader, once; its trace there, noted under ``mark`` (the number that it had).

    It is known by its arrival, so one is moved at a time, and what there was before is noted first: after a crash, the
    file that came since and that no other operation has noted is it. When somebody else's came too, it is the one that
    looks as it did in the guest's reader. A cancellation waits for it to arrive. AgentError 502 `file-lost`.
    """
    return await to_its_end(_taken(context, userid, number, mark or number))


def taken(context: Context, mark: str) -> str | None:
    """The trace of a file that was taken."""
    return context.recall(f"{_TAKEN}{mark}")


async def arrived(context: Context, userid: str, number: str) -> str | None:
    """The trace of a file that was taken, or that came although nobody heard so; None when it did not come."""
    going = context.recall(f"{_TAKING}{number}")
    if taken(context, number) is None and going is not None:
        there = [trace_of(file) for file in await files(context, userid)]
        if going not in there:
            with contextlib.suppress(AgentError):  # the answer was lost, and it did not come
                await take(context, userid, number)
    return taken(context, number)


async def _taken(context: Context, userid: str, number: str, mark: str) -> str:
    known = taken(context, mark)
    if known is not None:
        return known
    async with context.smapi.turn(OUR_READER):
        there = next((trace_of(file) for file in await files(context, userid) if file.spoolid == number), number)
        was = context.recall(f"{_TAKING}{mark}")
        if was is None or was == there:  # another file that has its number by now is not it
            before = await ours(context)
            await context.intend(f"{_TAKING}{mark} {there}", *(f"was-{mark} {trace}" for trace in before))
            await manage(context, userid, "TRANSFER", [number])
        others = {*context.recalled(f"was-{mark}"), *context.others_noted(_TAKEN), *context.others_noted(_PUNCHED)}
        came = [trace for trace in await ours(context) if trace not in others]
        if len(came) > 1:
            looks = _anywhere(context.recall(f"{_TAKING}{mark}") or "")
            came = [trace for trace in came if _anywhere(trace) == looks]
        if len(came) != 1:
            raise AgentError(
                502, "file-lost", f"file {number} of {userid} did not arrive in the agent's reader",
                remedy="look at the agent's reader",
            )  # fmt: skip
        return await context.remember(f"{_TAKEN}{mark}", came[0])


async def read(context: Context, trace: str) -> bytes:
    """The content of a file of our reader that was taken, which stays there until it is dropped or given back."""
    return await context.machine.read(number_of(trace))


async def give_back(context: Context, trace: str, userid: str) -> None:
    """A file that was taken goes back to a guest's reader, ready to be read there."""
    await context.cp(commands.release_reader(number_of(trace)), allow=_NOT_THERE)
    await hand_over(context, number_of(trace), userid)


async def done_with(context: Context, trace: str) -> None:
    """Drop a file whose content is safe. That it stays is no failure, and a cancellation comes too late."""
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await to_its_end(drop(context, trace))
    except AgentError as problem:
        log.error("spool file %s stays in the agent's reader: %s", number_of(trace), problem)  # noqa: TRY400
