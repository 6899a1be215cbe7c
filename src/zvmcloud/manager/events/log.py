"""The bounded table of events: appending, and following it by number."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import sqlalchemy as sa

from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.events.tables import events
from zvmcloud.manager.jobs.plan import Json
from zvmcloud.manager.prepared import Prepared

KEPT = 20_000
"""Events that are kept; older ones are forgotten."""
_SWEEP_EVERY = 256
_PAGE = 500
_LOOK = 0.5
"""Seconds between two looks of a follower."""
_LOCK = 0x7A766D65
"""Of PostgreSQL's advisory locks, the one of writers of events."""
_NEW = Prepared(sa.insert(events).returning(events.c.id))


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. ``kind`` is noun and what became of it: job.done, guest.created."""

    id: int
    time: float
    kind: str
    system: str
    subject: str
    project: str
    job: str
    data: Mapping[str, Json]

    def document(self) -> dict[str, Json]:
        """As JSON."""
        return {
            "id": self.id,
            "time": self.time,
            "kind": self.kind,
            "system": self.system,
            "subject": self.subject,
            "project": self.project,
            "job": self.job,
            "data": dict(self.data),
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: of ``projects`` (None: all), of ``kinds`` (patterns; none: all), of ``system`` ("" for all)."""

    projects: tuple[str, ...] | None = None
    kinds: tuple[str, ...] = ()
    system: str = ""

    def has(self, event: Event) -> bool:
        """Whether an event of these projects and systems is of these kinds."""
        return not self.kinds or any(fnmatchcase(event.kind, pattern) for pattern in self.kinds)


async def append(
    connection: Connection,
    kind: str,
    *,
    system: str = "",
    subject: str = "",
    project: str = "",
    job: str = "",
    data: Mapping[str, Json] | None = None,
) -> None:
    """Write an event in the transaction of what it tells of. ``project`` "": only who sees all projects sees it.
    ``data`` holds no secrets."""
    row = {
        "time": round(time.time(), 3),
        "kind": kind,
        "system": system,
        "subject": subject[:128],
        "project": project,
        "job": job,
        "data": dict(data or {}),
    }
    await _lock(connection)
    ((number,),) = await connection.run(_NEW, row)
    await _sweep(connection, int(number))


async def _lock(connection: Connection) -> None:
    """Writers go one after the other until their transactions end, so numbers become visible in their order."""
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


async def _sweep(connection: Connection, newest: int) -> None:
    if newest % _SWEEP_EVERY == 0:
        await connection.execute(sa.delete(events).where(events.c.id <= newest - KEPT))


class Events:
    """Reads the events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self) -> int:
        """The number of the last event; 0 when there was none yet."""
        async with self._database.read() as connection:
            return int((await connection.execute(sa.select(sa.func.max(events.c.id)))).scalar() or 0)

    async def oldest(self) -> int:
        """The number of the first event that is kept; 0 when there is none."""
        async with self._database.read() as connection:
            return int((await connection.execute(sa.select(sa.func.min(events.c.id)))).scalar() or 0)

    async def behind(self, number: int, wanted: Wanted, limit: int = _PAGE) -> tuple[Sequence[Event], int]:
        """The wanted events among the next ``limit`` behind ``number``, and the number that was read up to."""
        query = sa.select(events).where(events.c.id > number).order_by(events.c.id).limit(limit)
        if wanted.projects is not None:
            query = query.where(events.c.project.in_(wanted.projects))
        if wanted.system:
            query = query.where(events.c.system == wanted.system)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        found = [Event(**row) for row in rows]
        return [event for event in found if wanted.has(event)], found[-1].id if found else number

    async def follow(
        self, number: int, wanted: Wanted, *, over: Callable[[], bool], quiet: float = 15.0
    ) -> AsyncIterator[Event | None]:
        """The wanted events behind ``number`` as they come, until ``over``; None after ``quiet`` seconds without
        one."""
        told = time.monotonic()
        while not over():
            found, number = await self.behind(number, wanted)
            for event in found:
                yield event
            if found:
                told = time.monotonic()
                continue
            if time.monotonic() - told >= quiet:
                told = time.monotonic()
                yield None
            await asyncio.sleep(_LOOK)
