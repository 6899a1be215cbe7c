"""A disk as blocks of 512 bytes, whatever it is: what reads partitions and file systems need not know which.

An ECKD disk of the compatible layout is seen as Linux's DASD driver shows it: twelve blocks of 4096 bytes a track, but
for the short records of its first two tracks (`cdl.short_record`), behind whose bytes the driver shows X'E5' and drops
it again when they are written.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from zvmcloud.images import cdl
from zvmcloud.images.diskfile import FBA_BLOCK_BYTES, EckdDisk, FbaDisk
from zvmcloud.images.sparsefile import DiskFileError
from zvmcloud.images.tracks import BLOCK_BYTES, BLOCKS_PER_TRACK, TRACKS_PER_CYLINDER, Record, Track, TrackError

FACTOR = BLOCK_BYTES // FBA_BLOCK_BYTES
"""Blocks of 512 bytes in one of an ECKD disk."""


class Blocks(Protocol):
    """Something that blocks of 512 bytes can be read from."""

    @property
    def blocks(self) -> int:
        """How many it has."""

    def read(self, block: int, count: int) -> bytes:
        """`count` blocks from `block` on. DiskFileError outside of it, or where it is damaged."""


class DasdBlocks:
    """An ECKD disk, by block of 512 bytes. Whole blocks of 4096 bytes are written."""

    def __init__(self, path: Path | str, *, writable: bool = False) -> None:
        self.disk = EckdDisk(path, writable=writable)
        self.blocks = self.disk.tracks * BLOCKS_PER_TRACK * FACTOR

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.disk.close()

    def flush(self) -> None:
        """Make everything written durable."""
        self.disk.flush()

    def read(self, block: int, count: int) -> bytes:
        """See Blocks."""
        if block < 0 or count < 0 or block + count > self.blocks:
            raise DiskFileError(f"{self.disk.path}: blocks {block} to {block + count - 1}, the disk has {self.blocks}")
        first, end = block // FACTOR, -(-(block + count) // FACTOR)
        data = bytearray()
        while first < end:
            track, index = divmod(first, BLOCKS_PER_TRACK)
            records = self._records(track)[index : index + end - first]
            for number, record in enumerate(records, first):
                shown = record.key + record.data
                data += shown if len(shown) == BLOCK_BYTES else shown.ljust(BLOCK_BYTES, cdl.FILLER)
                first = number + 1
        start = block % FACTOR * FBA_BLOCK_BYTES
        return bytes(data[start : start + count * FBA_BLOCK_BYTES])

    def write(self, block: int, data: bytes) -> None:
        """Write whole blocks of 4096 bytes. DiskFileError for others, outside of the disk, and for bytes that a short
        record would lose."""
        if block % FACTOR or len(data) % BLOCK_BYTES or block + len(data) // FBA_BLOCK_BYTES > self.blocks:
            raise DiskFileError(f"{len(data)} bytes at block {block} are no whole blocks of {BLOCK_BYTES} of the disk")
        number, at = block // FACTOR, 0
        while at < len(data):
            track, index = divmod(number, BLOCKS_PER_TRACK)
            records = self._records(track)
            while index < BLOCKS_PER_TRACK and at < len(data):
                records[index] = _record(number, index, data[at : at + BLOCK_BYTES])
                number, index, at = number + 1, index + 1, at + BLOCK_BYTES
            self.disk.write_track(*divmod(track, TRACKS_PER_CYLINDER), Track(tuple(records)))

    def _records(self, track: int) -> list[Record]:
        try:
            records = list(self.disk.read_track(*divmod(track, TRACKS_PER_CYLINDER)).records)
        except TrackError as problem:
            raise DiskFileError(f"{self.disk.path}: track {track}: {problem}") from problem
        if len(records) != BLOCKS_PER_TRACK:
            raise DiskFileError(f"{self.disk.path}: track {track} is not formatted with {BLOCKS_PER_TRACK} records")
        for index, record in enumerate(records):
            short = cdl.short_record(track * BLOCKS_PER_TRACK + index)
            key, length = short or (0, BLOCK_BYTES)
            if (len(record.key), len(record.key) + len(record.data)) != (key, length):
                raise DiskFileError(f"{self.disk.path}: track {track} is not one of the compatible layout")
        return records


def _record(block: int, index: int, data: bytes) -> Record:
    short = cdl.short_record(block)
    if short is None:
        return Record(index + 1, b"", data)
    if not cdl.keeps(block, data):
        raise DiskFileError(f"block {block} of an ECKD disk keeps {short[1]} bytes")
    return Record(index + 1, data[: short[0]], data[short[0] : short[1]])


def opened(path: Path, kind: str, *, writable: bool = False) -> DasdBlocks | FbaDisk:
    """The disk of a file; kind ECKD, FBA or SCSI. DiskFileError, OSError."""
    return DasdBlocks(path, writable=writable) if kind == "ECKD" else FbaDisk(path, writable=writable)
