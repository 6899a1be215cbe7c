"""Pools of LUNs: which are free, reserved for somebody, or used by a guest.

Each change is one transaction that names what it expects: a LUN that another took in the meantime is not taken twice.
What guests do with LUNs is planned in `scsi_plans`; here are the rows.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from zvmcloud.manager import fcp_rows, scsi_file
from zvmcloud.manager.core import Core, userid
from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import BadInput, Conflict, NotFound
from zvmcloud.manager.scsi_file import PoolFileError, Volume
from zvmcloud.manager.tables import scsi_volumes

_POOL = re.compile(r"[a-z0-9_.-]{1,64}")
_FILE_LIMIT = 16 * 2**20
_LONGEST = 366 * 86400


class ScsiPools:
    """The LUNs of every system."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def pools(self, system: str) -> dict[str, Counter[str]]:
        """Every pool with the number of its LUNs in each state."""
        query = sa.select(scsi_volumes.c.pool, scsi_volumes.c.state, sa.func.count())
        query = query.where(scsi_volumes.c.system == system).group_by(scsi_volumes.c.pool, scsi_volumes.c.state)
        found: dict[str, Counter[str]] = {}
        async with self._core.database.read() as connection:
            for pool, state, number in await connection.execute(query.order_by(scsi_volumes.c.pool)):
                found.setdefault(pool, Counter())[state] = number
        return found

    async def volumes(self, system: str, pool: str) -> tuple[Volume, ...]:
        """The LUNs of a pool, by number and port. Raises NotFound (scsi-pool-unknown)."""
        async with self._core.database.read() as connection:
            found = await rows(connection, system, pool_name(pool))
        if not found:
            raise NotFound(f"{system} has no SCSI pool {pool}", code="scsi-pool-unknown", subject=pool)
        return tuple(found.values())

    async def export(self, system: str, pool: str) -> str:
        """The pool as zHCP's file. Raises NotFound (scsi-pool-unknown)."""
        return scsi_file.render(await self.volumes(system, pool))

    async def load(self, system: str, pool: str, text: str) -> tuple[Volume, ...]:
        """Take the LUNs of a pool file over: new ones, and changes of those that no guest has by this manager's doing.

        LUNs that the file does not name stay. All or nothing: raises BadInput that names every wrong line, Conflict
        (scsi-volume-used, scsi-volume-elsewhere).
        """
        name = pool_name(pool)
        if len(text) > _FILE_LIMIT:
            raise BadInput("file", f"{len(text)} characters", f"at most {_FILE_LIMIT}")
        try:
            wanted = scsi_file.parse(text)
        except PoolFileError as error:
            raise BadInput("file", name, str(error)) from error
        async with self._core.database.write() as connection:
            query = sa.select(scsi_volumes).where(scsi_volumes.c.system == system)
            there = [(row["pool"], _volume(row)) for row in (await connection.execute(query)).mappings()]
            known = {(volume.lun, port): (where, volume) for where, volume in there for port in volume.wwpns}
            for volume in wanted:
                twins = [known[volume.lun, port] for port in volume.wwpns if (volume.lun, port) in known]
                for where, twin in twins:
                    if where != name or twin.name != volume.name:
                        raise Conflict(
                            f"LUN {volume.lun} behind {', '.join(volume.wwpns)} is {twin.name} of pool {where} already",
                            code="scsi-volume-elsewhere",
                            remedy="take it out of one of the two",
                            subject=twin.name,
                        )
                    if twin.state == "used" and _without_limit(twin) != _without_limit(volume):
                        raise Conflict(
                            f"LUN {twin.name} is with {twin.owner}, and the file says otherwise",
                            code="scsi-volume-used",
                            remedy="detach it first, or correct the line",
                            subject=twin.name,
                        )
                if twins:
                    key = (scsi_volumes.c.system == system, scsi_volumes.c.volume == volume.name)
                    await connection.execute(sa.update(scsi_volumes).where(*key).values(_row(system, name, volume)))
                else:
                    await connection.execute(sa.insert(scsi_volumes), _row(system, name, volume))
        return wanted

    async def remove(self, system: str, volume: str) -> None:
        """Take a free LUN out of its pool. Raises NotFound (scsi-volume-unknown), Conflict (scsi-volume-used)."""
        async with self._core.database.write() as connection:
            _, found = await one(connection, system, volume)
            if found.state != "free":
                raise _not_free(found)
            await connection.execute(
                sa.delete(scsi_volumes).where(scsi_volumes.c.system == system, scsi_volumes.c.volume == found.name)
            )

    async def reserve(
        self, system: str, pool: str, guest: str, *, size_mb: int = 0, volume: str = "", seconds: int | None = None
    ) -> Volume:
        """Keep a LUN for a guest: the one named, or the smallest free one that is large enough.

        ``seconds`` after which it is free again unless it is attached; 0 for never, None for the setting. Raises
        BadInput, NotFound (scsi-pool-unknown, scsi-volume-unknown), Conflict (scsi-volume-used, scsi-pool-full).
        """
        owner = userid(guest)
        if seconds is not None and not 0 <= seconds <= _LONGEST:
            raise BadInput("seconds", seconds, f"0 to {_LONGEST}")
        until = self._core.settings.reserved_until() if seconds is None else time.time() + seconds if seconds else None
        async with self._core.database.write() as connection:
            found = await chosen(connection, system, pool, owner, size_mb=size_mb, volume=volume)
            await change(connection, system, found, "reserved", owner=owner, expires=until)
            return (await one(connection, system, found.name))[1]

    async def release(self, system: str, volume: str) -> Volume:
        """Give a reserved LUN back. Nothing on it is erased. Raises NotFound, Conflict (scsi-volume-used)."""
        async with self._core.database.write() as connection:
            _, found = await one(connection, system, volume)
            if found.state == "used":
                raise _not_free(found)
            await change(connection, system, found, "free")
            return (await one(connection, system, found.name))[1]

    async def expire(self, now: float | None = None) -> int:
        """Give back what was reserved and not attached in time, LUNs and FCP devices; how many they were."""
        now = time.time() if now is None else now
        async with self._core.database.write() as connection:
            ended = await connection.execute(
                sa.update(scsi_volumes)
                .where(scsi_volumes.c.state == "reserved", scsi_volumes.c.expires <= now)
                .values(state="free", owner="", expires=None)
            )
            return int(ended.rowcount) + await fcp_rows.expire(connection, now)


def pool_name(name: str) -> str:
    """The name of a pool in lower case, as zHCP's files have it. BadInput."""
    if not _POOL.fullmatch(name.lower()):
        raise BadInput("pool", name, "1 to 64 letters, digits, '_', '.' and '-'")
    return name.lower()


async def rows(connection: Connection, system: str, pool: str) -> dict[str, Volume]:
    """The LUNs of a pool by name."""
    query = sa.select(scsi_volumes).where(scsi_volumes.c.system == system, scsi_volumes.c.pool == pool)
    found = (await connection.execute(query.order_by(scsi_volumes.c.volume))).mappings()
    return {row["volume"]: _volume(row) for row in found}


async def one(connection: Connection, system: str, volume: str) -> tuple[str, Volume]:
    """A LUN and its pool. Raises NotFound (scsi-volume-unknown)."""
    key = (scsi_volumes.c.system == system, scsi_volumes.c.volume == volume.lower())
    row = (await connection.execute(sa.select(scsi_volumes).where(*key))).mappings().one_or_none()
    if row is None:
        raise NotFound(f"{system} has no LUN {volume} in a pool", code="scsi-volume-unknown", subject=volume)
    return row["pool"], _volume(row)


async def chosen(
    connection: Connection, system: str, pool: str, owner: str, *, size_mb: int = 0, volume: str = ""
) -> Volume:
    """The LUN named if it is free or reserved for the owner, else the smallest free one that is large enough.

    Raises BadInput, NotFound (scsi-pool-unknown, scsi-volume-unknown), Conflict (scsi-volume-used, scsi-pool-full).
    """
    if bool(size_mb) == bool(volume) or size_mb < 0:
        raise BadInput("size_mb", size_mb, "from 1 on, or the name of a volume instead")
    found = await rows(connection, system, pool_name(pool))
    if not found:
        raise NotFound(f"{system} has no SCSI pool {pool}", code="scsi-pool-unknown", subject=pool)
    if volume:
        named = found.get(volume.lower())
        if named is None:
            raise NotFound(f"pool {pool} has no LUN {volume}", code="scsi-volume-unknown", subject=volume)
        if named.state == "used" or (named.state == "reserved" and named.owner.upper() != owner):
            raise _not_free(named)
        return named
    fitting = [item for item in found.values() if item.state == "free" and item.size_mb >= size_mb]
    if not fitting:
        largest = max((item.size_mb for item in found.values() if item.state == "free"), default=0)
        raise Conflict(
            f"pool {pool} has no free LUN of {size_mb} MB; the largest free one has {largest} MB",
            code="scsi-pool-full",
            remedy="add LUNs to the pool, release reserved ones, or ask for less",
            subject=pool,
        )
    return min(fitting, key=lambda item: (item.size_mb, item.name))


async def change(
    connection: Connection,
    system: str,
    volume: Volume,
    state: str,
    *,
    owner: str = "",
    channels: Sequence[str] = (),
    expires: float | None = None,
) -> None:
    """Change a LUN that still is as ``volume`` says. Raises Conflict (scsi-volume-used) when it is not."""
    changed = await connection.execute(
        sa.update(scsi_volumes)
        .where(
            scsi_volumes.c.system == system,
            scsi_volumes.c.volume == volume.name,
            scsi_volumes.c.state == volume.state,
            scsi_volumes.c.owner == volume.owner,
        )
        .values(state=state, owner=owner, channels=list(channels), expires=expires)
    )
    if changed.rowcount != 1:
        raise _not_free(volume)


def _not_free(volume: Volume) -> Conflict:
    who = f" by {volume.owner}" if volume.owner else ""
    return Conflict(
        f"LUN {volume.name} is {volume.state}{who}",
        code="scsi-volume-used",
        remedy="detach or release it first, or choose another",
        subject=volume.name,
    )


def _without_limit(volume: Volume) -> tuple[object, ...]:
    return volume.state, volume.wwpns, volume.owner.upper(), volume.channels


def _row(system: str, pool: str, volume: Volume) -> dict[str, object]:
    return {
        "system": system,
        "volume": volume.name,
        "pool": pool,
        "state": volume.state,
        "wwpns": list(volume.wwpns),
        "lun": volume.lun,
        "size_mb": volume.size_mb,
        "devices": volume.devices,
        "owner": volume.owner,
        "channels": list(volume.channels),
        "tag": volume.tag,
        "expires": volume.expires,
    }


def _volume(row: sa.RowMapping) -> Volume:
    return Volume(
        row["state"],
        tuple(row["wwpns"]),
        row["lun"],
        row["size_mb"],
        row["devices"],
        row["owner"],
        tuple(row["channels"]),
        row["tag"],
        row["expires"],
    )
