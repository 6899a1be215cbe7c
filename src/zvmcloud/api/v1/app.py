"""The FastAPI application mounted at ``/v1``. Route bodies are one call of a manager service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response

from zvmcloud import __version__
from zvmcloud.api.v1.models import Guest, Health, Image, Job, Problem, System
from zvmcloud.manager.core import CAPTURED, IMAGE_TOKEN_HEADER
from zvmcloud.manager.errors import ManagerError, NotFound
from zvmcloud.manager.node import Node

_BEARER = HTTPBearer(auto_error=False, description="The admin token that `manager init` prints")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


class Unauthorized(ManagerError):
    status = 401
    code = "unauthorized"
    title = "Unauthorized"


def application(node: Node) -> FastAPI:
    """The native API over ``node``."""
    app = FastAPI(
        title="zvmcloud",
        version=__version__,
        description="Cloud management for IBM z/VM.",
        docs_url=None,
        redoc_url=None,
        responses={"4XX": {"model": Problem}, "5XX": {"model": Problem}},
    )
    app.state.node = node
    guarded = [Depends(_admin)]

    @app.get("/health")
    async def health() -> Health:
        """Whether this manager serves; needs no token."""
        return Health(version=__version__, epoch=node.journal.epoch)

    @app.get("/systems", dependencies=guarded)
    async def systems() -> list[System]:
        """The z/VM systems, and whether each one's agent answers now."""
        default = node.settings.system()
        reachable = await asyncio.gather(*(_reachable(node, system.name) for system in node.settings.systems))
        return [
            System(name=system.name, url=system.url, default=system == default, reachable=up)
            for system, up in zip(node.settings.systems, reachable, strict=True)
        ]

    @app.get("/guests", dependencies=guarded)
    async def guests(system: str = "") -> list[Guest]:
        """The guests this manager owns."""
        name = node.core.system(system) if system else ""
        return [
            Guest(
                system=row["system"],
                userid=row["userid"],
                id=row["id"],
                created=row["created"],
                os_version=row["os_version"],
                image_sha256=row["image_sha256"],
            )
            for row in await node.guests.rows(name)
        ]

    @app.get("/images", dependencies=guarded)
    async def images() -> list[Image]:
        return [Image.of(row) for row in await node.images.list()]

    @app.get("/images/{name}", dependencies=guarded)
    async def image(name: str) -> Image:
        return Image.of(await node.images.get(name))

    @app.get("/images/{name}/content", response_class=FileResponse)
    async def content(
        request: Request,
        name: str,
        image_token: Annotated[str, Header(alias=IMAGE_TOKEN_HEADER)] = "",
        credentials: Credentials = None,
    ) -> Response:
        """The image's bytes, whole or by Range. For agents with the token of a running job, and for admins."""
        found = await node.images.get(name)
        if not await _job_runs(node, image_token, found.sha256):
            await _admin(request, credentials)
        headers = {"etag": f'"{found.sha256}"', "cache-control": "no-store"}
        return FileResponse(node.images.path(found), media_type="application/octet-stream", headers=headers)

    @app.put("/jobs/{job}/image", include_in_schema=False)
    async def captured(
        request: Request, job: str, image_token: Annotated[str, Header(alias=IMAGE_TOKEN_HEADER)] = ""
    ) -> JSONResponse:
        """The image that an agent captures for a running job, with the token of that job."""
        if node.core.materials.job_of(image_token, CAPTURED) != job or not await _job_captures(node, job):
            raise Unauthorized("no valid token for this job")
        try:
            return JSONResponse(await node.images.receive(job, request.stream()))
        except ClientDisconnect as error:
            raise HTTPException(400, "the connection ended before the image was complete") from error

    @app.get("/jobs", dependencies=guarded)
    async def jobs(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: float | None = None,
        userid: str = "",
        state: str = "",
        system: str = "",
    ) -> list[Job]:
        """The newest jobs first, without their steps."""
        rows = await node.journal.list(limit=limit, before=before, userid=userid, state=state, system=system)
        return [Job.of(row) for row in rows]

    @app.get("/jobs/{job}", dependencies=guarded)
    async def job(job: str) -> Job:
        """One job with its steps and every call they made."""
        return Job.of(await node.journal.get(job))

    @app.post("/jobs/{job}/cancel", dependencies=guarded)
    async def cancel(job: str) -> Job:
        """Ask a job to stop and undo what it did."""
        return Job.of(await node.runner.cancel(job))

    @app.get("/jobs/{job}/events", dependencies=guarded, response_class=StreamingResponse)
    async def events(job: str) -> StreamingResponse:
        """Server-sent events: the job as a ``job`` event now and after every change, until it is over."""
        await node.journal.get(job, with_calls=False)
        return StreamingResponse(
            _events(node, job), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    app.add_exception_handler(ManagerError, _problem)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    return app


async def _admin(request: Request, credentials: Credentials) -> None:
    """Raises Unauthorized without the bearer token of an admin."""
    node: Node = request.app.state.node
    if credentials is None or await node.token_role(credentials.credentials) != "admin":
        raise Unauthorized(
            "no valid token",
            remedy="send Authorization: Bearer with the token that the manager printed at its first start",
        )


async def _events(node: Node, job: str) -> AsyncIterator[str]:
    last = ""
    async for record in node.journal.watch(job):
        document = Job.of(record).model_dump_json()
        if document != last:
            last = document
            yield f"event: job\ndata: {document}\n\n"


async def _reachable(node: Node, system: str) -> bool:
    try:
        return await node.hosts.healthy(system)
    except ManagerError:
        return False


async def _job_runs(node: Node, token: str, sha256: str) -> bool:
    """Whether the token belongs to a job that reads this image and is not over."""
    job = node.core.materials.job_of(token, sha256) if token else None
    if job is None:
        return False
    try:
        record = await node.journal.get(job, with_calls=False)
    except NotFound:
        return False
    return not record.over and record.image_sha256 == sha256


async def _job_captures(node: Node, job: str) -> bool:
    """Whether a job runs that captures a disk."""
    try:
        record = await node.journal.get(job, with_calls=False)
    except NotFound:
        return False
    return not record.over and any(item.step.kind == "disk.read_image" for item in record.steps)


async def _problem(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ManagerError):
        raise error
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    return JSONResponse(error.problem(), error.status, headers, media_type="application/problem+json")


async def _http_problem(_request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    document = Problem(title=detail, status=status, code="http", detail=detail).model_dump()
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return JSONResponse(document, status, headers, media_type="application/problem+json")


async def _validation_problem(_request: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    detail = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in found)
    document = Problem(title="Bad input", status=400, code="bad-input", detail=detail).model_dump()
    return JSONResponse(document, 400, media_type="application/problem+json")
