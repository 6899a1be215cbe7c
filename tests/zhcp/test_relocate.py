"""Relocation: a guest moves between members of a cluster; what stands against it is named and changes nothing."""

from __future__ import annotations

import pytest

from zhcp.conftest import Agent
from zhcp.test_road import until_up
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.zhcp.messages import StartGuest
from zvmcloud.zhcp.resource_messages import RelocateGuest

CLUSTER = pytest.mark.parametrize("agent", [{"model": PRESETS["ssi4"]}], indirect=True)


async def running(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)


def where(agent: Agent) -> list[str]:
    return [name for name, system in agent.simulator.cluster.systems.items() if "LINUX01" in system.machines]


@CLUSTER
async def test_a_guest_moves_and_its_source_knows_it_is_elsewhere(agent: Agent) -> None:
    await running(agent)
    assert where(agent) == ["VM1"]
    tested = await agent.run(RelocateGuest(userid="LINUX01", destination="VM2", test=True))
    assert tested.result is not None
    assert tested.result["moved"] is False
    assert where(agent) == ["VM1"]
    moved = await agent.run(RelocateGuest(userid="LINUX01", destination="VM2", max_total=60, max_quiesce=-1))
    assert moved.result is not None
    assert moved.result["moved"] is True
    assert where(agent) == ["VM2"]
    (call,) = [call for call in moved.calls if call.name == "VMRELOCATE"]
    assert (call.parameters["action"], call.parameters["max_total"], call.parameters["max_quiesce"]) == (
        "MOVE", "60", "NOLIMIT",
    )  # fmt: skip
    assert (await agent.client.guest("LINUX01"))["state"] == "on another SSI member"


@CLUSTER
async def test_a_blocker_is_named_and_the_guest_stays(agent: Agent) -> None:
    await running(agent)
    for test in (True, False):
        problem = await agent.refused(RelocateGuest(userid="LINUX01", destination="NOWHERE", test=test))
        assert (problem.status, problem.code) == (409, "not-relocatable")
        assert problem.smapi is not None
        assert "CP messages" in problem.detail
    assert where(agent) == ["VM1"]


async def test_a_system_in_no_cluster_relocates_nothing(agent: Agent) -> None:
    await running(agent)
    problem = await agent.refused(RelocateGuest(userid="LINUX01", destination="VM2"))
    assert problem.smapi is not None
    assert (await agent.client.guest("LINUX01"))["power_state"] == "on"


async def test_a_guest_that_is_off_or_unknown_does_not_move(agent: Agent) -> None:
    assert (await agent.refused(RelocateGuest(userid="LINUX01", destination="VM2"))).code == "guest-unknown"
    await agent.run(agent.guest())
    assert (await agent.refused(RelocateGuest(userid="LINUX01", destination="VM2"))).code == "guest-inactive"
