"""Turns: how many jobs change the directory of a z/VM system at once, how many copy images there, and who is next.

A step of an agent that needs one waits until it has a turn. The limits are of the system, not of a manager: the queue
is a table, and managers that share a database share it. A turn belongs to the job, so whoever goes on with the job of
a dead manager has its turn as well; it ends in the transaction that ends the step, or the job, which in the latter case
hands it to who is next.

The queue is fair between owners (project and user) and first come, first served within one. Each job has a tag when it
first asks: the tag of the newest turn that was given, or one more than the tag of its owner's last job, whichever is
higher; the lowest tag is next. So of one who asks for a hundred and one who asks for one, the one waits for what runs
and for nothing else (start-time fair queueing). A job keeps its tag: what was begun goes on before what was not, so
copies of the first guests overlap with the definition of the later ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.errors import JobCancelled
from zvmcloud.manager.jobs.plan import JobRecord
from zvmcloud.manager.prepared import Prepared
from zvmcloud.manager.settings import Limits, Settings
from zvmcloud.manager.tables import jobs, systems, turns

log = logging.getLogger(__name__)

DIRECTORY, IMAGE = "directory", "image"
WORDS = {DIRECTORY: "a directory update", IMAGE: "an image copy"}
NEEDED: Mapping[str, str] = {
    **dict.fromkeys(("disk.write_image", "disk.read_image", "disk.clone"), IMAGE),
    **dict.fromkeys(
        (
            "guest.create", "guest.define", "guest.change", "guest.restore", "guest.delete", "guest.resize_cpus",
            "guest.resize_memory", "disk.add", "disk.remove", "nic.attach", "nic.create", "nic.delete", "nic.couple",
            "nic.uncouple", "fcp.dedicate", "fcp.follow", "fcp.undedicate",
        ),
        DIRECTORY,
    ),
}  # fmt: skip
"""What operations of an agent need; all others need no turn."""
_POLL = 1.0
"""Seconds between two looks at what other managers gave back, and at cancellations that were asked of them."""
_ORDER = (turns.c.tag, turns.c.since, turns.c.job_id)

# Made once: every operation that changes a directory runs all of these, and building a statement takes longer than
# running it.
_ITS_JOB = turns.c.job_id == sa.bindparam("its_job")
_QUEUE = Prepared(
    sa.select(turns.c.job_id, turns.c.kind, turns.c.owner, turns.c.tag, turns.c.since, turns.c.granted)
    .where(turns.c.system == sa.bindparam("its_system"))
    .order_by(*_ORDER)
)
_LIMITS = Prepared(
    sa.select(systems.c.directory_writers, systems.c.image_copies).where(systems.c.name == sa.bindparam("its_name"))
)
_NEW = Prepared(sa.insert(turns))
_NEEDS = Prepared(sa.update(turns).where(_ITS_JOB).values(kind=sa.bindparam("needed"), granted=False))
_GRANT = Prepared(sa.update(turns).where(_ITS_JOB).values(granted=True))
_END = Prepared(sa.update(turns).where(_ITS_JOB).values(kind="", granted=False))
_LEAVE = Prepared(sa.delete(turns).where(_ITS_JOB).returning(turns.c.system))


@dataclass(slots=True)
class _Waiter:
    system: str
    cancels: bool
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    granted: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a job was answered that asked for a turn. ``others`` have theirs by the same transaction, or may be next
    because of it: who waits has to look."""

    kind: str
    granted: bool
    others: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """A job in the queue of its system. ``kind`` is "" while it needs no turn."""

    job: str
    kind: str
    owner: str
    tag: int
    since: float
    granted: bool

    def order(self) -> tuple[int, float, str]:
        """The lowest is next."""
        return (self.tag, self.since, self.job)


class Turns:
    """The turns of all systems, as one manager sees them."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._waiting: dict[str, _Waiter] = {}
        self._asked: dict[str, _Asked] = {}
        """Of jobs that asked as they began."""
        self._handed: dict[str, Sequence[str]] = {}
        """To whom jobs that are over handed their turns."""
        self._looking: asyncio.Task[None] | None = None
        self._freed = asyncio.Event()

    async def ask(self, connection: Connection, record: JobRecord, operation: str) -> None:
        """Ask for the turn of the first step in the transaction that writes the job down; :meth:`take` waits for it.
        To be followed by :meth:`forget` when the job is over, or the transaction has failed."""
        kind = NEEDED.get(operation)
        if kind is not None:
            limits = await self._limits(connection, record.system)
            self._asked[record.id] = await _ask(connection, record, kind, limits, fresh=True)

    def forget(self, job: str) -> None:
        """What the job asked for as it began does not matter any more, nor who was to have its turn."""
        self._asked.pop(job, None)
        self._handed.pop(job, None)

    async def take(self, record: JobRecord, operation: str, *, cancels: bool) -> None:
        """Wait until the job may run this operation of its system's agent. A turn that it has already it keeps.

        Raises JobCancelled when the job is cancelled while it waits and ``cancels`` is set (not while it is undone).
        """
        kind = NEEDED.get(operation)
        if kind is None:
            return
        asked = self._asked.pop(record.id, None)
        if asked is None or asked.kind != kind:
            async with self._database.write() as connection:
                asked = await _ask(connection, record, kind, await self._limits(connection, record.system))
        if asked.others:
            self._freed.set()
        if asked.granted:
            return
        waiter = self._waiting[record.id] = _Waiter(record.system, cancels)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="manager-turns")
        try:
            while not waiter.granted:
                await waiter.woken.wait()
                waiter.woken.clear()
                if waiter.cancelled and not waiter.granted:
                    raise JobCancelled("the job was cancelled", job=record.id)
        finally:
            self._waiting.pop(record.id, None)

    async def end(self, connection: Connection, job: str) -> None:
        """The step is over: the job lets its turn go and keeps its place. Call :meth:`freed` after the commit."""
        self._handed.pop(job, None)  # by a transaction that failed
        await connection.run(_END, {"its_job": job})

    async def leave(self, connection: Connection, job: str) -> None:
        """The job is over, and who is next has its turn. Call :meth:`freed` after the commit."""
        self._handed.pop(job, None)  # by a transaction that failed
        left = await connection.run(_LEAVE, {"its_job": job})
        if left and self._waiting:
            ((system,),) = left
            chosen = _chosen(await _queue(connection, system), await self._limits(connection, system))
            await _grant(connection, chosen)
            self._handed[job] = chosen

    def freed(self, job: str) -> None:
        """A step or the whole of a job is over, and that is committed: somebody may be next."""
        handed = self._handed.pop(job, None)
        if handed is None:
            self._freed.set()
        else:
            self._tell(handed)

    def _tell(self, granted: Collection[str]) -> None:
        """Those of the jobs that wait here have their turns."""
        for job in granted:
            if (waiter := self._waiting.get(job)) is not None:
                waiter.granted = True
                waiter.woken.set()

    def cancel(self, job: str) -> None:
        """The job does not wait any longer."""
        waiter = self._waiting.get(job)
        if waiter is not None and waiter.cancels:
            waiter.cancelled = True
            waiter.woken.set()

    async def limits(self, system: str) -> Limits:
        """What counts for a system now."""
        async with self._database.read() as connection:
            return await self._limits(connection, system)

    async def counts(self, system: str) -> Mapping[str, tuple[int, int]]:
        """For each kind, how many have a turn and how many wait."""
        query = (
            sa.select(turns.c.kind, turns.c.granted, sa.func.count())
            .where(turns.c.system == system, turns.c.kind != "")
            .group_by(turns.c.kind, turns.c.granted)
        )
        async with self._database.read() as connection:
            found = {(row[0], bool(row[1])): int(row[2]) for row in await connection.execute(query)}
        return {kind: (found.get((kind, True), 0), found.get((kind, False), 0)) for kind in WORDS}

    async def close(self) -> None:
        """Nobody is waited for any more."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking

    async def _look(self) -> None:
        """While somebody waits here: see who is next, whenever something was given back."""
        heard = time.monotonic()
        while self._waiting:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._freed.wait(), _POLL)
            self._freed.clear()
            try:
                for system in {waiter.system for waiter in self._waiting.values()}:
                    await self._next(system)
                if time.monotonic() - heard >= _POLL:  # those asked of this manager are told at once, see `cancel`
                    await self._hear_of_cancellations()
                    heard = time.monotonic()
            except Exception:
                log.exception("the queues cannot be looked at")

    async def _next(self, system: str) -> None:
        async with self._database.read() as connection:
            limits = await self._limits(connection, system)
            queue = await _queue(connection, system)
        given = {place.job for place in queue if place.granted}
        if _chosen(queue, limits):
            async with self._database.write() as connection:
                queue = await _queue(connection, system)
                chosen = _chosen(queue, limits)
                await _grant(connection, chosen)
            given = {*chosen, *(place.job for place in queue if place.granted)}
        self._tell(given)

    async def _hear_of_cancellations(self) -> None:
        query = sa.select(jobs.c.id).where(jobs.c.id.in_(tuple(self._waiting)), jobs.c.cancel)
        async with self._database.read() as connection:
            for job in (await connection.execute(query)).scalars():
                self.cancel(job)

    async def _limits(self, connection: Connection, system: str) -> Limits:
        found = await connection.run(_LIMITS, {"its_name": system})
        base = self._settings.limits_of(system)
        writers, copies = found[0] if found else (None, None)
        return Limits(writers or base.directory_writers, copies or base.image_copies)


async def waiting_for(connection: Connection, job: str) -> str:
    """What a job waits for, in words; "" when it does not wait."""
    row = (await connection.execute(sa.select(turns).where(turns.c.job_id == job))).mappings().one_or_none()
    if row is None or row["granted"] or not row["kind"]:
        return ""
    mine = sa.tuple_(*(sa.literal(row[column.name], column.type) for column in _ORDER))
    query = sa.select(sa.func.count()).where(
        turns.c.system == row["system"], turns.c.kind == row["kind"], ~turns.c.granted, sa.tuple_(*_ORDER) < mine
    )
    ahead = int((await connection.execute(query)).scalar_one())
    place = f"{ahead} ahead of it" if ahead else "it is next"
    return f"waiting: {place} for {WORDS[row['kind']]} on {row['system']}"


async def _ask(connection: Connection, record: JobRecord, kind: str, limits: Limits, *, fresh: bool = False) -> _Asked:
    """The job's row says what it needs; it is made, with its tag, when there is none at this system. ``fresh``: the job
    begins, so it has none at another one either."""
    queue = await _queue(connection, record.system)
    mine = next((place for place in queue if place.job == record.id), None)
    if mine is not None and mine.granted and mine.kind == kind:
        return _Asked(kind, granted=True, others=False)
    if mine is None:
        owner = f"{record.project}/{record.actor}"
        place = _Place(record.id, kind, owner, _tag(queue, owner), time.time(), granted=False)
    else:
        queue.remove(mine)
        place = replace(mine, kind=kind, granted=False)
    queue.append(place)
    queue.sort(key=_Place.order)
    chosen = _chosen(queue, limits)
    granted = record.id in chosen
    elsewhere: Sequence[object] = ()
    if mine is None:
        # A step, or an undo, at another system has made its place there.
        elsewhere = () if fresh else await connection.run(_LEAVE, {"its_job": record.id})
        values = {"job_id": place.job, "system": record.system, "kind": kind, "owner": place.owner, "granted": granted}
        await connection.run(_NEW, {**values, "tag": place.tag, "since": place.since})
    elif mine.kind != kind:
        await connection.run(_NEEDS, {"its_job": record.id, "needed": kind})
    others = [job for job in chosen if job != record.id]
    await _grant(connection, others if mine is None else chosen)
    return _Asked(kind, granted, others=bool(others or elsewhere))


def _tag(queue: Sequence[_Place], owner: str) -> int:
    """Of a job that asks first."""
    newest = max((place.tag for place in queue if place.granted), default=None)
    now = newest if newest is not None else min((place.tag for place in queue), default=0)
    return max(now, *(place.tag + 1 for place in queue if place.owner == owner), 0)


async def _queue(connection: Connection, system: str) -> list[_Place]:
    """The jobs of a system in their order, those too that need no turn just now."""
    found = await connection.run(_QUEUE, {"its_system": system})
    return [_Place(job, kind, owner, tag, since, bool(has)) for job, kind, owner, tag, since, has in found]


async def _grant(connection: Connection, chosen: Sequence[str]) -> None:
    if chosen:
        await connection.run(_GRANT, [{"its_job": job} for job in chosen])


def _chosen(queue: Sequence[_Place], limits: Limits) -> list[str]:
    """Jobs that are next and find room."""
    chosen: list[str] = []
    for kind, limit in ((DIRECTORY, limits.directory_writers), (IMAGE, limits.image_copies)):
        places = [place for place in queue if place.kind == kind]
        room = max(limit - sum(place.granted for place in places), 0)
        chosen += [place.job for place in places if not place.granted][:room]
    return chosen
