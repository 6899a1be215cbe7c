"""The agent's loop over a manager and a z/VM in software, all in this process; neutron is a table of ports.

The manager and the z/VM run in an event loop of their own in a thread, and the blocking client calls into it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from manager.over_simulator import Managed, managed
from manager.support import settings
from zvmcloud.api.connector.tokens import make_secret
from zvmcloud.api.program import doors
from zvmcloud.client import Client, change
from zvmcloud.openstack.neutron.loop import Loop
from zvmcloud.openstack.neutron.network import SERVER_TAG, Network, Wanted

T = TypeVar("T")


class Bridge(httpx.BaseTransport):
    """A blocking client's way into an application that runs in another thread's event loop. ``down``: nobody
    answers; ``lost``: nobody answers where paths end so."""

    def __init__(self, run: Callable[[Coroutine[Any, Any, httpx.Response]], httpx.Response], app: Any) -> None:
        self._run = run
        self._transport = httpx.ASGITransport(app, client=("192.0.2.7", 1))
        self.down = False
        self.lost = ""
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        if self.down or (self.lost and request.url.path.endswith(self.lost)):
            raise httpx.ConnectError("nobody answers")
        return self._run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self._transport.handle_async_request(
            httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        )
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


@dataclass
class Ports:
    """Neutron's server as the loop asks it: what each port should be, and what it was told of it."""

    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)

    def add(self, port: str, physnet: str = "physnet2", vlan: int | None = 120, **more: Any) -> None:
        self.known[port] = {
            "device": port, "port_id": port, "admin_state_up": True, "physical_network": physnet,
            "segmentation_id": vlan, **more,
        }  # fmt: skip

    def details(self, ports: Collection[str]) -> list[dict[str, Any]]:
        return [self.known.get(port, {"device": port}) for port in ports]

    def up(self, port: str) -> None:
        self.told.append(("up", port))

    def down(self, port: str) -> None:
        self.told.append(("down", port))


class World:
    """What the tests see and do."""

    def __init__(self, zvm: Managed, bridge: Bridge, client: Client, run: Callable[[Any], Any]) -> None:
        self.zvm = zvm
        self.bridge = bridge
        self.client = client
        self.ports = Ports()
        self.run = run
        self.now = 0.0

    @property
    def system(self) -> Any:
        return self.zvm.simulator.system

    def loop(self, **wanted: Wanted) -> Loop:
        """A new agent, which knows nothing yet. VSW2 is its own, VSW1 an administrator's."""
        mapping = wanted or {"physnet1": Wanted("VSW1"), "physnet2": Wanted("VSW2", ("1000", "1F00"))}
        return Loop(Network(self.client, "ZVM1"), self.ports, mapping, repair_interval=30, clock=lambda: self.now)

    def guest(self, userid: str, *ports: str) -> None:
        """A server with an adapter for each port, as the Nova driver makes it."""
        change(self.client, "POST", "/systems/ZVM1/guests",
               {"userid": userid, "disks": [], "tags": {SERVER_TAG: f"uuid-{userid}"}})  # fmt: skip
        for number, port in enumerate(ports):
            self.nic(userid, f"{0x1000 + 3 * number:04X}", port)

    def nic(self, userid: str, vdev: str, port: str) -> None:
        change(self.client, "POST", f"/guests/ZVM1/{userid}/nics", {"vdev": vdev, "nic_id": port})

    def do(self, method: str, path: str, **body: object) -> None:
        change(self.client, method, path, body)

    def rights(self, switch: str) -> dict[str, tuple[str, ...]]:
        found = self.system.vswitches.get(switch)
        return {grant.userid: grant.vlans for grant in found.grants} if found else {}

    def nics(self, userid: str) -> dict[str, tuple[str, str]]:
        entry = self.system.entries.get(userid).entry
        return {nic.vdev: (nic.lan_name, nic.vlan) for nic in entry.nicdefs}

    def coupled(self, switch: str) -> list[tuple[str, str]]:
        return sorted(self.system.coupled.get(switch, ()))

    def edit(self, work: Callable[[], T]) -> T:
        """Something in the model itself, as an administrator or an IPL would do it."""

        async def inside() -> T:
            with self.system.transaction():
                return work()

        found: T = self.run(inside())
        return found


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """A z/VM with VSW1, a manager over it, and a client of the manager."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="zvm", daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    make_secret(folder / "state" / "connector.token")
    stack = AsyncExitStack()
    try:
        zvm = run(stack.enter_async_context(managed(folder, settings(folder / "state"))))
        bridge = Bridge(run, doors(zvm.node))
        with Client("http://manager", str(zvm.node.new_admin_token), transport=bridge, sleep=lambda _: None) as client:
            found = World(zvm, bridge, client, run)
            found.do("POST", "/systems/ZVM1/vswitches", name="VSW1", rdev=["1004"])
            yield found
    finally:
        run(stack.aclose())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
