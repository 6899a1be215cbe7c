"""Quotas of projects: what is used, recorded and accepted counts, and of requests at the same moment one after the
other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from api.native import As, ok, refused, token_of
from api.test_connector_road import add_image, done
from api.test_plans import GUEST, LINUX01, over
from manager.fake_zhcp import FakeZhcp, Refused
from zvmcloud.manager.node import Node

GUESTS = "/systems/zvm1/guests"


async def test_quotas_of_a_project_hold(admin: httpx.AsyncClient, client: As, zhcp: FakeZhcp) -> None:
    token = await token_of(admin, "sam", "member", shop="member")
    await ok(await admin.patch("/projects/shop", json={"quota": {"guests": 2, "vcpus": 3, "memory_mb": 8192}}))
    sam = client(token)
    await over(sam, await sam.post("/systems/zvm1/guests", json=GUEST))
    (guest,) = (await ok(await sam.get("/guests")))["items"]
    assert guest["project"] == "shop"
    for more, what in (({"vcpus": 2}, "vcpus"), ({"vcpus": 1, "memory_mb": 8000}, "memory_mb")):
        answer = await sam.post("/systems/zvm1/guests", json={**GUEST, "userid": "linux02", **more})
        problem = await refused(answer, 403, "quota")
        assert what in problem["detail"]
    await over(sam, await sam.post("/systems/zvm1/guests", json={**GUEST, "userid": "linux02", "vcpus": 1}))
    third = await sam.post("/systems/zvm1/guests", json={**GUEST, "userid": "linux03", "vcpus": 0})
    assert third.status_code in {400, 403}
    assert sorted(zhcp.guests) == ["LINUX01", "LINUX02"]


async def test_guests_of_a_tree_that_wait_count_in_the_quota(
    admin: httpx.AsyncClient, client: As, door: httpx.AsyncClient, node: Node, sample: Path
) -> None:
    await add_image(door, sample)
    sam = client(await token_of(admin, "sam", "member", shop="member"))
    await ok(await admin.patch("/projects/shop", json={"quota": {"guests": 3}}))
    wish = {"names": "web[1-2]", "image": "sample", "start": False, "rate": 1}
    plan = await ok(await sam.post("/bulk/deploy?dry_run=true", json=wish))
    tree = await ok(await sam.post("/bulk/deploy", json={**wish, "names": "db[1-2]"}), 202)
    problem = await refused(await sam.post(f"/plans/{plan['id']}/apply"), 403, "quota")
    assert "uses 2; this needs 2" in problem["detail"], "one is made, one waits: a plan is counted when it is applied"
    await over(sam, await sam.post("/systems/zvm1/guests", json={**GUEST, "userid": "linux01"}))
    await refused(await sam.post("/systems/zvm1/guests", json={**GUEST, "userid": "linux02"}), 403, "quota")
    await ok(await sam.post(f"/jobs/{tree['id']}/cancel"))
    for _ in range(3000):
        if (await node.journal.get(tree["id"])).over:
            break
        await asyncio.sleep(0.01)
    assert (await node.quotas.used("shop"))["guests"] < 3, "who was never made does not count any more"


async def test_of_changes_at_the_same_moment_no_more_are_accepted_than_fit(
    admin: httpx.AsyncClient, client: As, zhcp: FakeZhcp
) -> None:
    sam = client(await token_of(admin, "sam", "member", shop="member"))
    await ok(await admin.patch("/projects/shop", json={"quota": {"guests": 2}}))
    zhcp.delay = 0.2
    names = [f"linux0{number}" for number in range(6)]
    answers = await asyncio.gather(*(sam.post(GUESTS, json={**GUEST, "userid": name}) for name in names))
    assert sorted(answer.status_code for answer in answers) == [202, 202, 403, 403, 403, 403]
    for answer in answers:
        if answer.status_code == 202:
            await over(sam, answer)
    assert len(zhcp.guests) == 2


async def test_a_resize_counts_until_it_is_recorded(admin: httpx.AsyncClient, client: As, zhcp: FakeZhcp) -> None:
    sam = client(await token_of(admin, "sam", "member", shop="member"))
    for name in ("linux01", "linux02"):
        await over(sam, await sam.post(GUESTS, json={**GUEST, "userid": name, "max_cpus": 8}))
    await ok(await admin.patch("/projects/shop", json={"quota": {"vcpus": 6}}))
    zhcp.delay = 1.0
    running = await sam.post(f"{LINUX01}/resize-cpus", json={"vcpus": 4})
    async with asyncio.timeout(60):
        while "guest.resize_cpus" not in zhcp.kinds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    other = "/guests/zvm1/linux02/resize-cpus"
    problem = await refused(await sam.post(other, json={"vcpus": 3}), 403, "quota")
    assert "uses 6; this needs 1" in problem["detail"], "the agent works on the first; it is not recorded yet"
    await over(sam, running)
    await refused(await sam.post(other, json={"vcpus": 3}), 403, "quota")
    await over(sam, await sam.post(other, json={"vcpus": 1}))
    await over(sam, await sam.post(other, json={"vcpus": 2}))


async def test_a_retry_is_refused_when_what_it_makes_does_not_fit_any_more(
    admin: httpx.AsyncClient, client: As, zhcp: FakeZhcp
) -> None:
    sam = client(await token_of(admin, "sam", "member", shop="member"))
    await ok(await admin.patch("/projects/shop", json={"quota": {"guests": 1}}))
    zhcp.refuse_next = Refused(409, "pool-full", "the pool is full")
    failed = await over(sam, await sam.post(GUESTS, json=GUEST))
    assert failed["state"] == "failed"
    await over(sam, await sam.post(GUESTS, json={**GUEST, "userid": "linux02"}))
    problem = await refused(await sam.post(f"/jobs/{failed['id']}/retry"), 403, "quota")
    assert "uses 1; this needs 1" in problem["detail"]
    assert (await ok(await sam.get(f"/jobs/{failed['id']}")))["state"] == "failed"
    await over(sam, await sam.delete("/guests/zvm1/linux02"))
    answer = await sam.post(f"/jobs/{failed['id']}/retry")
    answer.headers["location"] = f"/v1/jobs/{failed['id']}"
    assert (await over(sam, answer))["state"] == "done"
    assert list(zhcp.guests) == ["LINUX01"]


async def test_a_retry_of_a_tree_counts_the_guests_that_are_not_done(
    admin: httpx.AsyncClient, client: As, door: httpx.AsyncClient, zhcp: FakeZhcp, sample: Path
) -> None:
    await add_image(door, sample)
    sam = client(await token_of(admin, "sam", "member", shop="member"))
    await ok(await admin.patch("/projects/shop", json={"quota": {"guests": 3}}))
    zhcp.refuse_next = Refused(409, "pool-full", "the pool is full")
    wish = {"names": "web[1-3]", "image": "sample", "start": False, "on_failure": "continue"}
    tree = await over(sam, await sam.post("/bulk/deploy", json=wish))
    assert tree["children"] == {"failed": 1, "done": 2}
    await over(sam, await sam.post(GUESTS, json=GUEST))
    problem = await refused(await sam.post(f"/jobs/{tree['id']}/retry"), 403, "quota")
    assert "uses 3; this needs 1" in problem["detail"]
    await over(sam, await sam.delete(LINUX01))
    answer = await sam.post(f"/jobs/{tree['id']}/retry")
    answer.headers["location"] = f"/v1/jobs/{tree['id']}"
    assert (await over(sam, answer))["children"] == {"done": 3}


async def test_guests_of_the_connector_count_in_its_project_and_are_refused_there(
    admin: httpx.AsyncClient, door: httpx.AsyncClient, zhcp: FakeZhcp
) -> None:
    await ok(await admin.patch("/projects/default", json={"quota": {"guests": 1}}))
    guest = {"vcpus": 1, "memory": 512, "disk_list": [{"size": "10", "is_boot_disk": True}]}
    bodies = [{"guest": {"userid": name, **guest}} for name in ("LINUX01", "LINUX02")]
    answers = await asyncio.gather(*(door.post("/guests", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (refusal,) = (answer.json() for answer in answers if answer.status_code == 409)
    assert "may use 1 guests and uses 1; this needs 1" in refusal["errmsg"]
    assert len(zhcp.guests) == 1
    await refused(await admin.post(GUESTS, json={**GUEST, "userid": "linux03"}), 403, "quota")


async def test_a_guest_that_is_registered_counts_with_its_size(
    admin: httpx.AsyncClient, door: httpx.AsyncClient, node: Node
) -> None:
    await over(admin, await admin.post(GUESTS, json={**GUEST, "userid": "linux01"}))
    before = await node.quotas.used("default")
    done(await door.post("/guests/linux01/action", json={"action": "deregister_vm"}))
    await ok(await admin.patch("/projects/default", json={"quota": {"guests": 0}}))
    register = {"action": "register_vm", "meta": "os_version=rhel8.6", "net_set": "0"}
    answer = await door.post("/guests/linux01/action", json=register)
    assert answer.status_code == 409
    assert "may use 0 guests and uses 0; this needs 1" in answer.json()["errmsg"]
    assert done(await door.get("/guests")) == []
    await ok(await admin.patch("/projects/default", json={"quota": {"guests": 1}}))
    done(await door.post("/guests/linux01/action", json=register))
    now = await node.quotas.used("default")
    assert (now["guests"], now["vcpus"], now["memory_mb"]) == (1, before["vcpus"], before["memory_mb"])


async def test_an_image_of_the_connector_counts_once_and_is_refused_where_it_does_not_fit(
    admin: httpx.AsyncClient, door: httpx.AsyncClient, node: Node, sample: Path
) -> None:
    await ok(await admin.patch("/projects/default", json={"quota": {"image_mb": 0}}))
    image = {"image_name": "sample", "url": sample.as_uri(), "image_meta": {"os_version": "rhel8.6"}}
    answer = await door.post("/images", json={"image": image})
    assert answer.status_code == 409
    assert "may use 0 image_mb and uses 0; this needs 1" in answer.json()["errmsg"]
    assert not [path for path in node.images.folder.rglob("*") if path.is_file()], "nothing is kept"
    await ok(await admin.patch("/projects/default", json={"quota": {"image_mb": 1}}))
    await add_image(door, sample)
    await add_image(door, sample, "again")
    assert (await node.quotas.used("default"))["image_mb"] == 1


async def test_a_guest_is_given_only_to_a_project_where_it_fits(admin: httpx.AsyncClient, client: As) -> None:
    await ok(await admin.post("/projects", json={"name": "shop", "quota": {"guests": 1}}), 201)
    for name in ("linux01", "linux02"):
        await over(admin, await admin.post(GUESTS, json={**GUEST, "userid": name}))
    assert (await ok(await admin.patch(LINUX01, json={"project": "shop"})))["project"] == "shop"
    await refused(await admin.patch("/guests/zvm1/linux02", json={"project": "shop"}), 403, "quota")
    assert (await ok(await admin.get("/guests/zvm1/linux02")))["project"] == "default"
    await ok(await admin.patch(LINUX01, json={"project": "shop", "tags": {"env": "prod"}}))


async def test_who_is_over_a_quota_that_was_lowered_may_do_what_uses_no_more(
    admin: httpx.AsyncClient, client: As
) -> None:
    sam = client(await token_of(admin, "sam", "member", shop="member"))
    await over(sam, await sam.post(GUESTS, json={**GUEST, "max_cpus": 8}))
    await ok(await admin.patch("/projects/shop", json={"quota": {"guests": 0, "vcpus": 1, "memory_mb": 99999}}))
    await over(sam, await sam.post(f"{LINUX01}/resize-memory", json={"memory_mb": 1024}))
    await over(sam, await sam.post(f"{LINUX01}/resize-cpus", json={"vcpus": 1}))
    await refused(await sam.post(f"{LINUX01}/resize-cpus", json={"vcpus": 2}), 403, "quota")
    await over(sam, await sam.delete(LINUX01))


async def test_what_an_undo_takes_again_counts_from_its_acceptance_and_is_never_refused(
    admin: httpx.AsyncClient, client: As, node: Node
) -> None:
    sam = client(await token_of(admin, "sam", "member", shop="member"))
    for name in ("linux01", "linux02"):
        await over(sam, await sam.post(GUESTS, json={**GUEST, "userid": name, "max_cpus": 8}))
    smaller = await over(sam, await sam.post(f"{LINUX01}/resize-cpus", json={"vcpus": 1}))
    await ok(await admin.post("/systems/zvm1/look"))
    forgotten = await over(admin, await admin.post(f"{LINUX01}/forget"))
    await ok(await admin.patch("/projects/shop", json={"quota": {"vcpus": 4, "guests": 2}}))
    assert await used_of_shop(node) == (1, 2)
    await node.core.runner.again(forgotten["id"], backwards=True)  # accepted, and no engine has it yet
    assert await used_of_shop(node) == (2, 3), "the room of the guest that comes back is taken"
    other = "/guests/zvm1/linux02/resize-cpus"
    await refused(await sam.post(other, json={"vcpus": 4}), 403, "quota")
    await ended(node, forgotten["id"])
    assert await used_of_shop(node) == (2, 3)
    await over(sam, await sam.post(other, json={"vcpus": 3}))
    await node.core.runner.again(smaller["id"], backwards=True)
    assert await used_of_shop(node) == (2, 5), "an undo is not refused where it breaks a limit"
    await refused(await sam.post(other, json={"vcpus": 4}), 403, "quota")
    await ended(node, smaller["id"])
    assert await used_of_shop(node) == (2, 5)
    await over(sam, await sam.post(other, json={"vcpus": 2}))


async def used_of_shop(node: Node) -> tuple[int, int]:
    used = await node.quotas.used("shop")
    return used["guests"], used["vcpus"]


async def ended(node: Node, job: str) -> None:
    await node.core.engine.submit(job)
    for _ in range(3000):
        if (await node.journal.get(job)).over:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(job)
