"""The ext4 file system, as far as files are looked up and read in it: nothing is written.

    superblock at byte 1024: number of inodes, blocks, block size, inodes of a group, features, label
    group descriptors behind it: where each group's table of inodes begins
    inode: mode, size, 60 bytes that are a tree of extents, or the text of a short symbolic link
    directory: entries of inode, length, name; one with an index reads the same

Numbers are little-endian. Source: Linux, Documentation/filesystems/ext4. Journals are not replayed: a file system that
was not unmounted is refused, and so are features that change where data is and are not known here.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_SUPERBLOCK_AT, _SUPERBLOCK_BYTES = 1024, 1024
_MAGIC = 0xEF53
_NEEDS_RECOVERY, _SIXTY_FOUR = 0x4, 0x80
_KNOWN = 0x2 | 0x40 | _SIXTY_FOUR | 0x200 | 0x400 | 0x2000 | 0x4000
"""Incompatible features: file types, extents, 64 bits, flexible groups, xattrs in inodes, checksum seed, large
directories."""
_EXTENTS_FLAG, _INLINE_FLAG, _ENCRYPTED_FLAG = 0x80000, 0x10000000, 0x800
_EXTENT_MAGIC = 0xF30A
_UNWRITTEN = 32768
_ROOT = 2
_MOST_LINKS = 8
_MOST_DEPTH = 5
_MOST_BYTES = 64 << 20
"""Bytes of a file, a directory or a link that are read at once."""


class FileSystemError(ValueError):
    """There is no such file system, or no such file; or it is damaged, or was not unmounted."""


@dataclass(frozen=True, slots=True)
class Run:
    """Blocks of a file: the first one's place in the file and in the file system, and how many follow each other.
    `start` 0: nothing was ever written there."""

    logical: int
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Inode:
    """A file, directory or symbolic link."""

    mode: int
    size: int
    flags: int
    body: bytes


def _number(data: bytes, offset: int) -> int:
    """Four bytes."""
    return int.from_bytes(data[offset : offset + 4], "little")


class FileSystem:
    """A file system, read through `read(offset, length)` of its bytes. FileSystemError when there is none."""

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        self._read = read
        block = read(_SUPERBLOCK_AT, _SUPERBLOCK_BYTES)
        if struct.unpack_from("<H", block, 56)[0] != _MAGIC:
            raise FileSystemError("there is no ext4 file system")
        self._inodes, low = struct.unpack_from("<II", block)
        log, self._per_group = _number(block, 24), _number(block, 40)
        self.incompatible = _number(block, 96)
        self._inode_bytes = struct.unpack_from("<H", block, 88)[0] or 128
        self.label = block[120:136].split(b"\0")[0].decode("utf-8", "replace")
        if log > 6 or not self._per_group or self._inode_bytes < 128:
            raise FileSystemError("its superblock is damaged")
        self.block_bytes = 1024 << log
        wide = bool(self.incompatible & _SIXTY_FOUR)
        self.blocks = low | (_number(block, 336) << 32 if wide else 0)
        self._descriptor_bytes = max(struct.unpack_from("<H", block, 254)[0], 32) if wide else 32
        self._descriptors_at = (2 if self.block_bytes == 1024 else 1) * self.block_bytes
        if self.incompatible & _NEEDS_RECOVERY:
            raise FileSystemError("it was not unmounted: its journal would have to be replayed")
        if unknown := self.incompatible & ~_KNOWN:
            raise FileSystemError(f"it has features that are not known here (0x{unknown:x})")

    def find(self, path: str) -> tuple[str, Inode]:
        """A file by its path from the root, symbolic links followed; its path without links. FileSystemError."""
        names, found, links = [part for part in path.split("/") if part], "", 0
        inode = self._inode(_ROOT)
        while names:
            name = names.pop(0)
            if name in (".", ".."):
                raise FileSystemError(f"/{path.strip('/')}: {name} is not followed")
            entries = dict(self._entries(inode, found or "/"))
            if name not in entries:
                raise FileSystemError(f"{found}/{name}: there is no such file")
            following = self._inode(entries[name])
            if stat.S_ISLNK(following.mode):
                links += 1
                if links > _MOST_LINKS:
                    raise FileSystemError(f"{found}/{name}: too many symbolic links")
                target = self.content(following).decode("utf-8", "replace")
                names = [part for part in target.split("/") if part] + names
                if target.startswith("/"):
                    found, inode = "", self._inode(_ROOT)
                continue
            found, inode = f"{found}/{name}", following
        return found or "/", inode

    def exists(self, path: str) -> bool:
        """Whether a path leads to something."""
        try:
            self.find(path)
        except FileSystemError:
            return False
        return True

    def names(self, path: str) -> tuple[str, ...]:
        """What a directory holds, sorted. FileSystemError."""
        found, inode = self.find(path)
        return tuple(sorted(name for name, _ in self._entries(inode, found) if name not in (".", "..")))

    def read(self, path: str, limit: int) -> bytes:
        """A file's content. FileSystemError, also for one of more than `limit` bytes."""
        found, inode = self.find(path)
        if not stat.S_ISREG(inode.mode):
            raise FileSystemError(f"{found}: it is no file")
        if inode.size > limit:
            raise FileSystemError(f"{found}: it has {inode.size} bytes, more than {limit}")
        return self.content(inode)

    def content(self, inode: Inode) -> bytes:
        """All bytes of a file, directory or symbolic link. FileSystemError beyond 64 MiB."""
        if inode.size > _MOST_BYTES:
            raise FileSystemError(f"a file has {inode.size} bytes, more than {_MOST_BYTES}")
        if stat.S_ISLNK(inode.mode) and inode.size < 60 and not inode.flags & _EXTENTS_FLAG:
            return inode.body[: inode.size]
        data = bytearray(-(-inode.size // self.block_bytes) * self.block_bytes)
        for run in self.runs(inode):
            at = run.logical * self.block_bytes
            if run.start and at < len(data):
                length = min(run.count * self.block_bytes, len(data) - at)
                data[at : at + length] = self._read(run.start * self.block_bytes, length)
        return bytes(data[: inode.size])

    def runs(self, inode: Inode) -> tuple[Run, ...]:
        """Where a file's blocks are, in its order. FileSystemError for one that keeps its data elsewhere."""
        if not inode.flags & _EXTENTS_FLAG or inode.flags & (_INLINE_FLAG | _ENCRYPTED_FLAG):
            raise FileSystemError("a file keeps its data in a way that is not known here")
        found = tuple(self._tree(inode.body, 0))
        if any(run.start + run.count > self.blocks for run in found):
            raise FileSystemError("a file has blocks outside of the file system")
        return found

    def _inode(self, number: int) -> Inode:
        if not 0 < number <= self._inodes:
            raise FileSystemError(f"there is no inode {number}")
        group, index = divmod(number - 1, self._per_group)
        at = self._descriptors_at + group * self._descriptor_bytes
        descriptor = self._read(at, self._descriptor_bytes)
        table = _number(descriptor, 8) | (_number(descriptor, 40) << 32 if self._descriptor_bytes >= 64 else 0)
        data = self._read(table * self.block_bytes + index * self._inode_bytes, 128)
        mode, size = struct.unpack_from("<H", data)[0], _number(data, 4) | _number(data, 108) << 32
        return Inode(mode, size, _number(data, 32), data[40:100])

    def _entries(self, inode: Inode, path: str) -> Iterator[tuple[str, int]]:
        if not stat.S_ISDIR(inode.mode):
            raise FileSystemError(f"{path}: it is no directory")
        data, at = self.content(inode), 0
        while at + 8 <= len(data):
            number, length, size = struct.unpack_from("<IHB", data, at)
            if length < 8 or at + length > len(data):
                raise FileSystemError(f"{path}: the directory is damaged")
            if number and size:
                yield data[at + 8 : at + 8 + size].decode("utf-8", "replace"), number
            at += length

    def _tree(self, node: bytes, depth: int) -> Iterator[Run]:
        magic, count, _, height = struct.unpack_from("<HHHH", node)
        if magic != _EXTENT_MAGIC or depth > _MOST_DEPTH or 12 + count * 12 > len(node):
            raise FileSystemError("a tree of extents is damaged")
        for offset in range(12, 12 + count * 12, 12):
            if height:
                low, high = struct.unpack_from("<IH", node, offset + 4)
                yield from self._tree(self._read((low | high << 32) * self.block_bytes, self.block_bytes), depth + 1)
                continue
            logical, length, high, low = struct.unpack_from("<IHHI", node, offset)
            written = length <= _UNWRITTEN
            yield Run(logical, (low | high << 32) if written else 0, length if written else length - _UNWRITTEN)
