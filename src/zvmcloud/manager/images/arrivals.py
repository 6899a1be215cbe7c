"""Images that come in by a durable job: fetched from a URL, or uploaded before; checked; placed and named.

::

    fetch    the bytes behind the URL, into the job's folder; after a lost connection or a restart from the next byte on
    check    length, digests, and what the content is
    record   the file gets its place and its name, in one transaction

The file is in the job's folder until the job is over, so a job that fails or is cancelled leaves nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

from zvmcloud.images.facts import FactsError, examine
from zvmcloud.manager.core import Core
from zvmcloud.manager.downloads import Limits, Part, download, parsed, shown
from zvmcloud.manager.errors import BadInput, ImageUnusable, ManagerError
from zvmcloud.manager.identity import audit
from zvmcloud.manager.identity.quotas import Quotas, megabytes
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.images import about as facts
from zvmcloud.manager.images.about import About
from zvmcloud.manager.images.incoming import length_of, storage_error, write_all
from zvmcloud.manager.images.records import RECEIVED
from zvmcloud.manager.images.repository import Images, shape
from zvmcloud.manager.jobs.plan import JobRecord, Json, Plan, Step
from zvmcloud.manager.jobs.work import WorkContext
from zvmcloud.manager.operations.declare import Uses

_URL, _TAG = "url", "etag"
"""Files of a job: where its image comes from (it may hold a password), and which version of it the server sent."""
_CHUNK = 1 << 20
_TRIES = 6
"""Tries in a row that bring no byte before a fetch is given up."""
_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
_REPORT = 0.5


class Arrivals:
    """Begins such jobs, and does the work of their steps."""

    def __init__(self, core: Core, images: Images) -> None:
        self._core = core
        self._images = images
        self._quotas = Quotas(core.database)
        core.runner.works.offer("manager.image_fetch", self._fetch)
        core.runner.works.offer("manager.image_check", self._check)

    async def import_url(
        self,
        caller: Caller,
        about: About,
        url: str,
        digests: Mapping[str, str],
        *,
        size: int = 0,
        origin: str = "",
        job: str,
    ) -> JobRecord:
        """Begin to fetch an image from an http or https URL. ``size`` in bytes, 0 when it is not known.

        Raises BadInput, Conflict (image-exists), QuotaExceeded, ImageUnusable (image-size).
        """
        found = facts.digests(digests)
        if len(url) > _CHUNK >> 8:
            raise BadInput("url", url, "at most 4096 characters")
        parsed(url)
        await self.admit(about, size)
        steps = (
            Step("fetch", f"fetch {shown(url)}", "manager.image_fetch", {"url": shown(url), "bytes": size}),
            *_steps(about, size, found, fetched=True),
        )
        async with self._core.database.write() as connection:
            detail = {"url": shown(url), **found}
            await audit.append(
                connection, caller, "image.import", about.name, project=about.project, job=job, result="begun",
                detail=detail,
            )  # fmt: skip
        plan = _plan("image.import", about, steps, uses={"image_mb": megabytes(size)} if size else {})
        await self._core.begin(plan, origin, job, {_URL: url.encode()})
        return await self._core.journal.get(job)

    async def finish_upload(
        self, job: str, about: About, size: int, digests: Mapping[str, str], *, origin: str = ""
    ) -> None:
        """Begin to check and name what is in the job's folder already."""
        await self._core.begin(_plan("image.upload", about, _steps(about, size, digests)), origin, job)

    async def admit(self, about: About, size: int) -> None:
        """Whether an image of so many bytes may come in under that name. Raises BadInput, Conflict (image-exists),
        QuotaExceeded, ImageUnusable (image-size, file-unreadable when the disk has no room for it)."""
        facts.check(about)
        await self._images.must_be_new(about.name)
        settings = self._core.settings
        limit = min(settings.import_limit, settings.images.limit or settings.import_limit)
        if size > limit:
            raise ImageUnusable(
                f"{size} bytes are more than the {limit} that an image may have here",
                code="image-size",
                remedy="use a smaller image, or raise import_limit and images.limit in the manager's settings",
                subject=about.name,
            )
        await self._quotas.check(about.project, Uses(image_mb=megabytes(size)))

    # -- the work of the steps -------------------------------------------------------------------------------------

    async def _fetch(self, context: WorkContext, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        file = await asyncio.to_thread(self._core.materials.path, context.job, RECEIVED)
        url = await asyncio.to_thread(file.with_name(_URL).read_text)
        settings = self._core.settings
        announced = int(str(parameters["bytes"]))
        limits = Limits(settings.import_hosts, announced or settings.import_limit, settings.import_seconds)
        failed = 0
        while True:
            before = await asyncio.to_thread(length_of, file)
            try:
                await self._fetch_on(context, url, limits, file)
                return {"bytes": await asyncio.to_thread(length_of, file)}
            except OSError as error:
                raise storage_error(error) from error
            except ManagerError as error:
                failed = failed + 1 if await asyncio.to_thread(length_of, file) <= before else 1
                if not error.retryable or failed >= _TRIES:
                    raise
                await context.progress(0.0, f"{error.detail}; trying again")
            await asyncio.sleep(min(_PAUSE * 2**failed, _LONGEST_PAUSE))

    async def _fetch_on(self, context: WorkContext, url: str, limits: Limits, file: Path) -> None:
        """Fetch what is missing."""
        tag = file.with_name(_TAG)
        part = await asyncio.to_thread(_part, file, tag)
        with await asyncio.to_thread(_appending, file) as writer:
            done, total = part.size, 0

            async def begin(kept: Part, whole: int) -> None:
                nonlocal done, total
                done, total = kept.size, whole
                await asyncio.to_thread(writer.truncate, kept.size)
                await asyncio.to_thread(tag.write_text, json.dumps(kept.etag))

            async def write(data: bytes) -> None:
                nonlocal done
                await asyncio.to_thread(write_all, writer, data)
                done += len(data)
                of = f" of {total}" if total else ""
                await context.progress(done / total if total else 0.0, f"fetched {done}{of} bytes")

            await download(url, limits, write, part=part, begin=begin)

    async def _check(self, context: WorkContext, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        file = await asyncio.to_thread(self._core.materials.path, context.job, RECEIVED)
        expected = parameters["digests"]
        stop, done = threading.Event(), [0]
        looking = asyncio.ensure_future(
            asyncio.to_thread(
                _checked, file, expected if isinstance(expected, Mapping) else {}, int(str(parameters["bytes"])),
                partial(_look, stop, done),
            )
        )  # fmt: skip
        size = await asyncio.to_thread(length_of, file)
        try:
            while not (await asyncio.wait({looking}, timeout=_REPORT))[0]:
                await context.progress(min(done[0] / (2 * size), 1.0) if size else 0.0, "checking digest and content")
        finally:
            stop.set()
        try:
            found = looking.result()
        except OSError as error:
            raise storage_error(error) from error
        if parameters.get("fetched"):
            await self._quotas.use(context.job, context.project, {"image_mb": megabytes(size)})
        return found


def _plan(kind: str, about: About, steps: tuple[Step, ...], uses: Mapping[str, int] | None = None) -> Plan:
    verb = "Import" if kind == "image.import" else "Check upload of"
    return Plan(kind, f"{verb} image {about.name}", "", steps, durable=True, project=about.project, uses=uses or {})


def _steps(about: About, size: int, digests: Mapping[str, str], *, fetched: bool = False) -> tuple[Step, ...]:
    check = {"bytes": size, "digests": dict(digests), "fetched": fetched}
    return (
        Step("check", f"check digest and content of {about.name}", "manager.image_check", check),
        Step("record", f"record image {about.name}", "manager.image_received", about.row()),
    )


class _StoppedError(Exception):
    """Nobody waits for the result any more."""


def _look(stop: threading.Event, done: list[int], count: int) -> None:
    if stop.is_set():
        raise _StoppedError
    done[0] = count


def _checked(file: Path, expected: Mapping[str, object], size: int, look: Callable[[int], None]) -> dict[str, Json]:
    """What a file is, if it is what was announced. Blocking; reads it once for its digests, and once more when it is
    compressed. Makes it durable."""
    names = {"sha256", "md5", *expected}
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    length = 0
    with file.open("rb") as reader:
        while data := reader.read(_CHUNK):
            for one in hashes.values():
                one.update(data)
            length += len(data)
            look(length)
        os.fsync(reader.fileno())
    if size and length != size:
        raise ImageUnusable(
            f"{length} bytes came, {size} were announced", code="image-size", remedy="send the file again"
        )
    for name, digest in expected.items():
        if hashes[name].hexdigest() != digest:
            raise ImageUnusable(
                f"the {name} of the bytes that came is {hashes[name].hexdigest()}, announced was {digest}",
                code="digest-mismatch",
                remedy="send the file again, with the digest of the file that is sent",
            )
    try:
        found = examine(file, lambda count: look(length + count))
    except FactsError as error:
        code = "image-size" if error.field in {"size", "unit"} else "image-format"
        remedy = "see docs/reference/images.md for the formats"
        raise ImageUnusable(f"the file is no image: {error}", code=code, remedy=remedy) from None
    sums = {name: hashes[name].hexdigest() for name in ("sha256", "md5")}
    return {**sums, "bytes": length, **shape(found)}


def _appending(file: Path) -> BinaryIO:
    return file.open("ab", buffering=0)


def _part(file: Path, tag: Path) -> Part:
    try:
        return Part(length_of(file), str(json.loads(tag.read_text())))
    except (OSError, ValueError):
        return Part(length_of(file))
