"""Copies of minidisks: a new minidisk with the data of another, and making it a device of the machine."""

from __future__ import annotations

import os

from zvmcloud.directory import Volume
from zvmcloud.directory.devices import Mdisk
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import storage
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model import Disk
from zvmcloud.simulator.smapi import targets
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.simulator.system import System
from zvmcloud.smapi import functions as f

OTHER_TYPE = (404, 24)
OTHER_SIZE = (404, 28)
IN_USE = (208, 4)
NO_DISK = (208, 36)


@handles(f.ImageDiskCopyDM, directory=True, authority="recorded")
def image_disk_copy_dm(call: Call, request: f.ImageDiskCopyDM) -> Done:
    """Judgement: a source that its owner does not have is 404/8; without a mode the copy has that of its source."""
    system = call.system
    owner = dm.find(system, request.source_image_name)
    source_vdev = targets.vdev(request.source_image_disk_number, 7)
    if any(address == source_vdev for address, _ in owner.device_locks):
        raise Refused(*dm.DISK_LOCKED)
    source = owner.entry.mdisk(source_vdev)
    data = system.disks.get(storage.key(system.home(owner.entry.name), source_vdev))
    if source is None or data is None or source.size is None:
        raise Refused(*dm.DEVICE_MISSING)
    address = targets.vdev(request.image_disk_number)
    method = request.image_disk_allocation_type.upper() or "AUTOG"
    if not (method.isdecimal() or method in ("AUTOG", "AUTOR", "AUTOV", "DEVNO")):
        raise Refused(24, 819)
    area = request.allocation_area_name_or_volser.upper()
    passwords = tuple(
        word.upper() for word in (request.read_password, request.write_password, request.multi_password) if word
    )
    mode = request.image_disk_mode.upper() or source.mode
    _check_volume(system, source, method, area)
    if method == "DEVNO":
        made = Mdisk(address, source.device_type, "DEVNO", None, None, area.rjust(4, "0"), mode, passwords)
    else:
        placement, start = ("PERM", int(method)) if method.isdecimal() else (method, None)
        made = Mdisk(address, source.device_type, placement, start, source.size, area, mode, passwords)
    chosen = dm.add_disk(system, request.target, made)
    target = system.disks.get(storage.key(system.home(request.target.upper()), chosen.vdev))
    if target is not None:
        copy_disk(system, data, target)
    return Done(f.ImageDiskCopyDMReply(operation_id=-1))


def _check_volume(system: System, source: Mdisk, method: str, area: str) -> None:
    """Refuse a volume of another type than the source's, and for a whole volume one of another size."""
    volume: Volume | None = None
    if method == "DEVNO":
        volume = storage.volume_at(system, area)
    elif method.isdecimal() or method == "AUTOV":
        volume = system.volumes.get(area)
    if volume is None and method == "DEVNO":
        raise Refused(*dm.NO_AREA)
    if volume is None:
        return
    fba = source.device_type in ("9336", "FB-512")
    if fba != (volume.device_type in ("9336", "FB-512")) or (not fba and volume.device_type != source.device_type):
        raise Refused(*OTHER_TYPE)
    if method == "DEVNO" and volume.size != source.size:
        raise Refused(*OTHER_SIZE)
    if method == "DEVNO" and any(True for _ in system.space.used(volume.volser)):
        # A copy would go over the minidisks that are there.
        raise Refused(*dm.NO_SPACE)


def copy_disk(system: System, source: Disk, target: Disk) -> None:
    """Copy the data of a disk; holes stay holes."""
    from_file = os.open(storage.file_of(system, source), os.O_RDONLY)
    to_file = os.open(storage.new_file_of(system, target), os.O_WRONLY)
    try:
        end = os.lseek(from_file, 0, os.SEEK_END)
        position = 0
        while position < end:
            try:
                begin = os.lseek(from_file, position, os.SEEK_DATA)
            except OSError:
                break
            position = os.lseek(from_file, begin, os.SEEK_HOLE)
            while begin < position:
                begin += os.copy_file_range(from_file, to_file, position - begin, begin, begin)
    finally:
        os.close(from_file)
        os.close(to_file)


@handles(f.ImageDiskCopy, authority="recorded")
def image_disk_copy(call: Call, request: f.ImageDiskCopy) -> Done:
    """The data are copied with the directory change already; this makes the disk a device of the machine."""
    userid = targets.defined(call, request.target)
    machine = targets.running(call, userid)
    address = targets.vdev(request.image_disk_number)
    if machine.device(address) is not None:
        raise Refused(*IN_USE)
    entry = call.system.entry(userid)
    disk = entry.mdisk(address) if entry else None
    if disk is None or storage.key(userid, address) not in call.system.disks:
        raise Refused(*NO_DISK)
    storage.attach(call.system, userid, userid, address, address, disk.mode)
    return Done()
