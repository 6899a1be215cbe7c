"""Disk space: regions, groups, what is free and what is used. Columns as in the reference's types.md."""

from __future__ import annotations

from collections.abc import Iterator

from zvmcloud.directory import Group, Region, Volume
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.simulator.store import Collection
from zvmcloud.simulator.system import System
from zvmcloud.smapi import functions as f

DEFINITION, FREE, USED = 1, 2, 3
VOLUME, REGION, GROUP = 1, 2, 3
NOT_DEFINED = (420, 8)


@handles(f.ImageVolumeSpaceQueryDM, authority="recorded")
def image_volume_space_query_dm(call: Call, request: f.ImageVolumeSpaceQueryDM) -> Done:
    if request.query_type not in (DEFINITION, FREE, USED):
        raise Refused(24, 519)
    if request.entry_type not in (VOLUME, REGION, GROUP):
        raise Refused(24, 619)
    records = tuple(_records(call.system, request.query_type, request.entry_type, request.entry_names))
    return Done(f.ImageVolumeSpaceQueryDMReply(record_array=records))


@handles(f.ImageVolumeSpaceQueryExtendedDM, authority="recorded")
def image_volume_space_query_extended_dm(call: Call, request: f.ImageVolumeSpaceQueryExtendedDM) -> Done:
    if request.query_type not in ("1", "2", "3") or request.entry_type not in ("1", "2", "3"):
        raise Refused(8, 3003)
    query, entry = int(request.query_type), int(request.entry_type)
    records = tuple(_records(call.system, query, entry, request.entry_names or "*"))
    if query == USED and entry == REGION:
        # Recorded: here the region stands between two asterisks instead of behind them.
        records = tuple(" ".join([*words[:7], words[8], words[7]]) for words in (line.split() for line in records))
    return Done(f.ImageVolumeSpaceQueryExtendedDMReply(record_array=records))


def _records(system: System, query: int, entry: int, names: str) -> Iterator[str]:
    wanted = names.upper().split()
    tables: dict[int, Collection[Volume] | Collection[Region] | Collection[Group]]
    tables = {VOLUME: system.volumes, REGION: system.regions, GROUP: system.groups}
    known = tables[entry]
    chosen = sorted(known) if not wanted or wanted == ["*"] else wanted
    for name in chosen:
        if name not in known:
            raise Refused(*NOT_DEFINED)
        if query == DEFINITION:
            yield _definition(system, entry, name)
        elif entry == GROUP:
            for region in system.space.regions_of(name):
                yield from _extents(system, query, region, name)
        elif entry == REGION:
            yield from _extents(system, query, system.regions[name], "")
        else:
            yield from _volume_extents(system, query, name)


def _definition(system: System, entry: int, name: str) -> str:
    if entry == VOLUME:
        volume = system.volumes[name]
        return f"{volume.volser} {volume.model} {volume.size}"
    if entry == REGION:
        region = system.regions[name]
        return f"{region.name} {region.volser} {system.volumes[region.volser].model} {region.start} {region.size}"
    return " ".join((name, *system.groups[name].regions))


def _extents(system: System, query: int, region: Region, group: str) -> Iterator[str]:
    volume = system.volumes[region.volser]
    if query == FREE:
        for gap in system.space.free_in(region):
            yield (
                f"{gap.volser} {volume.model} {gap.start} {gap.size}"
                + (f" {group}" if group else "")
                + f" {region.name}"
            )
        return
    for use in system.space.used_in(region):
        yield (
            f"{region.volser} {volume.device_type} {use.start} {use.size} {use.owner} {use.vdev} * {group or '*'} "
            f"{region.name}"
        )


def _volume_extents(system: System, query: int, volser: str) -> Iterator[str]:
    volume = system.volumes[volser]
    if query == FREE:
        for gap in system.space.gaps(volser, volume.first, volume.size):
            yield f"{gap.volser} {volume.model} {gap.start} {gap.size}"
        return
    for use in system.space.used(volser):
        yield f"{volser} {volume.device_type} {use.start} {use.size} {use.owner} {use.vdev}"


@handles(f.ImageVolumeSpaceDefineDM, directory=True, authority="recorded")
def image_volume_space_define_dm(call: Call, request: f.ImageVolumeSpaceDefineDM) -> Done:
    define(
        call.system,
        request.function_type,
        request.region_name,
        request.image_vol_id,
        request.start_cylinder,
        request.size,
        request.group_name,
    )
    return Done()


@handles(f.ImageVolumeSpaceDefineExtendedDM, directory=True, authority="recorded")
def image_volume_space_define_extended_dm(call: Call, request: f.ImageVolumeSpaceDefineExtendedDM) -> Done:
    if request.function_type not in ("1", "2", "3", "4", "5"):
        raise Refused(8, 3003)

    def number(text: str | None) -> int:
        if not text:
            return -1
        if not text.isdecimal():
            raise Refused(8, 3003)
        return int(text)

    define(
        call.system,
        int(request.function_type),
        request.region_name or "",
        request.image_vol_id or "",
        number(request.start_cylinder),
        number(request.size),
        request.group_name or "",
        "ROTATING" if request.alloc_method == "2" else "LINEAR",
    )
    return Done()


def define(
    system: System, function: int, name: str, volser: str, start: int, size: int, group: str, method: str = "LINEAR"
) -> None:
    """Define regions and groups: 1 region, 2 region in a group, 3 full volume, 4 that in a group, 5 add to a group."""
    name, volser, group = name.upper(), volser.upper(), group.upper()
    if function in (1, 2, 3, 4):
        volume = system.volumes.get(volser)
        if volume is None:
            raise Refused(420, 36)
        name = name or volser
        if name in system.regions:
            raise Refused(420, 4)
        if function in (3, 4):
            start, size = volume.first, volume.size - volume.first
        if start < volume.first or size < 1 or start + size > volume.size:
            raise Refused(24, 818)
        system.regions.put(name, Region(name, volser, start, size))
    elif function != 5:
        raise Refused(24, 519)
    if function in (2, 4, 5):
        if not group:
            raise Refused(24, 1024)
        if name not in system.regions:
            raise Refused(*NOT_DEFINED)
        found = system.groups.get(group) or Group(group, (), method)
        if name in found.regions:
            raise Refused(420, 4)
        system.groups.put(group, Group(group, (*found.regions, name), found.method))


@handles(f.ImageVolumeSpaceRemoveDM, directory=True, authority="recorded")
def image_volume_space_remove_dm(call: Call, request: f.ImageVolumeSpaceRemoveDM) -> Done:
    system = call.system
    region, volser, group = request.region_name.upper(), request.image_vol_id.upper(), request.group_name.upper()
    function = request.function_type
    if function in (2, 5, 7) and group not in system.groups:
        raise Refused(*NOT_DEFINED)
    if function == 7:
        system.groups.remove(group)
        return Done()
    names = [region]
    if function in (4, 5, 6):
        names = [item.name for item in system.regions.values() if item.volser == volser]
    if not names or any(name not in system.regions for name in names):
        raise Refused(*NOT_DEFINED)
    if function == 2 and region not in system.groups[group].regions:
        raise Refused(420, 12)
    for found in system.groups.values():
        if function in (2, 5) and found.name != group:
            continue
        kept = tuple(name for name in found.regions if name not in names)
        system.groups.put(found.name, Group(found.name, kept, found.method))
    if function in (1, 4):
        for name in names:
            system.regions.remove(name)
    return Done()
