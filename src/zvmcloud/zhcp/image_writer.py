"""Writing an image onto a linked disk, as its bytes arrive.

The file is taken apart by its content: at most one compression around it, then a connector's image (whose body may be
compressed by itself), a qcow2 image, or raw bytes. Everything that is known of its size is compared with the disk
before the first byte is written; what is only known at the end is an error then, and the disk is erased. The digest is
checked before the disk is made bootable. Memory: a few pieces of 1 MiB, one track, and the decompressor's window.

    feed --+--> digest                      (a thread; not for an image of the cache, which compares it itself)
           +--> expand --> body             (the caller's thread)

Expanding and writing take turns in one thread: a piece of 1 MiB is still in the processor's cache when it is written.
The device works beside them, as the disk file has the system write out what it was given (`diskfile`). Handing pieces
to another thread, or larger ones, cost more processor time than they save of the clock (measured by
`make bench ARGS=images`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from zvmcloud.images import ckd, formats
from zvmcloud.images.compression import PIECE_BYTES, Codec, CompressionError, Expander, zstd_size
from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.images.formats import Format
from zvmcloud.images.header import ImageKind
from zvmcloud.images.ipl import is_bootable
from zvmcloud.images.qcow2 import Hole, Qcow2, Qcow2Error
from zvmcloud.images.sparsefile import DiskFileError
from zvmcloud.images.tracks import TRACKS_PER_CYLINDER, TrackError
from zvmcloud.zhcp import image_plan
from zvmcloud.zhcp.image_bodies import BlockBody, Body, CkdBody, RawEckdBody
from zvmcloud.zhcp.image_errors import ImageError, digest_mismatch
from zvmcloud.zhcp.inorder import InOrder
from zvmcloud.zhcp.sources import Digest


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. `units` counts cylinders or blocks of the image; `digest` is the file's, `format` what it is
    from the outside in ("gzip+raw")."""

    kind: str
    format: str
    units: int
    disk_units: int
    tracks: int
    tracks_used: int
    file_bytes: int
    digest: Digest
    bootable: bool


class ImageWriter:
    """Takes the bytes of an image file in any pieces. Call `feed`, then `finish` (or `abort`), then `close`.

    `feed_path` takes a whole file, `feed_file` a qcow2 image, which has to be read here and there. `stop`, from any
    thread, makes all of them return soon, with nothing further written.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        digest: Digest,
        file_bytes: int,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        expanded_bytes: int = 0,
        *,
        compared: bool = False,
        declared: str = "",
    ) -> None:
        """`kind`: ECKD, FBA or SCSI. `file_bytes`: the file's size (0: not known); `expanded_bytes`: the least that a
        compressed one expands to. `progress` is told (units written, units of the image or of the disk). `compared`:
        whoever gives the bytes compares their digest, and does not give the last ones when it is another one.
        `declared`: the format that the file is said to have, "" for what its bytes tell."""
        self._declared = declared
        self._progress = progress
        self._disk: EckdDisk | FbaDisk
        self._disk = EckdDisk(path, writable=True) if kind == "ECKD" else FbaDisk(path, writable=True)
        self._kind = kind
        self._expected = digest
        self._file_bytes = file_bytes
        self._expanded_bytes = expanded_bytes
        self._digest = hashlib.new(digest.algorithm, usedforsecurity=False)
        self._hashing: InOrder[bytes] | None = None
        if not compared:
            self._hashing = InOrder(self._digest.update, "image digest")
        self._bytes = 0
        self._total = 0
        self._body: Body | None = None
        self._formats: list[str] = []
        self._stopped = False
        self._layer: _Layer = _Probe(partial(self._begin, None))

    @property
    def disk_units(self) -> int:
        """Cylinders or blocks of the disk."""
        disk = self._disk
        return disk.cylinders if isinstance(disk, EckdDisk) else disk.blocks

    # -- bytes in -------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Take nothing more: the copy was cancelled."""
        self._stopped = True

    def feed(self, piece: bytes) -> None:
        """Take a piece. AgentError 422 for a damaged image, 409 for one that does not fit this disk."""
        self._bytes += len(piece)
        if self._file_bytes and self._bytes > self._file_bytes:
            raise ImageError(f"the image has more than the {self._file_bytes} bytes it should have")
        if self._hashing is not None:
            self._hashing.put(piece)
        with _image_errors():
            self._layer.feed(piece)

    def feed_path(self, path: Path) -> None:
        """Take all of a file that is here; else as `feed`."""
        with path.open("rb", buffering=0) as file:
            while not self._stopped and (piece := file.read(PIECE_BYTES)):
                self.feed(piece)

    def feed_file(self, image: Qcow2) -> None:
        """Take a qcow2 image, whose file `feed` gets nothing of."""
        with _image_errors():
            self._start(Format.QCOW2, image.header.size)
            for piece in image.pieces():
                self._write(piece)

    def _write(self, piece: bytes | Hole) -> None:
        body = self._body
        if body is None or self._stopped:
            return
        if isinstance(piece, Hole):
            body.skip(piece.length)
        else:
            body.feed(piece)
        self._progress(body.units, self._total)

    # -- what it is -----------------------------------------------------------------------------------------------

    def _begin(self, outer: Format | None, first: bytes) -> _Layer:
        """Choose what takes the bytes that begin with `first`, inside of `outer`."""
        found = image_plan.detect(first, outer, self._declared)
        if found.codec is not None:
            self._formats.append(found)
            if found.codec is Codec.ZSTD:
                self._expanded_bytes = max(self._expanded_bytes, zstd_size(first) or 0)
            return _Expand(found.codec, _Probe(partial(self._begin, found)), self._is_stopped)
        if found is Format.QCOW2:
            raise AssertionError("a qcow2 image is taken by feed_file")
        if found is Format.CONNECTOR:
            return self._connector(first)
        self._start(Format.RAW, self._expanded_bytes if outer else self._file_bytes)
        return _Sink(self._write)

    def _is_stopped(self) -> bool:
        return self._stopped

    def _connector(self, first: bytes) -> _Layer:
        found = image_plan.parse_header(first)
        image_plan.check_header(found, self._kind, self.disk_units)
        disk = self._disk
        if isinstance(disk, EckdDisk):
            self._open(CkdBody(disk, found), found.size)
        else:
            self._open(BlockBody(disk, found, partition=found.kind is ImageKind.FBA_PARTITION), found.size)
        self._formats.append(Format.CONNECTOR)
        sink: _Layer = _Sink(self._write)
        if found.gzip_level:
            sink = _Expand(Codec.GZIP, sink, self._is_stopped)
        return _After(found.body_offset, sink)

    def _start(self, found: Format, size: int) -> None:
        """Raw bytes follow, `size` of them at least (0: not known)."""
        needed = image_plan.check_bytes(size, self._kind, self.disk_units)
        disk = self._disk
        self._formats.append(found)
        self._open(RawEckdBody(disk) if isinstance(disk, EckdDisk) else BlockBody(disk), needed or self.disk_units)

    def _open(self, body: Body, total: int) -> None:
        self._body, self._total = body, total

    # -- the end --------------------------------------------------------------------------------------------------

    def finish(self, whole: Path | None = None) -> Written:
        """The image is complete: check digest and length, write what boots, make all of it durable.

        `whole`: the file that `feed_file` read, whose digest was checked before.
        """
        if whole is not None:
            self._bytes = whole.stat().st_size
        if self._file_bytes and self._bytes != self._file_bytes:
            detail = f"the image has {self._bytes} bytes, {self._file_bytes} were expected"
            raise ImageError(detail, "image-truncated")
        if self._hashing is not None:
            self._hashing.join()
            if whole is None:
                self._check_digest()
        with _image_errors():
            if whole is None:
                self._layer.close()
            body = self._body
            if body is None:
                raise ImageError("the file is empty", "image-empty")
            units = body.finish()
        disk = self._disk
        return Written(
            kind=self._kind,
            format="+".join(self._formats),
            units=units,
            disk_units=self.disk_units,
            tracks=units * TRACKS_PER_CYLINDER if isinstance(disk, EckdDisk) else 0,
            tracks_used=body.used,
            file_bytes=self._bytes,
            digest=self._expected,
            bootable=is_bootable(disk, scsi=self._kind == "SCSI"),
        )

    def _check_digest(self) -> None:
        found = self._digest.hexdigest()
        if found != self._expected.hex:
            raise digest_mismatch(self._expected, found)

    def abort(self) -> None:
        """Leave nothing that boots, and nothing of the image: the disk reads as CP formats it."""
        self._stopped = True
        try:
            if self._body is not None:
                self._body.erase()
        except (DiskFileError, TrackError):
            return

    def close(self) -> None:
        """Close the disk."""
        if self._hashing is not None:
            self._hashing.drop()
        self._disk.close()


@contextmanager
def _image_errors() -> Iterator[None]:
    """What the leaves raise about an image, as ImageError."""
    try:
        yield
    except (ckd.CkdStreamError, TrackError, CompressionError, Qcow2Error) as problem:
        raise ImageError(str(problem)) from problem


# -- layers: each takes bytes and gives others to the next -------------------------------------------------------------


class _Layer(Protocol):
    def feed(self, piece: bytes) -> None: ...
    def close(self) -> None: ...


class _Probe:
    """Holds the first bytes until it can be seen what they are."""

    def __init__(self, begin: Callable[[bytes], _Layer]) -> None:
        self._begin = begin
        self._first = b""
        self._next: _Layer | None = None

    def feed(self, piece: bytes) -> None:
        if self._next is None:
            self._first += piece
            if len(self._first) < formats.PROBE_BYTES:
                return
            piece = self._look()
        if self._next is not None:
            self._next.feed(piece)

    def _look(self) -> bytes:
        first, self._first = self._first, b""
        self._next = self._begin(first)
        return first

    def close(self) -> None:
        if self._next is None and self._first:
            short = self._look()
            self.feed(short)
        if self._next is not None:
            self._next.close()


class _Expand:
    """Expands a compressed stream."""

    def __init__(self, codec: Codec, following: _Layer, stopped: Callable[[], bool]) -> None:
        self._expander = Expander(codec)
        self._next = following
        self._stopped = stopped

    def feed(self, piece: bytes) -> None:
        for out in self._expander.feed(piece):
            if self._stopped():
                return
            self._next.feed(out)

    def close(self) -> None:
        self._expander.close()
        self._next.close()


class _After:
    """Drops the first bytes."""

    def __init__(self, drop: int, following: _Layer) -> None:
        self._drop = drop
        self._next = following

    def feed(self, piece: bytes) -> None:
        rest = piece[self._drop :] if self._drop else piece
        self._drop = max(self._drop - len(piece), 0)
        if rest:
            self._next.feed(rest)

    def close(self) -> None:
        self._next.close()


class _Sink:
    """Hands bytes to the disk."""

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self._put = put

    def feed(self, piece: bytes) -> None:
        self._put(piece)

    def close(self) -> None:
        """Nothing waits here."""
