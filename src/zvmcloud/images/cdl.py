"""The compatible disk layout: an ECKD disk that z/OS and Linux both read, with its data in 4096-byte blocks.

    track 0   R1 key "IPL1", 24 bytes    initial PSW and two channel command words
              R2 key "IPL2", 144 bytes   the second stage those channel command words read
              R3 key "VOL1", 80 bytes    the volume label; points to the VTOC
              R4 to R12, 4096 bytes
    track 1   the VTOC: R1 to R12 with 44-byte keys and 96 bytes of data (one DSCB each)
              R1 format 4 (the volume), R2 format 5 (free space, unused), R3 format 1 (a partition)
    track 2+  partitions: twelve 4096-byte records a track

A large volume, of more than 65,534 cylinders, says so in format 4: X'FFFE' cylinders, their number in DS4DCYL, free
space in format 7. Its VTOC: R2 format 5, R3 format 7, R4 format 8 (a partition, as format 1) and R5 its format 9.

Keys and names are EBCDIC. Addresses are CCHH (`tracks.cchh`). A disk has up to three partitions, as Linux has
it. The layout is the one Linux's formatter leaves on a disk: s390-tools, libvtoc and fdasd.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from zvmcloud.images.diskfile import EckdDisk
from zvmcloud.images.tracks import (
    BLOCK_BYTES,
    BLOCKS_PER_TRACK,
    CCHH,
    TRACKS_PER_CYLINDER,
    Record,
    Track,
    cchh,
    located,
)

EBCDIC = "cp037"
FIRST_PARTITION_TRACK = 2
MOST_PARTITIONS = 3
STOPPED_PSW = bytes.fromhex("000a00000000000f")
"""What formatting leaves in IPL1: a disabled wait with code X'0F'. Nothing to boot."""
_VOLSER = re.compile(r"[A-Z0-9@#$]{1,6}")
_KEY_IPL1, _KEY_IPL2, _KEY_VOL1 = ("IPL1".encode(EBCDIC), "IPL2".encode(EBCDIC), "VOL1".encode(EBCDIC))
_DSCB_BYTES, _DSCB_KEY_BYTES = 140, 44
_LARGE = 0xFFFE
"""What the sixteen-bit number of cylinders says of a volume that has more (Linux: LV_COMPAT_CYL)."""

SHORT_BLOCKS = 2 * BLOCKS_PER_TRACK
"""Blocks of 4096 bytes among which are those that Linux's DASD driver keeps as shorter records."""
_IPL_LENGTHS = (28, 148, 84)
_IPL_KEY_BYTES = 4
FILLER = b"\xe5"
"""What the driver shows behind a short record."""
_FILLERS = (b"\0", FILLER)


class LayoutError(ValueError):
    """The disk has no compatible disk layout, or an address is outside of a partition."""


@dataclass(frozen=True, slots=True)
class VolumeLabel:
    """The VOL1 label: volume serial, and cylinder and head of the VTOC."""

    volser: str
    vtoc_cylinder: int
    vtoc_head: int


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition as its VTOC entry says. Tracks count from 0 over the disk, both ends included."""

    name: str
    first_track: int
    last_track: int

    @property
    def blocks(self) -> int:
        """4096-byte blocks in it."""
        return (self.last_track - self.first_track + 1) * BLOCKS_PER_TRACK


def short_record(block: int) -> tuple[int, int] | None:
    """Key length and whole length of the record that the DASD driver keeps of a 4096-byte block, when it is shorter
    than the block. Source: Linux, drivers/s390/block/dasd_eckd.c, dasd_eckd_cdl_special."""
    if block < len(_IPL_LENGTHS):
        return _IPL_KEY_BYTES, _IPL_LENGTHS[block]
    if BLOCKS_PER_TRACK <= block < SHORT_BLOCKS:
        return _DSCB_KEY_BYTES, _DSCB_BYTES
    return None


def keeps(block: int, data: bytes) -> bool:
    """Whether nothing of a block's bytes is lost on an ECKD disk: behind a short record are only fillers."""
    short = short_record(block)
    lost = data[short[1] :] if short is not None else b""
    return any(lost == filler * len(lost) for filler in _FILLERS)


def is_volume_label(block: bytes) -> bool:
    """Whether block 2 of a raw disk is the label of an ECKD volume."""
    return block.startswith(_KEY_VOL1)


def check_volser(volser: str) -> str:
    """The volume serial in upper case. LayoutError names the rule it breaks."""
    upper = volser.upper()
    if not _VOLSER.fullmatch(upper):
        raise LayoutError(f"volser {volser!r}: 1 to 6 characters A-Z, 0-9, @, #, $")
    return upper


def _cchh(track: int) -> bytes:
    return CCHH.pack(*cchh(*divmod(track, TRACKS_PER_CYLINDER)))


def _extent(first: int, last: int, kind: int = 1) -> bytes:
    return bytes([kind, 0]) + _cchh(first) + _cchh(last)


def volume_label(volser: str) -> bytes:
    """The 80 bytes of record 3: label identifier, serial, VTOC at track 1 record 1."""
    label = "VOL1".encode(EBCDIC) + check_volser(volser).ljust(6).encode(EBCDIC)
    label += b"\x40" + _cchh(1) + b"\x01"
    label += ("".ljust(5 + 4 + 4 + 4 + 4 + 14 + 29)).encode(EBCDIC)
    return label


def ipl1_block(data: bytes) -> bytes:
    """Block 0 with these 24 bytes, as the DASD driver takes it."""
    return (_KEY_IPL1 + data.ljust(24, b"\0")).ljust(BLOCK_BYTES, FILLER)


def ipl2_block(data: bytes) -> bytes:
    """Block 1 with these up to 144 bytes."""
    return (_KEY_IPL2 + data.ljust(144, b"\0")).ljust(BLOCK_BYTES, FILLER)


def _format_4(cylinders: int, partitions: int) -> bytes:
    large = cylinders > _LARGE
    last = 2 + partitions if not large else 2 + 2 * partitions
    used = last + 1 if large else last
    shown = _LARGE if large else cylinders
    device = struct.pack(">HHHBBBBHBB", shown, TRACKS_PER_CYLINDER, 0xE5A2, 0, 0, 0, 0x30, 0, 0x2D, 0x15)
    return b"".join(
        (
            b"\x04" * 44,
            b"\xf4",
            _cchh(1) + bytes([last]),  # DS4HPCHR: the last DSCB of format 1 or 8
            struct.pack(">H", BLOCKS_PER_TRACK - used),  # unused DSCBs
            bytes(4 + 2),
            b"\xa0\x01\x00\x00" if large else b"\x00\x01\x00\x00",  # DS4VTOCI: free space is in format 7
            device,
            bytes(8 + 3 + 8 + 5 + 5),
            _extent(1, 1),
            bytes(10),
            b"\x07" + _cchh(1) + b"\x03" if large else bytes(1 + 5),  # DS4EFLVL, DS4EFPTR: where format 7 is
            bytes(1),
            struct.pack(">I", cylinders if large else 0),  # DS4DCYL
            bytes(2),
            b"\x40\x00" if large else bytes(2),  # DS4DEVF2: formats 8 and 9 may be in use
        )
    )


def _format_7() -> bytes:
    return b"\x07" * 4 + bytes(40) + b"\xf7" + bytes(95)


def _format_9() -> bytes:
    return b"\x09\x01\x01" + bytes(41) + b"\xf9" + bytes(95)


def _format_5() -> bytes:
    return b"\x05" * 4 + bytes(40) + b"\xf5" + bytes(95)


def _format_1(volser: str, number: int, first: int, last: int, format_9: int = 0) -> bytes:
    """A partition; as format 8 when the record of its format 9 is given."""
    name = f"LINUX.V{volser.ljust(6).replace(' ', '0')}.PART{number:04d}.NATIVE"
    return b"".join(
        (
            name.ljust(44).encode(EBCDIC),
            b"\xf8" if format_9 else b"\xf1",
            volser.ljust(6).encode(EBCDIC),
            b"\x00\x01",
            bytes(3 + 3),
            b"\x00\x00\x00",
            "ZVMCLOUD".ljust(13).encode(EBCDIC),
            bytes(3 + 1 + 1 + 2),
            b"\x00\x00\x88\x00",  # records of fixed length, unblocked
            struct.pack(">HHBH", BLOCK_BYTES, BLOCK_BYTES, 0, 0),
            b"\x80\x00" + bytes(3 + 3 + 2 + 2),
            _extent(first, last),
            bytes(10 + 10),
            _cchh(1) + bytes([format_9]) if format_9 else bytes(5),
        )
    )


def _dscb_record(number: int, dscb: bytes) -> Record:
    if len(dscb) != _DSCB_BYTES:
        raise LayoutError(f"a DSCB has {_DSCB_BYTES} bytes, not {len(dscb)}")
    return Record(number, dscb[:_DSCB_KEY_BYTES], dscb[_DSCB_KEY_BYTES:])


def label_tracks(
    cylinders: int, volser: str, *, ipl1: bytes = STOPPED_PSW, ipl2: bytes = b"", starts: Sequence[int] = ()
) -> tuple[Track, Track]:
    """Tracks 0 and 1 of a formatted disk. `starts`: the first tracks of its partitions, one for the rest of the disk
    without; each goes to the next one's.

    `ipl1` (up to 24 bytes) and `ipl2` (up to 144) are padded with zeros. LayoutError when one is too long, or there
    are more than three partitions.
    """
    volser = check_volser(volser)
    starts = starts or (FIRST_PARTITION_TRACK,)
    end = cylinders * TRACKS_PER_CYLINDER
    if len(starts) > MOST_PARTITIONS or any(b <= a for a, b in itertools.pairwise((1, *starts, end))):
        raise LayoutError(f"partitions at tracks {', '.join(map(str, starts))} of {end}")
    if len(ipl1) > 24 or len(ipl2) > 144:
        raise LayoutError(f"IPL records of {len(ipl1)} and {len(ipl2)} bytes, limits 24 and 144")
    zero = bytes(BLOCK_BYTES)
    first = Track(
        (
            Record(1, _KEY_IPL1, ipl1.ljust(24, b"\0")),
            Record(2, _KEY_IPL2, ipl2.ljust(144, b"\0")),
            Record(3, _KEY_VOL1, volume_label(volser)),
            *(Record(number, b"", zero) for number in range(4, BLOCKS_PER_TRACK + 1)),
        )
    )
    dscbs = [_format_4(cylinders, len(starts)), _format_5()]
    if cylinders > _LARGE:
        dscbs.append(_format_7())
    for number, (start, following) in enumerate(itertools.pairwise((*starts, end)), 1):
        if cylinders > _LARGE:
            dscbs += [_format_1(volser, number, start, following - 1, format_9=len(dscbs) + 2), _format_9()]
        else:
            dscbs.append(_format_1(volser, number, start, following - 1))
    dscbs += [bytes(_DSCB_BYTES)] * (BLOCKS_PER_TRACK - len(dscbs))
    return first, Track(tuple(_dscb_record(number, dscb) for number, dscb in enumerate(dscbs, 1)))


def write_labels(
    disk: EckdDisk, volser: str, *, ipl1: bytes = STOPPED_PSW, ipl2: bytes = b"", starts: Sequence[int] = ()
) -> Partition:
    """Label a disk and give it partitions (see `label_tracks`); the first one. What was in the blocks stays; clear the
    disk first to format it."""
    first, vtoc = label_tracks(disk.cylinders, volser, ipl1=ipl1, ipl2=ipl2, starts=starts)
    disk.write_track(0, 1, vtoc)
    disk.write_track(0, 0, first)
    return partitions(disk)[0]


def read_volume_label(disk: EckdDisk) -> VolumeLabel | None:
    """The volume label, or None when the disk has none."""
    for record in disk.read_track(0, 0).records:
        if record.number == 3 and record.key == _KEY_VOL1 and record.data[:4] == _KEY_VOL1 and len(record.data) >= 16:
            cylinder, head = located(*CCHH.unpack_from(record.data, 11))
            return VolumeLabel(record.data[4:10].decode(EBCDIC).rstrip(), cylinder, head)
    return None


def _track(data: bytes, at: int) -> int:
    cylinder, head = located(*CCHH.unpack_from(data, at))
    return cylinder * TRACKS_PER_CYLINDER + head


def partitions(disk: EckdDisk) -> tuple[Partition, ...]:
    """Partitions in the order of the disk; empty when the disk has no volume label or no partition.

    LayoutError when the VTOC points outside of the disk.
    """
    label = read_volume_label(disk)
    if label is None:
        return ()
    if label.vtoc_cylinder >= disk.cylinders or label.vtoc_head >= TRACKS_PER_CYLINDER:
        raise LayoutError(f"the VTOC is at {label.vtoc_cylinder}/{label.vtoc_head}, outside of the disk")
    found: list[Partition] = []
    for record in disk.read_track(label.vtoc_cylinder, label.vtoc_head).records:
        dscb = record.key + record.data
        if len(dscb) != _DSCB_BYTES or dscb[44] not in (0xF1, 0xF8) or dscb[105] == 0:
            continue
        first, last = _track(dscb, 107), _track(dscb, 111)
        if not 0 < first <= last < disk.tracks:
            raise LayoutError(f"VTOC entry {record.number} names tracks {first} to {last}, the disk has {disk.tracks}")
        found.append(Partition(dscb[:44].decode(EBCDIC).rstrip(), first, last))
    return tuple(sorted(found, key=lambda partition: partition.first_track))


class PartitionBlocks:
    """A partition as 4096-byte blocks from 0."""

    def __init__(self, disk: EckdDisk, partition: Partition) -> None:
        self.disk = disk
        self.partition = partition

    def _locate(self, block: int) -> tuple[int, int, int]:
        if not 0 <= block < self.partition.blocks:
            raise LayoutError(f"block {block} is outside a partition of {self.partition.blocks} blocks")
        track, index = divmod(block, BLOCKS_PER_TRACK)
        return (*divmod(self.partition.first_track + track, TRACKS_PER_CYLINDER), index)

    def read(self, block: int, count: int = 1) -> bytes:
        """`count` blocks. LayoutError when a track is not formatted with twelve 4096-byte records."""
        out: list[bytes] = []
        end = block + count
        while block < end:
            cylinder, head, index = self._locate(block)
            records = self.disk.read_track(cylinder, head).records
            self._check(records, cylinder, head)
            take = min(BLOCKS_PER_TRACK - index, end - block)
            out += [record.data for record in records[index : index + take]]
            block += take
        return b"".join(out)

    def write(self, block: int, data: bytes) -> None:
        """Write whole blocks; a track is read, changed and written once."""
        if len(data) % BLOCK_BYTES:
            raise LayoutError(f"{len(data)} bytes are not whole blocks of {BLOCK_BYTES}")
        at, end = block, block + len(data) // BLOCK_BYTES
        while at < end:
            cylinder, head, index = self._locate(at)
            take = min(BLOCKS_PER_TRACK - index, end - at)
            self._locate(at + take - 1)
            records = list(self.disk.read_track(cylinder, head).records)
            self._check(records, cylinder, head)
            for step in range(take):
                offset = (at - block + step) * BLOCK_BYTES
                records[index + step] = Record(index + step + 1, b"", data[offset : offset + BLOCK_BYTES])
            self.disk.write_track(cylinder, head, Track(tuple(records)))
            at += take

    @staticmethod
    def _check(records: tuple[Record, ...] | list[Record], cylinder: int, head: int) -> None:
        if len(records) != BLOCKS_PER_TRACK or any(r.key or len(r.data) != BLOCK_BYTES for r in records):
            raise LayoutError(f"track {cylinder}/{head} is not formatted with {BLOCKS_PER_TRACK} 4096-byte records")


def format_disk(disk: EckdDisk, volser: str) -> Partition:
    """Make every track a default track, then label the disk and give it one partition."""
    disk.clear(0, disk.tracks - 1)
    return write_labels(disk, volser)
