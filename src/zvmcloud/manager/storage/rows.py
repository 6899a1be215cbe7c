"""Pools, LUNs, volumes and attachments, read and changed within a caller's transaction.

Writers queue, also those of several managers (manager/database.py): what is read in a write transaction holds until it
is over.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import BadInput, Conflict, NotFound
from zvmcloud.manager.storage.homes import homes_of
from zvmcloud.manager.storage.pool_file import Lun
from zvmcloud.manager.tables import attachments, pool_luns, volume_pools, volumes

GB = 1024
"""Megabytes of the pool file in one gigabyte of a volume; both are binary, 2**20 and 2**30 bytes."""
WIPES = ("none", "discard", "zero")
AVAILABLE, CREATING, DELETING, WRITING, ERROR = "available", "creating", "deleting", "writing", "error"
IN_USE = "in-use"
"""What is shown of an available volume that is attached."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_POOL = re.compile(r"[a-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of LUNs. ``wipe``: what becomes of the bytes of a volume that is deleted."""

    home: str
    name: str
    wipe: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A guest that has a volume, through FCP devices. ``claimed``: its job has not come to it yet."""

    system: str
    userid: str
    fcps: tuple[str, ...]
    template: str
    boot: bool
    mount_point: str
    job: str
    claimed: bool


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume on its LUN. ``state``: creating, available, writing, deleting, error (what is on it is not what was
    asked for). ``job``: that works on it."""

    home: str
    name: str
    pool: str
    lun: Lun
    size_gb: int
    state: str
    shared: bool
    source: str
    image: str
    project: str
    tags: Mapping[str, str]
    created: float
    job: str
    claimed: bool
    attachments: tuple[Attachment, ...]

    @property
    def shown_state(self) -> str:
        """As callers know it: an available volume that is attached is in use."""
        return IN_USE if self.state == AVAILABLE and self.attachments else self.state

    def of(self, system: str, userid: str) -> Attachment | None:
        """The attachment to a guest."""
        return next((item for item in self.attachments if (item.system, item.userid) == (system, userid)), None)


def volume_name(name: str, field: str = "name") -> str:
    """Raises BadInput."""
    if not _NAME.fullmatch(name):
        raise BadInput(field, name, "a small letter or digit, then up to 63 of those, '_', '.' and '-'")
    return name


def pool_name(name: str) -> str:
    """The name of a pool in lower case, as zHCP's files have it. Raises BadInput."""
    if not _POOL.fullmatch(name.lower()):
        raise BadInput("pool", name, "1 to 64 letters, digits, '_', '.' and '-'")
    return name.lower()


async def pools(connection: Connection, system: str) -> dict[str, Pool]:
    """The pools that a system reaches, by name; its own counts before its cluster's."""
    homes = (await homes_of(connection, system)).own
    query = sa.select(volume_pools).where(volume_pools.c.home.in_(homes))
    found = [Pool(row["home"], row["pool"], row["wipe"]) for row in (await connection.execute(query)).mappings()]
    found.sort(key=lambda item: (item.name, item.home != system))
    return {item.name: item for item in reversed(found)}


async def pool(connection: Connection, system: str, name: str) -> Pool:
    """Raises BadInput, NotFound (volume-pool-unknown)."""
    found = (await pools(connection, system)).get(pool_name(name))
    if found is None:
        raise NotFound(
            f"{system} has no volume pool {name}",
            code="volume-pool-unknown",
            remedy="see the pools of the system, or import one",
            subject=name,
        )
    return found


async def luns(connection: Connection, home: str, name: str | None = None) -> dict[str, Lun]:
    """The LUNs of a pool by name, or of all pools of a home."""
    query = sa.select(pool_luns).where(pool_luns.c.home == home)
    if name is not None:
        query = query.where(pool_luns.c.pool == name)
    found = (await connection.execute(query.order_by(pool_luns.c.name))).mappings()
    return {row["name"]: lun_of(row) for row in found}


async def luns_by_pool(connection: Connection, home: str) -> tuple[tuple[str, Lun], ...]:
    """The LUNs of all pools of a home, each with its pool's name."""
    query = sa.select(pool_luns).where(pool_luns.c.home == home).order_by(pool_luns.c.name)
    return tuple((row["pool"], lun_of(row)) for row in (await connection.execute(query)).mappings())


async def one_lun(connection: Connection, pool: Pool, name: str) -> Lun:
    """A LUN of a pool. Raises NotFound (lun-unknown)."""
    found = (await luns(connection, pool.home, pool.name)).get(name.lower())
    if found is None:
        raise NotFound(
            f"pool {pool.name} has no LUN {name}", code="lun-unknown", remedy="see the pool's LUNs", subject=name
        )
    return found


def lun_used(lun: Lun) -> Conflict:
    """A LUN that has a volume, or is reserved, is not to be had."""
    return Conflict(
        f"LUN {lun.name} is {lun.state}{f' by {lun.owner}' if lun.owner else ''}",
        code="lun-used",
        remedy="delete or release its volume, free it, or choose another",
        subject=lun.name,
    )


async def volumes_of(connection: Connection, homes: Collection[str], *names: str) -> dict[tuple[str, str], Volume]:
    """The volumes of some homes by home and name; with ``names`` only those so named."""
    query = sa.select(volumes).where(volumes.c.home.in_(homes)).order_by(volumes.c.name, volumes.c.home)
    if names:
        query = query.where(volumes.c.name.in_(names))
    rows = (await connection.execute(query)).mappings().all()
    return {(item.home, item.name): item for item in await whole(connection, rows)}


async def whole(connection: Connection, rows: Sequence[sa.RowMapping]) -> tuple[Volume, ...]:
    """Rows of volumes with their LUNs and attachments."""
    if not rows:
        return ()
    homes = {row["home"] for row in rows}
    wanted = sa.select(pool_luns).where(pool_luns.c.home.in_(homes), pool_luns.c.name.in_({row["lun"] for row in rows}))
    disks = {(row["home"], row["name"]): row for row in (await connection.execute(wanted)).mappings()}
    having = sa.select(attachments).where(
        attachments.c.home.in_(homes), attachments.c.volume.in_({row["name"] for row in rows})
    )
    having = having.order_by(attachments.c.created, attachments.c.system, attachments.c.userid)
    guests: dict[tuple[str, str], list[Attachment]] = {}
    for row in (await connection.execute(having)).mappings():
        guests.setdefault((row["home"], row["volume"]), []).append(_attachment(row))
    return tuple(
        Volume(
            home=row["home"],
            name=row["name"],
            pool=disks[row["home"], row["lun"]]["pool"],
            lun=lun_of(disks[row["home"], row["lun"]]),
            size_gb=row["size_gb"],
            state=row["state"],
            shared=row["shared"],
            source=row["source"],
            image=row["image"],
            project=row["project"],
            tags=row["tags"],
            created=row["created"],
            job=row["job"],
            claimed=row["claimed"],
            attachments=tuple(guests.get((row["home"], row["name"]), ())),
        )
        for row in rows
    )


async def volume(connection: Connection, system: str, name: str) -> Volume:
    """A volume that a system reaches. Raises NotFound (volume-unknown)."""
    homes = (await homes_of(connection, system)).own
    for found in (await volumes_of(connection, homes, name)).values():
        return found
    raise NotFound(f"{system} has no volume {name}", code="volume-unknown", subject=name)


async def at_home(connection: Connection, home: str, name: str) -> Volume | None:
    """A volume of one home."""
    return (await volumes_of(connection, (home,), name)).get((home, name))


async def behind(connection: Connection, lun: str, wwpns: Collection[str]) -> tuple[Volume | None, ...]:
    """What the LUN of this number behind any of these target ports is, in each pool of any home that has it, since the
    name of a port is one in the world: its volume, or None where it is free or reserved. ``lun``, ``wwpns``: 16
    hexadecimal digits in lower case."""
    query = sa.select(pool_luns).where(pool_luns.c.lun == lun)
    rows = (await connection.execute(query.order_by(pool_luns.c.home))).mappings().all()
    found: list[Volume | None] = []
    for row in rows:
        if set(wwpns) & set(row["wwpns"]):
            named = sa.select(volumes).where(volumes.c.home == row["home"], volumes.c.lun == row["name"])
            found += await whole(connection, (await connection.execute(named)).mappings().all()) or (None,)
    return tuple(found)


async def of_guest(connection: Connection, system: str, userid: str) -> tuple[Volume, ...]:
    """The volumes that a guest has, in the order of their names."""
    mine = sa.select(attachments.c.home, attachments.c.volume).where(
        attachments.c.system == system, attachments.c.userid == userid
    )
    found = []
    for row in (await connection.execute(mine.order_by(attachments.c.volume))).all():
        item = await at_home(connection, row.home, row.volume)
        if item is not None:
            found.append(item)
    return tuple(found)


async def must_be_new(connection: Connection, system: str, name: str) -> None:
    """Raises BadInput, Conflict (volume-exists)."""
    family = (await homes_of(connection, system)).family
    for found in (await volumes_of(connection, family, volume_name(name))).values():
        raise Conflict(
            f"{found.home} has a volume {name} already",
            code="volume-exists",
            remedy="choose another name",
            subject=name,
        )


def smallest(found: Mapping[str, Lun], pool: str, size_mb: int) -> Lun:
    """The smallest free LUN that is large enough. Raises Conflict (volume-pool-full)."""
    free = [item for item in found.values() if item.state == "free"]
    fitting = [item for item in free if item.size_mb >= size_mb]
    if not fitting:
        largest = max((item.size_mb for item in free), default=0)
        raise Conflict(
            f"pool {pool} has no free LUN of {size_mb} MB; the largest free one has {largest} MB",
            code="volume-pool-full",
            remedy="add LUNs to the pool, delete volumes, free reserved LUNs, or ask for less",
            subject=pool,
        )
    return min(fitting, key=lambda item: (item.size_mb, item.name))


async def change_lun(connection: Connection, home: str, name: str, state: str, *, owner: str = "") -> None:
    """Set the state of a LUN."""
    key = (pool_luns.c.home == home, pool_luns.c.name == name)
    await connection.execute(sa.update(pool_luns).where(*key).values(state=state, owner=owner))


async def change_volume(connection: Connection, volume: Volume, **values: object) -> None:
    """Set columns of a volume."""
    key = (volumes.c.home == volume.home, volumes.c.name == volume.name)
    await connection.execute(sa.update(volumes).where(*key).values(**values))


def lun_of(row: sa.RowMapping) -> Lun:
    """The LUN of a row."""
    return Lun(
        row["state"], tuple(row["wwpns"]), row["lun"], row["size_mb"], row["devices"], row["owner"], tag=row["tag"]
    )  # fmt: skip


def lun_row(home: str, pool: str, lun: Lun) -> dict[str, object]:
    """The row of a LUN."""
    return {
        "home": home, "name": lun.name, "pool": pool, "state": lun.state, "wwpns": list(lun.wwpns), "lun": lun.lun,
        "size_mb": lun.size_mb, "devices": lun.devices, "owner": lun.owner, "tag": lun.tag,
    }  # fmt: skip


def _attachment(row: sa.RowMapping) -> Attachment:
    return Attachment(
        row["system"], row["userid"], tuple(row["fcps"]), row["template"], row["boot"], row["mount_point"],
        row["job"], row["claimed"],
    )  # fmt: skip
