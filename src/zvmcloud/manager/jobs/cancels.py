"""Cancels on their way to the agents: whoever asks an agent for an operation tells it when the job is to stop.

A cancel counts from the moment in which it is in the database. The manager that runs the job hears of it at once when
it was asked itself, else within a second, and tells the agent until the agent has heard it. To tell it is safe at any
time: an agent that does not know the operation will never begin it, also when it is under way and arrives later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from zvmcloud.manager.agents import Agents
from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.jobs.plan import Outcome
from zvmcloud.manager.jobs.reading import JournalReader

log = logging.getLogger(__name__)

_HEAR = 1.0
"""Seconds between two looks at cancels that other managers were asked for."""
_PAUSE, _MOST = 0.1, 5.0
"""Seconds until an agent that did not hear is told again; each pause is twice the one before, up to the second."""


@dataclass(eq=False, slots=True)
class _Asked:
    system: str
    step: str
    told: bool = False


class Cancels:
    """Of the operations that one manager asks its agents for just now; a job has one at most."""

    def __init__(self, journal: JournalReader, agents: Agents) -> None:
        self._journal = journal
        self._agents = agents
        self._asked: dict[str, _Asked] = {}
        self._hearing: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def heard(self, job: str, system: str, step: str) -> Iterator[None]:
        """While the agent of a system is asked for an operation: it is told when the job is cancelled."""
        asked = self._asked[job] = _Asked(system, step)
        if self._hearing is None or self._hearing.done():
            self._hearing = asyncio.create_task(self._hear(), name="manager-cancels")
        try:
            yield
        finally:
            if self._asked.get(job) is asked:
                del self._asked[job]

    def __contains__(self, job: object) -> bool:
        """Whether an agent is asked for something that a cancel of this job ends."""
        return job in self._asked

    def cancel(self, job: str) -> None:
        """The job is cancelled, which is written down: its agent is told, if one is asked for something."""
        asked = self._asked.get(job)
        if asked is not None and not asked.told:
            asked.told = True
            telling = asyncio.create_task(self._tell(job, asked), name=f"cancel of {job}")
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    async def call_off(self, job: str, system: str, step: str) -> Outcome:
        """Have an agent stop and undo an operation, or never begin it; how it stands then. Still running is one whose
        undo takes long, or that a crash of the agent cut off: that goes to its end. Raises AgentUnreachable,
        AgentFailure, Replaced."""
        agent = self._agents[system]
        return await self._journal.membership.under_epoch(lambda epoch: agent.cancel(job, step, epoch))

    async def close(self) -> None:
        """Nobody is told any more."""
        tasks = [*self._telling, *([self._hearing] if self._hearing is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _hear(self) -> None:
        while self._asked:
            await asyncio.sleep(_HEAR)
            try:
                for job in await self._journal.cancelled(*self._asked):
                    self.cancel(job)
            except SQLAlchemyError as error:
                log.warning("it cannot be seen which jobs were cancelled: %s", error)

    async def _tell(self, job: str, asked: _Asked) -> None:
        pause = _PAUSE
        while self._asked.get(job) is asked:
            try:
                await self.call_off(job, asked.system, asked.step)
            except (ManagerError, SQLAlchemyError) as error:
                log.info("job %s: the agent of %s is not told yet that it is cancelled: %s", job, asked.system, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _MOST)
            else:
                return
