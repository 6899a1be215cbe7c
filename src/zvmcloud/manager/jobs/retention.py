"""How long jobs that are over are kept: with their steps, calls, log, files, and what the engine wrote of them.

A tree goes as a whole, when its parent and all of its children have been over for so long. A job that runs (again, or
backwards) is not over. The audit, the history of entries and the events name jobs by their ids, and stay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import sqlalchemy as sa

from zvmcloud.manager.database import Database
from zvmcloud.manager.jobs.plan import FINAL
from zvmcloud.manager.tables import jobs

_AT_ONCE = 200
"""Jobs and their children that go in one transaction, so that nobody waits long."""


async def prune(
    database: Database,
    before: float,
    forget: Callable[[Sequence[str]], Awaitable[None]],
    discard: Callable[[str], Awaitable[None]],
) -> int:
    """Forget jobs that ended before that moment, in seconds since 1970; how many. ``forget`` has the engine forget
    runs, by their names; ``discard`` removes the files of a job. Both come first: whoever dies in between begins
    again."""
    gone = 0
    while roots := await _roots(database, before):
        query = sa.select(jobs.c.id, jobs.c.run).where(_of(roots))
        async with database.read() as connection:
            found = [(row.id, row.run) for row in await connection.execute(query)]
        await forget([name for job, run in found for name in (job, *(f"{job}.{again}" for again in range(1, run + 1)))])
        for job, _ in found:
            await discard(job)
        async with database.write() as connection:
            # What somebody has run again just now is not over any more.
            still = list((await connection.execute(_ended(before).where(jobs.c.id.in_(roots)))).scalars())
            gone += int((await connection.execute(sa.delete(jobs).where(_of(still)))).rowcount)
    return gone


async def _roots(database: Database, before: float) -> list[str]:
    """Some of the jobs without a parent that may go."""
    async with database.read() as connection:
        query = _ended(before).order_by(jobs.c.finished).limit(_AT_ONCE)
        return list((await connection.execute(query)).scalars())


def _ended(before: float) -> sa.Select[str]:
    child = jobs.alias()
    young = sa.or_(child.c.state.not_in(FINAL), child.c.finished >= before)
    open_child = sa.exists().where(child.c.parent == jobs.c.id, young)
    ended = (jobs.c.state.in_(FINAL), jobs.c.finished < before)
    return sa.select(jobs.c.id).where(*ended, jobs.c.parent.is_(None), ~open_child)


def _of(roots: Sequence[str]) -> sa.ColumnElement[bool]:
    """These jobs and their children."""
    return sa.or_(jobs.c.id.in_(roots), jobs.c.parent.in_(roots))
