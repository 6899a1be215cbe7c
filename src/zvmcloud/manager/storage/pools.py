"""What administrators do with pools of LUNs: import and export them, say how they are wiped and who shares them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from zvmcloud.manager import fcp_rows
from zvmcloud.manager.core import Core, userid
from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import BadInput, Conflict
from zvmcloud.manager.storage import pool_file, rows, steps
from zvmcloud.manager.storage.homes import PREFIX, Homes, homes_of
from zvmcloud.manager.storage.pool_file import Lun, PoolFileError
from zvmcloud.manager.storage.rows import AVAILABLE, GB, WIPES, Pool, Volume
from zvmcloud.manager.tables import attachments, pool_luns, volume_pools, volumes

_FILE_LIMIT = 16 * 2**20
TOLD = 100
"""Names that an entry of the audit has at most."""


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool with its LUNs by name, and their volumes by the LUN's name. ``systems``: that reach it."""

    pool: Pool
    systems: tuple[str, ...]
    luns: Mapping[str, Lun]
    volumes: Mapping[str, Volume]

    @property
    def shared(self) -> bool:
        return self.pool.home.startswith(PREFIX)

    @property
    def total_gb(self) -> int:
        return sum(lun.size_mb for lun in self.luns.values()) // GB

    @property
    def free_gb(self) -> int:
        return sum(lun.size_mb for lun in self.luns.values() if lun.state == "free") // GB

    def count(self, state: str) -> int:
        return sum(lun.state == state for lun in self.luns.values())


class VolumePools:
    """The pools of every system."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def pools(self, system: str) -> tuple[PoolView, ...]:
        """The pools that a system reaches, by name."""
        async with self._core.database.read() as connection:
            homes = await homes_of(connection, system)
            found = await rows.pools(connection, system)
            return tuple([await _view(connection, homes, found[name]) for name in sorted(found)])

    async def pool(self, system: str, name: str) -> PoolView:
        """Raises NotFound (volume-pool-unknown)."""
        async with self._core.database.read() as connection:
            return await _view(
                connection, await homes_of(connection, system), await rows.pool(connection, system, name)
            )

    async def export(self, system: str, name: str) -> str:
        """The pool as zHCP's file: a volume that is attached is used by its first guest, one that is not is reserved
        under its name. Raises NotFound (volume-pool-unknown)."""
        found = await self.pool(system, name)
        lines = [_line(lun, found.volumes.get(key)) for key, lun in found.luns.items()]
        return pool_file.render(lines)

    async def load(self, system: str, name: str, text: str, *, action: str = "volume-pool.import") -> PoolView:
        """Take the LUNs of a pool file or a table over: new ones, and changes of those without a volume.

        LUNs that it does not name stay; one that it says is used becomes a volume of that guest. All or nothing:
        raises BadInput that names every wrong line, Conflict (lun-used, lun-elsewhere). ``action``: what the audit
        calls it.
        """
        pool = rows.pool_name(name)
        if len(text) > _FILE_LIMIT:
            raise BadInput("file", f"{len(text)} characters", f"at most {_FILE_LIMIT}")
        try:
            wanted = pool_file.parse(text)
        except PoolFileError as error:
            raise BadInput("file", pool, str(error)) from error
        for lun in wanted:
            if lun.state == "used":
                userid(lun.owner, "owner")
        async with self._core.database.write() as connection:
            homes = await homes_of(connection, system)
            where = (await rows.pools(connection, system)).get(pool)
            if where is None:
                where = Pool(system, pool, WIPES[-1])
                await connection.execute(sa.insert(volume_pools), {"home": system, "pool": pool})
            await self._merge(connection, homes, where, wanted)
            names = [lun.name for lun in wanted[:TOLD]]
            await fcp_rows.noted(connection, action, system, pool, luns=len(wanted), names=names)
        return await self.pool(system, pool)

    async def _merge(self, connection: Connection, homes: Homes, pool: Pool, wanted: Sequence[Lun]) -> None:
        query = sa.select(pool_luns).where(pool_luns.c.home.in_(homes.family))
        there = [(row["home"], row["pool"], rows.lun_of(row)) for row in (await connection.execute(query)).mappings()]
        known = {(lun.lun, port): (home, name, lun) for home, name, lun in there for port in lun.wwpns}
        have = {item.lun.name: item for item in (await rows.volumes_of(connection, (pool.home,))).values()}
        for lun in wanted:
            twins = [known[lun.lun, port] for port in lun.wwpns if (lun.lun, port) in known]
            for home, name, twin in twins:
                if (home, name, twin.name) != (pool.home, pool.name, lun.name):
                    raise Conflict(
                        f"LUN {lun.lun} behind {', '.join(lun.wwpns)} is {twin.name} of pool {name} of {home} already",
                        code="lun-elsewhere",
                        remedy="take it out of one of the two; members of a cluster can share a pool",
                        subject=twin.name,
                    )
            volume = have.get(lun.name)
            if volume is not None:
                if _said(lun) != _said(_line(volume.lun, volume)):
                    raise Conflict(
                        f"LUN {lun.name} has volume {volume.name}, and the file says otherwise",
                        code="lun-used",
                        remedy="delete or release the volume first, or correct the line",
                        subject=lun.name,
                    )
                key = (pool_luns.c.home == pool.home, pool_luns.c.name == lun.name)
                changed = {"size_mb": lun.size_mb or volume.lun.size_mb, "devices": lun.devices}
                await connection.execute(sa.update(pool_luns).where(*key).values(**changed, tag=lun.tag))
                continue
            row = rows.lun_row(pool.home, pool.name, lun)
            if twins:
                key = (pool_luns.c.home == pool.home, pool_luns.c.name == lun.name)
                await connection.execute(sa.update(pool_luns).where(*key).values(**row))
            else:
                await connection.execute(sa.insert(pool_luns), row)
            if lun.state == "used":
                await self._taken_over(connection, homes.system, pool, lun)

    async def _taken_over(self, connection: Connection, system: str, pool: Pool, lun: Lun) -> None:
        """A LUN that a guest has already: a volume with the LUN's name, with the devices that the file names."""
        await rows.must_be_new(connection, system, lun.name)
        where = {"home": pool.home, "created": time.time()}
        volume = {**where, "name": lun.name, "lun": lun.name, "size_gb": lun.size_mb // GB, "state": AVAILABLE}
        await connection.execute(sa.insert(volumes), volume)
        guest = {**where, "volume": lun.name, "system": system, "userid": userid(lun.owner)}
        await connection.execute(sa.insert(attachments), {**guest, "fcps": list(lun.channels)})

    async def change(self, system: str, name: str, *, wipe: str | None, shared: bool | None) -> PoolView:
        """How volumes are wiped, and whether all members of the cluster reach the pool.

        Raises BadInput (wipe), NotFound (volume-pool-unknown), Conflict (no-cluster, lun-elsewhere, pool-exists,
        volume-exists, pool-used while guests of other members have volumes of it).
        """
        if wipe is not None and wipe not in WIPES:
            raise BadInput("wipe", wipe, ", ".join(WIPES))
        async with self._core.database.write() as connection:
            homes = await homes_of(connection, system)
            pool = await rows.pool(connection, system, name)
            if shared is not None:
                pool = await _moved(connection, homes, pool, homes.cluster if shared else system)
            if wipe is not None:
                key = (volume_pools.c.home == pool.home, volume_pools.c.pool == pool.name)
                await connection.execute(sa.update(volume_pools).where(*key).values(wipe=wipe))
            await fcp_rows.noted(connection, "volume-pool.set", system, pool.name, wipe=wipe, shared=shared)
        return await self.pool(system, name)

    async def remove(self, system: str, pool: str, lun: str) -> None:
        """Take a free LUN out of its pool. Raises NotFound (volume-pool-unknown, lun-unknown), Conflict (lun-used)."""
        async with self._core.database.write() as connection:
            where = await rows.pool(connection, system, pool)
            found = await rows.one_lun(connection, where, lun)
            if found.state != "free":
                raise rows.lun_used(found)
            key = (pool_luns.c.home == where.home, pool_luns.c.name == found.name)
            await connection.execute(sa.delete(pool_luns).where(*key))
            await fcp_rows.noted(connection, "volume-pool.remove", system, where.name, lun=found.name)

    async def free(self, system: str, pool: str, lun: str) -> Lun:
        """A reserved LUN can be handed out again, with the bytes that it has. Raises NotFound (volume-pool-unknown,
        lun-unknown), Conflict (lun-used)."""
        async with self._core.database.write() as connection:
            where = await rows.pool(connection, system, pool)
            found = await rows.one_lun(connection, where, lun)
            if found.state == "used":
                raise rows.lun_used(found)
            await rows.change_lun(connection, where.home, found.name, "free")
            await fcp_rows.noted(connection, "volume-pool.free", system, where.name, lun=found.name, was=found.state)
        return replace(found, state="free", owner="")

    async def expire(self, now: float | None = None) -> int:
        """Give back what jobs that are over claimed and did not come to, volumes and attachments, and FCP devices whose
        reservation has ended; how many."""
        now = time.time() if now is None else now
        async with self._core.database.write() as connection:
            return await steps.give_back(connection) + await fcp_rows.expire(connection, now)


async def _view(connection: Connection, homes: Homes, pool: Pool) -> PoolView:
    found = await rows.luns(connection, pool.home, pool.name)
    volumes = (await rows.volumes_of(connection, (pool.home,))).values()
    by_lun = {item.lun.name: item for item in volumes if item.pool == pool.name}
    systems = homes.members if pool.home.startswith(PREFIX) else (pool.home,)
    return PoolView(pool, systems, found, by_lun)


async def _moved(connection: Connection, homes: Homes, pool: Pool, home: str) -> Pool:
    """The pool at another home, with its LUNs, volumes and attachments."""
    if not home:
        raise Conflict(
            f"{homes.system} is in no SSI cluster that its agent told of",
            code="no-cluster",
            remedy="have the system looked at (system look), and its members joined",
            subject=pool.name,
        )
    if home == pool.home:
        return pool
    named = sa.select(volume_pools.c.home).where(volume_pools.c.pool == pool.name)
    if len((await connection.execute(named.where(volume_pools.c.home.in_(homes.family)))).all()) > 1:
        raise Conflict(
            f"another member of the cluster has a pool {pool.name} of its own",
            code="pool-exists",
            remedy="give one of them another name",
            subject=pool.name,
        )
    mine = [one for one in (await rows.volumes_of(connection, (pool.home,))).values() if one.pool == pool.name]
    names = [one.name for one in mine]
    far = sorted({item.system for one in mine for item in one.attachments} - {home})
    if far and not home.startswith(PREFIX):
        raise Conflict(
            f"guests at {', '.join(far)} have volumes of pool {pool.name}",
            code="pool-used",
            remedy="detach them first",
            subject=pool.name,
        )
    key = (volume_pools.c.home == pool.home, volume_pools.c.pool == pool.name)
    await connection.execute(sa.update(volume_pools).where(*key).values(home=home))
    luns = (pool_luns.c.home == pool.home, pool_luns.c.pool == pool.name)
    await connection.execute(sa.update(pool_luns).where(*luns).values(home=home))
    for table, column in ((volumes, volumes.c.name), (attachments, attachments.c.volume)):
        rest = (table.c.home == pool.home, column.in_(names))
        await connection.execute(sa.update(table).where(*rest).values(home=home))
    return replace(pool, home=home)


def _line(lun: Lun, volume: Volume | None) -> Lun:
    """A LUN as the pool file has it."""
    if volume is None:
        return lun
    if not volume.attachments:
        return replace(lun, state="reserved", owner=volume.name, channels=())
    first = volume.attachments[0]
    return replace(lun, state="used", owner=first.userid, channels=first.fcps)


def _said(lun: Lun) -> tuple[object, ...]:
    return lun.state, lun.wwpns, lun.owner.upper(), lun.channels
