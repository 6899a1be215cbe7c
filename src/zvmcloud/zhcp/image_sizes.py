"""How large an image is, as far as that can be known before its first byte is written.

A file that is here: its size, and what its end says of what it expands to (gzip: the last member's length modulo 2**32;
xz: its index). A file on a server: what a request for its last four bytes tells, when the server answers ranges.
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


async def sizes(fetched: Fetched, source: ImageSource, first: bytes) -> tuple[int, int]:
    """(the file's size, the least it expands to), 0 for what is not known. `first`: its first bytes.

    ImageError `image-truncated` when the size is another than the source says.
    """
    found = _format(first)
    if fetched.file is not None:
        size, expanded = await asyncio.to_thread(_of_file, fetched.file, found)
    elif source.bytes and found is not Format.GZIP:
        return source.bytes, 0
    else:
        end, size = await sources.end_of(source, compression.GZIP_SIZE_BYTES)
        expanded = compression.gzip_size(end) if found is Format.GZIP and end else 0
    if source.bytes and size and size != source.bytes:
        raise ImageError(f"the image has {size} bytes, {source.bytes} were expected", "image-truncated")
    return size or source.bytes, expanded


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
