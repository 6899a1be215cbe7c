"""Disk pools: what Image_Volume_Space_Query_DM says of a group of volumes, free and used.

    free (query 2, entry 3)   volume  device type  start  size  group  region
    used (query 3, entry 3)   nine words: volume  device type  start  size  owner  vdev  system  group  region

Sizes count cylinders (3390) or 512-byte blocks (9336). Source: reference/smapi/types.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zvmcloud.images.tracks import CYLINDER_DATA_BYTES
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.errors import AgentError, FieldError
from zvmcloud.zhcp.operations.context import Context

BLOCK_BYTES = 512
_LARGEST_3390 = 130_000
"""A device of unknown type with more units than this is taken for FBA, as clients in the field do."""
# What a z/VM answers when the pool has nothing of the kind asked for.
_NOTHING = ((420, 8), (420, 12))


@dataclass(frozen=True, slots=True)
class Extent:
    """A stretch of a volume. `owner` and `vdev` are empty when it is free."""

    volume: str
    device_type: str
    start: int
    size: int
    pool: str
    region: str = ""
    owner: str = ""
    vdev: str = ""

    @property
    def type(self) -> str:
        """ECKD or FBA."""
        if self.device_type.startswith("3390") or self.device_type.startswith("3380"):
            return "ECKD"
        if self.device_type.startswith(("9336", "FB")):
            return "FBA"
        return "FBA" if self.size > _LARGEST_3390 else "ECKD"

    @property
    def bytes(self) -> int:
        """What it holds."""
        return self.size * (CYLINDER_DATA_BYTES if self.type == "ECKD" else BLOCK_BYTES)


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool: its free and its used extents."""

    name: str
    free: tuple[Extent, ...]
    used: tuple[Extent, ...]

    @property
    def type(self) -> str:
        """ECKD or FBA, of the volumes in it."""
        extents = self.free or self.used
        return extents[0].type if extents else "ECKD"


def parse_free(records: Iterable[str]) -> tuple[Extent, ...]:
    """Free extents; lines of another form are skipped."""
    found = []
    for words in (record.split() for record in records):
        if len(words) >= 5 and words[2].isdigit() and words[3].isdigit():
            region = words[5] if len(words) > 5 else ""
            found.append(Extent(words[0], words[1], int(words[2]), int(words[3]), words[4], region))
    return tuple(found)


def parse_used(records: Iterable[str]) -> tuple[Extent, ...]:
    """Used extents; lines of another form are skipped."""
    found = []
    for words in (record.split() for record in records):
        if len(words) >= 8 and words[2].isdigit() and words[3].isdigit():
            region = words[8] if len(words) > 8 else ""
            pool = words[7]
            found.append(Extent(words[0], words[1], int(words[2]), int(words[3]), pool, region, words[4], words[5]))
    return tuple(found)


async def _records(context: Context, query_type: int, name: str) -> tuple[str, ...]:
    request = f.ImageVolumeSpaceQueryDM(target="MAINT", query_type=query_type, entry_type=3, entry_names=name)
    answer = await context.call(request, allow=_NOTHING)
    return answer.data.record_array if answer.rc == 0 and answer.data is not None else ()


async def pool(context: Context, name: str) -> Pool:
    """One pool. AgentError 404 `pool-unknown` when z/VM knows nothing of it, or the settings do not allow it."""
    allowed = context.settings.storage.pools
    if allowed and name not in allowed:
        raise unknown(name)
    free = tuple(e for e in parse_free(await _records(context, 2, name)) if e.pool == name)
    used = tuple(e for e in parse_used(await _records(context, 3, name)) if e.pool == name)
    if not free and not used:
        raise unknown(name)
    return Pool(name, free, used)


async def pools(context: Context) -> tuple[Pool, ...]:
    """Every pool of the system (of those the settings allow)."""
    free = parse_free(await _records(context, 2, "*"))
    used = parse_used(await _records(context, 3, "*"))
    names = sorted({extent.pool for extent in (*free, *used)} - {"*"})
    allowed = context.settings.storage.pools
    return tuple(
        Pool(name, tuple(e for e in free if e.pool == name), tuple(e for e in used if e.pool == name))
        for name in names
        if not allowed or name in allowed
    )


def unknown(name: str) -> AgentError:
    """The problem of a pool that there is not, or that the settings do not allow."""
    return AgentError(404, "pool-unknown", f"no disk pool {name} on this system", remedy="see GET /v1/pools")


def check_allowed(context: Context, disks: Sequence[NewDisk]) -> None:
    """Whether the settings let disks be made in these pools. AgentError 404 `pool-unknown`."""
    allowed = context.settings.storage.pools
    for disk in disks:
        for name in disk.pools or (disk.pool,):
            if allowed and not disk.vdisk_blocks and name not in allowed:
                raise unknown(name)


async def explain(context: Context, disks: Sequence[NewDisk]) -> None:
    """Why z/VM refused the first of these disks: its pool is unknown, of the other type, or has no room for them, each
    in one extent. AgentError 404 `pool-unknown`, 409 `pool-full`, FieldError; nothing when that is not it.

    Asked afterwards only: the records of a large pool are many, and z/VM refuses a disk that does not fit anyway.
    """
    first = disks[0]
    found = await pool(context, first.pool)
    if first.type != found.type:
        raise FieldError(f"disks.{first.vdev}.type", first.type, f"pool {first.pool} holds {found.type} volumes")
    free = [extent.size for extent in found.free if first.volume in ("", extent.volume)]
    where = f"volume {first.volume} of pool {first.pool}" if first.volume else f"pool {first.pool}"
    if max(free, default=0) < first.size_units:
        unit = "cylinders" if found.type == "ECKD" else "blocks"
        asked = sum(disk.size_units for disk in disks if disk.pool == first.pool and not disk.vdisk_blocks)
        raise AgentError(
            409,
            "pool-full",
            f"disk {first.vdev} of {first.size_units} {unit} does not fit {where}: {sum(free)} {unit} are "
            f"free, the largest extent has {max(free, default=0)}, and {asked} are asked for",
            remedy=f"free space in {where}, choose another pool, or ask for smaller disks",
        )
