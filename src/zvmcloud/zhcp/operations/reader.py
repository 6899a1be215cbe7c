"""reader.punch, purge, order, transfer, receive: spool files of guests, through the agent's own punch and reader."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from zvmcloud.cp import commands
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.errors import AgentError, FieldError, Json, from_cp
from zvmcloud.zhcp.joining import to_its_end
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.reader_messages import (
    RECEIVE_LIMIT,
    SPOOL_FILE_LIMIT,
    OrderFiles,
    PunchFiles,
    PurgeFiles,
    ReceiveFile,
    TransferFiles,
    WithdrawFile,
)

_NO_SUCH_USER = (7, 53)
_EMPTY = (8, 4)
_PUNCHED = "punched-"
_TAKEN = "taken-"
_NO_FILE = (396, 42)
OUR_READER = "our reader"
"""The turn of whoever makes a file in the agent's own reader and notes it, or looks for what arrived there."""


@dataclass(frozen=True, slots=True)
class GuestFile:
    """A file of a guest's reader, as System_RDR_File_Query shows it: columns of a line (smapi/functions/system.py)."""

    spoolid: str
    origin: str
    spool_class: str
    type: str
    records: int
    hold: str
    name: str
    filetype: str
    created: str

    @classmethod
    def of(cls, line: str) -> GuestFile:
        """A line of the answer."""
        text = line.rstrip("\0").ljust(80)
        records = text[20:28].strip()
        return cls(
            text[9:13].strip(), text[:8].strip(), text[14], text[16:19], int(records) if records.isdecimal() else 0,
            text[33:37].strip(), text[53:62].strip(), text[63:71].strip(), text[38:52].strip(),
        )  # fmt: skip

    def to_json(self) -> dict[str, Json]:
        """The file as it is reported. `created` is the month, day and time that z/VM shows."""
        return {
            "spoolid": self.spoolid, "origin": self.origin, "class": self.spool_class, "type": self.type,
            "records": self.records, "hold": self.hold, "name": self.name, "filetype": self.filetype,
            "created": self.created,
        }  # fmt: skip


async def files(context: Context, userid: str) -> tuple[GuestFile, ...]:
    """The files in the reader of a userid, first first."""
    answer = await context.call(f.SystemRDRFileQuery(target=userid), allow=(_EMPTY,))
    lines = answer.data.reader_file_info if answer.rc == 0 and answer.data is not None else ()
    return tuple(GuestFile.of(line) for line in lines if line.strip())


async def listing(context: Context, userid: str) -> dict[str, Json]:
    """GET /v1/guests/{userid}/reader"""
    found = await files(context, userid)
    if not found:
        await entries.must_exist(context, userid)
    return {"files": [file.to_json() for file in found]}


# -- punch ------------------------------------------------------------------------------------------------------------


async def punch(context: Context, request: PunchFiles) -> dict[str, Json]:
    """All files, in order."""
    contents = [decoded(f"files[{index}].data", file.data) for index, file in enumerate(request.files)]
    spooled: list[Json] = []
    for index, (file, data) in enumerate(zip(request.files, contents, strict=True)):
        context.report(index / len(contents), f"{file.name}: {len(data)} bytes")
        spoolid = await give(context, request.userid, CardFile(file.name, file.type, file.class_, data), f"{index}")
        spooled.append({"name": file.name, "spoolid": spoolid, "bytes": len(data)})
    return {"files": spooled}


def decoded(name: str, data: str) -> bytes:
    """The bytes of a base64 text. FieldError when it is none, or too long for a spool file."""
    try:
        content = base64.b64decode(data, validate=False)
    except (binascii.Error, ValueError) as problem:
        raise FieldError(name, data[:20], f"base64 ({problem})") from problem
    check_size(name, len(content))
    return content


def check_size(name: str, size: int) -> None:
    """FieldError for more than a spool file holds here."""
    if size > SPOOL_FILE_LIMIT:
        raise FieldError(name, f"{size} bytes", f"at most {SPOOL_FILE_LIMIT} bytes")


@dataclass(frozen=True, slots=True)
class CardFile:
    """A file to be punched: name, type and class as CP shows them."""

    name: str
    type: str
    spool_class: str
    data: bytes


async def give(context: Context, userid: str, file: CardFile, mark: str) -> str:
    """Put one file into a guest's reader, once; the number it had in ours. AgentError 404 `guest-unknown`.

    It is made in our reader, noted under `mark`, and handed over; one that cannot be handed over is purged. After a
    crash, a file that is noted and not in our reader any more was handed over; one that nobody noted is what the crash
    left, and goes. A cancellation waits for the file to be handed over.
    """
    return await to_its_end(_given(context, userid, file, f"{_PUNCHED}{mark}"))


async def _given(context: Context, userid: str, file: CardFile, mark: str) -> str:
    spoolid = context.recall(mark)
    if spoolid is None:
        async with context.smapi.turn(OUR_READER):
            if context.again:
                await _purge_nobodys(context, file)
            spoolid = await context.remember(mark, await _make(context, file))
    elif all(mine.spoolid != spoolid for mine in await context.machine.reader()):
        return spoolid
    try:
        await _hand_over(context, spoolid, userid)
    except AgentError:
        await context.cp(commands.purge_reader(spoolid), allow=(42,))
        raise
    return spoolid


async def _make(context: Context, file: CardFile) -> str:
    started = time.monotonic()
    spoolid = await context.machine.punch(file.name, file.type, file.spool_class, file.data)
    took = (time.monotonic() - started) * 1000
    context.did(
        "punch", file.name, took,
        type=file.type, spool_class=file.spool_class, bytes=len(file.data), spoolid=spoolid,
    )  # fmt: skip
    return spoolid


async def _purge_nobodys(context: Context, like: CardFile) -> None:
    """Files of this name in our reader, made by us, that no other operation under way has noted. Those that this one
    has noted so far are handed over, and their numbers are free for new files."""
    ours, noted = (await context.machine.identity()).userid, context.others_noted(_PUNCHED)
    for file in await context.machine.reader():
        alike = (file.name.upper(), file.filetype.upper()) == (like.name.upper(), like.type.upper())
        if alike and file.origin == ours and file.spoolid not in noted:
            await context.cp(commands.purge_reader(file.spoolid), allow=(42,))


async def _hand_over(context: Context, spoolid: str, userid: str) -> None:
    command = commands.transfer_reader(spoolid, userid)
    answer = await context.cp(command, allow=_NO_SUCH_USER)
    if answer.rc:
        raise from_cp(command, answer.rc, answer.lines, status=404, code="guest-unknown")


# -- what is in a reader ----------------------------------------------------------------------------------------------


async def manage(context: Context, userid: str, action: str, spoolids: Sequence[str], *, gone: bool = False) -> bool:
    """PURGE, ORDER or TRANSFER (to our own reader). False when one is missing, which only `gone` allows."""
    request = f.SystemRDRFileManage(target=userid, spoolids=" ".join(spoolids) or "ALL", action=action)
    answer = await context.call(request, allow=(_NO_FILE,))
    if answer.rc and not gone:
        raise AgentError(
            404, "file-unknown", f"the reader of {userid} has not all of {' '.join(spoolids)}",
            remedy="see GET /v1/guests/{userid}/reader",
        )  # fmt: skip
    return answer.rc == 0


async def purge(context: Context, request: PurgeFiles) -> dict[str, Json]:
    """reader.purge"""
    before = await files(context, request.userid)
    if not before:
        await entries.must_exist(context, request.userid)
    there = [file.spoolid for file in before if not request.spoolids or file.spoolid in request.spoolids]
    if there:
        await manage(context, request.userid, "PURGE", there, gone=True)
    return {"userid": request.userid, "purged": [*there]}


async def withdraw(context: Context, request: WithdrawFile) -> dict[str, Json]:
    """A run after a crash deletes no other file than the first one chose."""
    there = await of_ours(context, request.userid, request.name, request.type)
    chosen = context.recall("withdrawn") or (there[-1] if there else "")
    if chosen:
        await context.remember("withdrawn", chosen)
        await manage(context, request.userid, "PURGE", [chosen], gone=True)
    return {"userid": request.userid, "withdrawn": [chosen] if chosen else []}


async def of_ours(context: Context, userid: str, name: str, filetype: str) -> list[str]:
    """The files of that name and type that this agent put into the reader, and that the guest has not read."""
    wanted = ((await context.machine.identity()).userid, name, filetype)
    found = await files(context, userid)
    return [file.spoolid for file in found if (file.origin, file.name.upper(), file.filetype.upper()) == wanted]


async def order(context: Context, request: OrderFiles) -> dict[str, Json]:
    """reader.order. A run after a crash tells the order that the first one found."""
    if request.gone:
        there = {file.spoolid for file in await files(context, request.userid)}
        wanted = [number for number in request.spoolids if number in there]
        if wanted:
            await manage(context, request.userid, "ORDER", wanted, gone=True)
        return {"userid": request.userid, "order": [*wanted]}
    found = await _must_have(context, request.userid, request.spoolids)
    before = (await context.remember("before", " ".join(file.spoolid for file in found))).split()
    await manage(context, request.userid, "ORDER", request.spoolids)
    rest = [number for number in before if number not in request.spoolids]
    order: list[Json] = [*request.spoolids, *rest]
    return {"userid": request.userid, "order": order, "before": {"spoolids": [*before]}}


async def _must_have(context: Context, userid: str, spoolids: Sequence[str]) -> tuple[GuestFile, ...]:
    """The reader's files. AgentError 404 `file-unknown` names those that are missing."""
    found = await files(context, userid)
    if not found:
        await entries.must_exist(context, userid)
    missing = [number for number in spoolids if number not in {file.spoolid for file in found}]
    if missing:
        raise AgentError(
            404, "file-unknown", f"the reader of {userid} has no file {', '.join(missing)}",
            remedy="see GET /v1/guests/{userid}/reader",
        )  # fmt: skip
    return found


async def transfer(context: Context, request: TransferFiles) -> dict[str, Json]:
    """reader.transfer: through our own reader, since the agent may hand over only its own files.

    When one cannot be handed over, all go back to where they were. One that a crash left in our reader is handed over
    by the next run.
    """
    if context.recall("order") is None:
        await entries.must_exist(context, request.to)
        there = await _must_have(context, request.userid, request.spoolids)
        await context.remember("order", " ".join(file.spoolid for file in there))
    known = await context.remember("theirs", " ".join(file.spoolid for file in await files(context, request.to)))
    context.on_undo(f"files of {request.userid}", lambda: _back_again(context, request, known.split()))
    taken = [await _take(context, request.userid, number) for number in request.spoolids]
    ours = {file.spoolid for file in await context.machine.reader()}
    for number in taken:
        if number in ours:
            await _hand_over(context, number, request.to)
    arrived = [file.spoolid for file in await files(context, request.to) if file.spoolid not in known.split()]
    told: dict[str, Json] = {"userid": request.userid, "to": request.to, "files": len(request.spoolids)}
    # More than were sent: somebody else's came too, and which are ours nobody knows.
    return {**told, "before": {"spoolids": [*arrived]}} if len(arrived) == len(taken) else told


async def _back_again(context: Context, request: TransferFiles, known: Sequence[str]) -> None:
    """The undo: what is in our reader and what was handed over go back, and the reader has its order of before.
    ``known``: the files that the other one had. AgentError 409 `files-mixed`."""
    there = {file.spoolid for file in await files(context, request.userid)}
    for number in request.spoolids:
        if context.intended(f"taking-{number}") and number not in there:
            with contextlib.suppress(AgentError):  # the answer was lost, and it did not come: there is none to go back
                await _take(context, request.userid, number)
    taken = {number: at for number in request.spoolids if (at := context.recall(f"{_TAKEN}{number}")) is not None}
    ours = {file.spoolid for file in await context.machine.reader()}
    gone = [number for number, at in taken.items() if at not in ours]
    if gone:
        arrived = [file.spoolid for file in await files(context, request.to) if file.spoolid not in known]
        if len(arrived) != len(gone):
            raise AgentError(
                409, "files-mixed", f"{len(gone)} files were given to {request.to}, which has {len(arrived)} new ones",
                remedy="look which of them are to go back",
            )  # fmt: skip
        for number, at in zip(gone, arrived, strict=True):
            taken[number] = await _take(context, request.to, at, f"back-{number}")
    wanted = (context.recall("order") or "").split()
    for number, at in taken.items():
        before = {file.spoolid for file in await files(context, request.userid)}
        await _hand_over(context, at, request.userid)
        new = [file.spoolid for file in await files(context, request.userid) if file.spoolid not in before]
        wanted[wanted.index(number)] = new[0] if len(new) == 1 else number
    if taken:
        await manage(context, request.userid, "ORDER", wanted, gone=True)


async def _take(context: Context, userid: str, number: str, mark: str = "") -> str:
    """Move a file into our own reader, once; its number there, noted under ``mark`` (the number that it had).

    It is known by its arrival, so one is moved at a time, and what there was before is noted first: after a crash, the
    file that came since and that no other operation has noted is it. A cancellation waits for it to arrive.
    """
    return await to_its_end(_taken(context, userid, number, mark or number))


async def _taken(context: Context, userid: str, number: str, mark: str) -> str:
    taken = context.recall(f"{_TAKEN}{mark}")
    if taken is not None:
        return taken
    async with context.smapi.turn(OUR_READER):
        begun = context.intended(f"taking-{mark}")
        if not begun or any(file.spoolid == number for file in await files(context, userid)):
            before = [file.spoolid for file in await context.machine.reader()]
            await context.intend(f"taking-{mark}", *(f"was-{mark} {file}" for file in before))
            await manage(context, userid, "TRANSFER", [number])
        known = {*context.recalled(f"was-{mark}"), *context.others_noted(_TAKEN), *context.others_noted(_PUNCHED)}
        arrived = [file.spoolid for file in await context.machine.reader() if file.spoolid not in known]
        if len(arrived) != 1:
            raise AgentError(
                502, "file-lost", f"file {number} of {userid} did not arrive in the agent's reader",
                remedy="look at the agent's reader",
            )  # fmt: skip
        return await context.remember(f"{_TAKEN}{mark}", arrived[0])


async def receive(context: Context, request: ReceiveFile) -> dict[str, Json]:
    """reader.receive. AgentError 409 `file-too-large` before the file is taken (an 80-byte record is the measure)."""
    userid, number = request.userid, request.spoolid
    told = context.recall("file")
    if told is None:
        found = {file.spoolid: file for file in await _must_have(context, userid, [number])}[number]
        if found.records * 80 > RECEIVE_LIMIT:
            raise AgentError(
                409, "file-too-large",
                f"file {number} has {found.records} records, at most {RECEIVE_LIMIT // 80} are taken",
                remedy="transfer it to a userid that reads it",
            )  # fmt: skip
        told = await context.remember("file", json.dumps(found.to_json()))
    file: dict[str, Json] = json.loads(told)
    context.on_undo(f"file {number}", lambda: _returned(context, userid, number))
    data = await context.machine.receive(await _take(context, userid, number))
    return {**file, "bytes": len(data), "data": base64.b64encode(data).decode()}


async def _returned(context: Context, userid: str, number: str) -> None:
    """A file that was taken goes back."""
    taken = context.recall(f"{_TAKEN}{number}")
    if taken is not None:
        await _hand_over(context, taken, userid)
