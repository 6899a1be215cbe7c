"""What an image file is, from its first bytes. Names and extensions are not asked: they lie too often.

    "xCAT CKD Disk Image:" and its kin   an image file of the connector (`images.header`)
    1F 8B | FD "7zXZ" 00 | 28 B5 2F FD   gzip, xz, zstd (`images.compression`): what is inside is looked at again
    "QFI" FB                             qcow2 (`images.qcow2`)
    anything else                        raw: the bytes of a disk from its first one on

Files that are certainly something else are refused by name, so that nobody boots an archive.
"""

from __future__ import annotations

from enum import StrEnum

from zvmcloud.images.compression import MAGIC, Codec
from zvmcloud.images.header import looks_like_image

PROBE_BYTES = 514
"""Bytes that `detect` wants to see (fewer only if the file is shorter)."""


class Format(StrEnum):
    """What an image file, or what is inside a compressed one, is."""

    RAW = "raw"
    QCOW2 = "qcow2"
    CONNECTOR = "connector"
    GZIP = "gzip"
    XZ = "xz"
    ZSTD = "zstd"

    @property
    def codec(self) -> Codec | None:
        """How it is compressed, if it is."""
        return Codec(self) if self in (Format.GZIP, Format.XZ, Format.ZSTD) else None


class UnsupportedFormatError(ValueError):
    """The file is of a known kind that is no disk image here."""


_REFUSED = {
    b"KDMV": "a VMDK disk",
    b"vhdxfile": "a VHDX disk",
    b"conectix": "a VHD disk",
    b"<<< Oracle VM VirtualBox": "a VDI disk",
    b"BZh": "bzip2",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"<!DOCTYPE": "an HTML page",
    b"<html": "an HTML page",
}
_CODECS = ((Codec.GZIP, Format.GZIP), (Codec.XZ, Format.XZ), (Codec.ZSTD, Format.ZSTD))


def detect(first: bytes) -> Format:
    """The format of a file that begins so. UnsupportedFormatError for a file that is certainly no disk image."""
    if looks_like_image(first):
        return Format.CONNECTOR
    for codec, found in _CODECS:
        if first.startswith(MAGIC[codec]):
            return found
    if first.startswith(b"QFI\xfb"):
        return Format.QCOW2
    for magic, what in _REFUSED.items():
        if first.startswith(magic):
            raise UnsupportedFormatError(f"the file is {what}")
    return Format.RAW
