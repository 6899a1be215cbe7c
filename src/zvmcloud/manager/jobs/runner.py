"""Runs the steps of jobs: on the agents, or in the manager's own database.

A local step and the fact that it is done are one transaction. A step of an agent may run twice after a crash: its key
makes the second run return the first one's result. What a local step does is registered by its kind (see
:func:`local`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn, Protocol

from sqlalchemy.exc import SQLAlchemyError

from zvmcloud.manager.agents import Agents
from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import AgentFailure, AgentUnreachable, ManagerError, NotFound, from_problem
from zvmcloud.manager.identity.acting import actor
from zvmcloud.manager.jobs.journal import Journal, new_job
from zvmcloud.manager.jobs.plan import LOCAL, Call, JobRecord, Json, Outcome, Plan, Step, StepRecord
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.messages import parse_operation

log = logging.getLogger(__name__)

_INLINE_PATIENCE = 10.0
_DURABLE_PATIENCE = 600.0
_FILLED = ("disk.write_image", "disk.read_image", "reader.punch")
_TRIES = 3
"""Tries of a durable step that failed in a way that a repetition can cure."""
_TRY_PAUSE = 1.0
"""Seconds before the second try; each later one waits a second longer."""
_AWAY_PATIENCE = 600.0
"""Seconds for which tries go on while the z/VM system itself does not answer."""
_MAX_TRY_PAUSE = 15.0
_AWAY_POLL = 5.0
"""Seconds between two questions whether a silent agent is back."""
_CANCELLED: Mapping[str, Json] = {
    "status": 409,
    "code": "cancelled",
    "title": "Cancelled",
    "detail": "the job was cancelled",
    "retryable": True,
}


@dataclass(frozen=True, slots=True)
class LocalContext:
    """What a local step may use: the transaction that also records its end, its job, the results of earlier steps by
    name, the manager's state folder, and the project the job is for."""

    connection: Connection
    job: str
    system: str
    userid: str
    results: Mapping[str, Mapping[str, Json]]
    state: Path
    project: str


LocalStep = Callable[[LocalContext, Mapping[str, Json]], Awaitable[Mapping[str, Json] | None]]
_LOCAL: dict[str, LocalStep] = {}


def local(kind: str) -> Callable[[LocalStep], LocalStep]:
    """Register the function that does local steps of ``kind``. It must be harmless when run again."""

    def register(function: LocalStep) -> LocalStep:
        _LOCAL[kind] = function
        return function

    return register


class Materials(Protocol):
    """Fills in what a stored plan only names: image sources, reader files."""

    async def fill(self, job: str, kind: str, parameters: Mapping[str, Json]) -> Mapping[str, Json]: ...

    async def discard(self, job: str) -> None: ...

    @property
    def state(self) -> Path: ...


class Runner:
    """Runs steps and writes the journal. One per manager."""

    def __init__(self, journal: Journal, agents: Agents, materials: Materials) -> None:
        self.journal = journal
        self.agents = agents
        self.materials = materials
        self._busy: set[str] = set()
        self._trying: dict[str, str] = {}
        """Job to the name under which its running step is tried just now."""

    async def run(self, plan: Plan, origin: str = "", job: str = "") -> JobRecord:
        """Run an inline plan now. Returns the finished job; raises the error of the step that failed (with ``job``
        set)."""
        check(plan)
        job = job or new_job()
        self._busy.add(job)
        try:
            await self.journal.begin(plan, origin, job)
            return await self.resume(job, plan)
        finally:
            self._busy.discard(job)
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

    async def resume(self, job: str, plan: Plan | None = None) -> JobRecord:
        """Run (the rest of) an inline job. Steps already done are not repeated."""
        if plan is None:
            record = await self.journal.get(job, with_calls=False)
        else:
            record = _fresh(job, plan, self.journal.epoch)
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
                        result = await self._local(connection, record, item.step, results)
                        ended = (*waiting, (item.number, Outcome("done", 1.0, result=result)))
                        await self.journal.ended(connection, job, ended)
                        if item.number == last:
                            await self.journal.finish(connection, job, "done")
                except (ManagerError, SQLAlchemyError) as error:
                    await self._fail(record, item.number, _failed(error), waiting)
                waiting.clear()
                results[item.step.name] = result
                continue
            outcome = await self._remote(record, item, patience=_INLINE_PATIENCE)
            if outcome.state == "failed":
                await self._fail(record, item.number, outcome, waiting)
            results[item.step.name] = outcome.result or {}
            waiting.append((item.number, outcome))
        if waiting:
            async with self.journal.database.write() as connection:
                await self.journal.ended(connection, job, waiting)
                await self.journal.finish(connection, job, "done")
        self.journal.published(job)
        return replace(
            record,
            state="done",
            steps=tuple(replace(item, state="done", result=results.get(item.step.name)) for item in record.steps),
        )

    async def step(self, job: str, number: int) -> str:
        """Run one step of a durable job; returns done, failed or cancelled. Never raises a ManagerError."""
        record = await self.journal.get(job, with_calls=False)
        item = record.steps[number]
        if item.state == "done":
            return "done"
        if record.cancel:
            return "cancelled"
        results = {other.step.name: other.result or {} for other in record.steps if other.state == "done"}
        if not await self.journal.started(job, number):
            return "cancelled"
        try:
            if item.step.local:
                async with self.journal.database.write() as connection:
                    result = await self._local(connection, record, item.step, results)
                    await self.journal.ended(connection, job, [(number, Outcome("done", 1.0, result=result))])
                self.journal.published(job)
                return "done"

            async def progress(fraction: float, detail: str) -> None:
                await self.journal.progress(job, number, fraction, detail)

            outcome = await self._tries(record, item, progress)
        except (ManagerError, SQLAlchemyError) as error:
            outcome = _failed(error)
        async with self.journal.database.write() as connection:
            await self.journal.ended(connection, job, [(number, outcome)])
        self.journal.published(job)
        return outcome.state

    async def _tries(
        self,
        record: JobRecord,
        item: StepRecord,
        progress: Callable[[float, str], Awaitable[None]] | None = None,
        *,
        backwards: bool = False,
    ) -> Outcome:
        """A durable remote step, repeated when it failed in a way that a repetition can cure.

        A failed operation has undone itself and keeps its key, so each try has a key of its own; after a restart the
        earlier tries answer at once with what they ended in.
        """
        made: tuple[Call, ...] = ()
        deadline = time.monotonic() + _AWAY_PATIENCE
        number = 1
        while True:
            again = replace(item, step=replace(item.step, name=_try_name(item.step.name, number)))
            self._trying[record.id] = again.step.name
            outcome = await self._sure(record, again, progress, backwards=backwards)
            made += outcome.calls
            error = outcome.error or {}
            curable = outcome.state == "failed" and bool(error.get("retryable"))
            away = error.get("status") == HTTPStatus.SERVICE_UNAVAILABLE and time.monotonic() < deadline
            if not curable or (number >= _TRIES and not away):
                break
            log.info("job %s: step %s failed, tried again: %s", record.id, item.step.name, error.get("detail"))
            await asyncio.sleep(min(_TRY_PAUSE * number, _MAX_TRY_PAUSE))
            if not backwards and (await self.journal.get(record.id, with_calls=False)).cancel:
                break
            number += 1
        self._trying.pop(record.id, None)
        return replace(outcome, calls=made)

    async def _sure(
        self,
        record: JobRecord,
        item: StepRecord,
        progress: Callable[[float, str], Awaitable[None]] | None,
        *,
        backwards: bool,
    ) -> Outcome:
        """What became of a durable remote step. While that cannot be known, because the agent got the request and is
        silent now, the job is interrupted and waits: to call it failed would be a guess.

        Raises AgentUnreachable only for a request that certainly never arrived.
        """
        arrived = item.attempts > 0 and not backwards
        while True:
            try:
                return await self._ask(record, item, patience=_DURABLE_PATIENCE, progress=progress)
            except AgentUnreachable as error:
                arrived = arrived or error.sent
                if not arrived:
                    raise
                log.warning("job %s waits in step %s: %s", record.id, item.step.name, error.detail)
            await self.journal.interrupt(record.id)
            await self._agent_back(record.id, record.system, item.step.name, cancels=not backwards)
            await self.journal.continued(record.id)

    async def _agent_back(self, job: str, system: str, step: str, *, cancels: bool) -> None:
        """Wait until the agent answers; a cancellation that was asked for meanwhile is passed on then."""
        while True:
            await asyncio.sleep(_AWAY_POLL)
            try:
                await self.agents[system].get("/v1/health")
                if cancels and (await self.journal.get(job, with_calls=False)).cancel:
                    await self.agents[system].cancel(job, step, self.journal.epoch)
            except (AgentUnreachable, AgentFailure):
                continue
            return

    async def undo(self, job: str, number: int, *, patient: bool = True) -> None:
        """Take a finished step back, if it has an undo. A failure is journaled and does not stop the other undos.

        `patient`: wait for a z/VM system that does not answer, as durable jobs do; nobody waits for those.
        """
        record = await self.journal.get(job, with_calls=False)
        item = record.steps[number]
        if item.state != "done" or not item.step.undo_kind:
            return
        backwards = Step(
            f"undo-{item.step.name}", f"undo: {item.step.title}", item.step.undo_kind, item.step.undo_parameters
        )
        try:
            if backwards.local:
                async with self.journal.database.write() as connection:
                    await self._local(connection, record, backwards, {item.step.name: item.result or {}})
                outcome = Outcome("done", 1.0)
            elif patient:
                outcome = await self._tries(record, replace(item, step=backwards), backwards=True)
            else:
                outcome = await self._ask(record, replace(item, step=backwards), patience=_INLINE_PATIENCE)
        except ManagerError as error:
            outcome = Outcome("failed", detail=error.detail)
        if outcome.state != "done":
            log.warning("job %s: undo of step %s failed: %s", job, item.step.name, outcome.detail)
        await self.journal.undone(job, number, outcome)

    async def close(self, job: str, state: str, error: Mapping[str, Json] | None = None) -> None:
        """The final state of a durable job; the error is the given one or that of its failed step."""
        record = await self.journal.get(job, with_calls=False)
        failed = next((item for item in record.steps if item.state == "failed"), None)
        if state == "failed" and record.cancel:
            state = "cancelled"
        error = error or (failed.error if failed is not None else None)
        if state == "cancelled" and error is None:
            error = _CANCELLED
        await self.materials.discard(job)  # first: who sees that the job is over need not wait for more
        async with self.journal.database.write() as connection:
            await self.journal.finish(connection, job, state, error)
        self.journal.published(job)

    async def cancel(self, job: str) -> JobRecord:
        """Ask a job to stop: the running operation is told, steps not begun stay undone, finished ones are undone.

        A durable job that has not begun is over at once, whether the engine has it or not: it finds nothing to do.
        """
        record = await self.journal.request_cancel(job)
        if record.durable and record.state == "pending":
            async with self.journal.database.write() as connection:
                closed = await self.journal.finish(connection, job, "cancelled", _CANCELLED, only="pending")
            if closed:
                await self.materials.discard(job)
                self.journal.published(job)
            record = await self.journal.get(job)
        running = next((item for item in record.steps if item.state == "running" and not item.step.local), None)
        if running is not None and not record.over:
            await self.agents[record.system].cancel(job, self._trying.get(job, running.step.name), self.journal.epoch)
        return record

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

    async def _remote(self, record: JobRecord, item: StepRecord, *, patience: float) -> Outcome:
        """An inline remote step: an unreachable agent leaves the job interrupted when the request may have arrived."""
        try:
            return await self._ask(record, item, patience=patience)
        except AgentUnreachable as error:
            if error.sent:
                await self.journal.interrupt(record.id)
                error.job = record.id
                raise
            return Outcome("failed", detail=error.detail, error=error.problem())
        except ManagerError as error:
            return Outcome("failed", detail=error.detail, error=error.problem())
        except asyncio.CancelledError:
            await asyncio.shield(self.journal.interrupt(record.id))
            raise

    async def _ask(
        self,
        record: JobRecord,
        item: StepRecord,
        *,
        patience: float,
        progress: Callable[[float, str], Awaitable[None]] | None = None,
    ) -> Outcome:
        try:
            parameters = await self.materials.fill(record.id, item.step.kind, item.step.parameters)
        except OSError as error:
            log.error("job %s: a file of step %s cannot be read: %s", record.id, item.step.name, error)  # noqa: TRY400
            raise ManagerError(
                f"a file of the job cannot be read ({error.strerror or type(error).__name__})",
                code="job-file",
                remedy="repeat the request",
            ) from error
        return await self.agents[record.system].run(
            record.id,
            item.step.name,
            self.journal.epoch,
            item.step.kind,
            parameters,
            progress=progress,
            patience=patience,
        )

    async def _local(
        self, connection: Connection, record: JobRecord, step: Step, results: Mapping[str, Mapping[str, Json]]
    ) -> Mapping[str, Json]:
        context = LocalContext(
            connection, record.id, record.system, record.userid, results, self.materials.state, record.project
        )
        return await _LOCAL[step.kind](context, step.parameters) or {}

    async def _fail(
        self, record: JobRecord, number: int, outcome: Outcome, waiting: list[tuple[int, Outcome]]
    ) -> NoReturn:
        async with self.journal.database.write() as connection:
            await self.journal.ended(connection, record.id, (*waiting, (number, outcome)))
        for earlier in reversed(range(number)):
            await self.undo(record.id, earlier, patient=False)
        async with self.journal.database.write() as connection:
            await self.journal.finish(connection, record.id, "failed", outcome.error)
        self.journal.published(record.id)
        raise from_problem(outcome.error or {"detail": outcome.detail}, job=record.id)


def _failed(error: ManagerError | SQLAlchemyError) -> Outcome:
    """The outcome of a step that this error ended. A database's own words go to the log only."""
    if isinstance(error, SQLAlchemyError):
        log.error("the database refused a step: %s", error)
        error = ManagerError(f"the manager's database refused the step ({type(error).__name__})", code="database")
    return Outcome("failed", detail=error.detail, error=error.problem())


def check(plan: Plan) -> None:
    """Hold every operation of the plan against the agent's own declarations, before anything is written or sent.

    Raises AgentFailure (bad-parameter) naming the parameter. What is filled in when a step runs is not looked at.
    """
    for step in plan.steps:
        if step.local or step.kind in _FILLED:
            continue
        try:
            parse_operation(step.kind, step.parameters)
            if step.undo_kind and not step.undo_kind.startswith(LOCAL):
                parse_operation(step.undo_kind, step.undo_parameters)
        except AgentError as error:
            raise AgentFailure({**error.problem.to_json()}) from error


def _try_name(step: str, number: int) -> str:
    return step if number == 1 else f"{step}.{number}"


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
