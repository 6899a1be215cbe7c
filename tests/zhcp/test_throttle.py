"""SMAPI has few worker servers: the agent sends a few short and a few long calls at a time, each with its own limit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from zhcp.conftest import Agent
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client, Sending
from zvmcloud.smapi.declare import Answer, Reply, Request
from zvmcloud.smapi.errors import TransportError
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.smapi_port import SmapiPort

R = TypeVar("R", bound=Reply)


class Held(Client):
    """A request server that holds every call until it is let go."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", 1, userid="ZHCP", password="ZHCP")
        self.at_work: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.go = asyncio.Event()

    async def call(
        self,
        request: Request[R],
        *,
        allow: Sequence[tuple[int, int]] = (),
        sending: Sending | None = None,
        **_: object,
    ) -> Answer[R]:
        if sending is not None:
            await sending()
        name = request.spec.name
        self.at_work[name] += 1
        self.most |= self.at_work
        try:
            await self.go.wait()
        finally:
            self.at_work[name] -= 1
        raise TransportError("let go")


async def _let_go(server: Held, calls: Sequence[asyncio.Future[Any]]) -> None:
    server.go.set()
    for ended in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(ended, AgentError), "all were sent in the end"


QUERY, CREATE = "Image_Query_DM", "Image_Create_DM"


@pytest.mark.parametrize(("short", "long"), [(8, 2), (3, 1), (1, 4)])
async def test_no_more_calls_are_sent_at_a_time_than_the_settings_say(agent: Agent, short: int, long: int) -> None:
    smapi = replace(agent.settings.smapi, short_calls=short, long_calls=long)
    port = SmapiPort.of(replace(agent.settings, smapi=smapi))
    server = port._client = Held()
    calls = [
        asyncio.create_task(port.call(request, lambda _: None))
        for number in range(10)
        for request in (f.ImageQueryDM(target=f"LINUX{number:02}"), f.ImageCreateDM(target=f"LINUX{number:02}"))
    ]
    for _ in range(50):
        await asyncio.sleep(0)
    assert server.at_work == {QUERY: short, CREATE: long}, "long work takes no place of what is quickly answered"
    await _let_go(server, calls)
    assert server.most == {QUERY: short, CREATE: long}


async def test_updates_of_the_directory_leave_half_of_the_short_calls_to_questions(agent: Agent) -> None:
    port = SmapiPort.of(agent.settings)
    server = port._client = Held()
    names = [f"LINUX{number:02}" for number in range(10)]
    replaced = [f.ImageReplaceDM(target=name, image_record_array=(f"USER {name} NOLOG",)) for name in names]
    calls = [asyncio.create_task(port.call(request, lambda _: None)) for request in replaced]
    for _ in range(50):
        await asyncio.sleep(0)
    asked = [asyncio.create_task(port.call(f.ImageQueryDM(target=name), lambda _: None)) for name in names]
    for _ in range(50):
        await asyncio.sleep(0)
    assert server.at_work == {"Image_Replace_DM": 4, QUERY: 4}
    await _let_go(server, [*calls, *asked])
