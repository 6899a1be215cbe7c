"""Runs the steps of jobs: on the agents (:mod:`.remote`), or in the manager's own database (:mod:`.local`).

A local step and the fact that it is done are one transaction.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import NoReturn

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from zvmcloud.manager.agents import Agents
from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import AgentUnreachable, JobCancelled, ManagerError, NotFound, Replaced, from_problem
from zvmcloud.manager.identity.acting import actor
from zvmcloud.manager.jobs.again import (
    FILES_KEPT,
    check_retry,
    check_undo,
    children_busy,
    keyed,
    needed_files,
    undo_parameters,
)
from zvmcloud.manager.jobs.journal import Journal, new_job
from zvmcloud.manager.jobs.local import LocalContext, run_local
from zvmcloud.manager.jobs.plan import JobRecord, Json, Outcome, Plan, Step, StepRecord, may_stop
from zvmcloud.manager.jobs.reading import still_wanted
from zvmcloud.manager.jobs.remote import Materials, Remote, check
from zvmcloud.manager.jobs.turns import Turns
from zvmcloud.manager.jobs.work import Works

log = logging.getLogger(__name__)

_CANCELLED: Mapping[str, Json] = {
    "status": 409,
    "code": "cancelled",
    "title": "Cancelled",
    "detail": "the job was cancelled",
    "retryable": True,
}
_NOT_UNDONE: Mapping[str, Json] = {
    "status": 409,
    "code": "not-undone",
    "title": "Conflict",
    "detail": "a step could not be taken back; its detail says why",
    "retryable": False,
}


class Runner:
    """Runs steps and writes the journal. One per manager."""

    def __init__(self, journal: Journal, agents: Agents, materials: Materials, turns: Turns) -> None:
        self.journal = journal
        self.materials = materials
        self.turns = turns
        self._remote = Remote(journal, agents, materials, turns)
        self.works = Works(journal)
        self._busy: set[str] = set()

    async def run(
        self,
        plan: Plan,
        origin: str = "",
        job: str = "",
        counted: Callable[[Connection], Awaitable[Mapping[str, int]]] | None = None,
    ) -> JobRecord:
        """Run an inline plan now. Returns the finished job; raises the error of the step that failed (with ``job``
        set). ``counted``: see Journal.begin."""
        check(plan)
        job = job or new_job()
        record, first = _fresh(job, plan, self.journal.epoch), plan.steps[0]
        self._busy.add(job)
        try:
            turn = (
                None
                if first.local or first.system
                else lambda connection: self.turns.ask(connection, record, first.kind)
            )
            await self.journal.begin(plan, origin, job, also=turn, counted=counted)
            return await self.resume(job, record)
        finally:
            self._busy.discard(job)
            self.turns.forget(job)
            if job_has_files(plan):
                await asyncio.shield(self._discard(job))

    async def _discard(self, job: str) -> None:
        """The files of a job that is over, or never began. One that was interrupted needs them when it goes on."""
        try:
            over = (await self.journal.get(job, with_calls=False)).over
        except NotFound:
            over = True
        if over:
            await self.materials.discard(job)

    async def resume(self, job: str, record: JobRecord | None = None) -> JobRecord:
        """Run (the rest of) an inline job; ``record``: as it has just begun. Steps already done are not repeated."""
        fresh = record is not None
        if record is None:
            record = await self.journal.get(job, with_calls=False)
        results: dict[str, Mapping[str, Json]] = {}
        waiting: list[tuple[int, Outcome]] = []
        last = len(record.steps) - 1
        for item in record.steps:
            if item.state == "done":
                results[item.step.name] = item.result or {}
                continue
            if item.step.local:
                try:
                    async with self.journal.database.write() as connection:
                        if (heeds := may_stop(record, item.number)) and item.number != last:
                            await still_wanted(connection, job)
                        result = await self._local(connection, record, item.step, results)
                        ended = (*waiting, (item.number, Outcome("done", 1.0, result=result)))
                        await self.journal.ended(connection, job, ended, last=item.number == last)
                        if item.number == last:
                            await self.journal.finish(connection, job, "done", heeds=heeds)
                except (ManagerError, SQLAlchemyError) as error:
                    await self._fail(record, item.number, _failed(error), waiting)
                waiting.clear()
                results[item.step.name] = result
                continue
            outcome = await self._remote.inline(_at(record, item.step.system), item, fresh=fresh)
            if outcome.state == "failed":
                await self._fail(record, item.number, outcome, waiting)
            results[item.step.name] = outcome.result or {}
            waiting.append((item.number, outcome))
        if waiting:
            async with self.journal.database.write() as connection:
                await self.journal.ended(connection, job, waiting, last=True)
                await self.journal.finish(connection, job, "done")
        self.journal.published(job)
        return replace(
            record,
            state="done",
            steps=tuple(replace(item, state="done", result=results.get(item.step.name)) for item in record.steps),
        )

    async def step(self, job: str, number: int) -> str:
        """Run one step of a durable job; returns done, failed or cancelled. Never raises a ManagerError but
        Replaced, and errors of a database that is away: then nobody knows yet."""
        record = await self.journal.get(job, with_calls=False)
        item = record.steps[number]
        if item.state == "done":
            return "done"
        # What was begun before a crash is asked for its end, and undone if it was done.
        stops = item.step.kind in self.works or may_stop(record, number)
        heeds = stops and item.state != "running"
        if record.cancel and heeds:
            return "cancelled"
        results = {other.step.name: other.result or {} for other in record.steps if other.state == "done"}
        if not await self.journal.started(job, number, heeds=heeds):
            return "cancelled"
        try:
            if item.step.local and item.step.kind not in self.works:
                async with self.journal.database.write() as connection:
                    if stops:
                        await still_wanted(connection, job)
                    result = await self._local(connection, record, item.step, results)
                    ended = [(number, Outcome("done", 1.0, result=result))]
                    await self.journal.ended(connection, job, ended, step=item.step.name)
                self.journal.published(job)
                return "done"

            async def progress(fraction: float, detail: str) -> None:
                try:
                    await self.journal.progress(job, item, fraction, detail)
                except SQLAlchemyError as error:  # the operation goes on, and its end is what matters
                    log.warning("job %s: progress cannot be written down: %s", job, error)

            if item.step.local:
                outcome = await self.works.run(record, item.step, results, progress)
            else:
                outcome = await self._remote.patiently(_at(record, item.step.system), _keyed(record, item), progress)
        except (ManagerError, SQLAlchemyError) as error:
            outcome = _ended_by(error)
        except Exception:
            log.exception("job %s: step %s failed", job, item.step.name)
            outcome = _mistake(job)
        async with self.journal.database.write() as connection:
            await self.journal.ended(connection, job, [(number, outcome)], step=item.step.name)
        self.journal.published(job)
        return outcome.state

    async def undo(self, job: str, number: int, *, patient: bool = True) -> None:
        """Take a finished step back, if it has an undo. A failure is journaled and does not stop the other undos.

        `patient`: wait for a z/VM system that does not answer, as durable jobs do; nobody waits for those.
        """
        record = await self.journal.get(job, with_calls=False)
        item = record.steps[number]
        stays = any(other.step.stays and other.state == "done" for other in record.steps[number:])
        if item.state != "done" or not item.step.undo_kind or (stays and not record.backwards):
            return
        there = _at(record, item.step.undo_system)
        try:
            backwards = Step(
                keyed(f"undo-{item.step.name}", record.run),
                f"undo: {item.step.title}",
                item.step.undo_kind,
                undo_parameters(item),
            )
            left = {other.step.name: other.result or {} for other in record.steps if other.state == "done"}
            if backwards.kind in self.works:
                outcome = await self.works.run(record, backwards, left, _unheard)
            elif backwards.local:
                async with self.journal.database.write() as connection:
                    await self._local(connection, record, backwards, left)
                outcome = Outcome("done", 1.0)
            elif patient:
                outcome = await self._remote.patiently(there, replace(item, step=backwards), backwards=True)
            else:
                outcome = await self._remote.once(there, replace(item, step=backwards))
        except (ManagerError, SQLAlchemyError) as error:
            outcome = _ended_by(error)
        except Exception:
            log.exception("job %s: undo of step %s failed", job, item.step.name)
            outcome = _mistake(job)
        if outcome.state != "done":
            outcome = replace(outcome, detail=str((outcome.error or {}).get("detail") or outcome.detail))
            log.warning("job %s: undo of step %s failed: %s", job, item.step.name, outcome.detail)
        await self.journal.undone(job, item, outcome)

    async def close(self, job: str, state: str, error: Mapping[str, Json] | None = None) -> None:
        """The final state of a durable job; the error is the given one or that of its failed step."""
        record = await self.journal.get(job, with_calls=False)
        failed = next((item for item in record.steps if item.state == "failed"), None)
        if state == "failed" and record.cancel:
            state = "cancelled"
        error = error or (failed.error if failed is not None else None)
        if state == "cancelled" and error is None:
            error = _CANCELLED
        if state == "undone" and any(item.state == "done" and item.step.undo_kind for item in record.steps):
            state, error = "failed", _NOT_UNDONE
        # Files first: who sees that the job is over need not wait for more. One that failed may be retried.
        await self.materials.keep_only(job, () if state in {"done", "undone"} else needed_files(record))
        async with self.journal.database.write() as connection:
            await self.journal.finish(connection, job, state, error)
        self.journal.published(job)

    async def cancel(self, job: str) -> JobRecord:
        """Ask a job and its children to stop: the running operation is told, steps not begun stay undone, finished ones
        are undone. It counts when this returns, also while the agent is away: that is told when it is back.

        A durable job that has not begun is over at once, whether the engine has it or not: it finds nothing to do.
        """
        record = await self.journal.request_cancel(job)
        if record.durable and record.state == "pending":
            async with self.journal.database.write() as connection:
                closed = await self.journal.finish(connection, job, "cancelled", _CANCELLED, only="pending")
            if closed:
                self.journal.published(job)
            record = await self.journal.get(job)
        self.works.cancel(job)
        self.turns.cancel(job)
        self._remote.cancels.cancel(job)
        for child in await self.journal.children(job) if record.children else ():
            if not child.over and not child.backwards:
                await self.cancel(child.id)
        return record

    async def leave(self) -> None:
        """Nobody waits for a turn any more, and no agent is told of a cancel."""
        await self._remote.cancels.close()
        await self.turns.close()

    async def again(self, job: str, *, backwards: bool, by_parent: bool = False) -> JobRecord:
        """Have a job that is over run again, from the step that failed or backwards; the engine is to be told. A child
        only when its parent is over, or wants it.

        Raises NotFound (job-unknown), Conflict (guest-busy, job-state, job-files-gone, job-not-undoable,
        job-overtaken).
        """
        record, *kin = await self.journal.family(job)
        if record.parent and not by_parent and not (await self.journal.get(record.parent, with_calls=False)).over:
            raise children_busy(record)
        again = [child for child in kin if (child.state == "done") is backwards]
        if backwards:
            for one in (record, *again):
                check_undo(one)
        else:
            await asyncio.to_thread(check_retry, record, again, self.materials.folder)
        await self.journal.again(record, backwards=backwards, children=again)
        return await self.journal.get(job)

    async def forget_files(self) -> None:
        """The files of jobs that failed more than a day ago: nobody retries them any more."""
        for job in await self.journal.failed_before(time.time() - FILES_KEPT):
            await self.materials.discard(job)

    async def recover(self) -> None:
        """Finish the inline jobs a dead manager left behind: the agent knows by key what became of each. What goes
        wrong with one job keeps no other from being finished."""
        away: set[str] = set()
        for job in await self.journal.unfinished(durable=False):
            if job in self._busy:
                continue
            try:
                system = (await self.journal.get(job, with_calls=False)).system
                if system in away:
                    continue
                await self._recover(job)
            except AgentUnreachable:
                away.add(system)
                await self.journal.interrupt(job)
            except Replaced:
                return
            except ManagerError as error:
                log.info("job %s: finished as failed after a restart: %s", job, error.detail)
            except Exception:
                log.exception("job %s cannot be finished now", job)

    async def _recover(self, job: str) -> None:
        self._busy.add(job)
        try:
            await self.resume(job)
        finally:
            self._busy.discard(job)
            await asyncio.shield(self._discard(job))

    async def _local(
        self, connection: Connection, record: JobRecord, step: Step, results: Mapping[str, Mapping[str, Json]]
    ) -> Mapping[str, Json]:
        context = LocalContext(
            connection, record.id, record.system, record.userid, results, self.materials.folder, record.project
        )
        return await run_local(context, step)

    async def _fail(
        self, record: JobRecord, number: int, outcome: Outcome, waiting: list[tuple[int, Outcome]]
    ) -> NoReturn:
        async with self.journal.database.write() as connection:
            await self.journal.ended(connection, record.id, (*waiting, (number, outcome)))
        self.journal.published(record.id)
        for earlier in reversed(range(number)):
            await self.undo(record.id, earlier, patient=False)
        async with self.journal.database.write() as connection:
            state = "cancelled" if (outcome.error or {}).get("code") == JobCancelled.code else "failed"
            await self.journal.finish(connection, record.id, state, outcome.error)
        self.journal.published(record.id)
        raise from_problem(outcome.error or {"detail": outcome.detail}, job=record.id)


async def _unheard(_fraction: float, _detail: str) -> None:
    """Nobody is told how far an undo is."""


def _at(record: JobRecord, system: str) -> JobRecord:
    """The job as the agent of another system is asked for it; "" for its own."""
    return replace(record, system=system) if system else record


def _keyed(record: JobRecord, item: StepRecord) -> StepRecord:
    return replace(item, step=replace(item.step, name=keyed(item.step.name, record.run)))


def _ended_by(error: ManagerError | SQLAlchemyError) -> Outcome:
    """The outcome of a step, or of an undo, that this error ended. Raises it again when nobody knows yet: this manager
    was replaced, or its database is away."""
    if isinstance(error, Replaced) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        raise error
    return _failed(error)


def _mistake(job: str) -> Outcome:
    """A mistake of ours, which must not leave the job running for ever."""
    return _failed(ManagerError("the manager failed in this step", remedy="see its log", job=job))


def _failed(error: ManagerError | SQLAlchemyError) -> Outcome:
    """The outcome of a step that this error ended. A database's own words go to the log only."""
    if isinstance(error, SQLAlchemyError):
        log.error("the database refused a step: %s", error)
        error = ManagerError(f"the manager's database refused the step ({type(error).__name__})", code="database")
    return Outcome("failed", detail=error.detail, error=error.problem())


def job_has_files(plan: Plan) -> bool:
    """Whether the plan names reader files that lie in the job's folder."""
    return any(step.kind == "reader.punch" for step in plan.steps)


def _fresh(job: str, plan: Plan, epoch: int) -> JobRecord:
    return JobRecord(
        id=job,
        kind=plan.kind,
        title=plan.title,
        system=plan.system,
        userid=plan.userid,
        state="running",
        durable=plan.durable,
        cancel=False,
        epoch=epoch,
        origin="",
        created=0.0,
        finished=None,
        image_sha256=plan.image_sha256,
        error=None,
        steps=tuple(
            StepRecord(number, step, "pending", 0.0, "", 0, None, None, None, None)
            for number, step in enumerate(plan.steps)
        ),
        project=plan.project or actor().project or "default",
    )
