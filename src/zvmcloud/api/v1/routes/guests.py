"""Guests: the list, one with what z/VM knows of it, its console, a command inside."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from zvmcloud.api.v1.context import Member, Operator, Reader, TheNode
from zvmcloud.api.v1.models import Guest
from zvmcloud.api.v1.paging import Cursor, Limit, Page, TaggedInTime, key_of, page
from zvmcloud.manager import tables
from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.listing import Listing, begins
from zvmcloud.manager.node import Node
from zvmcloud.manager.storage import following

router = APIRouter(tags=["guests"])

GUESTS = Listing(tables.guests, ("system", "userid"), time="created")


class GuestFacts(Guest):
    """A guest with what z/VM says of it now. ``entry``: its directory entry, passwords masked."""

    power_state: str
    vcpus: int
    max_cpus: int
    memory_mb: int
    max_memory_mb: int
    ipl: str
    entry: list[str]
    disks: list[dict[str, object]]
    nics: list[dict[str, object]]


class Console(BaseModel):
    text: str


class Blocker(BaseModel):
    """What stands against a move: the number of CP's message, what mends it, and the check that ``force`` leaves out
    (empty when none does)."""

    number: str
    what: str
    mend: str
    force: str


class RelocationCheck(BaseModel):
    """Whether a guest could move now."""

    possible: bool
    blockers: list[Blocker]


class Usage(BaseModel):
    """What a guest has used since its logon; all zero for one that is off."""

    cpu_seconds: float
    elapsed_seconds: float
    memory_used_kb: int
    memory_max_kb: int


class CommandRequest(BaseModel):
    """A command for the guest's agent, which runs it as root."""

    model_config = ConfigDict(extra="forbid")

    command: str = Field(min_length=1, max_length=4096)


class CommandAnswer(BaseModel):
    rc: int
    output: str


class GuestChange(BaseModel):
    """What the manager keeps of a guest. ``tags`` replaces all tags."""

    model_config = ConfigDict(extra="forbid")

    tags: dict[str, str] | None = Field(default=None, max_length=64)
    project: str | None = None


@router.get("/guests")
async def guests(
    node: TheNode,
    caller: Reader,
    narrowed: TaggedInTime,
    system: str = "",
    userid: Annotated[str, Query(max_length=10, description="begins with this")] = "",
    project: str = "",
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Page[Guest]:
    """The guests this manager owns, of the caller's projects, by system and userid; with ``since`` and ``until`` those
    made then."""
    rows = await GUESTS.rows(
        node.core.database,
        caller,
        after=key_of(cursor, str, str),
        limit=limit,
        equal={"system": node.core.system(system) if system else "", "project": project},
        where=begins(tables.guests.c.userid, userid),
        narrowed=narrowed,
    )
    return page(rows, limit, Guest.of, GUESTS.key)


@router.get("/guests/{system}/{userid}")
async def guest(node: TheNode, caller: Reader, system: str, userid: str) -> GuestFacts:
    """One guest."""
    row = await _owned(node, caller, system, userid, Role.READER)
    facts = await node.guests.facts(row.system, row.userid)
    disks = [dict(disk.items()) for disk in facts.documents("disks")]
    nics = [dict(nic.items()) for nic in facts.documents("nics")]
    return GuestFacts(
        **row.model_dump(),
        vcpus=facts.number("vcpus"),
        max_cpus=facts.number("max_cpus"),
        memory_mb=facts.number("memory_mb"),
        max_memory_mb=facts.number("max_memory_mb"),
        power_state=facts.text("power_state"),
        ipl=facts.text("ipl"),
        entry=list(facts.texts("entry")),
        disks=disks,
        nics=nics,
    )


@router.patch("/guests/{system}/{userid}")
async def change(node: TheNode, caller: Member, system: str, userid: str, body: GuestChange) -> Guest:
    """Set a guest's tags; an operator may give it to another project."""
    row = await _owned(node, caller, system, userid, Role.MEMBER)
    if body.project is not None and body.project != row.project:
        caller.needs(Role.OPERATOR)
        await node.accounts.project(body.project)
    await node.guests.describe(caller, row.system, row.userid, tags=body.tags, project=body.project)
    return await _owned(node, caller, system, userid, Role.READER)


@router.get("/guests/{system}/{userid}/console")
async def console(
    node: TheNode,
    caller: Reader,
    system: str,
    userid: str,
    kb: Annotated[int, Query(ge=1, le=8192, description="KiB from the end")] = 100,
) -> Console:
    """What the guest wrote to its console."""
    row = await _owned(node, caller, system, userid, Role.READER)
    return Console(text=await node.guests.console(row.system, row.userid, kb))


@router.get("/guests/{system}/{userid}/relocation", name="guest.relocation")
async def relocation(
    node: TheNode,
    caller: Reader,
    system: str,
    userid: str,
    destination: Annotated[str, Query(min_length=1, max_length=8, description="member of the SSI cluster")],
    force: Annotated[str, Query(max_length=40, description="checks to leave out, with commas")] = "",
) -> RelocationCheck:
    """Whether a guest could move to another member, and what stands against it."""
    row = await _owned(node, caller, system, userid, Role.READER)
    answer = await node.guests.relocation(row.system, row.userid, destination.upper(), force)
    blockers = [
        Blocker(number=item.text("number"), what=item.text("what"), mend=item.text("mend"), force=item.text("force"))
        for item in answer.documents("blockers")
    ]
    volumes = await following.against(node.core, row.system, row.userid, destination.upper())
    if volumes:
        mend = "have the cluster share the pool, or detach them"
        blockers.append(Blocker(number="", what=volumes, mend=mend, force=""))
    return RelocationCheck(possible=answer.flag("possible") and not volumes, blockers=blockers)


@router.get("/guests/{system}/{userid}/usage", name="guest.usage")
async def usage(node: TheNode, caller: Reader, system: str, userid: str) -> Usage:
    """Processor time and memory of a guest, asked of z/VM now."""
    row = await _owned(node, caller, system, userid, Role.READER)
    found = await node.hosts.usage(row.system, row.userid)
    return Usage(
        cpu_seconds=found.number("cpu_time_us") / 1e6,
        elapsed_seconds=found.number("elapsed_us") / 1e6,
        memory_used_kb=found.number("memory_used_kb"),
        memory_max_kb=found.number("memory_max_kb"),
    )


@router.post("/guests/{system}/{userid}/command")
async def command(node: TheNode, caller: Operator, system: str, userid: str, body: CommandRequest) -> CommandAnswer:
    """Run a command inside the guest, as root, through its agent. The audit has its length, its SHA-256 and its return
    code, not its words: they may hold passwords."""
    row = await _owned(node, caller, system, userid, Role.OPERATOR)
    words = body.command.encode()
    told: dict[str, object] = {"bytes": len(words), "sha256": hashlib.sha256(words).hexdigest()}

    async def note(result: str, **more: object) -> None:
        subject = f"{row.system}/{row.userid}"
        await node.audit.note(
            caller, "guest.command", subject, project=row.project, result=result, detail={**told, **more}
        )

    await note("begun")
    try:
        answer = await node.guests.command(row.system, row.userid, body.command)
    except ManagerError as error:
        await note("failed", code=error.code)
        raise
    rc = answer.number("rc")
    await note("done", rc=rc)
    return CommandAnswer(rc=rc, output=answer.text("output"))


async def _owned(node: Node, caller: Caller, system: str, userid: str, role: Role) -> Guest:
    """The guest's row, if the caller has ``role`` in its project."""
    row = await node.core.owned(node.core.system(system), userid)
    caller.enters(row["project"], role, f"guest {row['userid']}")
    return Guest.of(row)
