"""What is cancelled while z/VM changes something: z/VM ends it first, so nothing appears, goes or stays locked behind
the undo; and what cannot be undone goes to its end."""

from __future__ import annotations

import asyncio

import pytest

from zhcp.conftest import Agent
from zhcp.test_cut_off import struck
from zhcp.test_lost_answers import entry, wanted
from zvmcloud.cp.answers import PowerState
from zvmcloud.simulator.faults import Rule
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Patience
from zvmcloud.zhcp import smapi_port
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.disk_messages import RemoveDisks
from zvmcloud.zhcp.entry_messages import ChangeGuest
from zvmcloud.zhcp.guest_messages import DeleteGuest, StartGuest
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.network_messages import CreateNic
from zvmcloud.zhcp.operations import context as operation_context

CHANGE = ChangeGuest(userid="LINUX01", max_memory_mb=8192)


async def cancelled(agent: Agent, operation: Operation, function: str) -> str:
    """Cancel while z/VM works on the function; how it ends: "done", or the code of its problem."""
    agent.simulator.faults.add(Rule(function=function, action="delay", delay=0.3, count=1))
    going = asyncio.create_task(agent.run(operation, step="cancelled"))
    await struck(agent)
    await agent.client.cancel("job", "cancelled", epoch=1)
    try:
        return (await going).state
    except ZhcpError as problem:
        return problem.problem.code
    finally:
        await asyncio.sleep(0.5)  # what z/VM would do behind the undo, it has done by then


async def running(agent: Agent) -> None:
    await agent.run(wanted(agent))
    await agent.run(agent.write_image())
    await agent.run(StartGuest(userid="LINUX01"))


@pytest.mark.parametrize("function", ["Image_Lock_DM", "Image_Replace_DM"])
async def test_a_change_of_an_entry_is_taken_back_and_leaves_no_lock(agent: Agent, function: str) -> None:
    await agent.run(wanted(agent))
    before = entry(agent)
    assert await cancelled(agent, CHANGE, function) == "cancelled"
    assert entry(agent) == before
    assert not agent.simulator.system.entries["LINUX01"].locked_by
    assert agent.runner.journal.locks() == ()


async def test_an_adapter_that_the_running_guest_gets_is_taken_out_again(agent: Agent) -> None:
    await running(agent)
    adapter = CreateNic(userid="LINUX01", vdev="1000", active=True)
    assert await cancelled(agent, adapter, "Virtual_Network_Adapter_Create_Extended") == "cancelled"
    assert not any(line.startswith("NICDEF") for line in entry(agent))
    asked = f.VirtualNetworkAdapterQuery(target="LINUX01", image_device_number="1000")
    assert (await agent.runner.context().call(asked, allow=((212, 8),))).rc == 212


async def test_disks_that_go_are_told_as_gone(agent: Agent) -> None:
    await agent.run(wanted(agent))
    assert await cancelled(agent, RemoveDisks(userid="LINUX01", vdevs=("0100",)), "Image_Disk_Delete_DM") == "done"
    assert not any(line.startswith("MDISK") for line in entry(agent))


async def test_a_guest_whose_entry_goes_is_told_as_gone_and_not_started_again(agent: Agent) -> None:
    await running(agent)
    assert await cancelled(agent, DeleteGuest(userid="LINUX01"), "Image_Delete_DM") == "done"
    assert "LINUX01" not in agent.simulator.system.entries
    assert await agent.runner.context().power("LINUX01") is not PowerState.ON


async def test_a_delete_that_is_cancelled_before_its_entry_goes_leaves_the_guest_on(agent: Agent) -> None:
    await running(agent)
    assert await cancelled(agent, DeleteGuest(userid="LINUX01"), "System_RDR_File_Manage") == "cancelled"
    assert "LINUX01" in agent.simulator.system.entries
    assert await agent.runner.context().power("LINUX01") is PowerState.ON


async def test_a_stop_does_not_wait_for_what_goes_to_its_end(agent: Agent) -> None:
    await agent.run(wanted(agent))
    agent.simulator.faults.add(Rule(function="Image_Delete_DM", action="hang", count=1))
    going = asyncio.create_task(agent.run(DeleteGuest(userid="LINUX01"), step="cancelled"))
    await struck(agent)
    ending = asyncio.create_task(agent.client.cancel("job", "cancelled", epoch=1))
    await asyncio.sleep(0.1)
    async with asyncio.timeout(10):
        await agent.runner.stop()
    agent.restart()
    for task in (going, ending):
        task.cancel()
    await asyncio.gather(going, ending, return_exceptions=True)


async def test_a_cancel_does_not_wait_for_hours_where_z_vm_tells_nothing(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four looks with eight tries of eight recoveries each would be 288 times as long as a reply may take."""
    agent.runner.smapi._client._patience = Patience(
        reply_timeout=0.2, request_pauses=(0,) * 8, recovery_pauses=(0,) * 8
    )
    monkeypatch.setattr(operation_context, "OBSERVE_PAUSES", (0,) * 4)
    monkeypatch.setattr(operation_context, "_LONGEST_LOOK", 0.3)
    for function in ("Image_Create_DM", "Image_Query_DM", "Response_Recovery"):
        agent.simulator.faults.add(Rule(function=function, action="hang"))
    going = asyncio.create_task(agent.run(wanted(agent), step="cancelled"))
    await struck(agent)
    ending = asyncio.create_task(agent.client.cancel("job", "cancelled", epoch=1))
    async with asyncio.timeout(8):
        while agent.runner._running["job/cancelled"].working:  # noqa: ASYNC110 (it has no event)
            await asyncio.sleep(0.05)
    agent.simulator.faults.clear()
    await asyncio.gather(going, ending, return_exceptions=True)
    assert "LINUX01" not in agent.simulator.system.entries


@pytest.mark.parametrize("agent", [{"asynchronous": True}], indirect=True)
async def test_a_busy_answer_to_how_work_goes_on_is_no_answer_to_the_work(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smapi_port, "BUSY_PAUSES", ())
    await running(agent)
    agent.simulator.faults.add(Rule(function="Query_Asynchronous_Operation_DM", rc=500, rs=4, count=2))
    assert (await agent.run(DeleteGuest(userid="LINUX01"))).state == "done"
    assert "LINUX01" not in agent.simulator.system.entries
    assert await agent.runner.context().power("LINUX01") is not PowerState.ON


async def test_a_lock_that_z_vm_may_yet_take_stays_noted_and_is_used_by_the_next_change(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smapi_port, "BUSY_PAUSES", (0.1,))
    await agent.run(wanted(agent))
    agent.hurry()
    agent.simulator.faults.add(Rule(function="Image_Lock_DM", action="delay", delay=1.0, count=1))
    agent.simulator.faults.add(Rule(function="Response_Recovery", rc=4, rs=4))
    assert (await agent.refused(CHANGE)).code == "smapi-unreachable"
    record = agent.simulator.system.entries
    async with asyncio.timeout(10):
        while not record["LINUX01"].locked_by:  # noqa: ASYNC110 (the model has no event)
            await asyncio.sleep(0.01)
    assert [lock.userid for lock in agent.runner.journal.locks()] == ["LINUX01"]
    await agent.run(CHANGE)
    assert not record["LINUX01"].locked_by
    assert agent.runner.journal.locks() == ()
