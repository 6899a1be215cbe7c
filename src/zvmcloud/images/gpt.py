"""The GUID partition table of a disk: read, never written.

    sector 1: the header
        0     8   "EFI PART"
        12    4   length of the header, 92 or more
        16    4   CRC-32 of the header, this field taken as zeros
        72    8   first sector of the entries
        80    4   number of entries, 84: bytes of each (128), 88: CRC-32 of all of them
    an entry: 0 type (16 bytes, zeros: unused), 32 first and 40 last sector (8 each), 56 name (36 characters of UTF-16)

Numbers are little-endian. Source: UEFI specification, section 5.3. The copy at the end of the disk is not looked at: an
image that was written to a larger disk has none there. Sectors have 512 bytes, or 4096 in an image for ECKD disks.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from zvmcloud.images.blocks import Blocks
from zvmcloud.images.diskfile import FBA_BLOCK_BYTES
from zvmcloud.images.sparsefile import DiskFileError

MAGIC = b"EFI PART"
_HEADER = struct.Struct("<8sIII52xQIII")
_ENTRY = struct.Struct("<16s16sQQ8x72s")
_MOST_ENTRIES = 1024


class PartitionTableError(ValueError):
    """The disk has no such table, or a damaged one."""


@dataclass(frozen=True, slots=True)
class GptPartition:
    """A partition: its place among the entries (from 1), its blocks of 512 bytes, its name."""

    number: int
    first_block: int
    blocks: int
    name: str


def partitions(disk: Blocks, sector: int = FBA_BLOCK_BYTES) -> tuple[GptPartition, ...]:
    """The partitions in the order of their entries, of a disk with sectors of so many bytes. PartitionTableError."""
    factor = sector // FBA_BLOCK_BYTES
    try:
        block = disk.read(factor, 1)
        magic, _, length, checksum, entries_at, count, size, entries_checksum = _HEADER.unpack_from(block)
        if magic != MAGIC:
            raise PartitionTableError("there is no GUID partition table in sector 1")
        if not _HEADER.size <= length <= FBA_BLOCK_BYTES or size < _ENTRY.size or not 0 < count <= _MOST_ENTRIES:
            raise PartitionTableError(f"header of {length} bytes, {count} entries of {size} bytes")
        if zlib.crc32(block[:16] + bytes(4) + block[20:length]) != checksum:
            raise PartitionTableError("the header does not have the checksum that it names")
        table = disk.read(entries_at * factor, -(-count * size // FBA_BLOCK_BYTES))[: count * size]
    except DiskFileError as error:
        raise PartitionTableError(str(error)) from error
    if zlib.crc32(table) != entries_checksum:
        raise PartitionTableError("the entries do not have the checksum that the header names")
    found = []
    for index in range(count):
        kind, _, first, last, name = _ENTRY.unpack_from(table, index * size)
        if not any(kind):
            continue
        if not first <= last < disk.blocks // factor:
            raise PartitionTableError(f"partition {index + 1} has sectors {first} to {last} of {disk.blocks // factor}")
        text = name.decode("utf-16-le", "replace").partition("\0")[0]
        found.append(GptPartition(index + 1, first * factor, (last - first + 1) * factor, text))
    return tuple(found)
