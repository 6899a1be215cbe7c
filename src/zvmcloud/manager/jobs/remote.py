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
from zvmcloud.manager.errors import AgentFailure, AgentUnreachable, ManagerError, Replaced
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
        self._trying: dict[str, str] = {}
        """Job to the name under which its running step is tried just now."""

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
        earlier tries answer at once with what they ended in. They have one turn at the system, which they wait for.
        Raises JobCancelled when the job is cancelled before that, unless the step was begun before a crash: then what
        became of it has to be known.
        """
        await self._turns.take(record, item.step.kind, cancels=not backwards and not item.attempts)
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
            if not backwards and (await self._journal.get(record.id, with_calls=False)).cancel:
                break
            number += 1
        self._trying.pop(record.id, None)
        return replace(outcome, calls=made)

    async def _sure(
        self,
        record: JobRecord,
        item: StepRecord,
        progress: Progress | None,
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
            await self._journal.interrupt(record.id)
            await self._agent_back(record.id, record.system, item.step.name, cancels=not backwards)
            await self._journal.continued(record.id)

    async def _agent_back(self, job: str, system: str, step: str, *, cancels: bool) -> None:
        """Wait until the agent answers; a cancellation that was asked for meanwhile is passed on then."""
        while True:
            await asyncio.sleep(_AWAY_POLL)
            try:
                await self._agents[system].get("/v1/health")
                if cancels and (await self._journal.get(job, with_calls=False)).cancel:
                    await self.cancel(job, system, step)
            except (AgentUnreachable, AgentFailure):
                continue
            return

    async def inline(self, record: JobRecord, item: StepRecord) -> Outcome:
        """An inline remote step: an unreachable agent leaves the job interrupted when the request may have arrived."""
        try:
            return await self.once(record, item)
        except AgentUnreachable as error:
            if error.sent:
                await self._journal.interrupt(record.id)
                error.job = record.id
                raise
            return Outcome("failed", detail=error.detail, error=error.problem())
        except Replaced:
            raise
        except ManagerError as error:
            return Outcome("failed", detail=error.detail, error=error.problem())
        except asyncio.CancelledError:
            await asyncio.shield(self._journal.interrupt(record.id))
            raise

    async def once(self, record: JobRecord, item: StepRecord) -> Outcome:
        """Ask an agent as long as somebody waits for the answer. Raises ManagerError."""
        await self._turns.take(record, item.step.kind, cancels=False)
        return await self._ask(record, item, patience=_INLINE_PATIENCE)

    async def cancel(self, job: str, system: str, step: str) -> None:
        """Tell the agent to stop a step that runs, under the name it is tried with. Raises AgentUnreachable."""
        agent, trying = self._agents[system], self._trying.get(job, step)
        await self._journal.membership.under_epoch(lambda epoch: agent.cancel(job, trying, epoch))

    async def _ask(
        self,
        record: JobRecord,
        item: StepRecord,
        *,
        patience: float,
        progress: Progress | None = None,
    ) -> Outcome:
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
        return await self._journal.membership.under_epoch(
            lambda epoch: agent.run(
                record.id, item.step.name, epoch, item.step.kind, parameters, progress=progress, patience=patience
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


def _try_name(step: str, number: int) -> str:
    return step if number == 1 else f"{step}.{number}"
