"""The journal of jobs, read: one job, those that match, and what changes while somebody watches."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

import sqlalchemy as sa

from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.errors import JobCancelled, NotFound, guest_busy
from zvmcloud.manager.jobs.plan import FINAL, OPEN, Call, Child, JobRecord, StepRecord
from zvmcloud.manager.jobs.rows import call_of, job_of, step_of
from zvmcloud.manager.jobs.turns import waiting_for
from zvmcloud.manager.membership import Membership
from zvmcloud.manager.prepared import Prepared
from zvmcloud.manager.tables import calls, job_steps, jobs

TREE = "manager.tree"
"""The kind of the step that runs the children of its job."""


_CHANGING = Prepared(
    sa.select(jobs.c.id)
    .where(
        jobs.c.system == sa.bindparam("its_system"),
        jobs.c.userid == sa.bindparam("its_userid"),
        jobs.c.durable,
        jobs.c.state.not_in(FINAL),
    )
    .limit(sa.literal_column("1"))
)
_CANCELLED = Prepared(sa.select(jobs.c.id).where(jobs.c.id == sa.bindparam("the_job"), jobs.c.cancel))


async def not_busy(connection: Connection, system: str, userid: str) -> None:
    """Raises Conflict (guest-busy) while a durable job for the guest is not over."""
    if found := await connection.run(_CHANGING, {"its_system": system, "its_userid": userid}):
        raise guest_busy(userid, str(found[0][0]))


async def still_wanted(connection: Connection, job: str) -> None:
    """Raises JobCancelled when the job is cancelled, as the transaction sees it."""
    if await connection.run(_CANCELLED, {"the_job": job}):
        raise JobCancelled("the job was cancelled", job=job)


class JournalReader:
    """Reads jobs, and tells those who watch one."""

    def __init__(self, database: Database, membership: Membership) -> None:
        self.database = database
        self.membership = membership
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._live: dict[tuple[str, int], tuple[float, str]] = {}

    @property
    def node(self) -> str:
        return self.membership.node

    @property
    def epoch(self) -> int:
        return self.membership.epoch

    async def get(self, job: str, *, with_calls: bool = True) -> JobRecord:
        """One job with its steps. Raises NotFound (job-unknown)."""
        async with self.database.read() as connection:
            row = (await connection.execute(sa.select(jobs).where(jobs.c.id == job))).mappings().one_or_none()
            if row is None:
                raise _unknown(job)
            steps = (
                (
                    await connection.execute(
                        sa.select(job_steps).where(job_steps.c.job_id == job).order_by(job_steps.c.number)
                    )
                )
                .mappings()
                .all()
            )
            made: Sequence[sa.RowMapping] = ()
            waiting = ""
            children: dict[str, int] = {}
            if with_calls:
                if any(step["kind"] == TREE for step in steps):
                    count = sa.select(jobs.c.state, sa.func.count()).where(jobs.c.parent == job).group_by(jobs.c.state)
                    children = {state: int(number) for state, number in await connection.execute(count)}
                waiting = await waiting_for(connection, job) if row["state"] not in FINAL else ""
                made = (
                    (await connection.execute(sa.select(calls).where(calls.c.job_id == job).order_by(calls.c.id)))
                    .mappings()
                    .all()
                )
        by_step: dict[int, list[Call]] = {}
        for call in made:
            by_step.setdefault(call["step"], []).append(call_of(call))

        def live(number: int) -> tuple[float, str] | None:
            return (0.0, waiting) if waiting else self._live.get((job, number))

        return job_of(
            row,
            tuple(step_of(step, by_step.get(step["number"], ()), live(step["number"])) for step in steps),
            children,
        )

    async def cancelled(self, *asked: str) -> frozenset[str]:
        """Which of these jobs are to stop."""
        if not asked:
            return frozenset()
        query = sa.select(jobs.c.id).where(jobs.c.id.in_(asked), jobs.c.cancel)
        async with self.database.read() as connection:
            return frozenset((await connection.execute(query)).scalars())

    async def family(self, job: str) -> tuple[JobRecord, ...]:
        """A job, then its children in their order, all with their steps and without calls. Raises NotFound
        (job-unknown)."""
        kin = sa.or_(jobs.c.id == job, jobs.c.parent == job)
        members = sa.select(jobs).where(kin).order_by(jobs.c.id != job, jobs.c.created, jobs.c.id)
        parts = sa.select(job_steps).join(jobs, jobs.c.id == job_steps.c.job_id).where(kin).order_by(job_steps.c.number)
        async with self.database.read() as connection:
            rows = (await connection.execute(members)).mappings().all()
            steps = (await connection.execute(parts)).mappings().all()
        if not rows or rows[0]["id"] != job:
            raise _unknown(job)
        of: dict[str, list[StepRecord]] = {}
        for step in steps:
            of.setdefault(step["job_id"], []).append(step_of(step, (), None))
        return tuple(job_of(row, tuple(of.get(row["id"], ()))) for row in rows)

    async def children(self, job: str) -> tuple[Child, ...]:
        """The children of a job, in their order."""
        share = sa.func.avg(sa.case((job_steps.c.state == "done", 1.0), else_=job_steps.c.progress))
        columns = (jobs.c.id, jobs.c.title, jobs.c.system, jobs.c.userid, jobs.c.state, jobs.c.backwards, jobs.c.error)
        query = sa.select(*columns).where(jobs.c.parent == job).order_by(jobs.c.created, jobs.c.id)
        parts = (
            sa.select(job_steps.c.job_id, share)
            .join(jobs, jobs.c.id == job_steps.c.job_id)
            .where(jobs.c.parent == job)
            .group_by(job_steps.c.job_id)
        )
        async with self.database.read() as connection:
            rows = (await connection.execute(query)).all()
            progress = {name: float(value or 0) for name, value in await connection.execute(parts)}
        return tuple(
            Child(
                row.id, row.title, row.system, row.userid, row.state, bool(row.backwards), progress[row.id], row.error
            )
            for row in rows
        )

    async def unfinished(self, *, durable: bool, states: Iterable[str] = OPEN) -> tuple[str, ...]:
        """Ids of this node's jobs that are not over, oldest first; without those that their parent has yet to start."""
        parent = jobs.alias()
        waits = sa.exists().where(jobs.c.state == "pending", parent.c.id == jobs.c.parent, parent.c.state.not_in(FINAL))
        query = (
            sa.select(jobs.c.id)
            .where(jobs.c.state.in_(tuple(states)), jobs.c.durable == durable, jobs.c.node == self.node, ~waits)
            .order_by(jobs.c.created)
        )
        async with self.database.read() as connection:
            return tuple((await connection.execute(query)).scalars())

    async def failed_before(self, moment: float) -> tuple[str, ...]:
        """Ids of jobs that failed, or were cancelled, in the day before ``moment``."""
        query = sa.select(jobs.c.id).where(
            jobs.c.state.in_(("failed", "cancelled")), jobs.c.finished.between(moment - 86400, moment)
        )
        async with self.database.read() as connection:
            return tuple((await connection.execute(query)).scalars())

    async def changing(self, system: str, userid: str) -> str | None:
        """The id of a durable job for the guest that is not over, if there is one."""
        query = sa.select(jobs.c.id).where(
            jobs.c.system == system, jobs.c.userid == userid, jobs.c.durable, jobs.c.state.not_in(FINAL)
        )
        async with self.database.read() as connection:
            return (await connection.execute(query.limit(1))).scalar_one_or_none()

    async def uses_image(self, sha256: str) -> str | None:
        """The id of a job that is not over and reads that image, if there is one."""
        query = sa.select(jobs.c.id).where(jobs.c.image_sha256 == sha256, jobs.c.state.not_in(FINAL)).limit(1)
        async with self.database.read() as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def watch(self, job: str, *, interval: float = 1.0) -> AsyncIterator[JobRecord]:
        """The job now, and again after every change, until it is over. ``interval`` bounds the delay of changes
        elsewhere."""
        with self.listening([job]) as event:
            while True:
                event.clear()
                record = await self.get(job)
                yield record
                if record.over:
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), interval)

    @contextlib.contextmanager
    def listening(self, names: Sequence[str]) -> Iterator[asyncio.Event]:
        """An event that is set whenever something of these jobs changes in this process."""
        event = asyncio.Event()
        for job in names:
            self._watchers.setdefault(job, set()).add(event)
        try:
            yield event
        finally:
            for job in names:
                waiting = self._watchers.get(job, set())
                waiting.discard(event)
                if not waiting:
                    self._watchers.pop(job, None)

    def _notify(self, job: str) -> None:
        for event in self._watchers.get(job, ()):
            event.set()


def _unknown(job: str) -> NotFound:
    return NotFound(f"no job has the id {job!r}", code="job-unknown", subject=job)
