"""The SCSI fabric: FCP devices with their WWPNs, target ports with LUNs, and EDEVs that CP makes of LUNs.

An FCP device reaches a LUN when the device and its channel path are online and the storage box lets its WWPN in (the
NPIV one, or the physical one where NPIV is off). An EDEV works while one of its paths does.
"""

from __future__ import annotations

from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.cp.messages import Message
from zvmcloud.simulator import dasd
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model_devices import Edev, Lun
from zvmcloud.simulator.system import System

#: Recorded as the reason code of System_SCSI_Disk_Add on a path that leads nowhere; the text is judgement.
NO_PATH = Message(8700, "SCS", "E", "EDEVICE {rdev} cannot be varied online because no path to the device is usable")
EDEV_IN_USE = Message(6864, "SED", "E", "EDEVICE {rdev} is in use")
PATH_MISSING = Message(8701, "SED", "E", "EDEVICE {rdev} has no path {path}")
MAX_PATHS = 8


def key(wwpn: str, lun: str) -> str:
    return f"{wwpn} {lun}"


def path_online(system: System, chpid: str) -> bool:
    """Whether a channel path carries I/O; one that is not listed does."""
    found = system.channel_paths.get(chpid)
    return found is None or found.online


def paths_to(system: System, rdev: str) -> list[str]:
    """The channel paths of a real device, in order; none when there is no such device."""
    adapter = system.osas.get(rdev) or system.fcps.get(rdev)
    if adapter is not None:
        return [adapter.chpid]
    if dasd.find(system, rdev) is None:
        return []
    return sorted(path.chpid for path in system.channel_paths.values() if path.kind == "FC")


def leads(system: System, chpid: str, rdev: str) -> bool:
    """Whether a channel path carries I/O to that device: it is online, and so is the device's use of it."""
    return path_online(system, chpid) and f"{chpid} {rdev}" not in system.closed_paths


def usable(system: System, rdev: str) -> bool:
    """Whether an FCP device exists and works."""
    fcp = system.fcps.get(rdev)
    return fcp is not None and fcp.online and path_online(system, fcp.chpid)


def reachable(system: System, rdev: str) -> list[Lun]:
    """The LUNs that an FCP device can open, by port and number."""
    if not usable(system, rdev):
        return []
    fcp = system.fcps[rdev]
    name = (fcp.npiv or fcp.physical).upper()
    luns = [lun for lun in system.luns.values() if not lun.hosts or name in lun.hosts]
    return sorted(luns, key=lambda lun: (lun.wwpn, lun.lun))


def through(system: System, path: str) -> Lun | None:
    """The LUN at the end of a path "fcp wwpn lun"; None when it leads nowhere."""
    rdev, wwpn, lun = path.split()
    return next((item for item in reachable(system, rdev) if (item.wwpn, item.lun) == (wwpn, lun)), None)


def edev_lun(system: System, rdev: str) -> Lun | None:
    """The disk behind an EDEV that is online, through the first of its paths that works."""
    edev = system.edevs.get(rdev)
    if edev is None or not edev.online:
        return None
    return next((lun for path in edev.paths if (lun := through(system, path)) is not None), None)


def normal_path(text: str) -> str | None:
    """A path as three upper-case words of 4, 16 and 16 digits; None when it is none."""
    words = text.upper().split()
    if len(words) != 3 or len(words[0]) > 4 or len(words[1]) != 16 or len(words[2]) != 16:
        return None
    return f"{words[0].rjust(4, '0')} {words[1]} {words[2]}"


def define_edev(system: System, rdev: str, paths: tuple[str, ...], *, persistent: bool) -> Edev:
    """SET EDEVICE: define an EDEV, still offline. CpRefused when it is online already or the number is taken."""
    found = system.edevs.get(rdev)
    taken = rdev in system.osas or rdev in system.fcps or rdev in system.real_disks
    if taken or any(volume.rdev == rdev for volume in system.volumes.values()) or (found is not None and found.online):
        raise CpRefused(EDEV_IN_USE, rdev=rdev)
    edev = Edev(rdev, paths, persistent=persistent)
    system.edevs.put(rdev, edev)
    return edev


def vary_on(system: System, rdev: str) -> Edev:
    """Bring an EDEV online. CpRefused 40 when there is none, 8700 when no path leads to a disk."""
    edev = _edev(system, rdev)
    lun = next((item for path in edev.paths if (item := through(system, path)) is not None), None)
    if lun is None:
        raise CpRefused(NO_PATH, rdev=rdev)
    attribute = "2145" if lun.product.startswith("2145") else "1750" if lun.product.startswith("1750") else "2107"
    changed = replace(edev, online=True, blocks=lun.blocks, attribute=attribute)
    system.edevs.put(rdev, changed)
    return changed


def add_paths(system: System, rdev: str, paths: tuple[str, ...], *, persistent: bool) -> Edev:
    """More paths to the same disk. CpRefused when one leads to another disk."""
    edev = _edev(system, rdev)
    uuids = {lun.uuid for path in edev.paths if (lun := through(system, path)) is not None}
    for path in paths:
        lun = through(system, path)
        if lun is None or (uuids and lun.uuid not in uuids):
            raise CpRefused(NO_PATH, rdev=rdev)
    known = tuple(dict.fromkeys((*edev.paths, *paths)))
    changed = replace(edev, paths=known[:MAX_PATHS], persistent=edev.persistent or persistent)
    system.edevs.put(rdev, changed)
    return changed


def remove_paths(system: System, rdev: str, paths: tuple[str, ...], *, persistent: bool) -> Edev:
    """Fewer paths; the last one cannot go while the EDEV is online."""
    edev = _edev(system, rdev)
    for path in paths:
        if path not in edev.paths:
            raise CpRefused(PATH_MISSING, rdev=rdev, path=path)
    kept = tuple(path for path in edev.paths if path not in paths)
    if edev.online and not kept:
        raise CpRefused(EDEV_IN_USE, rdev=rdev)
    changed = replace(edev, paths=kept, persistent=edev.persistent or persistent)
    system.edevs.put(rdev, changed)
    return changed


def delete_edev(system: System, rdev: str) -> None:
    """Remove an EDEV. CpRefused 40 when there is none, and while CP has a volume on it."""
    _edev(system, rdev)
    if any(volume.rdev == rdev for volume in system.volumes.values()):
        raise CpRefused(EDEV_IN_USE, rdev=rdev)
    row = system.real_disks.get(rdev)
    if row is not None:
        if row.status in ("SYSTEM", "OWNED", "ATTACHED"):
            raise CpRefused(EDEV_IN_USE, rdev=rdev)
        system.real_disks.remove(rdev)
    system.edevs.remove(rdev)


def _edev(system: System, rdev: str) -> Edev:
    edev = system.edevs.get(rdev)
    if edev is None:
        raise CpRefused(messages.DEVICE_MISSING, module="SED", vdev=rdev)
    return edev


def fcp_status(system: System, rdev: str) -> int:
    """1 active (somebody has it, or a path of an EDEV uses it), 2 free, 3 offline."""
    if not usable(system, rdev):
        return 3
    used = any(path.startswith(rdev) for edev in system.edevs.values() if edev.online for path in edev.paths)
    return 1 if system.fcps[rdev].owner or used else 2
