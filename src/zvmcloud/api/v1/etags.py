"""``ETag``, ``If-None-Match`` and ``If-Match``.

The tag of a document is the digest of its bytes. A change with ``If-Match`` is let through only while a GET of the same
path gives that tag (``*``: any): it is asked for, and the change is done, with nobody else changing that path under
``If-Match`` in between, through this manager or another one of the same database. What z/VM's administrators do in that
moment is guarded by the change itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from weakref import WeakValueDictionary

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zvmcloud.api.v1 import problems
from zvmcloud.api.v1.context import NODE
from zvmcloud.manager.errors import Changed, ManagerError
from zvmcloud.manager.node import Node

_CHANGES = frozenset({"PUT", "PATCH", "DELETE"})
_TELLING = frozenset({HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
"""What a GET says of a path: its document, or that there is none, and then If-Match does not hold (RFC 9110 13.1.1)."""


class EntityTags:
    """Around the routes of the native API."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"] if scope["type"] == "http" else ""
        headers = Request(scope).headers if method else {}
        if method == "GET":
            await self._get(scope, receive, send, headers.get("if-none-match", ""))
        elif method in _CHANGES and "if-match" in headers:
            async with contextlib.AsyncExitStack() as alone:
                try:
                    await alone.enter_async_context(self._alone(scope))
                except ManagerError as error:  # of a manager that has been replaced: it changes nothing
                    await problems.answer(error)(scope, receive, send)
                else:
                    await self._change(scope, receive, send, headers["if-match"])
        else:
            await self._app(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _alone(self, scope: Scope) -> AsyncIterator[None]:
        """Nobody else changes the path under ``If-Match``. Raises Replaced."""
        node: Node = scope[NODE]
        name = f"etag.{hashlib.sha256(str(scope['path']).encode()).hexdigest()[:32]}"
        lock = self._locks.setdefault(f"{node.settings.node} {name}", asyncio.Lock())
        async with lock, node.journal.membership.alone_with(name):
            yield

    async def _get(self, scope: Scope, receive: Receive, send: Send, known: str) -> None:
        """A JSON document gets a tag, or is not sent at all when the caller has it; everything else passes as is."""
        start: Message | None = None

        async def sending(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _tagged(message):
                start = message
                return
            if start is None or message["type"] != "http.response.body":
                await send(message)
                return
            tag = _tag(message.get("body", b""))
            if known and _names(known, tag):
                await Response(status_code=304, headers={"etag": tag})(scope, receive, send)
            else:
                start["headers"] = [*start["headers"], (b"etag", tag.encode())]
                await send(start)
                await send(message)
            start = None

        await self._app(scope, receive, sending)

    async def _change(self, scope: Scope, receive: Receive, send: Send, wanted: str) -> None:
        found, body = await self._now(scope)
        if found["status"] not in _TELLING:  # whoever may not look at it, or cannot now, is told just that
            await send(found)
            await send({"type": "http.response.body", "body": body})
            return
        if found["status"] != HTTPStatus.OK or not _names(wanted, _tag(body)):
            error = Changed(
                "it is not any more what If-Match names; nothing was changed",
                remedy="GET it again, look at what changed, and repeat the change with the new ETag",
                subject=str(scope["path"]),
            )
            await problems.answer(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _now(self, scope: Scope) -> tuple[Message, bytes]:
        """Beginning and body of the answer to a GET of the same path by the same caller."""
        start: Message = {"type": "http.response.start", "status": HTTPStatus.INTERNAL_SERVER_ERROR, "headers": []}
        parts = list[bytes]()

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def sending(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
            else:
                parts.append(message.get("body", b""))

        skipped = {b"content-length", b"content-type", b"if-match"}
        headers = [(name, value) for name, value in scope["headers"] if name not in skipped]
        asked = {**scope, "method": "GET", "query_string": b"", "headers": headers, "state": {}}
        await self._app(asked, nothing, sending)
        return start, b"".join(parts)


def _tagged(message: Message) -> bool:
    """Whether an answer is a whole JSON document without a tag of its own."""
    headers = dict(message["headers"])
    whole = b"content-length" in headers and headers.get(b"content-type", b"").startswith(b"application/json")
    return message["status"] == 200 and whole and b"etag" not in headers


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _names(header: str, tag: str) -> bool:
    """Whether a header with tags names this one."""
    given = [item.strip().removeprefix("W/") for item in header.split(",")]
    return "*" in given or tag in given
