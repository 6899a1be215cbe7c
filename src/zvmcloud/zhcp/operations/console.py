"""guest.send: a line typed on a guest's console, and what the console said to it."""

from __future__ import annotations

import asyncio
import time

from zvmcloud.cp import commands
from zvmcloud.zhcp import queries
from zvmcloud.zhcp.errors import Json, from_cp
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.states import must_be_on
from zvmcloud.zhcp.reader_messages import SendToConsole

_FIRST_LOOK, _LAST_LOOK = 0.1, 2.0
_NOT_ALLOWED = (3, 7, 197)
"""CP's numbers for a SEND that is not authorised."""
_KEEP = 64 * 1024


async def send(context: Context, request: SendToConsole) -> dict[str, Json]:
    """What the console said before the line is read first, so that the answer is what came after it.

    A line that a crash may have cut off is not typed again (`sent` is false): it may have been done, and only the
    console can tell. AgentError 409 `guest-inactive`, 403 `send-not-authorized`.
    """
    userid = request.userid
    async with queries.console_turn(context, userid):
        await must_be_on(context, userid)
        again = context.intended("send")
        if not again:
            await queries.drain_console(context, userid)
            await context.intend("send")
            command = commands.send(userid, request.text, cp=request.cp)
            answer = await context.cp(command, allow=_NOT_ALLOWED)
            if answer.rc:
                raise from_cp(command, answer.rc, answer.lines, status=403, code="send-not-authorized")
        said = await _window(context, request)
    text = said[-_KEEP:].decode("utf-8", "replace")
    return {
        "userid": userid,
        "output": text,
        "matched": bool(request.expect) and request.expect in text,
        "sent": not again,
    }


async def _window(context: Context, request: SendToConsole) -> bytes:
    """What the console says until the window ends, or until it has said what is expected."""
    deadline = time.monotonic() + request.window
    pause = _FIRST_LOOK
    said = b""
    while True:
        left = deadline - time.monotonic()
        await asyncio.sleep(max(min(pause, left), 0))
        said += await queries.drain_console(context, request.userid)
        if time.monotonic() >= deadline or (request.expect and request.expect.encode() in said):
            return said
        pause = min(pause * 2, _LAST_LOOK)
