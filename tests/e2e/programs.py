"""A simulated z/VM inside the test, and an agent and managers as processes that can be killed, frozen and started."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

import postgres
import repeatable
from zvmcloud.simulator.embed import Member, Simulator
from zvmcloud.simulator.presets import Model

TOKEN = "a-token-for-this-test"
OVER = {"done", "failed", "cancelled", "undone"}
_PATIENCE = 60.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Copy:
    """A process that a nursery started, and so none of ours to wait for."""

    def __init__(self, pid: int) -> None:
        self._pid: int | None = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """None while it runs."""
        return 0 if self._over(0) else None

    def _over(self, seconds: float) -> bool:
        if self._pid is not None:
            waiting = select.poll()
            waiting.register(self._pid, select.POLLIN)
            if not waiting.poll(seconds * 1000):
                return False
            os.close(self._pid)
            self._pid = None
        return True

    def send_signal(self, number: int) -> None:
        if not self._over(0) and self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, seconds: float) -> int:
        """Until it has ended."""
        assert self._over(seconds)
        return 0


class Nursery:
    """Starts programs as copies of a process that has imported everything (killpoints)."""

    def __init__(self, environment: dict[str, str]) -> None:
        tests = Path(__file__).parent.parent
        code = f"import sys; sys.path.append({str(tests)!r}); from e2e.killpoints import nursery; nursery()"
        command = [sys.executable, "-c", code]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        self._alone = asyncio.Lock()

    async def start(self, module: str, settings: Path, log: Path, start: Path, environment: dict[str, str]) -> Copy:
        files = {"settings": str(settings), "log": str(log), "start": str(start)}
        wish = {"module": module, "environment": environment, **files}
        async with self._alone:
            return await asyncio.to_thread(self._ask, json.dumps(wish))

    def _ask(self, wish: str) -> Copy:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{wish}\n")
        self._process.stdin.flush()
        return Copy(int(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate(timeout=30)


@contextlib.contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """Where programs are started whose file systems have the same bytes every time."""
    made = Nursery(repeatable.environment(folder))
    try:
        yield made
    finally:
        made.close()


class Program:
    """A process of ours, from `start` to its end, again and again."""

    def __init__(self, folder: Path, name: str, module: str, settings: str, url: str, *, uds: str = "") -> None:
        self.name = name
        self._file = folder / f"{name}.toml"
        self._file.write_text(settings)
        self._log = folder / f"{name}.log"
        self._command = [sys.executable, "-c", f"from {module} import app; app()", "run", "--settings", str(self._file)]
        self.process: subprocess.Popen[bytes] | Copy | None = None
        self.nursery: Nursery | None = None
        """Where it is started as a copy of a process, and can be told to die at a commit."""
        self.start_of_names = folder / name
        self._module = module
        transport = httpx.AsyncHTTPTransport(uds=uds) if uds else None
        self.client = httpx.AsyncClient(
            base_url=url, timeout=20, transport=transport, headers={"authorization": f"Bearer {TOKEN}"}
        )

    async def start(self, *, wait: bool = True) -> None:
        assert self.process is None or self.process.poll() is not None
        more = {"ZVMCLOUD_ADMIN_TOKEN": TOKEN}
        if self.nursery is not None:
            self.process = await self.nursery.start(self._module, self._file, self._log, self.start_of_names, more)
        else:
            with self._log.open("ab") as log:
                self.process = subprocess.Popen(self._command, env={**os.environ, **more}, stdout=log, stderr=log)
        if wait:
            await self.ready()

    async def ready(self) -> None:
        async def answers() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log()
            with contextlib.suppress(httpx.TransportError):
                return (await self.client.get("/v1/health")).status_code == 200
            return False

        await until(answers, self.log)

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def end(self, number: int = signal.SIGKILL) -> int:
        """End it, if it runs; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
            if number == signal.SIGKILL:
                self.process.send_signal(signal.SIGCONT)
        return await asyncio.to_thread(self.process.wait, 30)

    def log(self) -> str:
        return self._log.read_text()[-4000:] if self._log.exists() else ""

    def save(self, place: Path) -> None:
        """Keep its state folder there; it must not run."""
        shutil.copytree(self.start_of_names, place / self.name)

    def load(self, place: Path) -> None:
        """Have the state that was kept there."""
        shutil.rmtree(self.start_of_names)
        shutil.copytree(place / self.name, self.start_of_names)


class Manager(Program):
    """A manager, and what one asks of it."""

    database: postgres.Kept | None = None
    """Where it does not keep its tables in its state folder."""

    def save(self, place: Path) -> None:
        super().save(place)
        if self.database is not None:
            self.database.save(str(place))

    def load(self, place: Path) -> None:
        super().load(place)
        if self.database is not None:
            self.database.load(str(place))

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.client.post(f"/v1{path}", json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def job(self, job: str) -> dict[str, Any]:
        answer = await self.client.get(f"/v1/jobs/{job}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.client.get("/v1/jobs", params={"limit": 500})).json()["items"]
        return found

    async def over(self, job: str, seconds: float = _PATIENCE) -> dict[str, Any]:
        found: dict[str, Any] = {}

        async def ended() -> bool:
            nonlocal found
            found = await self.job(job)
            return found["state"] in OVER

        await until(ended, lambda: f"{found}\n{self.log()}", seconds)
        return found

    async def done(self, path: str, **body: Any) -> dict[str, Any]:
        """Ask for a change and wait until it is done."""
        found = await self.over((await self.post(path, **body))["id"])
        assert found["state"] == "done", found
        return found


async def until(
    true: Callable[[], Awaitable[bool]], tell: Callable[[], str], seconds: float = _PATIENCE, pause: float = 0.05
) -> None:
    deadline = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < deadline, tell()
        await asyncio.sleep(pause)


class Fleet:
    """z/VM systems with an agent each, and managers."""

    def __init__(self, folder: Path, vm: Simulator, agents: int = 1) -> None:
        self.folder = folder
        self.vm = vm
        (folder / "password").write_text("ZHCP")
        self.agents = {member.name: self._agent(member) for member in vm.members[:agents]}
        self.managers: list[Manager] = []

    @property
    def agent(self) -> Program:
        """The first system's."""
        return next(iter(self.agents.values()))

    def _agent(self, member: Member) -> Program:
        name = "zhcp" if member is self.vm.members[0] else f"zhcp-{member.name}"
        socket = self._socket(member.name)
        return Program(
            self.folder,
            name,
            "zvmcloud.zhcp.program",
            f'[smapi]\nhost = "127.0.0.1"\nport = {member.smapi_port}\nuserid = "ZHCP"\n'
            f'password_file = "{self.folder / "password"}"\n'
            f'[machine]\nhost = "127.0.0.1"\nport = {member.machine_port}\n'
            f'[listen]\nunix = "{socket}"\n[storage]\nstate = "{self.folder / name}"\nfcps = ["1A03", "1B03"]\n',
            "http://zhcp",
            uds=str(socket),
        )

    def _socket(self, system: str) -> Path:
        return self.folder / f"{system}.sock"

    def manager(self, name: str, more: str = "", database: postgres.Kept | None = None) -> Manager:
        if database is not None:
            shared = self.folder / name / "shared"
            more = f'database = "{database.url}"\nshared = "{shared}"\nheartbeat_seconds = 1\n{more}'
        port = free_port()
        systems = (f'[[systems]]\nname = "{item}"\nurl = "unix:{self._socket(item)}"\n' for item in self.agents)
        found = Manager(
            self.folder,
            name,
            "zvmcloud.api.program",
            f'state = "{self.folder / name}"\nport = {port}\nnode = "{name}"\n'
            f'import_folders = ["{self.folder}"]\n{more}\n[connector]\nmode = "open"\n{"".join(systems)}',
            f"http://127.0.0.1:{port}",
        )
        found.database = database
        self.managers.append(found)
        return found


@contextlib.asynccontextmanager
async def fleet(folder: Path, model: Model | None = None, agents: int = 1) -> AsyncIterator[Fleet]:
    """A z/VM and its agent; all programs end with the block. Of a cluster so many members, the first ones, have an
    agent and are systems of the managers."""
    async with Simulator(state=folder / "vm", model=model) as vm:
        found = Fleet(folder, vm, agents)
        for agent in found.agents.values():
            await agent.start()
        try:
            yield found
        finally:
            for program in (*found.managers, *found.agents.values()):
                if program.process is not None:
                    await program.end()
                await program.client.aclose()
