"""disk.write_image: stream an image onto a minidisk of a guest that is off."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

from zvmcloud.cp import answers, commands
from zvmcloud.cp.answers import PowerState
from zvmcloud.images import compression, formats
from zvmcloud.images.diskfile import DiskFileError
from zvmcloud.images.formats import Format
from zvmcloud.images.qcow2 import Qcow2, Qcow2Error
from zvmcloud.zhcp import image_plan, sources
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.image_cache import Fetched
from zvmcloud.zhcp.image_errors import ImageError
from zvmcloud.zhcp.image_writer import ImageWriter, Written
from zvmcloud.zhcp.joining import in_thread, to_its_end
from zvmcloud.zhcp.messages import ImageSource, WriteImage
from zvmcloud.zhcp.operations.context import Context

_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")


async def write(context: Context, request: WriteImage) -> dict[str, Json]:
    """Everything is checked before the first byte: source, guest off, disk there, image fits. A failure erases."""
    source = request.source
    for name in source.headers:
        if not _HEADER_NAME.fullmatch(name):
            raise FieldError("source.headers", name, "names of letters, digits and -, at most 64")
    folders = context.settings.image_folders
    digest = sources.digest_of(source)
    await asyncio.to_thread(sources.check, source.url, folders)
    userid, vdev = request.userid, request.vdev
    await require_off(context, userid, "an image is written to a guest that is off")
    if context.rehearsing:
        async with context.linked(userid, vdev, write=True):
            context.did("disk", "write image", userid=userid, vdev=vdev)
        return {"vdev": vdev}
    async with contextlib.AsyncExitStack() as stack:
        fetched = await stack.enter_async_context(context.images.use(source, folders))
        file_bytes, expanded = await asyncio.to_thread(_sizes, fetched.file, source)
        stream = await stack.enter_async_context(contextlib.aclosing(fetched.pieces()))
        first = await _first(stream)

        async def fits(alias: str) -> None:
            disk = await linked_disk(context, alias, f"device {vdev} of {userid}")
            image_plan.check(first, kind_of(disk), disk.size, file_bytes, expanded)

        context.report(0.01, f"linking disk {vdev} of {userid}")
        linking = context.linked(userid, vdev, write=True, blank=fits)
        alias, path = await stack.enter_async_context(linking)
        kind = kind_of(await linked_disk(context, alias, f"device {vdev} of {userid}"))
        unit = "cylinders" if kind == "ECKD" else "blocks"

        def copied(done: int, total: int) -> None:
            context.report(0.02 + 0.93 * done / total, f"copied {done} of {total} {unit}")

        started = time.monotonic()
        try:
            opening = partial(ImageWriter, path, kind, digest, file_bytes, copied, expanded)
            writer = await to_its_end(asyncio.to_thread(opening), ImageWriter.close)
        except DiskFileError as problem:
            raise AgentError(502, "disk-unreadable", f"disk {vdev} of {userid}: {problem}") from problem
        try:
            written = await _copy(context, fetched, first, stream, writer)
        except BaseException:
            await in_thread(writer.abort)
            raise
        finally:
            await in_thread(writer.close)
        took = (time.monotonic() - started) * 1000
        context.did(
            "disk", "write image", took, userid=userid, vdev=vdev, units=written.units, bytes=written.file_bytes
        )
    context.report(1.0, f"wrote {written.units} {unit} to disk {vdev}")
    return {
        "vdev": vdev,
        "kind": written.kind,
        "format": written.format,
        "units": written.units,
        "disk_units": written.disk_units,
        "tracks_used": written.tracks_used,
        "file_bytes": written.file_bytes,
        written.digest.algorithm: written.digest.hex,
        "bootable": written.bootable,
    }


async def require_off(context: Context, userid: str, why: str) -> None:
    """AgentError: guest-unknown, or guest-active with the present state."""
    state = await context.power(userid)
    if state is PowerState.UNKNOWN_USER:
        raise AgentError(404, "guest-unknown", f"the directory has no entry {userid}")
    if state is not PowerState.OFF:
        raise AgentError(409, "guest-active", f"{userid} is {state}: {why}", remedy="stop the guest first")


async def linked_disk(context: Context, alias: str, what: str) -> answers.Dasd:
    """The disk that is linked as `alias`. AgentError not-a-disk when it is none."""
    seen = await context.cp(commands.query_virtual(alias))
    disk = answers.query_virtual(seen.lines)
    if disk is None:
        raise AgentError(409, "not-a-disk", f"{what} is no disk: {' / '.join(seen.lines)}")
    return disk


def kind_of(disk: answers.Dasd) -> str:
    """ECKD or FBA."""
    return "ECKD" if disk.units == "CYL" else "FBA"


async def disk_kind(context: Context, alias: str, what: str) -> str:
    """ECKD or FBA, of a disk that is linked as `alias`. AgentError not-a-disk when it is none."""
    return kind_of(await linked_disk(context, alias, what))


def _sizes(file: Path | None, source: ImageSource) -> tuple[int, int]:
    """(the file's size, the least it expands to), as far as that can be known by now; 0: not known."""
    if file is None:
        return source.bytes, 0
    size = file.stat().st_size
    if source.bytes and size != source.bytes:
        raise ImageError(f"the image has {size} bytes, {source.bytes} were expected", "image-truncated")
    with file.open("rb") as opened:
        try:
            found = formats.detect(opened.read(formats.PROBE_BYTES))
        except formats.UnsupportedFormatError:
            return size, 0  # the writer says so
        if found is Format.XZ:
            return size, compression.xz_size(opened) or 0
        if found is Format.GZIP:
            return size, compression.gzip_at_least(opened)
    return size, 0


async def _first(stream: AsyncGenerator[bytes, None]) -> bytes:
    """The first bytes of the file: as many as tell what it is, or all of it."""
    first = b""
    async for piece in stream:
        first += piece
        if len(first) >= formats.PROBE_BYTES:
            break
    return first


async def _copy(
    context: Context, fetched: Fetched, first: bytes, stream: AsyncGenerator[bytes, None], writer: ImageWriter
) -> Written:
    if image_plan.detect(first) is Format.QCOW2:
        return await _copy_file(context, fetched, writer)
    await in_thread(partial(writer.feed, first), stop=writer.stop)
    async for piece in stream:
        await in_thread(partial(writer.feed, piece), stop=writer.stop)
    context.report(0.96, "making it durable")
    return await in_thread(writer.finish)


async def _copy_file(context: Context, fetched: Fetched, writer: ImageWriter) -> Written:
    """A qcow2 image is read here and there, so all of it has to be here."""
    context.report(0.01, "fetching the whole image")
    path = await fetched.whole()
    try:
        image = await in_thread(partial(Qcow2, path), Qcow2.close)
    except Qcow2Error as problem:
        raise ImageError(str(problem), "image-header") from problem
    try:
        await in_thread(partial(writer.feed_file, image), stop=writer.stop)
    finally:
        image.close()
    context.report(0.96, "making it durable")
    return await in_thread(partial(writer.finish, path))
