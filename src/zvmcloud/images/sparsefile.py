"""A file of a fixed size with holes, or a block device in its place: what the files of disks are read and written with.

A disk may lie on storage that gives out space only when it is written (a thinly provisioned volume), and that storage
may be full. Beside the file NAME, a file NAME.room has the number of bytes that the disk may occupy: writing into a
hole beyond them is ENOSPC, what is there already can be overwritten. Only what opens disks here keeps to it.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from zvmcloud.images.tracks import RAW_TRACK_BYTES

STRETCH = 64 * 1024
TRACKS_AT_ONCE = 30
"""Tracks of one write: 26 pieces each, and the system takes 1024."""
_BEHIND = 8 * 1024 * 1024
"""How much is written before the system is told to begin with it."""
_ZEROS = bytes(STRETCH)
_BLOCK = 512
"""What a file's size on its storage is counted in (POSIX, st_blocks on Linux)."""


class DiskFileError(OSError):
    """The file is no disk of the expected kind, or an address is outside of it."""


class SparseFile:
    """A file with a fixed size, read and written at offsets."""

    def __init__(self, path: Path | str, *, writable: bool, direct: bool = False) -> None:
        """`direct`: past the page cache, from memory that begins with a page, at most TRACKS_AT_ONCE tracks a time."""
        self.path = Path(path)
        self.writable = writable
        self._buffer = mmap.mmap(-1, TRACKS_AT_ONCE * RAW_TRACK_BYTES) if direct else None
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


def zeros_at(data: bytes, at: int) -> bool:
    """Whether the stretch of `data` from `at` on is zeros."""
    return data.startswith(_ZEROS if len(data) - at >= STRETCH else _ZEROS[: len(data) - at], at)


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


def is_device(path: Path) -> bool:
    return stat.S_ISBLK(path.stat().st_mode)


def create(path: Path | str, size: int) -> None:
    with Path(path).open("xb") as file:
        file.truncate(size)
