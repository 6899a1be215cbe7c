"""A node over a real agent over a simulated z/VM, all in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from starlette.types import ASGIApp

from asgi import AsgiDoor
from manager.support import TaskEngine
from zvmcloud.manager.agents import Agent, Agents
from zvmcloud.manager.node import Node
from zvmcloud.manager.settings import Settings
from zvmcloud.simulator.embed import Member, Simulator
from zvmcloud.simulator.presets import Model
from zvmcloud.zhcp import settings as agent_settings
from zvmcloud.zhcp.program import runner_of
from zvmcloud.zhcp.service import Service


@dataclass
class Managed:
    """A z/VM system, or the members of a cluster, and the node that manages them."""

    node: Node
    simulator: Simulator
    agent: ASGIApp
    """Of the first system."""


@asynccontextmanager
async def managed(
    folder: Path, found: Settings, model: Model | None = None, **more: Mapping[str, object]
) -> AsyncIterator[Managed]:
    """The node is started; its systems are the simulated ones, one after the other. ``more``: tables of the agents'
    settings."""
    async with AsyncExitStack() as opened:
        simulator = await opened.enter_async_context(Simulator(state=folder / "zvm", model=model))
        apps = [await opened.enter_async_context(_agent(folder, member, more)) for member in simulator.members]
        doors = [AsgiDoor(httpx.ASGITransport(app, raise_app_exceptions=False)) for app in apps]
        agents = Agents([Agent(system, door) for system, door in zip(found.systems, doors, strict=False)])
        node = await Node.open(found, engine=lambda steps, _: TaskEngine(steps), agents=agents)
        opened.push_async_callback(node.close)
        await node.start()
        yield Managed(node, simulator, apps[0])


@asynccontextmanager
async def _agent(folder: Path, member: Member, more: Mapping[str, Mapping[str, object]]) -> AsyncIterator[ASGIApp]:
    """The agent of one system."""
    storage = {"state": str(folder / f"agent-{member.name}"), **more.get("storage", {})}
    settings = agent_settings.read(
        {
            "smapi": {"port": member.smapi_port, "userid": "ZHCP", "password": "ZHCP", "timeout": 10},
            "machine": {"port": member.machine_port},
            **more,
            "storage": storage,
        },
        folder,
    )
    runner = runner_of(settings)
    try:
        yield Service(runner).application()
    finally:
        await runner.stop()
