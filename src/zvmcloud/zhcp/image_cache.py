"""Images this agent has fetched, by digest, in a folder of limited size.

    sha256-<hex>           a whole image; its time of change is when it was last used
    sha256-<hex>.partial   one that is being fetched, or whose fetching was cut off
    sha256-<hex>.etag      the strong ETag of the partial one: fetching goes on at its last byte, if that still holds

Whoever wants an image that is being fetched reads along with the one transfer; the last who goes away ends it, and
the part that arrived is kept. Before one is fetched the least recently used make room, never those in use; an image
that has no room is streamed past the cache. A file is hashed once before its first use after a start: a damaged one is
fetched again.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import logging
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from zvmcloud.zhcp import sources
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.fetched import Fetched, LocalImage, PassedImage, cache_full, hash_file
from zvmcloud.zhcp.image_errors import digest_mismatch
from zvmcloud.zhcp.image_messages import ImageSource
from zvmcloud.zhcp.joining import to_its_end
from zvmcloud.zhcp.sources import PIECE, Digest, HttpFile

_RESERVE = 256 * 1024 * 1024
"""How much room is made at a time for a file whose size is not known."""
_NAME = re.compile(r"(sha256|sha512|md5)-[0-9a-f]{32,128}")
log = logging.getLogger(__name__)


class _Entry:
    """An image in use: one that is there, or one that is being fetched. It is finished when its digest is right."""

    compared = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.etag = path.with_name(path.name + ".etag")
        self.users = 0
        self.reserved = 0
        self.done = 0
        self.started = 0
        """How often fetching began at the first byte again: whoever read along is lost then."""
        self.finished = False
        self.moving = False
        self.problem: BaseException | None = None
        self.task: asyncio.Task[None] | None = None
        self.changed = asyncio.Condition()
        self.turn = asyncio.Lock()

    @property
    def file(self) -> Path | None:
        return self.path if self.finished else None

    async def wait(self, beyond: int) -> int:
        """Wait for bytes beyond a count; how many there are then. The problem of the transfer when it failed."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.finished or self.problem or self.done > beyond)
        if self.problem is not None and self.done <= beyond:
            raise self.problem
        return self.done

    async def tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        there = await self.wait(0)
        at, begun = 0, self.started
        file = await asyncio.to_thread((self.path if self.finished else self.partial).open, "rb")
        try:
            while True:
                while at < there:
                    piece = await to_its_end(asyncio.to_thread(file.read, min(PIECE, there - at)))
                    if self.started != begun or not piece:
                        raise AgentError(502, "source-changed", "the image changed on its server", retryable=True)
                    at += len(piece)
                    yield piece
                if self.finished and at >= self.done:
                    return
                there = await self.wait(at)
        finally:
            file.close()

    async def whole(self) -> Path:
        async with self.changed:
            await self.changed.wait_for(lambda: self.finished or self.problem)
        if self.problem is not None:
            raise self.problem
        return self.path


class ImageCache:
    """The images of one agent. `limit` in bytes; 0: nothing is kept."""

    def __init__(self, folder: Path, limit: int, trust: sources.Trust = None) -> None:
        """``trust``: whom to believe of servers that images come from; None: public authorities."""
        self._folder = folder
        self.trust = trust
        self._limit = limit
        self._entries: dict[str, _Entry] = {}
        self._verified: set[str] = set()
        self._making_room = asyncio.Lock()

    @property
    def limit(self) -> int:
        """In bytes; 0: nothing is kept."""
        return self._limit

    @property
    def in_use(self) -> frozenset[str]:
        """Names of images that operations have now."""
        return frozenset(self._entries)

    def files(self) -> list[Path]:
        """Images and parts of images that are here."""
        found = self._folder.iterdir() if self._folder.is_dir() else iter(())
        return [
            path for path in found if path.suffix != ".etag" and _NAME.fullmatch(path.name.removesuffix(".partial"))
        ]

    def delete(self, name: str) -> int:
        """Delete an image that is not in use; the bytes that are free now."""
        path = self._folder / name
        freed = 0
        for file in (path, path.with_name(f"{name}.partial")):
            if file.exists():
                freed += file.stat().st_size
                file.unlink()
        path.with_name(f"{name}.etag").unlink(missing_ok=True)
        self._verified.discard(name)
        return freed

    @asynccontextmanager
    async def use(self, source: ImageSource, folders: tuple[Path, ...]) -> AsyncIterator[Fetched]:
        """The image for the time of the block. FieldError, AgentError 404 `image-missing`."""
        digest = sources.digest_of(source)
        path = await asyncio.to_thread(sources.check, source.url, folders)
        if path is not None:
            yield LocalImage(path, digest)
            return
        name = f"{digest.algorithm}-{digest.hex}"
        entry = self._entries.setdefault(name, _Entry(self._folder / name))
        entry.users += 1
        try:
            async with entry.turn:
                here = await self._ready(entry, source, digest)
            yield entry if here else PassedImage(source, self.trust)
        finally:
            entry.users -= 1
            if not entry.users:
                del self._entries[name]
                await to_its_end(_end(entry))

    async def _ready(self, entry: _Entry, source: ImageSource, digest: Digest) -> bool:
        """See that the image is here or on its way; False when there is no room for it."""
        if entry.finished or (entry.task is not None and entry.problem is None):
            return True
        if await to_its_end(asyncio.to_thread(self._usable, entry.path, digest)):
            entry.done = await asyncio.to_thread(_touched, entry.path)
            entry.finished = True
            return True
        if not await self._room(entry, max(source.bytes, 1)):
            return False
        entry.problem = None
        entry.task = asyncio.create_task(self._fetch(entry, source, digest), name=f"fetch {digest}")
        return True

    async def moved(self, source: ImageSource) -> None:
        """The image is to be had elsewhere now: what is under way goes on there, from the byte that it has reached."""
        digest = sources.digest_of(source)
        entry = self._entries.get(f"{digest.algorithm}-{digest.hex}")
        if entry is None or not source.url.startswith(("http://", "https://")):
            return
        async with entry.turn:
            before = entry.task
            if before is None or entry.finished or entry.problem is not None:
                return
            entry.moving = True
            before.cancel()
            await asyncio.wait([before])
            entry.moving = False
            if not entry.finished:
                entry.problem = None
                entry.task = asyncio.create_task(self._fetch(entry, source, digest), name=f"fetch {digest}")

    def _usable(self, path: Path, digest: Digest) -> bool:
        """Whether the file is here and right. A damaged one is deleted."""
        if not path.is_file():
            return False
        if path.name in self._verified:
            return True
        if hash_file(path, digest.algorithm) != digest.hex:
            log.error("cached image %s is damaged; it will be fetched again", path.name)
            path.unlink()
            return False
        self._verified.add(path.name)
        return True

    # -- fetching -------------------------------------------------------------------------------------------------

    async def _fetch(self, entry: _Entry, source: ImageSource, digest: Digest) -> None:
        try:
            try:
                await self._transfer(entry, source, digest)
            except AgentError as problem:
                if problem.problem.code != "source-changed":
                    raise
                # The part that is here belongs to a file that is gone.
                await asyncio.to_thread(_forget_partial, entry)
                if entry.started:
                    raise
                await self._transfer(entry, source, digest)
        except OSError as problem:
            full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
            entry.problem = cache_full(f"the image cache cannot be written: {problem.strerror}") if full else problem
        except AgentError as problem:
            entry.problem = problem
        except asyncio.CancelledError:
            if entry.moving:
                raise
            entry.problem = AgentError(409, "cancelled", "fetching the image was cancelled", retryable=True)
            raise
        finally:
            await entry.tell()

    async def _transfer(self, entry: _Entry, source: ImageSource, digest: Digest) -> None:
        hasher = hashlib.new(digest.algorithm, usedforsecurity=False)
        opening = asyncio.to_thread(_open_partial, entry, hasher.update)
        file, etag = await to_its_end(opening, lambda opened: opened[0].close())
        try:
            # Who reads along is told of an earlier part only when the server still has the same file.
            done, entry.done = file.tell(), 0
            if not done:
                entry.started += 1
            web = HttpFile(source.url, source.headers, start=done, etag=etag, trust=self.trust)
            web.total = source.bytes
            stream = web.pieces()
            if not source.bytes or done < source.bytes:
                async with contextlib.aclosing(stream):
                    async for piece in stream:
                        await self._grow(entry, done + len(piece), max(web.total, source.bytes))
                        if web.etag and web.etag != etag:
                            etag = web.etag
                            await asyncio.to_thread(entry.etag.write_text, etag)
                        await to_its_end(asyncio.to_thread(_append, file, piece, hasher.update))
                        entry.done = done = done + len(piece)
                        await entry.tell()
            await to_its_end(asyncio.to_thread(os.fsync, file.fileno()))
        finally:
            file.close()
        if hasher.hexdigest() != digest.hex:
            await asyncio.to_thread(_forget_partial, entry)
            raise digest_mismatch(digest, hasher.hexdigest())
        await asyncio.to_thread(entry.partial.replace, entry.path)
        await asyncio.to_thread(partial(entry.etag.unlink, missing_ok=True))
        self._verified.add(entry.path.name)
        entry.done = done
        entry.finished = True

    async def _grow(self, entry: _Entry, size: int, total: int) -> None:
        if size <= entry.reserved or await self._room(entry, max(total, size + _RESERVE)):
            return
        if not await self._room(entry, size):
            raise cache_full(f"the image has more than the {self._limit >> 20} MiB of the image cache")

    # -- room -----------------------------------------------------------------------------------------------------

    async def _room(self, entry: _Entry, size: int) -> bool:
        """Make room for `size` bytes of this image; False when that cannot be done."""
        async with self._making_room:
            others = sum(other.reserved for other in self._entries.values() if other is not entry)
            in_use = {other.path.name for other in self._entries.values()}
            if not await asyncio.to_thread(self._evict, self._limit - others - size, in_use):
                return False
            entry.reserved = size
            return True

    def _evict(self, left: int, in_use: set[str]) -> bool:
        """Delete the least recently used until all that is here and not in use has at most `left` bytes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        kept: list[tuple[float, int, Path]] = []
        for path in self.files():
            name = path.name.removesuffix(".partial")
            facts = path.stat()
            if name not in in_use:
                kept.append((facts.st_mtime, facts.st_size, path))
            elif path.suffix != ".partial" and not self._entries_reserve(name):
                left -= facts.st_size
        if left < 0:
            return False
        kept.sort()
        total = sum(size for _, size, _ in kept)
        for _, size, path in kept:
            if total <= left:
                break
            path.unlink()
            path.with_suffix(".etag").unlink(missing_ok=True)
            self._verified.discard(path.name)
            log.info("dropped %s from the image cache", path.name)
            total -= size
        return True

    def _entries_reserve(self, name: str) -> bool:
        entry = self._entries.get(name)
        return entry is not None and entry.reserved > 0


async def _end(entry: _Entry) -> None:
    """Nobody wants it any more: end its transfer, and keep what is here."""
    if entry.task is not None and not entry.task.done():
        entry.task.cancel()
        await asyncio.wait([entry.task])


def _touched(path: Path) -> int:
    """Note that the file is used now; its size."""
    os.utime(path)
    return path.stat().st_size


def _open_partial(entry: _Entry, update: Callable[[bytes], object]) -> tuple[BinaryIO, str]:
    """The partial file, open behind its last byte and hashed up to there, and its ETag."""
    file = entry.partial.open("ab+")
    file.seek(0)
    while piece := file.read(PIECE):
        update(piece)
    etag = entry.etag.read_text() if entry.etag.exists() else ""
    return file, etag


def _append(file: BinaryIO, piece: bytes, update: Callable[[bytes], object]) -> None:
    file.write(piece)
    file.flush()
    update(piece)


def _forget_partial(entry: _Entry) -> None:
    entry.partial.unlink(missing_ok=True)
    entry.etag.unlink(missing_ok=True)
