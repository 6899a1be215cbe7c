"""disk.write_image: stream an image onto a minidisk of a guest that is off, or onto a SCSI volume."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncGenerator
from functools import partial

from zvmcloud.images import formats
from zvmcloud.images.formats import Format
from zvmcloud.images.qcow2 import Qcow2, Qcow2Error
from zvmcloud.images.sparsefile import DiskFileError
from zvmcloud.zhcp import image_plan, image_sizes, sources
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.fetched import Fetched
from zvmcloud.zhcp.image_errors import ImageError
from zvmcloud.zhcp.image_messages import WriteImage
from zvmcloud.zhcp.image_writer import ImageWriter, Written
from zvmcloud.zhcp.joining import in_thread, to_its_end
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.places import opened
from zvmcloud.zhcp.operations.states import must_be_off

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
    why = "an image is written when the guest of the disk is off"
    if request.userid:
        await must_be_off(context, request.userid, why)  # before the image is fetched
    if context.rehearsing:
        async with opened(context, request.place, why, write=True) as target:
            context.did("disk", "write image", 0.0, **target.named)
        return {**target.facts}
    async with contextlib.AsyncExitStack() as stack:
        fetched = await stack.enter_async_context(context.images.use(source, folders))
        stream = await stack.enter_async_context(contextlib.aclosing(fetched.pieces()))
        first = await _first(stream)
        file_bytes, expanded = await image_sizes.sizes(fetched, source, first, context.images.trust)
        known = partial(image_plan.check, first, declared=source.format)
        fits = partial(known, file_bytes=file_bytes, expanded_bytes=expanded)
        context.report(0.01, f"opening {request.place}")
        disk = await stack.enter_async_context(opened(context, request.place, why, write=True, check=fits))

        def copied(done: int, total: int) -> None:
            context.report(0.02 + 0.93 * done / total, f"copied {done} of {total} {disk.units}")

        started = time.monotonic()
        try:
            writing = partial(ImageWriter, disk.path, disk.kind, digest, file_bytes, copied, expanded)
            opening = partial(writing, compared=fetched.compared, declared=source.format)
            writer = await to_its_end(asyncio.to_thread(opening), ImageWriter.close)
        except DiskFileError as problem:
            raise AgentError(502, "disk-unreadable", f"{disk.name}: {problem}") from problem
        try:
            written = await _copy(context, fetched, first, stream, writer, source.format)
        except BaseException:
            await in_thread(writer.abort)
            raise
        finally:
            await in_thread(writer.close)
        took = (time.monotonic() - started) * 1000
        context.did("disk", "write image", took, **disk.named, units=written.units, bytes=written.file_bytes)
    context.report(1.0, f"wrote {written.units} {disk.units} to {disk.name}")
    return {
        **disk.facts,
        "kind": written.kind,
        "format": written.format,
        "units": written.units,
        "disk_units": written.disk_units,
        "tracks_used": written.tracks_used,
        "file_bytes": written.file_bytes,
        written.digest.algorithm: written.digest.hex,
        "bootable": written.bootable,
    }


async def _first(stream: AsyncGenerator[bytes, None]) -> bytes:
    """The first bytes of the file: as many as tell what it is, or all of it."""
    first = b""
    async for piece in stream:
        first += piece
        if len(first) >= formats.PROBE_BYTES:
            break
    return first


async def _copy(
    context: Context,
    fetched: Fetched,
    first: bytes,
    stream: AsyncGenerator[bytes, None],
    writer: ImageWriter,
    declared: str,
) -> Written:
    if image_plan.detect(first, declared=declared) is Format.QCOW2:
        return await _copy_file(context, fetched, writer)
    if fetched.file is not None:
        await in_thread(partial(writer.feed_path, fetched.file), stop=writer.stop)
    else:
        await in_thread(partial(writer.feed, first), stop=writer.stop)
        async with contextlib.aclosing(_ahead(stream)) as ahead:
            async for piece in ahead:
                await in_thread(partial(writer.feed, piece), stop=writer.stop)
    context.report(0.96, "making it durable")
    return await in_thread(writer.finish)


async def _ahead(stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same pieces; while one is written the next one is read."""
    coming = asyncio.ensure_future(anext(stream, b""))
    try:
        while piece := await coming:
            coming = asyncio.ensure_future(anext(stream, b""))
            yield piece
    finally:
        coming.cancel()
        await to_its_end(asyncio.wait([coming]))
        if not coming.cancelled():
            coming.exception()  # seen: it has been raised, or what ended the copy is raised


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
