"""Changes through the native API: as jobs, as plans that are shown first, within quotas and roles."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.native import As, ok, refused, token_of
from api.test_connector_road import add_image
from manager.fake_zhcp import FakeZhcp
from manager.support import all_jobs
from zvmcloud.manager.node import Node

GUEST = {"userid": "linux01", "vcpus": 2, "memory_mb": 2048, "disks": [{"size": "10", "boot": True}]}
LINUX01 = "/guests/zvm1/linux01"


async def over(caller: httpx.AsyncClient, answer: httpx.Response) -> dict[str, Any]:
    """The job of an accepted change, when it is over."""
    job: dict[str, Any] = await ok(answer, 202)
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    for _ in range(500):
        job = await ok(await caller.get(f"/jobs/{job['id']}"))
        if job["state"] in {"done", "failed", "cancelled", "undone"}:
            return job
        await asyncio.sleep(0.01)
    raise AssertionError(job)


async def test_a_guest_from_its_definition_to_its_end(
    admin: httpx.AsyncClient,
    door: httpx.AsyncClient,
    zhcp: FakeZhcp,
    sample: Path,
) -> None:
    await add_image(door, sample)
    job = await over(admin, await admin.post("/systems/zvm1/guests", json=GUEST))
    assert (job["state"], job["actor"], job["project"]) == ("done", "admin", "default")
    await over(admin, await admin.post(f"{LINUX01}/deploy", json={"image": "sample", "hostname": "web01"}))
    for verb in ("start", "stop"):
        assert (await over(admin, await admin.post(f"{LINUX01}/{verb}")))["state"] == "done"
    assert zhcp.kinds() == ["guest.create", "disk.write_image", "reader.punch", "guest.start", "guest.stop"]
    assert (await over(admin, await admin.delete(LINUX01)))["state"] == "done"
    assert (await ok(await admin.get("/guests")))["items"] == []
    assert zhcp.guests == {}


async def test_a_dry_run_shows_the_plan_and_changes_nothing(
    admin: httpx.AsyncClient,
    node: Node,
    zhcp: FakeZhcp,
) -> None:
    plan = await ok(await admin.post("/systems/zvm1/guests?dry_run=true", json=GUEST))
    assert (plan["operation"], plan["system"], plan["userid"]) == ("guest.create", "ZVM1", "LINUX01")
    assert [step["kind"] for step in plan["steps"]] == ["guest.create", "manager.guest_created"]
    assert plan["entries"] == {"LINUX01": "absent"}
    assert zhcp.ran == []
    assert await all_jobs(node) == []
    job = await over(admin, await admin.post(f"/plans/{plan['id']}/apply"))
    assert (job["id"], job["state"]) == (plan["id"], "done")
    shown = [(step["kind"], step["parameters"]) for step in plan["steps"]]
    assert [(step["kind"], step["parameters"]) for step in job["steps"]] == shown
    await refused(await admin.post(f"/plans/{plan['id']}/apply"), 409, "plan-applied")
    assert len(await all_jobs(node)) == 1


async def test_a_plan_is_refused_when_z_vm_has_changed_since(
    admin: httpx.AsyncClient,
    zhcp: FakeZhcp,
    node: Node,
) -> None:
    first = await ok(await admin.post("/systems/zvm1/guests?dry_run=true", json=GUEST))
    await over(admin, await admin.post("/systems/zvm1/guests", json=GUEST))
    problem = await refused(await admin.post(f"/plans/{first['id']}/apply"), 409, "plan-stale")
    assert "has come" in problem["detail"]
    second = await ok(await admin.delete(f"{LINUX01}?dry_run=true"))
    zhcp.guests["LINUX01"]["memory_mb"] = 4096
    problem = await refused(await admin.post(f"/plans/{second['id']}/apply"), 409, "plan-stale")
    assert "has changed" in problem["detail"]
    assert "LINUX01" in zhcp.guests
    assert len(await all_jobs(node)) == 1


async def test_strangers_and_readers_change_nothing(admin: httpx.AsyncClient, client: As, zhcp: FakeZhcp) -> None:
    await over(admin, await admin.post("/systems/zvm1/guests", json=GUEST))
    stranger = client(await token_of(admin, "sam", "member", shop="member"))
    reader = client(await token_of(admin, "rita", "reader", default="reader"))
    mixed = client(await token_of(admin, "mia", "member", default="reader"))
    await refused(await stranger.delete(LINUX01), 404, "not-found")
    await refused(await reader.delete(LINUX01), 403, "role")
    await refused(await mixed.delete(LINUX01), 403, "role")
    elsewhere = await stranger.post("/systems/zvm1/guests", json={**GUEST, "userid": "x1", "project": "default"})
    await refused(elsewhere, 404, "not-found")
    assert len(zhcp.ran) == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/systems/zvm1/guests", {"userid": "too-long-a-name"}, 400, "bad-input"),
        ("/systems/zvm1/guests", {"userid": "L1", "vcpus": 65}, 400, "bad-input"),
        ("/systems/zvm1/guests", {"userid": "L1", "disks": [{"size": "much"}]}, 400, "bad-input"),
        ("/systems/zvm1/guests", {"userid": "L1", "project": "nothing"}, 404, "project-unknown"),
        ("/systems/none/guests", {"userid": "L1"}, 404, "system-unknown"),
        ("/systems/zvm1/guests", {}, 400, "bad-input"),
        ("/guests/zvm1/nobody/start", {}, 404, "guest-unknown"),
        ("/guests/zvm1/nobody/deploy", {"image": "x"}, 404, "guest-unknown"),
        ("/guests/zvm1/nobody/deploy", {}, 400, "bad-input"),
        ("/plans/nothing/apply", {}, 404, "plan-unknown"),
    ],
)
async def test_bad_input_begins_no_job(
    admin: httpx.AsyncClient,
    node: Node,
    path: str,
    body: dict[str, Any],
    status: int,
    code: str,
) -> None:
    await refused(await admin.post(path, json=body), status, code)
    assert await all_jobs(node) == []


async def test_every_change_is_in_the_document_with_its_parameters(admin: httpx.AsyncClient) -> None:
    document = await ok(await admin.get("/openapi.json"))
    listed = await ok(await admin.get("/operations"))
    assert len(listed) >= 11
    for found in listed:
        route = document["paths"][found["path"]][found["method"].lower()]
        assert route["summary"]
        assert {"200", "202"} <= set(route["responses"])
    create = document["paths"]["/systems/{system}/guests"]["post"]
    schema = create["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert {"userid", "vcpus", "memory_mb", "disks", "project"} <= set(
        document["components"]["schemas"][schema]["properties"]
    )
