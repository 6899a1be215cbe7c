"""Relocation: a guest moves between members of a cluster; what stands against it is named and changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from zhcp.conftest import Agent
from zhcp.test_road import until_up
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.blockers import explained, numbers
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.errors import Call
from zvmcloud.zhcp.guest_messages import StartGuest
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.network_messages import AttachNic, CreateLan, CreateVswitch
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


async def could_go(agent: Agent, destination: str = "VM2", **more: str) -> tuple[bool, dict[str, dict[str, object]]]:
    found = await agent.client.ask("GET", "/v1/guests/LINUX01/relocation", params={"destination": destination, **more})
    rows = found["blockers"]
    assert isinstance(rows, list)
    return bool(found["possible"]), {str(row["number"]): dict(row) for row in rows if isinstance(row, dict)}


@CLUSTER
async def test_the_precheck_explains_each_blocker_and_how_to_mend_it(agent: Agent) -> None:
    await running(agent)
    assert await could_go(agent) == (True, {})
    await agent.run(CreateLan(name="LAN1", owner="LINUX01"))
    await agent.run(AttachNic(userid="LINUX01", vdev="1000", network="LAN1", lan_owner="LINUX01", active=True))
    await agent.run(CreateVswitch(name="VSW9"))
    await agent.run(AttachNic(userid="LINUX01", vdev="2000", network="VSW9", active=True))
    possible, rows = await could_go(agent)
    assert not possible
    assert set(rows) == {"1955", "1952"}
    assert rows["1955"]["statements"] == ["NICDEF 1000 LAN LINUX01 LAN1"]
    assert rows["1952"]["statements"] == ["NICDEF 2000 LAN SYSTEM VSW9"]
    assert rows["1952"]["mend"] == "vswitch.create there"
    problem = await agent.refused(RelocateGuest(userid="LINUX01", destination="VM2"))
    assert "1955 (an adapter is coupled to a guest LAN: NICDEF 1000 LAN LINUX01 LAN1)" in problem.detail
    assert "vswitch.create there" in problem.remedy
    assert where(agent) == ["VM1"]


@CLUSTER
async def test_the_precheck_answers_for_a_guest_that_is_off_and_names_wrong_words(agent: Agent) -> None:
    await agent.run(agent.guest())
    possible, rows = await could_go(agent)
    assert (possible, rows[""]["what"], rows[""]["mend"]) == (False, "it is off", "start the guest")
    for more, named in (({"destination": ""}, "destination"), ({"force": "ALL"}, "force")):
        with pytest.raises(ZhcpError) as caught:
            await could_go(agent, **more)
        assert caught.value.problem.status == 400
        assert caught.value.problem.detail.startswith(named)


def test_a_number_that_is_not_known_is_shown_as_it_is() -> None:
    (row,) = explained(numbers(("1940 4711", "1940")))
    assert isinstance(row, dict)
    assert (row["number"], row["what"]) == ("4711", "message HCP4711")


@CLUSTER
@pytest.mark.parametrize("halted", [False, True], ids=["moves to its end", "is halted"])
async def test_a_move_that_goes_on_while_the_agent_is_away(agent: Agent, halted: bool) -> None:
    await running(agent)
    agent.simulator.timing = replace(agent.simulator.timing, relocation=30.0 if halted else 2.0)
    move = RelocateGuest(userid="LINUX01", destination="VM2")
    await agent.runner.submit("job", "move", 1, move.kind, operation_json(move))
    cluster = agent.simulator.cluster
    async with asyncio.timeout(30):
        while not list(cluster.relocations.values()):  # noqa: ASYNC110 (what is waited for tells nobody)
            await asyncio.sleep(0.01)
    await agent.runner.stop()
    agent.restart()
    going = asyncio.create_task(agent.run(move, step="move"))
    if halted:
        async with asyncio.timeout(30):
            while "since before a crash" not in (await agent.runner.outcome("job/move", 0.0)).detail:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert where(agent) == ["VM1"]
        cancel = f.VMRELOCATE(target="LINUX01", destination="VM2", action="CANCEL")
        await agent.runner.smapi.call(cancel, list[Call]().append)
        with pytest.raises(ZhcpError, match="1924"):
            await going
        assert where(agent) == ["VM1"]
    else:
        outcome = await going
        assert outcome.result is not None
        assert outcome.result["moved"] is True
        assert where(agent) == ["VM2"]
