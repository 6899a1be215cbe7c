"""The agent's HTTP door (Starlette). The routes are the contract; every error is a problem document.

PUT, GET /v1/operations/{job}/{step}?wait=seconds      DELETE /v1/operations/{job}/{step}?epoch=number&wait=seconds
GET /v1/health  /v1/system  /v1/smapi  /v1/volumes  /v1/fcps  /v1/luns  /v1/osas  /v1/ssi  /v1/traffic
GET /v1/space  /v1/samples?io=userid,...  /v1/inventory?known=tag|userids=A,B  /v1/events?stream=&after=&wait=seconds
GET /v1/pools[/{name}]  /v1/guests[/{userid}[/console?kb=|/adapters|/reader|/relocation?destination=]]
GET /v1/vswitches[?fields=name]  /v1/vswitches/{name}  /v1/lans
GET /v1/cache   DELETE /v1/cache[/{digest}]?epoch=number
POST /v1/guests/{userid}/command  /v1/operations/rehearse
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from zvmcloud.cp.answers import AnswerError
from zvmcloud.cp.commands import OperandError
from zvmcloud.smapi.errors import WireError
from zvmcloud.zhcp import cached, inventory, queries, samples, switch_queries, system_queries
from zvmcloud.zhcp.errors import HIDDEN, AgentError, FieldError, Json, Problem
from zvmcloud.zhcp.happenings import LONGEST_WAIT, Happenings
from zvmcloud.zhcp.messages import OperationOutcome
from zvmcloud.zhcp.operations import fcps, lans, reader, relocate
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.rehearsal import rehearse
from zvmcloud.zhcp.runner import Runner

MAX_BODY = 128 * 1024 * 1024
MAX_WAIT = 300.0
DEFAULT_WAIT = 60.0
_NAME = 128
log = logging.getLogger(__name__)
Query = Callable[[Context, Request], Awaitable[dict[str, Json]]]


class _NoBrowsers:
    """Refuses what a browser sends: any web page could otherwise reach an agent that listens on loopback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope.get("headers", ())}
        if scope["type"] == "http" and names & {b"origin", b"sec-fetch-site"}:
            problem = Problem(403, "browser", "an agent talks to managers, not to web pages")
            await _answer(problem)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _answer(problem: Problem) -> Response:
    return JSONResponse(problem.to_json(), status_code=problem.status, media_type="application/problem+json")


def _told(outcome: OperationOutcome) -> Response:
    return Response(outcome.document, media_type="application/json")


async def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, AgentError):
        return _answer(error.problem)
    if isinstance(error, OperandError):
        return _answer(Problem(400, "bad-parameter", str(error), remedy=f"correct {error.operand}"))
    if isinstance(error, AnswerError | WireError):
        return _answer(Problem(502, "answer-not-understood", str(error)))
    if isinstance(error, HTTPException):
        code = {404: "route-unknown", 405: "method-unknown"}.get(error.status_code, "bad-request")
        return _answer(Problem(error.status_code, code, f"{request.method} {request.url.path}: {error.detail}"))
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(Problem(500, "internal", f"{type(error).__name__}: {error}", remedy="see the agent's log"))


async def _body(request: Request) -> dict[str, Json]:
    """The JSON object of a request. AgentError 413, FieldError."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY:
                raise AgentError(413, "body-too-large", f"the body has more than {MAX_BODY} bytes")
            parts.append(part)
    except ClientDisconnect as error:
        raise AgentError(400, "bad-request", "the connection ended before the body was complete") from error
    try:
        document = json.loads(b"".join(parts))
    except (ValueError, RecursionError) as problem:
        raise FieldError(
            "body", b"".join(parts)[:40].decode("utf-8", "replace"), f"JSON is expected ({problem})"
        ) from problem
    if not isinstance(document, dict):
        raise FieldError("body", type(document).__name__, "a JSON object is expected")
    return document


def _number(request: Request, name: str, default: float, low: float, high: float) -> float:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise FieldError(name, text, f"a number from {low:g} to {high:g}")
    return value


def _key(request: Request) -> tuple[str, str]:
    job, step = request.path_params["job"], request.path_params["step"]
    for name, value in (("job", job), ("step", step)):
        if not 1 <= len(value) <= _NAME or not value.isprintable():
            raise FieldError(name, value, f"1 to {_NAME} printable characters")
    return job, step


class Service:
    """The routes over one runner."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._inventory = inventory.Inventory()
        self._happenings = Happenings(runner.smapi)

    def application(self) -> Starlette:
        """The ASGI application; its lifespan detaches leftovers at the start and stops the runner at the end."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            recovery = asyncio.create_task(self._recover())
            yield
            recovery.cancel()
            await asyncio.wait([recovery])
            await self._happenings.close()
            await self._runner.stop()

        operation = "/v1/operations/{job}/{step}"
        routes = [
            self._query("/v1/operations/rehearse", _rehearse, "POST"),
            Route(operation, self.put, methods=["PUT"]),
            Route(operation, self.get, methods=["GET"]),
            Route(operation, self.delete, methods=["DELETE"]),
            self._query("/v1/health", lambda c, _: queries.health(c)),
            self._query("/v1/system", lambda c, _: queries.system(c)),
            self._query("/v1/smapi", lambda c, _: system_queries.smapi(c)),
            self._query("/v1/volumes", lambda c, _: system_queries.volumes(c)),
            self._query("/v1/osas", lambda c, _: system_queries.osas(c)),
            self._query("/v1/space", lambda c, _: system_queries.space(c)),
            self._query("/v1/samples", lambda c, r: samples.sample(c, r.query_params.get("io", ""))),
            self._query("/v1/inventory", self._look),
            self._query("/v1/events", lambda _, r: self._events(r)),
            self._query("/v1/fcps", lambda c, _: fcps.devices(c)),
            self._query("/v1/luns", lambda c, _: fcps.luns(c)),
            self._query("/v1/ssi", lambda c, _: system_queries.ssi(c)),
            self._query("/v1/traffic", lambda c, _: system_queries.traffic(c)),
            self._query("/v1/pools", lambda c, _: queries.all_pools(c)),
            self._query("/v1/pools/{name}", lambda c, r: queries.one_pool(c, r.path_params["name"])),
            self._query("/v1/lans", _lans),
            self._query("/v1/guests", lambda c, _: queries.guests(c)),
            self._query("/v1/guests/{userid}", lambda c, r: queries.guest(c, r.path_params["userid"])),
            self._query("/v1/guests/{userid}/console", _console),
            self._query("/v1/guests/{userid}/adapters", lambda c, r: queries.adapters(c, r.path_params["userid"])),
            self._query("/v1/guests/{userid}/reader", _reader),
            self._query("/v1/guests/{userid}/relocation", _relocation),
            self._query("/v1/guests/{userid}/command", _command, "POST"),
            self._query("/v1/cache", lambda c, _: cached.listing(c.images)),
            self._query("/v1/cache", _purge, "DELETE"),
            self._query("/v1/cache/{digest}", _purge, "DELETE"),
            self._query("/v1/vswitches", _vswitches),
            self._query("/v1/vswitches/{name}", lambda c, r: switch_queries.vswitch(c, r.path_params["name"])),
        ]
        return Starlette(
            routes=routes,
            lifespan=lifespan,
            middleware=[Middleware(_NoBrowsers)],
            exception_handlers={
                AgentError: _failed,
                OperandError: _failed,
                AnswerError: _failed,
                WireError: _failed,
                HTTPException: _failed,
                Exception: _failed,
            },
        )

    def leave(self) -> None:
        """Answer the requests that wait for something: the agent is about to stop."""
        self._happenings.leave()
        self._runner.leave()

    async def _recover(self) -> None:
        """Detach what a crash left linked; until z/VM can be reached, try again every few seconds."""
        while True:
            try:
                await self._runner.recover()
            except AgentError as problem:
                log.warning("leftover links cannot be looked at yet: %s", problem)
                await asyncio.sleep(5)
            else:
                return

    def _query(self, path: str, ask: Query, method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            return JSONResponse(await ask(self._runner.context(), request))

        return Route(path, endpoint, methods=[method])

    async def _events(self, request: Request) -> dict[str, Json]:
        after = int(_number(request, "after", 0, 0, 2**53))
        wait = _number(request, "wait", 0, 0, LONGEST_WAIT)
        return await self._happenings.after(request.query_params.get("stream", ""), after, wait)

    async def _look(self, context: Context, request: Request) -> dict[str, Json]:
        asked = request.query_params
        if "userids" in asked:
            return await inventory.some(context, asked["userids"])
        return await self._inventory.look(context, asked.get("known", ""))

    async def put(self, request: Request) -> Response:
        """Start or join an operation and wait for it."""
        job, step = _key(request)
        wait = _number(request, "wait", DEFAULT_WAIT, 0, MAX_WAIT)
        body = await _body(request)
        for name in body:
            if name not in ("epoch", "kind", "parameters"):
                raise FieldError(name, HIDDEN, "unknown; expected are epoch, kind, parameters")
        epoch = queries.checked_epoch(body.get("epoch"))
        key = await self._runner.submit(job, step, epoch, body.get("kind"), body.get("parameters", {}))
        return _told(await self._runner.outcome(key, wait))

    async def get(self, request: Request) -> Response:
        """The state of an operation, or its outcome if it ends within `wait` seconds."""
        job, step = _key(request)
        wait = _number(request, "wait", DEFAULT_WAIT, 0, MAX_WAIT)
        return _told(await self._runner.outcome(f"{job}/{step}", wait))

    async def delete(self, request: Request) -> Response:
        """Cancel an operation, be it that it was not sent yet; `epoch` of who asks, refused when another manager has
        taken over. Its state after at most `wait` seconds."""
        job, step = _key(request)
        wait = _number(request, "wait", DEFAULT_WAIT, 0, MAX_WAIT)
        return _told(await self._runner.cancel(job, step, _epoch(request), wait))


def _epoch(request: Request) -> int:
    """The `epoch` of who asks without a body. FieldError."""
    epoch = request.query_params.get("epoch", "")
    return queries.checked_epoch(int(epoch) if epoch.isdecimal() else epoch)


async def _purge(context: Context, request: Request) -> dict[str, Json]:
    await context.journal.fence(_epoch(request))
    return await cached.purge(context.images, request.path_params.get("digest", ""))


async def _rehearse(context: Context, request: Request) -> dict[str, Json]:
    body = await _body(request)
    for name in body:
        if name != "operations":
            raise FieldError(name, HIDDEN, "unknown; expected is operations")
    return await rehearse(context, body)


async def _lans(context: Context, _: Request) -> dict[str, Json]:
    return {"lans": [*await lans.find(context)]}


async def _vswitches(context: Context, request: Request) -> dict[str, Json]:
    """All of them, or with `fields=name` their names alone, which costs much less where thousands are connected."""
    wanted = request.query_params.get("fields", "")
    if wanted not in ("", "name"):
        raise FieldError("fields", wanted, "name, or nothing for everything")
    return await (switch_queries.vswitch_names(context) if wanted else switch_queries.vswitches(context))


async def _console(context: Context, request: Request) -> dict[str, Json]:
    kilobytes = int(_number(request, "kb", 100, 1, 8192))
    userid = request.path_params["userid"]
    return {"userid": userid.upper(), "text": await queries.console(context, userid, kilobytes)}


async def _relocation(context: Context, request: Request) -> dict[str, Json]:
    asked = request.query_params
    return await relocate.precheck(
        context, request.path_params["userid"], asked.get("destination", ""), asked.get("force", "")
    )


async def _reader(context: Context, request: Request) -> dict[str, Json]:
    return await reader.listing(context, queries.checked_userid(request.path_params["userid"]))


async def _command(context: Context, request: Request) -> dict[str, Json]:
    return await queries.command(context, request.path_params["userid"], await _body(request))
