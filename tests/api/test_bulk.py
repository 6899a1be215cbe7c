"""Many guests in one request: a tree of jobs, with a policy for failures, a rate, a cancel, and a retry of the rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.native import As, ok, refused, token_of
from api.test_connector_road import add_image
from api.test_plans import over
from manager.fake_zhcp import FakeZhcp, Refused
from manager.support import all_jobs, running, settings
from zvmcloud.api.connector.tokens import make_secret
from zvmcloud.manager.node import Node

SYSTEMS = [{"name": "ZVM1", "url": "http://zhcp"}, {"name": "ZVM2", "url": "http://zhcp2"}]


@pytest.fixture
def other() -> FakeZhcp:
    return FakeZhcp()


@pytest.fixture
async def node(tmp_path: Path, zhcp: FakeZhcp, other: FakeZhcp, database: str) -> AsyncIterator[Node]:
    connector = {"mode": "open", "open_from": ["127.0.0.1"]}
    found = settings(tmp_path / "state", database=database, connector=connector, systems=SYSTEMS)
    make_secret(tmp_path / "state" / "connector.token")
    async with running(zhcp, found, ZVM2=other) as opened:
        yield opened


@pytest.fixture
async def ready(door: httpx.AsyncClient, sample: Path, zhcp: FakeZhcp, other: FakeZhcp) -> None:
    await add_image(door, sample)
    other.fetch = zhcp.fetch


def wish(names: str, **more: Any) -> dict[str, Any]:
    return {"names": names, "image": "sample", **more}


async def children(caller: httpx.AsyncClient, job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = (await ok(await caller.get("/jobs", params={"parent": job["id"]})))["items"]
    return {child["userid"]: child for child in found}


async def begun(node: Node) -> list[str]:
    """The jobs about guests, by kind."""
    return [job.kind for job in await all_jobs(node) if not job.kind.startswith("image.")]


def full(zhcp: FakeZhcp, userid: str) -> None:
    """The disk of that guest cannot be written, once."""
    real = zhcp._do_disk_write_image

    def refuse(parameters: dict[str, Any]) -> dict[str, Any]:
        if parameters["userid"] == userid:
            zhcp._do_disk_write_image = real  # type: ignore[method-assign]
            raise Refused(409, "disk-broken", "the disk takes no data")
        return real(parameters)

    zhcp._do_disk_write_image = refuse  # type: ignore[method-assign]


@pytest.mark.usefixtures("ready")
async def test_guests_by_pattern_are_spread_over_the_systems(
    admin: httpx.AsyncClient, zhcp: FakeZhcp, other: FakeZhcp
) -> None:
    interfaces = [{"network": "", "address": "192.0.2.254/24"}]
    await refused(await admin.post("/bulk/deploy", json=wish("web[1-5]", interfaces=interfaces)), 400, "bad-input")
    job = await over(admin, await admin.post("/bulk/deploy", json=wish("web[1-5]", vcpus=2)))
    assert (job["state"], job["children"], job["progress"]) == ("done", {"done": 5}, 1.0), job["error"]
    assert sorted({**zhcp.guests, **other.guests}) == [f"WEB{number}" for number in range(1, 6)]
    assert sorted(map(len, (zhcp.guests, other.guests))) == [2, 3]
    found = await children(admin, job)
    assert {child["parent"] for child in found.values()} == {job["id"]}
    newest = (await ok(await admin.get("/jobs", params={"kind": "bulk.deploy", "since": job["created"]})))["items"]
    assert [one["id"] for one in newest] == [job["id"]]
    listed = {one["id"] for one in (await ok(await admin.get("/jobs")))["items"]}
    assert not listed & {child["id"] for child in found.values()}, "children are shown with their parent"
    (of_web1,) = (await ok(await admin.get("/jobs", params={"userid": "web1"})))["items"]
    assert of_web1["id"] == found["WEB1"]["id"]
    stopped = await over(admin, await admin.post("/bulk/power", json={"verb": "stop", "names": "web[1-5]"}))
    assert (stopped["state"], stopped["children"]) == ("done", {"done": 5})
    answer = await admin.post(f"/jobs/{stopped['id']}/undo")
    answer.headers["location"] = f"/v1/jobs/{stopped['id']}"
    assert (await over(admin, answer))["state"] == "undone"
    assert {guest["state"] for guest in (*zhcp.guests.values(), *other.guests.values())} == {"on"}
    gone = await over(admin, await admin.post("/bulk/delete", json={"names": "web[1-5]"}))
    assert gone["state"] == "done"
    assert (zhcp.guests, other.guests) == ({}, {})


@pytest.mark.usefixtures("ready")
async def test_a_dry_run_shows_the_plan_of_every_guest_and_apply_runs_them(
    admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp
) -> None:
    plan = await ok(await admin.post("/bulk/deploy?dry_run=true", json=wish("web[1-4]", systems=["zvm1"])))
    assert [child["userid"] for child in plan["children"]] == ["WEB1", "WEB2", "WEB3", "WEB4"]
    assert all(child["steps"][0]["calls"] for child in plan["children"])
    assert zhcp.ran == []
    await refused(await admin.post(f"/plans/{plan['children'][0]['id']}/apply"), 409, "plan-child")
    job = await over(admin, await admin.post(f"/plans/{plan['id']}/apply"))
    assert (job["state"], job["id"]) == ("done", plan["id"])
    assert {child["id"] for child in (await children(admin, job)).values()} == {
        child["id"] for child in plan["children"]
    }
    again = await ok(await admin.post("/bulk/delete?dry_run=true", json={"names": "web[1-4]"}))
    zhcp.guests["WEB3"]["memory_mb"] = 4096
    problem = await refused(await admin.post(f"/plans/{again['id']}/apply"), 409, "plan-stale")
    assert "WEB3" in problem["detail"]
    assert len(zhcp.guests) == 4
    assert len(await begun(node)) == 5


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(
    ("policy", "ended"),
    [
        ("stop", {"done": 1, "failed": 1, "cancelled": 1}),
        ("continue", {"done": 2, "failed": 1}),
        ("undo", {"undone": 1, "failed": 1, "cancelled": 1}),
    ],
)
async def test_the_policy_says_what_becomes_of_the_others_when_one_fails(
    admin: httpx.AsyncClient, zhcp: FakeZhcp, policy: str, ended: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zvmcloud.manager.jobs.trees._AT_ONCE", 1)
    monkeypatch.setattr("zvmcloud.manager.jobs.trees._LEAST_AT_ONCE", 1)
    full(zhcp, "WEB2")
    job = await over(
        admin, await admin.post("/bulk/deploy", json=wish("web[1-3]", systems=["ZVM1"], on_failure=policy))
    )
    assert (job["state"], job["children"], job["error"]["code"]) == ("failed", ended, "children-failed")
    assert "WEB2: disk-broken" in job["error"]["detail"]
    assert sorted(zhcp.guests) == {"stop": ["WEB1"], "continue": ["WEB1", "WEB3"], "undo": []}[policy]
    ran = len(zhcp.ran)
    answer = await admin.post(f"/jobs/{job['id']}/retry")
    answer.headers["location"] = f"/v1/jobs/{job['id']}"
    job = await over(admin, answer)
    assert (job["state"], job["children"]) == ("done", {"done": 3})
    assert sorted(zhcp.guests) == ["WEB1", "WEB2", "WEB3"]
    again = {key.partition("/")[0] for key in zhcp.ran[ran:]}
    assert len(again) == {"stop": 2, "continue": 1, "undo": 3}[policy], "only those that are not done"


@pytest.mark.usefixtures("ready")
async def test_a_tree_is_cancelled_as_a_whole(admin: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    zhcp.write_seconds = 30
    answer = await admin.post("/bulk/deploy", json=wish("web[1-6]", systems=["ZVM1"]))
    job = await ok(answer, 202)
    deadline = time.monotonic() + 30
    while "disk.write_image" not in zhcp.kinds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    one = next(iter((await children(admin, job)).values()))
    await ok(await admin.post(f"/jobs/{job['id']}/cancel"))
    ended = await over(admin, answer)
    assert (ended["state"], ended["children"]) == ("cancelled", {"cancelled": 6})
    assert zhcp.guests == {}
    await refused(await admin.post(f"/jobs/{one['id']}/undo"), 409, "job-state")


@pytest.mark.usefixtures("ready")
async def test_no_more_begin_in_a_minute_than_the_rate(admin: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    answer = await admin.post("/bulk/deploy", json=wish("web[1-3]", systems=["ZVM1"], rate=1))
    job = await ok(answer, 202)
    deadline = time.monotonic() + 30
    while (await children(admin, job))["WEB1"]["state"] != "done":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert sorted(zhcp.guests) == ["WEB1"], "the second begins a minute later"
    await ok(await admin.post(f"/jobs/{job['id']}/cancel"))
    assert (await over(admin, answer))["children"] == {"done": 1, "cancelled": 2}


@pytest.mark.usefixtures("ready")
async def test_quotas_count_all_guests_together_and_busy_guests_refuse_the_whole(
    admin: httpx.AsyncClient, client: As, zhcp: FakeZhcp, other: FakeZhcp, node: Node
) -> None:
    sam = client(await token_of(admin, "sam", "member", shop="member"))
    await ok(await admin.patch("/projects/shop", json={"quota": {"guests": 3}}))
    problem = await refused(await sam.post("/bulk/deploy", json=wish("web[1-4]")), 403, "quota")
    assert "this needs 4" in problem["detail"]
    assert await begun(node) == []
    await over(sam, await sam.post("/bulk/deploy", json=wish("web[1-3]", systems=["ZVM1"])))
    zhcp.delay = other.delay = 2.0
    await ok(await sam.post("/guests/zvm1/web2/stop"), 202)
    await refused(await sam.post("/bulk/power", json={"verb": "stop", "names": "web[1-3]"}), 409, "guest-busy")


@pytest.mark.usefixtures("ready")
async def test_bad_input_begins_nothing(admin: httpx.AsyncClient, node: Node) -> None:
    too_late = [{"network": "N", "address": "192.0.2.254/24"}]
    bad: list[tuple[str, dict[str, Any], int, str]] = [
        ("deploy", wish("web[1-"), 400, "bad-input"),
        ("deploy", wish("web[1-2]", systems=["NONE"]), 404, "system-unknown"),
        ("deploy", wish("web[1-2]", rate=-1), 400, "bad-input"),
        ("deploy", wish("web[1-2]", on_failure="hope"), 400, "bad-input"),
        ("deploy", wish("web[1-9]", disk_size="9000"), 409, "no-room"),
        ("deploy", wish("web[1-2]", interfaces=too_late), 400, "bad-input"),
        ("power", {"verb": "start", "names": "nobody"}, 404, "guest-unknown"),
        ("power", {"verb": "fly", "names": "web1"}, 400, "bad-input"),
    ]
    for verb, body, status, code in bad:
        await refused(await admin.post(f"/bulk/{verb}", json=body), status, code)
    assert await begun(node) == []


@pytest.mark.usefixtures("ready")
async def test_the_log_of_a_job_tells_its_steps(admin: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    zhcp.write_seconds = 0.3
    guest = {"userid": "web1", "image": "sample"}
    job = await over(admin, await admin.post("/systems/zvm1/guests/provision", json=guest))
    said = [(line["step"], line["text"]) for line in (await ok(await admin.get(f"/jobs/{job['id']}/log")))["items"]]
    assert said[0] == ("create", "define WEB1: 1 CPU, 1024 MB, 1 disk(s)")
    assert ("create", "done") in said
    assert len([text for step, text in said if step == "write-image" and text.startswith("copied")]) == 1
    streamed = await admin.get(f"/jobs/{job['id']}/events")
    assert streamed.text.count("event: log") == len(said)
    number = streamed.text.split("id: ")[3].split("\n")[0]
    rest = await admin.get(f"/jobs/{job['id']}/events", headers={"Last-Event-ID": number})
    assert rest.text.count("event: log") == len(said) - 3


@pytest.mark.usefixtures("ready")
async def test_a_mistake_of_the_manager_ends_the_job_and_not_the_telling(
    admin: httpx.AsyncClient, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(job: str) -> None:
        raise AssertionError(job)

    monkeypatch.setattr(node.trees, "_submit", broken)
    job = await over(admin, await admin.post("/bulk/deploy", json=wish("web[1-2]")))
    assert (job["state"], job["error"]["code"], job["error"]["remedy"]) == ("failed", "internal", "see its log")
