"""Which systems there are: settings, and rows of the table that were added at run time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import sqlalchemy as sa

from zvmcloud.manager.agents import Agent
from zvmcloud.manager.core import Core
from zvmcloud.manager.errors import BadInput, Conflict, NotFound
from zvmcloud.manager.identity.audit import append
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.inventory import tables as seen
from zvmcloud.manager.settings import MOST_AT_ONCE, SettingsError, SystemSettings, checked_system
from zvmcloud.manager.systems.authority import Authority
from zvmcloud.manager.tables import guests, systems

SETTINGS, API, ENROLLED = "settings", "api", "enrolled"
_SEEN = (
    seen.sweeps,
    seen.seen_guests,
    seen.seen_disks,
    seen.seen_nics,
    seen.seen_resources,
    seen.entry_versions,
    seen.baselines,
    seen.drift,
    seen.marks,
    seen.certificates,
    seen.enrollments,
)


class Systems:
    """Adds, removes and describes systems."""

    def __init__(self, core: Core, authority: Authority, agent: Callable[[SystemSettings], Agent] = Agent) -> None:
        self._core = core
        self._authority = authority
        self._agent = agent
        self._known: dict[str, tuple[str, str]] = {}

    async def load(self) -> None:
        """Take systems over that were added, moved or removed at run time, by this manager or another one."""
        issued = seen.certificates.c
        query = (
            sa.select(systems, issued.sha256)
            .outerjoin(seen.certificates, issued.system == systems.c.name)
            .where(systems.c.origin != SETTINGS)
        )
        async with self._core.database.read() as connection:
            rows = {row.name: row for row in await connection.execute(query)}
        for name in [name for name in self._known if name not in rows]:
            del self._known[name]
            await self._core.agents.remove(name)
        for name, row in rows.items():
            reached = (row.url, (row.sha256 or "") if row.origin == ENROLLED else "")
            if self._core.settings.system(name) is None and self._known.get(name) != reached:
                if row.origin == ENROLLED:
                    await asyncio.to_thread(self._authority.ensure)
                await self._core.agents.remove(name)
                self._core.agents.add(self._agent(self._reached(name, *reached, row.origin)))
                self._known[name] = reached

    async def add(self, caller: Caller, name: str, url: str) -> None:
        """Add a system whose agent is at ``url`` already. Raises BadInput, Conflict (system-exists)."""
        system = self.checked(name, url)
        async with self._core.database.write() as connection:
            known = await connection.execute(sa.select(systems.c.name).where(systems.c.name == system.name))
            if known.first() is not None or self._core.settings.system(system.name) is not None:
                raise Conflict(
                    f"there is a system {system.name} already",
                    code="system-exists",
                    remedy="choose another name",
                    subject=system.name,
                )
            row = {"name": system.name, "url": url, "added": time.time(), "origin": API}
            await connection.execute(sa.insert(systems), row)
            await append(connection, caller, "system.add", system.name, detail={"url": url})
        await self.load()

    async def remove(self, caller: Caller, name: str) -> None:
        """Forget a system with all that was seen of it; z/VM and its agent stay as they are.

        Raises NotFound (system-unknown), Conflict (system-settings, system-used).
        """
        name = self._core.system(name)
        if self._core.settings.system(name) is not None:
            raise Conflict(
                f"system {name} is in the manager's settings",
                code="system-settings",
                remedy="take it out of the settings file and start the manager again",
                subject=name,
            )
        async with self._core.database.write() as connection:
            used = await connection.execute(sa.select(guests.c.userid).where(guests.c.system == name).limit(1))
            if used.first() is not None:
                raise Conflict(
                    f"guests of system {name} are managed here",
                    code="system-used",
                    remedy="delete or forget its guests first",
                    subject=name,
                )
            for table in _SEEN:
                await connection.execute(sa.delete(table).where(table.c.system == name))
            await connection.execute(sa.delete(systems).where(systems.c.name == name))
            await append(connection, caller, "system.remove", name)
        await self.load()

    async def limit(
        self, caller: Caller, name: str, *, directory_writers: int | None, image_copies: int | None
    ) -> None:
        """So many jobs at once change the directory of a system, and copy images there; 0 for what the settings say,
        None to leave it. Jobs that wait notice within a second. Raises NotFound (system-unknown), BadInput."""
        name = (await self.row(name))["name"]
        given = {"directory_writers": directory_writers, "image_copies": image_copies}
        values = {key: value for key, value in given.items() if value is not None}
        for key, value in values.items():
            if not 0 <= value <= MOST_AT_ONCE:
                raise BadInput(key, value, f"1 to {MOST_AT_ONCE}, or 0 for what the settings say")
        if not values:
            return
        async with self._core.database.write() as connection:
            stored = {key: value or None for key, value in values.items()}
            await connection.execute(sa.update(systems).where(systems.c.name == name).values(stored))
            await append(connection, caller, "system.change", name, detail=values)

    async def row(self, name: str) -> sa.RowMapping:
        """The row of a system. Raises NotFound (system-unknown)."""
        name = self._core.system(name)
        found = await _row(self._core, name)
        if found is None:
            raise NotFound(f"no z/VM system is named {name!r}", code="system-unknown", subject=name)
        return found

    def checked(self, name: str, url: str) -> SystemSettings:
        """A system as it would be. Raises BadInput."""
        try:
            return checked_system(name, url)
        except SettingsError as error:
            raise BadInput("system", name, str(error)) from error

    def _reached(self, name: str, url: str, fingerprint: str, origin: str) -> SystemSettings:
        if origin != ENROLLED:
            return SystemSettings(name, url)
        own = self._authority
        return SystemSettings(name, url, str(own.ca), str(own.certificate), str(own.key), fingerprint)


async def _row(core: Core, name: str) -> sa.RowMapping | None:
    async with core.database.read() as connection:
        query = sa.select(systems).where(systems.c.name == name)
        return (await connection.execute(query)).mappings().one_or_none()
