"""Minidisks that are deleted while directory changes are offline: CP still has them, with their data.

They go when changes are put online, or when the directory manager gives their address to another minidisk.
"""

from __future__ import annotations

from zvmcloud.directory import Entry, statements
from zvmcloud.simulator import storage
from zvmcloud.simulator.model import Disk
from zvmcloud.simulator.model_directory import HeldDisk
from zvmcloud.simulator.system import System


def drop(system: System, owner: str, vdev: str) -> None:
    """A minidisk has gone from the source directory: delete it, or hold it while the object directory has it."""
    key = storage.key(owner, vdev)
    disk = system.disks.get(key)
    offline = not system.changes.mode.online and key not in system.held_disks
    if disk is not None and offline and _in_effect(system, disk):
        system.held_disks.put(key, HeldDisk(owner, vdev, disk.file))
    else:
        storage.delete_disk(system, owner, vdev)


def _in_effect(system: System, disk: Disk) -> bool:
    old = system.in_effect.get(disk.owner)
    if old is None:
        # The first change of the entry since changes are offline: what it had is in effect.
        return True
    known = Entry(statements.split(old.records, verbatim=True)).mdisk(disk.vdev) if old.records else None
    return known is not None and (known.volser, known.start) == (disk.volser, disk.start)


def take_place(system: System, owner: str, vdev: str) -> None:
    """Another minidisk gets the address: one that is held under it goes now, and is noted as gone."""
    held = system.held_disks.get(storage.key(owner, vdev))
    if held is not None and held.file:
        storage.delete_disk(system, owner, vdev)
        system.held_disks.put(storage.key(owner, vdev), HeldDisk(owner, vdev, ""))


def let_go(system: System) -> None:
    """Changes are put online: everything held goes."""
    for held in list(system.held_disks.values()):
        system.held_disks.remove(storage.key(held.owner, held.vdev))
        if held.file:
            storage.delete_disk(system, held.owner, held.vdev)
