"""Jobs whose guest, disk, adapter or network is another one by now: they are neither undone nor retried."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.native import As, ok, refused, token_of
from api.test_plans import GUEST, LINUX01, over
from manager.fake_zhcp import FakeZhcp, Refused
from zvmcloud.manager.errors import Conflict
from zvmcloud.manager.jobs.plan import JobRecord
from zvmcloud.manager.node import Node

GUESTS = "/systems/zvm1/guests"
Job = dict[str, Any]


async def again(caller: httpx.AsyncClient, job: Job, how: str = "undo") -> Job:
    answer = await caller.post(f"/jobs/{job['id']}/{how}")
    answer.headers["location"] = f"/v1/jobs/{job['id']}"
    return await over(caller, answer)


async def overtaken(caller: httpx.AsyncClient, job: Job, by: Job | None, how: str = "undo") -> None:
    problem = await refused(await caller.post(f"/jobs/{job['id']}/{how}"), 409, "job-overtaken")
    if by is not None:
        assert by["id"] in problem["detail"]
        assert by["id"] in problem["remedy"]
    assert (await ok(await caller.get(f"/jobs/{job['id']}")))["state"] == job["state"], "nothing was done"


async def test_a_guest_of_the_same_name_is_another_guest(admin: httpx.AsyncClient, client: As, zhcp: FakeZhcp) -> None:
    sam = client(await token_of(admin, "sam", "member", p="member"))
    ann = client(await token_of(admin, "ann", "member", p="member"))
    made = await over(sam, await sam.post(GUESTS, json=GUEST))
    started = await over(sam, await sam.post(f"{LINUX01}/start"))
    gone = await over(sam, await sam.delete(LINUX01))
    for job in (made, started):
        await overtaken(sam, job, gone)
    theirs = await over(ann, await ann.post(GUESTS, json=GUEST))
    zhcp.ran.clear()
    for job in (made, started):
        await overtaken(sam, job, theirs)
    assert zhcp.ran == []
    assert (await again(ann, theirs))["state"] == "undone"


async def test_a_guest_made_at_the_connectors_door_is_another_guest_too(
    admin: httpx.AsyncClient, door: httpx.AsyncClient, zhcp: FakeZhcp
) -> None:
    await over(admin, await admin.post(GUESTS, json=GUEST))
    started = await over(admin, await admin.post(f"{LINUX01}/start"))
    assert (await door.delete("/guests/linux01")).status_code == 200
    guest = {"userid": "LINUX01", "vcpus": 1, "memory": 512, "disk_list": [{"size": "10", "is_boot_disk": "True"}]}
    assert (await door.post("/guests", json={"guest": guest})).status_code == 200
    theirs = (await ok(await admin.get("/jobs?userid=linux01&kind=guest.create")))["items"][0]
    await overtaken(admin, started, theirs)


async def test_a_guest_that_was_adopted_anew_is_another_guest(admin: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    await over(admin, await admin.post(GUESTS, json=GUEST))
    started = await over(admin, await admin.post(f"{LINUX01}/start"))
    await ok(await admin.post("/systems/zvm1/look"))
    forgotten = await over(admin, await admin.post(f"{LINUX01}/forget"))
    assert (await again(admin, forgotten))["state"] == "undone"
    assert (await again(admin, started))["state"] == "undone", "the forgetting was undone: it is the same one"


async def test_a_disk_of_the_same_number_is_another_disk(admin: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    await over(admin, await admin.post(GUESTS, json=GUEST))
    disk = {"size": "5", "vdev": "0101"}
    first = await over(admin, await admin.post(f"{LINUX01}/disks", json=disk))
    other = await over(admin, await admin.post(f"{LINUX01}/disks", json={**disk, "vdev": "0102"}))
    gone = await over(admin, await admin.delete(f"{LINUX01}/disks/0101"))
    await overtaken(admin, first, gone)
    second = await over(admin, await admin.post(f"{LINUX01}/disks", json=disk))
    await overtaken(admin, first, None)
    assert (await again(admin, other))["state"] == "undone", "0102 is what it was"
    assert (await again(admin, second))["state"] == "undone"


async def test_what_happened_to_something_else_of_the_guest_is_no_reason(
    admin: httpx.AsyncClient, zhcp: FakeZhcp
) -> None:
    made = await over(admin, await admin.post(GUESTS, json=GUEST))
    started = await over(admin, await admin.post(f"{LINUX01}/start"))
    disk = await over(admin, await admin.post(f"{LINUX01}/disks", json={"size": "5", "vdev": "0101"}))
    for job in (started, disk, made):
        assert (await again(admin, job))["state"] == "undone"
    assert zhcp.guests == {}


async def test_an_adapter_and_its_coupling_are_undone_the_last_one_first(
    admin: httpx.AsyncClient, zhcp: FakeZhcp
) -> None:
    await over(admin, await admin.post(GUESTS, json=GUEST))
    for name in ("VSW1", "VSW2"):
        await over(admin, await admin.post("/systems/zvm1/vswitches", json={"name": name}))
    nic = f"{LINUX01}/nics/1000"
    attached = await over(admin, await admin.post(f"{LINUX01}/nics", json={"vdev": "1000"}))
    first = await over(admin, await admin.post(f"{nic}/couple", json={"vswitch": "VSW2"}))
    second = await over(admin, await admin.post(f"{nic}/couple", json={"vswitch": "VSW1"}))
    await overtaken(admin, first, second)
    assert (await again(admin, second))["state"] == "undone"
    assert (await again(admin, first))["state"] == "undone"
    assert (await again(admin, attached))["state"] == "undone"


async def test_a_vswitch_of_the_same_name_is_another_vswitch(admin: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    wanted = {"name": "VSWX"}
    first = await over(admin, await admin.post("/systems/zvm1/vswitches", json=wanted))
    await over(admin, await admin.delete("/systems/zvm1/vswitches/VSWX"))
    second = await over(admin, await admin.post("/systems/zvm1/vswitches", json=wanted))
    await overtaken(admin, first, None)
    assert (await again(admin, second))["state"] == "undone"


async def test_a_size_that_was_changed_again_is_not_put_back(admin: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    await over(admin, await admin.post(GUESTS, json=GUEST))
    first = await over(admin, await admin.post(f"{LINUX01}/resize-memory", json={"memory_mb": 1024}))
    processors = await over(admin, await admin.post(f"{LINUX01}/resize-cpus", json={"vcpus": 2}))
    second = await over(admin, await admin.post(f"{LINUX01}/resize-memory", json={"memory_mb": 1536}))
    await overtaken(admin, first, second)
    for job in (processors, second, first):
        assert (await again(admin, job))["state"] == "undone"
    assert (await ok(await admin.get(LINUX01)))["memory_mb"] == GUEST["memory_mb"]


async def test_the_attributes_of_a_vswitch_are_undone_the_last_change_first(
    admin: httpx.AsyncClient, zhcp: FakeZhcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(parameters: dict[str, Any]) -> dict[str, Any]:
        return {"name": parameters["name"], "before": {"queue_mem": 1}}

    monkeypatch.setattr(zhcp, "_do_vswitch_change", change, raising=False)
    await over(admin, await admin.post("/systems/zvm1/vswitches", json={"name": "VSWX"}))
    first, second = [
        await over(admin, await admin.patch("/systems/zvm1/vswitches/VSWX", json={"queue_mem": queue}))
        for queue in (2, 3)
    ]
    await overtaken(admin, first, second)
    assert (await again(admin, second))["state"] == "undone"
    assert (await again(admin, first))["state"] == "undone"


async def test_a_retry_does_not_touch_what_came_after_the_job_failed(
    admin: httpx.AsyncClient, zhcp: FakeZhcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    await over(admin, await admin.post(GUESTS, json=GUEST))
    disk = {"size": "5", "vdev": "0101"}
    await over(admin, await admin.post(f"{LINUX01}/disks", json=disk))

    def full(_: dict[str, Any]) -> dict[str, Any]:
        raise Refused(409, "pool-locked", "the directory is locked")

    with monkeypatch.context() as patched:
        patched.setattr(zhcp, "_do_disk_remove", full)
        failed = await over(admin, await admin.delete(f"{LINUX01}/disks/0101"))
    assert failed["state"] == "failed"
    await over(admin, await admin.delete(f"{LINUX01}/disks/0101"))
    await over(admin, await admin.post(f"{LINUX01}/disks", json=disk))
    await overtaken(admin, failed, None, "retry")


async def test_many_are_undone_only_when_each_of_them_can_be(admin: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    for userid in ("linux01", "linux02"):
        await over(admin, await admin.post(GUESTS, json={**GUEST, "userid": userid}))
    started = await over(admin, await admin.post("/bulk/power", json={"verb": "start", "names": "linux[01-02]"}))
    gone = await over(admin, await admin.delete("/guests/zvm1/linux02"))
    zhcp.ran.clear()
    await overtaken(admin, started, gone)
    assert zhcp.ran == []
    children = (await ok(await admin.get(f"/jobs?parent={started['id']}")))["items"]
    (left,) = [child for child in children if child["userid"] == "LINUX01"]
    assert (await again(admin, left))["state"] == "undone"


async def test_the_undo_of_many_names_those_that_changed_meanwhile(
    admin: httpx.AsyncClient, zhcp: FakeZhcp, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for userid in ("linux01", "linux02"):
        await over(admin, await admin.post(GUESTS, json={**GUEST, "userid": userid}))
    started = await over(admin, await admin.post("/bulk/power", json={"verb": "start", "names": "linux[01-02]"}))
    plain = node.runner.again

    async def changed_meanwhile(job: str, *, backwards: bool, by_parent: bool = False) -> JobRecord:
        if by_parent and (await node.journal.get(job)).userid == "LINUX02":
            raise Conflict("it is another one", code="job-overtaken")
        return await plain(job, backwards=backwards, by_parent=by_parent)

    monkeypatch.setattr(node.runner, "again", changed_meanwhile)
    found = await again(admin, started)
    assert (found["state"], found["error"]["code"]) == ("failed", "not-undone")
    assert "LINUX02" in found["steps"][0]["detail"]
    assert "LINUX01" not in found["steps"][0]["detail"]
