"""disk.write_image: stream an image onto a minidisk of a guest that is off."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from functools import partial

from zvmcloud.cp import answers, commands
from zvmcloud.cp.answers import PowerState
from zvmcloud.images.diskfile import DiskFileError
from zvmcloud.zhcp import sources
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.image_writer import ImageWriter, Written
from zvmcloud.zhcp.joining import in_thread, to_its_end
from zvmcloud.zhcp.messages import WriteImage
from zvmcloud.zhcp.operations.context import Context

_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_STEP = 256 * 1024
"""Bytes of the file between two moments at which the copy can be cancelled."""


async def write(context: Context, request: WriteImage) -> dict[str, Json]:
    """Everything is checked before the first byte: source, guest off, disk there, image fits. A failure erases."""
    for name in request.source.headers:
        if not _HEADER_NAME.fullmatch(name):
            raise FieldError("source.headers", name, "names of letters, digits and -, at most 64")
    folders = context.settings.image_folders
    await asyncio.to_thread(sources.check, request.source.url, folders)
    userid, vdev = request.userid, request.vdev
    await require_off(context, userid, "an image is written to a guest that is off")
    context.report(0.01, f"linking disk {vdev} of {userid}")
    async with context.linked(userid, vdev, write=True, blank=True) as (alias, path):
        kind = await disk_kind(context, alias, f"device {vdev} of {userid}")
        unit = "cylinders" if kind == "ECKD" else "blocks"

        def copied(done: int, total: int) -> None:
            context.report(0.02 + 0.93 * done / total, f"copied {done} of {total} {unit}")

        started = time.monotonic()
        try:
            source = request.source
            opening = partial(ImageWriter, path, kind, source.sha256, source.bytes, copied)
            writer = await to_its_end(asyncio.to_thread(opening), ImageWriter.close)
        except DiskFileError as problem:
            raise AgentError(502, "disk-unreadable", f"disk {vdev} of {userid}: {problem}") from problem
        try:
            written = await _copy(context, request, writer)
        except BaseException:
            await in_thread(writer.abort)
            raise
        finally:
            writer.close()
        took = (time.monotonic() - started) * 1000
        context.did(
            "disk", "write image", took, userid=userid, vdev=vdev, units=written.units, bytes=written.file_bytes
        )
    context.report(1.0, f"wrote {written.units} {unit} to disk {vdev}")
    return {
        "vdev": vdev,
        "kind": written.kind,
        "units": written.units,
        "disk_units": written.disk_units,
        "tracks_used": written.tracks_used,
        "file_bytes": written.file_bytes,
        "sha256": written.sha256,
        "bootable": written.bootable,
    }


async def require_off(context: Context, userid: str, why: str) -> None:
    """AgentError: guest-unknown, or guest-active with the present state."""
    state = await context.power(userid)
    if state is PowerState.UNKNOWN_USER:
        raise AgentError(404, "guest-unknown", f"the directory has no entry {userid}")
    if state is not PowerState.OFF:
        raise AgentError(409, "guest-active", f"{userid} is {state}: {why}", remedy="stop the guest first")


async def disk_kind(context: Context, alias: str, what: str) -> str:
    """ECKD or FBA, of a disk that is linked as `alias`. AgentError not-a-disk when it is none."""
    seen = await context.cp(commands.query_virtual(alias))
    disk = answers.query_virtual(seen.lines)
    if disk is None:
        raise AgentError(409, "not-a-disk", f"{what} is no disk: {' / '.join(seen.lines)}")
    return "ECKD" if disk.units == "CYL" else "FBA"


async def _copy(context: Context, request: WriteImage, writer: ImageWriter) -> Written:
    source = request.source
    stream = sources.pieces(source.url, source.headers, context.settings.image_folders)
    async with contextlib.aclosing(stream):
        async for piece in stream:
            for at in range(0, len(piece), _STEP):
                await in_thread(partial(writer.feed, piece[at : at + _STEP]))
    context.report(0.96, "making it durable")
    return await in_thread(writer.finish)
