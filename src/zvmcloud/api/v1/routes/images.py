"""The image repository."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response

from zvmcloud.api.v1.context import Credentials, Reader, TheNode, Unauthorized, caller_of
from zvmcloud.api.v1.models import Image
from zvmcloud.api.v1.paging import Cursor, Limit, Page, key_of, page
from zvmcloud.manager import images as repository
from zvmcloud.manager import tables
from zvmcloud.manager.core import CAPTURED, IMAGE_TOKEN_HEADER
from zvmcloud.manager.errors import NotFound
from zvmcloud.manager.listing import Listing
from zvmcloud.manager.node import Node

router = APIRouter(tags=["images"])

IMAGES = Listing(tables.images, ("name",), project="")
ImageToken = Annotated[str, Header(alias=IMAGE_TOKEN_HEADER)]


@router.get("/images")
async def images(node: TheNode, caller: Reader, limit: Limit = 100, cursor: Cursor = "") -> Page[Image]:
    """The images of the caller's projects and the public ones, by name."""
    seen = caller.sees
    where = [] if seen is None else [sa.or_(tables.images.c.public, tables.images.c.project.in_(seen))]
    rows = await IMAGES.rows(node.core.database, caller, after=key_of(cursor, str), limit=limit, equal={}, where=where)
    return page(rows, limit, lambda row: Image.of(repository.Image(**row)), IMAGES.key)


@router.get("/images/{name}")
async def image(node: TheNode, caller: Reader, name: str) -> Image:
    """One image."""
    return Image.of(await node.images.seen_by(caller, name))


@router.get(
    "/images/{name}/content",
    name="image.download",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def content(
    node: TheNode, request: Request, name: str, image_token: ImageToken = "", credentials: Credentials = None
) -> Response:
    """The image's bytes, whole or by Range. For agents with the token of a running job, and for who sees the image."""
    try:
        found = await node.images.get(name)
    except NotFound:
        await caller_of(request, credentials)  # who may not come in is not told which images there are
        raise
    if not await _job_runs(node, image_token, found.sha256):
        found = await node.images.seen_by(await caller_of(request, credentials), name)
    headers = {"etag": f'"{found.sha256}"', "cache-control": "no-store"}
    return FileResponse(node.images.path(found), media_type="application/octet-stream", headers=headers)


@router.put("/jobs/{job}/image", include_in_schema=False)
async def captured(node: TheNode, request: Request, job: str, image_token: ImageToken = "") -> JSONResponse:
    """The image that an agent captures for a running job, with the token of that job."""
    if node.core.materials.job_of(image_token, CAPTURED) != job or not await _job_captures(node, job):
        raise Unauthorized("no valid token for this job")
    try:
        return JSONResponse(await node.images.receive(job, request.stream()))
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
    return not record.over and record.image_sha256 == sha256


async def _job_captures(node: Node, job: str) -> bool:
    """Whether a job runs that captures a disk."""
    try:
        record = await node.journal.get(job, with_calls=False)
    except NotFound:
        return False
    return not record.over and any(item.step.kind == "disk.read_image" for item in record.steps)
