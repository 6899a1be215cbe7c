"""The native API: what it tells about systems, guests, images and jobs, and how it says no."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.test_connector_road import GUEST, add_image, create
from manager.fake_zhcp import FakeZhcp
from manager.support import all_jobs
from zvmcloud.manager.node import Node
from zvmcloud.zhcp.http import Answer, Door, LostError


@pytest.fixture
def v1(door: httpx.AsyncClient, node: Node) -> httpx.AsyncClient:
    door.headers["authorization"] = f"Bearer {node.new_admin_token}"
    return door


async def get(v1: httpx.AsyncClient, path: str) -> Any:
    answer = await v1.get(f"/v1{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_document_is_openapi_31_and_names_every_route(v1: httpx.AsyncClient) -> None:
    document = await get(v1, "/openapi.json")
    assert document["openapi"].startswith("3.1")
    assert {"/health", "/systems", "/guests", "/images", "/images/{name}/content", "/jobs", "/jobs/{job}"} <= set(
        document["paths"]
    )


async def test_systems_guests_and_images(v1: httpx.AsyncClient, sample: Path) -> None:
    await create(v1)
    await add_image(v1, sample)
    (system,) = await get(v1, "/systems")
    assert [system[name] for name in ("name", "url", "default", "reachable")] == ["ZVM1", "http://zhcp", True, True]
    (guest,) = (await get(v1, "/guests?system=zvm1"))["items"]
    assert (guest["system"], guest["userid"]) == ("ZVM1", "LINUX01")
    (image,) = (await get(v1, "/images"))["items"]
    assert image == await get(v1, "/images/sample")
    assert (image["units"], image["kind"]) == (10, "CYL")
    content = await v1.get("/v1/images/sample/content", headers={"Range": "bytes=0-19"})
    assert content.status_code == 206
    assert content.content == b"xCAT CKD Disk Image:"


async def test_a_job_shows_steps_calls_and_the_error_of_the_one_that_failed(v1: httpx.AsyncClient) -> None:
    await create(v1)
    refused = await v1.post("/guests", json={"guest": {**GUEST, "disk_list": []}})
    listed = (await get(v1, "/jobs?userid=linux01"))["items"]
    assert [job["state"] for job in listed] == ["failed", "done"]
    assert listed[0]["id"] == refused.headers["zvm-job"]
    job = await get(v1, f"/jobs/{listed[0]['id']}")
    assert job["origin"].startswith("connector POST /guests from 127.0.0.1")
    assert job["error"]["code"] == "guest-exists"
    assert job["error"]["smapi"] == {"function": "Image_Create_DM", "rc": 400, "rs": 8, "meaning": "as told"}
    (step, record) = job["steps"]
    assert (step["state"], record["state"]) == ("failed", "pending")
    assert step["calls"][0]["kind"] == "smapi"
    assert step["calls"][0]["rc"] == 0
    assert await get(v1, "/jobs?state=failed&limit=1") == {"items": [listed[0]], "next": None}
    first = await get(v1, "/jobs?limit=1")
    assert first["items"] == [listed[0]]
    assert await get(v1, f"/jobs?limit=1&cursor={first['next']}") == {"items": [listed[1]], "next": None}


async def test_events_of_a_finished_job_end_at_once(v1: httpx.AsyncClient, node: Node) -> None:
    await create(v1)
    (job,) = await all_jobs(node)
    answer = await v1.get(f"/v1/jobs/{job.id}/events")
    event, data = answer.text.strip().split("\n")
    assert event == "event: job"
    assert json.loads(data.removeprefix("data: "))["state"] == "done"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/jobs/nothing", 404, "job-unknown"),
        ("/jobs/nothing/events", 404, "job-unknown"),
        ("/images/nothing", 404, "image-unknown"),
        ("/guests?system=none", 404, "system-unknown"),
        ("/jobs?limit=0", 400, "bad-input"),
        ("/jobs?cursor=nonsense", 400, "bad-input"),
        ("/guests?cursor=WzEsMl0", 400, "bad-input"),
        ("/nothing", 404, "http"),
        ("/images/%0A", 404, "image-unknown"),
    ],
)
async def test_errors_are_problem_documents(v1: httpx.AsyncClient, path: str, status: int, code: str) -> None:
    answer = await v1.get(f"/v1{path}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["detail"]


def door(node: Node) -> Door:
    """Below the agent's client: what it sends can be lost here."""
    return node.core.agent("ZVM1")._client._door


async def test_a_system_whose_agent_is_away_is_not_reachable(
    v1: httpx.AsyncClient, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> Answer:
        raise LostError("connection refused", sent=False)

    monkeypatch.setattr(door(node), "exchange", gone)
    assert (await get(v1, "/systems"))[0]["reachable"] is False
    answer = await v1.get("/host")
    assert answer.status_code == 500
    assert answer.json()["overallRC"] == 101
    assert "zvm zhcp run" in answer.json()["errmsg"]


async def test_a_create_that_never_reached_the_agent_failed_for_sure(
    v1: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> Answer:
        raise LostError("connection refused", sent=False)

    monkeypatch.setattr("zvmcloud.manager.jobs.remote._INLINE_PATIENCE", 0.1)
    monkeypatch.setattr(door(node), "exchange", gone)
    answer = await v1.post("/guests", json={"guest": {**GUEST, "disk_list": []}})
    assert answer.json()["overallRC"] == 101
    assert (await node.journal.get(answer.headers["zvm-job"])).state == "failed"
    assert zhcp.ran == []


async def test_a_create_whose_answer_was_lost_is_recovered(
    v1: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = door(node).exchange

    async def lose(*arguments: Any) -> Answer:
        await exchange(*arguments)
        raise LostError("connection reset", sent=True)

    monkeypatch.setattr("zvmcloud.manager.jobs.remote._INLINE_PATIENCE", 0.1)
    monkeypatch.setattr(door(node), "exchange", lose)
    answer = await v1.post("/guests", json={"guest": {**GUEST, "disk_list": []}})
    assert answer.status_code == 500
    job = answer.headers["zvm-job"]
    assert (await node.journal.get(job)).state == "interrupted"
    assert (await node.guests.list("ZVM1")).userids == ()
    monkeypatch.setattr(door(node), "exchange", exchange)
    await node.runner.recover()
    assert (await node.journal.get(job)).state == "done"
    assert (await node.guests.list("ZVM1")).userids == ("LINUX01",)
    assert zhcp.kinds() == ["guest.create"]


async def test_an_agent_that_has_seen_a_newer_manager_refuses(v1: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    zhcp.highest_epoch = 2**40
    answer = await v1.post("/guests", json={"guest": {**GUEST, "disk_list": []}})
    assert answer.status_code == 409
    assert "epoch" in answer.json()["errmsg"]
    assert zhcp.ran == []
