"""What the audit costs a change: the time inside `audit.append`, of the time that the change takes.

One process has a simulated z/VM without latency, its agent behind a Unix socket, and a node with SQLite on disk. A
start and a stop of a guest are changes as they come in at the doors: a job of one step, asked for and waited for. Tags
of a guest are the smallest change there is: one transaction, no z/VM. A real z/VM takes longer for its part.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.table import Row
from zvmcloud.manager import guests
from zvmcloud.manager.identity import audit
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.jobs.plan import Plan, Step
from zvmcloud.manager.node import Node
from zvmcloud.manager.settings_file import build

CHANGES = 100
GOAL = 10.0
"""Percent."""
_ADMIN = Caller("bench", Role.ADMIN, project="default", address="192.0.2.1")


class _Clock:
    """Adds up the time inside `audit.append`, wherever it is called from."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.entries = 0
        self._append = audit.append

    async def append(self, *words: Any, **more: Any) -> int:
        begun = time.perf_counter()
        try:
            return await self._append(*words, **more)
        finally:
            self.seconds += time.perf_counter() - begun
            self.entries += 1


async def _measured(what: str, clock: _Clock, change: Callable[[int], Awaitable[object]]) -> list[Row]:
    for number in range(10):
        await change(number)
    clock.seconds, clock.entries = 0.0, 0
    begun = time.perf_counter()
    for number in range(CHANGES):
        await change(number)
    took = time.perf_counter() - begun
    share = clock.seconds / took * 100
    return [
        Row(f"audit: {what}, the whole change", took / CHANGES * 1000, "ms"),
        Row(f"audit: {what}, of it in the audit", share, "%", GOAL, "goal", less_is_better=True),
    ]


async def _stack(stack: AsyncExitStack, folder: Path) -> Node:
    import uvicorn  # noqa: PLC0415 (only this benchmark's own process needs these)

    from zvmcloud.serving import Server  # noqa: PLC0415
    from zvmcloud.simulator.embed import Simulator  # noqa: PLC0415
    from zvmcloud.zhcp import settings as agent_settings  # noqa: PLC0415
    from zvmcloud.zhcp.program import runner_of  # noqa: PLC0415
    from zvmcloud.zhcp.service import Service  # noqa: PLC0415

    simulator = await stack.enter_async_context(Simulator(state=folder / "zvm"))
    given = {
        "smapi": {"port": simulator.smapi_port, "userid": "ZHCP", "password": "ZHCP"},
        "machine": {"port": simulator.machine_port},
    }
    app = Service(runner_of(agent_settings.read(given, folder))).application()
    socket = folder / "agent.sock"
    server = Server(uvicorn.Config(app, uds=str(socket), log_level="error", http="h11"))
    served = asyncio.create_task(server.serve())
    stack.push_async_callback(asyncio.wait, [served])
    stack.callback(server.leave)
    while not socket.exists():  # noqa: ASYNC110 (a file is waited for)
        await asyncio.sleep(0.01)
    system = {"name": "ZVM1", "url": f"unix:{socket}"}
    node = await Node.open(build({"state": str(folder / "manager"), "systems": [system], "inventory": {"seconds": 0}}))
    stack.push_async_callback(node.close)
    await node.start()
    return node


async def _run(folder: Path) -> list[Row]:
    clock = _Clock()
    async with AsyncExitStack() as stack:
        node = await _stack(stack, folder)
        whole = {"userid": "LINUX01", "vcpus": 1, "memory_mb": 512, "max_cpus": 1, "max_memory_mb": 512}
        disk = {"vdev": "0100", "size_units": 10, "pool": "POOL1", "boot": True}
        made = Step("create", "make LINUX01", "guest.create", {**whole, "profile": "LNXDFLT", "disks": [disk]})
        mine = Step("record", "record LINUX01", "manager.guest_created", {**whole, "comments": {}, "disk_mb": 1})
        await node.runner.run(Plan("guest.create", "Make LINUX01", "ZVM1", (made, mine), "LINUX01"))
        modules = (audit, guests)  # who calls it by the module's name, and who by its own
        for module in modules:
            module.append = clock.append  # type: ignore[attr-defined]

        async def power(number: int) -> None:
            verb = "stop" if number % 2 else "start"
            step = Step(verb, f"{verb} LINUX01", f"guest.{verb}", {"userid": "LINUX01"})
            await node.runner.run(Plan(f"guest.{verb}", step.title, "ZVM1", (step,), "LINUX01"))

        async def tags(number: int) -> None:
            await node.guests.describe(_ADMIN, "ZVM1", "LINUX01", tags={"number": str(number)}, project=None)

        try:
            return [
                *await _measured("start and stop of a guest", clock, power),
                *await _measured("tags of a guest", clock, tags),
            ]
        finally:
            for module in modules:
                module.append = clock._append  # type: ignore[attr-defined]


def run() -> list[Row]:
    """The figures."""
    with tempfile.TemporaryDirectory(prefix="zvmcloud-bench-") as folder:
        return asyncio.run(_run(Path(folder)))
