"""The disks that a guest's Linux has, and their names: dasda, sda, mpatha, by path.

DASD are named in the order of the machine's devices, the disk that was loaded first; SCSI disks in the order in which
they came online; multipath devices (user_friendly_names, as connectors set it up) in the order in which their WWIDs
were first seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from zvmcloud.simulator import dedicated_disks, luns, storage
from zvmcloud.simulator.model import Dasd, Machine, RealDevice
from zvmcloud.simulator.model_devices import Lun
from zvmcloud.simulator.system import System


@dataclass(frozen=True, slots=True)
class Scsi:
    """One path to a SCSI disk: sda, its path "vdev wwpn lun", and the LUN at its end."""

    name: str
    path: str
    lun: Lun


@dataclass(frozen=True, slots=True)
class Multipath:
    """A SCSI disk with all its paths."""

    name: str
    lun: Lun
    paths: tuple[Scsi, ...]

    @property
    def wwid(self) -> str:
        return wwid(self.lun)


def wwid(lun: Lun) -> str:
    """What scsi_id prints: 3 for NAA, and the uuid."""
    return f"3{lun.uuid.lower()}"


def _letters(number: int) -> str:
    """a ... z, aa ... as Linux names disks."""
    text = ""
    number += 1
    while number:
        number, digit = divmod(number - 1, 26)
        text = chr(ord("a") + digit) + text
    return text


@dataclass(frozen=True, slots=True)
class DasdDisk:
    """A DASD as Linux has it: dasda, its address, its kind (ECKD or FBA), cylinders or blocks (0 when it is gone), and
    the key of a root file system on it."""

    name: str
    vdev: str
    kind: str
    size: int
    root: str

    @property
    def bytes(self) -> int:
        """What a file system could use: 180 blocks of 4096 bytes on a cylinder."""
        return self.size * 180 * 4096 if self.kind == "ECKD" else self.size * storage.BLOCK


def dasds(system: System, machine: Machine) -> list[DasdDisk]:
    """The DASD: minidisks and real disks."""
    boot = machine.system.ipl if machine.system else ""
    found = []
    for device in machine.devices:
        if isinstance(device, Dasd):
            row = system.disks.get(storage.key(device.owner, device.owner_vdev))
            kind, size = (row.kind, row.size) if row is not None else ("ECKD", 0)
            found.append(DasdDisk("", device.vdev, kind, size, device.file))
        elif isinstance(device, RealDevice) and (whole := _whole(system, device)) is not None:
            found.append(DasdDisk("", device.vdev, whole.kind, whole.size, f"luns/{whole.file}"))
    found.sort(key=lambda disk: disk.vdev != boot)
    return [replace(disk, name=f"dasd{_letters(number)}") for number, disk in enumerate(found)]


def _whole(system: System, device: RealDevice) -> dedicated_disks.Whole | None:
    return dedicated_disks.find(system, device.rdev) if device.kind == "DASD" else None


def name_of(system: System, machine: Machine, vdev: str) -> str:
    """dasda, dasdb ... of a DASD of the machine."""
    return next(disk.name for disk in dasds(system, machine) if disk.vdev == vdev)


def scsis(system: System, machine: Machine) -> list[Scsi]:
    """The SCSI disks whose path works."""
    found = []
    for number, path in enumerate(machine.units):
        lun = luns.unit(system, machine, path)
        if lun is not None:
            found.append(Scsi(f"sd{_letters(number)}", path, lun))
    return found


def multipaths(system: System, machine: Machine) -> list[Multipath]:
    """The SCSI disks, each once."""
    by_uuid: dict[str, list[Scsi]] = {}
    for disk in scsis(system, machine):
        by_uuid.setdefault(disk.lun.uuid, []).append(disk)
    return [
        Multipath(f"mpath{_letters(number)}", disks[0].lun, tuple(disks))
        for number, disks in enumerate(by_uuid.values())
    ]


def dasd_lines(system: System, machine: Machine) -> list[str]:
    """/proc/dasd/devices: reference/connector/cp_corpus.md 3."""
    lines = []
    for number, disk in enumerate(dasds(system, machine)):
        if disk.size:
            lines.append(
                f"0.0.{disk.vdev.lower()}({disk.kind:<4}) at ( 94:{4 * number:>6}) is {disk.name:<12}: active at "
                f"blocksize: 4096, {disk.bytes // 4096} blocks, {disk.bytes >> 20} MB"
            )
    return lines


def root_device(system: System, machine: Machine) -> str:
    """The partition with the root file system."""
    root = machine.system.root if machine.system else ""
    name = next((disk.name for disk in dasds(system, machine) if disk.root == root), "")
    if name:
        return f"/dev/{name}1"
    if root.startswith("luns/"):
        return "/dev/mapper/mpatha1" if multipaths(system, machine) else "/dev/sda1"
    return "rootfs"


def _links(system: System, machine: Machine) -> dict[str, str]:
    """Every name of a whole disk to the device node that it leads to."""
    found: dict[str, str] = {}
    for dasd in dasds(system, machine):
        found[f"/dev/{dasd.name}"] = f"/dev/{dasd.name}"
        found[f"/dev/disk/by-path/ccw-0.0.{dasd.vdev.lower()}"] = f"/dev/{dasd.name}"
    for disk in scsis(system, machine):
        found[f"/dev/{disk.name}"] = f"/dev/{disk.name}"
        found[f"/dev/disk/by-path/{luns.device_name(disk.path)}"] = f"/dev/{disk.name}"
    for number, item in enumerate(multipaths(system, machine)):
        found[f"/dev/mapper/{item.name}"] = f"/dev/dm-{number}"
        found[f"/dev/disk/by-id/dm-uuid-mpath-{item.wwid}"] = f"/dev/dm-{number}"
        found[f"/dev/dm-{number}"] = f"/dev/dm-{number}"
    return found


def resolve(system: System, machine: Machine, path: str) -> str:
    """What readlink -f prints for a disk or a partition of it; empty when the path is neither."""
    links = _links(system, machine)
    if path in links:
        return links[path]
    part = re.fullmatch(r"(.+?)(?:-part)?(\d{1,2})", path)
    target = links.get(part[1]) if part else None
    return f"{target}{part[2]}" if part and target else ""


def names(system: System, machine: Machine, folder: str) -> list[str]:
    """The names in a folder below /dev."""
    prefix = f"{folder}/"
    found = {name.removeprefix(prefix).split("/")[0] for name in _links(system, machine) if name.startswith(prefix)}
    return sorted(found)


def by_path(system: System, machine: Machine, path: str) -> Lun | None:
    """The LUN that a device's name leads to, through a path or multipath."""
    target = resolve(system, machine, path)
    for disk in scsis(system, machine):
        if target == f"/dev/{disk.name}":
            return disk.lun
    found = re.fullmatch(r"/dev/dm-(\d+)", target)
    every = multipaths(system, machine)
    return every[int(found[1])].lun if found and int(found[1]) < len(every) else None
