"""Which z/VM system a connector client means: the default one, that of its path, or that of the port it came to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from manager.fake_zhcp import FakeZhcp
from manager.support import running, settings
from zvmcloud.api.connector.tokens import make_secret
from zvmcloud.api.program import doors
from zvmcloud.manager.node import Node
from zvmcloud.manager.settings import SettingsError
from zvmcloud.manager.settings_file import build

GUEST = {"vcpus": 1, "memory": 512, "disk_list": []}


@pytest.fixture
def agents() -> dict[str, FakeZhcp]:
    return {"ZVM1": FakeZhcp(), "ZVM2": FakeZhcp()}


@pytest.fixture
async def node(tmp_path: Path, agents: dict[str, FakeZhcp]) -> AsyncIterator[Node]:
    systems = [{"name": "ZVM1", "url": "http://zhcp"}, {"name": "ZVM2", "url": "http://zhcp", "connector_port": 8082}]
    found = settings(tmp_path / "state", connector={"mode": "open"}, systems=systems)
    make_secret(tmp_path / "state" / "connector.token")
    async with running(agents["ZVM1"], found, ZVM2=agents["ZVM2"]) as opened:
        yield opened


def client(node: Node, base: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(doors(node)), base_url=base)


async def guests(door: httpx.AsyncClient, path: str = "/guests") -> list[str]:
    answer = await door.get(path)
    assert answer.status_code == 200, answer.text
    found: list[str] = answer.json()["output"]
    return found


async def test_the_same_call_reaches_the_system_that_the_client_means(node: Node, agents: dict[str, FakeZhcp]) -> None:
    async with client(node, "http://manager:8080") as default, client(node, "http://manager:8082") as own:
        for door, userid in ((default, "one"), (own, "two")):
            assert (await door.post("/guests", json={"guest": {"userid": userid, **GUEST}})).status_code == 200
        assert (set(agents["ZVM1"].guests), set(agents["ZVM2"].guests)) == ({"ONE"}, {"TWO"})
        assert await guests(default) == ["ONE"]
        assert await guests(own) == ["TWO"]
        assert await guests(default, "/systems/ZVM2/guests") == ["TWO"]
        assert await guests(default, "/systems/zvm2/guests") == ["TWO"]
        assert await guests(own, "/systems/ZVM1/guests") == ["ONE"], "the path goes before the port"
        assert (await default.get("/systems/ZVM3/guests")).status_code == 404
        assert (await own.get("/guests/one/power_state")).status_code == 404


@pytest.mark.parametrize(
    ("ports", "named"), [((70000, 1), "systems[0].connector_port"), ((5, 5), "connector_port 5 is given twice")]
)
def test_ports_that_cannot_be_are_named(tmp_path: Path, ports: tuple[int, int], named: str) -> None:
    systems = [{"name": f"Z{port}{n}", "url": "http://x", "connector_port": port} for n, port in enumerate(ports)]
    with pytest.raises(SettingsError) as caught:
        build({"state": str(tmp_path), "systems": systems})
    assert named in str(caught.value)
