"""Plans: what a change would do, shown before it runs, and then run exactly so.

A plan that is kept remembers the directory entries it was made from, as digests. To apply it, they are looked at again:
when one has changed, has come or has gone, nothing is done. A plan can be applied once, within a day.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from zvmcloud.manager.errors import Conflict, NotFound
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.jobs.plan import JobRecord, Json, Plan, Step
from zvmcloud.manager.jobs.remote import check
from zvmcloud.manager.operations import Operation, Prepared, Target
from zvmcloud.manager.tables import plans

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node

KEPT = 86400.0
"""Seconds for which a plan can be applied."""
ABSENT = "absent"
"""The digest of an entry that is not there."""


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """A plan that was shown. ``entries`` maps userids to the digests of their entries; ``job`` is set once applied."""

    id: str
    operation: str
    project: str
    actor: str
    created: float
    expires: float
    plan: Plan
    entries: Mapping[str, str]
    job: str | None


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
        now = time.time()
        kept = KeptPlan(
            id=str(uuid.uuid4()),
            operation=operation.name,
            project=prepared.project,
            actor=caller.user,
            created=now,
            expires=now + KEPT,
            plan=plan,
            entries={userid: await self._entry(plan.system, userid) for userid in userids},
            job=None,
        )
        for name, data in prepared.files.items():
            await asyncio.to_thread(self._core.materials.store, kept.id, name, data)
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
        target = Target(self._core.system(target.system), target.userid.upper())
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
        for userid, digest in kept.entries.items():
            now = await self._entry(kept.plan.system, userid)
            if now != digest:
                what = "has gone" if now == ABSENT else "has come" if digest == ABSENT else "has changed"
                raise Conflict(
                    f"the directory entry of {userid} {what} since the plan was made; nothing was done",
                    code="plan-stale",
                    remedy="make a new plan and look at it",
                    subject=userid,
                )

    async def _entry(self, system: str, userid: str) -> str:
        """The digest of a directory entry as it is now."""
        try:
            facts = await self._node.guests.facts(system, userid)
        except NotFound:
            return ABSENT
        return hashlib.sha256("\n".join(facts.texts("entry")).encode()).hexdigest()


def _row(kept: KeptPlan) -> dict[str, object]:
    document = dataclasses.asdict(kept.plan)
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
    )
