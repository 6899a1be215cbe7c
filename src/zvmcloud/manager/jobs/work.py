"""Long steps that the manager does itself: outside of any transaction, with progress, stopped by a cancel.

A service offers the function for a kind of step when it is made. The function must go on where it was when it is run
again after a restart, or begin anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from zvmcloud.manager.errors import JobCancelled
from zvmcloud.manager.jobs.journal import Journal
from zvmcloud.manager.jobs.plan import JobRecord, Json, Outcome, Step

_LOOK = 1.0
"""Seconds between two looks whether another manager was asked to cancel the job."""
Progress = Callable[[float, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class WorkContext:
    """What work may use: its job, the job's project, the results of earlier steps by name, and whom to tell how far
    it is (0 to 1, and words)."""

    job: str
    project: str
    results: Mapping[str, Mapping[str, Json]]
    progress: Progress


Work = Callable[[WorkContext, Mapping[str, Json]], Awaitable[Mapping[str, Json]]]


class Works:
    """The kinds of work that are offered, and the work under way."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._offered: dict[str, Work] = {}
        self._hearing: set[str] = set()
        self._running: dict[str, asyncio.Task[Mapping[str, Json]]] = {}

    def offer(self, kind: str, work: Work, *, hears: bool = False) -> None:
        """Let ``work`` do the steps of ``kind``, which begins with "manager.". ``hears``: it looks by itself whether
        the job was cancelled, and ends in good order."""
        self._offered[kind] = work
        if hears:
            self._hearing.add(kind)

    def __contains__(self, kind: object) -> bool:
        return kind in self._offered

    async def run(
        self, record: JobRecord, step: Step, results: Mapping[str, Mapping[str, Json]], progress: Progress
    ) -> Outcome:
        """Do a step to its end. Raises what the work raises, JobCancelled when it was cancelled. When the caller is
        cancelled the work stops, and is run again at the next start."""
        context = WorkContext(record.id, record.project, results, progress)
        task = asyncio.ensure_future(self._offered[step.kind](context, step.parameters))
        hears = step.kind in self._hearing
        if not hears:
            self._running[record.id] = task
        try:
            while not (await asyncio.wait({task}, timeout=None if hears else _LOOK))[0]:
                if await self._journal.cancelled(record.id):
                    task.cancel()
        finally:
            self._running.pop(record.id, None)
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled():
            raise JobCancelled("the job was cancelled", job=record.id)
        return Outcome("done", 1.0, result=task.result())

    def cancel(self, job: str) -> None:
        """Stop the work of a job, if there is some."""
        if (task := self._running.get(job)) is not None:
            task.cancel()
