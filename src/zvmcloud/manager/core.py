"""What all services share: settings, database, journal, runner, agents, and the folder of a job's files."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote
from weakref import WeakValueDictionary

import sqlalchemy as sa

from zvmcloud.manager.agents import Agent, Agents
from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.errors import BadInput, ManagerError, NotFound
from zvmcloud.manager.jobs.journal import Journal
from zvmcloud.manager.jobs.plan import JobRecord, Json, Plan
from zvmcloud.manager.jobs.runner import Runner
from zvmcloud.manager.settings import Settings
from zvmcloud.manager.tables import guests

log = logging.getLogger(__name__)

IMAGE_TOKEN_HEADER = "Zvm-Image-Token"  # noqa: S105  a header's name
CAPTURED = "captured"
"""The file of a job that an agent sends an image to, and what a token for that is made for."""
_OWN_GUEST = sa.select(guests).where(
    guests.c.system == sa.bindparam("its_system"), guests.c.userid == sa.bindparam("its_userid")
)
_USERID = re.compile(r"[A-Za-z0-9@#$_+:-]{1,8}")
_VDEV = re.compile(r"[0-9A-Fa-f]{1,4}")


class JobEngine(Protocol):
    """What the services need of :class:`zvmcloud.manager.jobs.engine.Engine`."""

    async def start(self) -> None: ...

    async def submit(self, job: str) -> None: ...

    async def adopt(self, members: Collection[str]) -> None: ...

    async def forget(self, runs: Sequence[str]) -> None: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class NewChild:
    """A job that a step of another one runs: its id, its plan, its files."""

    job: str
    plan: Plan
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Core:
    """The parts a service works with. ``engine`` is set when the node starts."""

    settings: Settings
    database: Database
    agents: Agents
    journal: Journal
    runner: Runner
    materials: JobFiles
    engine: JobEngine
    _beginning: set[asyncio.Task[None]] = field(default_factory=set)
    _locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def exclusive(self, system: str, userid: str) -> contextlib.AbstractAsyncContextManager[None]:
        """One at a time for a guest: for choices that depend on what it has (device numbers), until they are made."""
        return self._alone(system, userid)

    def image_lock(self, sha256: str) -> contextlib.AbstractAsyncContextManager[None]:
        """One at a time for the bytes of an image: placing and naming them, beginning to read them, removing them."""
        return self._alone("image", sha256)

    @contextlib.asynccontextmanager
    async def _alone(self, kind: str, name: str) -> AsyncIterator[None]:
        """One task of this process, and one manager of the database."""
        lock = self._locks.setdefault((kind, name), asyncio.Lock())
        async with lock, self.journal.membership.alone_with(f"{kind}.{name}"):
            yield

    async def begin(
        self,
        plan: Plan,
        origin: str,
        job: str,
        files: Mapping[str, bytes] | None = None,
        children: Sequence[NewChild] = (),
        *,
        also: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        """Write a durable job with its files and children down and hand it to the engine, all of it even if the caller
        goes away. ``also``: what is written in the same transaction; when it raises, nothing begins.

        A job that the engine does not take ends as failed, so it keeps its guest busy no longer.
        """
        task = asyncio.create_task(self._begin(plan, origin, job, files or {}, children, also))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)
        await asyncio.shield(task)

    async def _begin(
        self,
        plan: Plan,
        origin: str,
        job: str,
        files: Mapping[str, bytes],
        children: Sequence[NewChild],
        also: Callable[[Connection], Awaitable[None]] | None,
    ) -> None:
        ours = {job: files, **{child.job: child.files for child in children}}
        try:
            for owner, named in ours.items():
                for name, data in named.items():
                    await asyncio.to_thread(self.materials.store, owner, name, data)
            await self.journal.begin(plan, origin, job, [(child.job, child.plan) for child in children], also)
        except BaseException:
            for owner, named in ours.items():
                if named:  # others were there before this job, and are not ours to drop
                    await self.materials.discard(owner)
            raise
        try:
            await self.engine.submit(job)
        except Exception as error:
            log.exception("job %s was not handed over", job)
            failure = ManagerError("the job engine did not take the job", code="engine", job=job)
            for child in children:
                await self.runner.cancel(child.job)
            await self.runner.close(job, "failed", failure.problem())
            await self.materials.discard(job)
            raise failure from error

    async def again(self, job: str, *, backwards: bool) -> JobRecord:
        """Retry a job that failed, or undo one that is done; returns it as it begins.

        Raises NotFound (job-unknown), Conflict (guest-busy, job-state, job-files-gone, job-not-undoable,
        job-overtaken).
        """
        found = await self.runner.again(job, backwards=backwards)
        await self.engine.submit(job)
        return found

    def system(self, name: str = "") -> str:
        """The upper-case name of a known system, the default one for "". Raises NotFound (system-unknown)."""
        if name.upper() in self.agents.names:
            return name.upper()
        found = self.settings.system(name)
        if found is None and not name and self.agents.names:
            return self.agents.names[0]
        if found is None:
            raise NotFound(
                f"no z/VM system is named {name!r}" if name else "no z/VM system is configured",
                code="system-unknown",
                remedy="name one of: " + (", ".join(self.agents.names) or "(none configured)"),
                subject=name,
            )
        return found.name

    def agent(self, system: str) -> Agent:
        return self.agents[system]

    async def owned(self, system: str, userid: str) -> sa.RowMapping:
        """The row of a guest this manager owns. Raises NotFound (guest-unknown)."""
        row = await self.owned_or_none(system, userid)
        if row is None:
            raise NotFound(f"Guest '{userid.upper()}' does not exist.", code="guest-unknown", subject=userid.upper())
        return row

    async def owned_or_none(self, system: str, userid: str) -> sa.RowMapping | None:
        key = {"its_system": system, "its_userid": userid.upper()}
        async with self.database.read() as connection:
            return (await connection.execute(_OWN_GUEST, key)).mappings().one_or_none()


_STORED = {
    "guest.config_drive": (("stored", "user_data"), ("stored_drive", "drive")),
    "volume.ignition": (("stored", "ignition"),),
}
"""Members of operations that are files of the job, in base64, and how plans name them."""


class JobFiles:
    """Bulk data of jobs, outside the database: ``<folder>/jobs/<job>/<name>``, mode 0600, gone when the job is over.

    Config drives hold passwords and keys, so they are never in a job's row. The image token is an HMAC over image and
    job with a key that all managers share, so a resumed step sends the same request; the image route honours
    it only while the job runs.
    """

    def __init__(self, settings: Settings, key: bytes) -> None:
        self._settings = settings
        self._folder = settings.folder / "jobs"
        self._key = key

    @property
    def folder(self) -> Path:
        """The folder that all managers of the database share."""
        return self._settings.folder

    def path(self, job: str, name: str) -> Path:
        """Where a file of the job is; its folder is made when it is not there. Blocking."""
        folder = self._folder / job
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / name

    def store(self, job: str, name: str, data: bytes) -> None:
        """Keep ``data`` for the job under ``name``. Blocking."""
        path = self.path(job, name)
        path.touch(mode=0o600)
        path.write_bytes(data)

    async def discard(self, job: str) -> None:
        await asyncio.to_thread(shutil.rmtree, self._folder / job, ignore_errors=True)

    async def keep_only(self, job: str, names: Collection[str]) -> None:
        """Of the files of a job, these; its folder goes when none is left."""

        def remove() -> None:
            folder = self._folder / job
            for path in folder.iterdir() if folder.is_dir() else ():
                if path.name not in names:
                    path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # there is none, or it holds what is kept
                folder.rmdir()

        await asyncio.to_thread(remove)

    async def fill(self, job: str, kind: str, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        """The parameters as the agent gets them."""
        if kind in {"disk.write_image", "disk.read_image"} and "stored" in parameters:
            return await asyncio.to_thread(self._reached, job, kind, parameters)
        if kind == "guest.netboot":
            return await asyncio.to_thread(self._opened, job, parameters)
        if kind == "disk.write_image":
            return {**parameters, "source": self._source(job, parameters)}
        if kind == "disk.read_image":
            url = f"{self._settings.url}/v1/jobs/{quote(job, safe='')}/image"
            return {**parameters, "target": {"url": url, "headers": {IMAGE_TOKEN_HEADER: self.token(job, CAPTURED)}}}
        if kind == "reader.punch":
            return {**parameters, "files": await asyncio.to_thread(self._files, job, parameters)}
        if kind in _STORED:
            return await asyncio.to_thread(self._with_stored, job, kind, parameters)
        return parameters

    def _reached(self, job: str, kind: str, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        """A place outside, whose address and headers are secrets: a file of the job has them."""
        filled = dict(parameters)
        access = self._access(job, filled)
        end = "source" if kind == "disk.write_image" else "target"
        told = filled.get(end)
        return {**filled, end: {**(told if isinstance(told, Mapping) else {}), **access}}

    def _opened(self, job: str, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        """Members of an operation that may hold passwords: the row has what may be shown of them."""
        filled = dict(parameters)
        access = self._access(job, filled)
        return {**filled, **access}

    def _access(self, job: str, filled: dict[str, Json]) -> Mapping[str, Json]:
        """What the file of the job holds that is named there; the name goes."""
        access: Mapping[str, Json] = json.loads((self._folder / job / str(filled.pop("stored"))).read_bytes())
        return access

    def _with_stored(self, job: str, kind: str, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        filled = dict(parameters)
        for name, member in _STORED[kind]:
            if name in filled:
                data = (self._folder / job / str(filled.pop(name))).read_bytes()
                filled[member] = base64.b64encode(data).decode("ascii")
        return filled

    def token(self, job: str, sha256: str) -> str:
        signature = hmac.new(self._key, f"image\n{sha256}\n{job}".encode(), hashlib.sha256).hexdigest()
        return f"{job}.{signature}"

    def job_of(self, token: str, sha256: str) -> str | None:
        """The job a token was made for, if it is genuine for that image."""
        job = token.rpartition(".")[0]
        return job if job and hmac.compare_digest(token, self.token(job, sha256)) else None

    def _source(self, job: str, parameters: Mapping[str, Json]) -> dict[str, Json]:
        source = parameters["source"]
        if not isinstance(source, Mapping):
            raise BadInput("source", type(source).__name__, "an object with image, sha256 and bytes")
        return {
            "url": f"{self._settings.url}/v1/images/{quote(str(source['image']), safe='')}/content",
            "sha256": source["sha256"],
            "bytes": source["bytes"],
            "headers": {IMAGE_TOKEN_HEADER: self.token(job, str(source["sha256"]))},
        }

    def _files(self, job: str, parameters: Mapping[str, Json]) -> list[Json]:
        files = parameters["files"]
        if not isinstance(files, Sequence):
            raise BadInput("files", type(files).__name__, "a list")
        filled: list[Json] = []
        for item in files:
            if isinstance(item, Mapping):
                data = (self._folder / job / str(item["stored"])).read_bytes()
                rest = {key: value for key, value in item.items() if key not in {"stored", "bytes"}}
                filled.append({**rest, "data": base64.b64encode(data).decode("ascii")})
        return filled


def userid(value: str, field: str = "userid") -> str:
    """An upper-case userid. Raises BadInput: 1 to 8 characters that CP allows in a user ID."""
    if not _USERID.fullmatch(value):
        raise BadInput(field, value, "1 to 8 letters, digits or @#$_+:-")
    return value.upper()


def vdev(value: str, field: str = "vdev") -> str:
    """A virtual device number as four upper-case hexadecimal digits. Raises BadInput."""
    if not _VDEV.fullmatch(value):
        raise BadInput(field, value, "1 to 4 hexadecimal digits")
    return value.upper().zfill(4)


def secret(path: Path) -> bytes:
    """The 32-byte key in ``path``, made with mode 0600 when it is not there yet; another program may make it at the
    same time. Blocking."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(new)
    new.unlink()
    return path.read_bytes()
