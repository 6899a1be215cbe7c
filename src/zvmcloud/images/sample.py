"""A small bootable system, made by us: "zvmcloud sample Linux" for s390x, as an ECKD image file.

It is a disk with the compatible layout: IPL records that start something, a volume label, one partition. The
partition starts with a boot parameter block of 4096 bytes

    0    8    "ZVMCBOOT"
    8    4    version, 1
    12   4    first block of the archive (4096-byte blocks of the partition)
    16   8    length of the archive in bytes
    24   32   SHA-256 of the archive

and the archive is a newc cpio with etc/os-release, etc/hostname, boot/kernel-release and boot/cmdline. There is no
kernel in it: a simulator's guest reads these bytes to learn what it is, a real machine would stop. The same
arguments always give the same bytes.

`write_sample_blocks` puts the same block and archive onto a disk of 512-byte blocks: an FBA disk, whose block 0 is its
IPL record, or a SCSI disk, whose boot record leads to them (see `zipl`).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from zvmcloud.images import cdl, ckd, cpio, header, zipl
from zvmcloud.images.diskfile import FBA_BLOCK_BYTES, EckdDisk, FbaDisk
from zvmcloud.images.ipl import is_bootable
from zvmcloud.images.sparsefile import DiskFileError
from zvmcloud.images.tracks import (
    BLOCK_BYTES,
    BLOCKS_PER_TRACK,
    DEFAULT_TRACK,
    MAX_CYLINDERS,
    TRACKS_PER_CYLINDER,
    Record,
    Track,
    TrackError,
)

OS_RELEASE = """\
NAME="zvmcloud sample Linux"
ID=zvmsample
ID_LIKE="rhel"
VERSION="1.0 (First Light)"
VERSION_ID="1.0"
PRETTY_NAME="zvmcloud sample Linux 1.0 (First Light)"
"""
KERNEL_RELEASE = "6.6.0-zvmcloud.1.s390x"
CMDLINE = "root=/dev/disk/by-path/ccw-0.0.0100-part1 console=ttyS0"
VOLSER = "0X0100"
# z/Architecture PSW that starts at 0x2018, then CCWs: read IPL2 and transfer in channel.
_IPL1 = bytes.fromhex("000800008000201806002000600000900800200060000000")
_IPL2 = b"".join(struct.pack(">IIHHI", 0x07003A98, 0x40000006, 0x3100, 0x4000, 5) for _ in range(9))
_MAGIC = b"ZVMCBOOT"
_BLOCK = struct.Struct(">8sIIQ32s")
_MAX_ARCHIVE = 64 * 1024 * 1024
#: Block of an FBA or SCSI sample disk at which the boot parameter block is.
_FBA_BOOT_BLOCK = 16
SCSI_CMDLINE = "root=/dev/mapper/mpatha1 console=ttyS0"


@dataclass(frozen=True, slots=True)
class InstalledSystem:
    """What a disk says about the system on it. Empty texts: bootable, but of a kind we cannot read."""

    os_release: dict[str, str] = field(default_factory=dict)
    kernel: str = ""
    cmdline: str = ""
    hostname: str = ""
    volser: str = ""

    @property
    def known(self) -> bool:
        """Whether the distribution could be read."""
        return bool(self.os_release)

    @property
    def distro(self) -> str:
        """`ID` and `VERSION_ID` in one word (`rhel7.0`), or "unknown"."""
        if not self.os_release:
            return "unknown"
        return self.os_release.get("ID", "linux") + self.os_release.get("VERSION_ID", "")

    @property
    def pretty_name(self) -> str:
        """The distribution's name for people."""
        return self.os_release.get("PRETTY_NAME") or self.os_release.get("NAME") or "unknown system"


def _filler(length: int) -> bytes:
    """Bytes that do not compress, the same each time: stands for the files of a real system."""
    return hashlib.shake_256(b"zvmcloud sample image").digest(length)


def _content(filler_bytes: int, cmdline: str) -> bytes:
    """The boot parameter block and the archive behind it, in whole blocks. ValueError when it could not be read."""
    files = {
        "etc/os-release": OS_RELEASE.encode(),
        "etc/hostname": b"localhost\n",
        "boot/kernel-release": KERNEL_RELEASE.encode() + b"\n",
        "boot/cmdline": cmdline.encode() + b"\n",
    }
    if filler_bytes:
        files["usr/share/zvmcloud/filler"] = _filler(filler_bytes)
    archive = cpio.write(files)
    if len(archive) > _MAX_ARCHIVE:
        raise ValueError(f"filler_bytes: the sample would hold {len(archive)} bytes; at most {_MAX_ARCHIVE} are read")
    block = _BLOCK.pack(_MAGIC, 1, 1, len(archive), hashlib.sha256(archive).digest()).ljust(BLOCK_BYTES, b"\0")
    return block + archive + bytes(-len(archive) % BLOCK_BYTES)


def sample_tracks(cylinders: int = 5, filler_bytes: int = 262_144) -> Iterator[Track]:
    """The tracks of the sample disk in device order. ValueError when it does not fit the cylinders."""
    if not 1 <= cylinders <= MAX_CYLINDERS:
        raise ValueError(f"cylinders: {cylinders} is outside 1 to {MAX_CYLINDERS}")
    content = _content(filler_bytes, CMDLINE)
    per_track = BLOCKS_PER_TRACK * BLOCK_BYTES
    room = (cylinders * TRACKS_PER_CYLINDER - cdl.FIRST_PARTITION_TRACK) * per_track
    if len(content) > room:
        raise ValueError(f"filler_bytes: the sample needs {len(content)} bytes, {cylinders} cylinders hold {room}")
    yield from cdl.label_tracks(cylinders, VOLSER, ipl1=_IPL1, ipl2=_IPL2)
    for number in range(cylinders * TRACKS_PER_CYLINDER - cdl.FIRST_PARTITION_TRACK):
        data = content[number * per_track : (number + 1) * per_track]
        if not data:
            yield DEFAULT_TRACK
            continue
        data = data.ljust(per_track, b"\0")
        blocks = (data[i * BLOCK_BYTES : (i + 1) * BLOCK_BYTES] for i in range(BLOCKS_PER_TRACK))
        yield Track(tuple(Record(i, b"", piece) for i, piece in enumerate(blocks, 1)))


def write_sample_blocks(disk: FbaDisk, *, scsi: bool = False, filler_bytes: int = 0) -> None:
    """Write the sample system onto an FBA disk, or with `scsi` onto a SCSI disk (as programs 0 and 1 of its boot
    record). ValueError when it does not fit."""
    content = _content(filler_bytes, SCSI_CMDLINE if scsi else CMDLINE)
    blocks = len(content) // FBA_BLOCK_BYTES
    if _FBA_BOOT_BLOCK + blocks > disk.blocks:
        raise ValueError(f"disk: {disk.blocks} blocks, the sample needs {_FBA_BOOT_BLOCK + blocks}")
    disk.write(_FBA_BOOT_BLOCK, content)
    if scsi:
        place = zipl.Extent(_FBA_BOOT_BLOCK, blocks)
        parts = (zipl.Component(zipl.LOAD, 0x10000, extents=(place,)), zipl.Component(zipl.EXECUTE, 0x10010))
        zipl.write(disk, {0: parts, 1: parts})
    else:
        disk.write(0, _IPL1.ljust(FBA_BLOCK_BYTES, b"\0"))


@dataclass(frozen=True, slots=True)
class WrittenImage:
    """What `write_sample_image` made. `sha256` is of the file, `content_sha256` of its CKD stream, as
    `EckdDisk.sha256(cylinders)` gives it after a deployment."""

    path: Path
    cylinders: int
    bytes: int
    sha256: str
    content_sha256: str


@contextmanager
def _put_in_place(new: Path, path: Path) -> Iterator[None]:
    """`new` replaces `path` when all went well; otherwise nothing of it stays."""
    try:
        yield
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def write_sample_image(
    path: Path | str, *, cylinders: int = 5, filler_bytes: int = 262_144, gzip_level: int = 6
) -> WrittenImage:
    """Write the sample image file (header, gzip of the CKD stream). Replaces a file of that name."""
    head = header.ImageHeader(header.ImageKind.CKD, cylinders, gzip_level)
    digest, content = hashlib.sha256(), hashlib.sha256()
    compress = zlib.compressobj(gzip_level, zlib.DEFLATED, 31) if gzip_level else None
    size = 0
    new = Path(f"{path}.new")
    with _put_in_place(new, Path(path)), new.open("wb") as file:

        def put(piece: bytes) -> int:
            digest.update(piece)
            return file.write(piece)

        size += put(header.render(head))
        for piece in ckd.encode(sample_tracks(cylinders, filler_bytes)):
            content.update(piece)
            size += put(compress.compress(piece) if compress else piece)
        if compress:
            size += put(compress.flush())
    return WrittenImage(Path(path), cylinders, size, digest.hexdigest(), content.hexdigest())


def read_system(disk: EckdDisk | FbaDisk) -> InstalledSystem | None:
    """The system that an IPL of this disk starts: None when nothing would start.

    A disk whose IPL record starts something but that holds no sample system gives an InstalledSystem without names.
    Damage is never an exception here: a damaged boot sector is a disk that does not boot.
    """
    try:
        if not is_bootable(disk):
            return None
        if isinstance(disk, FbaDisk):
            return _system(_read_blocks(disk, _FBA_BOOT_BLOCK))
        return _partition_system(disk)
    except (TrackError, cdl.LayoutError, OSError):
        return None


def read_scsi_system(disk: FbaDisk, program: int = 0, boot_record: int = 0) -> InstalledSystem:
    """The system that a program of a SCSI disk's boot record starts; one without names when it is not ours.

    zipl.BootRecordError when the boot record leads to no program, or to a damaged one.
    """
    parts = zipl.components(disk, program, boot_record)
    first = next(part for part in parts if part.kind == zipl.LOAD)
    try:
        return _system(_read_blocks(disk, first.extents[0].block))
    except (OSError, cdl.LayoutError) as error:
        raise zipl.BootRecordError(f"program {program}", first.list_block, str(error)) from error


def read_root(disk: EckdDisk | FbaDisk) -> InstalledSystem | None:
    """The system in the file system of a disk, whether or not the disk can be loaded; None when there is none of ours.

    What a kernel finds that was loaded from elsewhere and told root=.
    """
    try:
        found = _partition_system(disk) if isinstance(disk, EckdDisk) else _system(_read_blocks(disk, _FBA_BOOT_BLOCK))
    except (TrackError, cdl.LayoutError, OSError):
        return None
    return found if found.known else None


def _partition_system(disk: EckdDisk) -> InstalledSystem:
    label = cdl.read_volume_label(disk)
    return _system(_read_archive(disk), label.volser if label else "")


def _system(files: dict[str, bytes] | None, volser: str = "") -> InstalledSystem:
    if files is None:
        return InstalledSystem(volser=volser)

    def text(name: str) -> str:
        return files.get(name, b"").decode("utf-8", "replace").strip()

    return InstalledSystem(
        os_release=cpio.parse_os_release(text("etc/os-release")),
        kernel=text("boot/kernel-release"),
        cmdline=text("boot/cmdline"),
        hostname=text("etc/hostname"),
        volser=volser,
    )


def _read_archive(disk: EckdDisk) -> dict[str, bytes] | None:
    """Files of the sample archive; None when this is another system. LayoutError when ours is damaged."""
    found = cdl.partitions(disk)
    if not found:
        return None
    blocks = cdl.PartitionBlocks(disk, found[0])
    return _archive_files(blocks.read, found[0].blocks)


def _read_blocks(disk: FbaDisk, first_block: int) -> dict[str, bytes] | None:
    """As `_read_archive`, from a block of an FBA or SCSI disk on."""
    factor = BLOCK_BYTES // FBA_BLOCK_BYTES
    try:
        disk.read(first_block, factor)
    except DiskFileError:
        return None
    return _archive_files(
        lambda block, count=1: disk.read(first_block + block * factor, count * factor),
        (disk.blocks - first_block) // factor,
    )


def _archive_files(read: Callable[..., bytes], size: int) -> dict[str, bytes] | None:
    magic, version, first, length, digest = _BLOCK.unpack_from(read(0))
    if magic != _MAGIC:
        return None
    count = -(-length // BLOCK_BYTES)
    if version != 1 or length > _MAX_ARCHIVE or first + count > size:
        raise cdl.LayoutError(f"boot parameter block: version {version}, archive of {length} bytes at block {first}")
    archive = read(first, count)[:length]
    if hashlib.sha256(archive).digest() != digest:
        raise cdl.LayoutError("the system's archive does not have the digest its boot parameter block names")
    return {member.name: member.data for member in cpio.read(archive) if member.is_file}
