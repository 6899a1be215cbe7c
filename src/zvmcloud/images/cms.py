"""Minidisks that CMS FORMAT has prepared: blocks of one size on every track, and the CMS1 label.

    offset  bytes
    0       4      "CMS1", EBCDIC
    4       6      volume label, blank padded
    10      2      version, 0
    12      4      block size in bytes: 512, 1024, 2048 or 4096
    16      4      block of the file directory, counted from 1
    20      4      cylinders or device blocks that may be used
    24      4      cylinders or device blocks that are formatted
    28      4      CMS blocks of the disk
    32      4      CMS blocks in use
    36      4      bytes of a file's directory entry, 64
    40      4      entries in a block
    44      6      date and time of the formatting, packed: yy mm dd hh mm ss
    52      16     offset, allocation map, two displacements: zeros unless space is reserved
    72      8      name of a segment; zeros

The label is the third block of an ECKD disk and the second 512-byte block of an FBA disk. Source: the label as the
partition code of the Linux kernel declares it. The file directory itself is not written here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.images.tracks import TRACKS_PER_CYLINDER, Record, Track

#: Blocks of a size on a 3390 track.
BLOCKS_ON_TRACK = {512: 49, 1024: 33, 2048: 21, 4096: 12}
FBA_BLOCK = 512
_EBCDIC = "cp037"
_LABEL = struct.Struct(">4s6sH8I6s2x4I4x8s")
_IDENTIFIER = "CMS1".encode(_EBCDIC)
_DIRECTORY_BLOCK = 4
_ENTRY_BYTES = 64


@dataclass(frozen=True, slots=True)
class CmsLabel:
    """What the label of a CMS disk says. `size`: cylinders of ECKD, 512-byte blocks of FBA."""

    volser: str
    block_size: int
    size: int
    blocks: int


def _packed(label: CmsLabel, date: bytes) -> bytes:
    return _LABEL.pack(
        _IDENTIFIER,
        label.volser.upper().ljust(6)[:6].encode(_EBCDIC, "replace"),
        0,
        label.block_size,
        _DIRECTORY_BLOCK,
        label.size,
        label.size,
        label.blocks,
        _DIRECTORY_BLOCK - 1,
        _ENTRY_BYTES,
        label.block_size // _ENTRY_BYTES,
        date,
        0,
        0,
        0,
        0,
        bytes(8),
    )


def packed_date(year: int, month: int, day: int, hour: int, minute: int, second: int) -> bytes:
    """A point in time as the label has it: six bytes of two decimal digits each."""
    return bytes(int(f"{part:02d}", 16) for part in (year % 100, month, day, hour, minute, second))


def format_eckd(disk: EckdDisk, volser: str, block_size: int, date: bytes, cylinders: int | None = None) -> None:
    """Blocks of one size on the tracks of the first `cylinders` (all without), and the label.

    ValueError for a block size that CMS does not have.
    """
    if block_size not in BLOCKS_ON_TRACK:
        raise ValueError(f"block size {block_size} is not one of {', '.join(map(str, BLOCKS_ON_TRACK))}")
    count = BLOCKS_ON_TRACK[block_size]
    label = CmsLabel(volser, block_size, disk.cylinders, disk.cylinders * TRACKS_PER_CYLINDER * count)
    empty = Track(tuple(Record(number, b"", bytes(block_size)) for number in range(1, count + 1)))
    records = list(empty.records)
    records[2] = Record(3, b"", _packed(label, date).ljust(block_size, b"\0"))
    last = min(disk.cylinders, disk.cylinders if cylinders is None else cylinders)
    for number in range(last * TRACKS_PER_CYLINDER):
        disk.write_track(*divmod(number, TRACKS_PER_CYLINDER), Track(tuple(records)) if number == 0 else empty)


def format_fba(disk: FbaDisk, volser: str, block_size: int, date: bytes) -> None:
    """The label of an FBA disk, whose other blocks are zeros. ValueError for a block size that CMS does not have."""
    if block_size not in BLOCKS_ON_TRACK:
        raise ValueError(f"block size {block_size} is not one of {', '.join(map(str, BLOCKS_ON_TRACK))}")
    disk.clear(0, disk.blocks)
    label = CmsLabel(volser, block_size, disk.blocks, disk.blocks * FBA_BLOCK // block_size)
    disk.write(1, _packed(label, date).ljust(FBA_BLOCK, b"\0"))


def read_label(disk: EckdDisk | FbaDisk) -> CmsLabel | None:
    """The label, or None when the disk is not one of CMS."""
    if isinstance(disk, FbaDisk):
        data = disk.read(1, 1) if disk.blocks > 1 else b""
    else:
        data = next((record.data for record in disk.read_track(0, 0).records if record.number == 3), b"")
    if not data.startswith(_IDENTIFIER) or len(data) < _LABEL.size:
        return None
    found = _LABEL.unpack_from(data)
    return CmsLabel(found[1].decode(_EBCDIC).rstrip(), found[3], found[5], found[7])
