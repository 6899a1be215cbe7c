"""What an image file holds and which disks it goes onto, from its content.

    connector's image   what its header says
    qcow2               the virtual size in its header
    raw                 the file's size
    compressed          what is inside; of gzip and zstd all is expanded to count it, an xz file has an index

A raw disk goes onto an FBA disk unless it has the volume label of an ECKD disk, and onto an ECKD disk if that keeps
all of its first blocks (`cdl.keeps`) and block 0 holds nothing that an FBA disk would boot. One with a partition table
of 4096-byte sectors is one for ECKD disks (`eckd_image`), or of a SCSI disk with such sectors.

Sizes: a cylinder holds 737,280 bytes of raw data, a block of an FBA disk 512.
The largest ECKD disk has 262,668 cylinders, the largest of blocks 2**31 - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from zvmcloud.images import cdl, eckd_image, formats, header
from zvmcloud.images.compression import PIECE_BYTES, Codec, CompressionError, Expander, xz_size
from zvmcloud.images.diskfile import FBA_BLOCK_BYTES
from zvmcloud.images.formats import Format
from zvmcloud.images.header import FBA_PARTITION_START, MAX_BLK, MAX_CYL, HeaderError, ImageHeader, ImageKind
from zvmcloud.images.ipl import IPL_BYTES, IplRecord
from zvmcloud.images.qcow2 import Hole, Qcow2, Qcow2Error
from zvmcloud.images.tracks import BLOCK_BYTES, CYLINDER_DATA_BYTES

_LIMIT = MAX_BLK * FBA_BLOCK_BYTES
_READ = 1 << 20
_HEAD = cdl.SHORT_BLOCKS * BLOCK_BYTES
_IPL1_KEY = 4

Look = Callable[[int], None]
"""Told how many bytes of the file were read; what it raises ends the work."""


class FactsError(ValueError):
    """The file is no image that any disk can hold. `field` is what is wrong: format, size, tag, unit, hlen, gzip."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Facts:
    """`format` from the outside in ("gzip+raw"); `size` in bytes of the disk inside (0: only its header counts).

    `cylinders` and `blocks` (of 512 bytes) are what it needs on an ECKD and on an FBA disk; None: it does not go onto
    such a disk. `bootable` is None when it cannot be told without laying the image onto a disk.
    """

    format: str
    size: int
    disk_type: str
    cylinders: int | None
    blocks: int | None
    bootable: bool | None


def examine(path: Path, look: Look = lambda _done: None) -> Facts:
    """The facts of a whole image file. Blocking; reads gzip and zstd files to their end. FactsError, OSError."""
    try:
        with path.open("rb") as file:
            return _examine(path, file, look)
    except formats.UnsupportedFormatError as problem:
        raise FactsError("format", str(problem)) from problem
    except (CompressionError, Qcow2Error) as problem:
        raise FactsError("format", str(problem)) from problem
    except HeaderError as problem:
        raise FactsError(problem.field, f"its header is damaged ({problem.field})") from problem


def of_header(found: ImageHeader, outer: str = "") -> Facts:
    """The facts of a connector's image."""
    shape = "+".join(filter(None, (outer, Format.CONNECTOR)))
    if found.kind is ImageKind.CKD:
        return Facts(shape, 0, "ECKD", found.size, None, None)
    if found.kind is ImageKind.FCP_DISK:
        return Facts(shape, 0, "SCSI", None, None, None)
    extra = FBA_PARTITION_START if found.kind is ImageKind.FBA_PARTITION else 0
    return Facts(shape, 0, "FBA", None, found.size + extra, None)


def _examine(path: Path, file: BinaryIO, look: Look) -> Facts:
    first = file.read(_HEAD)
    found = formats.detect(first[: formats.PROBE_BYTES])
    size = file.seek(0, 2)
    if found.codec is not None:
        file.seek(0)
        return _compressed(file, found, found.codec, look)
    if found is Format.CONNECTOR:
        parsed = header.parse(first[: header.PROBE_BYTES])
        if parsed.size and size <= parsed.body_offset:
            raise FactsError("size", f"the file ends with its header ({size} bytes), the disk's content is missing")
        return _not_empty(of_header(parsed))
    if found is Format.QCOW2:
        with Qcow2(path) as image:
            if image.header.size > _LIMIT:
                raise _too_large(image.header.size)
            return _raw(found, _begin(_filled(image.pieces())), image.header.size)
    return _raw(found, first, size)


def _compressed(file: BinaryIO, outer: Format, codec: Codec, look: Look) -> Facts:
    whole = xz_size(file) if codec is Codec.XZ else None
    file.seek(0)
    pieces = _expanded(file, codec, look)
    first = _begin(pieces)
    found = formats.detect(first[: formats.PROBE_BYTES])
    if found.codec is not None or found is Format.QCOW2:
        raise FactsError("format", f"{found} is inside {outer}; expand the {outer} file first")
    if found is Format.CONNECTOR:
        return _not_empty(of_header(header.parse(first[: header.PROBE_BYTES]), outer))
    size = whole
    if size is None:
        size = len(first)
        for piece in pieces:
            size += len(piece)
            if size > _LIMIT:
                raise _too_large(size)
    return _raw(found, first, size, outer)


def _expanded(file: BinaryIO, codec: Codec, look: Look) -> Iterator[bytes]:
    expander = Expander(codec)
    while data := file.read(_READ):
        look(file.tell())
        yield from expander.feed(data)
    expander.close()


def _begin(pieces: Iterator[bytes]) -> bytes:
    """The first _HEAD bytes or more, as far as there are so many."""
    first = b""
    for piece in pieces:
        first += piece
        if len(first) >= _HEAD:
            break
    return first


def _filled(pieces: Iterator[bytes | Hole]) -> Iterator[bytes]:
    """The pieces with (the beginning of) each hole as zeros; only its beginning is ever looked at."""
    for piece in pieces:
        yield bytes(min(piece.length, max(_HEAD, PIECE_BYTES))) if isinstance(piece, Hole) else piece


def _raw(found: Format, first: bytes, size: int, outer: str = "") -> Facts:
    if not size:
        raise FactsError("size", "the image is empty")
    if size > _LIMIT:
        raise _too_large(size)
    if eckd_image.has_table(first):
        try:
            needed = eckd_image.cylinders(eckd_image.parts(first[: eckd_image.HEAD_BYTES], size), size)
        except eckd_image.EckdImageError as problem:
            raise FactsError("format", str(problem)) from problem
        shape = "+".join(filter(None, (outer, found)))
        return Facts(shape, size, "ECKD", needed, -(-size // FBA_BLOCK_BYTES), bootable=None)
    blocks = [first[at : at + BLOCK_BYTES] for at in range(0, _HEAD, BLOCK_BYTES)]
    cylinders: int | None = -(-size // CYLINDER_DATA_BYTES)
    if (cylinders or 0) > MAX_CYL or not all(cdl.keeps(number, block) for number, block in enumerate(blocks)):
        cylinders = None
    labelled = cylinders is not None and cdl.is_volume_label(blocks[2])
    record = IplRecord((first[_IPL1_KEY:] if labelled else first)[:IPL_BYTES])
    bootable = len(record.data) == IPL_BYTES and record.bootable
    if bootable and not labelled:
        cylinders = None
    return Facts(
        format="+".join(filter(None, (outer, found))),
        size=size,
        disk_type="ECKD" if labelled else "FBA" if cylinders is None else "",
        cylinders=cylinders,
        blocks=None if labelled else -(-size // FBA_BLOCK_BYTES),
        bootable=bootable,
    )


def _not_empty(found: Facts) -> Facts:
    if not (found.cylinders or found.blocks or found.disk_type == "SCSI"):
        raise FactsError("size", "the image is empty: its header says 0")
    return found


def _too_large(size: int) -> FactsError:
    return FactsError("size", f"it expands to {size} bytes or more; the largest disk has {_LIMIT}")
