"""Fixtures of the doors' tests: a node over a fake agent or a simulated z/VM, and clients of its ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api.native import As
from api.refusing import Refusals
from manager.fake_zhcp import FakeZhcp
from manager.over_simulator import Managed, managed
from manager.support import image_file, running, settings
from zvmcloud.api.connector.tokens import make_secret
from zvmcloud.api.program import doors
from zvmcloud.manager.node import Node


@pytest.fixture
def zhcp() -> FakeZhcp:
    return FakeZhcp()


@pytest.fixture
async def node(tmp_path: Path, zhcp: FakeZhcp, database: str) -> AsyncIterator[Node]:
    found = settings(tmp_path / "state", database=database, connector={"mode": "open", "open_from": ["127.0.0.1"]})
    make_secret(tmp_path / "state" / "connector.token")
    async with running(zhcp, found) as opened:
        yield opened


@pytest.fixture
async def zvm(tmp_path: Path, database: str) -> AsyncIterator[Managed]:
    """A simulated z/VM, its agent, and a node that manages it; a file makes that its `node`."""
    make_secret(tmp_path / "state" / "connector.token")
    async with managed(tmp_path, settings(tmp_path / "state", database=database)) as found:
        yield found


@pytest.fixture
async def door(node: Node, zhcp: FakeZhcp) -> AsyncIterator[httpx.AsyncClient]:
    """The manager as a client on an open address sees it; the fake agent fetches images from it."""
    transport = httpx.ASGITransport(doors(node))
    async with httpx.AsyncClient(transport=transport, base_url="http://manager") as client:
        zhcp.fetch = client
        yield client


@pytest.fixture
async def stranger(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    """The manager as a client on any other address sees it."""
    transport = httpx.ASGITransport(doors(node), client=("192.0.2.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://manager") as client:
        yield client


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return image_file(tmp_path)


@pytest.fixture
def client(node: Node) -> As:
    """A client with this token."""

    def made(token: str) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(doors(node), client=("192.0.2.7", 1)),
            base_url="http://manager/v1",
            headers=headers,
        )

    return made


@pytest.fixture
def admin(client: As, node: Node) -> httpx.AsyncClient:
    return client(str(node.new_admin_token))


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> Refusals:
    """Every CP command of an agent over a simulated z/VM comes by here, and can be refused."""
    found = Refusals()
    found.listen(monkeypatch)
    return found
