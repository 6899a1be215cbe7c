"""Every job is in the audit: who began it, from where, and how it ended."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from manager.fake_zhcp import FakeZhcp
from zvmcloud.manager.identity.tables import audit
from zvmcloud.manager.node import Node
from zvmcloud.manager.settings import SettingsError
from zvmcloud.manager.settings_file import build

GUEST = {"guest": {"userid": "LINUX01", "vcpus": 1, "memory": 512, "disk_list": []}}


async def entries(node: Node) -> list[Any]:
    async with node.core.database.read() as connection:
        query = sa.select(audit).where(audit.c.job != "").order_by(audit.c.number)
        return list((await connection.execute(query)).all())


async def test_a_job_of_the_connector_is_begun_by_the_connector_and_done(node: Node, door: httpx.AsyncClient) -> None:
    job = (await door.post("/guests", json=GUEST)).headers["zvm-job"]
    begun, done = await entries(node)
    assert (begun.user, begun.role, begun.address) == ("connector", "operator", "127.0.0.1")
    assert (begun.action, begun.subject, begun.job, begun.result) == ("guest.create", "ZVM1/LINUX01", job, "begun")
    assert (done.action, done.subject, done.job, done.result) == ("guest.create", "ZVM1/LINUX01", job, "done")
    assert await node.audit.verify() is None


async def test_a_job_that_fails_says_why(node: Node, door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    assert (await door.post("/guests", json=GUEST)).status_code == 200
    assert (await door.post("/guests", json=GUEST)).status_code == 409
    *_, begun, failed = await entries(node)
    assert (begun.result, failed.result, failed.job) == ("begun", "failed", begun.job)
    assert failed.detail["code"]
    assert await node.audit.verify() is None


async def test_a_job_of_the_native_api_is_begun_by_the_user(node: Node, admin: httpx.AsyncClient) -> None:
    body = {"userid": "LINUX02", "vcpus": 1, "memory_mb": 512}
    job = (await admin.post("/systems/ZVM1/guests", json=body)).json()["id"]
    begun = (await entries(node))[0]
    assert (begun.user, begun.role, begun.address, begun.job) == ("admin", "admin", "192.0.2.7", job)
    assert begun.token


async def test_who_cancelled_a_job_is_in_the_audit(node: Node, admin: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    zhcp.delay = 0.3
    job = (await admin.post("/systems/ZVM1/guests", json={"userid": "LINUX02"})).json()["id"]
    for _ in range(2):
        assert (await admin.post(f"/jobs/{job}/cancel")).status_code == 200
    found = [row for row in await entries(node) if row.action == "job.cancel"]
    assert [(row.user, row.address, row.job, row.result) for row in found] == [("admin", "192.0.2.7", job, "begun")]


@pytest.mark.parametrize(("name", "value"), [("role", "reader"), ("role", "king"), ("project", "a b"), ("project", "")])
def test_the_door_of_the_connector_has_a_role_that_changes_things_and_a_project(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"connector.{name}"):
        build({"state": "/nowhere", "connector": {name: value}})
