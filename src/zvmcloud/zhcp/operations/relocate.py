"""guest.relocate: VMRELOCATE through SMAPI. What stands against a move is told in CP's message numbers."""

from __future__ import annotations

import asyncio
import time

from zvmcloud.cp.answers import PowerState
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.resize import must_be_on
from zvmcloud.zhcp.resource_messages import RelocateGuest

_LONGEST = 900.0
"""Seconds that a move may take after its answer was lost (clients of the field allow as long for the call)."""
_POLL = 2.0
_NOTHING_MOVES = (4, 3001)
# Numbers that z/VM's recorded answers have; whatever else comes is shown as it is.
_REASONS = {
    "1813": "the member does not take guests now",
    "1823": "the guest's virtual machine is not one that may move",
    "1926": "another relocation or change of this guest is under way",
    "1940": "the guest is not relocatable",
    "1944": "the destination lacks a resource that the guest has",
    "1981": "a device of the guest cannot move",
    "1996": "a virtual facility of the guest cannot move",
}


async def relocate(context: Context, request: RelocateGuest) -> dict[str, Json]:
    """A move that a crash cut off is found where it went."""
    userid, destination = request.userid, request.destination
    async with context.writing(userid):
        state = await context.power(userid)
        if not request.test and context.intended("move") and state is PowerState.ELSEWHERE:
            return {"userid": userid, "destination": destination, "moved": True, "authorized": False}
        if state is not PowerState.ON:
            await entries.must_exist(context, userid)
        await must_be_on(context, userid)
        if request.test:
            await _call(context, request, "TEST")
            return {"userid": userid, "destination": destination, "moved": False, "authorized": False}
        await context.intend("move")
        context.report(0.05, f"moving {userid} to {destination}")
        try:
            await _call(context, request, "MOVE")
        except AgentError as problem:
            if problem.problem.smapi is not None or problem.problem.status == 400:
                raise
            await _observe(context, request, problem)
    authorized = await _authorize(context, request)
    return {"userid": userid, "destination": destination, "moved": True, "authorized": authorized}


async def _call(context: Context, request: RelocateGuest, action: str) -> None:
    move = action == "MOVE"
    immediate = None if request.immediate is None else ("YES" if request.immediate else "NO")
    call = f.VMRELOCATE(
        target=request.userid,
        destination=request.destination,
        action=action,
        force=" ".join(request.force) or None,
        immediate=immediate if move else None,
        max_total=_limit(request.max_total) if move else None,
        max_quiesce=_limit(request.max_quiesce) if move else None,
    )
    try:
        await context.call(call)
    except AgentError as problem:
        smapi = problem.problem.smapi
        if smapi is None:
            raise
        numbers = [word for text in context.calls[-1].text for word in text.split() if word.isdecimal()]
        said = "; ".join(f"{number} ({_REASONS[number]})" if number in _REASONS else number for number in numbers)
        detail = f"{request.userid} cannot move to {request.destination}: {problem.problem.detail}"
        raise AgentError(
            409, "not-relocatable", f"{detail}{'; CP messages ' + said if said else ''}", smapi=smapi,
            remedy="remove what the messages name, or force the check that the operation may force",
        ) from problem  # fmt: skip


def _limit(seconds: int) -> str | None:
    return None if seconds == 0 else "NOLIMIT" if seconds < 0 else str(seconds)


async def _observe(context: Context, request: RelocateGuest, lost: AgentError) -> None:
    """The answer to MOVE was lost: wait until the guest is elsewhere, or nothing moves any more."""
    userid = request.userid
    deadline = time.monotonic() + (request.max_total if request.max_total > 0 else _LONGEST)
    context.report(0.5, f"the answer was lost; watching {userid}")
    while True:
        if await context.power(userid) is PowerState.ELSEWHERE:
            return
        query = f.VMRELOCATEStatus(target=userid, status_target=f"USER {userid}")
        answer = await context.call(query, allow=(_NOTHING_MOVES,))
        if answer.rc and await context.power(userid) is not PowerState.ELSEWHERE:
            raise lost
        if time.monotonic() > deadline:
            raise AgentError(504, "still-moving", f"{userid} is still on its way", remedy="look again later") from lost
        await asyncio.sleep(_POLL)


async def _authorize(context: Context, request: RelocateGuest) -> bool:
    """Let the agent of the new place command the guest, as long as this one can still be heard."""
    if not request.authorize:
        return False
    command = f"echo -n {request.authorize} > /etc/iucv_authorized_userid"
    answer = await context.guest(request.userid, command)
    return answer is not None and answer.rc == 0
