"""What must hold for every state of a simulated z/VM."""

from __future__ import annotations

from zvmcloud.simulator import storage
from zvmcloud.simulator.system import System


def consistent(system: System) -> None:
    """Directory, disks, extent map, links, files and device links say the same."""
    minidisks = {
        storage.key(system.home(name), disk.vdev)
        for name, record in system.entries.items()
        for disk in record.entry.mdisks
        if disk.placement == "PERM" or (disk.placement == "DEVNO" and storage.volume_at(system, disk.volser))
    }
    whole = sum(disk.placement == "DEVNO" for _, record in system.entries.items() for disk in record.entry.mdisks)
    held = {key for key, disk in system.held_disks.items() if disk.file}
    minidisks |= held
    permanent = {key for key, disk in system.disks.items() if not disk.temporary}
    assert permanent == minidisks
    for key, disk in system.disks.items():
        assert storage.file_of(system, disk).is_file(), key
    files = {disk.file for disk in system.disks.values()}
    files |= {device.file for machine in system.machines.values() for device in machine.disks}
    assert {path.name for path in system.disk_folder.iterdir()} <= files
    for volser, volume in system.volumes.items():
        position = 0
        for use in system.space.used(volser):
            assert use.start >= position, f"{use} overlaps on {volser}"
            position = use.end
        assert position <= volume.size
    uses = sum(1 for volser in system.volumes for _ in system.space.used(volser))
    assert uses == len(permanent) - whole - len(held)
    links = {
        (device.owner, device.owner_vdev, name, device.vdev)
        for name, machine in system.machines.items()
        for device in machine.disks
    }
    assert {(*disk, *user) for disk, users in system.links.items() for user in users} == links
    folders = {folder.name for folder in system.device_folder.iterdir()}
    shown = {
        (name, path.name.removeprefix("0.0.").upper())
        for name in folders
        for path in (system.device_folder / name).iterdir()
    }
    assert shown == {(name, vdev) for _, _, name, vdev in links if name in folders}
    spooled = {file.file for file in system.spool.values()}
    assert {path.name for path in system.spool_folder.iterdir()} == spooled
