"""Who may come in at the doors."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import jwt
import pytest
from starlette.requests import Request

from api.test_connector_road import add_image, create
from manager.fake_zhcp import FakeZhcp
from manager.support import running, settings
from zvmcloud.api.connector.routes import RULES
from zvmcloud.api.connector.tokens import Door
from zvmcloud.api.program import doors
from zvmcloud.manager.node import Node


def secret(node: Node) -> str:
    return (node.settings.state / "connector.token").read_text().strip()


async def test_a_token_opens_the_door_for_any_address(stranger: httpx.AsyncClient, node: Node) -> None:
    assert (await stranger.get("/guests")).status_code == 401
    answer = await stranger.post("/token", headers={"X-Admin-Token": secret(node)})
    assert answer.status_code == 200
    assert answer.content == b""
    token = answer.headers["x-auth-token"]
    assert set(jwt.decode(token, secret(node), algorithms=["HS256"])) == {"exp"}
    assert (await stranger.get("/guests", headers={"X-Auth-Token": token})).status_code == 200


async def test_every_route_needs_a_token_from_everywhere_but_the_open_addresses(
    stranger: httpx.AsyncClient, door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp
) -> None:
    routes = [(rule.method, rule.path) for rule in RULES] + [("GET", "/smapi-healthy")]
    assert len(routes) == 58 - 1, "58 pairs of method and path, POST /token among them"
    token = (await stranger.post("/token", headers={"X-Admin-Token": secret(node)})).headers["x-auth-token"]
    for method, path in routes:
        for prefix in ("", "/systems/ZVM1"):
            url = prefix + re.sub(r"{\w+}", "x1", path)
            for headers in ({}, {"X-Auth-Token": "garbage"}):
                answer = await stranger.request(method, url, headers=headers)
                assert answer.status_code == 401, (method, url)
                assert answer.json()["rs"] == 401
    assert zhcp.ran == [], "nothing was done"
    for method, path in routes:
        url = re.sub(r"{\w+}", "x1", path)
        for client, headers in ((stranger, {"X-Auth-Token": token}), (door, {})):
            assert (await client.request(method, url, headers=headers)).status_code != 401, (method, url)


async def test_mode_token_opens_the_door_for_no_address(tmp_path: Path, zhcp: FakeZhcp) -> None:
    found = settings(tmp_path / "closed", connector={"mode": "token", "open_from": ["127.0.0.1"]})
    async with running(zhcp, found) as node:
        transport = httpx.ASGITransport(doors(node))
        async with httpx.AsyncClient(transport=transport, base_url="http://manager") as client:
            assert (await client.get("/guests")).status_code == 401


@pytest.mark.parametrize("headers", [{}, {"X-Admin-Token": "bad"}, {"X-Admin-Token": ""}])
async def test_without_the_admin_secret_there_is_no_token(stranger: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await stranger.post("/token", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["rs"] == 401
    assert "x-auth-token" not in answer.headers


async def test_expired_forged_and_unsigned_tokens_are_refused(stranger: httpx.AsyncClient, node: Node) -> None:
    tokens = [
        jwt.encode({"exp": int(time.time()) - 1}, secret(node), algorithm="HS256"),
        jwt.encode({"exp": int(time.time()) + 60}, "another secret that is long enough", algorithm="HS256"),
        jwt.encode({"exp": int(time.time()) + 60}, "", algorithm="none"),
        "garbage",
        "server-auth-closed",
    ]
    for token in tokens:
        answer = await stranger.get("/guests", headers={"X-Auth-Token": token})
        assert answer.status_code == 401
        assert answer.json() | {"errmsg": ""} == {
            "overallRC": 400, "modID": 120, "rc": 400, "rs": 401, "errmsg": "", "output": "",
        }  # fmt: skip


async def test_a_new_secret_ends_all_tokens(stranger: httpx.AsyncClient, node: Node) -> None:
    token = (await stranger.post("/token", headers={"X-Admin-Token": secret(node)})).headers["x-auth-token"]
    (node.settings.state / "connector.token").write_text("another secret that is long enough\n")
    assert (await stranger.get("/guests", headers={"X-Auth-Token": token})).status_code == 401


async def test_an_open_address_needs_no_token_and_is_told_so(door: httpx.AsyncClient) -> None:
    assert (await door.get("/guests")).status_code == 200
    assert (await door.post("/token")).headers["x-auth-token"] == "server-auth-closed"


async def test_an_invalid_token_wins_over_an_invalid_body_but_not_over_a_missing_route(
    stranger: httpx.AsyncClient,
) -> None:
    assert (await stranger.post("/guests", json={})).status_code == 401
    assert (await stranger.get("/nothing")).status_code == 404
    assert (await stranger.put("/guests", json={})).status_code == 405


async def test_v1_needs_the_admin_token_from_any_address(
    door: httpx.AsyncClient, node: Node, stored: Callable[[], bytes]
) -> None:
    assert (await door.get("/v1/health")).status_code == 200
    for path in ("/v1/jobs", "/v1/guests", "/v1/systems", "/v1/images", "/v1/jobs/x", "/v1/images/x/content"):
        answer = await door.get(path, headers={"Authorization": "Bearer wrong"})
        assert answer.status_code in {401, 404}, path
    assert (await door.get("/v1/jobs", headers={"Authorization": f"Bearer {node.new_admin_token}"})).status_code == 200
    assert str(node.new_admin_token).encode() not in stored()


async def test_image_content_is_for_the_job_that_reads_it_and_only_while_it_runs(
    door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, sample: Path
) -> None:
    await create(door)
    await add_image(door, sample)
    assert (await door.get("/v1/images/sample/content")).status_code == 401
    answer = await door.post("/guests/linux01/action", json={"action": "deploy", "image": "sample"})
    assert answer.status_code == 200
    source = next(body for body in zhcp.bodies.values() if body["kind"] == "disk.write_image")["parameters"]["source"]
    assert zhcp.fetched, "the agent could read it while the job ran"
    assert (await door.get(source["url"], headers=source["headers"])).status_code == 401


@pytest.mark.parametrize("header", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_a_web_page_in_a_browser_on_an_open_address_needs_a_token(
    door: httpx.AsyncClient, header: dict[str, str]
) -> None:
    assert (
        await door.post("/guests", content=b"{}", headers={"content-type": "text/plain", **header})
    ).status_code == 401


async def test_what_the_manager_keeps_is_readable_by_its_owner_only(door: httpx.AsyncClient, node: Node) -> None:
    await create(door)
    sqlite = () if node.settings.database else ("manager.sqlite", "manager.sqlite-wal")
    for name in (*sqlite, "image.key", "connector.token"):
        assert (node.settings.state / name).stat().st_mode & 0o077 == 0, name


FORGED = {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"}
"""What a client claims of its address."""


@pytest.mark.parametrize(
    ("listed", "address", "passes"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("127.0.0.1", "::ffff:192.0.2.9", False),
        ("127.0.0.1", "::127.0.0.1", False),
        ("127.0.0.1", "::1", False),
        ("127.0.0.1", "64:ff9b::127.0.0.1", False),
        ("127.0.0.1", "2002:7f00:1::1", False),
        ("127.0.0.1", "127.0.0.1%lo", False),
        ("127.0.0.1", "unix", False),
        ("127.0.0.1", "", False),
        ("192.0.2.0/24", "192.0.2.9", True),
        ("192.0.2.0/24", "192.0.3.9", False),
        ("2001:db8::/64", "2001:db8::9", True),
        ("2001:db8::/64", "2001:db8:0:1::9", False),
        ("2001:db8::/64", "::ffff:192.0.2.9", False),
    ],
)
def test_only_the_address_of_the_connection_opens_the_door(
    tmp_path: Path, listed: str, address: str, passes: bool
) -> None:
    found = settings(tmp_path / "state", connector={"mode": "open", "open_from": [listed]})
    door = Door(found.connector, tmp_path / "none")
    headers = [(name.lower().encode(), value.encode()) for name, value in FORGED.items()]
    scope = {"type": "http", "client": (address, 1), "headers": headers, "method": "GET", "path": "/"}
    assert door.admits(Request(scope)) is passes
    assert door.admits(Request({**scope, "client": None})) is False
