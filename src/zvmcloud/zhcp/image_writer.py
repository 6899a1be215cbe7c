"""Writing an image's bytes onto a linked disk, as they arrive.

What makes the disk bootable (track 0 of an ECKD disk, the first blocks of an FBA disk) is erased first and written
last, after the digest was right: a disk that failed half-way never boots. Tracks beyond the image become default
tracks, and default tracks stay holes. Memory: one piece, one track.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zvmcloud.images import ckd, header
from zvmcloud.images.diskfile import FBA_BLOCK_BYTES, DiskFileError, EckdDisk, FbaDisk
from zvmcloud.images.header import HeaderError, ImageHeader, ImageKind
from zvmcloud.images.ipl import is_bootable
from zvmcloud.images.tracks import DEFAULT_TRACK, TRACKS_PER_CYLINDER, Track, TrackError
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.formatting import FBA_PARTITION_START, partition_table

_INFLATED = 1024 * 1024
_FIRST_BLOCKS = 64


class ImageError(AgentError):
    """The image is at fault: 422 `image-damaged`."""

    def __init__(self, detail: str, code: str = "image-damaged") -> None:
        super().__init__(422, code, detail, remedy="import the image again and compare its digest with its origin's")


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. `units` counts cylinders or blocks of the image."""

    kind: str
    units: int
    disk_units: int
    tracks: int
    tracks_used: int
    file_bytes: int
    sha256: str
    bootable: bool


class ImageWriter:
    """Takes the bytes of an image file in any pieces. Call `feed`, then `finish` (or `abort`), then `close`."""

    def __init__(
        self,
        path: Path,
        kind: str,
        sha256: str,
        file_bytes: int,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        """`progress` is told (units written, units of the image) after every megabyte of the body."""
        self._progress = progress
        self._disk: EckdDisk | FbaDisk
        self._disk = EckdDisk(path, writable=True) if kind == "ECKD" else FbaDisk(path, writable=True)
        self._kind = kind
        self._sha256 = sha256.lower()
        self._expected = file_bytes
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._first = b""
        self._header: ImageHeader | None = None
        self._inflate: zlib._Decompress | None = None
        self._body: _EckdBody | _FbaBody | None = None

    @property
    def done(self) -> tuple[int, int]:
        """(units written, units of the image): cylinders, or blocks."""
        if self._header is None or self._body is None:
            return 0, 0
        return self._body.units, self._header.size

    def feed(self, piece: bytes) -> None:
        """Take a piece. AgentError 422 for a damaged image, 409 for one that does not fit this disk."""
        self._digest.update(piece)
        self._bytes += len(piece)
        if self._expected and self._bytes > self._expected:
            raise ImageError(f"the image has more than the {self._expected} bytes it should have")
        if self._header is None:
            self._first += piece
            if len(self._first) < header.PROBE_BYTES:
                return
            piece = self._begin()
        self._take(piece)

    def _begin(self) -> bytes:
        """Read the header, compare it with the disk, erase what boots; returns the first bytes of the body."""
        try:
            found = header.parse(self._first[: header.PROBE_BYTES])
        except HeaderError as problem:
            raise ImageError(str(problem), "image-header") from problem
        self._fits(found)
        if isinstance(self._disk, EckdDisk):
            self._body = _EckdBody(self._disk, found)
        else:
            self._body = _FbaBody(self._disk, found)
        if found.gzip_level:
            self._inflate = zlib.decompressobj(31)
        self._header = found
        rest, self._first = self._first[found.body_offset :], b""
        return rest

    def _fits(self, found: ImageHeader) -> None:
        if found.size == 0:
            raise ImageError("the image is empty: its header says 0 " + found.unit, "image-empty")
        eckd = found.kind is ImageKind.CKD
        if eckd != isinstance(self._disk, EckdDisk):
            raise AgentError(
                409, "image-kind-mismatch", f"a {found.kind} image does not go onto an {self._kind} disk",
                remedy="deploy it to a disk of the image's kind",
            )  # fmt: skip
        size = self._disk.cylinders if isinstance(self._disk, EckdDisk) else self._disk.blocks
        room = size if found.kind is not ImageKind.FBA_PARTITION else size - FBA_PARTITION_START
        if found.size > room:
            raise AgentError(
                409, "image-too-large", f"the image has {found.size} {found.unit}, the disk holds {room} {found.unit}",
                remedy=f"deploy it to a disk of at least {found.size + size - room} {found.unit}",
            )  # fmt: skip

    def _take(self, piece: bytes) -> None:
        body, inflate = self._body, self._inflate
        if body is None:
            return
        try:
            if inflate is None:
                body.feed(piece)
                self._progress(*self.done)
                return
            while piece:
                if inflate.eof:
                    if piece.strip(b"\0"):
                        raise ImageError("bytes follow the end of the compressed body")
                    return
                body.feed(inflate.decompress(piece, _INFLATED))
                self._progress(*self.done)
                piece = inflate.unconsumed_tail or inflate.unused_data
        except zlib.error as problem:
            raise ImageError(f"the compressed body is damaged ({problem})") from problem
        except (ckd.CkdStreamError, TrackError) as problem:
            raise ImageError(str(problem)) from problem

    def finish(self) -> Written:
        """The image is complete: check digest and length, write what boots, make all of it durable."""
        if self._expected and self._bytes != self._expected:
            detail = f"the image has {self._bytes} bytes, {self._expected} were expected"
            raise ImageError(detail, "image-truncated")
        if self._header is None or self._body is None:
            raise ImageError(f"the image has only {self._bytes} bytes, not even a header", "image-header")
        inflate = self._inflate
        try:
            if inflate is not None:
                self._body.feed(inflate.flush())
                if not inflate.eof:
                    raise ImageError("the compressed body ends early")
            digest = self._digest.hexdigest()
            if digest != self._sha256:
                raise ImageError(f"the image's sha256 is {digest}, {self._sha256} was expected", "digest-mismatch")
            self._body.finish()
        except (ckd.CkdStreamError, TrackError) as problem:
            raise ImageError(str(problem)) from problem
        disk = self._disk
        eckd = isinstance(disk, EckdDisk)
        return Written(
            kind=self._kind,
            units=self._header.size,
            disk_units=disk.cylinders if isinstance(disk, EckdDisk) else disk.blocks,
            tracks=self._header.size * TRACKS_PER_CYLINDER if eckd else 0,
            tracks_used=self._body.used,
            file_bytes=self._bytes,
            sha256=digest,
            bootable=is_bootable(disk),
        )

    def abort(self) -> None:
        """Leave nothing that boots, and nothing of the image: the disk reads as CP formats it."""
        try:
            if self._body is not None:
                self._body.erase()
        except (DiskFileError, TrackError):
            return

    def close(self) -> None:
        """Close the disk."""
        self._disk.close()


class _EckdBody:
    """Tracks as they come; track 0 waits until the end."""

    def __init__(self, disk: EckdDisk, head: ImageHeader) -> None:
        self._disk = disk
        self._limit = head.size * TRACKS_PER_CYLINDER
        self._decoder = ckd.CkdDecoder()
        self._boot: Track | None = None
        self._next = 0
        self.used = 0
        disk.write_track(0, 0, DEFAULT_TRACK)
        disk.flush()

    @property
    def units(self) -> int:
        return self._next // TRACKS_PER_CYLINDER

    def feed(self, piece: bytes) -> None:
        for track in self._decoder.feed(piece):
            if self._next >= self._limit:
                cylinders = self._limit // TRACKS_PER_CYLINDER
                raise ImageError(f"the image holds more tracks than the {cylinders} cylinders of its header")
            if track != DEFAULT_TRACK:
                self.used += 1
            if self._next == 0:
                self._boot = track
            else:
                self._disk.write_track(*divmod(self._next, TRACKS_PER_CYLINDER), track)
            self._next += 1

    def finish(self) -> None:
        self._decoder.close()
        if self._boot is None:
            raise ImageError("the image holds no track")
        if self._next < self._disk.tracks:
            self._disk.clear(self._next, self._disk.tracks - 1)
        self._disk.flush()
        self._disk.write_track(0, 0, self._boot)
        self._disk.flush()

    def erase(self) -> None:
        self._disk.clear(0, self._disk.tracks - 1)
        self._disk.flush()


class _FbaBody:
    """Blocks as they come; the first of the disk wait until the end. A partition image gets a partition around it."""

    def __init__(self, disk: FbaDisk, head: ImageHeader) -> None:
        self._disk = disk
        self._partition = head.kind is ImageKind.FBA_PARTITION
        self._base = FBA_PARTITION_START if self._partition else 0
        self._limit = head.size
        self._next = 0
        self._rest = b""
        self._boot = b""
        self.used = 0
        disk.clear(0, min(_FIRST_BLOCKS, disk.blocks))
        disk.flush()

    @property
    def units(self) -> int:
        return self._next

    def feed(self, piece: bytes) -> None:
        data = self._rest + piece
        whole = len(data) - len(data) % FBA_BLOCK_BYTES
        self._rest = data[whole:]
        self._put(data[:whole])

    def _put(self, data: bytes) -> None:
        blocks = len(data) // FBA_BLOCK_BYTES
        if self._next + blocks > self._limit:
            raise ImageError(f"the image holds more than the {self._limit} blocks of its header")
        if not self._partition and self._next < _FIRST_BLOCKS:
            head = min(blocks, _FIRST_BLOCKS - self._next) * FBA_BLOCK_BYTES
            self._boot += data[:head]
            self._next += head // FBA_BLOCK_BYTES
            data = data[head:]
        if data:
            self._disk.write(self._base + self._next, data)
            self._next += len(data) // FBA_BLOCK_BYTES

    def finish(self) -> None:
        if self._rest:
            self._put(self._rest.ljust(FBA_BLOCK_BYTES, b"\0"))
        if not self._next:
            raise ImageError("the image holds no block")
        end = self._base + self._next
        if end < self._disk.blocks:
            self._disk.clear(end, self._disk.blocks - end)
        self._disk.flush()
        self._disk.write(0, partition_table(self._disk.blocks) if self._partition else self._boot)
        self._disk.flush()

    def erase(self) -> None:
        self._disk.clear(0, self._disk.blocks)
        self._disk.flush()
