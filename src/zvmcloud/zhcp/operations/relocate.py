"""guest.relocate: VMRELOCATE through SMAPI. What stands against a move is told in CP's message numbers."""

from __future__ import annotations

import asyncio
import time

from zvmcloud.cp.answers import PowerState
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import blockers, entries, queries
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.states import must_be_on
from zvmcloud.zhcp.resource_messages import RelocateGuest

_LONGEST = 900.0
"""Seconds that a move may take after its answer was lost (clients of the field allow as long for the call)."""
_POLL = 2.0
_NOTHING_MOVES = (4, 3001)
_IS_MOVING = "1924"
_FORCES = ("ARCHITECTURE", "DOMAIN", "STORAGE")


async def relocate(context: Context, request: RelocateGuest) -> dict[str, Json]:
    """A move that a crash cut off is found where it went."""
    userid, destination = request.userid, request.destination
    async with context.writing(userid):
        state = await context.power(userid)
        if not request.test and context.intended("move") and state is PowerState.ELSEWHERE:
            return {"userid": userid, "destination": destination, "moved": True, "authorized": False}
        await must_be_on(context, userid)
        if request.test:
            await _call(context, request, "TEST")
            return {"userid": userid, "destination": destination, "moved": False, "authorized": False}
        again = context.intended("move")
        await context.intend("move")
        context.report(0.05, f"moving {userid} to {destination}")
        try:
            await _call(context, request, "MOVE")
        except AgentError as problem:
            under_way = again and _is_moving(problem)
            if not under_way and (problem.problem.smapi is not None or problem.problem.status == 400):
                raise
            told = "it moves since before a crash" if under_way else "the answer was lost"
            context.report(0.5, f"{told}; watching {userid}")
            await _observe(context, request, problem)
    authorized = await _authorize(context, request)
    return {"userid": userid, "destination": destination, "moved": True, "authorized": authorized}


def _is_moving(refusal: AgentError) -> bool:
    """Whether z/VM refuses a move because the guest is being moved."""
    found = (refusal.problem.smapi or {}).get("blockers")
    return isinstance(found, list) and any(isinstance(row, dict) and row["number"] == _IS_MOVING for row in found)


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
        if problem.problem.smapi is None:
            raise
        raise await _not_relocatable(context, request, problem) from problem


async def _not_relocatable(context: Context, request: RelocateGuest, problem: AgentError) -> AgentError:
    """The problem that names each blocker and how to mend it; `smapi.blockers` has them one by one."""
    found = blockers.numbers(context.calls[-1].text)
    rows = blockers.explained(found, await entries.query(context, request.userid))
    said = "; ".join(_shown(row) for row in rows if isinstance(row, dict))
    mends = dict.fromkeys(str(row["mend"]) for row in rows if isinstance(row, dict))
    detail = f"{request.userid} cannot move to {request.destination}: {problem.problem.detail}"
    return AgentError(
        409, "not-relocatable", f"{detail}{'; CP messages ' + said if said else ''}",
        smapi={**(problem.problem.smapi or {}), "blockers": rows},
        remedy="; ".join(mends) or "see what z/VM said",
    )  # fmt: skip


def _shown(row: dict[str, Json]) -> str:
    statements = row["statements"]
    about = f": {', '.join(str(item) for item in statements)}" if isinstance(statements, list) and statements else ""
    return f"{row['number']} ({row['what']}{about})"


async def precheck(context: Context, userid: str, destination: str, force: str) -> dict[str, Json]:
    """GET /v1/guests/{userid}/relocation: whether the guest could go, and each thing that stands against it.

    It changes nothing, and answers for a guest that is off or elsewhere too. FieldError, AgentError 404.
    """
    request = RelocateGuest(
        userid=queries.checked_userid(userid),
        destination=queries.checked_name(destination, "destination"),
        test=True,
        force=tuple(word.upper() for word in force.split(",") if word),
    )
    for word in request.force:
        if word not in _FORCES:
            raise FieldError("force", word, f"of {', '.join(_FORCES)}, with commas")
    state = await context.power(request.userid)
    found: list[Json] = []
    if state is not PowerState.ON:
        await entries.must_exist(context, request.userid)
        mend = "ask the agent of its member" if state is PowerState.ELSEWHERE else "start the guest"
        found = [{"number": "", "what": f"it is {state}", "mend": mend, "force": "", "statements": []}]
    else:
        try:
            await _call(context, request, "TEST")
        except AgentError as problem:
            rows = (problem.problem.smapi or {}).get("blockers")
            if not isinstance(rows, list):
                raise
            unexplained: dict[str, Json] = {
                "number": "",
                "what": problem.problem.detail,
                "mend": problem.problem.remedy,
            }
            unexplained |= {"force": "", "statements": []}
            found = rows or [unexplained]
    return {
        "userid": request.userid,
        "destination": request.destination,
        "possible": not found,
        "blockers": found,
    }


def _limit(seconds: int) -> str | None:
    return None if seconds == 0 else "NOLIMIT" if seconds < 0 else str(seconds)


async def _observe(context: Context, request: RelocateGuest, lost: AgentError) -> None:
    """The answer to MOVE was lost, or was had by a run before a crash: wait until the guest is elsewhere, or nothing
    moves any more."""
    userid = request.userid
    deadline = time.monotonic() + (request.max_total if request.max_total > 0 else _LONGEST)
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
