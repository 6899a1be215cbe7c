"""Boot records of a SCSI disk, as the machine loader of a list-directed IPL follows them: read and written.

    boot record (block BR_LBA, 0 unless said otherwise)
        0    4    "zIPL"
        4    4    version
        16   16   pointer to the program table
    program table (one block): "zIPL", 12 bytes, then a pointer of 16 bytes for each program 0, 1, ... 30
    component table (one block): "zIPL", type 0 (IPL), then entries of 32 bytes
        0    16   pointer to the first block of the component (of its list of pointers)
        23   1    2 the component is loaded, 1 execution starts at the address
        24   8    load address, or PSW
    pointer: block number (8 bytes), size of a block (2), blocks less one (2), zeros (4); all zeros points nowhere

Numbers are big-endian. BOOTPROG names the program; 0 is the default. Source: the structures of zipl in s390-tools
(include/boot/ipl.h); the component of a sample disk points to its data itself, not to a list (judgement).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from zvmcloud.images.diskfile import FBA_BLOCK_BYTES, DiskFileError, FbaDisk

MAGIC = b"zIPL"
MAX_PROGRAM = 30
LOAD, EXECUTE = 2, 1
_POINTER = struct.Struct(">QHH4x")
_RECORD = struct.Struct(">4sI8x16s")
_POINTER_BYTES = 16
_ENTRY_BYTES = 32


class BootRecordError(ValueError):
    """The disk has no such boot record or program. `step` is what was looked for."""

    def __init__(self, step: str, block: int, message: str) -> None:
        self.step = step
        self.block = block
        super().__init__(f"{step} in block {block}: {message}")


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a program: where it is on the disk and where it goes."""

    block: int
    blocks: int
    kind: int
    address: int


def _block(disk: FbaDisk, number: int, step: str) -> bytes:
    try:
        data = disk.read(number, 1)
    except (DiskFileError, OverflowError) as error:
        raise BootRecordError(step, number, "is outside the disk") from error
    if data[:4] != MAGIC:
        raise BootRecordError(step, number, "does not begin with zIPL")
    return data


def _pointer(data: bytes, offset: int) -> tuple[int, int]:
    number, _, count = _POINTER.unpack_from(data, offset)
    return number, count + 1


def components(disk: FbaDisk, program: int = 0, boot_record: int = 0) -> tuple[Component, ...]:
    """The components of a program. BootRecordError when the disk does not lead to it, ValueError for a program that
    cannot be."""
    if not 0 <= program <= MAX_PROGRAM:
        raise ValueError(f"program: {program} is outside 0 to {MAX_PROGRAM}")
    record = _block(disk, boot_record, "boot record")
    table = _block(disk, _pointer(record, 16)[0], "program table")
    place, _ = _pointer(table, _POINTER_BYTES * (program + 1))
    if not place:
        raise BootRecordError(f"program {program}", _pointer(record, 16)[0], "is not in the program table")
    data = _block(disk, place, "component table")
    found = []
    for offset in range(_ENTRY_BYTES, len(data), _ENTRY_BYTES):
        kind = data[offset + 23]
        block, count = _pointer(data, offset)
        if kind not in (LOAD, EXECUTE):
            break
        found.append(Component(block, count, kind, int.from_bytes(data[offset + 24 : offset + 32], "big")))
    if not any(item.kind == LOAD for item in found):
        raise BootRecordError("component table", place, "loads nothing")
    return tuple(found)


def write(disk: FbaDisk, programs: Mapping[int, tuple[Component, ...]], *, first_block: int = 1, at: int = 0) -> None:
    """Write a boot record at block `at`, and the tables in the blocks from `first_block` on."""
    table = bytearray(FBA_BLOCK_BYTES)
    table[:4] = MAGIC
    for position, (program, parts) in enumerate(sorted(programs.items()), first_block + 1):
        if not 0 <= program <= MAX_PROGRAM:
            raise ValueError(f"program: {program} is outside 0 to {MAX_PROGRAM}")
        pointer = _POINTER.pack(position, FBA_BLOCK_BYTES, 0)
        table[_POINTER_BYTES * (program + 1) : _POINTER_BYTES * (program + 2)] = pointer
        data = MAGIC.ljust(_ENTRY_BYTES, b"\0")
        for part in parts:
            head = _POINTER.pack(part.block, FBA_BLOCK_BYTES, min(part.blocks - 1, 0xFFFF)).ljust(23, b"\0")
            data += head + bytes([part.kind]) + part.address.to_bytes(8, "big")
        disk.write(position, data.ljust(FBA_BLOCK_BYTES, b"\0"))
    disk.write(first_block, bytes(table))
    record = _RECORD.pack(MAGIC, 1, _POINTER.pack(first_block, FBA_BLOCK_BYTES, 0))
    disk.write(at, record.ljust(FBA_BLOCK_BYTES, b"\0"))
