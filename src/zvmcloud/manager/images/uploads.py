"""Uploads that can be taken up where they were cut off.

An upload has the id of the job that will check and name it, and its bytes are in that job's folder. How much came is
the length of the file, so nothing is lost with the manager; what the file holds is only believed after its digest.
One request at a time writes to an upload, at the next byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from zvmcloud.manager.core import Core
from zvmcloud.manager.errors import BadInput, Conflict, ImageUnusable, NotFound, TooMany
from zvmcloud.manager.identity import audit
from zvmcloud.manager.identity.quotas import kept
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.images import about as facts
from zvmcloud.manager.images.about import About
from zvmcloud.manager.images.arrivals import Arrivals
from zvmcloud.manager.images.incoming import length_of, storage_error, write_all
from zvmcloud.manager.images.records import RECEIVED
from zvmcloud.manager.tables import uploads

_MOST = 32
"""Uploads of one project at a time."""
_PIECE = 1 << 20
_IDLE = 60.0
"""Seconds between two pieces of a request before it is given up, so that its upload can be continued."""


@dataclass(frozen=True, slots=True)
class Upload:
    """``offset``: bytes that came; ``bytes``: of the whole file; ``sha256``: as announced, or ""; ``job``: what checks
    and names it, once all came. Times are seconds since 1970; it is forgotten at ``expires``."""

    id: str
    name: str
    project: str
    actor: str
    bytes: int
    sha256: str
    offset: int
    created: float
    expires: float
    job: str | None


class Uploads:
    """Begin, continue, end uploads."""

    def __init__(self, core: Core, arrivals: Arrivals) -> None:
        self._core = core
        self._arrivals = arrivals
        self._writing: set[str] = set()
        self._beginning = asyncio.Lock()

    async def begin(
        self, caller: Caller, about: About, size: int, digests: Mapping[str, str], *, upload: str
    ) -> Upload:
        """A new upload of ``size`` bytes, or that one if it was begun already.

        Raises BadInput, Conflict (image-exists, upload-exists), QuotaExceeded, TooMany (uploads), ImageUnusable
        (image-size; 507 file-unreadable when the disk has no room for it).
        """
        if size < 1:
            raise BadInput("bytes", size, "the length of the file, at least 1")
        found = facts.digests(digests)
        async with self._beginning:
            known = await self._row(upload)
            if known is not None:
                return await self._upload(known)
            await self._arrivals.admit(about, size)
            await self._room(about, size)
            now = time.time()
            row = {
                "id": upload,
                "name": about.name,
                "project": about.project,
                "actor": caller.user,
                "bytes": size,
                "digests": found,
                "about": asdict(about),
                "created": now,
                "touched": now,
            }
            try:
                async with self._core.database.write() as connection, kept(connection, [about.project]):
                    await connection.execute(sa.insert(uploads), row)
                    await audit.append(
                        connection, caller, "image.upload", about.name, project=about.project, job=upload,
                        result="begun", detail={"bytes": size, **found},
                    )  # fmt: skip
            except IntegrityError:
                raise Conflict(
                    f"an image {about.name} is being uploaded already",
                    code="upload-exists",
                    remedy="continue or delete that upload, or choose another name",
                    subject=about.name,
                ) from None
        return await self.get(caller, upload)

    async def list(self, caller: Caller) -> tuple[Upload, ...]:
        """The uploads of the caller's projects, the oldest first."""
        query = sa.select(uploads).order_by(uploads.c.created, uploads.c.id)
        if (seen := caller.sees) is not None:
            query = query.where(uploads.c.project.in_(seen))
        async with self._core.database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return tuple([await self._upload(row) for row in rows])

    async def get(self, caller: Caller, upload: str) -> Upload:
        """Raises NotFound (upload-unknown)."""
        return await self._upload(await self._seen(caller, upload, Role.READER))

    async def write(
        self, caller: Caller, upload: str, start: int, length: int | None, pieces: AsyncIterator[bytes], *, origin: str
    ) -> Upload:
        """Append the next bytes: ``length`` of them (None: as many as come), which begin at ``start``.

        What came before a connection broke is kept. Raises NotFound, BadInput (nothing is kept of that request),
        Conflict (upload-busy, upload-offset, upload-complete), ImageUnusable (507 when the disk is
        full; what fitted is kept).
        """
        await self._seen(caller, upload, Role.MEMBER)
        if upload in self._writing:
            raise Conflict(
                f"another request writes to upload {upload}",
                code="upload-busy",
                remedy="wait for it to end, ask where it stands, then send the rest",
                subject=upload,
            )
        self._writing.add(upload)
        try:
            async with self._alone(upload):
                await self._append(await self._seen(caller, upload, Role.MEMBER), start, length, pieces)
                return await self._end(await self._seen(caller, upload, Role.MEMBER), origin)
        finally:
            self._writing.discard(upload)

    async def drop(self, caller: Caller, upload: str) -> None:
        """Forget an upload, also one whose job has failed. Raises NotFound, Conflict (upload-busy, upload-complete)."""
        row = await self._seen(caller, upload, Role.MEMBER)
        if upload in self._writing:
            raise Conflict(f"a request writes to upload {upload}", code="upload-busy", remedy="end it", subject=upload)
        if row["job"] is not None and not await self._over(row["job"]):
            raise _complete(row)
        await self._forget(upload)
        await self._note(caller, row)

    async def expire(self) -> int:
        """Forget uploads that nobody continued in time, and those whose job failed; how many."""
        old = time.time() - self._core.settings.images.upload_seconds
        async with self._core.database.read() as connection:
            rows = (await connection.execute(sa.select(uploads))).mappings().all()
        gone = 0
        for row in rows:
            if row["id"] in self._writing:
                continue
            if row["job"] is not None:
                over = await self._over(row["job"])
            else:
                over = row["touched"] < old
            if over:
                await self._forget(row["id"])
                gone += 1
        return gone

    async def recover(self) -> None:
        """Begin the jobs of uploads that were complete when their manager died."""
        query = sa.select(uploads).where(uploads.c.job.is_(None))
        async with self._core.database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        for row in rows:
            whole = await asyncio.to_thread(length_of, self._file(row["id"])) >= row["bytes"]
            if not whole or row["id"] in self._writing:
                continue
            self._writing.add(row["id"])
            try:
                async with self._alone(row["id"]):
                    await self._end(row, "recovery")
            finally:
                self._writing.discard(row["id"])

    # -- inside ----------------------------------------------------------------------------------------------------

    async def _append(self, row: sa.RowMapping, start: int, length: int | None, pieces: AsyncIterator[bytes]) -> None:
        upload, size = str(row["id"]), int(row["bytes"])
        file = await asyncio.to_thread(self._core.materials.path, upload, RECEIVED)
        offset = await asyncio.to_thread(length_of, file)
        if row["job"] is not None and not (start == size and not length):
            raise _complete(row)
        if start != offset and row["job"] is None:
            raise Conflict(
                f"upload {upload} has {offset} bytes; the next request must begin there, not at {start}",
                code="upload-offset",
                remedy=f"send the bytes from {offset} on",
                subject=upload,
            )
        if row["job"] is not None:
            return
        most = size - offset if length is None else length
        if offset + most > size:
            raise BadInput("content-range", f"to byte {offset + most}", f"the file was announced with {size} bytes")
        await self._touch(upload)
        try:
            with await asyncio.to_thread(partial(_opened, file)) as writer:
                try:
                    came = await _receive(writer, pieces, most)
                    if length is not None and came != length:
                        raise BadInput("body", f"{came} bytes", f"content-range says {length}")
                except BadInput:
                    await asyncio.to_thread(writer.truncate, offset)
                    raise
        except OSError as error:
            raise storage_error(error) from error
        finally:
            await asyncio.shield(self._touch(upload))

    async def _end(self, row: sa.RowMapping, origin: str) -> Upload:
        """The upload as it is now; when all came, its job has begun."""
        found = await self._upload(row)
        if found.job is None and found.offset == found.bytes:
            try:
                await self._core.journal.get(found.id, with_calls=False)
            except NotFound:
                about = About(**row["about"])
                await self._arrivals.finish_upload(found.id, about, found.bytes, row["digests"], origin=origin)
            async with self._core.database.write() as connection:
                await connection.execute(sa.update(uploads).where(uploads.c.id == found.id).values(job=found.id))
            return replace(found, job=found.id)
        return found

    async def _room(self, about: About, size: int) -> None:
        count = sa.select(sa.func.count()).where(uploads.c.project == about.project)
        async with self._core.database.read() as connection:
            under_way = (await connection.execute(count)).scalar_one()
        if under_way >= _MOST:
            raise TooMany(
                f"project {about.project} has {under_way} uploads under way; finish or delete some",
                code="uploads",
                wait=_IDLE,
            )
        free = (await asyncio.to_thread(shutil.disk_usage, self._core.settings.folder)).free
        if size > free:
            failure = ImageUnusable(
                f"the manager's disk has room for {free} bytes",
                code="file-unreadable",
                remedy="delete images that are not needed (POST /v1/image-storage/prune), or enlarge the file system",
                subject=about.name,
            )
            failure.status = 507
            raise failure

    async def _seen(self, caller: Caller, upload: str, role: Role) -> sa.RowMapping:
        row = await self._row(upload)
        if row is None or caller.role_in(row["project"]) is None:
            raise NotFound(f"no upload has the id {upload!r}", code="upload-unknown", subject=upload)
        caller.enters(row["project"], role, f"upload {upload}")
        return row

    async def _row(self, upload: str) -> sa.RowMapping | None:
        async with self._core.database.read() as connection:
            found = await connection.execute(sa.select(uploads).where(uploads.c.id == upload))
            return found.mappings().one_or_none()

    async def _upload(self, row: sa.RowMapping) -> Upload:
        offset = await asyncio.to_thread(length_of, self._file(row["id"])) if row["job"] is None else row["bytes"]
        return Upload(
            id=row["id"],
            name=row["name"],
            project=row["project"],
            actor=row["actor"],
            bytes=row["bytes"],
            sha256=row["digests"].get("sha256", ""),
            offset=offset,
            created=row["created"],
            expires=row["touched"] + self._core.settings.images.upload_seconds,
            job=row["job"],
        )

    def _file(self, upload: str) -> Path:
        return self._core.settings.folder / "jobs" / upload / RECEIVED

    def _alone(self, upload: str) -> contextlib.AbstractAsyncContextManager[None]:
        """No other manager writes to the upload."""
        return self._core.journal.membership.alone_with(f"upload.{upload}")

    async def _touch(self, upload: str) -> None:
        async with self._core.database.write() as connection:
            await connection.execute(sa.update(uploads).where(uploads.c.id == upload).values(touched=time.time()))

    async def _over(self, job: str) -> bool:
        try:
            return (await self._core.journal.get(job, with_calls=False)).over
        except NotFound:
            return True

    async def _forget(self, upload: str) -> None:
        await self._core.materials.discard(upload)
        async with self._core.database.write() as connection:
            await connection.execute(sa.delete(uploads).where(uploads.c.id == upload))

    async def _note(self, caller: Caller, row: sa.RowMapping) -> None:
        async with self._core.database.write() as connection:
            await audit.append(
                connection, caller, "image.upload", row["name"], project=row["project"], job=row["id"],
                result="cancelled",
            )  # fmt: skip


async def _receive(writer: BinaryIO, pieces: AsyncIterator[bytes], most: int) -> int:
    """Write what comes, of which ``most`` bytes are allowed; how many came. What came before it broke off is written
    as well. Raises BadInput (body) for more, ImageUnusable (408 upload-idle) when nothing comes for a minute."""
    buffer, came = bytearray(), 0
    try:
        while True:
            try:
                async with asyncio.timeout(_IDLE):
                    piece = await anext(pieces, None)
            except TimeoutError:
                failure = ImageUnusable(f"nothing came for {_IDLE:g} seconds", code="upload-idle")
                failure.status = 408
                raise failure from None
            if piece is None:
                break
            came += len(piece)
            if came > most:
                buffer.clear()
                raise BadInput("body", f"more than {most} bytes", f"{most} bytes were announced to follow here")
            buffer += piece
            if len(buffer) >= _PIECE:
                data = bytes(buffer)
                buffer.clear()
                await asyncio.to_thread(write_all, writer, data)
    finally:
        if buffer:
            write_all(writer, bytes(buffer))
    return came


def _opened(file: Path) -> BinaryIO:
    file.touch(mode=0o600)
    return file.open("ab", buffering=0)


def _complete(row: sa.RowMapping) -> Conflict:
    return Conflict(
        f"upload {row['id']} is complete",
        code="upload-complete",
        remedy=f"see or cancel job {row['job']}, which checks it",
        subject=row["id"],
    )
