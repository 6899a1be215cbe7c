"""The bytes of images: to agents and to who downloads them, and from agents that capture a disk."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response

from zvmcloud.api.v1.context import Credentials, TheNode, Unauthorized, caller_of
from zvmcloud.manager.core import CAPTURED, IMAGE_TOKEN_HEADER
from zvmcloud.manager.errors import Conflict, NotFound
from zvmcloud.manager.identity.quotas import megabytes
from zvmcloud.manager.identity.roles import Role
from zvmcloud.manager.jobs.plan import JobRecord
from zvmcloud.manager.node import Node

router = APIRouter(tags=["images"])

ImageToken = Annotated[str, Header(alias=IMAGE_TOKEN_HEADER)]


@router.head("/images/{name}/content", name="image.length", include_in_schema=False)
@router.get(
    "/images/{name}/content",
    name="image.download",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def content(
    node: TheNode, request: Request, name: str, image_token: ImageToken = "", credentials: Credentials = None
) -> Response:
    """The image's bytes, whole or by Range. For agents with the token of a running job, and for members who see it."""
    try:
        found = await node.images.get(name)
    except NotFound:
        (await caller_of(request, credentials)).needs(Role.MEMBER)  # who may not come in is told nothing
        raise
    if not await _job_runs(node, image_token, found.sha256):
        caller = await caller_of(request, credentials)
        caller.needs(Role.MEMBER)
        found = await node.images.seen_by(caller, name)
        if not found.public:
            caller.enters(found.project, Role.MEMBER, f"image {name}")
    path = node.images.path(found)
    if not path.is_file():
        raise Conflict(
            f"the bytes of image {name} are not in the manager's folder",
            code="image-missing",
            remedy="restore the folder, or delete the image and bring it in again",
            subject=name,
        )
    await node.images.used(found)
    headers = {
        "etag": f'"{found.sha256}"',
        "cache-control": "no-store",
        "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
    }
    return FileResponse(path, media_type="application/octet-stream", headers=headers)


@router.put("/jobs/{job}/image", include_in_schema=False)
async def captured(node: TheNode, request: Request, job: str, image_token: ImageToken = "") -> JSONResponse:
    """The image that an agent captures for a running job, with the token of that job."""
    record = await _capturing(node, job) if node.core.materials.job_of(image_token, CAPTURED) == job else None
    if record is None:
        raise Unauthorized("no valid token for this job")

    async def fits(length: int) -> None:
        await node.quotas.use(job, record.project, {"image_mb": megabytes(length)})

    try:
        return JSONResponse(await node.images.receive(job, request.stream(), fits))
    except ClientDisconnect as error:
        raise HTTPException(400, "the connection ended before the image was complete") from error


async def _job_runs(node: Node, token: str, sha256: str) -> bool:
    """Whether the token belongs to a job that reads this image and is not over."""
    job = node.core.materials.job_of(token, sha256) if token else None
    if job is None:
        return False
    try:
        record = await node.journal.get(job, with_calls=False)
    except NotFound:
        return False
    ours = record.system in node.core.agents.names  # an agent that was removed gets nothing more
    return ours and not record.over and record.image_sha256 == sha256


async def _capturing(node: Node, job: str) -> JobRecord | None:
    """The job, if it runs and captures a disk of a system that is still ours."""
    try:
        record = await node.journal.get(job, with_calls=False)
    except NotFound:
        return None
    captures = any(item.step.kind == "disk.read_image" for item in record.steps)
    return record if captures and not record.over and record.system in node.core.agents.names else None
