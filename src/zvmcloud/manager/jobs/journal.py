"""The journal of jobs: what was planned, what runs, what each call answered. The only module that writes the job
tables.

Every change is also published to the watchers of the job in this process; a watcher in another process reads the
tables.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa

from zvmcloud.manager import borders
from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.errors import Conflict, JobCancelled
from zvmcloud.manager.events import log as events
from zvmcloud.manager.identity import audit
from zvmcloud.manager.identity.acting import actor
from zvmcloud.manager.identity.quotas import kept
from zvmcloud.manager.identity.roles import SYSTEM
from zvmcloud.manager.jobs.log import note, skeleton
from zvmcloud.manager.jobs.overtaken import guest_at, must_be_same
from zvmcloud.manager.jobs.plan import FINAL, JobRecord, Json, Outcome, Plan, StepRecord
from zvmcloud.manager.jobs.reading import JournalReader, not_busy
from zvmcloud.manager.jobs.rows import call_rows, how, row_of, step_rows
from zvmcloud.manager.jobs.turns import Turns
from zvmcloud.manager.membership import Membership
from zvmcloud.manager.prepared import Prepared
from zvmcloud.manager.protected import Protected
from zvmcloud.manager.tables import calls, job_steps, jobs

_PROGRESS_INTERVAL = 0.5
"""Seconds between two progress figures of a step in the database; watchers see every one."""


_NEW_JOB, _NEW_STEPS, _NEW_CALLS = (Prepared(sa.insert(table)) for table in (jobs, job_steps, calls))
_END_OF_STEP = Prepared(
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
    .returning(jobs.c.kind, jobs.c.system, jobs.c.userid, jobs.c.project, jobs.c.created, jobs.c.cancel)
)
_END = Prepared(_END_OF_JOB)
_SERVICE_MACHINES = Protected()
_END_IF = Prepared(_END_OF_JOB.where(jobs.c.state == sa.bindparam("only")))


def _project(plan: Plan) -> str:
    """Whom a plan is done for."""
    return plan.project or actor().project or "default"


def _subject(system: str, userid: str) -> str:
    return f"{system}/{userid}" if userid else system


async def _told(connection: Connection, kind: str, system: str, userid: str, project: str, job: str) -> None:
    """An event about a job."""
    await events.append(connection, kind, system=system, subject=userid, project=project, job=job)


def new_job() -> str:
    """An id for a job whose files must be in place before it begins."""
    return str(uuid.uuid4())


class Journal(JournalReader):
    """Reads and writes jobs. A manager's name and epoch are stamped on every job that it begins or goes on with.
    A job that is over leaves its place in the ``turns``. ``protected``: userids that no job is about."""

    def __init__(
        self,
        database: Database,
        membership: Membership,
        turns: Turns,
        protected: Protected = _SERVICE_MACHINES,
    ) -> None:
        super().__init__(database, membership)
        self._turns = turns
        self._protected = protected
        self._progress_written: dict[tuple[str, int], float] = {}
        self._said: dict[tuple[str, int], set[str]] = {}
        self.ends: dict[str, tuple[int, float]] = {}
        """Of the jobs that this manager ended since its start, by kind: how many, and the seconds they took."""
        self._changed: dict[str, set[str]] = {}
        self._changes = (0.0, 0.0)
        """When the first and the last of these changes ended, by the monotonic clock."""

    async def begin(
        self,
        plan: Plan,
        origin: str = "",
        job: str = "",
        children: Sequence[tuple[str, Plan]] = (),
        also: Callable[[Connection], Awaitable[None]] | None = None,
        counted: Callable[[Connection], Awaitable[Mapping[str, int]]] | None = None,
    ) -> str:
        """Write the whole plan; returns the job's id (``job`` or a new one). Inline jobs start as running, durable
        ones as pending. The audit tells who began it, and at its end how it ended. ``children``: jobs, with their
        ids, that a step of this one runs. ``also``: what is written in the same transaction; when it raises, nothing
        begins. ``counted``: what the plan uses besides, counted in that transaction.

        Raises Conflict (guest-busy) when a durable job is changing the guest, or that of a child, Conflict
        (guest-protected), NotFound or NotAllowed for what is another project's (borders), QuotaExceeded (quota), and
        nothing is begun.
        """
        job = job or new_job()
        using = {_project(one) for one in (plan, *(child for _, child in children)) if one.uses}
        if counted is not None:
            using.add(_project(plan))
        async with self.database.write() as connection, kept(connection, using):
            if counted is not None:
                plan = replace(plan, uses={**plan.uses, **await counted(connection)})
            for one in (plan, *(child for _, child in children)):
                await borders.check(connection, actor(), one.system, one.steps)
                if one.userid:
                    self._protected.check(one)
                    await not_busy(connection, one.system, one.userid)
            await self._begin(connection, plan, origin, job)
            for child, its_plan in children:
                await self._begin(connection, its_plan, origin, child, job)
            if also is not None:
                await also(connection)
        return job

    async def _begin(
        self, connection: Connection, plan: Plan, origin: str, job: str, parent: str | None = None
    ) -> None:
        caller, project = actor(), _project(plan)
        guest = await guest_at(connection, plan.system, plan.userid)
        row = row_of(job, plan, project=project, actor=caller.user, origin=origin, parent=parent, guest=guest)
        await connection.run(_NEW_JOB, {**row, "node": self.node, "epoch": self.epoch})
        await connection.run(_NEW_STEPS, step_rows(job, plan))
        subject = _subject(plan.system, plan.userid)
        await audit.append(connection, caller, plan.kind, subject, project=project, job=job, result="begun")
        await _told(connection, f"job.{row['state']}", plan.system, plan.userid, project, job)

    async def again(self, record: JobRecord, *, backwards: bool, children: Sequence[JobRecord] = ()) -> None:
        """A job that is over is run again, as a durable one: from its first step that is not done, or backwards.
        ``children``: those of its own that it runs again then; they go on with it, or are undone by it one by one.

        Raises Conflict (job-state, guest-busy, job-overtaken), QuotaExceeded (quota), NotFound or NotAllowed for what
        is another project's by now (borders).
        """
        whole = (record, *children)
        using = set() if backwards else {one.project for one in whole}
        async with self.database.write() as connection, kept(connection, using):
            for one in whole:
                if not backwards:
                    await borders.check(connection, actor(), one.system, [item.step for item in one.steps])
                if one.userid:
                    await not_busy(connection, one.system, one.userid)
            await must_be_same(connection, whole, backwards=backwards)
            for child in children if not backwards else ():
                await self._again(connection, child, backwards=False)
            await self._again(connection, record, backwards=backwards)
        self._notify(record.id)

    async def _again(self, connection: Connection, record: JobRecord, *, backwards: bool) -> None:
        steps = sa.update(job_steps).where(job_steps.c.job_id == record.id, job_steps.c.state != "done")
        fresh = {"state": "pending", "progress": 0.0, "detail": "", "attempts": 0, "started": None, "finished": None}
        job = {"state": "pending", "durable": True, "cancel": False, "finished": None, "error": None}
        changed = await connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == record.id, jobs.c.state == record.state, jobs.c.run == record.run)
            .values(**job, node=self.node, epoch=self.epoch, run=record.run + 1, backwards=backwards)
        )
        if not changed.rowcount:
            raise Conflict(f"job {record.id} has changed just now", code="job-state", job=record.id)
        if not backwards:
            await connection.execute(steps.values(**fresh, result=None, error=None))
        action, caller = "job.undo" if backwards else "job.retry", actor()
        subject = _subject(record.system, record.userid)
        await audit.append(connection, caller, action, subject, project=record.project, job=record.id, result="begun")
        await note(connection, record.id, ("", f"{'undone' if backwards else 'retried'} by {caller.user}"))

    async def started(self, job: str, number: int, *, heeds: bool = True) -> bool:
        """A step begins (again): counts the attempt and stamps this manager's epoch on the job. False, and nothing is
        changed, when the job is over, or cancelled and the step ``heeds`` that."""
        wanted = (~jobs.c.cancel,) if heeds else ()
        async with self.database.write() as connection:
            open_job = await connection.execute(
                sa.update(jobs)
                .where(jobs.c.id == job, jobs.c.state.not_in(FINAL), *wanted)
                .values(state="running", node=self.node, epoch=self.epoch)
            )
            if not open_job.rowcount:
                return False
            begun = await connection.execute(
                sa.update(job_steps)
                .where(job_steps.c.job_id == job, job_steps.c.number == number)
                .values(
                    state="running",
                    attempts=job_steps.c.attempts + 1,
                    started=sa.func.coalesce(job_steps.c.started, time.time()),
                    error=sa.null(),
                )
                .returning(job_steps.c.name, job_steps.c.title, job_steps.c.attempts)
            )
            name, title, attempts = begun.one()
            await note(connection, job, (name, title if attempts == 1 else f"{title}: goes on"))
        self._notify(job)
        return True

    async def progress(self, job: str, step: StepRecord, fraction: float, detail: str) -> None:
        """A running step's figure, 0 to 1. Written at most twice a second; watchers get every change. What it says for
        the first time, numbers aside, is a line of the log."""
        number = step.number
        key = (job, number)
        if self._live.get(key) == (fraction, detail):
            return
        self._live[key] = (fraction, detail)
        told, said = self._said.setdefault(key, set()), skeleton(detail)
        new = bool(said) and said not in told
        now = time.monotonic()
        if new or now - self._progress_written.get(key, 0.0) >= _PROGRESS_INTERVAL:
            self._progress_written[key] = now
            async with self.database.write() as connection:
                if new:
                    told.add(said)
                    await note(connection, job, (step.step.name, detail))
                await connection.execute(
                    sa.update(job_steps)
                    .where(job_steps.c.job_id == job, job_steps.c.number == number, job_steps.c.state == "running")
                    .values(progress=fraction, detail=detail[:255])
                )
        self._notify(job)

    async def ended(
        self,
        connection: Connection,
        job: str,
        outcomes: Sequence[tuple[int, Outcome]],
        *,
        step: str = "",
        last: bool = False,
    ) -> None:
        """The ends of steps (number, outcome) with the calls they made, inside the caller's transaction; call
        :meth:`published` after the commit. ``step``: the name of a step whose end is a line of the log; ``last``: the
        same transaction ends the job, and with it the turn."""
        now = time.time()
        await connection.run(
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
        if not last:
            await self._turns.end(connection, job)
        if step:
            told = [f"{found.state}{how(found)}" for _, found in outcomes]
            await note(connection, job, *((step, line) for line in told))

    async def undone(self, job: str, step: StepRecord, outcome: Outcome) -> None:
        """A finished step was taken back (or that failed: the detail says so)."""
        number = step.number
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
            await self._turns.end(connection, job)
            await note(connection, job, (step.step.name, detail))
        self._turns.freed(job)
        self._notify(job)

    async def finish(
        self,
        connection: Connection,
        job: str,
        state: str,
        error: Mapping[str, Json] | None = None,
        *,
        only: str = "",
        heeds: bool = False,
    ) -> bool:
        """The job's final state, inside the caller's transaction; call :meth:`published` after the commit. ``only``:
        when it is in that state now. Whether it was changed. ``heeds``: raises JobCancelled, so that nothing of the
        transaction counts, when the job is cancelled by now."""
        values = {"the_job": job, "state": state, "finished": time.time(), "error": error}
        found = await (connection.run(_END_IF, {**values, "only": only}) if only else connection.run(_END, values))
        if not found:
            self._turns.forget(job)
            return False
        kind, system, userid, project, created, cancel = found[0]
        if heeds and cancel:
            raise JobCancelled("the job was cancelled", job=job)
        count, seconds = self.ends.get(kind, (0, 0.0))
        self.ends[kind] = (count + 1, seconds + max(time.time() - created, 0.0))
        await self._turns.leave(connection, job)
        subject, code = _subject(system, userid), error.get("code") if error is not None else None
        told = {"code": code} if code else None
        await audit.append(connection, SYSTEM, kind, subject, project=project, job=job, result=state, detail=told)
        await _told(connection, f"job.{state}", system, userid, project, job)
        if userid:
            now = time.monotonic()
            self._changes = (self._changes[0] if self._changed else now, now)
            self._changed.setdefault(system, set()).add(userid)
        return True

    def changed(self, system: str) -> frozenset[str]:
        """The guests of a system that :meth:`take_changed` would tell."""
        return frozenset(self._changed.get(system, ()))

    def changes(self) -> tuple[float, float]:
        """How many seconds ago the first and the last of the jobs ended that :meth:`take_changed` would tell of."""
        now = time.monotonic()
        return (now - self._changes[0], now - self._changes[1]) if self._changed else (0.0, 0.0)

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
            await note(connection, job, ("", "the agent does not answer; the job waits for it"))
        self._notify(job)

    async def continued(self, job: str) -> None:
        """The zHCP of an interrupted job answers again."""
        async with self.database.write() as connection:
            await connection.execute(
                sa.update(jobs).where(jobs.c.id == job, jobs.c.state == "interrupted").values(state="running")
            )
            await note(connection, job, ("", "the agent answers again"))
        self._notify(job)

    async def request_cancel(self, job: str) -> JobRecord:
        """Set the job's cancel flag; steps not begun will not begin. Raises NotFound (job-unknown)."""
        async with self.database.write() as connection:
            asked = await connection.execute(
                sa.update(jobs)
                .where(jobs.c.id == job, jobs.c.state.not_in(FINAL), ~jobs.c.cancel)
                .values(cancel=True)
                .returning(jobs.c.system, jobs.c.userid, jobs.c.project)
            )
            for system, userid, project in asked:
                caller, subject = actor(), _subject(system, userid)
                await audit.append(connection, caller, "job.cancel", subject, project=project, job=job, result="begun")
                await note(connection, job, ("", f"cancelled by {caller.user}"))
        self._notify(job)
        return await self.get(job)

    def published(self, job: str) -> None:
        """Wake the job's watchers; to be called after a commit."""
        for key in [key for key in self._live if key[0] == job]:
            self._live.pop(key, None)
            self._said.pop(key, None)
            self._progress_written.pop(key, None)
        self._turns.freed(job)
        self._notify(job)

    async def _write_calls(self, connection: Connection, job: str, outcomes: Sequence[tuple[int, Outcome]]) -> None:
        rows = [row for number, outcome in outcomes for row in call_rows(job, number, outcome)]
        if rows:
            await connection.run(_NEW_CALLS, rows)
