"""Rights that are asked anew: a job or a plan is run again for who may change now what it is about."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.native import As, ok, refused, token_of
from api.test_plans import GUEST, LINUX01, over
from manager.fake_zhcp import FakeZhcp

GUESTS = "/systems/zvm1/guests"
SWITCHES = "/systems/zvm1/vswitches"


async def again(client: httpx.AsyncClient, job: dict[str, Any], how: str) -> httpx.Response:
    return await client.post(f"/jobs/{job['id']}/{how}")


async def test_what_was_done_to_a_guest_is_not_taken_back_once_it_is_another_projects(
    admin: httpx.AsyncClient, client: As, zhcp: FakeZhcp
) -> None:
    sam = client(await token_of(admin, "sam", "member", p="member"))
    await ok(await admin.post("/projects", json={"name": "q"}), 201)
    made = await over(sam, await sam.post(GUESTS, json=GUEST))
    started = await over(sam, await sam.post(f"{LINUX01}/start"))
    plan = await ok(await sam.post(f"{LINUX01}/stop?dry_run=true"))
    await ok(await admin.patch(LINUX01, json={"project": "q"}))
    zhcp.ran.clear()
    await refused(await sam.post(f"{LINUX01}/stop"), 404, "not-found")
    await refused(await sam.post(f"/plans/{plan['id']}/apply"), 404, "not-found")
    for job in (made, started):
        for how in ("cancel", "retry", "undo"):
            await refused(await again(sam, job, how), 404, "not-found")
    assert zhcp.ran == []
    await ok(await admin.patch(LINUX01, json={"project": "p"}))
    await ok(await again(sam, started, "undo"), 202)


async def test_a_guest_that_was_given_away_is_not_copied_by_an_older_plan(
    admin: httpx.AsyncClient, client: As, zhcp: FakeZhcp
) -> None:
    sam = client(await token_of(admin, "sam", "member", p="member"))
    await ok(await admin.post("/projects", json={"name": "q"}), 201)
    await over(sam, await sam.post(GUESTS, json=GUEST))
    plan = await ok(await sam.post(f"{LINUX01}/clone?dry_run=true", json={"to": "linux02"}))
    await ok(await admin.patch(LINUX01, json={"project": "q"}))
    await refused(await sam.post(f"/plans/{plan['id']}/apply"), 404, "not-found")
    assert "LINUX02" not in zhcp.guests


async def test_an_operators_plan_and_job_are_not_run_by_a_member_of_their_project(
    admin: httpx.AsyncClient, client: As, zhcp: FakeZhcp
) -> None:
    member = client(await token_of(admin, "sam", "member", default="member"))
    operator = client(await token_of(admin, "opal", "operator"))
    plan = await ok(await operator.post(f"{SWITCHES}?dry_run=true", json={"name": "VSWX"}))
    assert plan["project"] == "default"
    await ok(await member.get(f"/plans/{plan['id']}"))
    job = await over(operator, await operator.post(SWITCHES, json={"name": "VSWY"}))
    zhcp.ran.clear()
    await refused(await member.post(f"/plans/{plan['id']}/apply"), 403, "role")
    for how in ("cancel", "retry", "undo"):
        await refused(await again(member, job, how), 403, "role")
    assert zhcp.ran == []
    await ok(await again(operator, job, "undo"), 202)


async def test_a_bulk_job_lies_in_the_project_of_its_guests(admin: httpx.AsyncClient, client: As) -> None:
    sam = client(await token_of(admin, "sam", "member", a="member", b="member"))
    eve = client(await token_of(admin, "eve", "member", a="member"))
    await over(sam, await sam.post(GUESTS, json={**GUEST, "project": "b"}))
    job = await over(sam, await sam.post("/bulk/power", json={"verb": "start", "names": "linux01"}))
    assert job["project"] == "b"
    await refused(await eve.get(f"/jobs/{job['id']}"), 404, "not-found")
    for how in ("cancel", "retry", "undo"):
        await refused(await again(eve, job, how), 404, "not-found")
    await over(sam, await sam.post(GUESTS, json={**GUEST, "userid": "linux02", "project": "a"}))
    for path in ("/bulk/power", "/bulk/delete"):
        wanted = {"names": "linux[01-02]", **({"verb": "stop"} if path == "/bulk/power" else {})}
        problem = await refused(await sam.post(path, json=wanted), 400, "bad-input")
        assert "a, b" in problem["detail"]


@pytest.mark.parametrize("how", ["cancel", "retry", "undo"])
async def test_a_bulk_job_is_not_run_again_once_one_of_its_guests_is_another_projects(
    how: str, admin: httpx.AsyncClient, client: As, zhcp: FakeZhcp
) -> None:
    sam = client(await token_of(admin, "sam", "member", a="member"))
    await ok(await admin.post("/projects", json={"name": "q"}), 201)
    for userid in ("linux01", "linux02"):
        await over(sam, await sam.post(GUESTS, json={**GUEST, "userid": userid}))
    wanted = {"verb": "start", "names": "linux[01-02]"}
    plan = await ok(await sam.post("/bulk/power?dry_run=true", json=wanted))
    job = await over(sam, await sam.post("/bulk/power", json=wanted))
    await ok(await admin.patch("/guests/zvm1/linux02", json={"project": "q"}))
    zhcp.ran.clear()
    await refused(await again(sam, job, how), 404, "not-found")
    await refused(await sam.post(f"/plans/{plan['id']}/apply"), 404, "not-found")
    assert zhcp.ran == []
