"""Real disks, SCSI disks, FCP devices, EQIDs and channel paths."""

from __future__ import annotations

from zvmcloud.directory import statements
from zvmcloud.simulator import dasd, fabric, traffic
from zvmcloud.simulator.errors import CpRefused, Refused
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.simulator.storage import key as disk_key
from zvmcloud.simulator.system import System
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.spelling import Shape

NO_DEVICE = (8, 8)
NOT_ATTACHABLE = (8, 10)
BAD_VALUE = (8, 3003)
NO_DATA = (4, 28)
NO_EQID = (4, 8)
SEGMENT_EMPTY, NO_VALID_DATA, NO_SEGMENT = (8, 3016), (8, 3017), (8, 3018)


def _rdev(text: str) -> str:
    found = statements.vdev(text.upper())
    if found is None:
        raise Refused(*BAD_VALUE)
    return found


# -- disks ------------------------------------------------------------------------------------------------------------


@handles(f.SystemDiskQuery, authority="clients")
def system_disk_query(call: Call, request: f.SystemDiskQuery) -> Done:
    """A disk that is offline has no label, and its item ends in a blank (clients split at single blanks)."""
    if request.dev_num.upper() == "ALL":
        found = dasd.every(call.system)
    else:
        disk = dasd.find(call.system, _rdev(request.dev_num))
        if disk is None:
            raise Refused(*NO_DEVICE)
        found = [disk]
    with_size = (request.disk_size or "").upper() == "YES"
    array = tuple(_item(disk, with_size) for disk in found)
    return Done(f.SystemDiskQueryReply(disk_info_array=array))


def _item(disk: dasd.Shown, with_size: bool) -> str:
    status = f"ATTACHED{disk.owner}" if disk.status == "ATTACHED" else disk.status
    volser = "" if disk.status == "OFFLINE" else disk.volser or "......"
    return f"{disk.rdev} {disk.model} {status} {volser}" + (f" {disk.size}" if with_size else "")


@handles(f.SystemDiskAccessibility, authority="document")
def system_disk_accessibility(call: Call, request: f.SystemDiskAccessibility) -> Done:
    disk = dasd.find(call.system, _rdev(request.dev_num))
    if disk is None:
        raise Refused(*NO_DEVICE)
    if disk.status != "FREE":
        raise Refused(*NOT_ATTACHABLE)
    return Done()


@handles(f.SystemDiskAdd, authority="judgement")
def system_disk_add(call: Call, request: f.SystemDiskAdd) -> Done:
    """judgement: a disk that CP has already is a success; a number without a disk is CP's HCP040E (396/40)."""
    dasd.vary(call.system, _rdev(request.dev_num), online=True)
    return Done()


@handles(f.SystemDiskIOQuery, authority="recorded")
def system_disk_io_query(call: Call, request: f.SystemDiskIOQuery) -> Done:
    """Recorded is only 8/3017: the monitor does not sample the I/O domain.

    judgement: words are rdev, label, bytes read, bytes written since IPL, and operations per second.
    """
    system = call.system
    monitored(call)
    if not monitor_samples_io(system):
        raise Refused(*NO_VALID_DATA)
    wanted = (request.RDEV or "*").upper().split()
    disks = {disk.rdev: disk for disk in dasd.every(system)}
    if wanted == ["*"]:
        chosen = list(disks.values())
    else:
        numbers = [_rdev(word) for word in wanted]
        if any(rdev not in disks for rdev in numbers):
            raise Refused(*NO_DEVICE)
        chosen = [disks[rdev] for rdev in numbers]
    done = _operations(system)
    items = []
    for disk in chosen:
        count, rate = done.get(disk.volser, (0, 0.0))
        items.append(f"{disk.rdev} {disk.volser or '......'} {count * 4096} {count * 2048} {rate:.1f}")
    return Done(f.SystemDiskIOQueryReply(DASD_information=tuple(items)))


def monitored(call: Call) -> None:
    """What the performance collector needs. Refused 8/3018 without its segment, 8/3016 while PERSMAPI is off."""
    if "SMAPIOUT" not in call.system.segments:
        raise Refused(*NO_SEGMENT)
    if "PERSMAPI" in call.system.entries and "PERSMAPI" not in call.system.machines:
        raise Refused(*SEGMENT_EMPTY)


def monitor_samples_io(system: System) -> bool:
    """Whether CP's monitor samples the I/O domain; a system of an older state samples everything."""
    monitor = system.monitors.get("monitor")
    return monitor is None or monitor.io


def _operations(system: System) -> dict[str, tuple[int, float]]:
    """Operations of guests, and their rate, by the label of the volume they IPLed from."""
    found: dict[str, tuple[int, float]] = {}
    for machine in system.machines.values():
        running = machine.system
        device = next((item for item in machine.disks if running is not None and item.vdev == running.ipl), None)
        disk = system.disks.get(disk_key(device.owner, device.owner_vdev)) if device is not None else None
        if disk is not None:
            count, rate = found.get(disk.volser, (0, 0.0))
            found[disk.volser] = (
                count + traffic.disk_operations(system, machine),
                rate + traffic.io_rate(system, machine),
            )
    return found


# -- SCSI -------------------------------------------------------------------------------------------------------------


@handles(f.SystemSCSIDiskAdd, authority="recorded")
def system_scsi_disk_add(call: Call, request: f.SystemSCSIDiskAdd) -> Done:
    """Recorded: paths that lead nowhere end with 396/8700, and the EDEV stays defined, offline and without size.

    judgement: an FCP device that does not exist is 4/8.
    """
    system, rdev = call.system, _rdev(request.dev_num)
    paths = []
    for text in request.dev_path_array.split(";"):
        if not text.strip():
            continue
        path = fabric.normal_path(text)
        if path is None:
            raise Refused(*BAD_VALUE)
        paths.append(path)
    if not paths or len(paths) > fabric.MAX_PATHS:
        raise Refused(*BAD_VALUE)
    persistent = (request.persist or "").upper() == "YES"
    option = request.option or "1"
    if option == "2":
        fabric.add_paths(system, rdev, tuple(paths), persistent=persistent)
    elif option == "3":
        fabric.remove_paths(system, rdev, tuple(paths), persistent=persistent)
    else:
        fabric.define_edev(system, rdev, tuple(paths), persistent=persistent)
        try:
            fabric.vary_on(system, rdev)
        except CpRefused as refused:
            return Done(rc=396, rs=refused.number)
    return Done()


@handles(f.SystemSCSIDiskDelete, authority="recorded")
def system_scsi_disk_delete(call: Call, request: f.SystemSCSIDiskDelete) -> Done:
    rdev = _rdev(request.dev_num)
    if rdev not in call.system.edevs:
        raise Refused(*NO_DEVICE)
    fabric.delete_edev(call.system, rdev)
    return Done()


@handles(f.SystemSCSIDiskQuery, authority="recorded")
def system_scsi_disk_query(call: Call, request: f.SystemSCSIDiskQuery) -> Done:
    """Recorded: the last item has no NUL; an EDEV without a working path shows size 0. judgement: form of the paths."""
    edevs = call.system.edevs
    if request.dev_num.upper() == "ALL":
        found = sorted(edevs.values(), key=lambda edev: edev.rdev)
    else:
        rdev = _rdev(request.dev_num)
        if rdev not in edevs:
            raise Refused(*NO_DEVICE)
        found = [edevs[rdev]]
    if not found:
        raise Refused(*NO_DATA)
    items = tuple(
        f"{edev.rdev} FBA {edev.attribute} {edev.blocks}" + (f" {' '.join(edev.paths)}" if edev.online else "")
        for edev in found
    )
    return Done(f.SystemSCSIDiskQueryReply(scsi_info_array=items), shape=Shape(unterminated=frozenset({0})))


@handles(f.SystemWWPNQuery, authority="clients")
def system_wwpn_query(call: Call, request: f.SystemWWPNQuery) -> Done:
    if not call.system.fcps:
        raise Refused(*NO_DATA)
    with_owner = (request.owner or "").upper() == "YES"
    array = tuple(
        f"{fcp.rdev} {fcp.npiv or 'NONE'} {fcp.chpid} {fcp.physical} {fabric.fcp_status(call.system, fcp.rdev)}"
        + (f" {fcp.owner or 'NONE'}" if with_owner else "")
        for fcp in sorted(call.system.fcps.values(), key=lambda item: item.rdev)
    )
    return Done(f.SystemWWPNQueryReply(wwpn_array=array))


@handles(f.SystemFCPFreeQuery, authority="recorded")
def system_fcp_free_query(call: Call, request: f.SystemFCPFreeQuery) -> Done:
    """Recorded: 8/8 for a device that is no free FCP device."""
    rdev = _rdev(request.fcp_dev)
    if fabric.fcp_status(call.system, rdev) != 2 if rdev in call.system.fcps else True:
        raise Refused(*NO_DEVICE)
    array = tuple(
        ";".join(
            (
                rdev,
                lun.wwpn,
                lun.lun,
                lun.uuid,
                lun.vendor,
                lun.product,
                lun.model,
                lun.serial,
                lun.code,
                str(lun.block_size),
                str(lun.blocks),
                str(lun.blocks * lun.block_size),
            )
        )
        for lun in fabric.reachable(call.system, rdev)
    )
    return Done(f.SystemFCPFreeQueryReply(fcp_array=array))


# -- EQIDs and channel paths ------------------------------------------------------------------------------------------


@handles(f.SystemEQIDQuery, authority="recorded")
def system_eqid_query(call: Call, request: f.SystemEQIDQuery) -> Done:
    eqids = sorted(call.system.eqids.values(), key=lambda item: item.rdev)
    if not eqids:
        raise Refused(*NO_EQID)
    what, target = request.eqid_for.upper(), (request.eqid_target or "").upper()
    if what == "ALL":
        items = [f"0{item.rdev} {item.eqid}" for item in eqids]
    elif what == "RDEV":
        wanted = _device_numbers(call, target)
        items = [f"0{item.rdev} {item.eqid}" for item in eqids if item.rdev in wanted]
    else:
        items = []
        for name in target.split():
            rdevs = [f"0{item.rdev}" for item in eqids if item.eqid == name]
            if not rdevs:
                raise _unknown(target)
            items.append(" ".join((name, *rdevs)))
    if not items:
        raise Refused(*(NO_EQID if target else (8, 3004)))
    return Done(f.SystemEQIDQueryReply(eqid_array=tuple(items)))


def _unknown(target: str) -> Refused:
    return Refused(*BAD_VALUE, (f"UNKNOWN_PARAMETER_OPERAND={target}",))


def _device_numbers(call: Call, text: str) -> set[str]:
    """Device numbers and ranges, four digits or five with the subchannel set in front."""
    found: set[str] = set()
    for word in text.split():
        low, dash, high = word.partition("-")
        try:
            first, last = int(low, 16), int(high if dash else low, 16)
        except ValueError:
            raise _unknown(text) from None
        if not 0 <= first <= last <= 0xFFFF:
            raise _unknown(text)
        found |= {f"{number:04X}" for number in range(first, last + 1)}
        if not dash and not dasd.exists(call.system, f"{first:04X}") and f"{first:04X}" not in call.system.eqids:
            raise _unknown(text)
    return found


@handles(f.SystemIOQuery, authority="judgement")
def system_io_query(call: Call, request: f.SystemIOQuery) -> Done:
    """judgement: one item per channel path of the device, chpid, kind and ONLINE or OFFLINE; 8/8 without a device."""
    system = call.system
    items = []
    for word in request.real_device_address.split():
        rdev = _rdev(word)
        items += [
            f"{chpid} {path.kind if path else 'FC'} {'ONLINE' if path is None or path.online else 'OFFLINE'}"
            for chpid in _paths(system, rdev)
            for path in [system.channel_paths.get(chpid)]
        ]
    if not items:
        raise Refused(*NO_DEVICE)
    return Done(f.SystemIOQueryReply(chpid_list=tuple(items)))


def _paths(system: System, rdev: str) -> list[str]:
    osa, fcp = system.osas.get(rdev), system.fcps.get(rdev)
    if osa is not None:
        return [osa.chpid]
    if fcp is not None:
        return [fcp.chpid]
    if dasd.find(system, rdev) is not None:
        return sorted(path.chpid for path in system.channel_paths.values() if path.kind == "FC") or ["40"]
    return []
