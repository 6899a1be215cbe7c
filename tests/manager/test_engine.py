"""Durable jobs: a manager that is killed in the middle of a deploy finishes it at its next start, and repeats nothing
that is done."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from manager.fake_zhcp import FakeZhcp
from manager.support import image_file
from zvmcloud.manager.jobs.engine import SqliteOfToday
from zvmcloud.serving import tcp_door

TOKEN = "a-token-for-this-test"


@pytest.fixture
async def zhcp() -> AsyncIterator[FakeZhcp]:
    """A fake agent on a real port; it outlives the managers."""
    fake = FakeZhcp()
    listener = tcp_door("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(fake.app, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    fake.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    yield fake
    server.should_exit = True
    await serving


class Manager:
    """A manager process on a fixed port, with one state folder."""

    def __init__(self, state: Path, zhcp_url: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.settings = state.parent / "manager.toml"
        self.settings.write_text(
            f'state = "{state}"\nport = {self.port}\nimport_folders = ["{state.parent}"]\n'
            f'[connector]\nmode = "open"\n[[systems]]\nname = "ZVM1"\nurl = "{zhcp_url}"\n'
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
        self.admin = {"Authorization": f"Bearer {TOKEN}"}

    async def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "zvmcloud.api.program", "run", "--settings", str(self.settings)],
            env={**os.environ, "ZVMCLOUD_ADMIN_TOKEN": TOKEN},
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, "the manager ended"
            assert time.monotonic() < deadline, "the manager is not up"
            with contextlib.suppress(httpx.TransportError):
                if (await self.client.get("/v1/health")).status_code == 200:
                    return
            await asyncio.sleep(0.05)

    def end(self, number: int) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    async def jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.client.get("/v1/jobs", headers=self.admin)).json()["items"]
        return found

    async def job(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get(f"/v1/jobs/{job}", headers=self.admin)).json()
        return found

    async def over(self, job: str, seconds: float = 20) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while (found := await self.job(job))["state"] not in {"done", "failed", "cancelled"}:
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.05)
        return found

    async def ready_to_deploy(self, folder: Path) -> None:
        disk = {"size": "10", "is_boot_disk": True}
        guest = {"userid": "LINUX01", "vcpus": 1, "memory": 512, "disk_list": [disk]}
        assert (await self.client.post("/guests", json={"guest": guest})).status_code == 200
        image = {"image_name": "sample", "url": image_file(folder).as_uri(), "image_meta": {"os_version": "rhel8.6"}}
        assert (await self.client.post("/images", json={"image": image})).status_code == 200

    async def deploy(self, **more: str) -> str:
        """Begin a deploy without waiting for its answer; returns the job's id when the agent works on it."""
        body = {"action": "deploy", "image": "sample", **more}
        self.answer = asyncio.create_task(self.client.post("/guests/LINUX01/action", json=body))
        deadline = time.monotonic() + 15
        while True:
            assert time.monotonic() < deadline
            for job in await self.jobs():
                if job["kind"] == "guest.deploy":
                    steps = (await self.job(job["id"]))["steps"]
                    if 0 < steps[0]["progress"] < 1:
                        return str(job["id"])
            await asyncio.sleep(0.02)


@pytest.fixture
def manager(tmp_path: Path, zhcp: FakeZhcp) -> Iterator[Manager]:
    found = Manager(tmp_path / "state", zhcp.url)
    yield found
    if found.process is not None and found.process.poll() is None:
        found.end(signal.SIGKILL)


async def test_a_killed_manager_finishes_its_deploy_and_repeats_no_step(
    manager: Manager, zhcp: FakeZhcp, tmp_path: Path
) -> None:
    drive = tmp_path / "cfgdrive.iso"
    drive.write_bytes(b"config drive")
    await manager.start()
    await manager.ready_to_deploy(tmp_path)
    zhcp.write_seconds = 2.0
    job = await manager.deploy(transportfiles=str(drive))
    manager.end(signal.SIGKILL)
    with pytest.raises(httpx.TransportError):
        await manager.answer
    drive.unlink()
    first_epoch = zhcp.highest_epoch

    await manager.start()
    found = await manager.over(job)
    assert found["state"] == "done"
    assert [step["state"] for step in found["steps"]] == ["done", "done", "done"]
    assert found["steps"][0]["attempts"] == 2
    assert zhcp.kinds() == ["guest.create", "disk.write_image", "reader.punch"]
    assert zhcp.guests["LINUX01"]["reader"][0]["data"] == b"config drive"
    assert zhcp.highest_epoch > first_epoch
    (guest,) = (await manager.client.get("/v1/guests", headers=manager.admin)).json()["items"]
    assert guest["os_version"] == "rhel8.6"
    assert manager.end(signal.SIGTERM) == 0


async def test_a_manager_that_is_stopped_leaves_its_deploy_to_the_next_start(
    manager: Manager, zhcp: FakeZhcp, tmp_path: Path
) -> None:
    await manager.start()
    await manager.ready_to_deploy(tmp_path)
    zhcp.write_seconds = 4.5
    job = await manager.deploy()
    started = time.monotonic()
    assert manager.end(signal.SIGTERM) == 0
    assert time.monotonic() - started < 8
    answer = await manager.answer
    assert (answer.status_code, answer.json()["overallRC"], answer.json()["rs"]) == (503, 400, 503)
    assert "stopping" in answer.json()["errmsg"]
    await manager.start()
    assert (await manager.over(job))["state"] == "done"
    assert zhcp.kinds() == ["guest.create", "disk.write_image"]


async def test_a_cancelled_deploy_stops_in_the_middle_of_the_copy(
    manager: Manager, zhcp: FakeZhcp, tmp_path: Path
) -> None:
    await manager.start()
    await manager.ready_to_deploy(tmp_path)
    zhcp.write_seconds = 20.0
    job = await manager.deploy()
    cancelled = await manager.client.post(f"/v1/jobs/{job}/cancel", headers=manager.admin)
    assert cancelled.status_code == 200
    found = await manager.over(job, 5)
    assert found["state"] == "cancelled"
    assert [step["state"] for step in found["steps"]] == ["failed", "pending"]
    answer = await manager.answer
    assert answer.status_code == 500
    assert answer.headers["zvm-job"] == job


async def test_a_create_that_was_under_way_when_the_manager_died_is_finished(
    manager: Manager, zhcp: FakeZhcp, tmp_path: Path
) -> None:
    await manager.start()
    zhcp.delay = 1.0
    guest = {"userid": "LINUX01", "vcpus": 1, "memory": 512, "disk_list": []}
    answer = asyncio.create_task(manager.client.post("/guests", json={"guest": guest}))
    while not zhcp.ran:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    manager.end(signal.SIGKILL)
    with pytest.raises(httpx.TransportError):
        await answer
    await manager.start()
    (job,) = await manager.jobs()
    assert (await manager.over(job["id"]))["state"] == "done"
    assert (await manager.client.get("/guests")).json()["output"] == ["LINUX01"]
    assert zhcp.kinds() == ["guest.create"]


async def test_the_progress_of_a_deploy_is_streamed_as_events(manager: Manager, zhcp: FakeZhcp, tmp_path: Path) -> None:
    await manager.start()
    await manager.ready_to_deploy(tmp_path)
    zhcp.write_seconds = 1.0
    job = await manager.deploy()
    async with manager.client.stream("GET", f"/v1/jobs/{job}/events", headers=manager.admin) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in stream.aiter_lines()]
    assert any("copied" in line for line in lines)
    assert '"state":"done"' in lines[-2]
    assert (await manager.answer).json()["overallRC"] == 0


def test_sqlite_tells_the_time_to_the_millisecond_whatever_its_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """What DBOS asks it for with Python 3.12 and newer; SQLite before 3.42 has no answer."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 41, 2))
    with contextlib.closing(sqlite3.connect(":memory:", factory=SqliteOfToday)) as database:
        database.execute("CREATE TABLE moments (at INTEGER NOT NULL DEFAULT (unixepoch('subsec') * 1000), name)")
        database.execute("INSERT INTO moments (name) VALUES ('now')")
        (at,) = database.execute("SELECT at FROM moments").fetchone()
    assert abs(time.time() * 1000 - at) < 60_000
