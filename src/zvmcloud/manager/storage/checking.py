"""A pool as it is recorded, against the jobs that worked on it and what z/VM has; and what of it can be mended.

    job-over        a job that is over holds a volume           mended: nobody holds it; what it wrote is in error
    lun-state       a LUN is used without a volume, or has one and is not
                                                                mended: reserved, or used
    guest-gone      z/VM does not have a guest that has it      mended: it is detached
    connections     a device counts fewer connections than there are attachments through it
                                                                mended: counted again
    not-dedicated   the guest's entry lacks a device            not mended: detach the volume and attach it again
    device-lost     the guest's entry dedicates a device that is another guest's now, such as one that z/VM gave
                    away in a relocation                        not mended: the same

Nothing on z/VM is changed, and no bytes are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa

from zvmcloud.manager import fcp_rows
from zvmcloud.manager.core import Core
from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import NotFound
from zvmcloud.manager.guests import Guests
from zvmcloud.manager.storage import rows, steps
from zvmcloud.manager.storage.pools import TOLD
from zvmcloud.manager.storage.rows import AVAILABLE, ERROR, Attachment, Pool, Volume
from zvmcloud.manager.tables import attachments

Entries = dict[tuple[str, str], dict[str, str] | None]
"""The devices that a guest's entry dedicates at which numbers, by system and userid; None for a guest that z/VM does
not have."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be. ``subject``: a volume, LUN or FCP device; ``mended``: it was mended."""

    kind: str
    subject: str
    detail: str
    mended: bool = False


class Checking:
    """Checks and mends pools."""

    def __init__(self, core: Core, guests: Guests) -> None:
        self._core = core
        self._guests = guests

    async def check(self, system: str, name: str, *, mend: bool) -> tuple[Finding, ...]:
        """What is wrong with a pool; with ``mend`` what could be mended is. Raises NotFound (volume-pool-unknown),
        AgentUnreachable."""
        async with self._core.database.read() as connection:
            pool = await rows.pool(connection, system, name)
            having = [item for one in await _volumes(connection, pool) for item in one.attachments]
        entries: Entries = {}
        for item in having:
            entries[item.system, item.userid] = await self._dedicated(item)
        found: list[Finding] = []
        async with self._core.database.write() as connection:
            for volume in await _volumes(connection, pool):
                found += await _held(connection, volume, mend=mend)
                for item in volume.attachments:
                    found += await _guest(connection, volume, item, entries, mend=mend)
            found += await _states(connection, pool, mend=mend)
            for one in sorted({item.system for item in having}):
                found += await _connections(connection, one, mend=mend)
            if mend:
                told = [f"{item.kind} {item.subject}" for item in found if item.mended]
                detail = {"mended": len(told), "names": told[:TOLD]}
                await fcp_rows.noted(connection, "volume-pool.repair", system, pool.name, **detail)
        return tuple(found)

    async def _dedicated(self, item: Attachment) -> dict[str, str] | None:
        try:
            facts = await self._guests.facts(item.system, item.userid)
        except NotFound:
            return None
        words = [line.upper().split() for line in facts.texts("entry")]
        found = [word for word in words if word[:1] == ["DEDICATE"] and len(word) > 2]
        return {word[1].zfill(4).lower(): word[2].zfill(4).lower() for word in found}


async def _volumes(connection: Connection, pool: Pool) -> list[Volume]:
    found = await rows.volumes_of(connection, (pool.home,))
    return [item for item in found.values() if item.pool == pool.name]


async def _held(connection: Connection, volume: Volume, *, mend: bool) -> list[Finding]:
    if not volume.job or volume.claimed or await steps.is_open(connection, volume.job):
        return []
    if mend:
        state = AVAILABLE if volume.state == AVAILABLE else ERROR
        await rows.change_volume(connection, volume, state=state, job="")
    detail = f"it is {volume.state} by job {volume.job}, which is over"
    return [Finding("job-over", volume.name, detail, mended=mend)]


async def _guest(
    connection: Connection, volume: Volume, item: Attachment, entries: Entries, *, mend: bool
) -> list[Finding]:
    whose = (item.system, item.userid)
    if whose not in entries or (item.job and await steps.is_open(connection, item.job)):
        return []
    dedicated = entries[whose]
    if dedicated is None:
        if mend:
            await steps.detach_rows(connection, volume, *whose)
        detail = f"{item.system} has no guest {item.userid}, which is recorded to have it"
        return [Finding("guest-gone", volume.name, detail, mended=mend)]
    found = []
    missing = [fcp for fcp in item.fcps if fcp not in dedicated]
    if missing:
        detail = f"the entry of {item.userid} at {item.system} does not have {', '.join(missing)}"
        found.append(Finding("not-dedicated", volume.name, detail))
    owners = {device.fcp: device.assigner for device in await fcp_rows.all_devices(connection, item.system)}
    for real in (dedicated[fcp] for fcp in item.fcps if fcp in dedicated):
        if owners.get(real, "") not in ("", item.userid):
            detail = (
                f"FCP device {real}, which the entry of {item.userid} at {item.system} dedicates, is {owners[real]}'s"
            )
            found.append(Finding("device-lost", volume.name, detail))
    return found


async def _states(connection: Connection, pool: Pool, *, mend: bool) -> list[Finding]:
    named = {item.lun.name: item.name for item in await _volumes(connection, pool)}
    found = []
    for name, lun in (await rows.luns(connection, pool.home, pool.name)).items():
        if (lun.state == "used") == (name in named):
            continue
        if mend:
            await rows.change_lun(connection, pool.home, name, "used" if name in named else "reserved")
        said = f"volume {named[name]} is on it" if name in named else "no volume is on it"
        found.append(Finding("lun-state", name, f"it is {lun.state}, and {said}", mended=mend))
    return found


async def _connections(connection: Connection, system: str, *, mend: bool) -> list[Finding]:
    """A device may count more: those that the connector's clients made."""
    query = sa.select(attachments.c.userid, attachments.c.fcps).where(attachments.c.system == system)
    users = Counter((fcp, row.userid) for row in (await connection.execute(query)).all() for fcp in row.fcps)
    found = []
    devices = await fcp_rows.all_devices(connection, system)
    held = {(item.at, item.assigner) for item in devices if item.assigner}
    for device in devices:
        counted = {
            userid: number
            for (fcp, userid), number in users.items()
            if fcp == device.at and (userid == device.assigner or (fcp, userid) not in held)
        }
        owner = device.assigner or next(iter(counted), "")
        if device.connections >= counted.get(owner, 0):
            continue
        if mend:
            values = {"assigner": owner, "connections": counted[owner]}
            await fcp_rows.set_devices(connection, system, [device.fcp], **values)
        detail = f"it counts {device.connections} connection(s) of {owner}, who has {counted[owner]} through it"
        found.append(Finding("connections", device.fcp, detail, mended=mend))
    return found
