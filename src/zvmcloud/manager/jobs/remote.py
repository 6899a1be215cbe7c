"""Remote steps: operations of the agents, from one request to tries that go on while a z/VM system is away.

A step of an agent may run twice after a crash: its key makes the second run return the first one's result.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from zvmcloud.manager.agents import Agents
from zvmcloud.manager.errors import AgentFailure, AgentUnreachable, JobCancelled, ManagerError, Replaced
from zvmcloud.manager.jobs.cancels import Cancels
from zvmcloud.manager.jobs.journal import Journal
from zvmcloud.manager.jobs.plan import LOCAL, TELLS_BEFORE, Call, JobRecord, Json, Outcome, Plan, Step, StepRecord
from zvmcloud.manager.jobs.turns import Turns
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.messages import parse_operation

log = logging.getLogger(__name__)

Progress = Callable[[float, str], Awaitable[None]]

_INLINE_PATIENCE = 10.0
_DURABLE_PATIENCE = 600.0
_FILLED = (
    "disk.write_image", "disk.read_image", "reader.punch", "guest.config_drive", "volume.ignition", "guest.netboot",
)  # fmt: skip
_TRIES = 3
"""Tries of a durable step that failed in a way that a repetition can cure."""
_TRY_PAUSE = 1.0
"""Seconds before the second try; each later one waits a second longer."""
_AWAY_PATIENCE = 600.0
"""Seconds for which tries go on while the z/VM system itself does not answer."""
_MAX_TRY_PAUSE = 15.0
_AWAY_POLL = 5.0
"""Seconds between two questions whether a silent agent is back."""


class Materials(Protocol):
    """Fills in what a stored plan only names: image sources, reader files."""

    async def fill(self, job: str, kind: str, parameters: Mapping[str, Json]) -> Mapping[str, Json]: ...

    async def discard(self, job: str) -> None: ...

    async def keep_only(self, job: str, names: Collection[str]) -> None: ...

    @property
    def folder(self) -> Path: ...


class Remote:
    """Runs the steps of jobs on the agents. One per manager."""

    def __init__(self, journal: Journal, agents: Agents, materials: Materials, turns: Turns) -> None:
        self._journal = journal
        self._turns = turns
        self._agents = agents
        self._materials = materials
        self.cancels = Cancels(journal, agents)

    async def patiently(
        self,
        record: JobRecord,
        item: StepRecord,
        progress: Progress | None = None,
        *,
        backwards: bool = False,
    ) -> Outcome:
        """A durable remote step, repeated when it failed in a way that a repetition can cure.

        A failed operation has undone itself and keeps its key, so each try has a key of its own; after a restart the
        earlier tries answer at once with what they ended in, also when the job is cancelled by then: one of them may
        be under way. They have one turn at the system, which they wait for.
        Raises JobCancelled when the job is cancelled before anything was sent.
        """
        await self._turns.take(record, item.step.kind, cancels=not backwards and not item.attempts)
        made: tuple[Call, ...] = ()
        deadline = time.monotonic() + _AWAY_PATIENCE
        number = 1
        while True:
            again = replace(item, step=replace(item.step, name=_try_name(item.step.name, number)))
            outcome = await self._sure(record, again, progress, backwards=backwards)
            made += outcome.calls
            error = outcome.error or {}
            curable = outcome.state == "failed" and bool(error.get("retryable"))
            away = error.get("status") == HTTPStatus.SERVICE_UNAVAILABLE and time.monotonic() < deadline
            if not curable:
                break
            tired = number >= _TRIES and not away
            if not tired:
                log.info("job %s: step %s failed, tried again: %s", record.id, item.step.name, error.get("detail"))
                await asyncio.sleep(min(_TRY_PAUSE * number, _MAX_TRY_PAUSE))
            called_off = not backwards and bool(await self._journal.cancelled(record.id))
            if (called_off and not item.attempts) or (tired and not called_off):
                break
            number += 1
        return replace(outcome, calls=made)

    async def _sure(
        self,
        record: JobRecord,
        item: StepRecord,
        progress: Progress | None,
        *,
        backwards: bool,
    ) -> Outcome:
        """What became of a durable remote step. While that cannot be known, because the agent may have got the request
        and is silent now, the job is interrupted and waits: to call it failed would be a guess.

        Raises JobCancelled, AgentUnreachable and AgentFailure only for a request that certainly never arrived.
        """
        arrived = item.attempts > 0 and not backwards
        while True:
            try:
                if backwards:
                    return await self._ask(record, item, _DURABLE_PATIENCE, progress)
                return await self._unless_cancelled(record, item, _DURABLE_PATIENCE, progress, arrived=arrived)
            except (AgentUnreachable, AgentFailure) as error:
                arrived = _unknown(error, arrived=arrived)
                if not arrived:
                    raise
                log.warning("job %s waits in step %s: %s", record.id, item.step.name, error.detail)
            await self._journal.interrupt(record.id)
            await self._agent_back(record.system)
            await self._journal.continued(record.id)

    async def _agent_back(self, system: str) -> None:
        while True:
            await asyncio.sleep(_AWAY_POLL)
            try:
                await self._agents[system].get("/v1/health")
            except (AgentUnreachable, AgentFailure):
                continue
            return

    async def inline(self, record: JobRecord, item: StepRecord, *, fresh: bool) -> Outcome:
        """An inline remote step: an unreachable agent leaves the job interrupted when the request may have arrived.
        ``fresh``: nobody has asked for the step before. Raises AgentUnreachable then, and Replaced."""
        try:
            await self._turns.take(record, item.step.kind, cancels=False)
            return await self._unless_cancelled(
                record, item, _INLINE_PATIENCE, arrived=not fresh, just_begun=fresh and not item.number
            )
        except Replaced:
            raise
        except ManagerError as error:
            if _unknown(error, arrived=not fresh):
                await self._journal.interrupt(record.id)
                raise AgentUnreachable(
                    error.detail, remedy=error.remedy, subject=error.subject, job=record.id
                ) from error
            return Outcome("failed", detail=error.detail, error=error.problem())
        except asyncio.CancelledError:
            await asyncio.shield(self._journal.interrupt(record.id))
            raise

    async def once(self, record: JobRecord, item: StepRecord) -> Outcome:
        """Ask an agent for an undo as long as somebody waits for the answer. Raises ManagerError."""
        await self._turns.take(record, item.step.kind, cancels=False)
        return await self._ask(record, item, _INLINE_PATIENCE)

    async def _unless_cancelled(
        self,
        record: JobRecord,
        item: StepRecord,
        patience: float,
        progress: Progress | None = None,
        *,
        arrived: bool,
        just_begun: bool = False,
    ) -> Outcome:
        """An operation of a job that is cancelled in a moment, or was (unless it has ``just_begun``): then nothing more
        is sent. When an earlier request may have ``arrived``, the agent tells what became of it, and from then on never
        begins it; else that is JobCancelled. Raises AgentUnreachable, AgentFailure as well."""
        if just_begun or not await self._journal.cancelled(record.id):
            try:
                with self.cancels.heard(record.id, record.system, item.step.name):
                    return await self._ask(record, item, patience, progress)
            except (AgentUnreachable, AgentFailure) as error:
                if _unknown(error, arrived=arrived) or not await self._journal.cancelled(record.id):
                    raise
                raise JobCancelled("the job was cancelled", job=record.id) from error
        if not arrived:
            raise JobCancelled("the job was cancelled", job=record.id)
        outcome = await self.cancels.call_off(record.id, record.system, item.step.name)
        if outcome.state != "running":
            return outcome
        # Undone at this moment, or cut off by a crash: only its next run knows its traces, and nobody stops that one.
        return await self._ask(record, item, patience, progress)

    async def _ask(
        self,
        record: JobRecord,
        item: StepRecord,
        patience: float,
        progress: Progress | None = None,
    ) -> Outcome:
        """An operation of an agent to its end. While the agent is away it is sent again, unless the job is cancelled
        and that is heard here (:meth:`Cancels.heard`)."""
        try:
            parameters = await self._materials.fill(record.id, item.step.kind, item.step.parameters)
        except OSError as error:
            log.error("job %s: a file of step %s cannot be read: %s", record.id, item.step.name, error)  # noqa: TRY400
            raise ManagerError(
                f"a file of the job cannot be read ({error.strerror or type(error).__name__})",
                code="job-file",
                remedy="repeat the request",
            ) from error
        agent = self._agents[record.system]

        async def wanted() -> bool:
            return not (record.id in self.cancels and await self._journal.cancelled(record.id))

        return await self._journal.membership.under_epoch(
            lambda epoch: agent.run(
                record.id,
                item.step.name,
                epoch,
                item.step.kind,
                parameters,
                progress=progress,
                patience=patience,
                wanted=wanted,
            )
        )


def check(plan: Plan) -> None:
    """Hold every operation of the plan against the agent's own declarations, before anything is written or sent.

    Raises AgentFailure (bad-parameter) naming the parameter. What is filled in when a step runs is not looked at.
    """
    for step in plan.steps:
        if not step.local and step.kind not in _FILLED:
            check_step(step)


def check_step(step: Step) -> None:
    """The same for one step of an agent, with all its parameters."""
    try:
        parse_operation(step.kind, step.parameters)
        if step.undo_kind and not step.undo_kind.startswith(LOCAL) and step.kind not in TELLS_BEFORE:
            parse_operation(step.undo_kind, step.undo_parameters)
    except AgentError as error:
        raise AgentFailure({**error.problem.to_json()}) from error


def _unknown(error: ManagerError, *, arrived: bool) -> bool:
    """Whether nobody knows what the agent did with a request that this error ended, or with one that may have
    ``arrived`` before it. An agent that stops, or whose z/VM is away, answers 503 to all requests."""
    if isinstance(error, AgentUnreachable):
        return arrived or error.sent
    return arrived and error.status == HTTPStatus.SERVICE_UNAVAILABLE


def _try_name(step: str, number: int) -> str:
    return step if number == 1 else f"{step}.{number}"
