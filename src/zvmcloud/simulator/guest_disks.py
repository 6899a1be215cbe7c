"""The disks that a guest's Linux has, and their names: dasda, sda, mpatha, by path.

DASD are named in the order of the machine's devices, the disk that was loaded first; SCSI disks in the order in which
they came online; multipath devices (user_friendly_names, as connectors set it up) in the order in which their WWIDs
were first seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from zvmcloud.simulator import luns, storage
from zvmcloud.simulator.model import Dasd, Machine
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


def dasds(machine: Machine) -> list[tuple[str, Dasd]]:
    """Names and devices of the DASD."""
    boot = machine.system.ipl if machine.system else ""
    ordered = sorted(machine.disks, key=lambda disk: disk.vdev != boot)
    return [(f"dasd{_letters(number)}", disk) for number, disk in enumerate(ordered)]


def name_of(machine: Machine, device: Dasd) -> str:
    """dasda, dasdb ... of a DASD of the machine."""
    return next(name for name, disk in dasds(machine) if disk.vdev == device.vdev)


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
    for number, (name, device) in enumerate(dasds(machine)):
        row = system.disks.get(storage.key(device.owner, device.owner_vdev))
        if row is not None:
            blocks = row.size * 180 if row.kind == "ECKD" else row.size // 8
            lines.append(
                f"0.0.{device.vdev.lower()}({row.kind:<4}) at ( 94:{4 * number:>6}) is {name:<12}: active at "
                f"blocksize: 4096, {blocks} blocks, {blocks * 4096 >> 20} MB"
            )
    return lines


def root_device(system: System, machine: Machine) -> str:
    """The partition with the root file system."""
    root = machine.system.root if machine.system else ""
    if root.startswith("luns/"):
        return "/dev/mapper/mpatha1" if multipaths(system, machine) else "/dev/sda1"
    name = next((name for name, disk in dasds(machine) if disk.file == root), "")
    return f"/dev/{name}1" if name else "rootfs"


def _links(system: System, machine: Machine) -> dict[str, str]:
    """Every name of a whole disk to the device node that it leads to."""
    found: dict[str, str] = {}
    for name, dasd in dasds(machine):
        found[f"/dev/{name}"] = f"/dev/{name}"
        found[f"/dev/disk/by-path/ccw-0.0.{dasd.vdev.lower()}"] = f"/dev/{name}"
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
