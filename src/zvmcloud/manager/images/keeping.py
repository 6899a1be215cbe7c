"""What the repository keeps: its size under a limit, and folder and table telling the same.

Over the limit the files that were not used for the longest time go, with all their names: never one that a job reads,
nor one with a protected name. At each start everything in the folders that no table knows is removed: what a killed
manager left behind.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from zvmcloud.manager.core import Core
from zvmcloud.manager.identity import audit
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.images import handed
from zvmcloud.manager.images.records import reader_of, tell
from zvmcloud.manager.images.repository import Images
from zvmcloud.manager.jobs.again import FILES_KEPT
from zvmcloud.manager.jobs.plan import FINAL
from zvmcloud.manager.tables import images, jobs, plans, uploads

log = logging.getLogger(__name__)

_YOUNG = 3600.0
"""Seconds for which a file that no table knows is left alone when other managers may be working in the folder."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the repository with all its names. ``stays``: why it is not pruned (in-use, protected), or "".
    ``last_used``: seconds since 1970, the latest of its names."""

    sha256: str
    names: tuple[str, ...]
    bytes: int
    last_used: float
    stays: str


@dataclass(frozen=True, slots=True)
class Storage:
    """``limit`` and ``used`` in bytes (limit 0: none); ``pruned``: what goes, or went, to come under it; ``missing``:
    names whose file is gone or has another length."""

    limit: int
    used: int
    files: int
    pruned: tuple[Kept, ...]
    missing: tuple[str, ...]


class Keeping:
    """Reports, prunes, sweeps."""

    def __init__(self, core: Core, repository: Images) -> None:
        self._core = core
        self._images = repository
        self._pruning = asyncio.Lock()

    async def report(self) -> Storage:
        """What there is, and what pruning would remove now."""
        files = await self._files()
        missing = await asyncio.to_thread(self._missing, files)
        limit = self._core.settings.images.limit
        return Storage(limit, _sum(files), len(files), tuple(_over(files, limit)), missing)

    async def prune(self, caller: Caller, *, dry_run: bool = False) -> Storage:
        """Come under the limit, as far as files may go. With ``dry_run`` only say what would go."""
        if dry_run:
            return await self.report()
        async with self._pruning:
            wanted = _over(await self._files(), self._core.settings.images.limit)
            gone = [file for file in wanted if await self._remove(caller, file)]
            left = await self._files()
        missing = await asyncio.to_thread(self._missing, left)
        return Storage(self._core.settings.images.limit, _sum(left), len(left), tuple(gone), missing)

    async def over(self) -> bool:
        """Whether the images have more bytes than the limit."""
        limit = self._core.settings.images.limit
        if not limit:
            return False
        kept = sa.select(images.c.sha256, images.c.bytes).distinct().subquery()
        async with self._core.database.read() as connection:
            return int((await connection.execute(sa.select(sa.func.sum(kept.c.bytes)))).scalar_one() or 0) > limit

    async def sweep(self) -> int:
        """Remove what no table knows, before anything here works with the folders; how much was removed. Where other
        managers work, what is younger than an hour may be theirs."""
        oldest = time.time() - _YOUNG if self._core.database.shared else None
        known = await self._known_jobs()
        gone = await asyncio.to_thread(_clean, self._images.folder / "incoming", frozenset[str](), oldest)
        gone += await asyncio.to_thread(_clean, self._core.settings.folder / "jobs", known, oldest)
        async with self._core.database.read() as connection:
            digests = frozenset((await connection.execute(sa.select(images.c.sha256).distinct())).scalars())
        for path in await asyncio.to_thread(_strangers, self._images.folder, digests, oldest):
            async with self._core.image_lock(path.name):
                if _is_digest(path.name):
                    await self._images.drop_unused(path, path.name)
                else:
                    await asyncio.to_thread(path.unlink, missing_ok=True)
            gone += 1
        if gone:
            log.info("%d files and folders that nobody knew were removed", gone)
        if missing := await asyncio.to_thread(self._missing, await self._files()):
            log.error("images without their bytes: %s", ", ".join(missing))
        return gone

    async def forget_files(self) -> int:
        """Remove files that came by themselves (the connector's ``PUT /files``) and were not touched for as long as an
        upload waits for its next bytes; how many went."""
        oldest = time.time() - self._core.settings.images.upload_seconds
        return await asyncio.to_thread(handed.forget, self._core.settings, oldest)

    # -- inside ----------------------------------------------------------------------------------------------------

    async def _files(self) -> tuple[Kept, ...]:
        """Every file, the least recently used first."""
        used = sa.select(jobs.c.image_sha256).where(jobs.c.image_sha256.is_not(None), jobs.c.state.not_in(FINAL))
        columns = (images.c.sha256, images.c.name, images.c.bytes, images.c.last_used, images.c.protected)
        async with self._core.database.read() as connection:
            rows = (await connection.execute(sa.select(*columns).order_by(images.c.name))).mappings().all()
            busy = frozenset((await connection.execute(used)).scalars())
        grouped: dict[str, list[sa.RowMapping]] = {}
        for row in rows:
            grouped.setdefault(row["sha256"], []).append(row)
        found = (
            Kept(
                sha256,
                tuple(row["name"] for row in same),
                same[0]["bytes"],
                max(row["last_used"] for row in same),
                "in-use" if sha256 in busy else "protected" if any(row["protected"] for row in same) else "",
            )
            for sha256, same in grouped.items()
        )
        return tuple(sorted(found, key=lambda file: (file.last_used, file.sha256)))

    async def _remove(self, caller: Caller, file: Kept) -> bool:
        """Remove a file with its names, unless it is used, protected or has other names by now."""
        async with self._core.image_lock(file.sha256):
            async with self._core.database.write() as connection:
                rows = (await connection.execute(sa.select(images).where(images.c.sha256 == file.sha256))).all()
                same = {row.name for row in rows} == set(file.names)
                newer = any(row.protected or row.last_used > file.last_used for row in rows)
                if not same or newer or await reader_of(connection, file.sha256) is not None:
                    return False
                await connection.execute(sa.delete(images).where(images.c.sha256 == file.sha256))
                for row in rows:
                    detail = {"sha256": file.sha256, "bytes": file.bytes, "last_used": round(file.last_used)}
                    await audit.append(connection, caller, "image.prune", row.name, project=row.project, detail=detail)
                    await tell(connection, "image.pruned", row.name, row.project, file.sha256)
            await self._images.drop_unused(self._images.place(file.sha256), file.sha256)
        log.info("image %s was pruned (%d bytes)", ", ".join(file.names), file.bytes)
        return True

    async def _known_jobs(self) -> frozenset[str]:
        """Whose folders stay: jobs that are not over or can be retried, plans that can be applied, uploads."""
        retried = (jobs.c.state.in_(("failed", "cancelled")), jobs.c.finished > time.time() - FILES_KEPT)
        queries = (
            sa.select(jobs.c.id).where(sa.or_(jobs.c.state.not_in(FINAL), sa.and_(*retried))),
            sa.select(plans.c.id).where(plans.c.job.is_(None)),
            sa.select(uploads.c.id),
        )
        async with self._core.database.read() as connection:
            return frozenset([found for query in queries for found in (await connection.execute(query)).scalars()])

    def _missing(self, files: Sequence[Kept]) -> tuple[str, ...]:
        return tuple(name for file in files if not self._is_whole(file) for name in file.names)

    def _is_whole(self, file: Kept) -> bool:
        try:
            return self._images.place(file.sha256).stat().st_size == file.bytes
        except OSError:
            return False


def _sum(files: Sequence[Kept]) -> int:
    return sum(file.bytes for file in files)


def _over(files: Sequence[Kept], limit: int) -> list[Kept]:
    """Which files go so that the others have at most ``limit`` bytes."""
    left, gone = _sum(files), list[Kept]()
    for file in files:
        if not limit or left <= limit:
            break
        if not file.stays:
            gone.append(file)
            left -= file.bytes
    return gone


def _clean(folder: Path, known: frozenset[str], oldest: float | None) -> int:
    """Remove everything in a folder but these names and, with ``oldest``, what is younger. Blocking."""
    strangers = [path for path in folder.glob("*") if path.name not in known and _is_old(path, oldest)]
    for path in strangers:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(strangers)


def _strangers(folder: Path, known: frozenset[str], oldest: float | None) -> list[Path]:
    """Files among the images that have no name; with ``oldest`` only those that were there by then. Blocking."""
    found = (path for path in folder.glob("[0-9a-f][0-9a-f]/*") if path.name not in known)
    return [path for path in found if _is_old(path, oldest)]


def _is_old(path: Path, oldest: float | None) -> bool:
    try:
        return oldest is None or path.lstat().st_mtime < oldest
    except FileNotFoundError:  # somebody else removed it
        return False


def _is_digest(name: str) -> bool:
    return len(name) == 64 and not set(name) - set("0123456789abcdef")
