"""Changes that are refused for rights are in the audit, the same at both doors: who, from where, what, and why."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.native import As, ok, token_of
from api.test_connector_reach import THEIRS, Shop, asked, shop
from api.test_plans import over
from zvmcloud.manager.errors import ManagerError, NotAllowed
from zvmcloud.manager.identity import refusals
from zvmcloud.manager.identity.acting import act_for
from zvmcloud.manager.identity.refusals import Refusals
from zvmcloud.manager.identity.roles import SYSTEM, Caller, Role
from zvmcloud.manager.identity.tables import audit
from zvmcloud.manager.node import Node

__all__ = ["shop"]
Entry = tuple[str, str, str, str, str]
SAM = Caller("sam", Role.MEMBER, {"shop": Role.MEMBER}, "shop", address="192.0.2.7")


async def entries(node: Node) -> list[Entry]:
    """Who, from where, what, with which result and why, of the refused requests."""
    query = sa.select(audit).where(audit.c.action == refusals.ACTION).order_by(audit.c.number)
    async with node.core.database.read() as connection:
        rows = (await connection.execute(query)).all()
    return [(row.user, row.address, row.subject, row.result, row.detail["code"]) for row in rows]


async def test_what_is_refused_at_the_connector_door(shop: Shop) -> None:
    for wanted in THEIRS:
        await asked(shop.door, wanted)
    found = await entries(shop.node)
    changes = {f"{method} {path}" for method, path, _ in THEIRS if method != "GET" or "/conn/" in path}
    assert {what for _, _, what, _, _ in found} == changes
    assert {(user, address, result, code) for user, address, _, result, code in found} == {
        ("connector", "127.0.0.1", "refused", "guest-unknown")
    }
    await ok(await shop.admin.patch("/projects/shop", json={"quota": {"guests": 1, "vcpus": 1}}))
    for wanted in (
        ("DELETE", "/vswitches/VSW1", None),
        ("POST", "/guests", {"guest": {"userid": "TWO", "vcpus": 1, "memory": 512, "disk_list": []}}),
        ("POST", "/guests", {"guest": {"userid": "MAINT", "vcpus": 1, "memory": 512, "disk_list": []}}),
        ("DELETE", "/guests/nobody", None),
        ("POST", "/guests/mine/nic", {"nic": {"vdev": "1000", "mac_addr": "x"}}),
    ):
        await asked(shop.door, wanted)
    told = [(what, code) for _, _, what, _, code in (await entries(shop.node))[len(found) :]]
    assert told == [("DELETE /vswitches/VSW1", "role"), ("POST /guests", "quota"), ("POST /guests", "guest-protected")]
    assert await shop.node.audit.verify() is None


async def test_what_is_refused_at_the_native_door(admin: httpx.AsyncClient, client: As, node: Node) -> None:
    sam = client(await token_of(admin, "sam", "member", shop="member"))
    guest = {"userid": "theirs", "project": "default"}
    await over(admin, await admin.post("/systems/zvm1/guests", json=guest))
    await ok(await admin.patch("/projects/shop", json={"quota": {"guests": 0}}))
    act_for(SYSTEM)
    requests: tuple[tuple[str, str, Any], ...] = (
        ("POST", "/guests/zvm1/theirs/stop", None),
        ("POST", "/systems/zvm1/vswitches", {"name": "VSW7"}),
        ("POST", "/systems/zvm1/guests", {"userid": "mine", "project": "shop"}),
        ("POST", "/systems/zvm1/guests", {"userid": "mine", "memory_mb": 0}),
        ("POST", "/guests/zvm1/nobody/stop", None),
        ("GET", "/guests/zvm1/theirs", None),
        ("GET", "/audit", None),
    )
    for method, path, body in requests:
        assert (await sam.request(method, path, json=body)).status_code >= 400
    await client("nobody's").post("/guests/zvm1/theirs/stop")
    assert await entries(node) == [
        ("sam", "192.0.2.7", "POST /v1/guests/zvm1/theirs/stop", "refused", "not-found"),
        ("sam", "192.0.2.7", "POST /v1/systems/zvm1/vswitches", "refused", "role"),
        ("sam", "192.0.2.7", "POST /v1/systems/zvm1/guests", "refused", "quota"),
    ]


async def test_repeated_requests_do_not_fill_the_audit(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same one is there once a minute, all of one user so many times."""
    monkeypatch.setattr(refusals, "MOST", 3)
    now = [0.0]
    kept = Refusals(node.audit, lambda: now[0])
    error: ManagerError = NotAllowed("no", code="role")
    for request in ("POST /a", "POST /a", "POST /b", "POST /c", "POST /d"):
        await kept.note(SAM, request, error)
    await kept.note(Caller("eve", Role.READER), "POST /a", error)
    assert [(user, what) for user, _, what, _, _ in await entries(node)] == [
        ("sam", "POST /a"), ("sam", "POST /b"), ("sam", "POST /c"), ("eve", "POST /a"),
    ]  # fmt: skip
    now[0] = 60.0
    await kept.note(SAM, "POST /a", error)
    assert len(await entries(node)) == 5
