"""SCSI disks that virtual machines reach through their FCP devices: their bytes, and which are online where.

Each LUN has a sparse file of its blocks, named by its uuid: whoever reaches it, through whichever port and member of a
cluster, has the same bytes. It is made when it is first needed. On Linux a disk appears when its FCP device is online
and the unit was added; then its file is linked in the folder of the machine's devices, under the name that Linux gives
it below /dev/disk/by-path:

    ccw-0.0.1a00-zfcp-0x500507630708d3b3:0x4010400000000000

Units are not found by themselves: the modelled Linux runs with zfcp.allow_lun_scan=0, as connector images do
(judgement). Source of the names: s390-tools' lszfcp; reference/connector/flows.md 7.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from zvmcloud.simulator import fabric, storage
from zvmcloud.simulator.errors import SystemFault
from zvmcloud.simulator.model import Machine, RealDevice
from zvmcloud.simulator.model_devices import Lun
from zvmcloud.simulator.system import System, safe_name


class NoUnit(SystemFault):
    """A LUN cannot be brought online; the text says why, in the words of Linux."""


def file_name(lun: Lun) -> str:
    """The name of a LUN's file in the folder of LUNs."""
    return f"{safe_name(lun.uuid.lower())}.scsi"


def file(system: System, lun: Lun) -> Path:
    """The file with the blocks of a LUN, made if missing: sparse, all zeros. OSError when it cannot be made."""
    path = system.lun_folder / file_name(lun)
    if not path.exists():
        partial = path.with_name(path.name + ".new")
        with partial.open("wb") as new:
            new.truncate(lun.blocks * lun.block_size)
        partial.chmod(0o600)
        # Another member may have made it meanwhile, and its bytes count.
        try:
            os.link(partial, path)
        except FileExistsError:
            pass
        finally:
            partial.unlink()
    return path


def device(machine: Machine, vdev: str) -> RealDevice | None:
    """The FCP device of a machine at an address."""
    found = machine.device(vdev)
    return found if isinstance(found, RealDevice) and found.kind == "FCP" else None


def ports(system: System, machine: Machine, vdev: str) -> list[str]:
    """The target ports that an FCP device which is online sees, lower case without 0x."""
    own = device(machine, vdev)
    if own is None or vdev not in machine.fcps:
        return []
    return sorted({lun.wwpn.lower() for lun in fabric.reachable(system, own.rdev)})


def find(system: System, machine: Machine, vdev: str, wwpn: str, lun: str) -> Lun | None:
    """The LUN behind a machine's FCP device; None when it does not lead there (also while the path is down)."""
    own = device(machine, vdev)
    return fabric.through(system, f"{own.rdev} {wwpn.upper()} {lun.upper()}") if own is not None else None


def unit(system: System, machine: Machine, path: str) -> Lun | None:
    """The LUN of a unit "vdev wwpn lun"."""
    vdev, wwpn, lun = path.split()
    return find(system, machine, vdev, wwpn, lun)


def device_name(path: str) -> str:
    """ccw-0.0.1a00-zfcp-0x500507630708d3b3:0x4010400000000000"""
    vdev, wwpn, lun = path.lower().split()
    return f"ccw-0.0.{vdev}-zfcp-0x{wwpn}:0x{lun}"


def shown(system: System, machine: Machine) -> dict[str, Path]:
    """Names and files of the SCSI disks that a machine has online."""
    found = {}
    for path in machine.units:
        lun = unit(system, machine, path)
        if lun is not None:
            found[device_name(path)] = file(system, lun)
    return found


def set_online(system: System, userid: str, vdev: str, *, online: bool) -> None:
    """chccwdev on an FCP device; its disks go with it. NoUnit when there is none, or it does not work."""
    machine = system.machines[userid]
    own = device(machine, vdev)
    if own is None:
        raise NoUnit(f"Device 0.0.{vdev.lower()} not found")
    if online:
        if not fabric.usable(system, own.rdev):
            raise NoUnit(f"Failed to set device 0.0.{vdev.lower()} online: Input/output error")
        fcps = tuple(sorted({*machine.fcps, vdev}))
        system.machines.put(userid, replace(machine, fcps=fcps))
        return
    for path in machine.units:
        if path.startswith(vdev):
            remove(system, userid, path)
    machine = system.machines[userid]
    system.machines.put(userid, replace(machine, fcps=tuple(item for item in machine.fcps if item != vdev)))


def add(system: System, userid: str, path: str) -> Lun:
    """unit_add: the disk of a path "vdev wwpn lun" appears. NoUnit when the device is offline or nothing is there."""
    machine = system.machines[userid]
    vdev, wwpn, number = path.split()
    if vdev not in machine.fcps:
        raise NoUnit(f"0.0.{vdev.lower()}: the FCP device is not online")
    if wwpn.lower() not in ports(system, machine, vdev):
        raise NoUnit(f"0.0.{vdev.lower()}: port 0x{wwpn.lower()} does not exist")
    lun = unit(system, machine, path)
    if lun is None:
        raise NoUnit(f"0.0.{vdev.lower()}: no LUN 0x{number.lower()} behind port 0x{wwpn.lower()}")
    if path not in machine.units:
        system.machines.put(userid, replace(machine, units=(*machine.units, path)))
        storage.show_device(system, userid, device_name(path), lambda: file(system, lun))
    return lun


def remove(system: System, userid: str, path: str) -> bool:
    """unit_remove: the disk is gone. False when it was not there."""
    machine = system.machines[userid]
    if path not in machine.units:
        return False
    system.machines.put(userid, replace(machine, units=tuple(item for item in machine.units if item != path)))
    storage.hide_device(system, userid, device_name(path))
    return True


def forget(system: System, userid: str, vdev: str = "") -> None:
    """A device was taken away (or, without a device, the system is loaded anew): its disks are gone."""
    machine = system.machines.get(userid)
    if machine is None:
        return
    for path in machine.units:
        if path.startswith(vdev):
            remove(system, userid, path)
    machine = system.machines[userid]
    fcps = tuple(item for item in machine.fcps if vdev and item != vdev)
    if fcps != machine.fcps:
        system.machines.put(userid, replace(machine, fcps=fcps))
