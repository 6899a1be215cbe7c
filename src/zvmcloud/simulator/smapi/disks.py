"""Minidisks of entries and of running machines; links; dedicated devices."""

from __future__ import annotations

from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.directory import statements
from zvmcloud.directory.devices import Link, Mdisk
from zvmcloud.simulator import dasd, disk_formats, guests, storage
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator.errors import CpRefused, Refused
from zvmcloud.simulator.model import Dasd, RealDevice
from zvmcloud.simulator.smapi import targets
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.simulator.system import System
from zvmcloud.smapi import functions as f

_BLOCKS_PER_UNIT = {2: 1, 3: 2, 4: 4, 5: 8}


@handles(
    f.ImageDiskCreateDM,
    directory=True,
    authority="recorded",
    missing="the CMS file directory of a formatted disk",
)
def image_disk_create_dm(call: Call, request: f.ImageDiskCreateDM) -> Done:
    """A disk that is to be formatted has the CMS label and blocks of its size, else it is as CP formats it.

    judgement: without a label the disk is named MD and its address; a T-disk or V-disk is made at logon, unformatted.
    """
    system, formatting = call.system, request.image_disk_formatting
    made = dm.add_disk(system, request.target, _wanted(request))
    disk = system.disks.get(storage.key(system.home(request.target.upper()), made.vdev))
    if disk is not None and formatting in disk_formats.BLOCK_SIZES:
        label = request.image_disk_label.upper() or f"MD{made.vdev}"
        disk_formats.format_cms(system, disk, label, disk_formats.BLOCK_SIZES[formatting])
    return Done(f.ImageDiskCreateDMReply(operation_id=-1))


def _wanted(request: f.ImageDiskCreateDM) -> Mdisk:
    address = targets.vdev(request.image_disk_number)
    device = request.image_disk_device_type.upper()
    method = request.image_disk_allocation_type.upper()
    area = request.allocation_area_name_or_volser.upper()
    if device not in ("3390", "3380", "9336", "FB-512", "XXXX"):
        raise Refused(24, 619)
    if not (method.isdecimal() or method in ("AUTOG", "AUTOR", "AUTOV", "DEVNO", "T-DISK", "V-DISK")):
        raise Refused(24, 719)
    size = request.image_disk_size
    if method != "DEVNO" and size < 1:
        raise Refused(24, 1015)
    # Clients send unit 1 for FBA disks as well and mean blocks; the larger units exist for FBA alone.
    if device in ("9336", "FB-512"):
        size *= _BLOCKS_PER_UNIT.get(request.allocation_unit_size, 1)
    passwords = tuple(
        word.upper() for word in (request.read_password, request.write_password, request.multi_password) if word
    )
    mode = request.image_disk_mode.upper()
    if method in ("V-DISK", "T-DISK"):
        return Mdisk(address, device, method, None, size, "", mode, passwords)
    if method == "DEVNO":
        return Mdisk(address, device, "DEVNO", None, None, area.rjust(4, "0"), mode, passwords)
    if not area:
        raise Refused(24, 824)
    if method.isdecimal():
        return Mdisk(address, device, "PERM", int(method), size, area, mode, passwords)
    return Mdisk(address, device, method, None, size, area, mode, passwords)


@handles(f.ImageDiskDeleteDM, directory=True, authority="recorded")
def image_disk_delete_dm(call: Call, request: f.ImageDiskDeleteDM) -> Done:
    dm.remove_disk(call.system, request.target, targets.vdev(request.image_disk_number))
    return Done(f.ImageDiskDeleteDMReply(operation_id=-1))


@handles(f.ImageDiskCreate, authority="recorded")
def image_disk_create(call: Call, request: f.ImageDiskCreate) -> Done:
    userid = targets.defined(call, request.target)
    machine = targets.running(call, userid)
    address = targets.vdev(request.image_disk_number)
    if machine.device(address) is not None:
        raise Refused(208, 4)
    entry = call.system.entry(userid)
    disk = entry.mdisk(address) if entry else None
    if disk is None:
        raise Refused(208, 8)
    mode = request.image_disk_mode.upper() or disk.mode
    if disk.placement in ("T-DISK", "V-DISK") and storage.key(userid, address) not in call.system.disks:
        storage.create_disk(call.system, userid, disk)
    storage.attach(call.system, userid, userid, address, address, mode)
    return Done()


@handles(f.ImageDiskDelete, authority="clients")
def image_disk_delete(call: Call, request: f.ImageDiskDelete) -> Done:
    userid = targets.defined(call, request.target)
    _detach(call, userid, targets.vdev(request.image_disk_number))
    return Done()


def _detach(call: Call, userid: str, address: str) -> None:
    machine = targets.running(call, userid)
    device = machine.device(address)
    if device is None:
        raise Refused(*targets.NO_DEVICE)
    if not isinstance(device, Dasd):
        raise Refused(208, 28)
    storage.detach(call.system, userid, address)


@handles(f.ImageDiskQuery, authority="clients")
def image_disk_query(call: Call, request: f.ImageDiskQuery) -> Done:
    machine = targets.running(call, request.target)
    wanted = request.vdasd_id.upper()
    devices = machine.disks
    if wanted != "ALL":
        address = statements.vdev(wanted)
        if address is None:
            raise Refused(8, 3003)
        devices = tuple(device for device in devices if device.vdev == address)
        if not devices:
            raise Refused(8, 8)
    return Done(f.ImageDiskQueryReply(vdasd_array=tuple(_described(call.system, device) for device in devices)))


def _described(system: System, device: Dasd) -> f.VirtualDasd:
    disk = system.disks.get(storage.key(device.owner, device.owner_vdev))
    volume = system.volumes.get(disk.volser) if disk else None
    fba = disk is not None and disk.kind == "FBA"
    return f.VirtualDasd(
        vdasd_vdev=device.vdev,
        vdasd_rdev="VDSK" if disk and disk.temporary == "VDSK" else volume.rdev if volume else "0000",
        vdasd_access_type=2 if device.write else 1,
        vdasd_devtype="9336" if fba else (disk.device_type if disk else "3390"),
        vdasd_size=disk.size if disk else 0,
        vdasd_unit=2 if fba else 1,
        vdasd_volid=f"({disk.temporary})" if disk and disk.temporary else (disk.volser if disk else "") or "(TEMP)",
    )


@handles(f.ImageMDISKLinkQuery, authority="recorded")
def image_mdisk_link_query(call: Call, request: f.ImageMDISKLinkQuery) -> Done:
    address = statements.vdev(request.vdev.upper())
    if address is None:
        raise Refused(8, 3003)
    userid = request.target.upper()
    machine = call.system.machines.get(userid)
    device = machine.device(address) if machine else None
    owner, owner_vdev = (device.owner, device.owner_vdev) if isinstance(device, Dasd) else (userid, address)
    if storage.key(owner, owner_vdev) not in call.system.disks:
        raise Refused(8, 8)
    found = [(call.system, *pair) for pair in storage.users(call.system, owner, owner_vdev)]
    found = [link for link in found if (link[1].userid, link[2].vdev) != (userid, address)]
    file = call.system.disks[storage.key(owner, owner_vdev)].file
    found += storage.by_member(call.system, file, owner, owner_vdev)
    links = tuple(
        f"{member.name:<8} {other.userid} {item.vdev} {'WRITE' if item.write else 'READ'}"
        for member, other, item in found
    )
    return Done(f.ImageMDISKLinkQueryReply(link_array=links), rs=0 if links else 28)


# -- links ------------------------------------------------------------------------------------------------------------


@handles(f.ImageDiskShare, authority="clients")
def image_disk_share(call: Call, request: f.ImageDiskShare) -> Done:
    userid = targets.defined(call, request.target)
    machine = targets.running(call, userid)
    address = targets.vdev(request.image_disk_number)
    owner, owner_vdev = request.target_image_name.upper(), targets.vdev(request.target_image_disk_number, 7)
    if machine.device(address) is not None:
        raise Refused(208, 4)
    mode = request.read_write_mode.upper() or "RR"
    entry = call.system.entry(owner)
    disk = entry.mdisk(owner_vdev) if entry else None
    if disk is None:
        raise Refused(208, 12)
    _may_share(disk, mode, request.optional_password.upper())
    try:
        storage.attach(call.system, userid, owner, owner_vdev, address, mode)
    except CpRefused as refused:
        if refused.number in (messages.LINK_HELD_RO.number, messages.LINK_HELD_RW.number):
            raise Refused(208, 20) from refused
        raise
    return Done()


def _may_share(disk: Mdisk, mode: str, password: str) -> None:
    needed = 0 if mode[0] == "R" else 1 if mode[0] == "W" else 2
    if needed >= len(disk.passwords):
        raise Refused(208, 28)
    if disk.passwords[needed] not in ("ALL", password):
        raise Refused(208, 32)


@handles(f.ImageDiskUnshare, authority="recorded")
def image_disk_unshare(call: Call, request: f.ImageDiskUnshare) -> Done:
    userid = targets.defined(call, request.target)
    machine = targets.running(call, userid)
    device = machine.device(targets.vdev(request.image_disk_number))
    if not isinstance(device, Dasd):
        raise Refused(208, 8)
    storage.detach(call.system, userid, device.vdev)
    return Done()


@handles(f.ImageDiskShareDM, directory=True, authority="clients")
def image_disk_share_dm(call: Call, request: f.ImageDiskShareDM) -> Done:
    record = dm.unlocked(call.system, request.target)
    owner_vdev = targets.vdev(request.image_disk_number)
    owner = request.target_image_name.upper()
    address = targets.vdev(request.target_image_disk_number, 7)
    owner_entry = dm.find(call.system, owner)
    if owner_entry.entry.mdisk(owner_vdev) is None:
        raise Refused(*dm.DISK_MISSING)
    if address in record.entry.device_addresses:
        raise Refused(*dm.DISK_EXISTS)
    mode = request.read_write_mode.upper() or "RR"
    statement = statements.make("LINK", owner, owner_vdev, address, mode)
    dm.put(call.system, record, dm.add_statement(record.entry, statement))
    return Done()


@handles(f.ImageDiskUnshareDM, directory=True, authority="clients")
def image_disk_unshare_dm(call: Call, request: f.ImageDiskUnshareDM) -> Done:
    record = dm.unlocked(call.system, request.target)
    wanted = (
        request.target_image_name.upper(),
        targets.vdev(request.image_disk_number),
        targets.vdev(request.target_image_disk_number, 7),
    )

    def is_it(statement: statements.Statement) -> bool:
        if statement.keyword != "LINK":
            return False
        link = Link.of(statement)
        return (link.owner, link.owner_vdev, link.vdev) == wanted

    changed = record.entry.without(is_it)
    if changed == record.entry:
        raise Refused(*dm.DISK_MISSING)
    dm.put(call.system, record, changed)
    return Done()


# -- real devices -----------------------------------------------------------------------------------------------------


@handles(f.ImageDeviceDedicateDM, directory=True, authority="recorded")
def image_device_dedicate_dm(call: Call, request: f.ImageDeviceDedicateDM) -> Done:
    address, rdev = targets.vdev(request.image_device_number), targets.vdev(request.real_device_number, 6)
    options = ("READONLY",) if request.readonly else ()
    statement = statements.make("DEDICATE", address, rdev, *options)
    dm.add_device(call.system, request.target, address, statement)
    return Done()


@handles(f.ImageDeviceUndedicateDM, directory=True, authority="recorded")
def image_device_undedicate_dm(call: Call, request: f.ImageDeviceUndedicateDM) -> Done:
    dm.remove_device(call.system, request.target, targets.vdev(request.image_device_number), "DEDICATE")
    return Done()


@handles(f.ImageDeviceDedicate, authority="clients")
def image_device_dedicate(call: Call, request: f.ImageDeviceDedicate) -> Done:
    userid = targets.defined(call, request.target)
    machine = targets.running(call, userid)
    address, rdev = targets.vdev(request.image_device_number), targets.vdev(request.real_device_number, 6)
    if machine.device(address) is not None:
        raise Refused(*targets.DEVICE_EXISTS)
    osa, fcp, disk = call.system.osas.get(rdev), call.system.fcps.get(rdev), dasd.find(call.system, rdev)
    if osa is None and fcp is None and disk is None:
        raise Refused(*targets.NO_DEVICE)
    if (osa and osa.owner) or (fcp and fcp.owner) or (disk and disk.status != "FREE"):
        raise Refused(204, 16)
    guests.give_device(call.system, userid, address, rdev, readonly=request.readonly == 1)
    return Done()


@handles(f.ImageDeviceUndedicate, authority="recorded")
def image_device_undedicate(call: Call, request: f.ImageDeviceUndedicate) -> Done:
    userid = targets.defined(call, request.target)
    machine = targets.running(call, userid)
    device = machine.device(targets.vdev(request.image_device_number))
    if not isinstance(device, RealDevice):
        raise Refused(*targets.NO_DEVICE)
    guests.take_device(call.system, userid, device.vdev)
    return Done()


@handles(f.ImageDeviceReset, authority="recorded")
def image_device_reset(call: Call, request: f.ImageDeviceReset) -> Done:
    userid = targets.defined(call, request.target)
    machine = targets.running(call, userid)
    if machine.device(targets.vdev(request.image_device_number)) is None:
        raise Refused(*targets.NO_DEVICE)
    call.system.machines.put(userid, replace(machine))
    return Done()
