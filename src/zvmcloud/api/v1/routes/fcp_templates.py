"""Templates of FCP devices: through which devices guests reach volumes, one of each channel path."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from zvmcloud.api.v1.context import Operator, TheNode
from zvmcloud.manager.fcp import TemplateChange
from zvmcloud.manager.fcp_rows import Template as Row

router = APIRouter(tags=["volumes"])

TEMPLATES = "/systems/{system}/fcp-templates"


class FcpTemplate(BaseModel):
    """A template. ``paths``: the devices of each channel path, of which a guest gets one; ``min_paths``: how many paths
    a guest needs at least, -1 for all; ``host_default``: used where no template is named."""

    id: str
    name: str
    description: str
    host_default: bool
    min_paths: int
    paths: list[list[str]]

    @classmethod
    def of(cls, row: Row) -> FcpTemplate:
        return cls(
            id=row.id, name=row.name, description=row.description, host_default=row.host_default,
            min_paths=row.min_paths, paths=[[device.fcp for device in path] for path in row.paths],
        )  # fmt: skip


class NewFcpTemplate(BaseModel):
    """``devices``: ranges, those of different channel paths behind a semicolon: 1a00-1a03;1b00-1b03."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=255)
    devices: str
    description: str = ""
    host_default: bool = False
    min_paths: int = -1


@router.get(TEMPLATES, name="fcp-template.list")
async def templates(node: TheNode, _caller: Operator, system: str) -> list[FcpTemplate]:
    """The templates of a system."""
    return [FcpTemplate.of(row) for row in await node.fcp.templates(node.core.system(system))]


@router.post(TEMPLATES, name="fcp-template.create", status_code=201)
async def create(node: TheNode, _caller: Operator, system: str, wanted: NewFcpTemplate) -> FcpTemplate:
    """Make a template."""
    change = TemplateChange(
        name=wanted.name, description=wanted.description, devices=wanted.devices, host_default=wanted.host_default,
        min_paths=wanted.min_paths,
    )  # fmt: skip
    return FcpTemplate.of(await node.fcp.create(node.core.system(system), change))


@router.delete(f"{TEMPLATES}/{{template}}", name="fcp-template.delete", status_code=204)
async def delete(node: TheNode, _caller: Operator, system: str, template: str) -> None:
    """Delete a template that no guest has devices of."""
    await node.fcp.delete(node.core.system(system), template)
