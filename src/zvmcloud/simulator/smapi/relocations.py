"""SSI clusters and live guest relocation.

VMRELOCATE MOVE is answered when the move has ended, as the CP command is synchronous and clients allow it 15 minutes.
Recorded: 4/3000 and 8/3010 with message numbers, 0/0 of a move, of attributes, 4/3001. Judgement: a move of a guest to
the member on which it is already is done without doing anything (0/0).
"""

from __future__ import annotations

import time

from zvmcloud.simulator import eligibility, relocation
from zvmcloud.simulator.cluster import Cluster
from zvmcloud.simulator.errors import CpRefused, Refused
from zvmcloud.simulator.model_cluster import Relocation
from zvmcloud.simulator.smapi.registry import Call, Done, Pending, handles
from zvmcloud.smapi import functions as f

NOT_MEMBER = (4, 3008)
NO_CLUSTER = (8, 3008)
TEST_FAILED = (4, 3000)
MOVE_FAILED = (8, 3000)
MODIFY_FAILED = (8, 3010)
NOTHING_ACTIVE = (4, 3001)
UNKNOWN_KEY, BAD_VALUE, KEY_MISSING = (8, 3002), (8, 3003), (8, 3004)
NOT_LOGGED_ON = (8, 12)
_LONGEST = 99_999_999


def _numbers(refused: CpRefused) -> tuple[str, ...]:
    """The message numbers of a refusal, as the error record has them: divided by blanks."""
    numbers = refused.numbers if isinstance(refused, relocation.NotRelocatable) else (refused.number,)
    return (" ".join(str(number) for number in numbers),)


def _limit(text: str | None, default: float | None) -> float | None:
    """Seconds, or None for NOLIMIT. Refused 8/3003. An empty value, which a client sends by mistake, is no value."""
    if not text:
        return default
    if text.upper() == "NOLIMIT":
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= _LONGEST):
        raise Refused(*BAD_VALUE)
    return float(text)


@handles(f.SSIQuery, authority="clients")
def ssi_query(call: Call, _request: f.SSIQuery) -> Done:
    cluster = call.system.cluster
    if cluster is None:
        raise Refused(*NOT_MEMBER)
    facts = cluster.facts
    return Done(
        f.SSIQueryReply(
            ssi_name=facts.name,
            ssi_mode=cluster.mode,
            cross_system_timeouts="Enabled" if facts.timeouts else "Disabled",
            ssi_pdr=f"{facts.pdr_volume}_on_{facts.pdr_rdev}",
            ssi_info_array=tuple(_member(cluster, slot, name) for slot, name in enumerate(facts.members, 1)),
        )
    )


def _member(cluster: Cluster, slot: int, name: str) -> str:
    beat = time.strftime("%m/%d/%Y_%H:%M:%S", time.gmtime(cluster.heartbeat(name)))
    return f"{slot} {name} {cluster.member_states[name].state} {beat} {beat}"


@handles(f.VMRELOCATE, authority="recorded")
def vmrelocate(call: Call, request: f.VMRELOCATE) -> Done:
    action = (request.action or "TEST").upper()
    userid = request.target.upper()
    if action == "CANCEL":
        try:
            relocation.cancel(call.system, userid)
        except CpRefused as refused:
            raise Refused(*MOVE_FAILED, _numbers(refused)) from refused
        return Done()
    if not request.destination:
        raise Refused(*KEY_MISSING)
    force = tuple((request.force or "").upper().split())
    if any(word not in eligibility.FORCES for word in force):
        raise Refused(*BAD_VALUE)
    immediate = (request.immediate or "NO").upper() == "YES"
    max_total = _limit(request.max_total, None)
    max_quiesce = _limit(request.max_quiesce, None if immediate else relocation.DEFAULT_QUIESCE)
    if action == "TEST":
        try:
            relocation.check(call.system, userid, request.destination, force)
        except CpRefused as refused:
            raise Refused(*TEST_FAILED, _numbers(refused)) from refused
        return Done()
    where = call.system.where(userid)
    if where is not None and where.cluster is not None and where.name == request.destination.upper():
        return Done()
    pending = Pending()

    def ended(end: tuple[CpRefused | None, Relocation]) -> None:
        refusal = end[0]
        pending.finish(Done() if refusal is None else Refused(*MOVE_FAILED, _numbers(refusal)))

    try:
        relocation.begin(
            call.system,
            userid,
            request.destination,
            call.userid,
            force=force,
            immediate=immediate,
            max_total=max_total,
            max_quiesce=max_quiesce,
            watcher=ended,
        )
    except CpRefused as refused:
        raise Refused(*MOVE_FAILED, _numbers(refused)) from refused
    return Done(pending=pending)


@handles(f.VMRELOCATEStatus, authority="recorded")
def vmrelocate_status(call: Call, request: f.VMRELOCATEStatus) -> Done:
    cluster = call.system.cluster
    moves = cluster.relocations.values() if cluster is not None else []
    words = (request.status_target or "ALL").upper().split()
    if words[:1] == ["USER"] and len(words) == 2:
        moves = [move for move in moves if move.userid == words[1]]
    elif words == ["INCOMING"]:
        moves = [move for move in moves if move.destination == call.system.name]
    elif words == ["OUTGOING"]:
        moves = [move for move in moves if move.source == call.system.name]
    elif words != ["ALL"]:
        raise Refused(*BAD_VALUE)
    if cluster is None or not moves:
        raise Refused(*NOTHING_ACTIVE)
    return Done(f.VMRELOCATEStatusReply(VMRELOCATE_status_array=tuple(_line(cluster, move) for move in moves)))


def _line(cluster: Cluster, move: Relocation) -> str:
    elapsed = time.strftime("%H:%M:%S", time.gmtime(cluster.now() - move.started))
    # A record is read word by word, so that a status of several words is one with underscores (as in SSI_Query).
    status = relocation.status(cluster, move).replace(" ", "_")
    return f"{move.userid} {move.source} {move.destination} {move.issuer} {elapsed} {status}"


@handles(f.VMRELOCATEModify, authority="recorded")
def vmrelocate_modify(call: Call, request: f.VMRELOCATEModify) -> Done:
    limits = {
        name: _limit(text, None)
        for name, text in (("max_total", request.max_total), ("max_quiesce", request.max_quiesce))
        if text
    }
    if not limits:
        raise Refused(*KEY_MISSING)
    try:
        relocation.modify(call.system, request.target.upper(), **limits)
    except CpRefused as refused:
        raise Refused(*MODIFY_FAILED, _numbers(refused)) from refused
    return Done()


@handles(f.VMRELOCATEImageAttributes, authority="recorded")
def vmrelocate_image_attributes(call: Call, request: f.VMRELOCATEImageAttributes) -> Done:
    if call.system.cluster is None:
        raise Refused(*NO_CLUSTER)
    userid = request.target.upper()
    if call.system.where(userid) is None:
        raise Refused(*NOT_LOGGED_ON)
    try:
        relocation.set_attributes(
            call.system,
            userid,
            allowed=request.relocation_setting.upper() == "ON",
            domain=request.domain_name.upper() if request.domain_name else None,
            force=(request.archforce or "NO").upper() == "YES",
        )
    except CpRefused as refused:
        raise Refused(8, refused.number) from refused
    return Done()
