"""Plans: what a change would do, shown before it runs, and then run exactly so.

A plan is rehearsed by the agent when it is shown: for each step the SMAPI calls, CP commands and directory
statements. It remembers what it was made from, as digests: directory entries, adapters, VSWITCHes, volumes. To apply
it, all of that is looked at again and the plan is rehearsed again: when something has changed, has come or has gone,
or the calls would be others (a disk pool is full, a guest is on), nothing is done. The agent compares the entries once
more, while it holds them (``expect_entries``). A plan can be applied once, within a day.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from zvmcloud.manager import borders
from zvmcloud.manager.core import NewChild
from zvmcloud.manager.errors import AgentFailure, Conflict, NotFound
from zvmcloud.manager.facts import documents
from zvmcloud.manager.gathering import gathered
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.jobs.plan import JobRecord, Json, Plan, Step
from zvmcloud.manager.jobs.remote import check
from zvmcloud.manager.operations import Operation, Prepared, Target
from zvmcloud.manager.operations.rights import Asked, must_be_allowed
from zvmcloud.manager.rehearsals import Rehearsed, digest, rehearse
from zvmcloud.manager.storage import claims
from zvmcloud.manager.tables import jobs, plans
from zvmcloud.zhcp.expected import ABSENT, entry_digest
from zvmcloud.zhcp.expected import NAME as EXPECT

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node

KEPT = 86400.0
"""Seconds for which a plan can be applied."""
_TRIES = 8
"""Times that a change is planned anew because another took what it had chosen."""


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
    parent: str = ""
    children: tuple[KeptPlan, ...] = ()


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
        for last in (*[False] * _TRIES, True):
            prepared = await self._prepare(operation, caller, target, parameters)
            children = [NewChild(new_job(), child.plan, child.files) for child in prepared.children]
            try:
                return await self._begin(prepared.plan, prepared.files, origin, job or new_job(), children)
            except claims.Overtaken:
                if last:
                    raise
        raise AssertionError("the last try returns or raises")

    async def make(self, operation: Operation, caller: Caller, target: Target, parameters: object) -> KeptPlan:
        """Make the plan, keep it with its files, and change nothing."""
        prepared = await self._prepare(operation, caller, target, parameters)
        kept = await self._seen(operation.name, caller, prepared)
        kept = dataclasses.replace(
            kept,
            children=await gathered(self._seen(child.plan.kind, caller, child) for child in prepared.children),
        )
        plans_with_files = zip((kept, *kept.children), (prepared, *prepared.children), strict=True)
        try:
            for one, what in plans_with_files:
                for name, data in what.files.items():
                    await asyncio.to_thread(self._core.materials.store, one.id, name, data)
            kept = await self._rehearsed(kept)
        except BaseException:
            for one in (kept, *kept.children):
                await self._core.materials.discard(one.id)
            raise
        async with self._core.database.write() as connection:
            rows = [_row(one, parent) for one, parent in ((kept, None), *((child, kept.id) for child in kept.children))]
            await connection.execute(sa.insert(plans), rows)
        return kept

    async def _seen(self, name: str, caller: Caller, prepared: Prepared) -> KeptPlan:
        """The plan with what it was made from."""
        plan = prepared.plan
        userids = dict.fromkeys(userid for userid in (plan.userid, *prepared.entries) if userid)
        entries = {userid: await self._entry(plan.system, userid) for userid in userids}
        names = (*(f"nics {userid}" for userid in userids), *prepared.seen)
        now = time.time()
        return KeptPlan(
            id=str(uuid.uuid4()),
            operation=name,
            project=prepared.project,
            actor=caller.user,
            created=now,
            expires=now + KEPT,
            plan=_expecting(plan, entries),
            entries=entries,
            job=None,
            seen={name: await digest(self._node, plan.system, name) for name in dict.fromkeys(names)},
        )

    async def _rehearsed(self, kept: KeptPlan) -> KeptPlan:
        """The plan with what it would do now; of its children those of one system in turn, each after those before it,
        so that they find room together. Raises AgentFailure, AgentUnreachable."""
        told = dict(await rehearse(self._core, [(one.id, one.plan) for one in (kept, *kept.children)]))
        children = tuple(dataclasses.replace(child, rehearsal=told[child.id]) for child in kept.children)
        return dataclasses.replace(kept, rehearsal=told[kept.id], children=children)

    async def get(self, caller: Caller, plan: str) -> KeptPlan:
        """Raises NotFound (plan-unknown)."""
        query = sa.select(plans).where(sa.or_(plans.c.id == plan, plans.c.parent == plan))
        async with self._core.database.read() as connection:
            rows = (await connection.execute(query.order_by(plans.c.created, plans.c.id))).mappings().all()
        found = {row["id"]: _kept(row) for row in rows}
        kept = found.pop(plan, None)
        if kept is None or caller.role_in(kept.project) is None:
            raise NotFound(f"no plan has the id {plan!r}", code="plan-unknown", subject=plan)
        return dataclasses.replace(kept, children=tuple(found.values()))

    async def apply(self, caller: Caller, plan: str, *, origin: str) -> JobRecord:
        """Run exactly the plan that was shown; the job has the plan's id, and so have its children.

        Raises NotFound (plan-unknown), NotAllowed (role), Conflict (plan-applied, plan-expired, plan-stale,
        plan-child), QuotaExceeded (quota).
        """
        kept = await self.get(caller, plan)
        await must_be_allowed(self._node, caller, [_asked(one) for one in (kept, *kept.children)])
        if kept.parent:
            raise Conflict(
                f"plan {plan} is a part of plan {kept.parent}", code="plan-child", remedy=f"apply plan {kept.parent}"
            )
        await self._still_true(kept)
        async with self._core.exclusive("plan", plan):
            await self._not_applied(plan)
            children = [NewChild(one.id, one.plan) for one in kept.children]
            job = await self._begin(kept.plan, {}, origin, plan, children)
            ids = [one.id for one in (kept, *kept.children)]
            async with self._core.database.write() as connection:
                await connection.execute(sa.update(plans).where(plans.c.id.in_(ids)).values(job=plans.c.id))
        return job

    async def _not_applied(self, plan: str) -> None:
        """The job tells, and not the plan's row: a manager may have died between the two. Raises Conflict
        (plan-applied)."""
        with contextlib.suppress(NotFound):
            await self._core.journal.get(plan, with_calls=False)
            raise Conflict(f"plan {plan} was applied already", code="plan-applied", remedy=f"see job {plan}")

    async def expire(self) -> None:
        """Forget plans that can be applied no more, with the files of those that nobody applied in time."""
        query = sa.select(plans.c.id, jobs.c.id.label("job")).outerjoin(jobs, jobs.c.id == plans.c.id)
        async with self._core.database.read() as connection:
            found = (await connection.execute(query.where(plans.c.expires < time.time()))).all()
        for row in found:
            if row.job is None:
                await self._core.materials.discard(row.id)
        async with self._core.database.write() as connection:
            await connection.execute(sa.delete(plans).where(plans.c.id.in_([row.id for row in found])))

    async def _prepare(self, operation: Operation, caller: Caller, target: Target, parameters: object) -> Prepared:
        caller.needs(operation.role)
        system = self._core.system(target.system) if "{system}" in operation.path else ""
        target = Target(system, target.userid.upper(), target.item)
        prepared = _durable(await operation.prepare(self._node, caller, target, parameters))
        prepared = dataclasses.replace(prepared, children=tuple(_durable(child) for child in prepared.children))
        async with self._core.database.read() as connection:
            for one in (prepared, *prepared.children):
                check(one.plan)
                await borders.check(connection, caller, one.plan.system, one.plan.steps)
        await self._node.quotas.check(prepared.project, prepared.uses)
        return prepared

    async def _begin(
        self, plan: Plan, files: Mapping[str, bytes], origin: str, job: str, children: Sequence[NewChild] = ()
    ) -> JobRecord:
        begun = ((job, plan), *((child.job, child.plan) for child in children))
        folder = self._core.materials.folder
        await self._core.begin(
            plan, origin, job, files, children, also=lambda connection: claims.take(connection, begun, folder)
        )
        return await self._core.journal.get(job)

    async def _still_true(self, kept: KeptPlan) -> None:
        await self._not_applied(kept.id)
        if kept.expires < time.time():
            raise Conflict(f"plan {kept.id} has expired", code="plan-expired", remedy="make a new plan")
        whole = (kept, *kept.children)
        await gathered(self._same(kept.id, one) for one in whole)
        try:
            again = await self._rehearsed(kept)
        except AgentFailure as error:
            raise _stale(kept.id, error.detail, error.subject) from error
        for before, now in zip(whole, (again, *again.children), strict=True):
            for step, shown, now_shown in zip(before.plan.steps, before.rehearsal, now.rehearsal, strict=True):
                if shown != now_shown:
                    raise _stale(kept.id, f"{step.title}: it would take other calls", step.name)

    async def _same(self, plan: str, kept: KeptPlan) -> None:
        """Raises Conflict (plan-stale) when something that a plan, or a child of it, was made from has changed."""
        for userid, shown_digest in kept.entries.items():
            now = await self._entry(kept.plan.system, userid)
            if now != shown_digest:
                what = "has gone" if now == ABSENT else "has come" if shown_digest == ABSENT else "has changed"
                raise _stale(plan, f"the directory entry of {userid} {what}", userid)
        for name, looked_at in kept.seen.items():
            if await digest(self._node, kept.plan.system, name) != looked_at:
                raise _stale(plan, f"{name} has changed", name)

    async def _entry(self, system: str, userid: str) -> str:
        """The digest of a directory entry as it is now."""
        try:
            facts = await self._node.guests.facts(system, userid)
        except NotFound:
            return ABSENT
        return entry_digest(facts.texts("entry"))


def _asked(kept: KeptPlan) -> Asked:
    plan = kept.plan
    return Asked(f"plan {kept.id}", plan.kind, kept.project, plan.system, plan.userid, plan.steps)


def _durable(prepared: Prepared) -> Prepared:
    uses = {} if prepared.children else {name: more for name, more in dataclasses.asdict(prepared.uses).items() if more}
    plan = dataclasses.replace(prepared.plan, durable=True, project=prepared.project, uses=uses)
    return dataclasses.replace(prepared, plan=plan)


def _stale(plan: str, why: str, subject: str) -> Conflict:
    return Conflict(
        f"since plan {plan} was made: {why}; nothing was done",
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


def _row(kept: KeptPlan, parent: str | None) -> dict[str, object]:
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
        "parent": parent,
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
        parent=row["parent"] or "",
        seen=seen if isinstance(seen, Mapping) else {},
        rehearsal=tuple(Rehearsed.of(item) for item in documents(told)) or tuple(Rehearsed() for _ in steps),
    )
