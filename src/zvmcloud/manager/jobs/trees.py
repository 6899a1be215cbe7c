"""Trees: a job whose only step runs other jobs, its children, each with a plan of its own.

The children are written down with their parent and wait until it starts them: so many of each system at once, so many
in a minute. What becomes of the others when one fails is the policy:

    stop        those that run go on to their end, no other begins
    continue    all others are done
    undo        those that run are cancelled, and what is done is undone

The parent is done when all children are, and fails when one has failed; then a retry runs those that are not done, and
only those. A cancel ends what runs and begins nothing more; what is done stays, but with the policy undo.

The trees of a manager share what runs at once: each has an equal part for sure, and what others leave besides. So one
of three children does not wait for one of a thousand, and a hundred trees are not a hundred times as much at once.

All that counts is in the children's rows, so another manager goes on with a tree as it finds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence

from zvmcloud.manager.errors import Conflict, JobCancelled, NotFound
from zvmcloud.manager.jobs.journal import Journal
from zvmcloud.manager.jobs.plan import Child, Json, Step
from zvmcloud.manager.jobs.reading import TREE
from zvmcloud.manager.jobs.runner import Runner
from zvmcloud.manager.jobs.work import WorkContext

RUN, UNDO = TREE, "manager.tree_undo"
MOST_PER_MINUTE = 6000
_AT_ONCE = 64
"""Children of all trees of a manager that run at once: as many as keep all systems busy. More would only make the
queues for turns longer, which are read with each turn."""
_LEAST_AT_ONCE = 2
"""Of one tree on each system, however many systems there are."""
_PAUSE = 0.1
"""Seconds for which news of children are gathered."""
_LOOK = 1.0
"""Seconds after which the children are looked at although nothing was heard: another manager may have changed them."""
_NAMED = 5


def tree_step(title: str, on_failure: str, rate: int) -> Step:
    """The step of a parent. ``rate``: children that begin in a minute at most, 0 for no such limit."""
    return Step("children", title, RUN, {"on_failure": on_failure, "rate": rate}, UNDO, {})


class Trees:
    """Runs the children of jobs. ``submit`` hands a job to the engine."""

    def __init__(self, journal: Journal, runner: Runner, submit: Callable[[str], Awaitable[None]]) -> None:
        self._journal = journal
        self._runner = runner
        self._submit = submit
        self._running: dict[str, int] = {}
        """Children that run, by tree."""
        runner.works.offer(RUN, self._run, hears=True)
        runner.works.offer(UNDO, self._undo, hears=True)

    async def _run(self, context: WorkContext, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        starts = _Starts(int(str(parameters["rate"])))
        with self._counted(context.job):
            return await self._to_the_end(context, str(parameters["on_failure"]), starts)

    async def _to_the_end(self, context: WorkContext, policy: str, starts: _Starts) -> Mapping[str, Json]:
        begun: set[str] = set()
        async for children, cancelled in self._watched(context):
            failed = any(child.state in {"failed", "cancelled"} for child in children)
            if cancelled or (failed and policy != "continue"):
                for child in children:
                    if not child.over and not child.backwards and (cancelled or policy == "undo" or child.waits):
                        await self._runner.cancel(child.id)
            elif starts.ready():
                await self._start(context.job, children, begun, starts)
            if all(child.over or child.backwards for child in children):
                break
        undone = 0
        if policy == "undo" and (cancelled or failed):
            undone = await self._take_back(context)
        return await self._ended(context, undone, cancelled=cancelled)

    async def _undo(self, context: WorkContext, _: Mapping[str, Json]) -> Mapping[str, Json]:
        with self._counted(context.job):
            undone = await self._take_back(context)
        left = [child for child in await self._journal.children(context.job) if child.state in {"done", "failed"}]
        if left:
            raise Conflict(f"{len(left)} of them could not be undone{_named(left)}", code="not-undone")
        return {"undone": undone}

    async def _take_back(self, context: WorkContext) -> int:
        """Undo the children that are done, the last one first; how many are undone."""
        begun: set[str] = set()
        refused: set[str] = set()
        async for children, _ in self._watched(context):
            left = [child for child in reversed(children) if child.state == "done" and child.id not in refused]
            room = self._room(context.job, children, begun)
            for child in [*(one for one in children if one.waits and one.id not in begun), *left]:
                if room.get(child.system, 0) < 1:
                    continue
                room[child.system] -= 1
                begun.add(child.id)
                self._running[context.job] += 1
                try:
                    if child.state == "done":
                        await self._runner.again(child.id, backwards=True, by_parent=True)
                    await self._submit(child.id)
                except (Conflict, NotFound):
                    refused.add(child.id)
            if not left and all(child.over for child in children):
                return sum(child.state == "undone" for child in children)
        raise AssertionError("it is watched until it returns")

    async def _ended(self, context: WorkContext, undone: int, *, cancelled: bool) -> Mapping[str, Json]:
        children = await self._journal.children(context.job)
        done = sum(child.state == "done" for child in children)
        wrong = [child for child in children if child.state == "failed"]
        if cancelled:
            raise JobCancelled(f"the job was cancelled; {done} of {len(children)} are done", job=context.job)
        if done == len(children):
            return {"done": done}
        told = f"{done} of {len(children)} are done, {len(wrong)} failed"
        told += f", {undone} were undone" if undone else ""
        raise Conflict(
            told + _named(wrong),
            code="children-failed",
            remedy="look at the children that failed; a retry of this job runs those that are not done",
            job=context.job,
        )

    async def _start(self, job: str, children: Sequence[Child], begun: set[str], starts: _Starts) -> None:
        room = self._room(job, children, begun)
        for child in children:
            if not starts.ready():
                return
            if not child.waits or child.id in begun or room.get(child.system, 0) < 1:
                continue
            room[child.system] -= 1
            begun.add(child.id)
            self._running[job] += 1
            starts.began()
            await self._submit(child.id)

    def _room(self, job: str, children: Sequence[Child], begun: set[str]) -> dict[str, int]:
        """How many more may begin on each system: a queue long enough that nothing there stands still."""
        running: dict[str, int] = {}
        for child in children:
            active = not child.over and (not child.waits or child.id in begun)
            running[child.system] = running.get(child.system, 0) + active
        mine = self._running[job] = sum(running.values())
        most = max(-(-_AT_ONCE // len(self._running)), mine + _AT_ONCE - sum(self._running.values()))
        each, left = max(most // max(len(running), 1), _LEAST_AT_ONCE), most - mine
        room: dict[str, int] = {}
        for system, count in running.items():
            room[system] = min(each - count, left)
            left -= max(room[system], 0)
        return room

    async def _watched(self, context: WorkContext) -> AsyncGenerator[tuple[Sequence[Child], bool]]:
        """The children, and whether the job is cancelled, now and whenever something has changed."""
        children = await self._journal.children(context.job)
        with self._journal.listening([context.job, *(child.id for child in children)]) as heard:
            while True:
                heard.clear()
                children = await self._journal.children(context.job)
                record = await self._journal.get(context.job, with_calls=False)
                await context.progress(*_told(children))
                yield children, record.cancel
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(heard.wait(), _LOOK)
                # Ten trees together look no more often than one.
                await asyncio.sleep(min(_PAUSE * len(self._running), _LOOK))

    @contextlib.contextmanager
    def _counted(self, job: str) -> Iterator[None]:
        self._running[job] = 0
        try:
            yield
        finally:
            del self._running[job]


class _Starts:
    """So many in a minute, evenly."""

    def __init__(self, rate: int) -> None:
        self._pause = 60.0 / rate if rate else 0.0
        self._next = 0.0

    def ready(self) -> bool:
        return time.monotonic() >= self._next

    def began(self) -> None:
        """One has begun. What was late by less than a look is made up for."""
        self._next = max(self._next, time.monotonic() - _LOOK) + self._pause


def _told(children: Sequence[Child]) -> tuple[float, str]:
    """How far they are, and in words."""
    states = [child.state for child in children]
    words = [f"{states.count('done')} of {len(states)} done"]
    others = ("running", "failed", "cancelled", "undone")
    words += [f"{count} {state}" for state in others if (count := states.count(state))]
    return sum(child.progress for child in children) / len(children), ", ".join(words)


def _named(children: Sequence[Child]) -> str:
    """A few of them with what went wrong."""
    named = [f"{child.userid or child.title}: {(child.error or {}).get('code', child.state)}" for child in children]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f" ({', '.join(named[:_NAMED])}{more})" if named else ""
