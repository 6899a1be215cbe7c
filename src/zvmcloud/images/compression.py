"""Compressed streams, taken apart in bounded pieces: gzip, xz and zstd.

A stream is one or more members (gzip), streams (xz) or frames (zstd), with zeros allowed behind them. Whatever the
stream claims, `feed` gives at most PIECE_BYTES at a time, so its caller can stop a stream that never ends; windows and
dictionaries of more than WINDOW_BYTES are refused, so memory is bounded as well.

Sizes that can be known before anything is expanded: a zstd frame may name its content (`zstd_size`), an xz file has an
index at its end (`xz_size`), and the last four bytes of a gzip file are the least it can hold (`gzip_size`).
"""

from __future__ import annotations

import lzma
import struct
import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from enum import StrEnum
from typing import BinaryIO, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 1024 * 1024
WINDOW_BYTES = 64 * 1024 * 1024
"""Largest window (zstd) or dictionary (xz): what `xz -9` needs, and zstd up to level 21."""
_XZ_MEMORY = WINDOW_BYTES + 2 * 1024 * 1024
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_FRAME_HEADER = 18
_GZIP_WINDOW = 31
_XZ_FOOTER, _XZ_HEADER = 12, 12
XZ_INDEX_BYTES = 16 * 1024 * 1024
"""Largest index of an xz stream that is looked at: some two million blocks."""
GZIP_SIZE_BYTES = 4
"""Bytes at the end of a gzip file that hold a size."""


class Codec(StrEnum):
    """How a stream is compressed."""

    GZIP = "gzip"
    XZ = "xz"
    ZSTD = "zstd"


MAGIC = {Codec.GZIP: b"\x1f\x8b", Codec.XZ: b"\xfd7zXZ\x00", Codec.ZSTD: _ZSTD_MAGIC}


class CompressionError(ValueError):
    """The stream is damaged, ends early, or needs more memory than WINDOW_BYTES."""


class _Engine(Protocol):
    """What the standard library's decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes: ...


class _Zlib:
    """zlib's decompressor with the interface of the others."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP_WINDOW)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes:
        out = self._inflate.decompress(self._inflate.unconsumed_tail + data, max(max_length, 0))
        # A full piece may leave output inside zlib although all input was taken.
        self.needs_input = not self._inflate.unconsumed_tail and len(out) < max_length
        return out


def _new_zstd() -> _Engine:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_BYTES.bit_length() - 1})


_ENGINES: dict[Codec, Callable[[], _Engine]] = {
    Codec.GZIP: _Zlib,
    Codec.XZ: lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
    Codec.ZSTD: _new_zstd,
}


class Expander:
    """One compressed stream. `feed` its bytes in any pieces, then `close`."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self._engine: _Engine | None = None
        self._held = b""
        self._members = 0
        self._ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes expand to, in pieces of at most PIECE_BYTES. CompressionError at damage."""
        try:
            yield from self._feed(data)
        except (zlib.error, lzma.LZMAError, zstd.ZstdError, EOFError) as problem:
            text = str(problem)
            if "emory" in text:
                raise CompressionError(
                    f"the {self.codec} stream needs a window of more than {WINDOW_BYTES >> 20} MiB to be expanded"
                ) from problem
            raise CompressionError(f"the {self.codec} stream is damaged ({text})") from problem

    def _feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._engine is None:
                data = self._held + data
                self._held = b""
                if not self._begin(data):
                    return
            engine = self._engine
            if engine is None:
                raise AssertionError("a member was begun")
            piece = engine.decompress(data, PIECE_BYTES)
            while piece or not (engine.needs_input or engine.eof):
                if piece:
                    yield piece
                if engine.eof:
                    break
                piece = b"" if engine.needs_input else engine.decompress(b"", PIECE_BYTES)
            if not engine.eof:
                return
            data, self._engine = engine.unused_data, None

    def _begin(self, data: bytes) -> bool:
        """Start the next member; False when more bytes are needed to see whether there is one."""
        magic = MAGIC[self.codec]
        if self._members and not data.strip(b"\0"):
            self._ended = True  # padding
            return False
        if not self._ended and len(data) < len(magic):
            self._held = data
            return False
        if self._ended or not (data.startswith(magic) or (self.codec is Codec.ZSTD and _skippable(data))):
            raise CompressionError(f"bytes that are no {self.codec} follow the end of the {self.codec} stream")
        self._engine = _ENGINES[self.codec]()
        self._members += 1
        return True

    def close(self) -> None:
        """The stream is complete. CompressionError when it ends early."""
        if self._engine is not None or self._held.strip(b"\0") or not self._members:
            raise CompressionError(f"the {self.codec} stream ends early")


def _skippable(data: bytes) -> bool:
    return data[1:4] == b"\x2a\x4d\x18" and data[0] & 0xF0 == 0x50


class Packer(Protocol):
    """A compressor: what it gives for each piece, and at the end."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def packer(codec: Codec, level: int) -> Packer:
    """A compressor. Levels: gzip 1 to 9, zstd 1 to 19. ValueError for another codec."""
    if codec is Codec.GZIP:
        return zlib.compressobj(level, zlib.DEFLATED, _GZIP_WINDOW)
    if codec is Codec.ZSTD:
        return zstd.ZstdCompressor(level)
    raise ValueError(f"images are not packed with {codec}")


def expand_cluster(data: bytes, size: int, *, zstandard: bool) -> bytes:
    """The first `size` bytes of a raw deflate stream or a zstd frame, what follows it ignored. CompressionError."""
    try:
        if zstandard:
            return _new_zstd().decompress(data, size)
        return zlib.decompressobj(-15).decompress(data, size)
    except (zlib.error, zstd.ZstdError) as problem:
        raise CompressionError(str(problem)) from problem


def zstd_size(first: bytes) -> int | None:
    """What the first frame expands to, when its header says so. Other frames may follow, so it is a least size."""
    try:
        return zstd.get_frame_info(first[:_FRAME_HEADER]).decompressed_size
    except zstd.ZstdError:
        return None


def gzip_size(end: bytes) -> int:
    """The least that a gzip file expands to, from its last GZIP_SIZE_BYTES bytes: the length of its last member modulo
    2**32. Source: RFC 1952, ISIZE."""
    return int.from_bytes(end[-GZIP_SIZE_BYTES:], "little")


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A multibyte integer of the xz format at an offset: (value, next offset)."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("number too long")


XzParts = Generator[tuple[int, int], bytes, int | None]


def xz_parts(end: int) -> XzParts:
    """Finds out what an xz file of `end` bytes expands to, wherever it is: yields the (offset, length) of a part that
    it wants to see and is sent those bytes; returns the size, or None when the file is damaged.

    Two parts for each stream, and most files have one. Source: the .xz file format 1.2, sections 2.1.2 (stream footer)
    and 4 (index).
    """
    total = 0
    try:
        while end:
            footer = yield end - _XZ_FOOTER, _XZ_FOOTER
            if footer[8:] == bytes(4):  # stream padding
                end -= 4
                continue
            backward = (struct.unpack_from("<I", footer, 4)[0] + 1) * 4
            if footer[10:] != b"YZ" or backward > XZ_INDEX_BYTES or backward > end - 2 * _XZ_FOOTER:
                return None
            index = yield end - _XZ_FOOTER - backward, backward
            count, at = _number(index, 1)
            blocks = 0
            for _ in range(count):
                unpadded, at = _number(index, at)
                size, at = _number(index, at)
                blocks += unpadded + -unpadded % 4
                total += size
            end -= _XZ_FOOTER + backward + blocks + _XZ_HEADER
            if end < 0:
                return None
    except (ValueError, IndexError, struct.error):
        return None
    return total


def xz_size(file: BinaryIO) -> int | None:
    """What a complete xz file expands to, from the index of each of its streams; None when the file is damaged."""
    parts = xz_parts(file.seek(0, 2))
    try:
        offset, length = next(parts)
        while True:
            if offset < 0:
                return None
            file.seek(offset)
            offset, length = parts.send(file.read(length))
    except StopIteration as over:
        return None if over.value is None else int(over.value)
