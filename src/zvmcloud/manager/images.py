"""The image repository: each image's bytes are kept once, under their SHA-256, and known by any number of names.

``<state>/images/<first two digits>/<sha256>`` holds the bytes as imported. An import streams into ``incoming/`` while
it is digested, is checked (header, size, md5 when given) and then renamed, so a file under its digest is always whole.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import ipaddress
import os
import re
import socket
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, unquote, urlsplit

import sqlalchemy as sa

from zvmcloud.images import header
from zvmcloud.manager import confined
from zvmcloud.manager.confined import Confined
from zvmcloud.manager.core import CAPTURED, Core
from zvmcloud.manager.downloads import Limits, download
from zvmcloud.manager.errors import BadInput, Conflict, ImageUnusable, ManagerError, NotAllowed, NotFound
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.jobs.plan import JobRecord, Json, Plan, Step
from zvmcloud.manager.placing import copy_new, into_place
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
    project: str = "default"
    public: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def disk_type(self) -> str:
        return "FBA" if self.kind == "BLK" else "ECKD"


class Images:
    """Import, query, delete, and the path of the bytes."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.folder = core.settings.state / "images"
        self._files = core.settings.state / "files"

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

    async def seen_by(self, caller: Caller, name: str) -> Image:
        """The image, if it is public or of a project that the caller sees. Raises NotFound (image-unknown)."""
        found = await self.get(name)
        if not found.public and caller.role_in(found.project) is None:
            raise NotFound(f"The image record of {name} does not exist", code="image-unknown", subject=name)
        return found

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
            parts = _split(url)
            if parts.scheme == "file":
                source = self.local_file(unquote(parts.path), "url", remote_host=remote_host)
                digest = await asyncio.to_thread(_copy_file, source, incoming)
            elif parts.scheme in {"http", "https"}:
                settings = self._core.settings
                limits = Limits(settings.import_hosts, settings.import_limit, settings.import_seconds)
                digest = await _download(url, incoming, limits)
            else:
                raise BadInput("url", f"{parts.scheme}:", "file:///path, http://... or https://...")
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
                detail = f"the agent sent no image: {_complaint(error)}"
                raise ImageUnusable(detail, code="image-tag", subject=job) from None
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
        while True:
            image = await self.get(name)
            async with self._core.image_lock(image.sha256):
                if (await self.get(name)).sha256 != image.sha256:
                    continue
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
                await self._drop_unused(self.path(image), image.sha256)
                return job

    async def _drop_unused(self, path: Path, sha256: str) -> None:
        """Remove bytes that no name has. In a write transaction, because a capture places its bytes in one."""
        async with self._core.database.write() as connection:
            query = sa.select(images.c.name).where(images.c.sha256 == sha256).limit(1)
            if (await connection.execute(query)).first() is None:
                await asyncio.to_thread(path.unlink, missing_ok=True)

    async def export(self, image: Image, path: str, *, remote_host: str = "") -> None:
        """Copy an image's bytes to a new file below an export folder or the manager's own files folder.

        Raises NotAllowed (remote-host, path-not-allowed, file-unreadable), Conflict (file-exists): no file is ever
        replaced.
        """
        _only_here("dest_url", remote_host, self._core.settings.remote_hosts)
        target = await asyncio.to_thread(confined.below, path, (*self._core.settings.export_folders, self._files))
        if target is None:
            raise NotAllowed(
                f"dest_url: {path} is not below a folder that this manager may write to",
                code="path-not-allowed",
                remedy=f"name a file below {self._files}, or add the folder to export_folders in the settings",
                subject=path,
            )
        try:
            await asyncio.to_thread(copy_new, self.path(image), target.root, target.path)
        except FileExistsError:
            raise Conflict(
                f"dest_url: {path} exists already",
                code="file-exists",
                remedy="name another file, or remove that one",
                subject=path,
            ) from None
        except OSError as error:
            raise NotAllowed(
                f"dest_url: cannot write {path}: {error.strerror}", code="file-unreadable", subject=path
            ) from error

    def local_file(self, path: str, field: str, *, remote_host: str = "") -> Confined:
        """A file that a client names by path, if this manager may read it.

        Raises NotAllowed (remote-host) when ``user@host`` is another machine, NotAllowed (path-not-allowed) outside
        the import folders, NotFound (file-unknown).
        """
        _only_here(field, remote_host, self._core.settings.remote_hosts)
        folders: list[str | Path] = [*self._core.settings.import_folders, self._files]
        if confined.below(path, folders) is None:
            raise NotAllowed(
                f"{field}: {path} is not below a folder that this manager may read",
                code="path-not-allowed",
                remedy="add its folder to import_folders in the manager's settings, or use PUT and POST /files",
                subject=path,
            )
        found = confined.existing(path, folders)
        if found is None:
            raise NotFound(
                f"{field}: {path} is not a readable file on the manager's machine", code="file-unknown", subject=path
            )
        return found

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
            raise ImageUnusable(f"{name}: {_complaint(error)}", code=code, subject=name) from None
        if found.size and digest.length <= found.body_offset:
            raise ImageUnusable(
                f"{name}: the file ends with its header ({digest.length} bytes), the disk's content is missing",
                code="image-size",
                remedy="copy the file again and compare its size with its origin's",
                subject=name,
            )
        target = self.folder / digest.sha256[:2] / digest.sha256
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
        async with self._core.image_lock(digest.sha256):
            try:
                await asyncio.to_thread(into_place, incoming, target, digest.length)
                return await self._core.runner.run(plan, origin)
            except OSError as error:
                raise _storage_error(error) from error
            except ManagerError:
                await self._drop_unused(target, digest.sha256)
                raise


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


def _copy_file(source: Confined, target: Path) -> _Digest:
    digester = _Digester()
    try:
        with source.open() as reader, target.open("xb") as writer:
            while data := reader.read(_CHUNK):
                digester.update(data)
                writer.write(data)
            writer.flush()
            os.fsync(writer.fileno())
    except OSError as error:
        raise _storage_error(error) from error
    return digester.digest()


async def _download(url: str, target: Path, limits: Limits) -> _Digest:
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


def _complaint(error: header.HeaderError) -> str:
    """What is wrong with a header, without the bytes that are there: they may be those of any file."""
    return {
        "tag": "it does not begin with a CKD or FBA disk image tag",
        "size": "its header has no size with CYL or BLK, or one above the limit",
        "unit": "the unit of the size does not go with the tag",
        "gzip": "its header has no compression level from 0 to 9",
    }.get(error.field, "its header has no usable length, or its content does not follow it")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise BadInput("url", "it", "file:///path, http://... or https://...") from None


def _only_here(field: str, remote_host: str, known: Sequence[str]) -> None:
    """Raises NotAllowed (remote-host) when ``user@host`` is another machine."""
    if remote_host and not _is_here(remote_host, known):
        raise NotAllowed(
            f"{field}: the file is on {remote_host}, and this manager neither fetches nor sends files elsewhere",
            code="remote-host",
            remedy="upload it with PUT /files and use the URL that is returned, or add the host to remote_hosts in "
            "the settings when its folder is mounted here",
            subject=remote_host,
        )


def _is_here(remote_host: str, known: Sequence[str]) -> bool:
    """Whether ``user@host`` is this machine: configured, its host name, or a literal address that it has. No name is
    looked up: that could take long, and what it says is not ours to trust."""
    host = remote_host.rpartition("@")[2].lower()
    if host in {name.lower() for name in known} or host == socket.gethostname().lower():
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    if address.is_unspecified or address.is_multicast:
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _image(row: sa.RowMapping) -> Image:
    return Image(**row)
