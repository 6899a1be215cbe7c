"""The last answer: requests that are under way when the manager stops get one that a client can read."""

from __future__ import annotations

import asyncio

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zvmcloud.api.connector.envelope import fault
from zvmcloud.manager.errors import Busy
from zvmcloud.manager.node import Node

_DETAIL = "The manager is stopping; a change that has begun goes on when it is started again."


class Farewell:
    """Around both doors: answers 503 for a request that the server cancels because its time to stop has come."""

    def __init__(self, app: ASGIApp, node: Node) -> None:
        self._app = app
        self._node = node

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:
            if not self._node.stopping or scope["type"] != "http":
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            if begun:
                return  # half an answer: the server closes the connection
            headers = {"retry-after": "5", "connection": "close"}
            if str(scope["path"]).startswith("/v1/"):
                problem = Busy(_DETAIL, code="stopping").problem()
                answer = JSONResponse(problem, 503, headers, media_type="application/problem+json")
                await answer(scope, receive, send)
            else:
                await fault(503, _DETAIL, headers)(scope, receive, send)
