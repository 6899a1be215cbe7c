"""The connector's socket protocol: one JSON list per connection, one JSON object back, then the connection ends.

::

    client                                        server
      ["guest_start", ["LINUX01"], {"timeout": 0}]  ->
                                                <-  {"overallRC": 0, "modID": null, "rc": 0, "rs": 0, ...}

There is no framing: a request is complete when it parses. It becomes a request of the REST API, so the same checks and
handlers answer it. The protocol has no credentials; the listener is off unless asked for, and only on loopback.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress

import httpx
from starlette.types import ASGIApp

from zvmcloud.api.connector.calls import CallError, request_of
from zvmcloud.manager.jobs.plan import Json

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
_LIMIT = 64 * 2**20
_PATIENCE = 60.0
"""Seconds between two pieces of a request."""
_LONGEST = 3600.0
"""Seconds that the clients wait for an answer."""
_PIECE = 64 * 1024


class SocketDoor:
    """The listener over an application of the connector whose door is open."""

    def __init__(self, application: ASGIApp) -> None:
        transport = httpx.ASGITransport(application, raise_app_exceptions=False, client=(HOST, 0))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://socket", timeout=_LONGEST)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[object]] = set()

    async def start(self, port: int) -> int:
        """Listen on loopback; port 0 takes a free one. Returns the port."""
        self._server = await asyncio.start_server(self._serve, HOST, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take no more connections and end those that are open; what they asked for goes on as jobs do."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._client.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            request = await _read(reader)
            if request is None:
                return
            writer.write(await self._answer(request))
            await writer.drain()
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            if task is not None:
                self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, request: Json) -> bytes:
        if not isinstance(request, list) or not 1 <= len(request) <= 3 or not isinstance(request[0], str):
            return _refusal("a request is a list: function, list of arguments, object of keyword arguments")
        arguments = request[1] if len(request) > 1 else []
        keywords = request[2] if len(request) > 2 else {}
        if not isinstance(arguments, list) or not isinstance(keywords, dict):
            return _refusal("the arguments are a list, the keyword arguments an object")
        try:
            call = request_of(request[0], arguments, keywords)
        except CallError as error:
            return _refusal(str(error))
        content = None if call.body is None else json.dumps(call.body)
        answer = await self._client.request(
            call.method, call.path, params=dict(call.query), content=content, headers=_HEADERS if content else None
        )
        return answer.content


_HEADERS = {"content-type": "application/json"}


async def _read(reader: asyncio.StreamReader) -> Json:
    """The request; None when the connection ended before there was one. It is parsed only where it may end."""
    data = bytearray()
    while True:
        piece = await asyncio.wait_for(reader.read(_PIECE), _PATIENCE)
        if not piece and not data:
            return None
        data += piece
        if len(data) > _LIMIT:
            return "too long"
        if piece and not piece.rstrip().endswith(b"]"):
            continue
        try:
            found: Json = json.loads(bytes(data))
        except (ValueError, RecursionError):
            if not piece:
                return "no JSON"
        else:
            return found


def _refusal(message: str) -> bytes:
    document = {"overallRC": 400, "modID": 120, "rc": 400, "rs": 1, "errmsg": f"Invalid request: {message}"}
    return json.dumps({**document, "output": ""}).encode()
