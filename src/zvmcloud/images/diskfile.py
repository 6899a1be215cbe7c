"""The file that stands for a minidisk: raw tracks of an ECKD disk, 512-byte blocks of an FBA disk.

Files are sparse. A hole of an ECKD file is a track as CP formats it, a hole of an FBA file is zeros; writing such a
track or block into a hole leaves it a hole. Nothing here locks: that a disk has one writer is CP's business.

On hardware the same calls go to block devices, which have no holes. An ECKD one is in raw-track mode: it takes direct
input and output of whole tracks only, and a track that CP formatted has its records there like any other. Source:
Linux, drivers/s390/block/dasd_eckd.c, dasd_eckd_build_cp_raw; not yet run on hardware.

A disk may lie on storage that gives out space only when it is written (a thinly provisioned volume), and that storage
may be full. Beside the file NAME, a file NAME.room has the number of bytes that the disk may occupy: writing into a
hole beyond them is ENOSPC, what is there already can be overwritten. Only what opens disks here keeps to it.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from zvmcloud.images import ckd
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
_STRETCH = 64 * 1024
_TRACKS_AT_ONCE = 30
"""Tracks of one write: 26 pieces each, and the system takes 1024."""
_BEHIND = 8 * 1024 * 1024
"""How much is written before the system is told to begin with it."""
_ZEROS = bytes(_STRETCH)
_BLOCK = 512
"""What a file's size on its storage is counted in (POSIX, st_blocks on Linux)."""
_STRETCH_BLOCKS = 2048
_NOTHING = bytes(_STRETCH_BLOCKS * FBA_BLOCK_BYTES)


class DiskFileError(OSError):
    """The file is no disk of the expected kind, or an address is outside of it."""


class _SparseFile:
    """A file with a fixed size, read and written at offsets."""

    def __init__(self, path: Path | str, *, writable: bool, direct: bool = False) -> None:
        """`direct`: past the page cache, from memory that begins with a page, at most _TRACKS_AT_ONCE tracks a time."""
        self.path = Path(path)
        self.writable = writable
        self._buffer = mmap.mmap(-1, _TRACKS_AT_ONCE * RAW_TRACK_BYTES) if direct else None
        self._fd = os.open(self.path, (os.O_RDWR if writable else os.O_RDONLY) | (os.O_DIRECT if direct else 0))
        self.size = os.lseek(self._fd, 0, os.SEEK_END)
        self._begun = 0
        """Up to here the system was told to begin."""
        self._room = _room(self.path) if writable else None

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            if self._buffer is not None:
                self._buffer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def flush(self) -> None:
        """Make everything written durable."""
        os.fsync(self._fd)

    def _read(self, offset: int, length: int) -> bytes:
        if self._buffer is not None:
            return self._read_directly(self._buffer, offset, length)
        data = os.pread(self._fd, length, offset)
        while len(data) < length:
            more = os.pread(self._fd, length - len(data), offset + len(data))
            if not more:
                raise DiskFileError(f"{self.path}: ends at byte {offset + len(data)}, expected {self.size} bytes")
            data += more
        return data

    def _read_directly(self, buffer: mmap.mmap, offset: int, length: int) -> bytes:
        """As many bytes as the buffer has, at most."""
        with memoryview(buffer)[:length] as view:
            done = os.preadv(self._fd, [view], offset)
            if done < length:
                raise DiskFileError(f"{self.path}: ends at byte {offset + done}, expected {self.size} bytes")
            return bytes(view)

    def _write(self, offset: int, data: bytes | memoryview) -> None:
        if self._buffer is not None:
            self._write_directly(self._buffer, offset, [data])
            return
        self._check_room(offset, len(data))
        view = memoryview(data)
        while view:
            done = os.pwrite(self._fd, view, offset)
            view = view[done:]
            offset += done
        self._write_behind(offset)

    def _write_behind(self, end: int) -> None:
        """What was written up to `end` is not needed again: let the device have it while more is being made, so that
        `flush` finds little left to do and a small machine's memory is not filled with it."""
        if end < self._begun:
            self._begun = end
        elif end - self._begun >= _BEHIND:
            os.posix_fadvise(self._fd, self._begun, end - self._begun, os.POSIX_FADV_DONTNEED)
            self._begun = end

    def _write_all(self, offset: int, parts: list[bytes | memoryview]) -> None:
        """Write pieces one behind the other, in one call if the system takes them so."""
        if self._buffer is not None:
            self._write_directly(self._buffer, offset, parts)
            return
        size = sum(map(len, parts))
        self._check_room(offset, size)
        done = os.pwritev(self._fd, parts, offset)
        if done < size:
            self._write(offset + done, memoryview(b"".join(parts))[done:])
        self._write_behind(offset + size)

    def _write_directly(self, buffer: mmap.mmap, offset: int, parts: list[bytes | memoryview]) -> None:
        """As many bytes as the buffer takes, at most; all of them in one call: a part of a track is refused."""
        buffer.seek(0)
        for part in parts:
            buffer.write(part)
        with memoryview(buffer)[: buffer.tell()] as view:
            if os.pwrite(self._fd, view, offset) < len(view):
                raise DiskFileError(errno.EIO, f"the device took a part of {len(view)} bytes at byte {offset}")

    def _check_room(self, offset: int, length: int) -> None:
        """OSError ENOSPC when the storage behind the disk cannot take what is new of it."""
        if self._room is None or self._next_hole(offset) >= offset + length:
            return
        if os.fstat(self._fd).st_blocks * _BLOCK + length > self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def _next_data(self, offset: int) -> int:
        """Start of the next stretch that may hold data, or the file's size."""
        try:
            return os.lseek(self._fd, offset, os.SEEK_DATA)
        except OSError as problem:
            if problem.errno == errno.ENXIO:
                return self.size
            return offset

    def _next_hole(self, offset: int) -> int:
        """End of the data from `offset` on: the next hole, or the file's size."""
        try:
            return os.lseek(self._fd, offset, os.SEEK_HOLE)
        except OSError:
            return self.size

    def _is_hole(self, offset: int, length: int) -> bool:
        return self._next_data(offset) >= offset + length


def _zeros_at(data: bytes, at: int) -> bool:
    """Whether the stretch of `data` from `at` on is zeros."""
    return data.startswith(_ZEROS if len(data) - at >= _STRETCH else _ZEROS[: len(data) - at], at)


def set_room(path: Path, more: int | None) -> None:
    """Say how many bytes the disk of a file may occupy beyond those it does; None: there is no limit."""
    if more is None:
        _room_file(path).unlink(missing_ok=True)
    else:
        _room_file(path).write_text(str(path.stat().st_blocks * _BLOCK + more))


def _room_file(path: Path) -> Path:
    return path.with_name(path.name + ".room")


def _room(path: Path) -> int | None:
    try:
        return int(_room_file(path).read_text())
    except FileNotFoundError:
        return None


def _is_device(path: Path) -> bool:
    return stat.S_ISBLK(path.stat().st_mode)


def _create(path: Path | str, size: int) -> None:
    with Path(path).open("xb") as file:
        file.truncate(size)


class EckdDisk(_SparseFile):
    """An ECKD minidisk, addressed by cylinder and head from 0."""

    def __init__(self, path: Path | str, *, writable: bool = False) -> None:
        self._is_device = _is_device(Path(path))
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
        _create(path, cylinders * RAW_CYLINDER_BYTES)
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
            if waiting and (not parts or track - start + 1 == _TRACKS_AT_ONCE or number + 1 == count):
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


class FbaDisk(_SparseFile):
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
        _create(path, blocks * FBA_BLOCK_BYTES)
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
            start, zeros = at, _zeros_at(data, at)
            while at < size and _zeros_at(data, at) == zeros:
                at = min(at + _STRETCH, size)
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
