"""What an agent was doing when it died comes to its end: it waits for a z/VM that is away, and is not cancelled on the
way."""

from __future__ import annotations

import asyncio

import pytest

from zhcp.conftest import Agent
from zvmcloud.simulator.faults import Rule
from zvmcloud.smapi.client import IMPATIENT
from zvmcloud.zhcp import runner
from zvmcloud.zhcp.messages import operation_json

PATH = "/v1/operations/j/create"


def body(agent: Agent) -> dict[str, object]:
    """The body of a PUT that makes LINUX01."""
    return {"epoch": 1, "kind": "guest.create", "parameters": operation_json(agent.guest())}


def impatient(agent: Agent) -> None:
    """Its client gives up at once; as it is, it tries for a minute and a half."""
    agent.runner.smapi._client._patience = IMPATIENT


async def cut_off(agent: Agent) -> None:
    """The agent ends when it has made the entry and z/VM makes the disk."""
    agent.simulator.faults.add(Rule(function="Image_Disk_Create_DM", action="hang", count=1))
    assert (await agent.http.put(PATH, params={"wait": 0.3}, json=body(agent))).json()["state"] == "running"
    assert agent.simulator.faults.rules[0].struck == 1
    await agent.runner.stop()
    agent.simulator.faults.clear()
    agent.restart()
    impatient(agent)
    assert {"userid": "LINUX01"} in await agent.client.guests()


async def test_it_waits_until_z_vm_can_be_reached(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would fail otherwise, undo nothing, since it knows of nothing yet, and leave an entry."""
    monkeypatch.setattr(runner, "_AWAY_PAUSE", 0.05)
    await cut_off(agent)
    agent.simulator.faults.add(Rule(function="Image_Query_DM", action="drop-before-id"))
    waiting = (await agent.http.put(PATH, params={"wait": 1}, json=body(agent))).json()
    assert waiting["state"] == "running"
    assert "waits for z/VM: the SMAPI request server did not answer" in waiting["detail"]
    agent.simulator.faults.clear()
    done = (await agent.http.get(PATH, params={"wait": 10})).json()
    assert done["state"] == "done"
    assert agent.simulator.system.entries["LINUX01"].entry.mdisk("0100") is not None


async def test_a_cancel_lets_it_come_to_its_end(agent: Agent) -> None:
    """Cancelled before it has found the entry, it would leave it."""
    await cut_off(agent)
    agent.simulator.faults.add(Rule(function="Image_Query_DM", action="delay", delay=0.5, count=1))
    going = asyncio.create_task(agent.http.put(PATH, json=body(agent)))
    await asyncio.sleep(0.2)
    ended = await agent.client.cancel("j", "create", epoch=1)
    assert ended.state == "done"
    assert (await going).json()["state"] == "done"


async def test_a_refusal_of_z_vm_ends_it(agent: Agent) -> None:
    await cut_off(agent)
    agent.simulator.faults.add(Rule(function="Image_Disk_Create_DM", rc=596, rs=9))
    failed = (await agent.http.put(PATH, json=body(agent))).json()
    assert (failed["state"], failed["error"]["code"]) == ("failed", "smapi-refused")
    assert {"userid": "LINUX01"} not in await agent.client.guests()


async def test_a_first_run_does_not_wait(agent: Agent) -> None:
    impatient(agent)
    agent.simulator.faults.add(Rule(function="Image_Query_DM", action="drop-before-id"))
    failed = (await agent.http.put(PATH, json=body(agent))).json()
    assert (failed["state"], failed["error"]["code"]) == ("failed", "smapi-unreachable")
