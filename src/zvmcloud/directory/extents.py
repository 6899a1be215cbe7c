"""Disk space of a system: volumes, the regions cut from them, the groups of regions, and who uses what.

Units are the device's own: cylinders on a 3390 (cylinder 0 holds the volume's label and is never given away), 512-byte
blocks on FBA (the first 16 blocks are kept). A region is one range of one volume; a group is a list of regions.

    AUTOG  first region of the group with a large enough gap       AUTOV  lowest gap of the volume
    AUTOR  lowest gap of the region                                number  exactly there, if it is free

`ExtentMap` is the index that answers where there is room. It refuses to allocate over anything in use; what a directory
entry already says (`occupy`) is taken as it is, because real directories contain overlapping full-volume minidisks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: First unit that minidisks may use.
RESERVED = {"3390": 1, "3380": 1, "9336": 16, "FB-512": 16}
#: Cylinders of the largest 3390, a Model A (IBM, "z/OS operating system support of EAV": a DS8800 defines them).
LARGEST_3390 = 1_182_006
#: Bytes of one unit: a 3390 cylinder of 15 tracks with twelve 4096-byte records each; an FBA block.
UNIT_BYTES = {"3390": 15 * 12 * 4096, "3380": 15 * 10 * 4096, "9336": 512, "FB-512": 512}


class SpaceError(ValueError):
    """There is no such area, no room in it, or the wanted place is taken; `reason` is a short word for programs."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


@dataclass(frozen=True, slots=True, order=True)
class Extent:
    """`size` units from `start` on volume `volser`."""

    volser: str
    start: int
    size: int

    @property
    def end(self) -> int:
        """The first unit after the extent."""
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class Volume:
    """A DASD volume: label, type with model (3390-0A, 9336-ET), size in units, real device number."""

    volser: str
    model: str
    size: int
    rdev: str = "0000"

    @property
    def device_type(self) -> str:
        """3390, 9336, ...: the type without the model."""
        return "FB-512" if self.model == "FB-512" else self.model.split("-", 1)[0]

    @property
    def first(self) -> int:
        return RESERVED.get(self.device_type, 1)


@dataclass(frozen=True, slots=True)
class Region:
    """A named range of one volume."""

    name: str
    volser: str
    start: int
    size: int

    @property
    def end(self) -> int:
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class Group:
    """A named list of regions, searched in order."""

    name: str
    regions: tuple[str, ...]
    method: str = "LINEAR"


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """A minidisk's place: an extent and the device that owns it."""

    start: int
    size: int
    owner: str
    vdev: str

    @property
    def end(self) -> int:
        return self.start + self.size


class ExtentMap:
    """Who uses which part of which volume; free gaps; allocation."""

    def __init__(self) -> None:
        self.volumes: dict[str, Volume] = {}
        self.regions: dict[str, Region] = {}
        self.groups: dict[str, Group] = {}
        self._used: dict[str, list[Use]] = {}
        self._longest: dict[str, int] = {}
        """By volume: no use of it is longer. What begins further before a position cannot reach it."""
        self._runs: dict[str, list[tuple[int, int]]] = {}
        """By volume: ranges without a gap, from and up to, in order; many minidisks side by side are one run."""

    # -- layout -------------------------------------------------------------------------------------------------------

    def add_volume(self, volume: Volume) -> None:
        self.volumes[volume.volser] = volume

    def add_region(self, region: Region) -> None:
        """Define a region. Raises SpaceError when the volume is unknown or the range is not on it."""
        volume = self.volumes.get(region.volser)
        if volume is None:
            raise SpaceError("unknown-volume", f"volume {region.volser} is not defined")
        if region.start < volume.first or region.size < 1 or region.end > volume.size:
            raise SpaceError(
                "off-volume",
                f"region {region.name}: {region.start} + {region.size} is not within {volume.first} to {volume.size}",
            )
        self.regions[region.name] = region

    def add_group(self, group: Group) -> None:
        """Define a group. Raises SpaceError when one of its regions is unknown."""
        for name in group.regions:
            if name not in self.regions:
                raise SpaceError("unknown-region", f"region {name} is not defined")
        self.groups[group.name] = group

    # -- use ----------------------------------------------------------------------------------------------------------

    def occupy(self, extent: Extent, owner: str, vdev: str) -> None:
        """Note that a minidisk has this place; overlaps are accepted."""
        volser = extent.volser
        insort(self._used.setdefault(volser, []), Use(extent.start, extent.size, owner, vdev))
        self._longest[volser] = max(self._longest.get(volser, 0), extent.size)
        runs = self._runs.setdefault(volser, [])
        start, end = extent.start, extent.end
        first = bisect_left(runs, start, key=lambda run: run[1])
        last = first
        while last < len(runs) and runs[last][0] <= end:
            start, end = min(start, runs[last][0]), max(end, runs[last][1])
            last += 1
        runs[first:last] = [(start, end)]

    def release(self, extent: Extent, owner: str, vdev: str) -> None:
        """Forget a place noted before. Raises KeyError when it was not."""
        used = self._used.get(extent.volser, [])
        use = Use(extent.start, extent.size, owner, vdev)
        position = bisect_left(used, use)
        if position >= len(used) or used[position] != use:
            raise KeyError(f"{owner} {vdev} does not use {extent}")
        del used[position]
        runs = self._runs[extent.volser]
        index = bisect_right(runs, extent.start, key=lambda run: run[0]) - 1
        begin, end = runs[index]
        parts = [(begin, extent.start)]
        parts += [(max(begin, use.start), min(end, use.end)) for use in self.used(extent.volser, use.start, use.end)]
        parts.append((extent.end, end))
        merged: list[tuple[int, int]] = []
        for low, high in parts:
            if low >= high:
                continue
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        runs[index : index + 1] = merged

    def used(self, volser: str, start: int = 0, end: int | None = None) -> Iterator[Use]:
        """What lies in the range of the volume, by position."""
        uses = self._used.get(volser, [])
        position = bisect_left(uses, start - self._longest.get(volser, 0), key=lambda use: use.start)
        while position < len(uses):
            use = uses[position]
            position += 1
            if end is not None and use.start >= end:
                break
            if use.end > start:
                yield use

    def used_in(self, region: Region) -> Iterator[Use]:
        return self.used(region.volser, region.start, region.end)

    def gaps(self, volser: str, start: int, end: int) -> Iterator[Extent]:
        """Free ranges between two positions of a volume, in order."""
        position = start
        runs = self._runs.get(volser, [])
        index = bisect_right(runs, start, key=lambda run: run[1])
        while index < len(runs) and runs[index][0] < end:
            first, after = runs[index]
            index += 1
            if first > position:
                yield Extent(volser, position, first - position)
            position = max(position, after)
        if position < end:
            yield Extent(volser, position, end - position)

    def free_in(self, region: Region) -> Iterator[Extent]:
        return self.gaps(region.volser, region.start, region.end)

    def regions_of(self, group: str) -> tuple[Region, ...]:
        """The regions of a group. Raises SpaceError when the group is unknown."""
        found = self.groups.get(group)
        if found is None:
            raise SpaceError("unknown-group", f"group {group} is not defined")
        return tuple(self.regions[name] for name in found.regions if name in self.regions)

    # -- allocation ---------------------------------------------------------------------------------------------------

    def allocate(self, method: str, area: str, size: int, device_type: str | None = None) -> Extent:
        """Find room for `size` units; nothing is occupied yet.

        `method` is AUTOG, AUTOR, AUTOV or a start position; `area` the group, the region, or the volume.
        `device_type` (3390, 9336) leaves out regions of another type; None or XXXX takes any.
        Raises SpaceError: unknown-group, unknown-region, unknown-volume, wrong-type, off-volume, taken, full.
        """
        if size < 1:
            raise SpaceError("size", f"size {size} is below 1")
        if method == "AUTOG":
            return self._first(self._typed(self.regions_of(area), device_type), size, f"group {area}")
        if method == "AUTOR":
            region = self.regions.get(area)
            if region is None:
                raise SpaceError("unknown-region", f"region {area} is not defined")
            return self._first(self._typed((region,), device_type), size, f"region {area}")
        volume = self.volumes.get(area)
        if volume is None:
            raise SpaceError("unknown-volume", f"volume {area} is not defined")
        whole = Region(area, area, volume.first, volume.size - volume.first)
        if method == "AUTOV":
            return self._first(self._typed((whole,), device_type), size, f"volume {area}")
        return self._at(volume, int(method), size)

    def _typed(self, regions: Iterable[Region], device_type: str | None) -> tuple[Region, ...]:
        if device_type in (None, "", "XXXX"):
            return tuple(regions)
        wanted = "9336" if device_type in ("9336", "FB-512", "FBA") else device_type
        found = tuple(
            region
            for region in regions
            if (
                "9336"
                if self.volumes[region.volser].device_type == "FB-512"
                else self.volumes[region.volser].device_type
            )
            == wanted
        )
        if not found:
            raise SpaceError("wrong-type", f"the area has no {device_type} space")
        return found

    def _first(self, regions: Iterable[Region], size: int, area: str) -> Extent:
        for region in regions:
            for gap in self.free_in(region):
                if gap.size >= size:
                    return Extent(gap.volser, gap.start, size)
        raise SpaceError("full", f"{area} has no free extent of {size}")

    def _at(self, volume: Volume, start: int, size: int) -> Extent:
        if start < volume.first or start + size > volume.size:
            raise SpaceError("off-volume", f"{start} + {size} is not within {volume.first} to {volume.size}")
        for use in self.used(volume.volser, start, start + size):
            raise SpaceError("taken", f"{volume.volser} {start} + {size} overlaps {use.owner} {use.vdev}")
        return Extent(volume.volser, start, size)
