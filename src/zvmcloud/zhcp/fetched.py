"""Images that can be read, from wherever they are: what the image cache gives, and two kinds that it does not keep."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Protocol

from zvmcloud.zhcp import sources
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.image_errors import digest_mismatch
from zvmcloud.zhcp.image_messages import ImageSource
from zvmcloud.zhcp.sources import Digest, HttpFile, Trust


class Fetched(Protocol):
    """An image that can be read."""

    @property
    def file(self) -> Path | None:
        """The whole file, when it is here already."""

    @property
    def compared(self) -> bool:
        """Whether its digest is compared here: then `pieces` ends only when it is right."""

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """Its bytes from the first on, as they arrive. AgentError as `sources`, and 507 `cache-full`."""

    async def whole(self) -> Path:
        """The whole file, its digest compared, once it is here. AgentError, also 507 `cache-full`."""


class LocalImage:
    """A file below one of the image folders."""

    compared = False

    def __init__(self, path: Path, digest: Digest) -> None:
        self.file: Path | None = path
        self._path = path
        self._digest = digest

    def pieces(self) -> AsyncGenerator[bytes, None]:
        return sources.file_pieces(self._path)

    async def whole(self) -> Path:
        found = await asyncio.to_thread(hash_file, self._path, self._digest.algorithm)
        if found != self._digest.hex:
            raise digest_mismatch(self._digest, found)
        return self._path


class PassedImage:
    """An image that has no room in the cache."""

    compared = False
    file: Path | None = None

    def __init__(self, source: ImageSource, trust: Trust = None) -> None:
        self._source = source
        self._trust = trust

    def pieces(self) -> AsyncGenerator[bytes, None]:
        return HttpFile(self._source.url, self._source.headers, trust=self._trust).pieces()

    async def whole(self) -> Path:
        raise cache_full("this image has to be read here and there, and the image cache has no room for it")


def hash_file(path: Path, algorithm: str) -> str:
    """The hexadecimal digest of a file; blocking."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def cache_full(detail: str) -> AgentError:
    """507 `cache-full`."""
    return AgentError(
        507, "cache-full", detail, remedy="raise storage.cache_mb, or free space where the agent's state folder is"
    )
