"""What an IPL loads: from a minidisk or EDEV, from the reader, or from a SCSI disk. Nothing is made up: what is in
those bytes decides.

    disk     IPL record of block 0 or cylinder 0 (see images.ipl): the sample system, or a Linux behind a loader that
             the model knows (guest_zipl)
    reader   the kernel is the first file, its command line the second, its initial file system the third; files that
             are not kept (CHANGE RDR ... KEEP) are gone once they are read
    SCSI     the boot record of the LUN that the LOADDEV parameters name leads to the program (see images.zipl): the
             sample system, or a Linux that zipl installed, with its command line (guest_zipl); the machine loader
             tells on the console what it does

Texts of messages that no source shows (the machine loader's above all) are judgement.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from zvmcloud.cp import messages
from zvmcloud.cp.messages import Message
from zvmcloud.images import kernel, zipl
from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.images.ipl import IPL_BYTES, IplRecord, read_ipl_record
from zvmcloud.images.sample import InstalledSystem, read_root, read_system
from zvmcloud.simulator import (
    dedicated_disks,
    guest_disks,
    guest_memory,
    guest_zipl,
    loaddev,
    luns,
    parm_line,
    spool,
    storage,
)
from zvmcloud.simulator.model import Dasd, Device, Machine, RealDevice, SpoolFile, UnitRecord
from zvmcloud.simulator.system import System

PROGRAM_LOOP = Message(453, "GIR", "W", "CP entered; program interrupt loop")
READER_EMPTY = Message(2043, "VMI", "E", "IPL was not performed; no file is ready in reader {vdev}")
LOADDEV_MISSING = Message(2813, "LDI", "E", "IPL was not performed; LOADDEV parameter {parameter} is not set")
LOADER_ASKED = Message(2816, "LDI", "I", "Acquiring the machine loader from the processor controller.")
LOADER_HERE = Message(2817, "LDI", "I", "Load completed from the processor controller.")
LOADER_STARTS = Message(2817, "LDI", "I", "Now starting the machine loader.")
#: PSW of a machine loader that gives up, and of a Linux kernel that panics.
_LOADER_WAIT = "00020000 80000000 00000000 00004503"
_PANIC_WAIT = "00020001 80000000 00000000 00000000"


class NotLoaded(Exception):
    """Nothing runs after the IPL; `lines` go to the console."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        super().__init__(lines[-1])


@dataclass(frozen=True, slots=True)
class Loaded:
    """A system that was loaded."""

    system: InstalledSystem
    root: str
    """Key of the memory of its root file system: a disk's file, luns/..., or ram/USERID for an initial file system."""
    writable: bool = True
    cmdline: str = ""
    disk: tuple[str, ...] = ()
    """What the kernel says of the disk that it was loaded from."""
    before: tuple[str, ...] = ()
    """Console lines of a loader, before those of the kernel."""
    agent: bool = True
    files: dict[str, bytes] = field(default_factory=dict)
    """The files of an initial file system."""
    paths: tuple[str, ...] = ()
    """SCSI disks that must be online for it: "vdev wwpn lun"."""
    ignition: bytes | None = None
    """The Ignition file of a CoreOS that is started for the first time, from its boot partition."""

    @property
    def parms(self) -> parm_line.Parms:
        return parm_line.read(self.cmdline)


def from_device(system: System, machine: Machine, device: Device | None) -> Loaded:
    """The system that an IPL of this device starts. NotLoaded with what CP says instead."""
    if isinstance(device, Dasd):
        return _from_minidisk(system, device)
    if isinstance(device, RealDevice) and device.kind == "FCP":
        return _from_scsi(system, machine, device)
    if isinstance(device, RealDevice) and device.kind == "DASD":
        return _from_real_disk(system, device)
    if isinstance(device, UnitRecord) and device.kind == "RDR":
        return _from_reader(system, machine, device)
    raise NotLoaded(PROGRAM_LOOP.render())


def root_file(system: System, root: str) -> Path | None:
    """The file behind the key of a root file system; None for one in memory."""
    if not root or root.startswith("ram/"):
        return None
    return system.lun_folder.parent / root if root.startswith("luns/") else system.disk_folder / root


def open_disk(path: Path, kind: str) -> EckdDisk | FbaDisk:
    """The file of a disk (kind ECKD or FBA), for reading. OSError when it cannot be read."""
    return FbaDisk(path) if kind == "FBA" else EckdDisk(path)


# -- disks ------------------------------------------------------------------------------------------------------------


def _from_minidisk(system: System, device: Dasd) -> Loaded:
    disk = system.disks.get(storage.key(device.owner, device.owner_vdev))
    if disk is None or not disk.file:
        raise NotLoaded(PROGRAM_LOOP.render())
    path = storage.file_of(system, disk)
    linux = guest_zipl.read_eckd(path) if disk.kind == "ECKD" else None
    if linux is not None:
        line = guest_zipl.command_line(linux, guest_memory.get(system, disk.file), "")
        told = disk_lines("dasda", device.vdev, disk.kind, disk.size, linux.system.volser)
        files, agent = linux.files, linux.has_agent
        loaded = Loaded(linux.system, disk.file, device.write, line, told, agent=agent, files=files)
        return _first_start(loaded, linux, device.vdev)
    installed = _installed(path, disk.kind)
    return Loaded(
        installed,
        disk.file,
        device.write,
        installed.cmdline,
        disk_lines("dasda", device.vdev, disk.kind, disk.size, installed.volser),
    )


def _first_start(loaded: Loaded, linux: guest_zipl.Found, path: str) -> Loaded:
    """With the Ignition file of a CoreOS. NotLoaded when it does not get beyond its initial file system."""
    if not linux.is_coreos:
        return loaded
    problem = guest_zipl.missing(loaded.cmdline, path, linux.ignition)
    if problem:
        raise _emergency(loaded, problem)
    return replace(loaded, ignition=linux.ignition)


def _from_real_disk(system: System, device: RealDevice) -> Loaded:
    """The disk that was dedicated, with whatever its holders wrote to it."""
    whole, path = dedicated_disks.find(system, device.rdev), dedicated_disks.file(system, device.rdev)
    if whole is None or path is None:
        raise NotLoaded(PROGRAM_LOOP.render())
    installed = _installed(path, whole.kind)
    told = disk_lines("dasda", device.vdev, whole.kind, whole.size, installed.volser)
    return Loaded(installed, f"luns/{whole.file}", not device.readonly, installed.cmdline, told)


def _installed(path: Path, kind: str) -> InstalledSystem:
    record = None
    try:
        with open_disk(path, kind) as file:
            found = read_system(file)
            if found is not None:
                return found
            record = read_ipl_record(file)
    except (OSError, ValueError):
        record = None
    raise NotLoaded(_stopped(record))


def _stopped(record: IplRecord | None) -> str:
    """CP's message when the IPL record starts nothing."""
    if record is None or not record.psw:
        return PROGRAM_LOOP.render()
    psw = f"{record.psw:016X}"
    return messages.DISABLED_WAIT.render(psw=f"{psw[:8]} {psw[8:]}")


def disk_lines(name: str, vdev: str, kind: str, size: int, volser: str) -> tuple[str, ...]:
    """What the kernel says of a disk when it comes online."""
    number = f"0.0.{vdev.lower()}"
    if kind != "ECKD":
        return (f"dasd-fba: {number}: {size} blocks of 512 bytes",)
    return (
        (
            f"dasd-eckd.90fb0d: {number}: DASD with 4 KB/block, {size * 15 * 48} KB total size, "
            "48 KB/track, compatible disk layout"
        ),
        f" {name}:VOL1/  {volser or '0X' + vdev}: {name}1",
    )


# -- SCSI -------------------------------------------------------------------------------------------------------------


def _from_scsi(system: System, machine: Machine, device: RealDevice) -> Loaded:
    wanted = loaddev.of(system, machine)
    if wanted.missing:
        raise NotLoaded(LOADDEV_MISSING.render(parameter=wanted.missing))
    told = [LOADER_ASKED.render(), LOADER_HERE.render(), LOADER_STARTS.render()]
    told.append("MLOEVL012I: Machine loader up and running.")
    for path in wanted.paths(device.vdev):
        lun = luns.unit(system, machine, path)
        if lun is None:
            vdev, port, number = path.split()
            told.append(f"MLOLOA022E: Device {vdev}, WWPN {port}, LUN {number}: the logical unit cannot be opened.")
            continue
        block = int(wanted.block or "0", 16)
        try:
            with FbaDisk(luns.file(system, lun)) as file:
                found = guest_zipl.read(file, wanted.program, block)
        except (zipl.BootRecordError, OSError) as error:
            told.append(f"MLOLOA031E: {error}.")
            continue
        told.append("MLOPDM003I: Machine loader finished, moving data to final storage location.")
        root = f"luns/{luns.file_name(lun)}"
        line = guest_zipl.command_line(found, guest_memory.get(system, root), wanted.text)
        disk = (
            f"scsi 0:0:0:0: Direct-Access     {lun.vendor:<8} {lun.product:<16} {lun.code} PQ: 0 ANSI: 5",
            f"sd 0:0:0:0: [sda] {lun.blocks} {lun.block_size}-byte logical blocks",
        )
        loaded = Loaded(found.system, root, True, line, disk, tuple(told), found.has_agent, found.files, (path,))
        return _first_start(loaded, found, path)
    raise NotLoaded(*told, messages.DISABLED_WAIT.render(psw=_LOADER_WAIT))


# -- reader -----------------------------------------------------------------------------------------------------------


def _from_reader(system: System, machine: Machine, reader: UnitRecord) -> Loaded:
    ready = [
        file
        for file in spool.files(system, machine.userid)
        if file.hold not in ("USER", "SYS", "USERSYS") and file.kind != "CON"
        and reader.spool_class in ("*", file.spool_class)
    ]  # fmt: skip
    if not ready:
        raise NotLoaded(READER_EMPTY.render(vdev=reader.vdev))
    first = _take(system, ready[0])
    found = kernel.read(first)
    if found is None:
        record = IplRecord(first[:IPL_BYTES].ljust(IPL_BYTES, b"\0"))
        raise NotLoaded(PROGRAM_LOOP.render() if record.bootable else _stopped(record))
    line = kernel.command_line(_take(system, ready[1]), found.line) if len(ready) > 1 else ""
    initial = kernel.initial_files(_take(system, ready[2])) if len(ready) > 2 else {}
    loaded = Loaded(InstalledSystem(kernel=found.release), f"ram/{machine.userid}", True, line, files=initial)
    root = parm_line.read(line).root
    if root:
        return _with_root(system, machine, loaded, root)
    if not initial:
        raise _panic(loaded, "Cannot open root device")
    installed = guest_zipl.initial_system(found.release, line, initial)
    return replace(loaded, system=installed, agent=guest_zipl.has_agent(initial))


def _take(system: System, file: SpoolFile) -> bytes:
    data = spool.read(system, file)
    if not file.kept:
        spool.purge(system, file)
    return data


def _with_root(system: System, machine: Machine, loaded: Loaded, root: str) -> Loaded:
    """The kernel mounts a disk, or a directory over the network, as its root file system."""
    if root.startswith(("nfs:", "nfs4:", "/dev/nfs")):
        parms = loaded.parms
        where = parms.nfs
        if not where or not parms.networks or not any(nic.lan_name for nic in machine.nics):
            raise _panic(loaded, "Unable to mount root fs via NFS")
        told = (*loaded.before, f"VFS: Mounted root (nfs filesystem) from {where}.")
        return replace(loaded, before=told, system=replace(loaded.system, cmdline=loaded.cmdline))
    vdev = parm_line.disk_of(root, [disk.vdev for disk in machine.disks])
    device = machine.device(vdev) if vdev else None
    disk = system.disks.get(storage.key(device.owner, device.owner_vdev)) if isinstance(device, Dasd) else None
    installed = None
    if isinstance(device, Dasd) and disk is not None and disk.file:
        try:
            with open_disk(storage.file_of(system, disk), disk.kind) as file:
                installed = read_root(file)
        except (OSError, ValueError):
            installed = None
    if installed is None or disk is None or not isinstance(device, Dasd):
        raise _panic(loaded, f'Cannot open root device "{root}"')
    return replace(
        loaded,
        system=replace(installed, kernel=loaded.system.kernel or installed.kernel),
        root=disk.file,
        writable=device.write,
        disk=disk_lines(
            guest_disks.name_of(system, machine, device.vdev), device.vdev, disk.kind, disk.size, installed.volser
        ),
    )


def _emergency(loaded: Loaded, why: str) -> NotLoaded:
    """The initial file system cannot go on, and nobody is there to help it."""
    return NotLoaded(
        *loaded.before,
        f"[    0.050000] Linux version {loaded.system.kernel or 'unknown'}",
        f"[    0.180000] Kernel command line: {loaded.cmdline}",
        f"[   12.310000] {why}",
        "You are in emergency mode.",
    )


def _panic(loaded: Loaded, why: str) -> NotLoaded:
    return NotLoaded(
        f"[    0.050000] Linux version {loaded.system.kernel or 'unknown'}",
        f"[    0.180000] Kernel command line: {loaded.cmdline}",
        f"[    1.310000] VFS: {why}",
        "[    1.440000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
        messages.DISABLED_WAIT.render(psw=_PANIC_WAIT),
    )
