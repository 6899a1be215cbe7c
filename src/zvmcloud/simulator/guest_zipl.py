"""What a program of a SCSI boot record is, from its bytes: the sample system, or a Linux that zipl installed; and the
Linux that the loader on an ECKD disk starts (`images.eckd_loader`), whose map the model follows as its code does.

A Linux is its kernel, the command line and the initial file system that the record leads to; what its root file system
holds the model does not read. A CoreOS brings the disk of rd.zfcp= or rd.dasd= online and, when
ignition.firstboot is on its command line, hands the Ignition file of its boot partition to Ignition. At the end of the
first start it runs zipl, which makes the boot record from the loader entry: the model keeps the bytes and remembers
that it did (judgement; the order of these things is that of coreos-installer's and Ignition's documentation).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from zvmcloud.images import coreos, cpio, eckd_loader, kernel, zipl
from zvmcloud.images.blocks import FACTOR, DasdBlocks
from zvmcloud.images.coreos import CoreosError
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.images.ext4 import FileSystemError
from zvmcloud.images.sample import InstalledSystem, read_scsi_system
from zvmcloud.images.tracks import TrackError
from zvmcloud.simulator import parm_line
from zvmcloud.simulator.model import Remembered

RESULT = "/etc/.ignition-result.json"
"""What Ignition writes at the end of a first start."""
_RELEASES = ("etc/os-release", "usr/lib/os-release", "etc/initrd-release", "usr/lib/initrd-release")


@dataclass(frozen=True, slots=True)
class Found:
    """A system that a boot record leads to. `each_start`: what zipl would make its command line of."""

    system: InstalledSystem
    files: dict[str, bytes] = field(default_factory=dict)
    each_start: str = ""
    ignition: bytes | None = None
    has_agent: bool = True

    @property
    def is_coreos(self) -> bool:
        release = self.system.os_release
        return release.get("ID") == "rhcos" or release.get("VARIANT_ID") == "coreos"


def read(disk: FbaDisk, program: int, boot_record: int) -> Found:
    """What the machine loader loads. BootRecordError when there is nothing, or damage."""
    ours = read_scsi_system(disk, program, boot_record)
    if ours.known:
        return Found(ours)
    try:
        linux = coreos.program(disk, program, boot_record)
    except CoreosError:
        return Found(ours)
    image = kernel.read(zipl.content(disk, linux.kernel, kernel.MAX_ARCHIVE))
    if image is None:
        raise zipl.BootRecordError("kernel", linux.kernel.list_block, "is no kernel image")
    data = zipl.content(disk, linux.initial, kernel.MAX_ARCHIVE) if linux.initial is not None else b""
    files = kernel.initial_files(data[: linux.initial_bytes])
    line = linux.text[: image.line]
    found = Found(initial_system(image.release, line, files), files, has_agent=has_agent(files))
    return _coreos(disk, found) if found.is_coreos else found


def read_eckd(path: Path) -> Found | None:
    """What the loader of an ECKD disk starts; None when there is none, or no kernel where its map says."""
    try:
        with DasdBlocks(path) as disk:
            return _from_map(disk)
    except (OSError, TrackError):
        return None


def _from_map(disk: DasdBlocks) -> Found | None:
    linux = eckd_loader.read(disk.disk)
    if linux is None:
        return None
    first, second = (
        b"".join(disk.read(run.block * FACTOR, run.count * FACTOR) for run in runs)
        for runs in (linux.kernel, linux.initial)
    )
    image = kernel.loaded(bytes(eckd_loader.KERNEL_AT) + first)
    if image is None:
        return None
    files = kernel.initial_files(second[: linux.initial_bytes])
    line = linux.line[: image.line]
    found = Found(initial_system(image.release, line, files), files, has_agent=has_agent(files))
    return _coreos(disk, found) if found.is_coreos else found


def _coreos(disk: DasdBlocks | FbaDisk, found: Found) -> Found:
    """With what its boot partition holds; one that cannot be read holds nothing."""
    try:
        system = coreos.installed(disk)
        files = system.partition.files
        config = files.read(coreos.CONFIG, coreos.MAX_CONFIG) if files.exists(coreos.CONFIG) else None
    except (CoreosError, FileSystemError):
        return found
    return Found(found.system, found.files, system.options, config, found.has_agent)


def initial_system(release: str, line: str, files: dict[str, bytes]) -> InstalledSystem:
    """What an initial file system says of its system."""
    text = next((files[name] for name in _RELEASES if name in files), b"")
    hostname = files.get("etc/hostname", b"").decode("utf-8", "replace").strip()
    return InstalledSystem(cpio.parse_os_release(text.decode("utf-8", "replace")), release, line, hostname)


def has_agent(files: dict[str, bytes]) -> bool:
    """Whether the agent of management software is in an initial file system."""
    return any(name.rpartition("/")[2] in ("iucvserv", "zvmguestconfigure") for name in files)


def command_line(found: Found, remembered: Remembered, text: str) -> str:
    """The kernel's command line: the record's, or after a first start that of the loader entry. The kernel appends the
    `text` of LOADDEV; one that begins with = takes the place of what the disk says."""
    if text.startswith("="):
        return text[1:]
    line = found.each_start if found.each_start and was_started(remembered) else found.system.cmdline
    return f"{line} {text}".strip()


def was_started(remembered: Remembered) -> bool:
    """Whether Ignition ran once."""
    return any(name == RESULT for name, _ in remembered.files)


def is_first_start(line: str) -> bool:
    """Whether Ignition runs."""
    return coreos.FIRST_BOOT_WORD in parm_line.words(line)


def missing(line: str, path: str, ignition: bytes | None) -> str:
    """Why a CoreOS does not get beyond its initial file system; empty when it does. `path`: "vdev wwpn lun" of a SCSI
    disk, "vdev" of another."""
    vdev, *scsi = path.lower().split()
    word = "rd.zfcp" if scsi else "rd.dasd"
    disks = [item.lower() for item in parm_line.words(line).get(word, [])]
    if ",0x".join((f"0.0.{vdev}", *scsi)) not in disks:
        return "dracut-initqueue[811]: Timed out waiting for device /dev/disk/by-label/root."
    if not is_first_start(line) or ignition is None:
        return ""
    try:
        config = json.loads(ignition)
        version = config["ignition"]["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "ignition[702]: failed to fetch config: config is not valid"
    return "" if isinstance(version, str) and version.startswith("3.") else "ignition[702]: unsupported config version"
