"""Owner and tags of what the manager does not make itself: systems, clusters, disks, adapters, networks, pools."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from zvmcloud.api.v1.context import Member, Reader, TheNode
from zvmcloud.api.v1.models import Mirror
from zvmcloud.manager.inventory import marks

router = APIRouter(tags=["inventory"])

Kind = Annotated[str, Path(description=", ".join(marks.KINDS))]


class Mark(Mirror):
    """Whose a thing is, and its tags. ``project``: null for nobody's; ``changed``: when that was said last, in seconds
    since 1970, and ``actor`` by whom."""

    kind: str
    system: str
    name: str
    project: str | None
    tags: dict[str, str]
    changed: float | None
    actor: str


class MarkChange(BaseModel):
    """What is said of a thing; what is absent stays. ``project``: empty for nobody's; ``tags`` replaces all tags."""

    model_config = ConfigDict(extra="forbid")

    project: str | None = None
    tags: dict[str, str] | None = Field(default=None, max_length=marks.MOST)


@router.get("/marks/{kind}/{system}/{name}")
async def mark(node: TheNode, caller: Reader, kind: Kind, system: str, name: str) -> Mark:
    """Whose a thing is, and its tags. ``name`` of a disk or an adapter: USERID.VDEV."""
    return Mark.of(await node.marks.get(caller, kind, system, name))


@router.patch("/marks/{kind}/{system}/{name}")
async def change_mark(node: TheNode, caller: Member, kind: Kind, system: str, name: str, body: MarkChange) -> Mark:
    """Say whose a thing is, and tag it. Disks and adapters belong to whom their guest belongs to: its members tag them;
    the rest is the operators'."""
    changed = await node.marks.change(caller, kind, system, name, project=body.project, tags=body.tags)
    return Mark.of(changed)
