"""Uploads of images, which can be taken up where they were cut off.

``POST /uploads`` announces name, length and digest; ``PUT /uploads/{upload}`` sends the bytes, whole or in parts with
``Content-Range``; ``HEAD /uploads/{upload}`` tells in ``Upload-Offset`` where to go on. When all came, a job with the
id of the upload checks them and names the image.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from zvmcloud.api.v1.context import Member, Reader, TheNode, address_of, job_of
from zvmcloud.api.v1.models import Mirror
from zvmcloud.api.v1.routes.images import Described
from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.images import uploads as repository
from zvmcloud.manager.jobs.journal import new_job

router = APIRouter(tags=["images"])

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_BODY = {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
ContentRange = Annotated[str, Header(description="bytes FIRST-LAST/LENGTH of what is sent; without it, all bytes")]


class NewUpload(Described):
    """A file to upload. ``bytes``: its length. One of ``sha256``, ``sha512`` and ``md5`` must be given."""

    bytes: int = Field(ge=1)


class Upload(Mirror):
    """An upload. ``offset``: bytes that came; ``expires``: when it is forgotten, in seconds since 1970, unless more
    come; ``sha256``: as announced, or empty; ``job``: what checks and names the image, once all came."""

    id: str
    name: str
    project: str
    actor: str
    bytes: int
    sha256: str
    offset: int
    created: float
    expires: float
    job: str | None


@router.get("/uploads")
async def uploads(node: TheNode, caller: Reader) -> list[Upload]:
    """The uploads under way in the caller's projects, the oldest first."""
    return [Upload.of(found) for found in await node.uploads.list(caller)]


@router.post("/uploads", status_code=201, response_model=Upload)
async def begin(node: TheNode, caller: Member, request: Request, body: NewUpload) -> Response:
    """Announce a file; its bytes follow with PUT."""
    about = await body.about(node, caller)
    wanted = job_of(request) or new_job()
    found = await node.uploads.begin(caller, about, body.bytes, body.digests(), upload=wanted)
    return _told(found, 201)


@router.head("/uploads/{upload}", name="upload.offset", include_in_schema=False)
@router.get("/uploads/{upload}", response_model=Upload)
async def show(node: TheNode, caller: Reader, upload: str) -> Response:
    """One upload; the header Upload-Offset says how many bytes came."""
    return _told(await node.uploads.get(caller, upload), 200)


@router.put(
    "/uploads/{upload}",
    name="upload.send",
    response_model=Upload,
    responses={202: {"model": Upload, "description": "all bytes came, and the job has begun"}},
    openapi_extra={"requestBody": _BODY},
)
async def send(
    node: TheNode, caller: Member, request: Request, upload: str, content_range: ContentRange = ""
) -> Response:
    """The next bytes of an upload, which must begin where it stands. What came before a connection broke is kept."""
    start, length = await _part(node, caller, upload, content_range)
    origin = f"v1 PUT /v1/uploads/{upload} from {address_of(request)}"
    try:
        found = await node.uploads.write(caller, upload, start, length, request.stream(), origin=origin)
    except ClientDisconnect as error:
        raise HTTPException(400, "the connection ended before all announced bytes came; what came is kept") from error
    return _told(found, 202 if found.job else 200)


@router.delete("/uploads/{upload}", status_code=204)
async def drop(node: TheNode, caller: Member, upload: str) -> None:
    """Forget an upload with the bytes that came."""
    await node.uploads.drop(caller, upload)


async def _part(node: TheNode, caller: Member, upload: str, content_range: str) -> tuple[int, int | None]:
    """First byte and number of bytes. Raises BadInput (content-range)."""
    if not content_range:
        return 0, None
    found = _RANGE.fullmatch(content_range)
    if not found or int(found[2]) < int(found[1]):
        raise BadInput("content-range", content_range, "bytes FIRST-LAST/LENGTH, counted from 0, LAST included")
    size = (await node.uploads.get(caller, upload)).bytes
    if found[3] != "*" and int(found[3]) != size:
        raise BadInput("content-range", content_range, f"the file was announced with {size} bytes")
    return int(found[1]), int(found[2]) - int(found[1]) + 1


def _told(found: repository.Upload, status: int) -> Response:
    headers = {
        "upload-offset": str(found.offset),
        "upload-length": str(found.bytes),
        "location": f"/v1/uploads/{found.id}",
        "cache-control": "no-store",
    }
    return JSONResponse(Upload.of(found).model_dump(mode="json"), status, headers)
