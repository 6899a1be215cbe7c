"""Health, and the z/VM systems."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from zvmcloud import __version__
from zvmcloud.api.v1.context import Reader, TheNode
from zvmcloud.api.v1.models import Health, System
from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.node import Node

router = APIRouter(tags=["systems"])


@router.get("/health")
async def health(node: TheNode) -> Health:
    """Whether this manager serves; needs no token."""
    return Health(version=__version__, epoch=node.journal.epoch)


@router.get("/systems")
async def systems(node: TheNode, _caller: Reader) -> list[System]:
    """The z/VM systems, and whether each one's agent answers now."""
    default = node.settings.system()
    reachable = await asyncio.gather(*(_reachable(node, system.name) for system in node.settings.systems))
    return [
        System(name=system.name, url=system.url, default=system == default, reachable=up)
        for system, up in zip(node.settings.systems, reachable, strict=True)
    ]


async def _reachable(node: Node, system: str) -> bool:
    try:
        return await node.hosts.healthy(system)
    except ManagerError:
        return False
