"""Minidisks as files, and links to them under CP's rules.

A disk has a file from the first time that something reads or writes it; one that has none was never written. Programs
of a virtual machine see its disks as symbolic links in its device folder, which is there from the first session of its
machine port until the machine logs off: ten thousand guests that nobody looks into cost no file at all.

Link modes: the first letter is what is wanted, the second what to fall back to.

    mode   others have none   others only read   someone writes
    R      R/O                R/O                refused
    RR     R/O                R/O                R/O
    W      R/W                refused            refused
    WR     R/W                R/O                R/O
    M      R/W                R/W                refused
    MR     R/W                R/W                R/O
    MW     R/W                R/W                R/W
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from zvmcloud.cp import messages
from zvmcloud.directory import Volume
from zvmcloud.directory.devices import Mdisk
from zvmcloud.images.sparsefile import set_room
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Dasd, Disk, Machine
from zvmcloud.simulator.system import System, safe_name

#: Bytes of a cylinder in raw-track form: 15 tracks of 65,536 bytes.
RAW_CYLINDER = 15 * 65536
BLOCK = 512
#: Devices that a virtual machine may have.
_FIRST_SUBCHANNEL = 16


def key(owner: str, vdev: str) -> str:
    return f"{owner}.{vdev}"


def create_disk(system: System, owner: str, disk: Mdisk) -> Disk:
    """Note a minidisk, a temporary or virtual disk. The space was chosen before.

    A DEVNO minidisk, whose `volser` is a device number, is a whole volume; its data are its own, and not those of
    minidisks that lie on the volume too (judgement).
    """
    whole = volume_at(system, disk.volser) if disk.placement == "DEVNO" else None
    if whole is not None:
        disk = replace(disk, device_type=whole.device_type, size=whole.size, volser=whole.volser, start=0)
    fba = disk.device_type in ("9336", "FB-512")
    size = disk.size or 0
    if disk.placement == "PERM" and disk.size is None:
        volume = system.volumes.get(disk.volser)
        size = max((volume.size if volume else 1) - (disk.start or 0), 1)
    temporary = {"V-DISK": "VDSK", "T-DISK": "TEMP"}.get(disk.placement, "")
    number = system.next_number("disk.file")
    kind = "FBA" if fba else "ECKD"
    name = f"{safe_name(owner)}-{disk.vdev}-{number:06d}.{kind.lower()}"
    if disk.size is None:
        name = ""
    made = Disk(
        owner,
        disk.vdev,
        kind,
        size,
        name,
        "9336" if disk.device_type == "9336" else disk.device_type,
        disk.volser,
        disk.start or 0,
        temporary,
    )
    system.disks.put(key(owner, disk.vdev), made)
    return made


def volume_at(system: System, rdev: str) -> Volume | None:
    """The volume with that device number, of those that the directory manager knows."""
    return next((volume for volume in system.volumes.values() if volume.rdev == rdev.rjust(4, "0")), None)


def new_file_of(system: System, disk: Disk) -> Path:
    """The file of a disk that was made in this transaction: when that is taken back, what is written goes too."""
    path = file_of(system, disk)
    system.store.on_rollback(lambda: path.unlink(missing_ok=True))
    return path


def file_of(system: System, disk: Disk) -> Path:
    """The file of a disk, made sparse with the disk's size when there is none yet. OSError when it cannot be made."""
    path = system.disk_folder / disk.file
    size = disk.size * (BLOCK if disk.kind == "FBA" else RAW_CYLINDER)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if os.fstat(descriptor).st_size < size:
            os.truncate(descriptor, size)
    finally:
        os.close(descriptor)
    return path


def delete_disk(system: System, owner: str, vdev: str) -> None:
    """Forget a disk; its file goes with the commit, or with the last link to it."""
    disk = system.disks.get(key(owner, vdev))
    if disk is None:
        return
    system.disks.remove(key(owner, vdev))
    if disk.file in system.memories:
        system.memories.remove(disk.file)
    if not disk.file:
        return
    if _linked(system, disk):
        # Who has it keeps it, and nothing else will know its size.
        file_of(system, disk)
    else:
        system.drop_file(system.disk_folder, disk.file)


def give_disks(system: System, owner: str, new_owner: str, vdevs: list[str]) -> None:
    """Minidisks of a SUBCONFIG get another owner: its IDENTITY, or itself when nothing is built on it any more."""
    for vdev in vdevs:
        disk = system.disks.get(key(owner, vdev))
        if disk is not None and key(new_owner, vdev) not in system.disks:
            system.disks.remove(key(owner, vdev))
            system.disks.put(key(new_owner, vdev), replace(disk, owner=new_owner))


def users(system: System, owner: str, vdev: str) -> list[tuple[Machine, Dasd]]:
    """Who has the disk as a device."""
    found = []
    for userid, alias in sorted(system.links.get((owner, vdev), ())):
        machine = system.machines.get(userid)
        device = machine.device(alias) if machine else None
        if machine is not None and isinstance(device, Dasd):
            found.append((machine, device))
    return found


def elsewhere(system: System, file: str, owner: str, vdev: str) -> list[tuple[Machine, Dasd]]:
    """Who on other members of the cluster has the disk with that file as a device."""
    return [(machine, device) for _, machine, device in by_member(system, file, owner, vdev)]


def by_member(system: System, file: str, owner: str, vdev: str) -> list[tuple[System, Machine, Dasd]]:
    """As `elsewhere`, with the member."""
    if system.cluster is None or not file:
        return []
    owners = {owner, system.cluster.identity_of(owner)}
    return [
        (peer, machine, device)
        for peer in system.peers
        for name in sorted(owners)
        for machine, device in users(peer, name, vdev)
        if device.file == file
    ]


def _linked(system: System, disk: Disk) -> bool:
    """Whether a disk is a device of any machine, on whichever member; another disk of that address does not count."""
    if any(device.file == disk.file for _, device in users(system, disk.owner, disk.vdev)):
        return True
    if system.cluster is None:
        return False
    names = {disk.owner, system.cluster.identity_of(disk.owner)}
    return any(
        device.file == disk.file
        for member in system.cluster.up()
        for name in names
        for _, device in users(member, name, disk.vdev)
    )


def grant_mode(system: System, owner: str, vdev: str, mode: str) -> tuple[bool, str]:
    """Whether a link in that mode writes, and what CP says when it does not although it could have.

    CpRefused when the mode does not allow any access beside what others have.
    """
    disk = system.disks.get(key(owner, vdev))
    # Who still has a disk that was deleted meanwhile has another one than that which is there now.
    others = [pair for pair in users(system, owner, vdev) if disk is None or pair[1].file == disk.file]
    others += elsewhere(system, disk.file, owner, vdev) if disk is not None else []
    writer = next((machine.userid for machine, device in others if device.write), "")
    reader = next((machine.userid for machine, device in others if not device.write), "")
    mode = mode.rstrip("VDES") or mode
    if mode in ("RR", "SR", "ER"):
        return False, ""
    if mode == "R":
        if writer:
            raise CpRefused(messages.LINK_HELD_RW, userid=owner, vdev=vdev, owner=writer)
        return False, ""
    if mode == "MW":
        return True, ""
    if mode in ("W", "WR"):
        if not writer and not reader:
            return True, ""
        if mode == "WR":
            return False, f"R/W BY {writer}" if writer else f"R/O BY {reader}"
        message = messages.LINK_HELD_RW if writer else messages.LINK_HELD_RO
        raise CpRefused(message, userid=owner, vdev=vdev, owner=writer or reader)
    if not writer:
        return True, ""
    if mode == "MR":
        return False, f"R/W BY {writer}"
    raise CpRefused(messages.LINK_HELD_RW, userid=owner, vdev=vdev, owner=writer)


def attach(system: System, userid: str, owner: str, owner_vdev: str, vdev: str, mode: str) -> tuple[Dasd, str]:
    """Make a disk a device of a machine that is logged on; gives the device and CP's remark.

    CpRefused: no such disk (107), address in use (92), conflict of modes (104, 105).
    """
    machine = system.machines.get(userid)
    if machine is None:
        raise CpRefused(messages.NOT_LOGGED_ON, userid=userid)
    disk = system.disks.get(key(owner, owner_vdev))
    if disk is None or not _in_effect(system, disk):
        raise CpRefused(messages.LINK_NO_DISK, userid=owner, vdev=owner_vdev)
    if machine.device(vdev) is not None:
        raise CpRefused(messages.VDEV_IN_USE, kind="DASD", vdev=vdev)
    write, remark = grant_mode(system, owner, owner_vdev, mode)
    device = Dasd(vdev, owner, owner_vdev, write, disk.file, _FIRST_SUBCHANNEL + len(machine.devices))
    system.machines.put(userid, replace(machine, devices=(*machine.devices, device)))
    if disk.file:
        show_disk(system, userid, device)
    return device, remark


def _in_effect(system: System, disk: Disk) -> bool:
    """Whether CP knows the minidisk: it does not yet while directory changes are offline."""
    if disk.temporary or not system.changes.waiting:
        return True
    entry = system.entry(disk.owner)
    return entry is not None and entry.mdisk(disk.vdev) is not None


def detach(system: System, userid: str, vdev: str) -> Dasd:
    """Take a disk device away. CpRefused when the machine has none with that address."""
    machine = system.machines.get(userid)
    device = machine.device(vdev) if machine else None
    if machine is None or not isinstance(device, Dasd):
        raise CpRefused(messages.DEVICE_MISSING, module="DTV", vdev=vdev)
    system.machines.put(userid, replace(machine, devices=tuple(item for item in machine.devices if item.vdev != vdev)))
    hide_device(system, userid, system.device_name(userid, vdev).name)
    disk = system.disks.get(key(device.owner, device.owner_vdev))
    orphaned = disk is None or disk.file != device.file
    still = any(other.file == device.file for _, other in users(system, device.owner, device.owner_vdev))
    still = still or bool(elsewhere(system, device.file, device.owner, device.owner_vdev))
    if device.file and orphaned and not still:
        system.drop_file(system.disk_folder, device.file)
    return device


def open_devices(system: System, userid: str) -> Path:
    """Make the device folder of a machine, with a link for each disk; gives the folder. A program of it begins."""
    folder = system.device_folder / userid
    folder.mkdir(exist_ok=True)
    machine = system.machines.get(userid)
    for name, target in _shown(system, machine).items() if machine is not None else ():
        _link(system, userid, name, target)
    return folder


def _shown(system: System, machine: Machine) -> dict[str, Callable[[], Path]]:
    """The links that the device folder of a machine has, and what makes the file that each leads to."""
    from zvmcloud.simulator import dedicated_disks, luns  # noqa: PLC0415 (these are built on this module)

    found: dict[str, Callable[[], Path]] = {
        system.device_name(machine.userid, device.vdev).name: partial(_file_behind, system, device)
        for device in machine.disks
        if device.file
    }
    for name, path in (luns.shown(system, machine) | dedicated_disks.shown(system, machine)).items():
        found[name] = lambda path=path: path  # type: ignore[misc]
    return found


def _file_behind(system: System, device: Dasd) -> Path:
    disk = system.disks.get(key(device.owner, device.owner_vdev))
    if disk is not None and disk.file == device.file:
        return file_of(system, disk)
    return system.disk_folder / device.file


def show_disk(system: System, userid: str, device: Dasd) -> None:
    """Make the symbolic link of a linked disk; see `show_device`."""
    show_device(system, userid, system.device_name(userid, device.vdev).name, partial(_file_behind, system, device))


def show_device(system: System, userid: str, name: str, target: Callable[[], Path]) -> None:
    """Make a link in the folder of a machine's devices, once the transaction is on disk and if there is a folder."""
    system.store.after_commit(lambda: _link(system, userid, name, target))


def hide_device(system: System, userid: str, name: str) -> None:
    """Remove the symbolic link of a device, once the transaction is on disk; the folder goes with the last one."""

    def remove() -> None:
        with suppress(OSError):
            path = system.device_folder / userid / name
            path.unlink(missing_ok=True)
            set_room(path, None)
            if userid not in system.machines:
                path.parent.rmdir()

    system.store.after_commit(remove)


def _link(system: System, userid: str, name: str, made: Callable[[], Path]) -> None:
    path = system.device_folder / userid / name
    if userid in system.sessions:
        # The machine logged on anew while its program was connected.
        path.parent.mkdir(exist_ok=True)
    elif not path.parent.is_dir():
        return
    with suppress(OSError):
        target = made().absolute()
        try:
            path.symlink_to(target)
        except FileExistsError:
            temporary = path.with_name(path.name + "~")
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(target)
            temporary.replace(path)


def sweep(*systems: System) -> None:
    """After a start: remove files no disk and no link refers to, and make the device links anew.

    Members of a cluster have their files in common, and are swept together.
    """
    wanted = {disk.file for system in systems for disk in system.disks.values()}
    wanted |= {device.file for system in systems for machine in system.machines.values() for device in machine.disks}
    spooled = {file.file for system in systems for file in system.spool.values()}
    for folder, kept in ((systems[0].disk_folder, wanted), (systems[0].spool_folder, spooled)):
        for path in folder.iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)
    for system in systems:
        _show_all(system)


def _show_all(system: System) -> None:
    """Make the links in the device folders what the machines say; those that are right stay."""
    for folder in os.scandir(system.device_folder):
        machine = system.machines.get(folder.name)
        if machine is None:
            shutil.rmtree(folder.path)
            continue
        wanted = _shown(system, machine)
        for item in os.scandir(folder):
            if item.name not in wanted:
                Path(item.path).unlink(missing_ok=True)
        for name, target in wanted.items():
            _link(system, folder.name, name, target)
