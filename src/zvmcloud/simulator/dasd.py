"""Real disks: what devices the partition has, who has them, and which volumes CP has mounted.

A disk is either below a volume of the directory manager (`system.volumes`, mounted unless its row in `real_disks` says
otherwise), a page or spool volume, an EDEV that is online, or a row of `real_disks` of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from zvmcloud.cp.messages import Message
from zvmcloud.directory import Volume
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model_devices import RealDisk
from zvmcloud.simulator.system import System

#: Pages of 4 KiB on a cylinder of a 3390.
PAGES_PER_CYLINDER = 180
DASD_IN_USE = Message(124, "DTR", "E", "DASD {rdev} in use by {users} users")


@dataclass(frozen=True, slots=True)
class Shown:
    """A real disk as CP shows it."""

    rdev: str
    model: str
    size: int
    status: str
    volser: str = ""
    owner: str = ""

    @property
    def device_type(self) -> str:
        return self.model.split("-", 1)[0]


def find(system: System, rdev: str) -> Shown | None:
    """The disk with that device number; None when CP knows no disk there."""
    return next((disk for disk in every(system) if disk.rdev == rdev), None)


def every(system: System) -> list[Shown]:
    """All disks that CP knows, by device number."""
    found: dict[str, Shown] = {}
    for volume in system.volumes.values():
        status = "OWNED" if volume.volser == system_residence(system) else "SYSTEM"
        found[volume.rdev] = Shown(volume.rdev, volume.model, volume.size, status, volume.volser)
    for edev in system.edevs.values():
        if edev.rdev not in found and edev.online:
            found[edev.rdev] = Shown(edev.rdev, "9336-10", edev.blocks, "FREE")
    for disk in system.real_disks.values():
        if disk.status == "HIDDEN":
            found.pop(disk.rdev, None)
        else:
            found[disk.rdev] = Shown(disk.rdev, disk.model, disk.size, disk.status, disk.volser, disk.owner)
    for space in system.space_volumes.values():
        if space.rdev not in system.real_disks:
            cylinders = -(-space.pages // PAGES_PER_CYLINDER)
            found[space.rdev] = Shown(space.rdev, "3390-09", cylinders, "OWNED", space.volser)
    return sorted(found.values(), key=lambda item: item.rdev)


def system_residence(system: System) -> str:
    """The label of the volume that CP was loaded from: the volume with the lowest device number ending in RES."""
    found = [volume for volume in system.volumes.values() if volume.volser.endswith("RES")]
    return min(found, key=lambda volume: volume.rdev).volser if found else ""


def exists(system: System, rdev: str) -> bool:
    """Whether the partition has any device with that number, a disk or something else."""
    return (
        rdev in system.osas
        or rdev in system.fcps
        or rdev in system.edevs
        or rdev in system.real_disks
        or find(system, rdev) is not None
    )


def mounted(system: System, volser: str) -> bool:
    """Whether CP can use minidisks of the volume; a volume that nothing is known about is believed to be there."""
    volume = system.volumes.get(volser)
    row = system.real_disks.get(volume.rdev) if volume is not None else None
    return row is None or row.volser != volser or row.status in ("SYSTEM", "OWNED")


def mount(system: System, rdev: str, volser: str) -> None:
    """Give a disk with that label to CP for minidisks (ATTACH rdev SYSTEM); the directory manager may then use it."""
    disk = find(system, rdev)
    assert disk is not None, rdev  # noqa: S101
    system.real_disks.put(rdev, RealDisk(rdev, disk.model, disk.size, volser, "SYSTEM"))
    if volser not in system.volumes:
        system.volumes.put(volser, Volume(volser, disk.model, disk.size, rdev))


def unmount(system: System, rdev: str) -> None:
    """Take a volume from CP (DETACH rdev SYSTEM). CpRefused 124 while minidisks of it are in use.

    The directory manager forgets a volume that holds neither regions nor minidisks.
    """
    disk = find(system, rdev)
    if disk is None or disk.status != "SYSTEM":
        return
    users = sum(
        1
        for owner, vdev in system.links
        if (made := system.disks.get(f"{owner}.{vdev}")) is not None and made.volser == disk.volser
    )
    if users:
        raise CpRefused(DASD_IN_USE, rdev=rdev, users=users)
    row = system.real_disks.get(rdev) or RealDisk(rdev, disk.model, disk.size, disk.volser)
    system.real_disks.put(rdev, replace(row, status="FREE", owner=""))
    has_regions = any(region.volser == disk.volser for region in system.regions.values())
    if disk.volser in system.volumes and not has_regions and not any(True for _ in system.space.used(disk.volser)):
        system.volumes.remove(disk.volser)


def vary(system: System, rdev: str, *, online: bool) -> RealDisk:
    """VARY a disk that nobody uses on or off. CpRefused 40 unknown, 124 in use."""
    from zvmcloud.cp import messages  # noqa: PLC0415 (only needed to refuse)

    row = system.real_disks.get(rdev)
    disk = find(system, rdev)
    if row is None and disk is None:
        raise CpRefused(messages.DEVICE_MISSING, module="CPV", vdev=rdev)
    if disk is not None and disk.status in ("SYSTEM", "OWNED", "ATTACHED"):
        if online:
            return row or RealDisk(rdev, disk.model, disk.size, disk.volser, disk.status)
        raise CpRefused(DASD_IN_USE, rdev=rdev, users=1)
    row = row or (RealDisk(rdev, disk.model, disk.size, disk.volser) if disk is not None else RealDisk(rdev))
    changed = replace(row, status="FREE" if online else "OFFLINE", owner="")
    system.real_disks.put(rdev, changed)
    return changed


def dedicate(system: System, rdev: str, userid: str) -> RealDisk:
    """Give a whole real disk to a virtual machine. CpRefused 40 no such disk, 92 it is in use or offline."""
    from zvmcloud.cp import messages  # noqa: PLC0415 (only needed to refuse)

    disk = find(system, rdev)
    if disk is None:
        raise CpRefused(messages.DEVICE_MISSING, vdev=rdev)
    if disk.status != "FREE":
        raise CpRefused(messages.VDEV_IN_USE, kind="DASD", vdev=rdev)
    row = system.real_disks.get(rdev) or RealDisk(rdev, disk.model, disk.size, disk.volser)
    changed = replace(row, status="ATTACHED", owner=userid)
    system.real_disks.put(rdev, changed)
    return changed


def release(system: System, rdev: str) -> None:
    """Take a dedicated disk back; it is free again."""
    row = system.real_disks.get(rdev)
    if row is not None and row.status == "ATTACHED":
        system.real_disks.put(rdev, replace(row, status="FREE", owner=""))
