"""The image repository: each image's bytes are kept once, under their SHA-256, and known by any number of names.

``<state>/images/<first two digits>/<sha256>`` holds the bytes as imported. An import streams into ``incoming/`` while
it is digested, is checked (header, size, md5 when given) and then renamed, so a file under its digest is always whole.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import socket
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import httpx
import sqlalchemy as sa

from zvmcloud.images import header
from zvmcloud.manager.core import CAPTURED, Core
from zvmcloud.manager.errors import BadInput, Conflict, ImageUnusable, NotAllowed, NotFound
from zvmcloud.manager.jobs.plan import JobRecord, Json, Plan, Step
from zvmcloud.manager.tables import images

_CHUNK = 1 << 20
_NAME = re.compile(r"[^/\\\x00-\x1f]{1,255}")


@dataclass(frozen=True, slots=True)
class Image:
    """One name in the repository. ``units`` counts cylinders (kind CYL) or 512-byte blocks (kind BLK) of the disk it
    needs."""

    name: str
    sha256: str
    md5: str
    bytes: int
    kind: str
    units: int
    os_version: str
    type: str
    comments: str | None
    created: float
    last_used: float

    @property
    def disk_type(self) -> str:
        return "FBA" if self.kind == "BLK" else "ECKD"


class Images:
    """Import, query, delete, and the path of the bytes."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.folder = core.settings.state / "images"

    async def list(self) -> tuple[Image, ...]:
        async with self._core.database.read() as connection:
            rows = (await connection.execute(sa.select(images).order_by(images.c.name))).mappings()
            return tuple(_image(row) for row in rows)

    async def get(self, name: str) -> Image:
        """Raises NotFound (image-unknown)."""
        async with self._core.database.read() as connection:
            row = (await connection.execute(sa.select(images).where(images.c.name == name))).mappings().one_or_none()
        if row is None:
            raise NotFound(f"The image record of {name} does not exist", code="image-unknown", subject=name)
        return _image(row)

    def path(self, image: Image) -> Path:
        return self.folder / image.sha256[:2] / image.sha256

    async def import_url(
        self,
        name: str,
        url: str,
        os_version: str,
        *,
        md5: str = "",
        remote_host: str = "",
        comments: str | None = None,
        origin: str = "",
    ) -> JobRecord:
        """Bring an image in from a ``file://``, ``http://`` or ``https://`` URL and give it ``name``.

        Raises BadInput, Conflict (image-exists), NotAllowed (path or host), ImageUnusable (header, size, md5 mismatch).
        """
        await self.must_be_new(name)
        incoming = self.folder / "incoming" / str(uuid.uuid4())
        await asyncio.to_thread(incoming.parent.mkdir, parents=True, exist_ok=True, mode=0o700)
        try:
            parts = urlsplit(url)
            if parts.scheme == "file":
                source = self.local_file(unquote(parts.path), "url", remote_host=remote_host)
                digest = await asyncio.to_thread(_copy_file, source, incoming)
            elif parts.scheme in {"http", "https"}:
                digest = await _download(url, incoming)
            else:
                raise BadInput("url", url, "file:///path, http://... or https://...")
            return await self._keep(name, incoming, digest, os_version, md5, comments, origin)
        finally:
            await asyncio.to_thread(incoming.unlink, missing_ok=True)

    async def must_be_new(self, name: str) -> None:
        """Raises BadInput for a name that no image can have, Conflict (image-exists) for one that is taken."""
        if not _NAME.fullmatch(name):
            raise BadInput("image_name", name, "1 to 255 characters without '/', '\\' or control characters")
        async with self._core.database.read() as connection:
            if (await connection.execute(sa.select(images.c.name).where(images.c.name == name))).first():
                raise Conflict(
                    f"Image import error: image name {name} already exist in image database",
                    code="image-exists",
                    subject=name,
                )

    async def receive(self, job: str, pieces: AsyncIterator[bytes]) -> dict[str, Json]:
        """Keep the image that an agent sends for a capture; what was received. Raises ImageUnusable (image-tag,
        image-size, file-unreadable) and keeps nothing then."""
        target = await asyncio.to_thread(self._core.materials.path, job, CAPTURED)
        incoming = target.with_name(f"{uuid.uuid4()}.part")
        try:
            digest = await _store(pieces, incoming)
            try:
                header.parse(digest.first)
            except header.HeaderError as error:
                raise ImageUnusable(f"the agent sent no image: {error}", code="image-tag", subject=job) from error
            await asyncio.to_thread(incoming.replace, target)
        except OSError as error:
            failure = _storage_error(error)
            failure.status = 507 if error.errno == errno.ENOSPC else 500
            raise failure from error
        finally:
            await asyncio.to_thread(incoming.unlink, missing_ok=True)
        return {"sha256": digest.sha256, "md5": digest.md5, "bytes": digest.length}

    async def delete(self, name: str, *, origin: str = "") -> JobRecord:
        """Forget a name; the bytes go with the last name. Raises NotFound, Conflict (image-in-use) while a job reads
        them."""
        image = await self.get(name)
        user = await self._core.journal.uses_image(image.sha256)
        if user is not None:
            raise Conflict(
                f"image {name} is in use: job {user} is reading it",
                code="image-in-use",
                remedy=f"wait for the job to end, or cancel it (zvm job show {user})",
                subject=name,
            )
        job = await self._core.runner.run(
            Plan(
                kind="image.delete",
                title=f"Delete image {name}",
                system=self._core.system(),
                steps=(Step("record", f"forget image {name}", "manager.image_deleted", {"name": name}),),
            ),
            origin,
        )
        async with self._core.database.read() as connection:
            query = sa.select(images.c.name).where(images.c.sha256 == image.sha256).limit(1)
            if (await connection.execute(query)).first() is None:
                await asyncio.to_thread(self.path(image).unlink, missing_ok=True)
        return job

    def local_file(self, path: str, field: str, *, remote_host: str = "") -> Path:
        """A file that a client names by path, if this manager may read it.

        Raises NotAllowed (remote-host) when ``user@host`` is another machine, NotAllowed (path-not-allowed) outside
        the import folders, NotFound (file-unknown).
        """
        resolved = self.local_target(path, field, remote_host=remote_host)
        if not resolved.is_file():
            raise NotFound(
                f"{field}: {path} is not a readable file on the manager's machine", code="file-unknown", subject=path
            )
        return resolved

    def local_target(self, path: str, field: str, *, remote_host: str = "") -> Path:
        """A path that a client names, with links resolved, if it is on this machine and below an import folder.

        Raises NotAllowed (remote-host, path-not-allowed).
        """
        if remote_host and not _is_here(remote_host, self._core.settings.remote_hosts):
            raise NotAllowed(
                f"{field}: the file is on {remote_host}, and this manager fetches no files from other machines",
                code="remote-host",
                remedy="upload it with PUT /files and use the URL that is returned, or add the host to remote_hosts in "
                "the settings when its folder is mounted here",
                subject=remote_host,
            )
        resolved = Path(path).resolve()
        allowed = [Path(folder).resolve() for folder in self._core.settings.import_folders]
        allowed.append((self._core.settings.state / "files").resolve())
        if not any(resolved.is_relative_to(folder) for folder in allowed):
            raise NotAllowed(
                f"{field}: {path} is not below a folder that this manager may use",
                code="path-not-allowed",
                remedy="add its folder to import_folders in the manager's settings, or use PUT and POST /files",
                subject=path,
            )
        return resolved

    async def _keep(
        self, name: str, incoming: Path, digest: _Digest, os_version: str, md5: str, comments: str | None, origin: str
    ) -> JobRecord:
        if md5 and md5.lower() != digest.md5:
            raise ImageUnusable(
                f"the md5 of the received bytes is {digest.md5}, announced was {md5.lower()}",
                code="md5-mismatch",
                subject=name,
            )
        try:
            found = header.parse(digest.first)
        except header.HeaderError as error:
            code = "image-size" if error.field in {"size", "unit"} else "image-tag"
            raise ImageUnusable(f"{name}: {error}", code=code, subject=name) from error
        if found.size and digest.length <= found.body_offset:
            raise ImageUnusable(
                f"{name}: the file ends with its header ({digest.length} bytes), the disk's content is missing",
                code="image-size",
                remedy="copy the file again and compare its size with its origin's",
                subject=name,
            )
        target = self.folder / digest.sha256[:2] / digest.sha256
        await asyncio.to_thread(_into_place, incoming, target)
        row = {
            "name": name,
            "sha256": digest.sha256,
            "md5": digest.md5,
            "bytes": digest.length,
            "kind": found.unit,
            "units": found.size,
            "os_version": os_version.lower(),
            "type": "rootonly",
            "comments": comments,
        }
        step = Step(
            "record",
            f"record image {name}: {found.size} {found.unit}, sha256 {digest.sha256[:12]}",
            "manager.image_added",
            row,
        )
        plan = Plan(kind="image.import", title=f"Import image {name}", system=self._core.system(), steps=(step,))
        return await self._core.runner.run(plan, origin)


@dataclass(frozen=True, slots=True)
class _Digest:
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

    def digest(self) -> _Digest:
        return _Digest(self._sha256.hexdigest(), self._md5.hexdigest(), self._first, self._bytes)


def _copy_file(source: Path, target: Path) -> _Digest:
    digester = _Digester()
    try:
        with source.open("rb") as reader, target.open("xb") as writer:
            while data := reader.read(_CHUNK):
                digester.update(data)
                writer.write(data)
            writer.flush()
            os.fsync(writer.fileno())
    except OSError as error:
        raise _storage_error(error) from error
    return digester.digest()


async def _download(url: str, target: Path) -> _Digest:
    digester = _Digester()
    try:
        async with (
            httpx.AsyncClient(timeout=60.0, follow_redirects=True) as client,
            client.stream("GET", url) as answer,
        ):
            answer.raise_for_status()
            with target.open("xb") as writer:
                async for data in answer.aiter_bytes(_CHUNK):
                    digester.update(data)
                    await asyncio.to_thread(writer.write, data)
    except httpx.HTTPError as error:
        raise ImageUnusable(
            f"cannot fetch {url}: {error or type(error).__name__}", code="download-failed", subject=url
        ) from error
    except OSError as error:
        raise _storage_error(error) from error
    return digester.digest()


async def _store(pieces: AsyncIterator[bytes], target: Path) -> _Digest:
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


def _storage_error(error: OSError) -> ImageUnusable:
    reason = "the manager's disk is full" if error.errno == errno.ENOSPC else (error.strerror or "input/output error")
    return ImageUnusable(f"cannot copy the image: {reason}", code="file-unreadable", subject=str(error.filename or ""))


def _into_place(incoming: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not target.exists():
        incoming.replace(target)


def _is_here(remote_host: str, known: Sequence[str]) -> bool:
    """Whether ``user@host`` is this machine: configured, its host name, or one of its addresses."""
    host = remote_host.rpartition("@")[2].lower()
    if host in {name.lower() for name in known} or host in {socket.gethostname().lower(), socket.getfqdn().lower()}:
        return True
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return re.fullmatch(r"[0-9.]+", host) is not None and host != "0.0.0.0"  # noqa: S104  compared, not bound


def _image(row: sa.RowMapping) -> Image:
    return Image(**row)
