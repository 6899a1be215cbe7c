"""Simulated z/VM systems with their agents, together in one process, and a manager over them as it is installed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

TOKEN = "bench-" + "0" * 40
HEADERS = {"authorization": f"Bearer {TOKEN}"}


@contextmanager
def fleet(
    folder: Path, names: Sequence[str], *, guests: int, directory: float = 0.0, copy: float = 0.0
) -> Iterator[None]:
    """Systems of these names with so many guests each. ``directory``: seconds that each directory change takes;
    ``copy``: seconds that each copy of an image takes at least."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, str(folder), names, guests, directory, copy), daemon=True)
    process.start()
    try:
        if not here.poll(300):
            raise RuntimeError("the fleet did not come up")
        yield
    finally:
        process.terminate()
        process.join()


@contextmanager
def manager(folder: Path, names: Sequence[str], seconds: int, more: str = "") -> Iterator[tuple[str, int, float]]:
    """URL, process and the moment at which it began to listen. ``seconds`` between two looks; ``more`` settings."""
    systems = "".join(f'[[systems]]\nname = "{name}"\nurl = "unix:{folder}/{name}/agent.sock"\n' for name in names)
    file = folder / "manager.toml"
    file.write_text(f'state = "{folder}/manager"\nport = 0\n{more}\n[inventory]\nseconds = {seconds}\n{systems}')
    program = "from zvmcloud.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "manager", "run", "--settings", str(file)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "ZVMCLOUD_ADMIN_TOKEN": TOKEN},
    )  # fmt: skip
    try:
        line = process.stdout.readline() if process.stdout else ""
        if "http://" not in line:
            raise RuntimeError(f"the manager did not start: {line}")
        yield "http://" + line.split("http://")[1].split()[0], process.pid, time.perf_counter()
    finally:
        process.terminate()
        process.wait(60)


def _serve(reply: Connection, place: str, names: Sequence[str], guests: int, directory: float, copy: float) -> None:
    import uvicorn  # noqa: PLC0415 (only this process needs these)

    from zvmcloud.serving import Server  # noqa: PLC0415
    from zvmcloud.simulator.embed import Simulator  # noqa: PLC0415
    from zvmcloud.simulator.presets import Model, Pool  # noqa: PLC0415
    from zvmcloud.simulator.system import Timing  # noqa: PLC0415
    from zvmcloud.zhcp import settings as agent_settings  # noqa: PLC0415
    from zvmcloud.zhcp.operations.handlers import HANDLERS  # noqa: PLC0415
    from zvmcloud.zhcp.program import runner_of  # noqa: PLC0415
    from zvmcloud.zhcp.service import Service  # noqa: PLC0415

    HANDLERS["disk.write_image"] = _lasting(HANDLERS["disk.write_image"], copy)

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            tasks = []
            for name in names:
                home = Path(place) / name
                model = Model(name=name, guests=guests, pools={"POOL1": Pool(volumes=8)})
                timing = Timing(directory=directory)
                simulator = await stack.enter_async_context(Simulator(state=home / "zvm", model=model, timing=timing))
                settings = agent_settings.read(
                    {
                        "smapi": {"port": simulator.smapi_port, "userid": "ZHCP", "password": "ZHCP"},
                        "machine": {"port": simulator.machine_port},
                        "listen": {"unix": "agent.sock"},
                    },
                    home,
                )
                app = Service(runner_of(settings)).application()
                config = uvicorn.Config(app, uds=str(home / "agent.sock"), log_level="error", http="h11")
                tasks.append(asyncio.create_task(Server(config).serve()))
            sockets = [Path(place) / name / "agent.sock" for name in names]
            while not all(socket.exists() for socket in sockets):  # noqa: ASYNC110 (files are waited for)
                await asyncio.sleep(0.1)
            reply.send("up")
            await asyncio.gather(*tasks)

    asyncio.run(serve())


def _lasting(work: Callable[..., Awaitable[Any]], seconds: float) -> Callable[..., Awaitable[Any]]:
    """The operation, which takes at least so long: a simulated disk is as fast as this machine's."""

    async def lasting(context: Any, request: Any) -> Any:
        began = time.monotonic()
        result = await work(context, request)
        if not context.rehearsing:
            await asyncio.sleep(seconds - (time.monotonic() - began))
        return result

    return lasting if seconds else work
