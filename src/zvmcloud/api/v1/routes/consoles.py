"""Consoles of guests: following what is written there, and typing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from zvmcloud.api.v1.context import Member, Reader, TheNode, address_of
from zvmcloud.api.v1.document import EVENT_STREAM
from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.identity.roles import Role
from zvmcloud.manager.node import Node

router = APIRouter(tags=["guests"])

_LOOK = 1.0
_QUIET = 15
"""Looks without news after which the reader is told that the stream is alive."""
_WINDOW = 256
"""KiB that are looked at for what is new; a guest that writes more in a second loses the rest here."""


class Line(BaseModel):
    """``text``: printable characters without #, which ends a line for CP. ``cp``: it is a CP command of the guest.
    ``seconds``: how long the answer is waited for."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=200, examples=["ls /"])
    cp: bool = False
    seconds: int = Field(default=3, ge=0, le=300)


class Typed(BaseModel):
    """``output``: what the console said meanwhile. ``sent``: false when a crash may have sent it before."""

    output: str
    sent: bool
    job: str


@router.post("/guests/{system}/{userid}/console", name="guest.send")
async def send(node: TheNode, caller: Member, request: Request, system: str, userid: str, body: Line) -> Typed:
    """Type a line on the guest's console and tell what it said; the line is recorded in a job: no place for
    passwords."""
    row = await node.core.owned(node.core.system(system), userid)
    caller.enters(row["project"], Role.MEMBER, f"guest {row['userid']}")
    origin = f"v1 POST console from {address_of(request)}"
    record = await node.guests.send(
        row["system"], row["userid"], body.text, cp=body.cp, seconds=body.seconds, origin=origin
    )
    result = record.steps[0].result or {}
    return Typed(output=str(result.get("output") or ""), sent=bool(result.get("sent", True)), job=record.id)


@router.get(
    "/guests/{system}/{userid}/console/stream",
    name="guest.follow",
    response_class=StreamingResponse,
    responses={200: EVENT_STREAM},
)
async def follow(
    node: TheNode,
    caller: Reader,
    system: str,
    userid: str,
    kb: Annotated[int, Query(ge=0, le=_WINDOW, description="KiB from the end to begin with")] = 16,
) -> StreamingResponse:
    """Server-sent events of what the guest writes to its console, each with the new ``text``."""
    row = await node.core.owned(node.core.system(system), userid)
    caller.enters(row["project"], Role.READER, f"guest {row['userid']}")
    first = await _text(node, row["system"], row["userid"])
    return StreamingResponse(
        _new(node, row["system"], row["userid"], first, kb * 1024),
        media_type="text/event-stream",
        headers={"cache-control": "no-store"},
    )


async def _text(node: Node, system: str, userid: str) -> str:
    try:
        return await node.guests.console(system, userid, _WINDOW)
    except ManagerError as error:
        if error.code == "console-none":
            return ""
        raise


async def _new(node: Node, system: str, userid: str, known: str, begin: int) -> AsyncIterator[str]:
    yield _event(known[-begin:] if begin else "")
    quiet = 0
    while not node.stopping:
        await asyncio.sleep(_LOOK)
        try:
            text = await _text(node, system, userid)
        except ManagerError as error:
            if error.status == 404:  # the guest has gone
                return
            text = known
        added = text[overlap(known, text) :]
        quiet = 0 if added else quiet + 1
        if added:
            yield _event(added)
        elif quiet % _QUIET == 0:
            yield ": still here\n\n"
        known = text


def _event(text: str) -> str:
    return f"event: console\ndata: {json.dumps({'text': text})}\n\n"


def overlap(known: str, text: str) -> int:
    """How much of the beginning of ``text`` is the end of ``known``: a log's end, read twice."""
    if text.startswith(known):
        return len(known)
    head = text[:64]
    place = known.find(head) if head else -1
    while place >= 0:
        if text.startswith(known[place:]):
            return len(known) - place
        place = known.find(head, place + 1)
    return 0
