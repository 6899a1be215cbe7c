"""What a client gets whose request the stopping manager gives up."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from zvmcloud.api.farewell import Farewell
from zvmcloud.manager.node import Node


async def slow(_scope: Scope, _receive: Receive, _send: Send) -> None:
    await asyncio.sleep(60)


async def given_up(app: ASGIApp, path: str) -> httpx.Response:
    """The answer to a request whose task is cancelled while it waits."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://manager") as client:
        asking = asyncio.create_task(client.get(path))
        await asyncio.sleep(0.05)
        asking.cancel()
        return await asking


async def test_the_connectors_clients_get_their_envelope(node: Node) -> None:
    node.stopping = True
    answer = await given_up(Farewell(slow, node), "/guests")
    assert answer.status_code == 503
    assert list(answer.json()) == ["overallRC", "modID", "rc", "rs", "errmsg", "output"]
    assert (answer.json()["overallRC"], answer.json()["rs"]) == (400, 503)


async def test_clients_of_the_native_api_get_a_problem(node: Node) -> None:
    node.stopping = True
    answer = await given_up(Farewell(slow, node), "/v1/jobs")
    assert (answer.status_code, answer.json()["code"]) == (503, "stopping")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_manager_that_goes_on_lets_a_cancelled_request_be(node: Node) -> None:
    with pytest.raises(asyncio.CancelledError):
        await given_up(Farewell(slow, node), "/guests")
