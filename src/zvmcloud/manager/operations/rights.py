"""Who may have a job cancelled, retried or undone, or a plan applied: asked anew each time, of what it is about now.

A job lies in the project, and was begun with the role, of whom it was done for. Since then its guests may have been
given to another project, and who asks now may hold a smaller role. So the caller needs, for the job and for each of its
children, what the operation itself needs: its role, in the project of the job and in the projects that its guests are
in now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.jobs.plan import JobRecord, Step
from zvmcloud.manager.operations.declare import OPERATIONS
from zvmcloud.manager.tables import guests

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node

_NAMING = ("userid", "source_userid")
"""The parameters of a step that name guests."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to run: a job or a plan (``what``) of an operation (``kind``), and what it is about."""

    what: str
    kind: str
    project: str
    system: str
    userid: str
    steps: Sequence[Step]


async def changeable(node: Node, caller: Caller, job: str) -> None:
    """The caller may cancel, retry and undo the job. Raises NotFound (job-unknown, or what the caller does not see),
    NotAllowed (role)."""
    await must_be_allowed(node, caller, [_asked(record) for record in await node.journal.family(job)])


async def must_be_allowed(node: Node, caller: Caller, wanted: Iterable[Asked]) -> None:
    """The caller may do all that. Raises NotFound (what the caller does not see), NotAllowed (role)."""
    needed: dict[tuple[str, str], Role] = {}
    for one in wanted:
        role = OPERATIONS[one.kind].role if one.kind in OPERATIONS else Role.MEMBER
        caller.enters(one.project, Role.READER, one.what)
        caller.needs(role)
        caller.enters(one.project, role, one.what)
        needed |= {guest: role for guest in _guests(one) if role.covers(needed.get(guest, Role.READER))}
    if not needed:
        return
    query = sa.select(guests.c.system, guests.c.userid, guests.c.project)
    query = query.where(guests.c.userid.in_(sorted({userid for _, userid in needed})))
    async with node.core.database.read() as connection:
        rows = (await connection.execute(query)).all()
    for system, userid, project in rows:
        if (system, userid) in needed:
            caller.enters(project, needed[system, userid], f"guest {userid}")


def _asked(record: JobRecord) -> Asked:
    steps = [item.step for item in record.steps]
    return Asked(f"job {record.id}", record.kind, record.project, record.system, record.userid, steps)


def _guests(one: Asked) -> set[tuple[str, str]]:
    """The guests that it is about, by system and userid."""
    named = {(one.system, one.userid)}
    for step in one.steps:
        told = {word: str(step.parameters.get(word) or "") for word in (*_NAMING, "to")}
        named |= {(step.system or one.system, told[word]) for word in _NAMING}
        if step.kind == "reader.transfer":
            named.add((one.system, told["to"]))
        if step.kind == "manager.guest_moved":
            named.add((told["to"], told["userid"]))
    return {(system, userid) for system, userid in named if userid}
