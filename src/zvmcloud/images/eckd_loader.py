"""A loader that starts a Linux from an ECKD disk: machine code of our own, and the map of blocks that it follows.

    track 0   R1 IPL1   PSW and the channel program that an IPL runs: it reads IPL2 and goes on there
              R2 IPL2   the channel program that reads records 4 to 12 into storage
              R3 VOL1   left as it is
              R4        the loader, at X'3000'
              R5 - R12  the map, at X'4000'
    the map   0     8    "ZVMCMAP1"
              8     4    number of entries
              16    8    address of the initial file system, 24: its length (8)
              32    8    length of the kernel's file
              64    896  command line, ended by a zero
              1024       entries of 8 bytes: cylinder and head (CCHH), record, number of records, zeros (2)
                         or, where the number of records is zero: the address that the next records go to (4)

A disk of the compatible layout has room there that no partition and no file system uses. The loader knows no files: it
reads the records of the map's entries one behind the other, one channel program (seek, search, read) for an entry, and
looks at each one's status. Then it puts command line and initial file system into the kernel's parameters and loads the
PSW X'00080000 80010000', as every loader of a Linux does. It runs in 31-bit mode; the kernel changes that itself.

Why there is one: zipl of s390-tools writes stages of its own and needs a mounted file system to know the blocks; the
agent mounts no file system of a guest. A system that runs zipl itself, as CoreOS does at the end of its first start,
replaces this loader by zipl's.

Sources: z/Architecture Principles of Operation (instructions; chapter 17, initial program loading by channel command
words; ORB, SCHIB, IRB); IBM 3990/2105 command reference (seek X'07', search ID equal X'31', read data X'06');
arch/s390/boot/head.S and include/asm/setup.h of Linux (X'10000', the parameters at X'10400'). tests/s390_machine.py
runs the code instruction by instruction; it was not run on hardware.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zvmcloud.images import cdl
from zvmcloud.images.diskfile import EckdDisk
from zvmcloud.images.tracks import BLOCK_BYTES, BLOCKS_PER_TRACK, TRACKS_PER_CYLINDER, cchh, located

MAGIC = b"ZVMCMAP1"
MAP_BLOCK, MAP_BLOCKS = 4, 8
CODE_BLOCK = 3
MAX_LINE = 895
"""Bytes of a command line that every kernel takes."""
_IPL2_AT, _CODE_AT, _MAP_AT = 0x2000, 0x3000, 0x4000
KERNEL_AT = 0x10000
"""Where a kernel is entered; what its file has before that is for an IPL from the reader."""
_LOWEST_INITIAL = 32 << 20
"""Far behind what a kernel unpacks itself over, and below the storage of the smallest CoreOS (judgement)."""
_MAP_HEAD = struct.Struct(">8sI4xQQQ24x896s64x")
_ENTRY = struct.Struct(">HHBBxx")
_ADDRESS = struct.Struct(">Ixxxx")
_MOST_ENTRIES = (MAP_BLOCKS * BLOCK_BYTES - _MAP_HEAD.size) // _ENTRY.size


class LoaderError(ValueError):
    """The files are in more pieces than the map has room for, or the command line is too long."""


@dataclass(frozen=True, slots=True)
class Run:
    """Blocks of 4096 bytes of a disk, one behind the other, counted from its first track."""

    block: int
    count: int


@dataclass(frozen=True, slots=True)
class Linux:
    """What is loaded: where the files of kernel and initial file system are, their bytes, and the command line."""

    kernel: tuple[Run, ...]
    kernel_bytes: int
    initial: tuple[Run, ...]
    initial_bytes: int
    line: str


def render(linux: Linux) -> dict[int, bytes]:
    """The blocks of the disk that make it start this, by number, as Linux's DASD driver takes them. The first one is
    that of IPL1. LoaderError."""
    line = linux.line.encode("ascii")
    if len(line) > MAX_LINE:
        raise LoaderError(f"the command line would have {len(line)} bytes; at most {MAX_LINE}")
    skipped = KERNEL_AT // BLOCK_BYTES
    kernel_end = KERNEL_AT + sum(run.count for run in linux.kernel) * BLOCK_BYTES
    initial_at = max(_LOWEST_INITIAL, -(-kernel_end // (1 << 20)) + 1 << 20)
    entries = [_ADDRESS.pack(KERNEL_AT), *_entries(_without(linux.kernel, skipped))]
    entries += [_ADDRESS.pack(initial_at), *_entries(linux.initial)]
    if len(entries) > _MOST_ENTRIES:
        raise LoaderError(f"the files lie in {len(entries)} pieces of the disk; at most {_MOST_ENTRIES} can be loaded")
    head = _MAP_HEAD.pack(MAGIC, len(entries), initial_at, linux.initial_bytes, linux.kernel_bytes, line)
    data = (head + b"".join(entries)).ljust(MAP_BLOCKS * BLOCK_BYTES, b"\0")
    blocks = {0: cdl.ipl1_block(_ipl1()), 1: cdl.ipl2_block(_ipl2()), CODE_BLOCK: _code()}
    for number in range(MAP_BLOCKS):
        blocks[MAP_BLOCK + number] = data[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
    return blocks


def read(disk: EckdDisk) -> Linux | None:
    """What the loader on a disk starts; None when there is no loader of ours, or its map is damaged."""
    records = disk.read_track(0, 0).records
    if len(records) < BLOCKS_PER_TRACK or records[0].data[:24] != _ipl1() or records[CODE_BLOCK].data != _code():
        return None
    data = b"".join(record.data for record in records[MAP_BLOCK : MAP_BLOCK + MAP_BLOCKS])
    if len(data) != MAP_BLOCKS * BLOCK_BYTES or not data.startswith(MAGIC):
        return None
    _, count, initial_at, initial_bytes, kernel_bytes, line = _MAP_HEAD.unpack_from(data)
    parts: dict[int, list[Run]] = {}
    at = 0
    for number in range(min(count, _MOST_ENTRIES)):
        offset = _MAP_HEAD.size + number * _ENTRY.size
        cc, hh, record, length = _ENTRY.unpack_from(data, offset)
        if not length:
            (at,) = _ADDRESS.unpack_from(data, offset)
            continue
        cylinder, head = located(cc, hh)
        track = cylinder * TRACKS_PER_CYLINDER + head
        parts.setdefault(at, []).append(Run(track * BLOCKS_PER_TRACK + record - 1, length))
    text = line.partition(b"\0")[0].decode("ascii", "replace")
    return Linux(tuple(parts.get(KERNEL_AT, ())), kernel_bytes, tuple(parts.get(initial_at, ())), initial_bytes, text)


def _without(runs: Sequence[Run], count: int) -> Iterator[Run]:
    """Runs without the first blocks."""
    for run in runs:
        left = min(count, run.count)
        count -= left
        if left < run.count:
            yield Run(run.block + left, run.count - left)


def _entries(runs: Sequence[Run] | Iterator[Run]) -> Iterator[bytes]:
    """An entry for what lies on one track."""
    for run in runs:
        block, left = run.block, run.count
        while left:
            track, index = divmod(block, BLOCKS_PER_TRACK)
            length = min(BLOCKS_PER_TRACK - index, left)
            yield _ENTRY.pack(*cchh(*divmod(track, TRACKS_PER_CYLINDER)), index + 1, length)
            block, left = block + length, left - length


# -- what the machine runs ---------------------------------------------------------------------------------------------

_CHAIN, _SHORT, _SKIP = 0x40, 0x20, 0x10
_READ, _TRANSFER = 0x06, 0x08


def _ccw0(command: int, address: int, flags: int, count: int) -> bytes:
    return struct.pack(">IBxH", command << 24 | address, flags, count)


def _ccw1(command: int, flags: int, count: int, address: int) -> bytes:
    return struct.pack(">BBHI", command, flags, count, address)


def _ipl1() -> bytes:
    """PSW and two CCWs: the second record to X'2000', and on with the CCWs in it."""
    start = struct.pack(">II", 0x00080000, 0x80000000 | _CODE_AT)
    return start + _ccw0(_READ, _IPL2_AT, _CHAIN | _SHORT, 144) + _ccw0(_TRANSFER, _IPL2_AT, _CHAIN | _SHORT, 0)


def _ipl2() -> bytes:
    """The following records: past the volume label, then loader and map."""
    reads = [_ccw0(_READ, _IPL2_AT + 0x200, _CHAIN | _SHORT | _SKIP, 80)]
    reads += [_ccw0(_READ, _CODE_AT + number * BLOCK_BYTES, _CHAIN, BLOCK_BYTES) for number in range(MAP_BLOCKS)]
    reads.append(_ccw0(_READ, _CODE_AT + MAP_BLOCKS * BLOCK_BYTES, 0, BLOCK_BYTES))
    return b"".join(reads)


# Offsets from the beginning of the loader.
_CCWS, _ORB, _IRB, _SCHIB, _SEEK, _READ_WORD, _FAILED, _ENTER, _KERNEL_BASE = (
    0x400, 0x500, 0x540, 0x5C0, 0x600, 0x620, 0x628, 0x630, 0x638,
)  # fmt: skip
_TRIES = 64
"""Attempts of a channel program; the first after an IPL may end with a unit check that says something happened."""


class _Assembler:
    """Machine code with labels. Base register 12 is the loader, 11 the map."""

    def __init__(self) -> None:
        self.code = bytearray()
        self._labels: dict[str, int] = {}
        self._branches: list[tuple[int, str]] = []

    def label(self, name: str) -> None:
        self._labels[name] = len(self.code)

    def rr(self, operation: int, first: int, second: int) -> None:
        self.code += bytes((operation, first << 4 | second))

    def rx(self, operation: int, register: int, displacement: int, base: int) -> None:
        self.code += struct.pack(">BBH", operation, register << 4, base << 12 | displacement)

    def si(self, operation: int, displacement: int, base: int, value: int) -> None:
        self.code += struct.pack(">BBH", operation, value, base << 12 | displacement)

    def s(self, operation: int, displacement: int, base: int) -> None:
        self.code += struct.pack(">HH", operation, base << 12 | displacement)

    def ri(self, operation: int, register: int, value: int) -> None:
        self.code += struct.pack(">BBh", 0xA7, register << 4 | operation, value)

    def move(self, length: int, to: tuple[int, int], source: tuple[int, int]) -> None:
        self.code += struct.pack(">BBHH", 0xD2, length - 1, to[1] << 12 | to[0], source[1] << 12 | source[0])

    def branch(self, operation: int, register: int, name: str) -> None:
        """BRC (4; the register is the mask) or BRCT (6)."""
        self._branches.append((len(self.code), name))
        self.ri(operation, register, 0)

    def done(self) -> bytes:
        for at, name in self._branches:
            struct.pack_into(">h", self.code, at + 2, (self._labels[name] - at) // 2)
        return bytes(self.code)


_LHI, _AHI, _BRC, _BRCT = 8, 10, 4, 6
_L, _ST, _LA, _IC = 0x58, 0x50, 0x41, 0x43
_OI, _MVI, _TM, _CLI, _LPSW = 0x96, 0x92, 0x91, 0x95, 0x82
_SR, _LTR = 0x1B, 0x12
_MSCH, _SSCH, _STSCH, _TSCH = 0xB232, 0xB233, 0xB234, 0xB235
_ALWAYS, _NOT_ZERO, _CC0, _CC1, _CC3, _CC2_3 = 15, 7, 8, 4, 1, 3


def _program() -> bytes:
    a = _Assembler()
    a.ri(_LHI, 12, _CODE_AT)
    a.ri(_LHI, 11, _MAP_AT)
    a.rx(_L, 1, 0xB8, 0)  # the subchannel that the IPL came from
    a.s(_STSCH, _SCHIB, 12)
    a.si(_OI, _SCHIB + 5, 12, 0x80)  # enabled
    a.s(_MSCH, _SCHIB, 12)
    a.rx(_L, 3, 8, 11)
    a.rx(_LA, 2, _MAP_HEAD.size, 11)
    a.label("entry")
    a.rr(_SR, 4, 4)
    a.rx(_IC, 4, 5, 2)
    a.rr(_LTR, 4, 4)
    a.branch(_BRC, _NOT_ZERO, "read")
    a.rx(_L, 5, 0, 2)  # the address that the next records go to
    a.branch(_BRC, _ALWAYS, "next")
    a.label("read")
    a.move(5, (_SEEK + 2, 12), (0, 2))
    a.rx(_LA, 6, _CCWS + 24, 12)
    a.label("chain")
    a.rx(_L, 7, _READ_WORD, 12)
    a.rx(_ST, 7, 0, 6)
    a.rx(_ST, 5, 4, 6)
    a.ri(_AHI, 5, BLOCK_BYTES)
    a.ri(_AHI, 6, 8)
    a.branch(_BRCT, 4, "chain")
    a.ri(_AHI, 6, -8)
    a.si(_MVI, 1, 6, 0)  # the last one chains no more
    a.ri(_LHI, 9, _TRIES)
    a.label("start")
    a.s(_SSCH, _ORB, 12)
    a.branch(_BRC, _NOT_ZERO, "refused")
    a.label("wait")
    a.s(_TSCH, _IRB, 12)
    a.branch(_BRC, _CC1, "wait")
    a.branch(_BRC, _CC2_3, "failed")
    a.si(_CLI, _IRB + 9, 12, 0)  # status of the subchannel
    a.branch(_BRC, _NOT_ZERO, "again")
    a.si(_TM, _IRB + 8, 12, 0x02)  # unit check
    a.branch(_BRC, _CC3, "again")
    a.si(_TM, _IRB + 8, 12, 0x04)  # device end
    a.branch(_BRC, _CC0, "wait")
    a.label("next")
    a.ri(_AHI, 2, _ENTRY.size)
    a.branch(_BRCT, 3, "entry")
    a.rx(_L, 10, _KERNEL_BASE, 12)
    a.move(16, (0x408, 10), (16, 11))
    for at in (0, 256, 512):
        a.move(256, (0x480 + at, 10), (64 + at, 11))
    a.move(128, (0x480 + 768, 10), (64 + 768, 11))
    a.s(_LPSW << 8, _ENTER, 12)
    a.label("refused")
    a.branch(_BRC, _CC3, "failed")
    a.s(_TSCH, _IRB, 12)  # a status that was waiting
    a.label("again")
    a.branch(_BRCT, 9, "start")
    a.label("failed")
    a.s(_LPSW << 8, _FAILED, 12)
    return a.done()


def _code() -> bytes:
    """The loader's block: instructions, then what they work with."""
    block = bytearray(BLOCK_BYTES)
    search = _CODE_AT + _CCWS + 8
    data = {
        0: _program(),
        _CCWS: _ccw1(0x07, _CHAIN, 6, _CODE_AT + _SEEK)
        + _ccw1(0x31, _CHAIN, 5, _CODE_AT + _SEEK + 2)
        + _ccw1(_TRANSFER, 0, 0, search),
        _ORB: struct.pack(">III", 0, 0x0080FF00, _CODE_AT + _CCWS),  # CCWs of format 1, by every path
        _READ_WORD: struct.pack(">BBH", _READ, _CHAIN, BLOCK_BYTES),
        _FAILED: struct.pack(">II", 0x000A0000, 0x80000E0D),
        _ENTER: struct.pack(">II", 0x00080000, 0x80000000 | KERNEL_AT),
        _KERNEL_BASE: struct.pack(">I", KERNEL_AT),
    }
    for at, piece in data.items():
        block[at : at + len(piece)] = piece
    return bytes(block)
