"""Keeps the inventory true: looks at every system at an interval, at a guest when jobs of ours have changed it, and
where z/VM says that something happened (following.py).

A guest that a job made is often changed by the next ones, and a look costs about as much as a short job. So a look
waits for a pause between jobs, but not for long; and where jobs changed a good part of a system's guests, one look at
the whole of it, which asks z/VM for all entries at once, takes the place of one question for each.

It reports; it changes nothing. With several managers each system is looked at by one of them at a time, and each
manager looks at the guests of the jobs that it ran.
"""

from __future__ import annotations

import asyncio
import logging
import time

import sqlalchemy as sa

from zvmcloud.manager.core import Core
from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.inventory.following import Following
from zvmcloud.manager.inventory.sweeps import Sweeps
from zvmcloud.manager.inventory.tables import sweeps

log = logging.getLogger(__name__)

_TICK = 2.0
"""Seconds between two looks for jobs that have ended and systems that are due."""
_PAUSE, _LATEST = 1.0, 10.0
"""Seconds without the end of a job after which those that ended are followed, and the longest that this is put off."""
_MANY, _SHARE = 50, 4
"""So many changed guests, and at least one of so many of the system's, make a look at the whole of it cheaper."""
_TOGETHER = 50
"""Guests of a system looked at together: the statements of one look keep the event loop for some 10 ms."""
_AT_ONCE = 8
"""Systems looked at at the same time."""


class Reconciler:
    """The loop. ``settings.inventory.seconds`` 0 keeps it still."""

    def __init__(self, core: Core, looks: Sweeps) -> None:
        self._core = core
        self._looks = looks
        self._following = Following(core, looks)
        self._limit = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Go on until cancelled; what goes wrong once is logged and tried again."""
        if not self._core.settings.inventory.seconds:
            return
        try:
            while True:
                try:
                    first, last = self._core.journal.changes()
                    if last >= _PAUSE or first >= _LATEST:
                        await self.follow_jobs()
                    await self.look_at_due()
                    if self._core.settings.inventory.events:
                        await self._following.settle()
                except Exception:
                    log.exception("the inventory cannot be brought up to date")
                await asyncio.sleep(_TICK)
        finally:
            await self._following.close()

    async def follow_jobs(self) -> int:
        """Look at the guests of the jobs that have ended since the last call; how many those are. Those of one system
        are looked at together: beside many short jobs a look at each would cost more than the jobs."""
        changed = self._core.journal.take_changed()
        looks = []
        for system, userids in changed.items():
            names = sorted(userids)
            if len(names) >= _MANY and len(names) * _SHARE >= await self._looks.known(system):
                looks.append(self._look(system, *names, whole=True))
                continue
            looks += [self._look(system, *names[at : at + _TOGETHER]) for at in range(0, len(names), _TOGETHER)]
        await asyncio.gather(*looks)
        return sum(map(len, changed.values()))

    async def look_at_due(self) -> int:
        """Look at the systems whose last look is long enough ago; how many those are."""
        async with self._core.database.read() as connection:
            tried = {
                row.system: row.tried for row in await connection.execute(sa.select(sweeps.c.system, sweeps.c.tried))
            }
        old = time.time() - self._core.settings.inventory.seconds
        late = [system for system in self._core.agents.names if tried.get(system, 0.0) < old]
        due = [system for system in late if await self._claim(system)]
        await asyncio.gather(*(self._look(system) for system in due))
        return len(due)

    async def _look(self, system: str, *userids: str, whole: bool = False) -> None:
        """At these guests, or at the whole of a system; then the guests are those that jobs of ours changed."""
        async with self._limit:
            try:
                if whole:
                    await self._looks.look(system, userids)
                elif userids:
                    await self._looks.look_at(system, *userids)
                else:
                    await self._looks.look(system)
            except ManagerError as error:
                what = f"{len(userids)} guest(s) of {system}" if userids else system
                log.warning("%s cannot be looked at: %s", what, error.detail)

    async def _claim(self, system: str) -> bool:
        """Whether it is due and no other manager was faster."""
        now = time.time()
        table = sweeps.c
        old = now - self._core.settings.inventory.seconds
        try:
            async with self._core.database.write() as connection:
                known = await connection.execute(sa.select(table.tried).where(table.system == system))
                if known.first() is None:
                    await connection.execute(sa.insert(sweeps), {"system": system, "tried": now, "missing": {}})
                    return True
                mine = await connection.execute(
                    sa.update(sweeps).where(table.system == system, table.tried < old).values(tried=now)
                )
                return bool(mine.rowcount)
        except sa.exc.IntegrityError:
            return False
