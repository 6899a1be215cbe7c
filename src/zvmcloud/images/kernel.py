"""The kernel of Linux on Z as a file that can be loaded from the reader: recognised, and a sample of one.

    0x00000   24   PSW and two channel programs' words, what an IPL loads first
    0x10008    6   "S390EP": the file is a kernel image of 64-bit Linux
    0x10428    8   address of the text of the kernel's release
    0x10430    8   most bytes of the command line (0 in old kernels: 896)

Source: arch/s390/boot/head.S and arch/s390/include/asm/setup.h of the Linux kernel. A kernel that is loaded this way
reads two more files from the reader: its command line (EBCDIC or ASCII) and its initial file system.
"""

from __future__ import annotations

import lzma
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from zvmcloud.images import cpio
from zvmcloud.images.ipl import IPL_BYTES, IplRecord

_MARK_AT, _MARK = 0x10008, b"S390EP"
_VERSION_AT, _LENGTH_AT, _LINE_AT = 0x10428, 0x10430, 0x10480
_OLD_LENGTH = 896
_MAX_LENGTH = 65536
#: An initial file system is unpacked up to this many bytes.
MAX_ARCHIVE = 256 << 20
_TEXT = re.compile(rb"[\x20-\x7e]{1,200}")
_BANNER = re.compile(rb"Linux version ([\x21-\x7e]{1,100})")


@dataclass(frozen=True, slots=True)
class Kernel:
    """What a kernel image says about itself. `release` is empty when it does not say; `line` bytes of command line."""

    release: str
    line: int


def read(data: bytes) -> Kernel | None:
    """The kernel in a file; None when the file is no kernel image, or its first record starts nothing."""
    return loaded(data) if IplRecord(data[:IPL_BYTES].ljust(IPL_BYTES, b"\0")).bootable else None


def loaded(data: bytes) -> Kernel | None:
    """The same of storage from address 0 on into which a loader brought a kernel, which needs no first record."""
    if len(data) < _LINE_AT or data[_MARK_AT : _MARK_AT + len(_MARK)] != _MARK:
        return None
    address = int.from_bytes(data[_VERSION_AT : _VERSION_AT + 8], "big")
    found = _TEXT.match(data, address) if 0 < address < len(data) else None
    banner = _BANNER.search(data)
    release = found[0].split()[0] if found and found[0].split() else banner[1] if banner else b""
    length = int.from_bytes(data[_LENGTH_AT : _LENGTH_AT + 8], "big") or _OLD_LENGTH
    return Kernel(release.decode("ascii"), min(length, _MAX_LENGTH))


def command_line(data: bytes, limit: int = _OLD_LENGTH) -> str:
    """The text of a parm file: EBCDIC or ASCII, its records joined, cut at the kernel's limit."""
    text = data.rstrip(b"\0")
    # Letters and digits of EBCDIC are above 0x80, those of ASCII below.
    high = sum(byte >= 0x80 for byte in text)
    decoded = text.decode("cp037" if high * 2 > len(text.replace(b"\x40", b"")) else "ascii", "replace")
    return " ".join(decoded.split())[:limit]


def initial_files(data: bytes) -> dict[str, bytes]:
    """The files of an initial file system: a newc archive, plain or compressed by gzip or xz. Empty when it is none,
    or is damaged: a kernel goes on without, and says so."""
    try:
        if data[:2] == b"\x1f\x8b":
            unpack = zlib.decompressobj(31)
            data = unpack.decompress(data, MAX_ARCHIVE)
        elif data[:6] == b"\xfd7zXZ\0":
            data = lzma.LZMADecompressor().decompress(data, MAX_ARCHIVE)
        return {item.name.lstrip("./"): item.data for item in cpio.read(data) if item.is_file}
    except (zlib.error, lzma.LZMAError, cpio.CpioError, EOFError):
        return {}


def sample(release: str = "6.6.0-zvmcloud.1.s390x", *, bytes_: int = 0x12000) -> bytes:
    """A file of the form of a kernel image, made by us: it holds what `read` reads, and no instructions of a kernel."""
    image = bytearray(max(bytes_, _LINE_AT + 4096))
    image[:IPL_BYTES] = bytes.fromhex("000800008001000002000018600000500200006860000050")
    image[_MARK_AT : _MARK_AT + len(_MARK)] = _MARK
    text = release.encode() + b" (zvmcloud) #1 SMP"
    image[_LINE_AT + 1024 : _LINE_AT + 1024 + len(text)] = text
    image[_VERSION_AT : _VERSION_AT + 8] = (_LINE_AT + 1024).to_bytes(8, "big")
    image[_LENGTH_AT : _LENGTH_AT + 8] = (4096).to_bytes(8, "big")
    return bytes(image)


def sample_initial(files: Mapping[str, bytes]) -> bytes:
    """An initial file system with these files, compressed by gzip; the same files give the same bytes."""
    compress = zlib.compressobj(6, zlib.DEFLATED, 31)
    return compress.compress(cpio.write(files)) + compress.flush()
