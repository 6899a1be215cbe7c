"""The file that stands for a minidisk: raw tracks of an ECKD disk, 512-byte blocks of an FBA disk.

Files are sparse. A hole of an ECKD file is a track as CP formats it, a hole of an FBA file is zeros; writing such a
track or block into a hole leaves it a hole. Nothing here locks: that a disk has one writer is CP's business.

On hardware the same calls go to block devices, which have no holes. An ECKD one is in raw-track mode: it takes direct
input and output of whole tracks only, and a track that CP formatted has its records there like any other. Source:
Linux, drivers/s390/block/dasd_eckd.c, dasd_eckd_build_cp_raw; not yet run on hardware.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from zvmcloud.images import ckd
from zvmcloud.images.sparsefile import STRETCH, TRACKS_AT_ONCE, DiskFileError, SparseFile, create, is_device, zeros_at
from zvmcloud.images.tracks import (
    DEFAULT_TRACK,
    MAX_CYLINDERS,
    RAW_CYLINDER_BYTES,
    RAW_TRACK_BYTES,
    TRACK_DATA_BYTES,
    TRACKS_PER_CYLINDER,
    Track,
    blocks_parts,
    decode,
    encode,
    encode_explicit,
)

FBA_BLOCK_BYTES = 512
_STRETCH_BLOCKS = 2048
_NOTHING = bytes(_STRETCH_BLOCKS * FBA_BLOCK_BYTES)


class EckdDisk(SparseFile):
    """An ECKD minidisk, addressed by cylinder and head from 0."""

    def __init__(self, path: Path | str, *, writable: bool = False) -> None:
        self._is_device = is_device(Path(path))
        super().__init__(path, writable=writable, direct=self._is_device)
        if not self.size or self.size % RAW_CYLINDER_BYTES:
            size = self.size
            self.close()
            raise DiskFileError(f"{self.path}: {size} bytes are not whole cylinders of {RAW_CYLINDER_BYTES} bytes")
        self.cylinders = self.size // RAW_CYLINDER_BYTES
        self.tracks = self.cylinders * TRACKS_PER_CYLINDER

    @classmethod
    def create(cls, path: Path | str, cylinders: int) -> EckdDisk:
        """Make a new disk of CP-formatted tracks (all holes), open for writing. FileExistsError when it exists."""
        if not 0 < cylinders <= MAX_CYLINDERS:
            raise DiskFileError(f"{cylinders} cylinders are outside 1 to {MAX_CYLINDERS}")
        create(path, cylinders * RAW_CYLINDER_BYTES)
        return cls(path, writable=True)

    def _offset(self, cylinder: int, head: int) -> int:
        if not (0 <= cylinder < self.cylinders and 0 <= head < TRACKS_PER_CYLINDER):
            raise DiskFileError(f"{self.path}: track {cylinder}/{head} is outside a disk of {self.cylinders} cylinders")
        return (cylinder * TRACKS_PER_CYLINDER + head) * RAW_TRACK_BYTES

    def read_raw(self, cylinder: int, head: int) -> bytes:
        """The 65,536 bytes of a track; all zeros for a hole."""
        return self._read(self._offset(cylinder, head), RAW_TRACK_BYTES)

    def read_track(self, cylinder: int, head: int) -> Track:
        """The records of a track. TrackError when the file is damaged there."""
        offset = self._offset(cylinder, head)
        if self._is_hole(offset, RAW_TRACK_BYTES):
            return DEFAULT_TRACK
        return decode(self._read(offset, RAW_TRACK_BYTES), cylinder, head)

    def write_track(self, cylinder: int, head: int, track: Track) -> None:
        """Replace a track. TrackError, before anything is written, when its records do not fit."""
        offset = self._offset(cylinder, head)
        if track == DEFAULT_TRACK and self._is_hole(offset, RAW_TRACK_BYTES):
            return
        self._write(
            offset, encode_explicit(track, cylinder, head) if self._is_device else encode(track, cylinder, head)
        )

    def write_blocks(self, first_track: int, data: bytes, at: int = 0, end: int | None = None) -> int:
        """Make tracks from `first_track` on (counted from 0) ones of twelve 4096-byte records each, with the bytes of
        `data` from `at` to `end`, which fill whole tracks. Tracks of zeros become holes. How many are no holes.
        DiskFileError."""
        count, over = divmod((len(data) if end is None else end) - at, TRACK_DATA_BYTES)
        if over:
            raise DiskFileError(f"{over} bytes are left over when tracks of {TRACK_DATA_BYTES} are filled")
        if first_track < 0 or first_track + count > self.tracks:
            raise DiskFileError(f"{self.path}: tracks {first_track} to {first_track + count - 1} are outside the disk")
        used, start, waiting = 0, 0, list[bytes | memoryview]()
        for number in range(count):
            track = first_track + number
            parts = blocks_parts(data, at + number * TRACK_DATA_BYTES, *divmod(track, TRACKS_PER_CYLINDER))
            if not waiting:
                start = track
            waiting += parts
            used += bool(parts)
            if waiting and (not parts or track - start + 1 == TRACKS_AT_ONCE or number + 1 == count):
                self._write_all(start * RAW_TRACK_BYTES, waiting)
                waiting = []
            if not parts:
                self.clear(track, track)
        return used

    def clear(self, first_track: int, last_track: int) -> None:
        """Make tracks (counted from 0, both ends included) default tracks again; holes are skipped, not visited."""
        at, end = first_track * RAW_TRACK_BYTES, (last_track + 1) * RAW_TRACK_BYTES
        empty = bytes(RAW_TRACK_BYTES)
        while (at := self._next_data(at)) < end:
            track = at // RAW_TRACK_BYTES
            at = track * RAW_TRACK_BYTES
            if self._is_device:
                empty = encode_explicit(DEFAULT_TRACK, *divmod(track, TRACKS_PER_CYLINDER))
            if self._read(at, RAW_TRACK_BYTES) != empty:
                self._write(at, empty)
            at += RAW_TRACK_BYTES

    def used_tracks(self) -> Iterator[tuple[int, int, Track]]:
        """(cylinder, head, track) of every track that is not the default one, in device order."""
        at = 0
        while (at := self._next_data(at)) < self.size:
            number = at // RAW_TRACK_BYTES
            cylinder, head = divmod(number, TRACKS_PER_CYLINDER)
            track = decode(self._read(number * RAW_TRACK_BYTES, RAW_TRACK_BYTES), cylinder, head)
            if track != DEFAULT_TRACK:
                yield cylinder, head, track
            at = (number + 1) * RAW_TRACK_BYTES

    def all_tracks(self, cylinders: int | None = None) -> Iterator[Track]:
        """Every track in device order, of the first `cylinders` or of the whole disk."""
        for number in range((cylinders if cylinders is not None else self.cylinders) * TRACKS_PER_CYLINDER):
            yield self.read_track(*divmod(number, TRACKS_PER_CYLINDER))

    def sha256(self, cylinders: int | None = None) -> str:
        """Hex digest of the content as a CKD stream of the first `cylinders` (the whole disk without)."""
        digest = hashlib.sha256()
        default = ckd.encode_track(DEFAULT_TRACK)
        for track in self.all_tracks(cylinders):
            digest.update(default if track is DEFAULT_TRACK else ckd.encode_track(track))
        return digest.hexdigest()


class FbaDisk(SparseFile):
    """An FBA minidisk, addressed by 512-byte block from 0."""

    def __init__(self, path: Path | str, *, writable: bool = False) -> None:
        super().__init__(path, writable=writable)
        if not self.size or self.size % FBA_BLOCK_BYTES:
            size = self.size
            self.close()
            raise DiskFileError(f"{self.path}: {size} bytes are not whole blocks of {FBA_BLOCK_BYTES} bytes")
        self.blocks = self.size // FBA_BLOCK_BYTES

    @classmethod
    def create(cls, path: Path | str, blocks: int) -> FbaDisk:
        """Make a new disk of zeros, open for writing. FileExistsError when it exists."""
        if not 0 < blocks < 2**31:
            raise DiskFileError(f"{blocks} blocks are outside 1 to {2**31 - 1}")
        create(path, blocks * FBA_BLOCK_BYTES)
        return cls(path, writable=True)

    def _range(self, block: int, count: int) -> None:
        if block < 0 or count < 0 or block + count > self.blocks:
            raise DiskFileError(f"{self.path}: blocks {block} to {block + count - 1}, the disk has {self.blocks}")

    def read(self, block: int, count: int) -> bytes:
        """`count` blocks from `block` on."""
        self._range(block, count)
        return self._read(block * FBA_BLOCK_BYTES, count * FBA_BLOCK_BYTES)

    def write(self, block: int, data: bytes) -> None:
        """Write whole blocks; zeros into a hole stay a hole."""
        if len(data) % FBA_BLOCK_BYTES:
            raise DiskFileError(f"{len(data)} bytes are not whole blocks of {FBA_BLOCK_BYTES}")
        self._range(block, len(data) // FBA_BLOCK_BYTES)
        offset = block * FBA_BLOCK_BYTES
        if self._is_hole(offset, len(data)) and data == bytes(len(data)):
            return
        self._write(offset, data)

    def write_sparse(self, block: int, data: bytes) -> None:
        """Write whole blocks; stretches of 64 KiB of zeros leave holes holes."""
        if len(data) % FBA_BLOCK_BYTES:
            raise DiskFileError(f"{len(data)} bytes are not whole blocks of {FBA_BLOCK_BYTES}")
        self._range(block, len(data) // FBA_BLOCK_BYTES)
        base, size, at = block * FBA_BLOCK_BYTES, len(data), 0
        while at < size:
            start, zeros = at, zeros_at(data, at)
            while at < size and zeros_at(data, at) == zeros:
                at = min(at + STRETCH, size)
            if zeros:
                self.clear((base + start) // FBA_BLOCK_BYTES, (at - start) // FBA_BLOCK_BYTES)
            else:
                self._write(base + start, memoryview(data)[start:at])

    def clear(self, block: int, count: int) -> None:
        """Make blocks zero again; holes are skipped, not visited."""
        self._range(block, count)
        at, end, step = block * FBA_BLOCK_BYTES, (block + count) * FBA_BLOCK_BYTES, 256 * 1024
        while (at := self._next_data(at)) < end:
            # No further than the data goes: what is written into a hole would fill it.
            piece = min(step, end - at, self._next_hole(at) - at)
            self._write(at, bytes(piece))
            at += piece

    def stretches(self, first: int, end: int) -> Iterator[tuple[int, bytes]]:
        """(block, bytes) of what is not zeros from `first` to before `end`, in stretches of 1 MiB at most that begin at
        multiples of 1 MiB (and at `first`); holes are skipped, not visited."""
        at = first
        while at < end and (data_at := self._next_data(at * FBA_BLOCK_BYTES) // FBA_BLOCK_BYTES) < end:
            at = max(at, data_at - data_at % _STRETCH_BLOCKS)
            count = min(_STRETCH_BLOCKS - at % _STRETCH_BLOCKS, end - at)
            data = self.read(at, count)
            if data != _NOTHING[: len(data)]:
                yield at, data
            at += count

    def sha256(self, blocks: int | None = None) -> str:
        """Hex digest of the first `blocks`, or of the whole disk."""
        digest = hashlib.sha256()
        left = blocks if blocks is not None else self.blocks
        at = 0
        while left:
            piece = min(left, 2048)
            digest.update(self.read(at, piece))
            at, left = at + piece, left - piece
        return digest.hexdigest()
