"""disk.read_image: stream a minidisk of a guest that is off, or a SCSI volume, to whoever keeps images."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import httpx

from zvmcloud.images.compression import Codec
from zvmcloud.images.sparsefile import DiskFileError
from zvmcloud.images.tracks import TrackError
from zvmcloud.zhcp.errors import HIDDEN, AgentError, FieldError, Json
from zvmcloud.zhcp.image_messages import ReadImage
from zvmcloud.zhcp.image_reader import ImageReader, ReadDisk
from zvmcloud.zhcp.joining import to_its_end
from zvmcloud.zhcp.operations.boot_disk import boot_disk
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.places import Disk, opened
from zvmcloud.zhcp.operations.states import must_be_off
from zvmcloud.zhcp.sources import Trust, client_of

_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_SECONDS = 120.0
_WHY = "an image is made of the disk of a guest that is off"
_GZIP_LEVELS = 9


async def read(context: Context, request: ReadImage) -> dict[str, Json]:
    """The guest must be off; a minidisk is linked for reading only, and nothing on z/VM is changed."""
    for name in request.target.headers:
        if not _HEADER_NAME.fullmatch(name):
            raise FieldError("target.headers", name, "names of letters, digits and -, at most 64")
    if request.codec == "gzip" and request.compression > _GZIP_LEVELS:
        raise FieldError("compression", request.compression, f"gzip has levels up to {_GZIP_LEVELS}")
    place = request.place
    if place.volume is None and not place.vdev:
        await must_be_off(context, place.userid, _WHY)
        place = replace(place, vdev=await boot_disk(context, place.userid))
    if context.rehearsing:
        async with opened(context, place, _WHY, write=False) as disk:
            context.did("disk", "read image", 0.0, **disk.named)
        return {**disk.facts}
    context.report(0.01, f"opening {place}")
    async with opened(context, place, _WHY, write=False) as disk:

        def copied(done: int, total: int) -> None:
            context.report(0.02 + 0.95 * done / total, f"read {done} of {total} {disk.units}")

        if request.raw and disk.kind == "ECKD":
            raise AgentError(
                409, "disk-kind-mismatch", f"{disk.name} is an ECKD disk, which has no raw blocks of 512 bytes",
                remedy="read it as an image",
            )  # fmt: skip
        started = time.monotonic()
        try:
            opening = partial(ImageReader, disk.path, disk.kind, request.compression, copied, Codec(request.codec))
            opening = partial(opening, raw=request.raw, least_bytes=request.least_bytes)
            reader = await to_its_end(asyncio.to_thread(opening), ImageReader.close)
        except DiskFileError as problem:
            raise _unreadable(disk, problem) from problem
        try:
            received = await _send(request, reader, context.images.trust)
            found = await to_its_end(asyncio.to_thread(reader.result))
        except (DiskFileError, TrackError) as problem:
            raise _unreadable(disk, problem) from problem
        finally:
            await to_its_end(asyncio.to_thread(reader.close))
        if not request.raw:
            _compare(found, received)
        took = (time.monotonic() - started) * 1000
        context.did("disk", "read image", took, **disk.named, units=found.units, bytes=found.file_bytes)
    context.report(1.0, f"read {found.units} {disk.units} of {disk.name}")
    return {
        **disk.facts,
        "kind": found.kind,
        "units": found.units,
        "unit": disk.unit,
        "file_bytes": found.file_bytes,
        "sha256": found.sha256,
        **({"sha512": found.sha512} if request.raw else {}),
        "bootable": found.bootable,
        "received": received,
    }


async def _send(request: ReadImage, reader: ImageReader, trust: Trust) -> dict[str, Json]:
    """PUT the file; what the receiver answered."""
    target = request.target
    headers = httpx.Headers(target.headers)
    headers["content-type"] = "application/octet-stream"  # in place of one that is written otherwise
    timeout = httpx.Timeout(_SECONDS, connect=15.0)
    try:
        async with client_of(timeout, trust) as client:
            answer = await client.put(target.url, headers=headers, content=_pieces(reader))
    except httpx.InvalidURL:
        raise FieldError("target.url", HIDDEN, "a URL of http or https is expected") from None
    except httpx.TransportError as problem:
        raise AgentError(
            502, "target-lost", f"the receiver of the image was lost: {problem!r}", retryable=True,
            remedy="see whether the manager can be reached from the agent",
        ) from problem  # fmt: skip
    if not answer.is_success:
        said = '"file-unreadable"' in answer.text
        full = answer.status_code == 507 or (answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and said)
        raise AgentError(
            507 if full else 502,
            "target-full" if full else "target-refused",
            f"the receiver of the image answered {answer.status_code}: {answer.text[:200]}",
            retryable=answer.status_code in (502, 503, 504),
            remedy="free space where the manager keeps images" if full else "see the manager's log",
        )
    if request.raw:
        return {}
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise AgentError(502, "target-answer", "the receiver of the image did not say what it received")
    return document


async def _pieces(reader: ImageReader) -> AsyncIterator[bytes]:
    """The file; a piece that is being read is waited for even when the operation is cancelled: the disk stays open."""
    while True:
        piece = await to_its_end(asyncio.to_thread(reader.piece))
        if not piece:
            return
        yield piece


def _compare(found: ReadDisk, received: dict[str, Json]) -> None:
    if received.get("sha256") != found.sha256:
        raise AgentError(
            502, "digest-mismatch",
            f"the receiver has sha256 {received.get('sha256')}, {found.sha256} was sent", retryable=True,
        )  # fmt: skip


def _unreadable(disk: Disk, problem: Exception) -> AgentError:
    return AgentError(502, "disk-unreadable", f"{disk.name}: {problem}")
