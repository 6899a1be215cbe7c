"""Does an image go onto a disk? What its first bytes and the disk's size tell, before the disk is touched.

Sizes: an ECKD cylinder holds 737,280 bytes of raw data (15 tracks of twelve 4096-byte blocks), a block of an FBA or
SCSI disk 512. A connector's image counts in the unit of its header; a partition image needs 2048 blocks more.
"""

from __future__ import annotations

from zvmcloud.images import formats, header
from zvmcloud.images.compression import Codec, CompressionError, Expander, zstd_size
from zvmcloud.images.diskfile import FBA_BLOCK_BYTES
from zvmcloud.images.formats import Format
from zvmcloud.images.header import FBA_PARTITION_START, HeaderError, ImageHeader, ImageKind
from zvmcloud.images.qcow2 import Qcow2Error
from zvmcloud.images.qcow2 import parse_header as parse_qcow2
from zvmcloud.images.tracks import CYLINDER_DATA_BYTES
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.image_errors import ImageError, too_large

_FITS = {ImageKind.CKD: "ECKD", ImageKind.FBA_DISK: "FBA", ImageKind.FBA_PARTITION: "FBA", ImageKind.FCP_DISK: "SCSI"}


def detect(first: bytes, outer: Format | None = None, declared: str = "") -> Format:
    """What begins so, inside of `outer`. A file that is declared raw is raw, whatever its bytes look like: they are
    somebody's disk. ImageError `image-format`."""
    if declared == Format.RAW and outer is None:
        return Format.RAW
    try:
        found = formats.detect(first)
    except formats.UnsupportedFormatError as problem:
        raise ImageError(str(problem), "image-format", "see docs/reference/images.md for the formats") from problem
    if outer is not None and (found.codec is not None or found is Format.QCOW2):
        raise ImageError(f"{found} is inside {outer}", "image-format", f"expand the {outer} file first")
    if outer is None and declared and found != declared:
        raise ImageError(f"the image is {found}, {declared} was expected", "image-format", "say what it is")
    return found


def parse_header(first: bytes) -> ImageHeader:
    """The connector's header. ImageError `image-header`."""
    try:
        return header.parse(first[: header.PROBE_BYTES])
    except HeaderError as problem:
        raise ImageError(str(problem), "image-header") from problem


def check_header(found: ImageHeader, kind: str, disk_units: int) -> None:
    """ImageError `image-empty`; AgentError 409 `image-kind-mismatch`, `image-too-large`."""
    if found.size == 0:
        raise ImageError("the image is empty: its header says 0 " + found.unit, "image-empty")
    if _FITS[found.kind] != kind:
        raise AgentError(
            409, "image-kind-mismatch", f"a {found.kind} image does not go onto an {kind} disk",
            remedy="deploy it to a disk of the image's kind",
        )  # fmt: skip
    reserved = FBA_PARTITION_START if found.kind is ImageKind.FBA_PARTITION else 0
    if found.size > disk_units - reserved:
        raise too_large(f"{found.size} {found.unit}", disk_units - reserved, found.unit, found.size + reserved)


def check_bytes(size: int, kind: str, disk_units: int) -> int:
    """The cylinders or blocks that so many raw bytes need. AgentError 409 `image-too-large`."""
    unit_bytes, unit = (CYLINDER_DATA_BYTES, "CYL") if kind == "ECKD" else (FBA_BLOCK_BYTES, "BLK")
    needed = -(-size // unit_bytes)
    if needed > disk_units:
        raise too_large(f"{size} bytes ({needed} {unit})", disk_units, unit, needed)
    return needed


def check(
    first: bytes, kind: str, disk_units: int, *, file_bytes: int, expanded_bytes: int, declared: str = ""
) -> None:
    """All that can be known: `first` are the file's first bytes (formats.PROBE_BYTES at least, or all of it)."""
    found, size = detect(first, declared=declared), file_bytes
    if found.codec is not None:
        size = max(expanded_bytes, (zstd_size(first) or 0) if found.codec is Codec.ZSTD else 0)
        outer, first = found, _begin(first, found.codec)
        found = detect(first, outer)
    if found is Format.CONNECTOR:
        check_header(parse_header(first), kind, disk_units)
    elif found is Format.QCOW2:
        try:
            check_bytes(parse_qcow2(first).size, kind, disk_units)
        except Qcow2Error as problem:
            raise ImageError(str(problem), "image-header") from problem
    else:
        check_bytes(size, kind, disk_units)


def _begin(first: bytes, codec: Codec) -> bytes:
    """The first bytes inside a compressed file, as far as they can be expanded."""
    out = b""
    try:
        for piece in Expander(codec).feed(first):
            out += piece
            if len(out) >= formats.PROBE_BYTES:
                break
    except CompressionError as problem:
        raise ImageError(str(problem)) from problem
    return out
