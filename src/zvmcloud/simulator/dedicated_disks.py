"""The bytes of real disks that a virtual machine has as a whole (DEDICATE, ATTACH).

An EDEV has the blocks of its LUN. Another disk has a sparse file of its own, named by its device number: it is made
when a machine gets the disk for the first time, stays when the disk is given back, and is the same on all members of a
cluster, whose paths to a disk have one device number (judgement). Minidisks that the directory manager once had on that
volume keep their own files: the bytes of a volume that was attached to SYSTEM are not found in them, nor theirs here
(judgement).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from zvmcloud.simulator import dasd, fabric, luns
from zvmcloud.simulator.model import Machine, RealDevice
from zvmcloud.simulator.storage import BLOCK, RAW_CYLINDER
from zvmcloud.simulator.system import System

_FBA = ("9336", "FB-512")


@dataclass(frozen=True, slots=True)
class Whole:
    """A real disk: its kind (ECKD or FBA), its size in cylinders or blocks, and its file below the folder of LUNs."""

    kind: str
    size: int
    file: str


def find(system: System, rdev: str) -> Whole | None:
    """The real disk with that device number; None when it is unknown, or an EDEV without a path that works."""
    if rdev in system.edevs:
        lun = fabric.edev_lun(system, rdev)
        return Whole("FBA", lun.blocks, luns.file_name(lun)) if lun is not None else None
    disk = dasd.find(system, rdev)
    if disk is None:
        return None
    kind = "FBA" if disk.device_type in _FBA else "ECKD"
    return Whole(kind, disk.size, f"volume-{rdev.lower()}.{kind.lower()}")


def file(system: System, rdev: str) -> Path | None:
    """The file with a disk's bytes, made sparse if missing. None as `find`; OSError when it cannot be made."""
    lun = fabric.edev_lun(system, rdev)
    if lun is not None:
        return luns.file(system, lun)
    whole = find(system, rdev)
    if whole is None:
        return None
    path = system.lun_folder / whole.file
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        size = whole.size * (BLOCK if whole.kind == "FBA" else RAW_CYLINDER)
        if os.fstat(descriptor).st_size < size:
            os.truncate(descriptor, size)
    finally:
        os.close(descriptor)
    return path


def of(machine: Machine) -> list[RealDevice]:
    """The real disks of a machine."""
    return [item for item in machine.devices if isinstance(item, RealDevice) and item.kind == "DASD"]


def shown(system: System, machine: Machine) -> dict[str, Path]:
    """Names and files of a machine's real disks, for the folder of its devices."""
    found = {}
    for item in of(machine):
        path = file(system, item.rdev)
        if path is not None:
            found[system.device_name(machine.userid, item.vdev).name] = path
    return found
