"""A node over a fake agent, for the tests of the manager and of its doors."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from asgi import AsgiDoor
from manager.fake_zhcp import FakeZhcp
from zvmcloud.images import header
from zvmcloud.manager import tables
from zvmcloud.manager.agents import Agent, Agents
from zvmcloud.manager.jobs.plan import JobRecord
from zvmcloud.manager.jobs.rows import without_steps
from zvmcloud.manager.jobs.runner import Runner
from zvmcloud.manager.node import EngineFactory, Node
from zvmcloud.manager.settings import Settings
from zvmcloud.manager.settings_file import build


class TaskEngine:
    """An engine without durability: runs a job's steps as an asyncio task, in the order the durable one does."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        pass

    async def submit(self, job: str) -> None:
        task = asyncio.create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def adopt(self, members: Collection[str]) -> None:
        del members

    async def forget(self, runs: Sequence[str]) -> None:
        del runs

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _run(self, job: str) -> None:
        record = await self._runner.journal.get(job)
        if record.backwards:
            for done in reversed(range(len(record.steps))):
                await self._runner.undo(job, done)
            await self._runner.close(job, "undone")
            return
        for number in range(len(record.steps)):
            state = await self._runner.step(job, number)
            if state != "done":
                for done in reversed(range(number)):
                    await self._runner.undo(job, done)
                await self._runner.close(job, state)
                return
        await self._runner.close(job, "done")


async def all_jobs(node: Node) -> list[JobRecord]:
    """Every job of the node, the newest first, without steps."""
    async with node.core.database.read() as connection:
        rows = await connection.execute(sa.select(tables.jobs).order_by(tables.jobs.c.created.desc()))
        return [without_steps(row) for row in rows.mappings()]


def settings(state: Path, **more: Any) -> Settings:
    document: dict[str, Any] = {
        "state": str(state),
        "base_url": "http://manager",
        "import_folders": [str(state.parent)],
        "export_folders": [str(state.parent / "out")],
        "import_hosts": ["127.0.0.1"],
        "inventory": {"seconds": 0},
        "systems": [{"name": "ZVM1", "url": "http://zhcp"}],
        **more,
    }
    return build(document)


@asynccontextmanager
async def running(
    zhcp: FakeZhcp, found: Settings, *, engine: EngineFactory | None = None, **others: FakeZhcp
) -> AsyncIterator[Node]:
    """A started node. `others` are the agents of systems by name; every system without one has `zhcp`."""
    doors = {system.name: AsgiDoor(httpx.ASGITransport(others.get(system.name, zhcp).app)) for system in found.systems}
    agents = Agents([Agent(system, doors[system.name]) for system in found.systems])
    node = await Node.open(found, engine=engine or (lambda runner, _: TaskEngine(runner)), agents=agents)
    await node.start()
    try:
        yield node
    finally:
        await node.close()


def image_file(folder: Path, name: str = "sample.img", cylinders: int = 10, body: bytes = b"tracks") -> Path:
    """An image file with a proper header."""
    path = folder / name
    path.write_bytes(header.render(header.ImageHeader(header.ImageKind.CKD, cylinders)) + gzip.compress(body, mtime=0))
    return path
