"""Plans: what a change would do, shown before it runs, and then run exactly so.

A plan is rehearsed by the agent when it is shown: for each step the SMAPI calls, CP commands and directory
statements. It remembers what it was made from, as digests: directory entries, adapters, VSWITCHes, volumes. To apply
it, all of that is looked at again and the plan is rehearsed again: when something has changed, has come or has gone,
or the calls would be others (a disk pool is full, a guest is on), nothing is done. The agent compares the entries once
more, while it holds them (``expect_entries``). A plan can be applied once, within a day.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from zvmcloud.manager.errors import AgentFailure, Conflict, NotFound
from zvmcloud.manager.facts import documents
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.jobs.plan import JobRecord, Json, Plan, Step
from zvmcloud.manager.jobs.remote import check
from zvmcloud.manager.operations import Operation, Prepared, Target
from zvmcloud.manager.rehearsals import Rehearsed, digest, rehearse
from zvmcloud.manager.tables import plans
from zvmcloud.zhcp.expected import ABSENT, entry_digest
from zvmcloud.zhcp.expected import NAME as EXPECT

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node

KEPT = 86400.0
"""Seconds for which a plan can be applied."""


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """A plan that was shown. ``entries`` maps userids to the digests of their entries, ``seen`` what else it was made
    from to digests; ``rehearsal`` has what each step would do, in order; ``job`` is set once applied."""

    id: str
    operation: str
    project: str
    actor: str
    created: float
    expires: float
    plan: Plan
    entries: Mapping[str, str]
    job: str | None
    seen: Mapping[str, str] = field(default_factory=dict)
    rehearsal: tuple[Rehearsed, ...] = ()


class Plans:
    """Makes, keeps, applies and runs plans."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._core = node.core

    async def run(
        self, operation: Operation, caller: Caller, target: Target, parameters: object, *, origin: str, job: str = ""
    ) -> JobRecord:
        """Make the plan and start it as a job; returns the job as it begins. With the id of a job that was begun
        already, that job. Raises what the operation's planning raises."""
        if job:
            try:
                return await self._core.journal.get(job)
            except NotFound:
                pass
        prepared = await self._prepare(operation, caller, target, parameters)
        return await self._begin(prepared.plan, prepared.files, origin, job or new_job())

    async def make(self, operation: Operation, caller: Caller, target: Target, parameters: object) -> KeptPlan:
        """Make the plan, keep it with its files, and change nothing."""
        prepared = await self._prepare(operation, caller, target, parameters)
        plan = prepared.plan
        userids = dict.fromkeys(userid for userid in (plan.userid, *prepared.entries) if userid)
        entries = {userid: await self._entry(plan.system, userid) for userid in userids}
        plan = _expecting(plan, entries)
        names = (*(f"nics {userid}" for userid in userids), *prepared.seen)
        now = time.time()
        kept = KeptPlan(
            id=str(uuid.uuid4()),
            operation=operation.name,
            project=prepared.project,
            actor=caller.user,
            created=now,
            expires=now + KEPT,
            plan=plan,
            entries=entries,
            job=None,
            seen={name: await digest(self._node, plan.system, name) for name in dict.fromkeys(names)},
        )
        try:
            for name, data in prepared.files.items():
                await asyncio.to_thread(self._core.materials.store, kept.id, name, data)
            kept = dataclasses.replace(kept, rehearsal=await rehearse(self._core, kept.id, plan))
        except BaseException:
            await self._core.materials.discard(kept.id)
            raise
        async with self._core.database.write() as connection:
            await connection.execute(sa.insert(plans), _row(kept))
        return kept

    async def get(self, caller: Caller, plan: str) -> KeptPlan:
        """Raises NotFound (plan-unknown)."""
        async with self._core.database.read() as connection:
            row = (await connection.execute(sa.select(plans).where(plans.c.id == plan))).mappings().one_or_none()
        if row is None or caller.role_in(row["project"]) is None:
            raise NotFound(f"no plan has the id {plan!r}", code="plan-unknown", subject=plan)
        return _kept(row)

    async def apply(self, caller: Caller, plan: str, *, origin: str) -> JobRecord:
        """Run exactly the plan that was shown; the job has the plan's id.

        Raises NotFound (plan-unknown), NotAllowed (role), Conflict (plan-applied, plan-expired, plan-stale).
        """
        kept = await self.get(caller, plan)
        caller.enters(kept.project, Role.MEMBER, f"plan {plan}")
        await self._still_true(kept)
        async with self._core.database.write() as connection:
            taken = await connection.execute(
                sa.update(plans).where(plans.c.id == plan, plans.c.job.is_(None)).values(job=plan)
            )
            if not taken.rowcount:
                raise Conflict(f"plan {plan} was applied already", code="plan-applied", remedy=f"see job {plan}")
        return await self._begin(kept.plan, {}, origin, kept.id)

    async def expire(self) -> None:
        """Forget plans that nobody applied in time, with their files."""
        old = sa.and_(plans.c.expires < time.time(), plans.c.job.is_(None))
        async with self._core.database.read() as connection:
            found = tuple((await connection.execute(sa.select(plans.c.id).where(old))).scalars())
        for plan in found:
            await self._core.materials.discard(plan)
        async with self._core.database.write() as connection:
            await connection.execute(sa.delete(plans).where(plans.c.id.in_(found)))

    async def _prepare(self, operation: Operation, caller: Caller, target: Target, parameters: object) -> Prepared:
        caller.needs(operation.role)
        target = Target(self._core.system(target.system), target.userid.upper(), target.item)
        prepared = await operation.prepare(self._node, caller, target, parameters)
        plan = dataclasses.replace(prepared.plan, durable=True, project=prepared.project)
        check(plan)
        await self._node.quotas.check(prepared.project, prepared.uses)
        return dataclasses.replace(prepared, plan=plan)

    async def _begin(self, plan: Plan, files: Mapping[str, bytes], origin: str, job: str) -> JobRecord:
        async with self._core.exclusive(plan.system, plan.userid):
            other = await self._core.journal.changing(plan.system, plan.userid) if plan.userid else None
            if other is not None:
                raise Conflict(
                    f"guest {plan.userid} is being changed by job {other}",
                    code="guest-busy",
                    remedy="wait for that job to end, or cancel it",
                    subject=plan.userid,
                )
            await self._core.begin(plan, origin, job, files)
        return await self._core.journal.get(job)

    async def _still_true(self, kept: KeptPlan) -> None:
        if kept.job is not None:
            raise Conflict(f"plan {kept.id} was applied already", code="plan-applied", remedy=f"see job {kept.job}")
        if kept.expires < time.time():
            raise Conflict(f"plan {kept.id} has expired", code="plan-expired", remedy="make a new plan")
        for userid, shown_digest in kept.entries.items():
            now = await self._entry(kept.plan.system, userid)
            if now != shown_digest:
                what = "has gone" if now == ABSENT else "has come" if shown_digest == ABSENT else "has changed"
                raise _stale(kept, f"the directory entry of {userid} {what}", userid)

        for name, looked_at in kept.seen.items():
            if await digest(self._node, kept.plan.system, name) != looked_at:
                raise _stale(kept, f"{name} has changed", name)
        try:
            again = await rehearse(self._core, kept.id, kept.plan)
        except AgentFailure as error:
            raise _stale(kept, error.detail, error.subject) from error
        for step, shown, now_shown in zip(kept.plan.steps, kept.rehearsal, again, strict=True):
            if shown != now_shown:
                raise _stale(kept, f"{step.title}: it would take other calls", step.name)

    async def _entry(self, system: str, userid: str) -> str:
        """The digest of a directory entry as it is now."""
        try:
            facts = await self._node.guests.facts(system, userid)
        except NotFound:
            return ABSENT
        return entry_digest(facts.texts("entry"))


def _stale(kept: KeptPlan, why: str, subject: str) -> Conflict:
    return Conflict(
        f"since plan {kept.id} was made: {why}; nothing was done",
        code="plan-stale",
        remedy="make a new plan and look at it",
        subject=subject,
    )


def _expecting(plan: Plan, entries: Mapping[str, str]) -> Plan:
    """The plan whose first step for each entry is refused by the agent when the entry is another one by then."""
    left = dict(entries)
    steps = []
    for step in plan.steps:
        names = {str(step.parameters.get(word) or "") for word in ("userid", "source_userid")}
        mine = {} if step.local else {name: left.pop(name) for name in sorted(names & set(left))}
        steps.append(dataclasses.replace(step, parameters={**step.parameters, EXPECT: mine}) if mine else step)
    return dataclasses.replace(plan, steps=tuple(steps))


def _row(kept: KeptPlan) -> dict[str, object]:
    document = {
        **dataclasses.asdict(kept.plan),
        "seen": dict(kept.seen),
        "rehearsal": [dataclasses.asdict(item) for item in kept.rehearsal],
    }
    return {
        "id": kept.id,
        "operation": kept.operation,
        "project": kept.project,
        "actor": kept.actor,
        "created": kept.created,
        "expires": kept.expires,
        "plan": json.loads(json.dumps(document)),
        "entries": dict(kept.entries),
    }


def _kept(row: sa.RowMapping) -> KeptPlan:
    document: dict[str, Json] = dict(row["plan"])
    seen = document.pop("seen", {})
    told = document.pop("rehearsal", [])
    steps = tuple(Step(**step) for step in row["plan"]["steps"])
    plan = Plan(**{**document, "steps": steps})  # type: ignore[arg-type]  # as `_row` wrote it
    return KeptPlan(
        id=row["id"],
        operation=row["operation"],
        project=row["project"],
        actor=row["actor"],
        created=row["created"],
        expires=row["expires"],
        plan=plan,
        entries=row["entries"],
        job=row["job"],
        seen=seen if isinstance(seen, Mapping) else {},
        rehearsal=tuple(Rehearsed.of(item) for item in documents(told)) or tuple(Rehearsed() for _ in steps),
    )
