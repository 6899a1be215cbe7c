"""A node over a real agent over a simulated z/VM, all in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from starlette.types import ASGIApp

from asgi import AsgiDoor
from manager.support import TaskEngine
from zvmcloud.manager.agents import Agent, Agents
from zvmcloud.manager.node import Node
from zvmcloud.manager.settings import Settings
from zvmcloud.simulator.embed import Simulator
from zvmcloud.zhcp import settings as agent_settings
from zvmcloud.zhcp.program import runner_of
from zvmcloud.zhcp.service import Service


@dataclass
class Managed:
    """A z/VM system, and the node that manages it as ZVM1."""

    node: Node
    simulator: Simulator
    agent: ASGIApp


@asynccontextmanager
async def managed(folder: Path, found: Settings, **more: object) -> AsyncIterator[Managed]:
    """The node is started; its first system is the simulated one. ``more``: members of the agent's settings."""
    async with Simulator(state=folder / "zvm") as simulator:
        settings = agent_settings.read(
            {
                "smapi": {"port": simulator.smapi_port, "userid": "ZHCP", "password": "ZHCP", "timeout": 10},
                "machine": {"port": simulator.machine_port},
                **more,
            },
            folder,
        )
        runner = runner_of(settings)
        app = Service(runner).application()
        agents = Agents([Agent(found.systems[0], AsgiDoor(httpx.ASGITransport(app, raise_app_exceptions=False)))])
        node = await Node.open(found, engine=lambda steps, _: TaskEngine(steps), agents=agents)
        await node.start()
        try:
            yield Managed(node, simulator, app)
        finally:
            await node.close()
            await runner.stop()
