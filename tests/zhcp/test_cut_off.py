"""What an agent was doing when it died comes to its end: it waits for a z/VM that is away, and is not cancelled on the
way."""

from __future__ import annotations

import asyncio

import pytest

from zhcp.conftest import Agent
from zvmcloud.simulator.faults import Rule
from zvmcloud.smapi.client import IMPATIENT
from zvmcloud.zhcp import runner, smapi_port
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.operations import context

PATH = "/v1/operations/j/create"


def body(agent: Agent) -> dict[str, object]:
    """The body of a PUT that makes LINUX01."""
    return {"epoch": 1, "kind": "guest.create", "parameters": operation_json(agent.guest())}


def impatient(agent: Agent) -> None:
    """Its client gives up at once; as it is, it tries for a minute and a half."""
    agent.runner.smapi._client._patience = IMPATIENT


async def struck(agent: Agent) -> None:
    """Until the fault is met."""
    async with asyncio.timeout(30):
        while not agent.simulator.faults.rules[0].struck:  # noqa: ASYNC110 (the rules have no event)
            await asyncio.sleep(0.01)


async def cut_off(agent: Agent) -> None:
    """The agent ends when it has made the entry and z/VM makes the disk."""
    agent.simulator.faults.add(Rule(function="Image_Disk_Create_DM", action="hang", count=1))
    going = asyncio.create_task(agent.http.put(PATH, json=body(agent)))
    await struck(agent)
    await agent.runner.stop()
    assert (await going).json()["state"] == "running"
    agent.simulator.faults.clear()
    agent.restart()
    impatient(agent)
    assert {"userid": "LINUX01"} in await agent.client.guests()


@pytest.mark.parametrize("away", [{"action": "drop-before-id"}, {"rc": 500, "rs": 4}], ids=["SMAPI", "directory"])
async def test_it_waits_until_z_vm_answers(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, away: dict[str, object]
) -> None:
    """It would fail otherwise, undo nothing, since it knows of nothing yet, and leave an entry. After an IPL the
    directory manager comes up later than the request server."""
    monkeypatch.setattr(runner, "_AWAY_PAUSE", 0.05)
    monkeypatch.setattr(smapi_port, "BUSY_PAUSES", (0,))
    await cut_off(agent)
    agent.simulator.faults.add(Rule.of({"function": "Image_Query_DM", **away}))
    going = asyncio.create_task(agent.http.put(PATH, json=body(agent)))
    await struck(agent)
    async with asyncio.timeout(30):
        while "waits for z/VM" not in (await agent.http.get(PATH, params={"wait": 0})).json()["detail"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    agent.simulator.faults.clear()
    assert (await going).json()["state"] == "done"
    assert agent.simulator.system.entries["LINUX01"].entry.mdisk("0100") is not None


async def test_a_cancel_lets_it_come_to_its_end(agent: Agent) -> None:
    """Cancelled before it has found the entry, it would leave it."""
    await cut_off(agent)
    agent.simulator.faults.add(Rule(function="Image_Query_DM", action="delay", delay=2, count=1))
    going = asyncio.create_task(agent.http.put(PATH, json=body(agent)))
    await struck(agent)
    ended = await agent.client.cancel("j", "create", epoch=1)
    assert ended.state == "done"
    assert (await going).json()["state"] == "done"


async def test_a_refusal_of_z_vm_ends_it(agent: Agent) -> None:
    await cut_off(agent)
    agent.simulator.faults.add(Rule(function="Image_Disk_Create_DM", rc=596, rs=9))
    failed = (await agent.http.put(PATH, json=body(agent))).json()
    assert (failed["state"], failed["error"]["code"]) == ("failed", "smapi-refused")
    assert {"userid": "LINUX01"} not in await agent.client.guests()


async def test_a_first_run_does_not_wait(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "OBSERVE_PAUSES", (0,))
    impatient(agent)
    agent.simulator.faults.add(Rule(function="Image_*", action="drop-before-id"))
    failed = (await agent.http.put(PATH, json=body(agent))).json()
    assert (failed["state"], failed["error"]["code"]) == ("failed", "smapi-unreachable")
