"""Requests sent twice, and changes of what the caller saw: Idempotency-Key, ETag, If-Match."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

import httpx
import pytest
import sqlalchemy as sa

from api.native import As, ok, refused, token_of
from api.test_plans import GUEST, LINUX01, over
from manager.fake_zhcp import FakeZhcp
from manager.support import all_jobs
from zvmcloud.api.v1.app import document
from zvmcloud.manager.errors import AgentUnreachable
from zvmcloud.manager.facts import Document
from zvmcloud.manager.node import Node
from zvmcloud.manager.tables import idempotency

KEY = {"idempotency-key": "order 4711"}
GUESTS = "/systems/zvm1/guests"


async def test_a_change_sent_twice_is_one_job(admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp) -> None:
    first = await admin.post(GUESTS, json=GUEST, headers=KEY)
    await over(admin, first)
    second = await admin.post(GUESTS, json=GUEST, headers=KEY)
    assert (second.status_code, second.json()) == (202, first.json())
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["idempotency-replayed"] == "true"
    assert len(await all_jobs(node)) == len(zhcp.ran) == 1


async def test_two_at_the_same_moment_are_one(admin: httpx.AsyncClient, node: Node) -> None:
    answers = await asyncio.gather(*(admin.post(GUESTS, json=GUEST, headers=KEY) for _ in range(5)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"idempotency-running"}
    assert len(await all_jobs(node)) == 1


async def test_a_key_belongs_to_one_request_of_one_caller(admin: httpx.AsyncClient, client: As) -> None:
    await over(admin, await admin.post(GUESTS, json=GUEST, headers=KEY))
    other = await admin.post(GUESTS, json={**GUEST, "userid": "linux02"}, headers=KEY)
    await refused(other, 409, "idempotency-mismatch")
    dry = await admin.post(f"{GUESTS}?dry_run=true", json=GUEST, headers=KEY)
    await refused(dry, 409, "idempotency-mismatch")
    token = (await ok(await admin.post("/tokens", json={"name": "second"}), 201))["token"]
    mine = await client(token).post(GUESTS, json={**GUEST, "userid": "linux02"}, headers=KEY)
    await over(admin, mine)
    await refused(await admin.post(GUESTS, json=GUEST, headers={"idempotency-key": "x" * 129}), 400, "bad-input")


async def test_a_refusal_is_kept_too(admin: httpx.AsyncClient) -> None:
    first = await admin.post("/guests/zvm1/nobody/start", headers=KEY)
    await refused(first, 404, "guest-unknown")
    second = await admin.post("/guests/zvm1/nobody/start", headers=KEY)
    assert (second.status_code, second.json()) == (404, first.json())


TELLING: dict[str, dict[str, object]] = {
    "/login": {"user": "carla", "password": "correct horse battery"},
    "/tokens": {"name": "ci"},
    "/systems/ZVM9/enrollment": {},
}
"""A request of every route that answers with a new secret."""


def test_every_route_that_answers_with_a_secret_is_known() -> None:
    found, whole = set(), document()
    for path, methods in whole["paths"].items():
        for status, answer in methods.get("post", {"responses": {}})["responses"].items():
            schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
            shown = whole["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
            texts = {name for name, what in shown.get("properties", {}).items() if what.get("type") == "string"}
            if status.startswith("2") and {"token", "secret", "password", "key"} & texts:
                found.add(path.replace("{system}", "ZVM9"))
    assert found == set(TELLING)


@pytest.mark.parametrize("path", TELLING)
async def test_a_secret_is_not_kept(path: str, admin: httpx.AsyncClient, stored: Callable[[], bytes]) -> None:
    await ok(await admin.post("/users", json={"name": "carla", "password": "correct horse battery"}), 201)
    answer = await admin.post(path, json=TELLING[path], headers=KEY)
    assert answer.is_success, answer.text
    await refused(await admin.post(path, json=TELLING[path], headers=KEY), 409, "idempotency-secret")
    assert answer.json()["token"].encode() not in stored()


async def test_a_stranger_leaves_nothing_behind(client: As, node: Node) -> None:
    for token in ("", "wrong"):
        for path in ("/login", GUESTS, "/nothing"):
            answer = await client(token).post(path, json={"user": "x", "password": "y"}, headers=KEY)
            assert answer.status_code in {401, 404}, path
    async with node.core.database.read() as connection:
        assert (await connection.execute(sa.select(idempotency.c.id))).all() == []


async def test_what_a_role_did_not_allow_is_looked_at_again(admin: httpx.AsyncClient, client: As) -> None:
    carla = client(await token_of(admin, "carla", "member", default="reader"))
    await refused(await carla.post(GUESTS, json=GUEST, headers=KEY), 403, "role")
    await ok(await admin.put("/projects/default/members/carla", json={"role": "member"}), 204)
    await over(admin, await carla.post(GUESTS, json=GUEST, headers=KEY))


async def test_a_token_that_was_revoked_has_no_kept_answers(admin: httpx.AsyncClient, client: As) -> None:
    made = await ok(await admin.post("/tokens", json={"name": "ci"}), 201)
    await over(admin, await client(made["token"]).post(GUESTS, json=GUEST, headers=KEY))
    await ok(await admin.delete(f"/tokens/{made['id']}"), 204)
    await refused(await client(made["token"]).post(GUESTS, json=GUEST, headers=KEY), 401, "unauthorized")


async def test_a_request_that_a_crash_cut_off_finds_the_job_it_had_begun(
    admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp
) -> None:
    first = await over(admin, await admin.post(GUESTS, json=GUEST, headers=KEY))
    async with node.core.database.write() as connection:
        unanswered = {"status": None, "headers": sa.null(), "body": None, "epoch": node.journal.epoch - 1}
        await connection.execute(sa.update(idempotency).values(**unanswered))
    again = await ok(await admin.post(GUESTS, json=GUEST, headers=KEY), 202)
    assert again["id"] == first["id"]
    assert len(zhcp.ran) == 1


async def test_a_document_that_the_caller_has_is_not_sent_again(admin: httpx.AsyncClient) -> None:
    await over(admin, await admin.post(GUESTS, json=GUEST))
    first = await admin.get(LINUX01)
    tag = first.headers["etag"]
    second = await admin.get(LINUX01, headers={"if-none-match": f'"other", W/{tag}'})
    assert (second.status_code, second.content, second.headers["etag"]) == (304, b"", tag)
    assert (await admin.get(LINUX01, headers={"if-none-match": '"other"'})).status_code == 200


async def test_a_change_of_something_else_than_the_caller_saw_is_refused(
    admin: httpx.AsyncClient, zhcp: FakeZhcp
) -> None:
    await over(admin, await admin.post(GUESTS, json=GUEST))
    tag = (await admin.get(LINUX01)).headers["etag"]
    changed = await admin.patch(LINUX01, json={"tags": {"owner": "sam"}}, headers={"if-match": tag})
    assert (await ok(changed))["tags"] == {"owner": "sam"}
    await refused(await admin.patch(LINUX01, json={"tags": {}}, headers={"if-match": tag}), 412, "changed")
    assert (await ok(await admin.get(LINUX01)))["tags"] == {"owner": "sam"}
    zhcp.guests["LINUX01"]["memory_mb"] = 4096
    tag_before = (await admin.get(LINUX01)).headers["etag"]
    zhcp.guests["LINUX01"]["memory_mb"] = 8192
    await refused(await admin.delete(LINUX01, headers={"if-match": tag_before}), 412, "changed")
    assert "LINUX01" in zhcp.guests
    tag = (await admin.get(LINUX01)).headers["etag"]
    assert (await over(admin, await admin.delete(LINUX01, headers={"if-match": tag})))["state"] == "done"


async def test_a_change_of_something_that_is_not_there_or_cannot_be_looked_at_is_not_what_the_caller_saw(
    admin: httpx.AsyncClient, client: As
) -> None:
    await ok(await admin.post("/projects", json={"name": "shop"}), 201)
    await ok(await admin.post("/users", json={"name": "sam"}), 201)
    member, any_tag = "/projects/shop/members/sam", {"if-match": "*"}
    await refused(await admin.put(member, json={"role": "member"}, headers=any_tag), 412, "changed")
    assert (await ok(await admin.get("/audit?action=project.admit")))["items"] == [], "a member is no document"
    await refused(await admin.delete("/projects/gone", headers=any_tag), 412, "changed")
    await refused(await admin.delete(LINUX01, headers=any_tag), 412, "changed")
    await refused(await client("").delete("/projects/shop", headers=any_tag), 401, "unauthorized")
    await ok(await admin.get("/projects/shop"))


async def test_tags_are_the_projects_and_the_project_is_the_operators(admin: httpx.AsyncClient, client: As) -> None:
    await over(admin, await admin.post(GUESTS, json=GUEST))
    await ok(await admin.post("/projects", json={"name": "shop"}), 201)
    await ok(await admin.post("/users", json={"name": "sam"}), 201)
    await ok(await admin.put("/projects/default/members/sam", json={"role": "member"}), 204)
    sam = client((await ok(await admin.post("/tokens", json={"name": "t", "user": "sam"}), 201))["token"])
    await ok(await sam.patch(LINUX01, json={"tags": {"tier": "web"}}))
    await refused(await sam.patch(LINUX01, json={"project": "shop"}), 403, "role")
    await refused(await admin.patch(LINUX01, json={"project": "nothing"}), 404, "project-unknown")
    moved = await ok(await admin.patch(LINUX01, json={"project": "shop"}))
    assert (moved["project"], moved["tags"]) == ("shop", {"tier": "web"})
    await refused(await sam.get(LINUX01), 404, "not-found")


async def test_a_command_in_a_guest_is_for_operators_and_in_the_audit(admin: httpx.AsyncClient) -> None:
    await over(admin, await admin.post(GUESTS, json=GUEST))
    answer = await ok(await admin.post(f"{LINUX01}/command", json={"command": "uname -srm"}))
    assert answer == {"rc": 0, "output": "Linux 5.14.0 s390x"}
    done, begun = (await ok(await admin.get("/audit?action=guest.command")))["items"]
    assert (begun["subject"], begun["user"], begun["result"]) == ("ZVM1/LINUX01", "admin", "begun")
    told = {"bytes": 10, "sha256": hashlib.sha256(b"uname -srm").hexdigest()}
    assert (begun["detail"], done["detail"], done["result"]) == (told, {**told, "rc": 0}, "done")
    assert "uname" not in str((done, begun)), "a command may hold a password"


async def test_of_a_command_that_cannot_be_run_the_audit_says_so(
    admin: httpx.AsyncClient, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await over(admin, await admin.post(GUESTS, json=GUEST))

    async def silent(*_: object) -> Document:
        raise AgentUnreachable("the agent of ZVM1 does not answer", remedy="see that it runs")

    monkeypatch.setattr(node.guests, "command", silent)
    await refused(await admin.post(f"{LINUX01}/command", json={"command": "uname"}), 503, "agent-unreachable")
    items = (await ok(await admin.get("/audit?action=guest.command")))["items"]
    assert [item["result"] for item in items] == ["failed", "begun"]
    assert items[0]["detail"]["code"] == "agent-unreachable"
