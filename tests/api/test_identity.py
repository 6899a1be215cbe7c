"""Who may come in, and how far: logins, tokens, users, projects, the audit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.native import As, ok, refused, token_of
from zvmcloud.manager.identity.accounts import Accounts, WrongPassword
from zvmcloud.manager.identity.tables import api_tokens, audit, users
from zvmcloud.manager.identity.throttle import FREE
from zvmcloud.manager.identity.tokens import Tokens
from zvmcloud.manager.node import Node
from zvmcloud.manager.tables import guests

PASSWORD = "correct horse battery"


async def test_a_password_gives_a_token_for_twelve_hours(client: As, admin: httpx.AsyncClient) -> None:
    user = {"name": "carla", "role": "operator", "password": PASSWORD}
    made = await ok(await admin.post("/users", json=user), 201)
    assert made["password"] is True
    token = await ok(await client("").post("/login", json={"user": "carla", "password": PASSWORD}))
    assert 12 * 3600 - 5 < token["expires"] - token["created"] <= 12 * 3600
    found = await ok(await client(token["token"]).get("/whoami"))
    assert (found["user"], found["role"]) == ("carla", "operator")


async def test_every_failed_login_sounds_the_same_and_more_of_them_are_slowed_down(
    client: As, admin: httpx.AsyncClient
) -> None:
    await ok(await admin.post("/users", json={"name": "carla", "password": PASSWORD}), 201)
    stranger = client("")
    answers = [
        await refused(await stranger.post("/login", json={"user": user, "password": "wrong one"}), 401, "login-refused")
        for user in ("carla", "nobody", "admin", "carla", "carla")
    ]
    assert len({str(answer) for answer in answers}) == 1
    assert len(answers) == FREE
    right = await stranger.post("/login", json={"user": "carla", "password": PASSWORD})
    await refused(right, 429, "login-throttled")
    assert int(right.headers["retry-after"]) >= 1


async def test_wrong_logins_that_come_at_once_are_counted_one_by_one(
    client: As, admin: httpx.AsyncClient, node: Node
) -> None:
    await ok(await admin.post("/users", json={"name": "carla", "password": PASSWORD}), 201)
    node.accounts = standing_still(node)
    stranger, wrong = client(""), {"user": "carla", "password": "wrong one"}
    answers = await asyncio.gather(*(stranger.post("/login", json=wrong) for _ in range(3 * FREE)))
    assert Counter(answer.status_code for answer in answers) == {401: FREE, 429: 2 * FREE}


async def test_right_logins_that_come_at_once_do_not_slow_each_other_down(admin: httpx.AsyncClient, node: Node) -> None:
    """Neither those of many users behind one address, nor those of one user from many; also after some that failed."""
    await ok(await admin.post("/users", json={"name": "carla", "password": PASSWORD}), 201)
    await ok(await admin.post("/users", json={"name": "dora", "password": PASSWORD}), 201)
    accounts = standing_still(node)
    for user, address in (("carla", "192.0.2.1"), ("dora", "192.0.2.1")):
        for _ in range((FREE - 1) // 2):
            with pytest.raises(WrongPassword):
                await accounts.login(user, "wrong one", address)
    several = [("carla", "192.0.2.1"), ("dora", "192.0.2.1"), ("carla", "192.0.2.2"), ("carla", "192.0.2.3")]
    made = await asyncio.gather(*(accounts.login(user, PASSWORD, address) for user, address in several * 2))
    assert [token.user for token, _ in made] == [user for user, _ in several * 2]


async def test_a_login_that_goes_well_counts_for_nothing(client: As, admin: httpx.AsyncClient, node: Node) -> None:
    await ok(await admin.post("/users", json={"name": "carla", "password": PASSWORD}), 201)
    node.accounts = standing_still(node)
    stranger, right = client(""), {"user": "carla", "password": PASSWORD}
    for _ in range(FREE - 1):
        await refused(await stranger.post("/login", json={**right, "password": "wrong one"}), 401, "login-refused")
    for _ in range(3):
        await ok(await stranger.post("/login", json=right))
    last = await stranger.post("/login", json={"user": "nobody", "password": "wrong one"})
    await refused(last, 401, "login-refused")
    await refused(await stranger.post("/login", json=right), 429, "login-throttled")


def standing_still(node: Node) -> Accounts:
    """The accounts of a manager whose clock does not move, so that no pause ends meanwhile."""
    return Accounts(node.core.database, node.tokens, lambda: 1e9)


async def test_only_hashes_of_tokens_and_passwords_are_kept(
    admin: httpx.AsyncClient, node: Node, stored: Callable[[], bytes]
) -> None:
    await ok(await admin.post("/users", json={"name": "carla", "password": PASSWORD}), 201)
    token = (await ok(await admin.post("/tokens", json={"name": "ci"}), 201))["token"]
    kept = stored()
    assert b"carla" in kept
    for secret in (PASSWORD, token, str(node.new_admin_token)):
        assert secret.encode() not in kept
    listed = await ok(await admin.get("/tokens"))
    assert all("token" not in found for found in listed)


@pytest.mark.parametrize("why", ["revoked", "expired", "disabled", "removed"])
async def test_a_token_ends(why: str, client: As, admin: httpx.AsyncClient, node: Node) -> None:
    token = await token_of(admin, "carla", "member", shop="member")
    assert (await client(token).get("/guests")).status_code == 200
    (made,) = await ok(await client(token).get("/tokens"))
    match why:
        case "revoked":
            await ok(await admin.delete(f"/tokens/{made['id']}"), 204)
        case "expired":
            async with node.core.database.write() as connection:
                await connection.execute(sa.update(api_tokens).where(api_tokens.c.id == made["id"]).values(expires=1.0))
        case "disabled":
            await ok(await admin.patch("/users/carla", json={"enabled": False}))
        case "removed":
            await ok(await admin.delete("/users/carla"), 204)
    await refused(await client(token).get("/guests"), 401, "unauthorized")


async def test_a_token_never_reaches_further_than_the_one_that_made_it(client: As, admin: httpx.AsyncClient) -> None:
    token = await token_of(admin, "carla", "member", shop="reader", lab="member")
    member = client(token)
    await refused(await member.post("/tokens", json={"name": "more", "role": "admin"}), 403, "role")
    await refused(await member.post("/tokens", json={"name": "more", "user": "admin"}), 403, "role")
    await refused(await member.post("/tokens", json={"name": "x", "project": "elsewhere"}), 404, "not-found")
    reader = (await ok(await member.post("/tokens", json={"name": "r", "role": "reader", "project": "lab"}), 201))[
        "token"
    ]
    found = await ok(await client(reader).get("/whoami"))
    assert (found["role"], found["projects"]) == ("reader", {"lab": "reader"})
    await refused(await client(reader).post("/tokens", json={"name": "up", "role": "member"}), 403, "role")
    further = (await ok(await client(reader).post("/tokens", json={"name": "same"}), 201))["token"]
    assert (await ok(await client(further).get("/whoami")))["projects"] == {"lab": "reader"}


async def test_a_membership_that_ends_takes_its_tokens_reach_away(client: As, admin: httpx.AsyncClient) -> None:
    token = await token_of(admin, "carla", "member", shop="member", lab="member")
    scoped = (await ok(await client(token).post("/tokens", json={"name": "s", "project": "shop"}), 201))["token"]
    await ok(await admin.delete("/projects/shop/members/carla"), 204)
    assert (await ok(await client(scoped).get("/whoami")))["projects"] == {}
    assert (await ok(await client(token).get("/whoami")))["projects"] == {"lab": "member"}
    await refused(await admin.delete("/projects/shop/members/carla"), 404, "member-unknown")


async def test_a_token_of_one_project_makes_tokens_of_that_project_only(client: As, admin: httpx.AsyncClient) -> None:
    token = await token_of(admin, "carla", "member", shop="member", lab="member")
    scoped = client(
        (await ok(await client(token).post("/tokens", json={"name": "s", "project": "shop"}), 201))["token"]
    )
    assert (await ok(await scoped.post("/tokens", json={"name": "again"}), 201))["project"] == "shop"
    await refused(await scoped.post("/tokens", json={"name": "other", "project": "lab"}), 404, "not-found")
    await ok(await admin.delete("/projects/shop/members/carla"), 204)
    for body in ({"name": "all"}, {"name": "shop", "project": "shop"}, {"name": "lab", "project": "lab"}):
        await refused(await scoped.post("/tokens", json=body), 404, "not-found")


async def test_an_admins_token_of_one_project_makes_none_of_another(client: As, admin: httpx.AsyncClient) -> None:
    await ok(await admin.post("/projects", json={"name": "shop"}), 201)
    await ok(await admin.post("/projects", json={"name": "lab"}), 201)
    await ok(await admin.post("/users", json={"name": "carla", "role": "operator"}), 201)
    scoped = client((await ok(await admin.post("/tokens", json={"name": "s", "project": "shop"}), 201))["token"])
    made = await ok(await scoped.post("/tokens", json={"name": "t"}), 201)
    assert (made["user"], made["role"], made["project"]) == ("admin", "admin", "shop")
    await refused(await scoped.post("/tokens", json={"name": "t", "project": "lab"}), 404, "not-found")
    await refused(await scoped.post("/tokens", json={"name": "t", "user": "carla"}), 403, "role")


async def test_the_last_admin_stays_one(admin: httpx.AsyncClient) -> None:
    await refused(await admin.patch("/users/admin", json={"role": "member"}), 409, "last-admin")
    await refused(await admin.patch("/users/admin", json={"enabled": False}), 409, "last-admin")
    await refused(await admin.delete("/users/admin"), 409, "last-admin")
    assert (await ok(await admin.get("/users/admin")))["role"] == "admin"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/users", {"name": ""}, 400, "bad-input"),
        ("/users", {"name": "a b"}, 400, "bad-input"),
        ("/users", {"name": "x", "role": "king"}, 400, "bad-input"),
        ("/users", {"name": "x", "password": "short"}, 400, "bad-input"),
        ("/users", {"name": "x", "colour": "red"}, 400, "bad-input"),
        ("/users", {"name": "admin"}, 409, "user-exists"),
        ("/projects", {"name": "p", "quota": {"cars": 1}}, 400, "bad-input"),
        ("/projects", {"name": "p", "quota": {"guests": -1}}, 400, "bad-input"),
        ("/projects", {"name": "default"}, 409, "project-exists"),
        ("/tokens", {"name": "t", "user": "nobody"}, 404, "user-unknown"),
        ("/tokens", {"name": "t", "project": "nothing"}, 404, "project-unknown"),
        ("/tokens", {"name": "t", "seconds": 0}, 400, "bad-input"),
    ],
)
async def test_bad_input_changes_nothing(
    admin: httpx.AsyncClient, node: Node, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    before = await everything(node)
    problem = await refused(await admin.post(path, json=body), status, code)
    assert problem["detail"]
    assert "short" not in problem["detail"]
    assert await everything(node) == before


async def everything(node: Node) -> list[object]:
    async with node.core.database.read() as connection:
        return [
            (await connection.execute(sa.select(table.c[column]))).all()
            for table, column in ((users, "name"), (api_tokens, "id"), (audit, "number"))
        ]


async def test_every_change_is_in_the_audit_with_who_and_from_where(client: As, admin: httpx.AsyncClient) -> None:
    token = await token_of(admin, "carla", "operator")
    await ok(await client(token).post("/tokens", json={"name": "mine"}), 201)
    found = (await ok(await admin.get("/audit")))["items"]
    newest = found[0]
    assert (newest["user"], newest["role"], newest["address"]) == ("carla", "operator", "192.0.2.7")
    assert (newest["action"], newest["subject"], newest["result"]) == ("token.make", "carla/mine", "done")
    assert [entry["action"] for entry in found[1:]] == ["token.make", "user.add", "token.make"]
    assert await ok(await admin.get("/audit/verify")) == {"holds": True, "number": None, "reason": ""}
    assert (await ok(await admin.get("/audit?action=user.add")))["items"] == [found[2]]


@pytest.mark.parametrize(
    ("damage", "number", "reason"),
    [
        (sa.update(audit).where(audit.c.number == 2).values(user="somebody"), 2, "not what was hashed"),
        (sa.delete(audit).where(audit.c.number == 2), 2, "missing"),
        (sa.delete(audit).where(audit.c.number == 1), 1, "missing"),
    ],
)
async def test_an_audit_that_was_tampered_with_is_noticed(
    admin: httpx.AsyncClient, node: Node, damage: sa.Update | sa.Delete, number: int, reason: str
) -> None:
    for name in ("one", "two", "three"):
        await ok(await admin.post("/projects", json={"name": name}), 201)
    async with node.core.database.write() as connection:
        await connection.execute(damage)
    found = await ok(await admin.get("/audit/verify"))
    assert (found["holds"], found["number"]) == (False, number)
    assert reason in found["reason"]


async def test_guests_are_seen_by_their_project_only(client: As, admin: httpx.AsyncClient, node: Node) -> None:
    async with node.core.database.write() as connection:
        for number, project in enumerate(("shop", "lab", "shop"), 1):
            row = {"userid": f"LINUX0{number}", "id": str(number), "project": project}
            await connection.execute(sa.insert(guests), {"system": "ZVM1", "created": 0.0, "comments": {}, **row})
    shop = client(await token_of(admin, "sam", "member", shop="reader"))
    assert [guest["userid"] for guest in (await ok(await shop.get("/guests")))["items"]] == ["LINUX01", "LINUX03"]
    assert (await ok(await shop.get("/guests?project=lab")))["items"] == []
    assert len((await ok(await admin.get("/guests")))["items"]) == 3
    await refused(await admin.delete("/projects/shop"), 409, "project-in-use")


async def test_a_token_for_one_project_does_nothing_beyond_projects(client: As, admin: httpx.AsyncClient) -> None:
    await ok(await admin.post("/projects", json={"name": "shop"}), 201)
    made = await ok(await admin.post("/tokens", json={"name": "narrow", "role": "admin", "project": "shop"}), 201)
    narrow = client(made["token"])
    problem = await refused(
        await narrow.post("/users", json={"name": "eve", "password": "a long password", "role": "admin"}), 403, "role"
    )
    assert problem["remedy"] == "use a token for all projects"
    assert await ok(await narrow.get("/guests")) == {"items": [], "next": None}


async def test_the_first_token_is_made_once(node: Node) -> None:
    assert node.new_admin_token is not None
    assert await Tokens(node.core.database).first() is None
