"""The first 512 bytes of an image file: blank-padded ASCII.

    0   "xCAT CKD Disk Image:" | "xCAT FBA Part Image:" | "xCAT FBA Disk Image:" | "xCAT FCP Disk Image:"
    20  size and unit, right-aligned in 16 characters: "        3338 CYL", "      204800 BLK"; room for 12 digits
    36  " HLen: 0055"     absent in version 1 of the form
    47  " GZIP: 6"        0: the body is not compressed; version 1 is always compressed (6)
    55  blanks up to 512

The body starts at byte 512 in the files the connector writes. Files whose body starts right after the text (byte 55,
or byte 36 in version 1) are read as well: the gzip magic, or the blanks, decide. A tag that starts with another
product's name is accepted, as readers in the field do. Source: reference/connector/formats.md 1.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from zvmcloud.images.tracks import MAX_CYLINDERS

HEADER_BYTES = 512
PROBE_BYTES = 514
"""Bytes that `parse` needs to find where the body starts (fewer only if the file is shorter)."""
MAX_CYL = MAX_CYLINDERS
FBA_PARTITION_START = 2048
"""Block of an FBA disk at which the partition of a partition image begins."""
MAX_BLK = 2**31 - 1
GZIP_MAGIC = b"\x1f\x8b"


class ImageKind(StrEnum):
    """What the body holds."""

    CKD = "CKD Disk"
    FBA_PARTITION = "FBA Part"
    FBA_DISK = "FBA Disk"
    FCP_DISK = "FCP Disk"


_UNIT = {kind: "CYL" if kind is ImageKind.CKD else "BLK" for kind in ImageKind}
_TAGS = tuple(f"{kind} Image:".encode() for kind in ImageKind)
_TEXT = re.compile(
    rb"^(?P<product>[ -~]{4}) (?P<kind>CKD Disk|FBA Part|FBA Disk|FCP Disk) Image:"
    rb"(?P<size> *\d{1,12}) (?P<unit>CYL|BLK)(?P<rest>.*)$",
    re.DOTALL,
)
_REST = re.compile(rb"^ HLen: (?P<hlen>\d{4}) GZIP: (?P<gzip>\d)", re.DOTALL)


class HeaderError(ValueError):
    """Not an image file, or a limit broken. `field` is tag, size, unit, hlen or gzip."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(f"image header, {field}: {message}")


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """`size` counts cylinders (CKD) or 512-byte blocks (FBA). `gzip_level` 0 means not compressed."""

    kind: ImageKind
    size: int
    gzip_level: int = 6
    version: int = 2
    body_offset: int = HEADER_BYTES

    @property
    def unit(self) -> str:
        """CYL or BLK."""
        return _UNIT[self.kind]

    @property
    def disk_size_units(self) -> str:
        """`3338:CYL`, the connector's way to write the size."""
        return f"{self.size}:{self.unit}"


def looks_like_image(first: bytes) -> bool:
    """Whether the file starts like an image with a header (it may still be damaged)."""
    return first[4:5] == b" " and first[5:20] in _TAGS


def parse(first: bytes) -> ImageHeader:
    """Read the header from the first PROBE_BYTES bytes of a file. HeaderError names the field at fault."""
    found = _TEXT.match(first[:36])
    if not found:
        if not looks_like_image(first):
            raise HeaderError("tag", f"starts with {first[:20]!r}, not with a CKD or FBA disk image tag")
        raise HeaderError("size", f"expected a number with CYL or BLK in bytes 20 to 35, found {first[20:36]!r}")
    kind = ImageKind(found["kind"].decode())
    unit = found["unit"].decode()
    if unit != _UNIT[kind]:
        raise HeaderError("unit", f"{unit} does not go with {kind}; expected {_UNIT[kind]}")
    size, limit = int(found["size"]), MAX_CYL if unit == "CYL" else MAX_BLK
    if size > limit:
        raise HeaderError("size", f"{size} {unit}, limit {limit}")
    rest = first[36:HEADER_BYTES]
    second = _REST.match(rest)
    if second:
        hlen, gzip_level = int(second["hlen"]), int(second["gzip"])
        if hlen > HEADER_BYTES:
            raise HeaderError("hlen", f"{hlen}, limit {HEADER_BYTES}")
        if hlen < 55:
            raise HeaderError("hlen", f"{hlen}, at least 55")
        version = 2
    elif rest[:6] == b" HLen:":
        raise HeaderError("hlen", f"expected `HLen: nnnn GZIP: n`, found {rest[:19]!r}")
    else:
        hlen, gzip_level, version = 36, 6, 1
    return ImageHeader(kind, size, gzip_level, version, _body_offset(first, hlen, gzip_level))


def _body_offset(first: bytes, hlen: int, gzip_level: int) -> int:
    padded = not first[hlen:HEADER_BYTES].strip(b" ")
    if gzip_level and first[hlen : hlen + 2] == GZIP_MAGIC:
        return hlen
    if padded:
        return min(HEADER_BYTES, len(first))
    if gzip_level:
        raise HeaderError("hlen", f"neither blanks nor a gzip body follow the header text at byte {hlen}")
    return hlen


def render(header: ImageHeader) -> bytes:
    """The 512 bytes, always version 2. HeaderError when a limit is broken."""
    limit = MAX_CYL if header.unit == "CYL" else MAX_BLK
    if not 0 <= header.size <= limit:
        raise HeaderError("size", f"{header.size} {header.unit}, limit {limit}")
    if not 0 <= header.gzip_level <= 9:
        raise HeaderError("gzip", f"level {header.gzip_level} is outside 0 to 9")
    size = f"{header.size} {header.unit}"
    text = f"xCAT {header.kind} Image:{size:>16} HLen: 0055 GZIP: {header.gzip_level}"
    return text.encode().ljust(HEADER_BYTES)
