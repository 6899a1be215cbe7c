"""How large an image is, as far as that can be known before its first byte is written.

A file that is here: its size, and what its end says of what it expands to (gzip: the last member's length modulo 2**32;
xz: its index). A file on a server: the same, when the server answers requests for parts.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from zvmcloud.images import compression, formats
from zvmcloud.images.formats import Format
from zvmcloud.zhcp import sources
from zvmcloud.zhcp.fetched import Fetched
from zvmcloud.zhcp.image_errors import ImageError
from zvmcloud.zhcp.image_messages import ImageSource

_MOST_PARTS = 32


async def sizes(fetched: Fetched, source: ImageSource, first: bytes, trust: sources.Trust = None) -> tuple[int, int]:
    """(the file's size, the least it expands to), 0 for what is not known. `first`: its first bytes.

    ImageError `image-truncated` when the size is another than the source says.
    """
    found = Format.RAW if source.format == Format.RAW else _format(first)
    if fetched.file is not None:
        size, expanded = await asyncio.to_thread(_of_file, fetched.file, found)
    elif source.bytes and found not in (Format.GZIP, Format.XZ):
        return source.bytes, 0
    else:
        end, size = await sources.end_of(source, compression.GZIP_SIZE_BYTES, trust)
        expanded = 0
        if found is Format.GZIP and end:
            expanded = compression.gzip_size(end)
        elif found is Format.XZ and size:
            expanded = await _xz_of_server(source, size, trust)
    if source.bytes and size and size != source.bytes:
        raise ImageError(f"the image has {size} bytes, {source.bytes} were expected", "image-truncated")
    return size or source.bytes, expanded


async def _xz_of_server(source: ImageSource, size: int, trust: sources.Trust) -> int:
    """What an xz file on a server expands to, from its indexes; 0 when it is damaged, has too many streams, or the
    server does not tell."""
    parts = compression.xz_parts(size)
    try:
        offset, length = next(parts)
        for _ in range(_MOST_PARTS):
            data = await sources.part_of(source, offset, length, trust) if offset >= 0 else b""
            if not data:
                return 0
            offset, length = parts.send(data)
    except StopIteration as over:
        return over.value or 0
    return 0


def _format(first: bytes) -> Format | None:
    try:
        return formats.detect(first)
    except formats.UnsupportedFormatError:
        return None  # the writer says so


def _of_file(file: Path, found: Format | None) -> tuple[int, int]:
    with file.open("rb") as opened:
        size = opened.seek(0, 2)
        if found is Format.XZ:
            return size, compression.xz_size(opened) or 0
        if found is Format.GZIP:
            opened.seek(-min(size, compression.GZIP_SIZE_BYTES), 2)
            return size, compression.gzip_size(opened.read())
    return size, 0
