"""What the audit costs a change: how much longer it takes than the same change without its entries.

One process has a simulated z/VM without latency, its agent behind a Unix socket, and a node with SQLite on disk. A
start and a stop of a guest are jobs of one step, asked for and waited for: two entries. Tags of a guest are the
smallest change there is, one transaction and no z/VM: once as the request that comes in at the door (without a socket),
once only the transaction, for which there is no goal: an entry there is one of two rows. A real z/VM takes longer for
its part.

Batches with and without audit take turns, and medians are compared, so that others on the machine disturb both alike.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message

from benchmarks.table import Row
from zvmcloud.api.program import doors
from zvmcloud.manager import guests
from zvmcloud.manager.identity import audit
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.jobs.plan import Plan, Step
from zvmcloud.manager.node import Node
from zvmcloud.manager.settings_file import build

BATCHES, CHANGES = 20, 10
GOAL = 10.0
"""Percent."""
_ADMIN = Caller("bench", Role.ADMIN, project="default", address="192.0.2.1")


class _Entries:
    """Switches `audit.append` off and on, wherever it is called from."""

    def __init__(self, *modules: Any) -> None:
        self._modules = modules
        self._append = audit.append

    def write(self, *, on: bool) -> None:
        for module in self._modules:
            module.append = self._append if on else _nothing


async def _nothing(*_words: Any, **_more: Any) -> int:
    return 0


async def _measured(
    what: str, entries: _Entries, change: Callable[[int], Awaitable[object]], goal: float | None = GOAL
) -> list[Row]:
    took: dict[bool, list[float]] = {True: [], False: []}
    for batch in range(2 * BATCHES + 2):
        on = batch % 2 == 0
        entries.write(on=on)
        for number in range(CHANGES):
            begun = time.perf_counter()
            await change(number)
            if batch >= 2:
                took[on].append(time.perf_counter() - begun)
    entries.write(on=True)
    whole, bare = (statistics.median(took[on]) * 1000 for on in (True, False))
    return [
        Row(f"audit: {what}, the whole change", whole, "ms"),
        Row(f"audit: {what}, of it for the audit", whole - bare, "ms"),
        Row(
            f"audit: {what}, that is",
            (whole - bare) / whole * 100,
            "%",
            goal,
            "goal" if goal else "",
            less_is_better=True,
        ),
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
    async with AsyncExitStack() as stack:
        node = await _stack(stack, folder)
        whole = {"userid": "LINUX01", "vcpus": 1, "memory_mb": 512, "max_cpus": 1, "max_memory_mb": 512}
        disk = {"vdev": "0100", "size_units": 10, "pool": "POOL1", "boot": True}
        made = Step("create", "make LINUX01", "guest.create", {**whole, "profile": "LNXDFLT", "disks": [disk]})
        mine = Step("record", "record LINUX01", "manager.guest_created", {**whole, "comments": {}, "disk_mb": 1})
        await node.runner.run(Plan("guest.create", "Make LINUX01", "ZVM1", (made, mine), "LINUX01"))
        entries = _Entries(audit, guests)  # who calls it by the module's name, and who by its own
        door = doors(node)

        async def power(number: int) -> None:
            verb = "stop" if number % 2 else "start"
            step = Step(verb, f"{verb} LINUX01", f"guest.{verb}", {"userid": "LINUX01"})
            await node.runner.run(Plan(f"guest.{verb}", step.title, "ZVM1", (step,), "LINUX01"))

        async def request(number: int) -> None:
            await _patch(door, str(node.new_admin_token), {"tags": {"number": str(number)}})

        async def transaction(number: int) -> None:
            await node.guests.describe(_ADMIN, "ZVM1", "LINUX01", tags={"number": str(number)}, project=None)

        return [
            *await _measured("start and stop of a guest", entries, power),
            *await _measured("tags of a guest, the request", entries, request),
            *await _measured("tags of a guest, the transaction alone", entries, transaction, None),
        ]


async def _patch(door: ASGIApp, token: str, body: dict[str, Any]) -> None:
    """A change of LINUX01, as the server hands it to the application."""
    path, said = "/v1/guests/ZVM1/LINUX01", json.dumps(body).encode()
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/json")]
    asked: dict[str, Any] = {
        "type": "http",
        "method": "PATCH",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
    }
    asked |= {"query_string": b"", "http_version": "1.1", "headers": headers, "client": ("127.0.0.1", 1)}
    asked |= {"server": ("manager", 80), "asgi": {"version": "3.0"}}

    async def receive() -> Message:
        return {"type": "http.request", "body": said, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"PATCH {path}: {message['status']}")

    await door(asked, receive, send)


def run() -> list[Row]:
    """The figures."""
    with tempfile.TemporaryDirectory(prefix="zvmcloud-bench-") as folder:
        return asyncio.run(_run(Path(folder)))
