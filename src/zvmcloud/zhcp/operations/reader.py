"""reader.punch, purge, order, transfer, receive: spool files of guests, through the agent's own punch and reader."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence

from zvmcloud.zhcp import entries
from zvmcloud.zhcp.errors import HIDDEN, AgentError, FieldError, Json
from zvmcloud.zhcp.operations import own_reader
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.readers import GuestFile, files, manage, number_of, trace_of
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
        spoolid = await own_reader.give(
            context, request.userid, own_reader.CardFile(file.name, file.type, file.class_, data), f"{index}"
        )
        spooled.append({"name": file.name, "spoolid": spoolid, "bytes": len(data)})
    return {"files": spooled}


def decoded(name: str, data: str) -> bytes:
    """The bytes of a base64 text. FieldError when it is none, or too long for a spool file."""
    try:
        content = base64.b64decode(data, validate=False)
    except (binascii.Error, ValueError) as problem:
        raise FieldError(name, HIDDEN, f"base64 ({problem})") from problem
    check_size(name, len(content))
    return content


def check_size(name: str, size: int) -> None:
    """FieldError for more than a spool file holds here."""
    if size > SPOOL_FILE_LIMIT:
        raise FieldError(name, f"{size} bytes", f"at most {SPOOL_FILE_LIMIT} bytes")


# -- what is in a reader ----------------------------------------------------------------------------------------------


async def purge(context: Context, request: PurgeFiles) -> dict[str, Json]:
    """reader.purge. A run after a crash deletes no other files than the first one found."""
    before = await files(context, request.userid)
    if not before:
        await entries.must_exist(context, request.userid)
    found = [trace_of(file) for file in before if not request.spoolids or file.spoolid in request.spoolids]
    chosen: list[str] = json.loads(await context.remember("purged", json.dumps(found)))
    if there := [file.spoolid for file in before if trace_of(file) in chosen]:
        await manage(context, request.userid, "PURGE", there, gone=True)
    return {"userid": request.userid, "purged": [number_of(trace) for trace in chosen]}


async def withdraw(context: Context, request: WithdrawFile) -> dict[str, Json]:
    """A run after a crash deletes no other file than the first one chose."""
    there = await of_ours(context, request.userid, request.name, request.type)
    chosen = await context.remember("withdrawn", there[-1] if there else "")
    if chosen in there:
        await manage(context, request.userid, "PURGE", [number_of(chosen)], gone=True)
    return {"userid": request.userid, "withdrawn": [number_of(chosen)] if chosen else []}


async def of_ours(context: Context, userid: str, name: str, filetype: str) -> list[str]:
    """The traces of the files of that name and type that this agent put into the reader, and that the guest has not
    read."""
    wanted = ((await context.machine.identity()).userid, name, filetype)
    found = await files(context, userid)
    return [trace_of(file) for file in found if (file.origin, file.name.upper(), file.filetype.upper()) == wanted]


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
    taken = [await own_reader.take(context, request.userid, number) for number in request.spoolids]
    ours = await own_reader.ours(context)
    for trace in taken:
        if trace in ours:
            await own_reader.hand_over(context, number_of(trace), request.to)
    arrived = [file.spoolid for file in await files(context, request.to) if file.spoolid not in known.split()]
    told: dict[str, Json] = {"userid": request.userid, "to": request.to, "files": len(request.spoolids)}
    # More than were sent: somebody else's came too, and which are ours nobody knows.
    return {**told, "before": {"spoolids": [*arrived]}} if len(arrived) == len(taken) else told


async def _back_again(context: Context, request: TransferFiles, known: Sequence[str]) -> None:
    """The undo: what is in our reader and what was handed over go back, and the reader has its order of before.
    ``known``: the files that the other one had. AgentError 409 `files-mixed`."""
    taken: dict[str, str] = {}
    for number in request.spoolids:
        at = await own_reader.arrived(context, request.userid, number)
        if at is not None:
            taken[number] = at
    ours = await own_reader.ours(context)
    gone = [number for number, at in taken.items() if at not in ours]
    if gone:
        arrived = [file.spoolid for file in await files(context, request.to) if file.spoolid not in known]
        if len(arrived) != len(gone):
            raise AgentError(
                409, "files-mixed", f"{len(gone)} files were given to {request.to}, which has {len(arrived)} new ones",
                remedy="look which of them are to go back",
            )  # fmt: skip
        for number, at in zip(gone, arrived, strict=True):
            taken[number] = await own_reader.take(context, request.to, at, f"back-{number}")
    wanted = (context.recall("order") or "").split()
    for number, at in taken.items():
        before = {file.spoolid for file in await files(context, request.userid)}
        await own_reader.hand_over(context, number_of(at), request.userid)
        new = [file.spoolid for file in await files(context, request.userid) if file.spoolid not in before]
        wanted[wanted.index(number)] = new[0] if len(new) == 1 else number
    if taken:
        await manage(context, request.userid, "ORDER", wanted, gone=True)


async def receive(context: Context, request: ReceiveFile) -> dict[str, Json]:
    """reader.receive. AgentError 409 `file-too-large` before the file is taken (an 80-byte record is the measure).

    It is read in our reader, where it stays until its content is in the journal.
    """
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
    held = context.recall("content")
    if held is None:
        context.on_undo(f"file {number}", lambda: _returned(context, userid, number))
        data = await own_reader.read(context, await own_reader.take(context, userid, number))
        held = await context.remember("content", base64.b64encode(data).decode())
    await own_reader.done_with(context, own_reader.taken(context, number) or "")
    return {**file, "bytes": len(base64.b64decode(held)), "data": held}


async def _returned(context: Context, userid: str, number: str) -> None:
    """A file that was taken goes back, be it that only its arrival tells so."""
    trace = await own_reader.arrived(context, userid, number)
    if trace is not None:
        await own_reader.give_back(context, trace, userid)
