"""What each guest of ours was after the last job that changed it: what drift is measured from.

A guest gets a baseline at the first look after it became ours, and a new one after each job of ours that changed its
entry. A change from outside never moves it; adopting the guest again does.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from zvmcloud.manager.database import Connection
from zvmcloud.manager.inventory.seen import Row, places
from zvmcloud.manager.inventory.tables import baselines, entry_versions, seen_disks, seen_guests
from zvmcloud.manager.tables import guests, job_steps, jobs

_MINE = sa.and_(guests.c.system == seen_guests.c.system, guests.c.userid == seen_guests.c.userid)


async def keep(connection: Connection, system: str, now: float, only: Sequence[str] | None = None) -> None:
    """Guests of ours that have no baseline get what was seen last; guests that are not ours any more lose theirs.
    ``only``: among these."""
    table, seen = baselines.c, seen_guests.c
    ours = sa.select(guests.c.userid).where(guests.c.system == system)
    lost = sa.delete(baselines).where(table.system == system, table.userid.not_in(ours))
    kept = sa.select(table.userid).where(table.system == system)
    query = (
        sa.select(seen.userid, seen.digest, seen.state)
        .join(guests, _MINE)
        .where(seen.system == system, seen.gone.is_(None), seen.userid.not_in(kept))
    )
    if only is not None:
        lost, query = lost.where(table.userid.in_(only)), query.where(seen.userid.in_(only))
    await connection.execute(lost)
    lacking = (await connection.execute(query)).all()
    if not lacking:
        return
    among = [row.userid for row in lacking] if len(lacking) < _FEW else None
    versions = await _latest(connection, system, among)
    disks = await _disks(connection, system, among)
    await connection.execute(
        sa.insert(baselines),
        [
            {
                "system": system,
                "userid": row.userid,
                "digest": row.digest,
                "version": versions.get(row.userid, 0),
                "state": row.state,
                "disks": places(disks.get(row.userid, [])),
                "at": now,
            }
            for row in lacking
        ],
    )


_FEW = 100


async def forget(connection: Connection, system: str, userids: Sequence[str]) -> None:
    """These get a new baseline at the next :func:`keep`."""
    for at in range(0, len(userids), _FEW):
        some = userids[at : at + _FEW]
        await connection.execute(sa.delete(baselines).where(baselines.c.system == system, baselines.c.userid.in_(some)))


async def keep_state(
    connection: Connection, system: str, userids: Sequence[str], kinds: Sequence[str], now: float
) -> None:
    """After a job of ours with steps of these kinds (logging on and off) a guest is as it should be."""
    table, seen = baselines.c, seen_guests.c
    query = (
        sa.select(jobs.c.userid)
        .join(job_steps, job_steps.c.job_id == jobs.c.id)
        .join(baselines, sa.and_(table.system == jobs.c.system, table.userid == jobs.c.userid))
        .where(jobs.c.system == system, jobs.c.userid.in_(userids), jobs.c.finished >= table.at)
        .where(job_steps.c.kind.in_(kinds), job_steps.c.attempts > 0)
        .distinct()
    )
    left = list((await connection.execute(query)).scalars())
    if left:
        state = sa.select(seen.state).where(seen.system == table.system, seen.userid == table.userid).scalar_subquery()
        own = (table.system == system, table.userid.in_(left))
        await connection.execute(sa.update(baselines).where(*own).values(state=state, at=now))


async def _latest(connection: Connection, system: str, among: Sequence[str] | None) -> dict[str, int]:
    table = entry_versions.c
    query = sa.select(table.userid, sa.func.max(table.number)).where(table.system == system).group_by(table.userid)
    if among is not None:
        query = query.where(table.userid.in_(among))
    return {row[0]: row[1] for row in await connection.execute(query)}


async def _disks(connection: Connection, system: str, among: Sequence[str] | None) -> dict[str, list[Row]]:
    query = sa.select(seen_disks).where(seen_disks.c.system == system)
    if among is not None:
        query = query.where(seen_disks.c.userid.in_(among))
    found: dict[str, list[Row]] = {}
    for row in (await connection.execute(query)).mappings():
        found.setdefault(row["userid"], []).append(dict(row))
    return found
