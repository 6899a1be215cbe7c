"""Looks at systems and writes down what is there: the whole of a system, or one guest after a job changed it.

Only what differs is written. A change of an entry becomes a version of its history, with the job that made it when one
of ours was changing that guest since the last look; else it came from outside.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import sqlalchemy as sa

from zvmcloud.manager.core import Core
from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.facts import Document
from zvmcloud.manager.inventory import baseline, drifting
from zvmcloud.manager.inventory.seen import Row, SeenEntry, entries, resources
from zvmcloud.manager.inventory.tables import (
    entry_versions,
    seen_disks,
    seen_guests,
    seen_nics,
    seen_resources,
    sweeps,
)
from zvmcloud.manager.jobs.plan import Json
from zvmcloud.manager.tables import job_steps, jobs

Item = TypeVar("Item")

_CHUNK = 200
"""Rows written before others get their turn on the event loop."""
_KEPT = ("system", "userid", "first", "looked")
"""Columns that a change of an entry leaves as they are."""
READING = ("guest.start", "guest.stop", "guest.shutdown", "guest.reboot", "guest.reset", "guest.pause", "guest.unpause")
"""Operations of the agent that leave the directory entry alone, among those that a guest's jobs have."""
_UNTOUCHED = (*READING, "guest.relocate", "guest.send", "disk.write_image", "disk.read_image", "disk.erase")


@dataclass(slots=True)
class Found:
    """What differs from the last look."""

    new: list[SeenEntry] = field(default_factory=list)
    changed: list[SeenEntry] = field(default_factory=list)
    state: list[SeenEntry] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Whether anything differs."""
        return bool(self.new or self.changed or self.state or self.gone)

    @property
    def entries(self) -> list[SeenEntry]:
        """Those whose entry is new or another one."""
        return [*self.new, *self.changed]


class Sweeps:
    """Looks at systems. One look at a system at a time."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def known(self, system: str) -> int:
        """How many entries a system had at the last look at it."""
        query = sa.select(sa.func.count()).where(seen_guests.c.system == system, seen_guests.c.gone.is_(None))
        async with self._core.database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def look(self, system: str, ours: Sequence[str] = ()) -> Found:
        """Look at the whole of a system; ``ours``: guests that jobs of ours have just changed. Raises what asking its
        agent raises, after writing down that it failed."""
        async with self._core.exclusive(system, "inventory"):
            began = time.time()
            last = await self._last(system)
            try:
                asked = await self._core.agent(system).get("/v1/inventory", known=str(last["tag"]) if last else "")
            except ManagerError as error:
                await self._failed(system, error)
                raise
            answer = Document(asked)
            found = Found()
            async with self._core.database.write() as connection:
                if not answer.flag("unchanged"):
                    seen = list(entries(system, answer))
                    found = await _differences(connection, system, seen)
                    await self._write(connection, system, found, began, last)
                    await _resources(connection, system, resources(answer), began)
                await _done(connection, system, answer, began)
                await baseline.keep(connection, system, began)
                moved = {entry.userid for entry in (*found.state, *found.changed)}
                for part in _parts(sorted(moved.union(ours))):
                    await baseline.keep_state(connection, system, part, READING, began)
                await drifting.measure(connection, system, self._core.settings.inventory.ignore, began)
            return found

    async def look_at(self, system: str, *userids: str) -> Found:
        """Look at some guests, 200 at most, together: what they cost is one question, and one round of statements.

        Raises what asking the agent raises. A guest that has no entry is a fact.
        """
        async with self._core.exclusive(system, "inventory"):
            began = time.time()
            last = await self._last(system)
            answer = Document(await self._core.agent(system).get("/v1/inventory", userids=",".join(userids)))
            async with self._core.database.write() as connection:
                found = await _differences(connection, system, list(entries(system, answer)), userids)
                await self._write(connection, system, found, began, last)
                if found.any:  # the tag is that of a system that we know no longer
                    await connection.execute(sa.update(sweeps).where(sweeps.c.system == system).values(tag=""))
                own = (seen_guests.c.system == system, seen_guests.c.userid.in_(userids))
                await connection.execute(sa.update(seen_guests).where(*own).values(looked=began))
                await baseline.keep(connection, system, began, userids)
                await baseline.keep_state(connection, system, userids, READING, began)
                await drifting.measure(connection, system, self._core.settings.inventory.ignore, began, userids)
            return found

    async def _last(self, system: str) -> sa.RowMapping | None:
        async with self._core.database.read() as connection:
            query = sa.select(sweeps).where(sweeps.c.system == system)
            return (await connection.execute(query)).mappings().one_or_none()

    async def _failed(self, system: str, error: ManagerError) -> None:
        values = {"tried": time.time(), "error": error.problem()}
        async with self._core.database.write() as connection:
            await _put_sweep(connection, system, values)

    async def _write(
        self, connection: Connection, system: str, found: Found, now: float, last: sa.RowMapping | None
    ) -> None:
        since = float(last["at"]) if last is not None and last["at"] is not None else None
        await _forget_devices(connection, system, [entry.userid for entry in found.changed] + found.gone)
        await _guests(connection, system, found, now)
        await _insert(connection, seen_disks, (row for entry in found.entries for row in entry.disks))
        await _insert(connection, seen_nics, (row for entry in found.entries for row in entry.nics))
        causes = await _causes(connection, system, found, since)
        await _versions(connection, system, found, causes, now, first=since is None)
        await baseline.forget(connection, system, list(causes))


async def _differences(
    connection: Connection, system: str, seen: Sequence[SeenEntry], only: Sequence[str] | None = None
) -> Found:
    table = seen_guests.c
    query = sa.select(table.userid, table.digest, table.state, table.gone).where(table.system == system)
    if only is not None:
        query = query.where(table.userid.in_(only))
    known = {row.userid: row for row in await connection.execute(query)}
    found = Found()
    for entry in seen:
        before = known.pop(entry.userid, None)
        if before is None:
            found.new.append(entry)
        elif before.digest != entry.digest or before.gone is not None:
            found.changed.append(entry)
        elif before.state != entry.state:
            found.state.append(entry)
    found.gone = [userid for userid, row in known.items() if row.gone is None]
    return found


async def _guests(connection: Connection, system: str, found: Found, now: float) -> None:
    table = seen_guests.c
    times = {"first": now, "changed": now}
    await _insert(connection, seen_guests, ({**entry.guest, **times} for entry in found.new))
    key = (table.system == sa.bindparam("its_system"), table.userid == sa.bindparam("its_userid"))
    columns = [column.name for column in seen_guests.c if column.name not in _KEPT]
    update = sa.update(seen_guests).where(*key)
    for entry in found.changed:
        values = {**entry.guest, "changed": now, "gone": None}
        await connection.execute(
            update.values({name: sa.bindparam(f"new_{name}") for name in columns}),
            {"its_system": system, "its_userid": entry.userid, **{f"new_{name}": values[name] for name in columns}},
        )
    for entry in found.state:
        await connection.execute(update.values(state=entry.state), {"its_system": system, "its_userid": entry.userid})
    for userid in found.gone:
        values = {"gone": now, "changed": now, "state": "off"}
        await connection.execute(update.values(values), {"its_system": system, "its_userid": userid})


async def _forget_devices(connection: Connection, system: str, userids: Sequence[str]) -> None:
    for part in _parts(userids):
        for table in (seen_disks, seen_nics):
            await connection.execute(sa.delete(table).where(table.c.system == system, table.c.userid.in_(part)))


async def _causes(connection: Connection, system: str, found: Found, since: float | None) -> dict[str, str]:
    """The job that changed each entry, for those that one of our jobs was changing since the last look at them."""
    if since is None:
        return {}
    seen = seen_guests.c
    looked = sa.case((seen.looked > since, seen.looked), else_=since)
    causes: dict[str, str] = {}
    for part in _parts([entry.userid for entry in found.entries] + found.gone):
        query = (
            sa.select(jobs.c.userid, jobs.c.id)
            .join(job_steps, job_steps.c.job_id == jobs.c.id)
            .join(seen_guests, sa.and_(seen.system == jobs.c.system, seen.userid == jobs.c.userid))
            .where(
                jobs.c.system == system,
                jobs.c.userid.in_(part),
                sa.or_(jobs.c.finished.is_(None), jobs.c.finished >= looked),
                job_steps.c.attempts > 0,
                job_steps.c.kind.not_in(_UNTOUCHED),
                job_steps.c.kind.not_like("manager.%"),
            )
            .order_by(jobs.c.created)
        )
        causes.update({row.userid: row.id for row in await connection.execute(query)})
    return causes


async def _versions(
    connection: Connection, system: str, found: Found, causes: Mapping[str, str], now: float, *, first: bool
) -> None:
    """Write the new versions."""
    table = entry_versions.c
    userids = [entry.userid for entry in found.entries] + found.gone
    numbers: dict[str, int] = {}
    for part in _parts(userids):
        query = sa.select(table.userid, sa.func.max(table.number)).where(table.system == system, table.userid.in_(part))
        numbers.update({row[0]: row[1] for row in await connection.execute(query.group_by(table.userid))})
    numbers = {userid: numbers.get(userid, 0) + 1 for userid in userids}

    def version(userid: str, digest: str, texts: list[str], *, gone: bool) -> Row:
        job = causes.get(userid, "")
        return {
            "system": system,
            "userid": userid,
            "number": numbers[userid],
            "digest": digest,
            "entry": texts,
            "at": now,
            "cause": "job" if job else "first" if first else "outside",
            "job": job,
            "gone": gone,
        }

    made = (version(item.userid, item.digest, item.texts, gone=False) for item in found.entries)
    await _insert(connection, entry_versions, made)
    await _insert(connection, entry_versions, (version(userid, "", [], gone=True) for userid in found.gone))


async def _resources(
    connection: Connection, system: str, found: Mapping[str, Mapping[str, Mapping[str, Json]]], now: float
) -> None:
    table = seen_resources.c
    query = sa.select(table.kind, table.name, table.facts, table.gone).where(table.system == system)
    known = {(row.kind, row.name): row for row in await connection.execute(query)}
    new: list[Row] = []
    for kind, named in found.items():
        for name, facts in named.items():
            before = known.pop((kind, name), None)
            key = (table.system == system, table.kind == kind, table.name == name)
            if before is None:
                row = {"system": system, "kind": kind, "name": name, "facts": dict(facts), "first": now, "changed": now}
                new.append(row)
            elif before.facts != facts or before.gone is not None:
                values = {"facts": dict(facts), "changed": now, "gone": None}
                await connection.execute(sa.update(seen_resources).where(*key).values(values))
    await _insert(connection, seen_resources, new)
    for (kind, name), before in known.items():
        if kind in found and before.gone is None:
            key = (table.system == system, table.kind == kind, table.name == name)
            await connection.execute(sa.update(seen_resources).where(*key).values(gone=now))


async def _done(connection: Connection, system: str, answer: Document, began: float) -> None:
    now = time.time()
    values: dict[str, object] = {
        "at": began,
        "tried": began,
        "took_ms": round((now - began) * 1000, 1),
        "calls": answer.number("calls"),
        "tag": answer.text("tag"),
        "error": None,
    }
    if not answer.flag("unchanged"):
        values["source"] = f"{answer.text('userid')} at {answer.text('system')}"[:32]
        values["missing"] = dict(answer.document("missing").items())
    await _put_sweep(connection, system, values)


async def _put_sweep(connection: Connection, system: str, values: Mapping[str, object]) -> None:
    changed = await connection.execute(sa.update(sweeps).where(sweeps.c.system == system).values(**values))
    if not changed.rowcount:
        await connection.execute(sa.insert(sweeps), {"system": system, "missing": {}, **values})


async def _insert(connection: Connection, table: sa.Table, rows: Iterable[Row]) -> None:
    for part in _parts(list(rows)):
        await connection.execute(sa.insert(table), part)
        await asyncio.sleep(0)


def _parts(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    return (items[at : at + _CHUNK] for at in range(0, len(items), _CHUNK))
