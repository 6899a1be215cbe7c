"""The image repository: its names, images from URLs, and the room they take."""

from __future__ import annotations

from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from zvmcloud.api.v1.context import Member, Operator, Reader, TheNode, address_of, job_of
from zvmcloud.api.v1.document import ASKS
from zvmcloud.api.v1.models import Image, Job, Mirror
from zvmcloud.api.v1.paging import Cursor, Limit, Page, TaggedInTime, key_of, page
from zvmcloud.manager import images as repository
from zvmcloud.manager import tables
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.images import about as facts
from zvmcloud.manager.images.about import About
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.listing import Listing
from zvmcloud.manager.node import Node

router = APIRouter(tags=["images"])

IMAGES = Listing(tables.images, ("name",), project="", time="created")
Tags = Annotated[dict[str, Annotated[str, Field(max_length=255)]], Field(max_length=64)]


class Described(BaseModel):
    """What is said of an image. ``os_version``: distribution and version, as in rhel9.2; ``public``: every project
    sees it (only an operator may say so); ``protected``: it is neither deleted nor pruned; ``boot``: whether a guest
    boots from it, null for what its content says; ``project``: whose it is, empty for the caller's own."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=255)
    project: str = ""
    os_version: str = Field(default="", max_length=64)
    architecture: Literal["s390x", "s390", "noarch"] = "s390x"
    comments: str | None = Field(default=None, max_length=255)
    public: bool = False
    protected: bool = False
    boot: bool | None = None
    tags: Tags = Field(default_factory=dict)
    sha256: str = ""
    sha512: str = ""
    md5: str = ""

    def digests(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in facts.LENGTHS}

    async def about(self, node: Node, caller: Caller) -> About:
        """Whose it becomes and what it is called. Raises NotFound (project-unknown), NotAllowed (role)."""
        project = self.project or caller.project
        await node.accounts.project(project)
        caller.enters(project, Role.MEMBER, f"project {project}")
        if self.public:
            caller.needs(Role.OPERATOR)
        return About(
            name=self.name,
            project=project,
            os_version=self.os_version,
            architecture=self.architecture,
            comments=self.comments,
            public=self.public,
            protected=self.protected,
            boot=self.boot,
            tags=self.tags,
        )


class ImageSource(Described):
    """An image to fetch. ``url``: http or https; ``bytes``: its length, 0 when that is not known. One of ``sha256``,
    ``sha512`` and ``md5`` (of the file) must be given."""

    url: str = Field(min_length=1, max_length=4096)
    bytes: int = Field(default=0, ge=0)


class ImageChange(BaseModel):
    """What may be changed; what is absent stays. ``tags`` replaces all tags; an operator may give it to another
    project or make it public."""

    model_config = ConfigDict(extra="forbid")

    os_version: str | None = Field(default=None, max_length=64)
    architecture: Literal["s390x", "s390", "noarch"] | None = None
    comments: str | None = Field(default=None, max_length=255)
    public: bool | None = None
    protected: bool | None = None
    boot: bool | None = None
    tags: Tags | None = None
    project: str | None = None


class KeptFile(Mirror):
    """A file of the repository with all its names. ``stays``: why it is not pruned: in-use or protected, or empty."""

    sha256: str
    names: list[str]
    bytes: int
    last_used: float
    stays: str


class ImageStorage(Mirror):
    """The room that images take, in bytes. ``limit``: 0 for none; ``pruned``: what goes, or went, to come under it, the
    least recently used first; ``missing``: names whose file is gone or has another length."""

    limit: int
    used: int
    files: int
    pruned: list[KeptFile]
    missing: list[str]


@router.get("/images")
async def images(
    node: TheNode, caller: Reader, narrowed: TaggedInTime, project: str = "", limit: Limit = 100, cursor: Cursor = ""
) -> Page[Image]:
    """The images of the caller's projects and the public ones, by name; with ``since`` and ``until`` those made
    then."""
    seen = caller.sees
    where = [] if seen is None else [sa.or_(tables.images.c.public, tables.images.c.project.in_(seen))]
    if project:
        where.append(tables.images.c.project == project)
    rows = await IMAGES.rows(
        node.core.database,
        caller,
        after=key_of(cursor, str),
        limit=limit,
        equal={},
        where=where,
        narrowed=narrowed,
    )
    return page(rows, limit, lambda row: Image.of(repository.Image(**row)), IMAGES.key)


@router.post("/images", status_code=202, response_model=Job, name="image.import")
async def bring_in(node: TheNode, caller: Member, request: Request, body: ImageSource) -> Response:
    """Fetch an image from a URL, by a job; it is kept only if its digest is the announced one."""
    about = await body.about(node, caller)
    job = job_of(request) or new_job()
    origin = f"v1 POST /v1/images from {address_of(request)}"
    record = await node.arrivals.import_url(
        caller, about, body.url, body.digests(), size=body.bytes, origin=origin, job=job
    )
    headers = {"location": f"/v1/jobs/{record.id}"}
    return JSONResponse(Job.of(record).model_dump(mode="json"), 202, headers)


@router.get("/images/{name}")
async def image(node: TheNode, caller: Reader, name: str) -> Image:
    """One image."""
    return Image.of(await node.images.seen_by(caller, name))


@router.patch("/images/{name}")
async def change(node: TheNode, caller: Member, name: str, body: ImageChange) -> Image:
    """Change what is said of an image."""
    await node.images.changeable(caller, name)
    values = body.model_dump(exclude_unset=True)
    values = {field: value for field, value in values.items() if value is not None or field == "comments"}
    if values.get("public") or "project" in values:
        caller.needs(Role.OPERATOR)
    if "project" in values:
        await node.accounts.project(values["project"])
    if "os_version" in values:
        facts.check_os_version(values["os_version"])
        values["os_version"] = values["os_version"].lower()
    return Image.of(await node.images.change(caller, name, values))


@router.delete("/images/{name}", status_code=204)
async def delete(node: TheNode, caller: Member, request: Request, name: str) -> None:
    """Forget a name; the bytes go with the last one. Not while a job reads them, nor when it is protected."""
    await node.images.changeable(caller, name)
    await node.images.delete(name, origin=f"v1 DELETE /v1/images/{name} from {address_of(request)}")


@router.get("/image-storage", name="image-storage.show")
async def storage(node: TheNode, _caller: Operator) -> ImageStorage:
    """The room that images take, and what pruning would remove now."""
    return ImageStorage.of(await node.keeping.report())


@router.post("/image-storage/prune", name="image-storage.prune", openapi_extra=ASKS)
async def prune(
    node: TheNode,
    caller: Operator,
    dry_run: Annotated[bool, Query(description="only say what would go")] = False,
) -> ImageStorage:
    """Remove the least recently used images until the others have no more bytes than the setting images.limit."""
    return ImageStorage.of(await node.keeping.prune(caller, dry_run=dry_run))
