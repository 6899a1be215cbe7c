"""Volumes in the system configuration: user volumes, page and spool volumes, sharing; the syntax check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from zvmcloud.directory import statements
from zvmcloud.simulator import dasd, space, system_config
from zvmcloud.simulator.errors import CpRefused, Refused
from zvmcloud.simulator.model_cluster import STABLE
from zvmcloud.simulator.model_devices import RealDisk, SpaceVolume
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f

VOLUME = 300
DEVICE_MISSING, NOT_ATTACHABLE, NOT_A_VOLUME = 8, 10, 12
NOT_ONLINE, NOT_IN_CONFIG, IN_CONFIG = 16, 18, 20
NO_SLOT = (8, 3011)
#: The cluster of the system is not in mode STABLE.
UNSTABLE = 3006


def _disk(call: Call, rc: int, text: str, parameter: int) -> dasd.Shown:
    """The disk of a call. Refused with 8 no such device, 12 something else than a disk."""
    rdev = statements.vdev(text.upper())
    if rdev is None:
        raise Refused(24, parameter * 100 + 16)
    disk = dasd.find(call.system, rdev)
    if disk is None:
        raise Refused(rc, NOT_A_VOLUME if dasd.exists(call.system, rdev) else DEVICE_MISSING)
    return disk


@handles(f.ImageVolumeAdd, authority="recorded")
def image_volume_add(call: Call, request: f.ImageVolumeAdd) -> Done:
    """The volume is in the configuration and attached to CP; a second configuration gets the same line.

    judgement: a disk that others have is 300/10, an offline one is varied on, a configuration with errors is 300/34.
    """
    volser = request.image_vol_id.upper()
    disk = _disk(call, VOLUME, request.image_device_number, 5)
    if disk.status in ("OWNED", "ATTACHED"):
        raise Refused(VOLUME, NOT_ATTACHABLE)
    if disk.status == "SYSTEM" and disk.volser != volser:
        raise Refused(VOLUME, NOT_ATTACHABLE)
    files = system_config.both(call.system, VOLUME, request)
    if volser in system_config.labels(files[0]):
        raise Refused(VOLUME, IN_CONFIG)
    if system_config.problems(files[0]):
        raise Refused(VOLUME, system_config.FAULTY)
    if disk.status == "OFFLINE":
        dasd.vary(call.system, disk.rdev, online=True)
    if disk.status != "SYSTEM":
        dasd.mount(call.system, disk.rdev, volser)
    for file in files:
        if volser not in system_config.labels(file):
            system_config.append(call.system, file, f"User_Volume_List {volser}")
    return Done()


@handles(f.ImageVolumeDelete, authority="recorded")
def image_volume_delete(call: Call, request: f.ImageVolumeDelete) -> Done:
    """Off every configuration that is named; 300/18 when none of them had it.

    judgement: minidisks of the volume that are in use refuse with CP's HCP124E (396/124).
    """
    volser = request.image_vol_id.upper()
    disk = _disk(call, VOLUME, request.image_device_number, 5)
    files = system_config.both(call.system, VOLUME, request)
    named = any(volser in system_config.labels(file) for file in files)
    if not named or volser in system_config.owned_labels(files[0]):
        raise Refused(VOLUME, NOT_IN_CONFIG)
    dasd.unmount(call.system, disk.rdev)
    for file in files:
        system_config.without_label(call.system, file, volser)
    return Done()


@handles(f.ImageVolumeShare, authority="recorded")
def image_volume_share(call: Call, request: f.ImageVolumeShare) -> Done:
    """judgement: CP's own volumes cannot be shared (8/19 page and spool, 8/20 the residence), nor FBA (8/3014)."""
    rdev = statements.vdev(request.img_vol_addr.upper())
    if rdev is None:
        raise Refused(8, 3003)
    disk = dasd.find(call.system, rdev)
    if disk is None:
        raise Refused(8, 3012 if not dasd.exists(call.system, rdev) else 18)
    if disk.status == "OFFLINE":
        raise Refused(8, 3013)
    if disk.status == "OWNED":
        raise Refused(8, 20 if disk.volser == dasd.system_residence(call.system) else 19)
    if disk.device_type == "9336":
        raise Refused(8, 3014)
    row = call.system.real_disks.get(rdev) or RealDisk(rdev, disk.model, disk.size, disk.volser, disk.status)
    shared = (request.share_enable or "ON").upper() == "ON"
    call.system.real_disks.put(rdev, replace(row, shared=shared))
    return Done()


@handles(f.PageOrSpoolVolumeAdd, authority="recorded")
def page_or_spool_volume_add(call: Call, request: f.PageOrSpoolVolumeAdd) -> Done:
    """The disk is formatted for paging or spooling, gets the next free slot, and takes pages at once."""
    system = call.system
    if system.cluster is not None and system.cluster.mode != STABLE:
        raise Refused(8, UNSTABLE)
    rdev = statements.vdev(request.vol_addr.upper())
    if rdev is None:
        raise Refused(8, 3003)
    disk = dasd.find(system, rdev)
    if disk is None:
        raise Refused(8, NOT_A_VOLUME if dasd.exists(system, rdev) else DEVICE_MISSING)
    if disk.status != "FREE":
        raise Refused(8, NOT_ATTACHABLE)
    volser = request.volume_label.upper()
    file = system_config.locate(
        system,
        8,
        request.system_config_name,
        request.system_config_type,
        request.parm_disk_owner,
        request.parm_disk_number,
        request.parm_disk_password,
    )
    if volser in system.space_volumes or volser in system_config.labels(file):
        raise Refused(8, IN_CONFIG)
    if system_config.problems(file):
        raise Refused(8, system_config.FAULTY)
    slot = space.free_slot(system, *system_config.owned_slots(file))
    if slot is None:
        raise Refused(*NO_SLOT)
    # Cylinder 0 keeps the label and the allocation map.
    pages = (disk.size - 1) * dasd.PAGES_PER_CYLINDER if disk.device_type == "3390" else disk.size // 8
    system.real_disks.put(rdev, RealDisk(rdev, disk.model, disk.size, volser, "OWNED"))
    system.space_volumes.put(volser, SpaceVolume(volser, rdev, request.volume_use.upper(), pages, slot))
    system_config.append(system, file, f"CP_Owned Slot {slot} {volser} OWN")
    return Done()


@handles(f.SystemConfigSyntaxCheck, authority="document")
def system_config_syntax_check(call: Call, request: f.SystemConfigSyntaxCheck) -> Done:
    """judgement: the messages about a faulty file (8/34) are the data, each line ended."""
    file = system_config.locate(
        call.system,
        8,
        request.system_config_name,
        request.system_config_type,
        request.parm_disk_owner,
        request.parm_disk_number,
        request.parm_disk_password or ",",
        write=False,
    )
    found = system_config.problems(file)
    if found:
        raise Refused(8, system_config.FAULTY, ("\n".join(found),))
    return Done()


@handles(f.SystemPageUtilizationQuery, authority="recorded")
def system_page_utilization_query(call: Call, _request: f.SystemPageUtilizationQuery) -> Done:
    items = _usage(call, "PAGE", lambda item: item.volume.state)
    return Done(f.SystemPageUtilizationQueryReply(paging_information=items))


@handles(f.SystemSpoolUtilizationQuery, authority="recorded")
def system_spool_utilization_query(call: Call, _request: f.SystemSpoolUtilizationQuery) -> Done:
    items = _usage(call, "SPOOL", lambda item: f"{'DUMP' if item.volume.dump else 'NOTDUMP'} {item.volume.state}")
    return Done(f.SystemSpoolUtilizationQueryReply(spool_information=items))


def _usage(call: Call, use: str, tail: Callable[[space.Usage], str]) -> tuple[str, ...]:
    """The totals stand in front of the first volume, divided by a blank only. CpRefused without any volume."""
    found = space.usage(call.system, use)
    if not found:
        raise CpRefused(space.NO_VOLUMES, use=use)
    total, used = sum(item.total for item in found), sum(item.used for item in found)
    items = [
        f"{item.volume.volser} {item.volume.rdev} {space.shown(item.total)} {space.shown(item.used)} "
        f"{space.percent(item.used, item.total)} {tail(item)}"
        for item in found
    ]
    items[0] = f"{space.shown(total)} {space.shown(used)} {space.percent(used, total)} {items[0]}"
    return tuple(items)
