"""qcow2 images, read: versions 2 and 3, clusters plain, zero, or compressed with zlib or zstd.

    header        "QFI" FB, version, backing file, cluster bits, virtual size, encryption, L1 table, (3:) feature bits
    L1 entry      bits 9 to 55: offset of an L2 table; 0: nothing of its range is allocated
    L2 entry      bit 62 clear: bits 9 to 55 offset of the cluster (0: not allocated), bit 0: reads as zeros
                  bit 62 set: compressed; with x = 70 - cluster bits, bits 0 to x-1 byte offset, bits x to 61 the
                  number of further 512-byte sectors

Refused, each by name: backing files (they would have to be flattened first), encryption, external data files,
subclusters, images marked corrupt. Snapshots are passed over. Every offset is compared with the file before it is
used; memory is one L1 table (32 MiB at most), one L2 table and 256 KiB of data (or one cluster). Source: QEMU's
docs/interop/qcow2.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from zvmcloud.images.compression import PIECE_BYTES, CompressionError, expand_cluster

HEADER_BYTES = 112
MAX_L1_BYTES = 32 * 1024 * 1024
_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_OFFSET = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED = 1 << 62
_CORRUPT, _EXTERNAL, _COMPRESSION_TYPE, _SUBCLUSTERS = 2, 4, 8, 16
_KNOWN = 1 | _CORRUPT | _EXTERNAL | _COMPRESSION_TYPE | _SUBCLUSTERS


class Qcow2Error(ValueError):
    """The image is damaged, or uses what is not supported; the text says which."""


@dataclass(frozen=True, slots=True)
class Hole:
    """So many bytes of zeros that nobody stored."""

    length: int


@dataclass(frozen=True, slots=True)
class Qcow2Header:
    """What the header says. `size` is the virtual disk's, in bytes."""

    version: int
    size: int
    cluster_bits: int
    l1_entries: int
    l1_offset: int
    zstd: bool


def parse_header(first: bytes) -> Qcow2Header:
    """The header from the first HEADER_BYTES bytes. Qcow2Error names what is wrong or not supported."""
    if len(first) < _HEADER.size:
        raise Qcow2Error(f"a qcow2 header has {_HEADER.size} bytes at least, {len(first)} are there")
    (magic, version, backing, _, bits, size, crypt, l1_entries, l1_offset, *_) = _HEADER.unpack_from(first)
    if magic != b"QFI\xfb":
        raise Qcow2Error(f"starts with {magic!r}, not as a qcow2 image")
    if version not in (2, 3):
        raise Qcow2Error(f"qcow2 version {version}; 2 and 3 are known")
    if backing:
        raise Qcow2Error("it needs a backing file; flatten it with `qemu-img convert -O qcow2` first")
    if crypt:
        raise Qcow2Error("it is encrypted; decrypt it with `qemu-img convert` first")
    if not 9 <= bits <= 21:
        raise Qcow2Error(f"clusters of 2**{bits} bytes; 2**9 to 2**21 are allowed")
    compressed_by_zstd = False
    if version == 3:
        compressed_by_zstd = _features(first)
    covered = 1 << (2 * bits - 3)
    if l1_entries * 8 > MAX_L1_BYTES or l1_entries * covered < size:
        raise Qcow2Error(f"an L1 table of {l1_entries} entries does not go with a disk of {size} bytes")
    return Qcow2Header(version, size, bits, l1_entries, l1_offset, compressed_by_zstd)


def _features(first: bytes) -> bool:
    """Check the feature bits of version 3; whether clusters are compressed with zstd."""
    if len(first) < 104:
        raise Qcow2Error("the header of version 3 is cut off")
    (features,), (length,) = struct.unpack_from(">Q", first, 72), struct.unpack_from(">I", first, 100)
    for bit, what in (
        (_CORRUPT, "it is marked corrupt; repair it with `qemu-img check -r all`"),
        (_EXTERNAL, "its data is in another file; convert it with `qemu-img convert -O qcow2`"),
        (_SUBCLUSTERS, "it has subclusters; convert it with `qemu-img convert -o extended_l2=off`"),
        (~_KNOWN, f"it has features that are not known (X'{features:X}')"),
    ):
        if features & bit:
            raise Qcow2Error(what)
    if not features & _COMPRESSION_TYPE:
        return False
    kind = first[104] if length > 104 and len(first) > 104 else 0
    if kind > 1:
        raise Qcow2Error(f"its clusters are compressed in a way that is not known ({kind})")
    return kind == 1


class Qcow2:
    """An image file, open for reading."""

    def __init__(self, path: Path | str) -> None:
        self._fd = os.open(path, os.O_RDONLY)
        try:
            self._bytes = os.lseek(self._fd, 0, os.SEEK_END)
            self.header = parse_header(os.pread(self._fd, HEADER_BYTES, 0))
            table = self._read(self.header.l1_offset, self.header.l1_entries * 8, "the L1 table")
            self._l1 = struct.unpack(f">{self.header.l1_entries}Q", table)
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self, offset: int, length: int, what: str) -> bytes:
        if offset + length > self._bytes:
            raise Qcow2Error(f"{what} at byte {offset} is beyond the end of the file ({self._bytes} bytes)")
        data = os.pread(self._fd, length, offset)
        if len(data) != length:
            raise Qcow2Error(f"{what} at byte {offset} cannot be read whole")
        return data

    def pieces(self) -> Iterator[bytes | Hole]:
        """The virtual disk from its first byte to its last: data of at most 256 KiB (or one cluster), and holes."""
        size = 1 << self.header.cluster_bits
        left = self.header.size
        start, run, hole = 0, 0, 0
        for cluster in self._clusters():
            take = min(size, left)
            left -= take
            stored = isinstance(cluster, int)
            if run and not (stored and cluster == start + run and run + size <= PIECE_BYTES):
                yield self._read(start, run, "a cluster")
                run = 0
            if cluster is None:
                hole += take
                continue
            if hole:
                yield Hole(hole)
                hole = 0
            if isinstance(cluster, int):
                start, run = (start, run + take) if run else (cluster, take)
            else:
                yield cluster[:take]
        if run:
            yield self._read(start, run, "the last cluster")
        if hole:
            yield Hole(hole)

    def _clusters(self) -> Iterator[int | bytes | None]:
        """Each cluster of the disk in order: its offset in the file, its expanded bytes, or None for zeros."""
        bits = self.header.cluster_bits
        per_table = 1 << (bits - 3)
        left = -(-self.header.size >> bits)
        for entry in self._l1:
            count = min(per_table, left)
            if not count:
                return
            left -= count
            offset = entry & _OFFSET
            if not offset:
                yield from (None for _ in range(count))
                continue
            table = self._read(offset, count * 8, "an L2 table")
            for item in struct.unpack(f">{count}Q", table):
                yield self._cluster(item)

    def _cluster(self, entry: int) -> int | bytes | None:
        if entry & _COMPRESSED:
            return self._expand(entry & (_COMPRESSED - 1))
        if (self.header.version == 3 and entry & 1) or not entry & _OFFSET:
            return None
        return entry & _OFFSET

    def _expand(self, entry: int) -> bytes:
        bits = self.header.cluster_bits
        width = 70 - bits
        offset = entry & ((1 << width) - 1)
        length = ((entry >> width) + 1) * 512 - offset % 512
        length = min(length, self._bytes - offset)
        data = self._read(offset, max(length, 0), "a compressed cluster")
        size = 1 << bits
        try:
            out = expand_cluster(data, size, zstandard=self.header.zstd)
        except CompressionError as problem:
            raise Qcow2Error(f"the compressed cluster at byte {offset} is damaged ({problem})") from problem
        if len(out) != size:
            raise Qcow2Error(f"the compressed cluster at byte {offset} has {len(out)} bytes, not {size}")
        return out
