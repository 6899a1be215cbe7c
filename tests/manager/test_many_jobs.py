"""However many jobs run others or wait, those that could go on do: no thread, and no place among those that run, is
kept by one that waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.native import ok
from manager.fake_zhcp import FakeZhcp
from manager.support import running, settings
from zvmcloud.api.program import doors
from zvmcloud.manager.jobs.engine import Engine
from zvmcloud.manager.node import EngineFactory, Node

GUEST = {"vcpus": 1, "memory_mb": 512, "disks": [{"size": "10", "boot": True}]}


def caller(node: Node) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {node.new_admin_token}"}
    transport = httpx.ASGITransport(doors(node))
    return httpx.AsyncClient(transport=transport, base_url="http://manager/v1", headers=headers)


def two_threads() -> EngineFactory:
    """The real engine with two threads."""
    return lambda runner, found: Engine(runner, found, threads=2)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def over(client: httpx.AsyncClient, job: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            found: dict[str, Any] = await ok(await client.get(f"/jobs/{job}"))
            if found["state"] in {"done", "failed", "cancelled", "undone"}:
                return found
            await asyncio.sleep(0.05)


async def test_more_trees_than_the_engine_has_threads_end_and_single_jobs_between_them(
    tmp_path: Path, database: str
) -> None:
    zhcp = FakeZhcp()
    found = settings(tmp_path / "state", database=database)
    async with running(zhcp, found, engine=two_threads()) as node, caller(node) as admin:
        names = [f"web{number}" for number in range(1, 8)]
        made = [await admin.post("/systems/zvm1/guests", json={**GUEST, "userid": name}) for name in names]
        for answer in made:
            assert (await over(admin, (await ok(answer, 202))["id"]))["state"] == "done"
        zhcp.delay = 0.3
        bodies = [{"verb": "start", "names": f"web[{first}-{first + 1}]"} for first in (1, 3, 5)]
        trees = [await ok(await admin.post("/bulk/power", json=body), 202) for body in bodies]
        single = await ok(await admin.post("/guests/zvm1/web7/start"), 202)
        assert [(await over(admin, job["id"]))["state"] for job in (single, *trees)] == ["done"] * 4
        assert {guest["state"] for guest in zhcp.guests.values()} == {"on"}


async def test_jobs_that_wait_for_a_system_that_is_away_keep_nothing_from_others(tmp_path: Path) -> None:
    near, away = FakeZhcp(), FakeZhcp()
    systems = [{"name": "ZVM1", "url": "http://zhcp"}, {"name": "ZVM2", "url": "http://zhcp2"}]
    found = settings(tmp_path / "state", systems=systems)
    async with running(near, found, engine=two_threads(), ZVM2=away) as node, caller(node) as admin:
        for system, name in (("zvm1", "near"), *(("zvm2", f"far{number}") for number in range(3))):
            answer = await admin.post(f"/systems/{system}/guests", json={**GUEST, "userid": name})
            assert (await over(admin, (await ok(answer, 202))["id"]))["state"] == "done"
        away.delay = 3600.0
        waiting = [await ok(await admin.post(f"/guests/zvm2/far{number}/start"), 202) for number in range(3)]
        await until(lambda: away.kinds().count("guest.start") == 3)
        job = await ok(await admin.post("/guests/zvm1/near/start"), 202)
        assert (await over(admin, job["id"]))["state"] == "done"
        for one in waiting:
            assert (await ok(await admin.get(f"/jobs/{one['id']}")))["state"] == "running"


@pytest.fixture
async def two_trees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[list[str], httpx.AsyncClient, list[dict[str, Any]]]]:
    """Two trees of six one after the other, when four run at once; what they begin, and nobody runs."""
    monkeypatch.setattr("zvmcloud.manager.jobs.trees._AT_ONCE", 4)
    begun: list[str] = []

    async def begin(job: str) -> None:
        begun.append(job)

    async with running(FakeZhcp(), settings(tmp_path / "state")) as node, caller(node) as admin:
        for number in range(1, 13):
            answer = await admin.post("/systems/zvm1/guests", json={**GUEST, "userid": f"web{number}"})
            await over(admin, (await ok(answer, 202))["id"])
        monkeypatch.setattr(node.trees, "_submit", begin)
        first = await ok(await admin.post("/bulk/power", json={"verb": "start", "names": "web[1-6]"}), 202)
        await until(lambda: len(begun) == 4)
        second = await ok(await admin.post("/bulk/power", json={"verb": "start", "names": "web[7-12]"}), 202)
        yield begun, admin, [first, second]
        for tree in (first, second):
            await ok(await admin.post(f"/jobs/{tree['id']}/cancel"))
            assert (await over(admin, tree["id"]))["state"] == "cancelled"


async def test_trees_share_what_runs_at_once(
    two_trees: tuple[list[str], httpx.AsyncClient, list[dict[str, Any]]],
) -> None:
    begun, admin, (first, second) = two_trees
    await until(lambda: len(begun) == 6)
    listed = (await ok(await admin.get("/jobs", params={"parent": second["id"]})))["items"]
    assert {job["id"] for job in listed} & set(begun) == set(begun[4:]), "its half, although the first has taken all"
    for job in begun[:3]:
        await ok(await admin.post(f"/jobs/{job}/cancel"))
    await until(lambda: len(begun) == 7)
    listed = (await ok(await admin.get("/jobs", params={"parent": first["id"]})))["items"]
    assert begun[6] in {job["id"] for job in listed}, "its own half again, and no more"
