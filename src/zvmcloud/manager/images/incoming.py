"""Bytes that come in: written down, made durable, and digested on the way."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from zvmcloud.images import header
from zvmcloud.manager.confined import Confined
from zvmcloud.manager.downloads import Limits, download
from zvmcloud.manager.errors import ImageUnusable

_CHUNK = 1 << 20

_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Digest:
    """What came in: digests in hexadecimal, the first bytes, and the length in bytes."""

    sha256: str
    md5: str
    first: bytes
    length: int


class _Digester:
    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._bytes = 0
        self._first = b""

    def update(self, data: bytes) -> None:
        self._sha256.update(data)
        self._md5.update(data)
        self._bytes += len(data)
        if len(self._first) < header.PROBE_BYTES:
            self._first = (self._first + data)[: header.PROBE_BYTES]

    def digest(self) -> Digest:
        return Digest(self._sha256.hexdigest(), self._md5.hexdigest(), self._first, self._bytes)


def copy_file(source: Confined, target: Path) -> Digest:
    """Copy a file of this machine. Blocking. Raises ImageUnusable (file-unreadable)."""
    digester = _Digester()
    try:
        with source.open() as reader, target.open("xb") as writer:
            while data := reader.read(_CHUNK):
                digester.update(data)
                writer.write(data)
            writer.flush()
            os.fsync(writer.fileno())
    except OSError as error:
        raise storage_error(error) from error
    return digester.digest()


async def fetch(url: str, target: Path, limits: Limits) -> Digest:
    """Copy what is behind an http or https URL. Raises what a download raises, ImageUnusable (file-unreadable)."""
    digester = _Digester()
    try:
        with await asyncio.to_thread(target.open, "xb") as writer:

            def flush(data: bytes) -> None:
                digester.update(data)
                writer.write(data)

            async def write(data: bytes) -> None:
                await asyncio.to_thread(flush, data)

            await download(url, limits, write)
    except OSError as error:
        raise storage_error(error) from error
    return digester.digest()


async def store(pieces: AsyncIterator[bytes], target: Path) -> Digest:
    """Write the pieces and make them durable. OSError when the disk refuses."""
    digester = _Digester()
    buffer = bytearray()

    def flush(file: BinaryIO, data: bytes) -> None:
        digester.update(data)
        file.write(data)

    with await asyncio.to_thread(target.open, "xb") as writer:
        async for piece in pieces:
            buffer += piece
            if len(buffer) >= _CHUNK:
                await asyncio.to_thread(flush, writer, bytes(buffer))
                buffer.clear()
        await asyncio.to_thread(flush, writer, bytes(buffer))
        await asyncio.to_thread(writer.flush)
        await asyncio.to_thread(os.fsync, writer.fileno())
    return digester.digest()


def storage_error(error: OSError) -> ImageUnusable:
    """What the storage refused, as an error for clients."""
    full = error.errno in _FULL
    reason = "the manager's disk is full" if full else (error.strerror or "input/output error")
    failure = ImageUnusable(
        f"cannot copy the image: {reason}",
        code="file-unreadable",
        remedy="delete images that are not needed (zvm image prune), or enlarge the file system" if full else "",
        subject=str(error.filename or ""),
    )
    failure.status = 507 if full else 500
    return failure


def length_of(file: Path) -> int:
    """Bytes of a file; 0 when there is none. Blocking."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write to an unbuffered file; OSError leaves a beginning of the data in it. Blocking."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
