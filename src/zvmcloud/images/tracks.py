"""One ECKD track: an ordered tuple of records, and its 65,536-byte form on a device in raw-track mode.

    offset  bytes
    0       4      CCHH: home of the track
    4       12     gap, zero
    16      ...    records, each:
                     4 CCHH, 1 record number, 1 key length, 2 data length, key, data
    ...     12     X'FF': end of track
    ...            zeros up to 65,536

An all-zero buffer (a hole in a sparse file) stands for the track as CP formats it: records 1 to 12 without keys, 4096
zero bytes each. Cylinder and head are relative to the minidisk. Source: reference/connector/formats.md 1.2.

A cylinder number has 28 bits, of which CCHH keeps the low 16 in CC and the high 12 in the high 12 of HH, above the four
of the head: the same bytes as ever below cylinder 65,536. Source: z/OS DFSMS Using Data Sets, "Extended Address
Volumes" (CCCCcccH); Linux, drivers/s390/block/dasd_eckd.c, set_ch_t.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

RAW_TRACK_BYTES = 65_536
TRACKS_PER_CYLINDER = 15
BLOCK_BYTES = 4096
BLOCKS_PER_TRACK = 12
CYLINDER_DATA_BYTES = TRACKS_PER_CYLINDER * BLOCKS_PER_TRACK * BLOCK_BYTES
"""737,280: what a 3390 cylinder holds when formatted with 4096-byte blocks."""
RAW_CYLINDER_BYTES = TRACKS_PER_CYLINDER * RAW_TRACK_BYTES
MAX_CYLINDERS = 262_668
"""The largest disk that is made: an extended address volume, 3390 Model A. Judgement: a DS8700 defines volumes of
that many cylinders, a DS8800 of 1,182,006 (IBM, "z/OS operating system support of EAV"), and the smaller number
holds for both."""
_CYLINDER_NUMBERS = 1 << 28
HOME_BYTES = 16
END_OF_TRACK = b"\xff" * 12
RECORD_AREA_BYTES = RAW_TRACK_BYTES - HOME_BYTES - len(END_OF_TRACK)
"""65,508: room for records with their eight-byte count fields."""

CCHH = struct.Struct(">HH")
_COUNT = struct.Struct(">HHBBH")
_HOME = struct.Struct(">HH12x")
_HOLE = bytes(RAW_TRACK_BYTES)


def cchh(cylinder: int, head: int) -> tuple[int, int]:
    """CC and HH of a track: cylinder 0 to 2**28 - 1, head 0 to 15."""
    return cylinder & 0xFFFF, cylinder >> 16 << 4 | head


def located(cc: int, hh: int) -> tuple[int, int]:
    """Cylinder and head of a CCHH address."""
    return hh >> 4 << 16 | cc, hh & 0xF


class TrackError(ValueError):
    """A track buffer or a track's records break the format. `offset` is the byte in the buffer, or -1."""

    def __init__(self, message: str, offset: int = -1) -> None:
        self.offset = offset
        super().__init__(message if offset < 0 else f"{message} (byte {offset} of the track)")


@dataclass(frozen=True, slots=True)
class Record:
    """One record: number 1 to 255, key up to 255 bytes, data up to 65,535 bytes."""

    number: int
    key: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Track:
    """The records of a track, R1 first. R0 and the home address are not part of it."""

    records: tuple[Record, ...]

    @property
    def bytes_used(self) -> int:
        """Bytes in the raw form's record area, count fields included."""
        return sum(8 + len(r.key) + len(r.data) for r in self.records)

    def check(self) -> None:
        """TrackError when the records cannot stand on one track."""
        for record in self.records:
            if not 0 < record.number < 256:
                raise TrackError(f"record number {record.number} is outside 1 to 255")
            if len(record.key) > 255:
                raise TrackError(f"record {record.number}: key of {len(record.key)} bytes, limit 255")
            if len(record.data) > 65_535:
                raise TrackError(f"record {record.number}: data of {len(record.data)} bytes, limit 65535")
        if self.bytes_used > RECORD_AREA_BYTES:
            raise TrackError(f"records need {self.bytes_used} bytes, a track holds {RECORD_AREA_BYTES}")


_ZERO_BLOCK = bytes(BLOCK_BYTES)
DEFAULT_TRACK = Track(tuple(Record(n, b"", _ZERO_BLOCK) for n in range(1, BLOCKS_PER_TRACK + 1)))
"""A track as CP formats it; equal to a hole."""


def encode(track: Track, cylinder: int, head: int) -> bytes:
    """The raw form, always 65,536 bytes. The default track becomes all zeros. TrackError when it does not fit."""
    if track == DEFAULT_TRACK:
        return _HOLE
    return encode_explicit(track, cylinder, head)


def encode_explicit(track: Track, cylinder: int, head: int) -> bytes:
    """The raw form as a device shows it: the default track is written out too."""
    if not 0 <= cylinder < _CYLINDER_NUMBERS:
        raise TrackError(f"cylinder {cylinder} is outside 0 to {_CYLINDER_NUMBERS - 1}")
    if not 0 <= head < TRACKS_PER_CYLINDER:
        raise TrackError(f"head {head} is outside 0 to {TRACKS_PER_CYLINDER - 1}")
    track.check()
    cc, hh = cchh(cylinder, head)
    parts = [_HOME.pack(cc, hh)]
    for record in track.records:
        parts.append(_COUNT.pack(cc, hh, record.number, len(record.key), len(record.data)))
        parts.append(record.key)
        parts.append(record.data)
    parts.append(END_OF_TRACK)
    raw = b"".join(parts)
    return raw + bytes(RAW_TRACK_BYTES - len(raw))


TRACK_DATA_BYTES = BLOCKS_PER_TRACK * BLOCK_BYTES
"""49,152: what a track formatted with 4096-byte blocks holds."""
_NO_DATA = bytes(TRACK_DATA_BYTES)
_BLOCK_COUNTS = [struct.pack(">BBH", number + 1, 0, BLOCK_BYTES) for number in range(BLOCKS_PER_TRACK)]
"""What stands behind CCHH in the count field of each block."""
_REST = END_OF_TRACK + bytes(RAW_TRACK_BYTES - HOME_BYTES - BLOCKS_PER_TRACK * (8 + BLOCK_BYTES) - len(END_OF_TRACK))


def blocks_parts(data: bytes, at: int, cylinder: int, head: int) -> list[bytes | memoryview]:
    """The raw form of a track of twelve 4096-byte records without keys, in pieces that together are RAW_TRACK_BYTES.

    The records are the TRACK_DATA_BYTES of `data` from `at` on. No pieces when they are all zeros: the track is a hole.
    """
    if data.startswith(_NO_DATA, at):
        return []
    view = memoryview(data)
    home = cchh(cylinder, head)
    address = CCHH.pack(*home)
    parts: list[bytes | memoryview] = [_HOME.pack(*home)]
    for count in _BLOCK_COUNTS:
        parts.append(address + count)
        parts.append(view[at : at + BLOCK_BYTES])
        at += BLOCK_BYTES
    parts.append(_REST)
    return parts


def _named(cc: int, hh: int) -> str:
    cylinder, head = located(cc, hh)
    return f"{cylinder}/{head}"


def decode(raw: bytes, cylinder: int | None = None, head: int | None = None) -> Track:
    """Records of a raw track; all zeros is the default track. TrackError on damage.

    With `cylinder` and `head`, the home address must be theirs: a shifted disk file is found at its first track.
    """
    if len(raw) != RAW_TRACK_BYTES:
        raise TrackError(f"a raw track has {RAW_TRACK_BYTES} bytes, not {len(raw)}")
    if not raw[0] and raw == _HOLE:
        return DEFAULT_TRACK
    home = CCHH.unpack_from(raw, 0)
    if cylinder is not None and head is not None and home != cchh(cylinder, head):
        raise TrackError(f"home address says {_named(*home)}, expected {cylinder}/{head}", 0)
    records: list[Record] = []
    at = HOME_BYTES
    while not raw.startswith(END_OF_TRACK[:8], at):
        if at + 8 > RAW_TRACK_BYTES:
            raise TrackError("no end of track mark", at)
        cc, hh, number, key_length, data_length = _COUNT.unpack_from(raw, at)
        if (cc, hh) != home:
            raise TrackError(f"record count says track {_named(cc, hh)}", at)
        end = at + 8 + key_length + data_length
        if end > RAW_TRACK_BYTES - len(END_OF_TRACK):
            raise TrackError(f"record {number} runs past the end of the track", at)
        data_at = at + 8 + key_length
        records.append(Record(number, raw[at + 8 : data_at], raw[data_at:end]))
        at = end
    if not raw.startswith(END_OF_TRACK, at):
        raise TrackError("damaged end of track mark", at)
    return Track(tuple(records))
