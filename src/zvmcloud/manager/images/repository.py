"""Names and bytes: import, query, delete, and the path of the bytes."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import sqlalchemy as sa

from zvmcloud.images import coreos, eckd_image, facts, header
from zvmcloud.images.coreos import CoreosError
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.images.facts import Facts, FactsError, examine
from zvmcloud.images.formats import Format
from zvmcloud.images.sparsefile import DiskFileError
from zvmcloud.manager.core import CAPTURED, Core
from zvmcloud.manager.downloads import Limits
from zvmcloud.manager.errors import BadInput, Hidden, ImageUnusable, ManagerError, NotAllowed, NotFound
from zvmcloud.manager.identity import audit
from zvmcloud.manager.identity.acting import actor
from zvmcloud.manager.identity.quotas import megabytes
from zvmcloud.manager.identity.roles import SYSTEM, Caller, Role
from zvmcloud.manager.images import records
from zvmcloud.manager.images.about import About, check_name
from zvmcloud.manager.images.incoming import Digest, copy_file, fetch, storage_error, store
from zvmcloud.manager.images.localfiles import LocalFiles
from zvmcloud.manager.images.records import in_use, protected, taken, tell
from zvmcloud.manager.jobs.plan import JobRecord, Json, Plan, Step
from zvmcloud.manager.placing import into_place
from zvmcloud.manager.tables import images

_USE_INTERVAL = 60.0
"""Seconds between two times that the use of an image is written down."""


@dataclass(frozen=True, slots=True)
class Image:
    """One name in the repository.

    ``bytes`` is the file's length, ``size`` that of the raw disk inside it (0 when only its header counts units).
    ``cylinders`` and ``blocks`` (of 512 bytes) are what it needs on an ECKD and on an FBA disk, None where it does not
    go; ``disk_type`` is ECKD, FBA, SCSI, or "" when both kinds of minidisk take it. ``kind`` and ``units`` say the
    same in one number: CYL or BLK. A ``protected`` image is not deleted, nor pruned.
    """

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
    format: str = "connector"
    size: int = 0
    disk_type: str = ""
    cylinders: int | None = None
    blocks: int | None = None
    architecture: str = "s390x"
    boot: bool = True
    protected: bool = False

    def needs(self, kind: str) -> int | None:
        """Cylinders or blocks of an ECKD or FBA disk that it needs; None when it does not go onto such a disk."""
        return self.cylinders if kind == "ECKD" else self.blocks


def shape(found: Facts) -> dict[str, Json]:
    """What a row keeps of an image's facts."""
    kind, units = ("CYL", found.cylinders) if found.disk_type == "ECKD" else ("BLK", found.blocks)
    return {
        "format": found.format,
        "size": found.size,
        "disk_type": found.disk_type,
        "cylinders": found.cylinders,
        "blocks": found.blocks,
        "kind": kind,
        "units": units or 0,
        "boot": found.bootable is not False,
    }


class Images:
    """Import, query, delete, and the path of the bytes."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.folder = core.settings.folder / "images"
        self.files = LocalFiles(core.settings)

    async def list(self, caller: Caller = SYSTEM) -> tuple[Image, ...]:
        """Those that the caller sees, by name."""
        query = sa.select(images).order_by(images.c.name)
        if caller.sees is not None:
            query = query.where(sa.or_(images.c.public, images.c.project.in_(caller.sees)))
        async with self._core.database.read() as connection:
            return tuple(_image(row) for row in (await connection.execute(query)).mappings())

    async def exists(self, name: str) -> bool:
        """Whether an image has that name."""
        async with self._core.database.read() as connection:
            return (await connection.execute(sa.select(images.c.name).where(images.c.name == name))).first() is not None

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
            raise Hidden(f"The image record of {name} does not exist", code="image-unknown", subject=name)
        return found

    def path(self, image: Image) -> Path:
        """Where its bytes are."""
        return self.place(image.sha256)

    def place(self, sha256: str) -> Path:
        """Where bytes with this digest are, or would be."""
        return self.folder / sha256[:2] / sha256

    async def import_url(
        self,
        name: str,
        url: str,
        os_version: str,
        *,
        md5: str = "",
        remote_host: str = "",
        comments: str | None = None,
        coreos_on: str = "",
        origin: str = "",
    ) -> JobRecord:
        """Bring an image in from a ``file://``, ``http://`` or ``https://`` URL and give it ``name``. ``coreos_on``: it
        is the disk of a CoreOS as it is published, for ECKD or SCSI disks, instead of a connector's image. It belongs
        to the project of who asks, and is public when an operator does.

        Raises BadInput, Conflict (image-exists), NotAllowed (path or host), ImageUnusable (header, size, md5 mismatch),
        QuotaExceeded (quota).
        """
        await self.must_be_new(name)
        incoming = self.folder / "incoming" / str(uuid.uuid4())
        await asyncio.to_thread(incoming.parent.mkdir, parents=True, exist_ok=True, mode=0o700)
        try:
            parts = _split(url)
            if parts.scheme == "file":
                source = self.files.existing(unquote(parts.path), "url", remote_host=remote_host)
                digest = await asyncio.to_thread(copy_file, source, incoming)
            elif parts.scheme in {"http", "https"}:
                settings = self._core.settings
                limits = Limits(settings.import_hosts, settings.import_limit, settings.import_seconds)
                digest = await fetch(url, incoming, limits)
            else:
                raise BadInput("url", f"{parts.scheme}:", "file:///path, http://... or https://...")
            caller = actor()
            about = About(
                name,
                caller.project or "default",
                os_version,
                comments=comments,
                public=caller.role.everywhere,
            )
            look = partial(_coreos, eckd=coreos_on == "ECKD") if coreos_on else _headed
            return await self._keep(about, incoming, digest, md5, origin, look)
        finally:
            await asyncio.to_thread(incoming.unlink, missing_ok=True)

    async def must_be_new(self, name: str, field: str = "name") -> None:
        """Raises BadInput for a name that no image can have, Conflict (image-exists) for one that is taken."""
        check_name(name, field)
        if await self.exists(name):
            raise taken(name)

    async def receive(
        self, job: str, pieces: AsyncIterator[bytes], fits: Callable[[int], Awaitable[None]]
    ) -> dict[str, Json]:
        """Keep the image that an agent sends for a capture; what was received. ``fits`` is asked with its length.

        Raises ImageUnusable (image-tag, image-size, file-unreadable), and what ``fits`` raises; keeps nothing then."""
        target = await asyncio.to_thread(self._core.materials.path, job, CAPTURED)
        incoming = target.with_name(f"{uuid.uuid4()}.part")
        try:
            digest = await store(pieces, incoming)
            await fits(digest.length)
            found = await asyncio.to_thread(examine, incoming)
            if Format.CONNECTOR not in found.format.split("+"):
                raise ImageUnusable(f"the agent sent {found.format}, no image", code="image-tag", subject=job)
            await asyncio.to_thread(incoming.replace, target)
        except FactsError as error:
            raise ImageUnusable(f"the agent sent no image: {error}", code="image-tag", subject=job) from None
        except OSError as error:
            raise storage_error(error) from error
        finally:
            await asyncio.to_thread(incoming.unlink, missing_ok=True)
        return {"sha256": digest.sha256, "md5": digest.md5, "bytes": digest.length, **shape(found)}

    async def change(self, caller: Caller, name: str, values: Mapping[str, Json]) -> Image:
        """Set columns of an image that the caller may change. Raises NotFound (image-unknown), NotAllowed (role)."""
        image = await self.changeable(caller, name)
        if values:
            async with self._core.database.write() as connection:
                await connection.execute(sa.update(images).where(images.c.name == name).values(**values))
                await audit.append(connection, caller, "image.change", name, project=image.project, detail=values)
                project = str(values.get("project", image.project))
                await tell(connection, "image.changed", name, project, image.sha256)
        return await self.get(name)

    async def changeable(self, caller: Caller, name: str) -> Image:
        """An image of a project where the caller is a member. Raises NotFound (image-unknown), NotAllowed (role)."""
        image = await self.seen_by(caller, name)
        held = caller.role_in(image.project)
        if held is None or not held.covers(Role.MEMBER):
            raise NotAllowed(
                f"image {name} is of project {image.project}, where {caller.user} is no member",
                code="role",
                remedy=f"ask an admin for the role member in project {image.project}",
                subject=name,
            )
        return image

    async def used(self, image: Image) -> None:
        """Somebody reads the image; written down at most once a minute."""
        now = time.time()
        if now - image.last_used > _USE_INTERVAL:
            async with self._core.database.write() as connection:
                await connection.execute(sa.update(images).where(images.c.name == image.name).values(last_used=now))

    async def delete(self, name: str, *, origin: str = "") -> JobRecord:
        """Forget a name; the bytes go with the last name. Raises NotFound, Conflict (image-protected; image-in-use
        while a job reads them)."""
        while True:
            image = await self.get(name)
            async with self._core.image_lock(image.sha256):
                if (await self.get(name)).sha256 != image.sha256:
                    continue
                if image.protected:
                    raise protected(name)
                user = await self._core.journal.uses_image(image.sha256)
                if user is not None:
                    raise in_use(name, user)
                job = await self._core.runner.run(
                    Plan(
                        kind="image.delete",
                        title=f"Delete image {name}",
                        system="",
                        steps=(Step("record", f"forget image {name}", "manager.image_deleted", {"name": name}),),
                    ),
                    origin,
                )
                await self.drop_unused(self.path(image), image.sha256)
                return job

    async def take_back(self, name: str, sha256: str, created: float, job: str) -> None:
        """Forget a name that a job made, and its bytes with it when no other has them; see records.take_back."""
        async with self._core.image_lock(sha256):
            async with self._core.database.write() as connection:
                await records.take_back(connection, name, created, job)
            await self.drop_unused(self.place(sha256), sha256)

    async def drop_unused(self, path: Path, sha256: str) -> None:
        """Remove bytes that no name has. In a write transaction, of which there is one at a time: a job places
        its bytes in one."""
        async with self._core.database.write() as connection:
            query = sa.select(images.c.name).where(images.c.sha256 == sha256).limit(1)
            if (await connection.execute(query)).first() is None:
                await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _has(self, project: str, sha256: str) -> bool:
        """Whether the project has these bytes under some name: a quota counts each file once."""
        query = sa.select(images.c.name).where(images.c.project == project, images.c.sha256 == sha256).limit(1)
        async with self._core.database.read() as connection:
            return (await connection.execute(query)).first() is not None

    async def _keep(
        self,
        about: About,
        incoming: Path,
        digest: Digest,
        md5: str,
        origin: str,
        look: Callable[[str, Path, Digest], dict[str, Json]],
    ) -> JobRecord:
        name = about.name
        if md5 and md5.lower() != digest.md5:
            raise ImageUnusable(
                f"the md5 of the received bytes is {digest.md5}, announced was {md5.lower()}",
                code="md5-mismatch",
                subject=name,
            )
        found = await asyncio.to_thread(look, name, incoming, digest)
        target = self.place(digest.sha256)
        row = {"sha256": digest.sha256, "md5": digest.md5, "bytes": digest.length, **found, **about.row()}
        step = Step(
            "record",
            f"record image {name}: {found['units']} {found['kind']}, sha256 {digest.sha256[:12]}",
            "manager.image_added",
            row,
        )
        plan = Plan(kind="image.import", title=f"Import image {name}", system="", steps=(step,), project=about.project)
        async with self._core.image_lock(digest.sha256):
            try:
                if not await self._has(about.project, digest.sha256):
                    plan = replace(plan, uses={"image_mb": megabytes(digest.length)})
                await asyncio.to_thread(into_place, incoming, target, digest.length)
                return await self._core.runner.run(plan, origin)
            except OSError as error:
                raise storage_error(error) from error
            except ManagerError:
                await self.drop_unused(target, digest.sha256)
                raise


def _headed(name: str, _: Path, digest: Digest) -> dict[str, Json]:
    """What the header of a connector's image says. Raises ImageUnusable (image-tag, image-size)."""
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
    return {**shape(facts.of_header(found)), "units": found.size}


def _coreos(name: str, incoming: Path, _: Digest, *, eckd: bool) -> dict[str, Json]:
    """What a disk of CoreOS holds; of a compressed one only its size, and the kind of disk that it is for, is known.
    Raises ImageUnusable (image-tag, image-size, coreos). Blocking."""
    kind, variant = ("ECKD", "dasd") if eckd else ("SCSI", "metal")
    try:
        found = examine(incoming)
        if (found.disk_type == "ECKD") is not eckd or (eckd and found.format.endswith(Format.CONNECTOR)):
            raise CoreosError("its partition table is not one of an image for such disks")
        if found.format == Format.RAW:
            with FbaDisk(incoming) as disk:
                if eckd:
                    coreos.of_image(disk, eckd_image.SECTOR)
                else:
                    coreos.installed(disk)
    except FactsError as error:
        raise ImageUnusable(f"{name}: {error}", code="image-tag", subject=name) from None
    except (DiskFileError, CoreosError) as error:
        raise ImageUnusable(
            f"{name}: this is no CoreOS for {kind} disks: {error}",
            code="coreos",
            remedy=f"import the image that has {variant} in its name, or say in disk_type what it is for",
            subject=name,
        ) from None
    except OSError as error:
        raise storage_error(error) from error
    return shape(found)


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


def _image(row: sa.RowMapping) -> Image:
    return Image(**row)
