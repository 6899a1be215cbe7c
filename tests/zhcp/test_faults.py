"""SMAPI refuses, hangs, is cut; two managers call at once: what was asked for is done once, or never happened."""

import asyncio

import pytest

from zhcp.conftest import Agent
from zhcp.test_resize import entry
from zvmcloud.simulator.faults import Rule
from zvmcloud.zhcp import smapi_port
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.disk_messages import AddDisks, NewDisk
from zvmcloud.zhcp.entry_messages import ChangeGuest, DefineGuest
from zvmcloud.zhcp.errors import Json
from zvmcloud.zhcp.guest_messages import DeleteGuest
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.network_messages import AttachNic, CoupleNic, CreateNic, CreateVswitch
from zvmcloud.zhcp.operations import context as operation_context

DISK = NewDisk(vdev="0101", size_units=5, pool="POOL1", format="ext4")
OPERATIONS: dict[str, tuple[Operation, str]] = {
    "Image_Create_DM": (DefineGuest(userid="LINUX02", entry=("USER LINUX02 NOLOG 1G 2G G",)), ""),
    "Image_Replace_DM": (ChangeGuest(userid="LINUX01", account="DEPT7"), "ACCOUNT DEPT7"),
    "Image_Disk_Create_DM": (AddDisks(userid="LINUX01", disks=(DISK,)), "MDISK 0101"),
    "Virtual_Network_Adapter_Create_Extended_DM": (CreateNic(userid="LINUX01", vdev="2000"), "NICDEF 2000"),
    "Virtual_Network_Adapter_Connect_Vswitch_DM": (
        CoupleNic(userid="LINUX01", vdev="1000", vswitch="VSW1"), "NICDEF 1000 TYPE QDIO LAN SYSTEM VSW1",
    ),
    "Image_Definition_Update_DM": (AttachNic(userid="LINUX01", vdev="3000", network="VSW1"), "NICDEF 3000"),
    "Virtual_Network_Vswitch_Set_Extended": (AttachNic(userid="LINUX01", vdev="3000", network="VSW1"), "NICDEF 3000"),
}  # fmt: skip
"""A function, the operation that calls it, and what the entry of LINUX01 has after it."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The documented pauses last minutes."""
    monkeypatch.setattr(operation_context, "OBSERVE_PAUSES", (0, 0.05))


async def prepared(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",)))
    await agent.run(CreateNic(userid="LINUX01", vdev="1000"))
    agent.hurry()


async def everything(agent: Agent) -> dict[str, Json]:
    """What the operations could have changed."""
    switch = agent.simulator.system.vswitches["VSW1"]
    used = (await agent.client.pool("POOL1"))["used_extents"]
    return {
        "entry": [*await entry(agent)],
        "guests": await agent.client.guests(),
        "used": used,
        "grants": [grant.userid for grant in switch.grants],
    }


@pytest.mark.parametrize("function", list(OPERATIONS))
@pytest.mark.parametrize("action", ["drop-before-id", "drop-after-id", "drop-after-work", "partial", "hang"])
async def test_one_lost_answer_is_made_good(agent: Agent, function: str, action: str) -> None:
    await prepared(agent)
    operation, expected = OPERATIONS[function]
    agent.simulator.faults.add(Rule(function=function, action=action, count=1))
    agent.simulator.faults.add(Rule(function="Response_Recovery", rc=4, rs=4))
    await agent.run(operation)
    assert sum(line.startswith(expected) for line in await entry(agent)) == 1 or not expected
    assert function != "Image_Create_DM" or {"userid": "LINUX02"} in await agent.client.guests()
    assert not isinstance(operation, AttachNic) or (await everything(agent))["grants"] == ["LINUX01"]
    assert agent.runner.journal.locks() == ()


@pytest.mark.parametrize("function", list(OPERATIONS))
async def test_a_refusal_changes_nothing(agent: Agent, function: str) -> None:
    await prepared(agent)
    before = await everything(agent)
    agent.simulator.faults.add(Rule(function=function, rc=596, rs=9999, count=1))
    problem = await agent.refused(OPERATIONS[function][0])
    assert problem.smapi is not None
    assert problem.smapi["function"] == function
    assert await everything(agent) == before
    await agent.run(OPERATIONS[function][0])


@pytest.mark.parametrize("function", [name for name in OPERATIONS if name.endswith("_DM")])
async def test_a_busy_directory_is_waited_for_and_then_told(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """A locked entry or a directory manager that works on something else: again, and in the end nothing is changed."""
    monkeypatch.setattr(smapi_port, "BUSY_PAUSES", (0, 0))
    await prepared(agent)
    before = await everything(agent)
    operation, expected = OPERATIONS[function]
    for rc, rs in ((400, 12), (500, 8), (596, 6312)):
        agent.simulator.faults.add(Rule(function=function, rc=rc, rs=rs, count=3))
        problem = await agent.refused(operation)
        assert problem.smapi is not None
        assert (problem.retryable, problem.smapi["rc"], problem.smapi["rs"]) == (True, rc, rs)
        assert await everything(agent) == before
    agent.simulator.faults.add(Rule(function=function, rc=500, rs=8, count=2))
    done = await agent.run(operation)
    assert [call.name for call in done.calls].count(function) == 3
    assert not expected or any(line.startswith(expected) for line in await entry(agent))


async def test_a_request_server_that_is_away_changes_nothing_and_is_worth_a_repeat(agent: Agent) -> None:
    await prepared(agent)
    before = await everything(agent)
    member = agent.simulator.members[0]
    server = member._server
    assert server is not None
    await server.close()
    problem = await agent.refused(ChangeGuest(userid="LINUX01", account="DEPT7"))
    assert (problem.status, problem.code, problem.retryable) == (503, "smapi-unreachable", True)
    await member._port.close()  # type: ignore[union-attr]
    await member.open(None, 10.0, agent.simulator.faults)
    assert await everything(agent) == before
    await agent.run(ChangeGuest(userid="LINUX01", account="DEPT7"))


async def test_a_server_that_answers_nothing_at_all_is_given_up_in_time(agent: Agent) -> None:
    await prepared(agent)
    agent.simulator.faults.add(Rule(function="*", action="hang"))
    problem = await asyncio.wait_for(agent.refused(ChangeGuest(userid="LINUX01", account="DEPT7")), 20)
    assert (problem.status, problem.retryable) == (503, True)
    agent.simulator.faults.clear()
    assert "ACCOUNT DEPT7" not in await entry(agent)


async def test_two_managers_that_send_one_step_run_it_once(agent: Agent) -> None:
    await prepared(agent)
    operation = AttachNic(userid="LINUX01", vdev="3000", network="VSW1")
    outcomes = await asyncio.gather(
        *(agent.client.run(job="job", step="nic", epoch=5, operation=operation) for _ in range(4))
    )
    assert len({str(outcome.to_json()["calls"]) for outcome in outcomes}) == 1
    assert [call.name for call in outcomes[0].calls].count("Image_Definition_Update_DM") == 1


async def test_two_managers_that_want_the_same_thing_do_not_both_get_it(agent: Agent) -> None:
    await prepared(agent)
    wanted = {
        "guest": DefineGuest(userid="LINUX02", entry=("USER LINUX02 NOLOG 1G 2G G",)),
        "disk": AddDisks(userid="LINUX01", disks=(DISK,)),
        "nic": AttachNic(userid="LINUX01", vdev="3000", network="VSW1"),
    }
    for name, operation in wanted.items():
        runs = (agent.run(operation, step=f"{name}-{number}", epoch=5) for number in range(3))
        results = await asyncio.gather(*runs, return_exceptions=True)
        refused = [result for result in results if isinstance(result, ZhcpError)]
        assert len(refused) == 2
        assert {error.problem.status for error in refused} == {409}
    assert sum(line.startswith("NICDEF 3000") for line in await entry(agent)) == 1
    assert sum(line.startswith("MDISK 0101") for line in await entry(agent)) == 1


async def test_a_manager_that_was_replaced_can_do_nothing_any_more(agent: Agent) -> None:
    await prepared(agent)
    await agent.run(ChangeGuest(userid="LINUX01", account="DEPT7"), epoch=9)
    stale = (
        agent.run(DeleteGuest(userid="LINUX01"), epoch=8),
        agent.client.cancel("job", "s4", epoch=8),
        agent.client.command("LINUX01", "reboot", epoch=8),
    )
    for attempt in stale:
        with pytest.raises(ZhcpError) as caught:
            await attempt
        assert (caught.value.problem.status, caught.value.problem.code) == (409, "stale-epoch")
    with pytest.raises(ZhcpError) as caught:
        await agent.client.ask("DELETE", "/v1/operations/job/s4?epoch=x")
    assert caught.value.problem.status == 400
    parameters = operation_json(ChangeGuest(userid="LINUX01", account=""))
    done = await agent.client.submit(job="j", step="s", epoch=9, kind="guest.change", parameters=parameters, wait=10)
    assert done.state == "done"
