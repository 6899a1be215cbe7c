"""What a z/VM system is and has, asked of z/VM now: what a scheduler counts with."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from zvmcloud.api.v1.context import Reader, TheNode
from zvmcloud.manager.disks import BLOCK, CYLINDER
from zvmcloud.manager.facts import Document

router = APIRouter(tags=["systems"])


class Processor(BaseModel):
    """A real processor of the LPAR: ``type`` is CP, IFL, ZIIP ..."""

    address: str
    type: str
    status: str


class Pool(BaseModel):
    """A disk pool, in bytes. ``largest``: no minidisk can be larger now. ``default``: that of guests for which none is
    named."""

    name: str
    type: str
    total: int
    used: int
    largest: int
    default: bool


class Host(BaseModel):
    """A z/VM system. ``cluster``: the name of its SSI cluster, "" outside of one. ``ipl_time`` as CP writes it."""

    system: str
    version: str
    architecture: str
    machine_type: str
    model: str
    lpar: str
    ipl_time: str
    processors: list[Processor]
    memory_mb: int
    memory_used_mb: int
    cluster: str
    members: list[str]
    pools: list[Pool]


@router.get("/systems/{system}/host", name="system.host")
async def host(node: TheNode, _caller: Reader, system: str) -> Host:
    """Processors, memory, disk pools, and the SSI cluster of a system."""
    name = node.core.system(system)
    facts, cluster = await node.hosts.info(name), await node.hosts.ssi(name)
    default = node.settings.defaults.disk_pool.upper()
    member = cluster.flag("member")
    return Host(
        system=name,
        **{key: facts.text(key) for key in ("version", "architecture", "machine_type", "model", "lpar", "ipl_time")},
        processors=[
            Processor(address=item.text("address"), type=item.text("type"), status=item.text("status"))
            for item in facts.documents("processors")
        ],
        memory_mb=facts.number("memory_mb"),
        memory_used_mb=facts.number("memory_used_mb"),
        cluster=cluster.text("name") if member else "",
        members=[item.text("system") for item in cluster.documents("members")] if member else [],
        pools=[_pool(item, default) for item in await node.hosts.pools(name)],
    )


def _pool(found: Document, default: str) -> Pool:
    name, kind = found.text("name"), found.text("type")
    return Pool(
        name=name,
        type=kind,
        total=found.number("total_bytes"),
        used=found.number("used_bytes"),
        largest=found.number("largest_free") * (CYLINDER if kind == "ECKD" else BLOCK),
        default=f"{kind}:{name}" == default,
    )
