"""Boot records of a SCSI disk, as the machine loader of a list-directed IPL follows them: read, written, changed.

    boot record (block BR_LBA, 0 unless said otherwise)
        0    4    "zIPL"
        4    4    version
        16   16   pointer to the program table
    program table (one block): "zIPL", 12 bytes, then a pointer of 16 bytes for each program 0, 1, ... 30
    component table (one block): "zIPL", type 0 (IPL), then entries of 32 bytes
        0    16   pointer to the first block of the component's list
        23   1    2 the component is loaded, 3 it is a signature, 1 (the last one) execution starts at the PSW
        24   8    load address, or PSW
    list of a component: 31 pointers to its data and, as the 32nd, one to the block where the list goes on
    pointer: block number (8 bytes), size of a block (2), blocks less one (2), zeros (4); all zeros points nowhere

Numbers are big-endian. BOOTPROG names the program; 0 is the default. Source: the structures of zipl in s390-tools
(zipl/include/boot.h, zipl/src/bootmap.c), and how the loader of QEMU reads them (pc-bios/s390-ccw/bootmap.c).
Disks of 4096-byte sectors have pointers of that size, which are refused here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from zvmcloud.images.diskfile import FBA_BLOCK_BYTES, FbaDisk
from zvmcloud.images.sparsefile import DiskFileError

MAGIC = b"zIPL"
MAX_PROGRAM = 30
LOAD, EXECUTE, SIGNATURE = 2, 1, 3
LIST_POINTERS = 31
"""Pointers to data in one block of a list."""
_POINTER = struct.Struct(">QHH4x")
_RECORD = struct.Struct(">4sI8x16s")
_POINTER_BYTES = 16
_ENTRY_BYTES = 32
_MOST_BLOCKS = 1 << 16
"""Blocks that one pointer can name."""
_MOST_LISTS = 4096
"""Blocks of a list that are followed; far more than any file of a boot partition needs."""


class BootRecordError(ValueError):
    """The disk has no such boot record or program. `step` is what was looked for."""

    def __init__(self, step: str, block: int, message: str) -> None:
        self.step = step
        self.block = block
        super().__init__(f"{step} in block {block}: {message}")


@dataclass(frozen=True, slots=True)
class Extent:
    """Blocks of 512 bytes that follow each other."""

    block: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a program. `address`: where it goes, or the PSW. `list_block`: the first block of its list."""

    kind: int
    address: int
    list_block: int = 0
    extents: tuple[Extent, ...] = ()

    @property
    def blocks(self) -> int:
        """Its length in blocks."""
        return sum(extent.blocks for extent in self.extents)


def _read(disk: FbaDisk, number: int, step: str) -> bytes:
    try:
        return disk.read(number, 1)
    except (DiskFileError, OverflowError) as error:
        raise BootRecordError(step, number, "is outside the disk") from error


def _block(disk: FbaDisk, number: int, step: str) -> bytes:
    data = _read(disk, number, step)
    if data[:4] != MAGIC:
        raise BootRecordError(step, number, "does not begin with zIPL")
    return data


def _pointer(data: bytes, offset: int, step: str) -> Extent | None:
    """None for a pointer to nowhere. BootRecordError for one of a disk with other sectors."""
    number, size, count = _POINTER.unpack_from(data, offset)
    if not number:
        return None
    if size != FBA_BLOCK_BYTES:
        raise BootRecordError(step, number, f"has blocks of {size} bytes, not of {FBA_BLOCK_BYTES}")
    return Extent(number, count + 1)


def components(disk: FbaDisk, program: int = 0, boot_record: int = 0) -> tuple[Component, ...]:
    """The components of a program. BootRecordError when the disk does not lead to it, ValueError for a program that
    cannot be."""
    if not 0 <= program <= MAX_PROGRAM:
        raise ValueError(f"program: {program} is outside 0 to {MAX_PROGRAM}")
    where = _pointer(_block(disk, boot_record, "boot record"), 16, "program table") or Extent(0, 1)
    table = _block(disk, where.block, "program table")
    place = _pointer(table, _POINTER_BYTES * (program + 1), f"program {program}")
    if place is None:
        raise BootRecordError(f"program {program}", where.block, "is not in the program table")
    data = _block(disk, place.block, "component table")
    found: list[Component] = []
    for offset in range(_ENTRY_BYTES, len(data), _ENTRY_BYTES):
        kind, address = data[offset + 23], int.from_bytes(data[offset + 24 : offset + 32], "big")
        if kind in (LOAD, SIGNATURE):
            first = _pointer(data, offset, "component")
            if first is None:
                raise BootRecordError("component table", place.block, "has a component without a list")
            extents = tuple(_listed(disk, first.block))
            if not extents:
                raise BootRecordError("list of a component", first.block, "is empty")
            found.append(Component(kind, address, first.block, extents))
        elif kind == EXECUTE:
            found.append(Component(kind, address))
            break
        else:
            break
    if not any(item.kind == LOAD for item in found):
        raise BootRecordError("component table", place.block, "loads nothing")
    return tuple(found)


def _listed(disk: FbaDisk, block: int) -> Iterator[Extent]:
    """What a list names, through all of its blocks."""
    for _ in range(_MOST_LISTS):
        data = _read(disk, block, "list of a component")
        for index in range(LIST_POINTERS):
            extent = _pointer(data, index * _POINTER_BYTES, "component")
            if extent is None:
                return
            yield extent
        following = _pointer(data, LIST_POINTERS * _POINTER_BYTES, "list of a component")
        if following is None:
            return
        block = following.block
    raise BootRecordError("list of a component", block, f"goes on after {_MOST_LISTS} blocks")


def content(disk: FbaDisk, component: Component, limit: int) -> bytes:
    """The bytes of a component, at most `limit` of them (whole blocks). BootRecordError."""
    data = bytearray()
    for extent in component.extents:
        count = min(extent.blocks, -(-(limit - len(data)) // FBA_BLOCK_BYTES))
        if count <= 0:
            break
        try:
            data += disk.read(extent.block, count)
        except DiskFileError as error:
            raise BootRecordError("component", extent.block, "is outside the disk") from error
    return bytes(data)


def render_list(extents: Sequence[Extent]) -> bytes:
    """The one block of a short list. ValueError for more than 31 extents, or a longer one than a pointer names."""
    if not 0 < len(extents) <= LIST_POINTERS:
        raise ValueError(f"extents: {len(extents)} are outside 1 to {LIST_POINTERS}")
    data = b""
    for extent in extents:
        if not 0 < extent.blocks <= _MOST_BLOCKS:
            raise ValueError(f"extents: {extent.blocks} blocks are outside 1 to {_MOST_BLOCKS}")
        data += _POINTER.pack(extent.block, FBA_BLOCK_BYTES, extent.blocks - 1)
    return data.ljust(FBA_BLOCK_BYTES, b"\0")


def write(disk: FbaDisk, programs: Mapping[int, tuple[Component, ...]], *, first_block: int = 1, at: int = 0) -> None:
    """Write a boot record at block `at`, and tables and lists in the blocks from `first_block` on."""
    table, position = bytearray(FBA_BLOCK_BYTES), first_block
    table[:4] = MAGIC
    for program, parts in sorted(programs.items()):
        if not 0 <= program <= MAX_PROGRAM:
            raise ValueError(f"program: {program} is outside 0 to {MAX_PROGRAM}")
        data = MAGIC.ljust(_ENTRY_BYTES, b"\0")
        for part in parts:
            pointer = bytes(_POINTER_BYTES)
            if part.extents:
                position += 1
                disk.write(position, render_list(part.extents))
                pointer = _POINTER.pack(position, FBA_BLOCK_BYTES, 0)
            data += pointer.ljust(23, b"\0") + bytes([part.kind]) + part.address.to_bytes(8, "big")
        position += 1
        disk.write(position, data.ljust(FBA_BLOCK_BYTES, b"\0"))
        offset = _POINTER_BYTES * (program + 1)
        table[offset : offset + _POINTER_BYTES] = _POINTER.pack(position, FBA_BLOCK_BYTES, 0)
    disk.write(first_block, bytes(table))
    record = _RECORD.pack(MAGIC, 1, _POINTER.pack(first_block, FBA_BLOCK_BYTES, 0))
    disk.write(at, record.ljust(FBA_BLOCK_BYTES, b"\0"))
