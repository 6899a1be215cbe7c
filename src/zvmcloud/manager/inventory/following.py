"""Hears of what happens in z/VM and looks there at once, so that a drift is found within a second or two.

Each system's agent is asked, one waiting question at a time, for what z/VM told (zhcp/happenings.py). An event says
where to look and nothing more: what is written down comes from looking. A guest that a job of ours is changing, or has
changed just now, is left out; the reconciler looks at it when the job is over.

With several managers each system is followed by one of the living ones, the same for all of them: the one with the
highest hash of its name with the system's. Whoever takes a system over looks at the whole of it first.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence

import sqlalchemy as sa

from zvmcloud.manager.core import Core
from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.facts import Document
from zvmcloud.manager.inventory.sweeps import Sweeps
from zvmcloud.manager.jobs.plan import OPEN
from zvmcloud.manager.tables import jobs

log = logging.getLogger(__name__)

_WAIT = 50
"""Seconds that a question waits at the agent."""
_MANY = 50
"""So many guests are looked at together, by name; for more the whole system is looked at, which takes some 11 calls."""
_GATHER = 0.5
"""Seconds between two questions when something was told: what is told together is looked at together."""
_PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds after a question that failed."""
_GUEST = ("logon", "logoff", "entry")
"""Kinds of events that are about one guest of this system."""


class Following:
    """One task for each system that this manager follows."""

    def __init__(self, core: Core, looks: Sweeps) -> None:
        self._core = core
        self._looks = looks
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def settle(self) -> None:
        """Follow the systems that are this manager's now, and no others."""
        mine = set(chosen(self._core.journal.node, await self._members(), self._core.agents.names))
        for name in [name for name in self._tasks if name not in mine]:
            await self._end(name)
        for name in mine:
            if name not in self._tasks or self._tasks[name].done():
                self._tasks[name] = asyncio.create_task(self._follow(name), name=f"events of {name}")

    async def close(self) -> None:
        """Follow none any more."""
        for name in list(self._tasks):
            await self._end(name)

    async def _end(self, name: str) -> None:
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.wait([task])

    async def _members(self) -> Sequence[str]:
        return await self._core.journal.membership.members() if self._core.database.shared else ()

    async def _follow(self, system: str) -> None:
        stream, last, failures = "", 0, 0
        while True:
            try:
                answer = Document(
                    await self._core.agent(system).get("/v1/events", stream=stream, after=last, wait=_WAIT)
                )
                await self._look(system, answer)
                stream, last, failures = answer.text("stream"), answer.number("last"), 0
                await asyncio.sleep(_GATHER if answer.documents("events") else 0)
            except ManagerError as error:
                log.info("the events of %s cannot be followed: %s", system, error.detail)
                await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1
            except Exception:
                log.exception("the events of %s cannot be followed", system)
                await asyncio.sleep(_PAUSES[-1])

    async def _look(self, system: str, answer: Document) -> None:
        told = answer.documents("events")
        if answer.flag("lost") or any(item.text("kind") not in _GUEST for item in told):
            await self._looks.look(system)
            return
        about = list(dict.fromkeys(item.text("userid") for item in told if item.text("userid")))
        ours = await self._changed(system) if about else frozenset[str]()
        about = [userid for userid in about if userid not in ours]
        if len(about) > _MANY:
            await self._looks.look(system)
            return
        if about:
            await self._looks.look_at(system, *about)

    async def _changed(self, system: str) -> frozenset[str]:
        """The guests that a job of ours changes, or has changed so that the reconciler will look at them."""
        query = sa.select(jobs.c.userid).where(jobs.c.system == system, jobs.c.state.in_(OPEN))
        async with self._core.database.read() as connection:
            return frozenset((await connection.execute(query)).scalars()) | self._core.journal.changed(system)


def chosen(me: str, members: Sequence[str], systems: Sequence[str]) -> tuple[str, ...]:
    """The systems that ``me`` follows when these are the living members; without members it is alone."""

    def weight(member: str, system: str) -> bytes:
        return hashlib.sha256(f"{member}\n{system}".encode()).digest()

    among = {*members, me}
    return tuple(name for name in systems if max(among, key=lambda member: weight(member, name)) == me)
