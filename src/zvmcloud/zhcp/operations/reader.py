"""reader.punch: files for a guest's reader, through the agent's own punch and reader."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time

from zvmcloud.cp import commands
from zvmcloud.zhcp.errors import FieldError, Json, from_cp
from zvmcloud.zhcp.messages import SPOOL_FILE_LIMIT, PunchFiles
from zvmcloud.zhcp.operations.context import Context

_NO_SUCH_USER = (7, 53)


async def punch(context: Context, request: PunchFiles) -> dict[str, Json]:
    """All files, in order. Each is made in our reader and handed over; one that cannot be handed over is purged."""
    contents: list[bytes] = []
    for index, file in enumerate(request.files):
        try:
            data = base64.b64decode(file.data, validate=False)
        except (binascii.Error, ValueError) as problem:
            raise FieldError(f"files[{index}].data", file.data[:20], f"base64 ({problem})") from problem
        if len(data) > SPOOL_FILE_LIMIT:
            raise FieldError(f"files[{index}].data", f"{len(data)} bytes", f"at most {SPOOL_FILE_LIMIT} bytes")
        contents.append(data)
    spooled: list[Json] = []
    for index, (file, data) in enumerate(zip(request.files, contents, strict=True)):
        if context.intended(f"handed-{index}"):
            continue
        context.report(index / len(contents), f"{file.name}: {len(data)} bytes")
        started = time.monotonic()
        spoolid = await context.machine.punch(file.name, file.type, file.class_, data)
        took = (time.monotonic() - started) * 1000
        context.did("punch", file.name, took, type=file.type, spool_class=file.class_, bytes=len(data), spoolid=spoolid)
        try:
            await _hand_over(context, spoolid, request.userid)
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(context.cp(commands.purge_reader(spoolid), allow=(42,))))
            raise
        await context.intend(f"handed-{index}")
        spooled.append({"name": file.name, "spoolid": spoolid, "bytes": len(data)})
    return {"files": spooled}


async def _hand_over(context: Context, spoolid: str, userid: str) -> None:
    command = commands.transfer_reader(spoolid, userid)
    answer = await context.cp(command, allow=_NO_SUCH_USER)
    if answer.rc:
        raise from_cp(command, answer.rc, answer.lines, status=404, code="guest-unknown")
