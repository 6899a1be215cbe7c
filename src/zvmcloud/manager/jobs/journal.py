"""The journal of jobs: what was planned, what runs, what each call answered. The only module that writes the job
tables.

Every change is also published to the watchers of the job in this process; a watcher in another process reads the
tables.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

import sqlalchemy as sa

from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.errors import Conflict, NotFound
from zvmcloud.manager.events import log as events
from zvmcloud.manager.identity import audit
from zvmcloud.manager.identity.acting import actor
from zvmcloud.manager.identity.roles import SYSTEM
from zvmcloud.manager.jobs.plan import FINAL, OPEN, Call, JobRecord, Json, Outcome, Plan
from zvmcloud.manager.jobs.rows import call_of, call_rows, job_of, row_of, step_of, step_rows
from zvmcloud.manager.jobs.turns import end_turn, leave, waiting_for
from zvmcloud.manager.membership import Membership
from zvmcloud.manager.tables import calls, job_steps, jobs

_PROGRESS_INTERVAL = 0.5
"""Seconds between two progress figures of a step in the database; watchers see every one."""


_NEW_JOB, _NEW_STEPS, _NEW_CALLS = sa.insert(jobs), sa.insert(job_steps), sa.insert(calls)
_END_OF_STEP = (
    sa.update(job_steps)
    .where(job_steps.c.job_id == sa.bindparam("the_job"), job_steps.c.number == sa.bindparam("the_number"))
    .values(
        state=sa.bindparam("state"),
        progress=sa.bindparam("progress"),
        detail=sa.bindparam("detail"),
        finished=sa.bindparam("finished"),
        started=sa.func.coalesce(job_steps.c.started, sa.bindparam("finished")),
        attempts=sa.case((job_steps.c.attempts == 0, 1), else_=job_steps.c.attempts),
        result=sa.bindparam("result"),
        error=sa.bindparam("error"),
    )
)
_END_OF_JOB = (
    sa.update(jobs)
    .where(jobs.c.id == sa.bindparam("the_job"), jobs.c.state.not_in(FINAL))
    .values(state=sa.bindparam("state"), finished=sa.bindparam("finished"), error=sa.bindparam("error"))
    .returning(jobs.c.kind, jobs.c.system, jobs.c.userid, jobs.c.project)
)


def _subject(system: str, userid: str) -> str:
    return f"{system}/{userid}" if userid else system


async def _told(connection: Connection, kind: str, system: str, userid: str, project: str, job: str) -> None:
    """An event about a job."""
    await events.append(connection, kind, system=system, subject=userid, project=project, job=job)


def new_job() -> str:
    """An id for a job whose files must be in place before it begins."""
    return str(uuid.uuid4())


class Journal:
    """Reads and writes jobs. A manager's name and epoch are stamped on every job that it begins or goes on with.
    ``freed`` is told when a job may have let its turn at a system go."""

    def __init__(self, database: Database, membership: Membership, freed: Callable[[], None] = lambda: None) -> None:
        self.database = database
        self.membership = membership
        self._freed = freed
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._progress_written: dict[tuple[str, int], float] = {}
        self._live: dict[tuple[str, int], tuple[float, str]] = {}
        self._changed: dict[str, set[str]] = {}

    @property
    def node(self) -> str:
        return self.membership.node

    @property
    def epoch(self) -> int:
        return self.membership.epoch

    async def begin(self, plan: Plan, origin: str = "", job: str = "") -> str:
        """Write the whole plan; returns the job's id (``job`` or a new one). Inline jobs start as running, durable
        ones as pending. The audit tells who began it, and at its end how it ended."""
        job = job or new_job()
        caller = actor()
        project = plan.project or caller.project or "default"
        async with self.database.write() as connection:
            row = row_of(job, plan, project=project, actor=caller.user, origin=origin)
            await connection.execute(_NEW_JOB, {**row, "node": self.node, "epoch": self.epoch})
            await connection.execute(_NEW_STEPS, step_rows(job, plan))
            subject = _subject(plan.system, plan.userid)
            await audit.append(connection, caller, plan.kind, subject, project=project, job=job, result="begun")
            await _told(connection, f"job.{row['state']}", plan.system, plan.userid, project, job)
        return job

    async def again(self, record: JobRecord, *, backwards: bool) -> None:
        """A job that is over is run again, as a durable one: from its first step that is not done, or backwards.

        Raises Conflict (job-state) when somebody else was faster.
        """
        steps = sa.update(job_steps).where(job_steps.c.job_id == record.id, job_steps.c.state != "done")
        fresh = {"state": "pending", "progress": 0.0, "detail": "", "attempts": 0, "started": None, "finished": None}
        job = {"state": "pending", "durable": True, "cancel": False, "finished": None, "error": None}
        async with self.database.write() as connection:
            changed = await connection.execute(
                sa.update(jobs)
                .where(jobs.c.id == record.id, jobs.c.state == record.state, jobs.c.run == record.run)
                .values(**job, node=self.node, epoch=self.epoch, run=record.run + 1, backwards=backwards)
            )
            if not changed.rowcount:
                raise Conflict(f"job {record.id} has changed just now", code="job-state", job=record.id)
            if not backwards:
                await connection.execute(steps.values(**fresh, result=None, error=None))
            await audit.append(
                connection,
                actor(),
                "job.undo" if backwards else "job.retry",
                _subject(record.system, record.userid),
                project=record.project,
                job=record.id,
                result="begun",
            )
        self._notify(record.id)

    async def started(self, job: str, number: int) -> bool:
        """A step begins (again): counts the attempt and stamps this manager's epoch on the job. False, and nothing is
        changed, when the job is over."""
        async with self.database.write() as connection:
            open_job = await connection.execute(
                sa.update(jobs)
                .where(jobs.c.id == job, jobs.c.state.not_in(FINAL))
                .values(state="running", node=self.node, epoch=self.epoch)
            )
            if not open_job.rowcount:
                return False
            await connection.execute(
                sa.update(job_steps)
                .where(job_steps.c.job_id == job, job_steps.c.number == number)
                .values(
                    state="running",
                    attempts=job_steps.c.attempts + 1,
                    started=sa.func.coalesce(job_steps.c.started, time.time()),
                    error=sa.null(),
                )
            )
        self._notify(job)
        return True

    async def progress(self, job: str, number: int, fraction: float, detail: str) -> None:
        """A running step's figure, 0 to 1. Written at most twice a second; watchers get every change."""
        key = (job, number)
        if self._live.get(key) == (fraction, detail):
            return
        self._live[key] = (fraction, detail)
        now = time.monotonic()
        if now - self._progress_written.get(key, 0.0) >= _PROGRESS_INTERVAL:
            self._progress_written[key] = now
            async with self.database.write() as connection:
                await connection.execute(
                    sa.update(job_steps)
                    .where(job_steps.c.job_id == job, job_steps.c.number == number, job_steps.c.state == "running")
                    .values(progress=fraction, detail=detail[:255])
                )
        self._notify(job)

    async def ended(self, connection: Connection, job: str, outcomes: Sequence[tuple[int, Outcome]]) -> None:
        """The ends of steps (number, outcome) with the calls they made, inside the caller's transaction; call
        :meth:`published` after the commit."""
        now = time.time()
        await connection.execute(
            _END_OF_STEP,
            [
                {
                    "the_job": job,
                    "the_number": number,
                    "state": outcome.state,
                    "progress": 1.0 if outcome.state == "done" else outcome.progress,
                    "detail": outcome.detail[:255],
                    "finished": now,
                    "result": outcome.result,
                    "error": outcome.error,
                }
                for number, outcome in outcomes
            ],
        )
        await self._write_calls(connection, job, outcomes)
        await end_turn(connection, job)

    async def undone(self, job: str, number: int, outcome: Outcome) -> None:
        """A finished step was taken back (or that failed: the detail says so)."""
        async with self.database.write() as connection:
            state, detail = (
                ("undone", "undone") if outcome.state == "done" else ("done", f"undo failed: {outcome.detail}")
            )
            await connection.execute(
                sa.update(job_steps)
                .where(job_steps.c.job_id == job, job_steps.c.number == number)
                .values(state=state, detail=detail[:255])
            )
            await self._write_calls(connection, job, [(number, outcome)])
            await end_turn(connection, job)
        self._freed()
        self._notify(job)

    async def finish(
        self,
        connection: Connection,
        job: str,
        state: str,
        error: Mapping[str, Json] | None = None,
        *,
        only: str = "",
    ) -> bool:
        """The job's final state, inside the caller's transaction; call :meth:`published` after the commit. ``only``:
        when it is in that state now. Whether it was changed."""
        query = _END_OF_JOB.where(jobs.c.state == only) if only else _END_OF_JOB
        row = (
            await connection.execute(query, {"the_job": job, "state": state, "finished": time.time(), "error": error})
        ).first()
        if row is None:
            return False
        await leave(connection, job)
        subject, code = _subject(row.system, row.userid), error.get("code") if error is not None else None
        told = {"code": code} if code else None
        await audit.append(
            connection, SYSTEM, row.kind, subject, project=row.project, job=job, result=state, detail=told
        )
        await _told(connection, f"job.{state}", row.system, row.userid, row.project, job)
        if row.userid:
            self._changed.setdefault(row.system, set()).add(row.userid)
        return True

    def changed(self, system: str) -> frozenset[str]:
        """The guests of a system that :meth:`take_changed` would tell."""
        return frozenset(self._changed.get(system, ()))

    def take_changed(self) -> dict[str, set[str]]:
        """The guests, by system, of the jobs that this manager ended since the last call. Kept in memory: after a
        restart each system is looked at as a whole when that is due."""
        changed, self._changed = self._changed, {}
        return changed

    async def interrupt(self, job: str) -> None:
        """It is not known what the zHCP did with the running step; recovery will ask it."""
        async with self.database.write() as connection:
            await connection.execute(
                sa.update(jobs).where(jobs.c.id == job, jobs.c.state == "running").values(state="interrupted")
            )
        self._notify(job)

    async def continued(self, job: str) -> None:
        """The zHCP of an interrupted job answers again."""
        async with self.database.write() as connection:
            await connection.execute(
                sa.update(jobs).where(jobs.c.id == job, jobs.c.state == "interrupted").values(state="running")
            )
        self._notify(job)

    async def request_cancel(self, job: str) -> JobRecord:
        """Set the job's cancel flag; steps not begun will not begin. Raises NotFound (job-unknown)."""
        async with self.database.write() as connection:
            await connection.execute(
                sa.update(jobs).where(jobs.c.id == job, jobs.c.state.not_in(FINAL)).values(cancel=True)
            )
        self._notify(job)
        return await self.get(job)

    def published(self, job: str) -> None:
        """Wake the job's watchers; to be called after a commit."""
        for key in [key for key in self._live if key[0] == job]:
            self._live.pop(key, None)
            self._progress_written.pop(key, None)
        self._freed()
        self._notify(job)

    async def get(self, job: str, *, with_calls: bool = True) -> JobRecord:
        """One job with its steps. Raises NotFound (job-unknown)."""
        async with self.database.read() as connection:
            row = (await connection.execute(sa.select(jobs).where(jobs.c.id == job))).mappings().one_or_none()
            if row is None:
                raise NotFound(f"no job has the id {job!r}", code="job-unknown", subject=job)
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
            if with_calls:
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
        )

    async def unfinished(self, *, durable: bool, states: Iterable[str] = OPEN) -> tuple[str, ...]:
        """Ids of this node's jobs that are not over, oldest first."""
        query = (
            sa.select(jobs.c.id)
            .where(jobs.c.state.in_(tuple(states)), jobs.c.durable == durable, jobs.c.node == self.node)
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

    async def changes_guest(self, system: str, userid: str, kind: str) -> str | None:
        """The id of a job of that kind for the guest that is not over, if there is one."""
        query = (
            sa.select(jobs.c.id)
            .where(jobs.c.system == system, jobs.c.userid == userid, jobs.c.kind == kind, jobs.c.state.not_in(FINAL))
            .limit(1)
        )
        async with self.database.read() as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def uses_image(self, sha256: str) -> str | None:
        """The id of a job that is not over and reads that image, if there is one."""
        query = sa.select(jobs.c.id).where(jobs.c.image_sha256 == sha256, jobs.c.state.not_in(FINAL)).limit(1)
        async with self.database.read() as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def watch(self, job: str, *, interval: float = 1.0) -> AsyncIterator[JobRecord]:
        """The job now, and again after every change, until it is over. ``interval`` bounds the delay of changes
        elsewhere."""
        event = asyncio.Event()
        self._watchers.setdefault(job, set()).add(event)
        try:
            while True:
                event.clear()
                record = await self.get(job)
                yield record
                if record.over:
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), interval)
        finally:
            waiting = self._watchers.get(job, set())
            waiting.discard(event)
            if not waiting:
                self._watchers.pop(job, None)

    def _notify(self, job: str) -> None:
        for event in self._watchers.get(job, ()):
            event.set()

    async def _write_calls(self, connection: Connection, job: str, outcomes: Sequence[tuple[int, Outcome]]) -> None:
        rows = [row for number, outcome in outcomes for row in call_rows(job, number, outcome)]
        if rows:
            await connection.execute(_NEW_CALLS, rows)
