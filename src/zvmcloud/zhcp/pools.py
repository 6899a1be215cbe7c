"""Disk pools: what Image_Volume_Space_Query_DM says of a group of volumes, free and used.

    free (query 2, entry 3)   volume  device type  start  size  group  region
    used (query 3, entry 3)   nine words: volume  device type  start  size  owner  vdev  system  group  region

Sizes count cylinders (3390) or 512-byte blocks (9336). Source: reference/smapi/types.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zvmcloud.images.tracks import CYLINDER_DATA_BYTES
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.errors import AgentError, FieldError
from zvmcloud.zhcp.messages import NewDisk
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
        raise _unknown(name)
    free = tuple(e for e in parse_free(await _records(context, 2, name)) if e.pool == name)
    used = tuple(e for e in parse_used(await _records(context, 3, name)) if e.pool == name)
    if not free and not used:
        raise _unknown(name)
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


def _unknown(name: str) -> AgentError:
    return AgentError(404, "pool-unknown", f"no disk pool {name} on this system", remedy="see GET /v1/pools")


async def check_space(context: Context, disks: tuple[NewDisk, ...]) -> None:
    """Whether each pool has room for its disks, each disk in one extent. AgentError 409 `pool-full`, FieldError."""
    wanted: dict[str, list[NewDisk]] = {}
    for disk in disks:
        if not disk.vdisk_blocks:
            wanted.setdefault(disk.pool, []).append(disk)
    for name, group in wanted.items():
        found = await pool(context, name)
        for disk in group:
            if disk.type != found.type:
                raise FieldError(f"disks.{disk.vdev}.type", disk.type, f"pool {name} holds {found.type} volumes")
        extents = sorted((extent.size for extent in found.free), reverse=True)
        unit = "cylinders" if found.type == "ECKD" else "blocks"
        for disk in sorted(group, key=lambda item: -item.size_units):
            if not extents or extents[0] < disk.size_units:
                largest = max((extent.size for extent in found.free), default=0)
                total = sum(extent.size for extent in found.free)
                raise AgentError(
                    409,
                    "pool-full",
                    f"disk {disk.vdev} of {disk.size_units} {unit} does not fit pool {name}: {total} {unit} are free, "
                    f"the largest extent has {largest}, and {sum(d.size_units for d in group)} are asked for",
                    remedy=f"free space in pool {name}, choose another pool, or ask for smaller disks",
                )
            extents[0] -= disk.size_units
            extents.sort(reverse=True)
