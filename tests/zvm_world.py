"""A manager over a z/VM in software, all in this process, for blocking clients.

The manager and the z/VM run in an event loop of their own in a thread, and the client calls into it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from manager.over_simulator import Managed, managed
from manager.support import settings
from zvmcloud.api.connector.tokens import make_secret
from zvmcloud.api.program import doors
from zvmcloud.client import Client, change

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


class World:
    """What tests see and do."""

    def __init__(self, zvm: Managed, bridge: Bridge, client: Client, run: Callable[[Any], Any]) -> None:
        self.zvm = zvm
        self.bridge = bridge
        self.client = client
        self.run = run

    @property
    def system(self) -> Any:
        return self.zvm.simulator.system

    def do(self, method: str, path: str, **body: object) -> None:
        change(self.client, method, path, body)

    def edit(self, work: Callable[[], T]) -> T:
        """Something in the model itself, as an administrator or an IPL would do it."""

        async def inside() -> T:
            with self.system.transaction():
                return work()

        found: T = self.run(inside())
        return found


@contextmanager
def served(folder: Path, *, fcps: Sequence[str] = ()) -> Iterator[World]:
    """A z/VM, a manager over it, and a client of the manager. ``fcps``: FCP devices of the agent's machine."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="zvm", daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    make_secret(folder / "state" / "connector.token")
    stack = AsyncExitStack()
    try:
        zvm = run(stack.enter_async_context(managed(folder, settings(folder / "state"), storage={"fcps": list(fcps)})))
        bridge = Bridge(run, doors(zvm.node))
        with Client("http://manager", str(zvm.node.new_admin_token), transport=bridge, sleep=lambda _: None) as client:
            yield World(zvm, bridge, client, run)
    finally:
        run(stack.aclose())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
