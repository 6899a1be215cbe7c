"""Reading a linked disk as an image file, piece by piece: header, then the body, compressed or not.

With gzip the body alone is compressed, as the connector's own images are; with zstd the whole file is, header and all.
Raw, it is the blocks of an FBA or SCSI disk and nothing else.

An ECKD disk gives the track stream, an FBA or SCSI disk its blocks (`images.header` and `images.ckd` draw the bytes).
Default tracks and zero blocks at the end are left out: whoever writes the image clears what lies beyond it. Memory: one
track, and what the compressor holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zvmcloud.images import ckd, header
from zvmcloud.images.compression import Codec, packer
from zvmcloud.images.diskfile import FBA_BLOCK_BYTES, EckdDisk, FbaDisk
from zvmcloud.images.header import ImageHeader, ImageKind
from zvmcloud.images.ipl import is_bootable
from zvmcloud.images.tracks import DEFAULT_TRACK, TRACKS_PER_CYLINDER

_PIECE = 256 * 1024
_KINDS = {"ECKD": ImageKind.CKD, "FBA": ImageKind.FBA_DISK, "SCSI": ImageKind.FCP_DISK}
_DEFAULT = ckd.encode_track(DEFAULT_TRACK)


@dataclass(frozen=True, slots=True)
class ReadDisk:
    """What was read: the whole file, and the disk's content as `EckdDisk.sha256` counts it up to the last track."""

    kind: str
    units: int
    file_bytes: int
    sha256: str
    bootable: bool
    sha512: str = ""
    """Only told of a raw file."""


class ImageReader:
    """An image file made of a disk. Take `piece` until it is empty, then `result`; `close` in the end."""

    def __init__(
        self,
        path: Path,
        kind: str,
        compression: int,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        codec: Codec = Codec.GZIP,
        *,
        raw: bool = False,
        least_bytes: int = 0,
    ) -> None:
        """`kind`: ECKD, FBA or SCSI. `compression`: level of `codec` (gzip or zstd), 0 for none. `raw`: not of ECKD;
        so many bytes at least, where the disk has them.

        `progress` is told (units read, units of the disk).
        """
        self._disk: EckdDisk | FbaDisk = EckdDisk(path) if kind == "ECKD" else FbaDisk(path)
        self._kind = kind
        self._progress = progress
        disk = self._disk
        self.units = disk.cylinders if isinstance(disk, EckdDisk) else disk.blocks
        image_kind = _KINDS[kind]
        self._compress = packer(codec, compression) if compression and not raw else None
        self._sha512 = hashlib.sha512() if raw else None
        level = compression if codec is Codec.GZIP else 0
        head = header.render(ImageHeader(image_kind, self.units, level))
        first = self._compress.compress(head) if self._compress and not level else head
        self._ready = [] if raw else [first]
        least = -(-least_bytes // FBA_BLOCK_BYTES)
        self._body: Iterator[bytes] | None = (
            _tracks(disk, self._told) if isinstance(disk, EckdDisk) else _blocks(disk, self._told, least)
        )
        self._digest = hashlib.sha256()
        self._bytes = 0

    def _told(self, done: int) -> None:
        self._progress(done, self.units)

    def piece(self) -> bytes:
        """The next bytes of the file, at least a quarter of a megabyte but at the end; b"" when all were given."""
        size = sum(map(len, self._ready))
        while size < _PIECE and self._body is not None:
            data = next(self._body, None)
            if data is None:
                self._body = None
                data = self._compress.flush() if self._compress else b""
            elif self._compress:
                data = self._compress.compress(data)
            if data:
                self._ready.append(data)
                size += len(data)
        whole = b"".join(self._ready)
        self._ready.clear()
        self._digest.update(whole)
        if self._sha512 is not None:
            self._sha512.update(whole)
        self._bytes += len(whole)
        return whole

    def result(self) -> ReadDisk:
        """What the file is, once its last piece was taken."""
        strong = self._sha512.hexdigest() if self._sha512 is not None else ""
        return ReadDisk(self._kind, self.units, self._bytes, self._digest.hexdigest(), self._boots(), strong)

    def _boots(self) -> bool:
        return is_bootable(self._disk, scsi=self._kind == "SCSI")

    def close(self) -> None:
        """Close the disk."""
        self._disk.close()


def _tracks(disk: EckdDisk, told: Callable[[int], None]) -> Iterator[bytes]:
    """The track stream up to the last track that is not as CP formats it; at least the first one."""
    held = 0
    for number in range(disk.tracks):
        cylinder, head = divmod(number, TRACKS_PER_CYLINDER)
        if head == 0:
            told(cylinder)
        track = disk.read_track(cylinder, head)
        if track == DEFAULT_TRACK and number:
            held += 1
            continue
        for _ in range(held):
            yield _DEFAULT
        held = 0
        yield ckd.encode_track(track)


def _blocks(disk: FbaDisk, told: Callable[[int], None], least: int = 0) -> Iterator[bytes]:
    """The blocks up to the last stretch that is not zeros; at least the first one, and ``least`` blocks."""
    done = 0
    for block, data in disk.stretches(0, disk.blocks):
        told(block)
        yield from _zeros(block - done)
        yield data
        done = block + len(data) // FBA_BLOCK_BYTES
    yield from _zeros(min(max(least, 1), disk.blocks) - done)


def _zeros(blocks: int) -> Iterator[bytes]:
    left = blocks * FBA_BLOCK_BYTES
    while left > 0:
        yield bytes(min(left, _PIECE))
        left -= _PIECE
