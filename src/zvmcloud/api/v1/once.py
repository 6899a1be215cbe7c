"""``Idempotency-Key`` on POST: a request that is sent twice is done once and answered twice.

The first answer is kept for a day, unless it is an error of ours (5xx), tells the caller to wait (429), or that it may
not (401, 403): then the next request with the key tries again. An answer that holds a new secret (of a route with
``TELLS_SECRET``) is not kept; a repetition is told so. Answers are kept for who holds a token, as long as it is valid.
"""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zvmcloud.api.v1 import problems
from zvmcloud.api.v1.context import ONCE, Once, holder_of
from zvmcloud.manager.errors import BadInput, Conflict, ManagerError
from zvmcloud.manager.idempotency import Answer, Idempotency
from zvmcloud.manager.node import Node

REPLAYED = "idempotency-replayed"
_MOST = 4 * 2**20
"""Bytes of a request's body; requests of the native API are small, and bulk data comes by PUT."""
_KEPT_HEADERS = ("content-type", "location")
_NOT_KEPT = frozenset({401, 403, 429})


class OnceOnly:
    """Around the native API."""

    def __init__(self, app: ASGIApp, node: Node) -> None:
        self._app = app
        self._node = node
        self._kept: Idempotency = node.idempotency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        key = request.headers.get("idempotency-key") if scope["type"] == "http" and scope["method"] == "POST" else None
        caller = await holder_of(self._node, request) if key is not None else None
        if key is None or caller is None:
            await self._app(scope, receive, send)
            return
        try:
            identity = self._kept.identify(request.headers.get("authorization", ""), key)
            body = await _body(request)
            said = f"{scope['path']}?{request.url.query}\n".encode() + body
            known = await self._kept.begin(identity, hashlib.sha256(said).hexdigest())
        except ManagerError as error:
            await problems.answer(error)(scope, receive, send)
            return
        if known is not None:
            await _again(known)(scope, receive, send)
            return
        scope[ONCE] = once = Once(caller, self._kept.job(identity))
        await self._first(scope, body, send, identity, once)

    async def _first(self, scope: Scope, body: bytes, send: Send, identity: str, once: Once) -> None:
        status, headers, parts = 500, dict[str, str](), list[bytes]()
        sent = False

        async def receive() -> Message:
            nonlocal sent
            if sent:
                return {"type": "http.disconnect"}
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name.decode(): value.decode() for name, value in message["headers"]}
                headers.update({name: given[name] for name in _KEPT_HEADERS if name in given})
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
                if not message.get(
                    "more_body"
                ):  # kept before the last byte goes out: who has the answer can rely on it
                    await self._keep(identity, Answer(status, headers, b"".join(parts).decode()), secret=once.secret)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except BaseException:
            await self._kept.forget(identity)
            raise

    async def _keep(self, identity: str, answer: Answer, *, secret: bool) -> None:
        if answer.status >= 500 or answer.status in _NOT_KEPT:
            await self._kept.forget(identity)
        elif secret and answer.status < 300:
            told = Conflict(
                "this was done before; its answer held a secret, which is not kept",
                code="idempotency-secret",
                remedy="look at what was made; if the secret is lost, revoke it and make another with a new key",
            )
            problem = problems.answer(told)
            headers = {"content-type": problems.MEDIA_TYPE}
            await self._kept.end(identity, Answer(told.status, headers, bytes(problem.body).decode()))
        else:
            await self._kept.end(identity, answer)


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > _MOST:
            raise BadInput("body", f"{size} bytes and more", f"at most {_MOST} bytes with an Idempotency-Key")
        parts.append(part)
    return b"".join(parts)


def _again(answer: Answer) -> Response:
    return Response(answer.body, answer.status, {**answer.headers, REPLAYED: "true"})
