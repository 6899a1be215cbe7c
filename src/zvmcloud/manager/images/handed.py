"""Files that clients hand in by themselves (the connector's ``PUT /files``), to be imported as images afterwards.

They lie in ``<shared>/files/imported/of-PROJECT/`` under names that nobody guesses, are read by who acts in that
project, and go when nobody touched them for as long as an upload waits for its next bytes. What a project has there is
limited, so that its members do not fill the manager's disk: in bytes by ``connector.files_limit``, in number by
:data:`MOST_FILES`. The folder is what counts, with what comes in just now, so several managers count together.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.images.incoming import length_of, store
from zvmcloud.manager.settings import Settings

MOST_FILES = 1000
"""Files of a project (judgement: far more than images that wait to be imported, few enough to be counted each time)."""
_LOOK = 1 << 20
"""Bytes of a file between two looks at what the project has."""
_OF = "of-"


class TooMuch(ManagerError):
    """More bytes than one file may have, or a project all together; nothing of the file is kept."""

    status = 413
    code = "files-limit"
    title = "Too much"


@dataclass(frozen=True, slots=True)
class Handed:
    """A file that came in; ``length`` in bytes."""

    path: Path
    length: int
    md5: str


async def keep(settings: Settings, project: str, pieces: AsyncIterator[bytes], announced: int = 0) -> Handed:
    """Keep a file of a project. ``announced``: its length, when the client says it, so that one that does not fit is
    refused before it comes. Raises TooMuch (files-limit), OSError; nothing is left behind then."""
    folder = _imported(settings) / f"{_OF}{project}"
    path = folder / str(uuid.uuid4())
    await _must_fit(settings, project, path, announced)

    async def limited() -> AsyncIterator[bytes]:
        came, looked = 0, 0
        async for piece in pieces:
            came += len(piece)
            if came - looked >= _LOOK or came > settings.connector.file_limit:
                await _must_fit(settings, project, path, came)
                looked = came
            yield piece

    whole = False
    try:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True, mode=0o700)
        digest = await store(limited(), path)
        await _must_fit(settings, project, path, digest.length)  # beside those that came at the same time
        whole = True
    finally:
        if not whole:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(path.unlink)
    return Handed(path, digest.length, digest.md5)


def readable(settings: Settings, caller: Caller, path: Path) -> bool:
    """Whether somebody may read what is at a path without links: everything that was not handed in, and what his
    projects handed in."""
    imported = _imported(settings).resolve()
    if not path.is_relative_to(imported):
        return True
    owner = path.relative_to(imported).parts[0]
    return caller.sees is None or (owner.startswith(_OF) and caller.role_in(owner.removeprefix(_OF)) is not None)


def forget(settings: Settings, oldest: float) -> int:
    """Remove the files that were not touched since, seconds since 1970; how many went. Blocking."""
    imported = _imported(settings)
    gone = 0
    for path in (*imported.glob("*"), *imported.glob(f"{_OF}*/*")):
        with contextlib.suppress(FileNotFoundError):  # somebody else removed it
            kept = path.parent == imported and path.name.startswith(_OF)
            if kept or path.lstat().st_mtime >= oldest:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
            gone += 1
    return gone


async def _must_fit(settings: Settings, project: str, path: Path, length: int) -> None:
    """Raises TooMuch when a file of that length does not go beside the others of its project."""
    limit, most = settings.connector.file_limit, settings.connector.files_limit
    if length > limit:
        raise TooMuch(f"more than {limit} bytes", subject=project)
    number, others = await asyncio.to_thread(_others, path)
    if number >= MOST_FILES or others + length > most:
        raise TooMuch(
            f"project {project} has {number} file(s) of {others} bytes here already; with this one it would have more "
            f"than {MOST_FILES} files or {most} bytes (connector.files_limit)",
            remedy="import them as images; each goes by itself when nobody touched it for images.upload_seconds",
            subject=project,
        )


def _others(path: Path) -> tuple[int, int]:
    """How many other files there are beside a path, and their bytes. Blocking."""
    lengths = [length_of(other) for other in path.parent.glob("*") if other.name != path.name]
    return len(lengths), sum(lengths)


def _imported(settings: Settings) -> Path:
    return settings.folder / "files" / "imported"
