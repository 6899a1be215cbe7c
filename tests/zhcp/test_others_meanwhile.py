"""What somebody else makes under the same name, while an answer is missing or between two runs of an operation: it is
left alone, whatever becomes of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from zhcp.conftest import Agent
from zhcp.dying import Dying
from zhcp.test_cut_off import struck
from zhcp.test_lost_answers import DISK, content, entry, loses, wanted
from zvmcloud.simulator.faults import Rule
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import smapi_port
from zvmcloud.zhcp.disk_messages import AddDisks
from zvmcloud.zhcp.entry_messages import DefineGuest
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.fcp_messages import DedicateFcps
from zvmcloud.zhcp.guest_messages import DeleteGuest
from zvmcloud.zhcp.journal import digest
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.network_messages import AttachNic, CreateNic, CreateVswitch
from zvmcloud.zhcp.operations import context as operation_context

NIC = AttachNic(userid="LINUX01", vdev="1000", network="VSW1")
DEFINED = DefineGuest(userid="LINUX01", entry=("USER LINUX01 NOLOG 1G 2G G",))
REFUSED = {"function": "Image_Disk_Create_DM", "rc": 596, "rs": 9999}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The documented pauses last minutes."""
    monkeypatch.setattr(operation_context, "OBSERVE_PAUSES", (0, 0.3, 1))


def around(agent: Agent, function: str, before: Callable[[], Awaitable[object]] | None = None,
           after: Callable[[], Awaitable[object]] | None = None) -> None:  # fmt: skip
    """Somebody acts right before or behind the agent's first call of a function, be its answer lost."""
    real = agent.runner.smapi.call

    async def call(request: Any, *more: Any, **how: Any) -> Any:
        if request.spec.name != function:
            return await real(request, *more, **how)
        agent.runner.smapi.call = real  # type: ignore[method-assign]
        if before is not None:
            await before()
        try:
            return await real(request, *more, **how)
        finally:
            if after is not None:
                await after()

    agent.runner.smapi.call = call  # type: ignore[method-assign]


async def cut_off_at(agent: Agent, operation: Operation, *notes: str) -> None:
    """A crash has cut the operation off when it had noted these."""
    journal = agent.runner.journal
    await journal.admit("job", "old", 1, operation.kind, digest(operation.kind, operation_json(operation)))
    await journal.note("job/old", *notes)


@pytest.mark.parametrize("fails", [False, True], ids=["a disk to format", "and a disk is refused"])
async def test_a_guest_that_was_deleted_and_made_by_another_between_two_runs(agent: Agent, fails: bool) -> None:
    second = (replace(DISK, vdev="0101"),) if fails else ()
    ours = wanted(agent, disks=(replace(wanted(agent).disks[0], format="ext4"), *second))
    first = Dying(agent)
    first.after_function("Image_Disk_Create_DM")
    await first.begin(ours, "dying")
    await agent.run(DeleteGuest(userid="LINUX01"))
    theirs = replace(wanted(agent).disks[0], size_units=20)
    await agent.run(wanted(agent, password="THEIRS", disks=(theirs,)))
    await agent.run(agent.write_image())
    there, data = entry(agent), await content(agent)
    if fails:
        agent.simulator.faults.add(Rule.of(REFUSED))
    assert (await agent.refused(ours, step="dying")).code == "guest-exists"
    assert (entry(agent), await content(agent)) == (there, data)
    await first.bury()


@pytest.mark.parametrize("note", ["entry-sent", "entry"])
async def test_a_guest_that_is_not_what_was_defined(agent: Agent, note: str) -> None:
    await cut_off_at(agent, DEFINED, note)
    await agent.run(wanted(agent))
    there = entry(agent)
    assert (await agent.refused(DEFINED, step="old")).code == "guest-exists"
    assert entry(agent) == there


@pytest.mark.parametrize("note", ["entry-sent", "entry"])
async def test_a_guest_like_what_was_defined_with_another_minidisk(agent: Agent, note: str) -> None:
    await cut_off_at(agent, DEFINED, note)
    await agent.run(DEFINED)
    await agent.run(AddDisks(userid="LINUX01", disks=(DISK,)))
    there = entry(agent)
    assert (await agent.refused(DEFINED, step="old")).code == "guest-exists"
    assert entry(agent) == there


async def test_a_guest_of_a_prototype_without_z_vms_word(agent: Agent) -> None:
    """What a prototype makes cannot be foretold, so it could be anybody's."""
    asked = DefineGuest(userid="LINUX01", prototype="LINDFLT", password="SECRET")
    await cut_off_at(agent, asked, "entry-sent")
    await agent.run(wanted(agent))
    there = entry(agent)
    assert (await agent.refused(asked, step="old")).code == "guest-exists"
    assert entry(agent) == there


async def test_what_was_defined_is_ours_after_a_crash(agent: Agent) -> None:
    first = Dying(agent)
    first.after_function("Image_Create_DM")
    assert (await first.run(DEFINED)).state == "done"


async def test_an_entry_left_by_a_crash_goes_where_its_disks_find_no_pool(agent: Agent) -> None:
    chosen = replace(DISK, pool="", pools=("POOL1",), placement="fill")
    first = Dying(agent)
    first.after_function("Image_Create_DM")
    await first.begin(wanted(agent, disks=(chosen,)), "dying")
    assert "LINUX01" in agent.simulator.system.entries
    agent.simulator.faults.add(Rule(function="Image_Volume_Space_Query_DM", rc=596, rs=9999))
    assert (await agent.refused(wanted(agent, disks=(chosen,)), step="dying")).code == "smapi-refused"
    assert "LINUX01" not in agent.simulator.system.entries
    await first.bury()


async def test_an_entry_left_by_a_crash_goes_where_its_pool_is_not_allowed_any_more(agent: Agent) -> None:
    first = Dying(agent)
    first.after_function("Image_Create_DM")
    agent.settings = replace(agent.settings, storage=replace(agent.settings.storage, pools=("OTHER",)))
    await first.begin(wanted(agent), "dying")
    assert "LINUX01" in agent.simulator.system.entries
    assert (await agent.refused(wanted(agent), step="dying")).code == "pool-unknown"
    assert "LINUX01" not in agent.simulator.system.entries
    await first.bury()


async def test_a_disk_left_by_a_crash_goes_where_its_pool_is_not_allowed_any_more(agent: Agent) -> None:
    await agent.run(wanted(agent))
    before = entry(agent)
    first = Dying(agent)
    first.after_function("Image_Disk_Create_DM")
    agent.settings = replace(agent.settings, storage=replace(agent.settings.storage, pools=("OTHER",)))
    added = AddDisks(userid="LINUX01", disks=(replace(DISK, vdev="0222"),))
    await first.begin(added, "dying")
    assert entry(agent) != before
    assert (await agent.refused(added, step="dying")).code == "pool-unknown"
    assert entry(agent) == before
    await first.bury()


@pytest.mark.parametrize("fails", [False, True], ids=["made", "and a disk is refused"])
async def test_a_guest_made_while_it_is_looked_for_ours(agent: Agent, fails: bool) -> None:
    disks = (replace(DISK, vdev="0200"),) if fails else ()
    ours = wanted(agent, disks=disks, ipl="CMS")
    theirs = ("USER LINUX01 THEIRS 8G 8G G", "IPL 0200")
    loses(agent, action="drop-before-id")
    made = f.ImageCreateDM(target="LINUX01", image_record_array=theirs)
    around(agent, "Image_Create_DM", after=lambda: agent.runner.smapi.call(made, lambda _: None))
    if fails:
        agent.simulator.faults.add(Rule.of(REFUSED))
    assert (await agent.refused(ours)).code == "guest-exists"
    assert entry(agent) == theirs


async def test_a_disk_made_between_the_look_and_the_call_of_a_second_run(agent: Agent) -> None:
    await agent.run(wanted(agent, disks=()))
    asked = AddDisks(userid="LINUX01", disks=(replace(DISK, format="ext4"),))
    await cut_off_at(agent, asked, "disk-0100")

    theirs = f.ImageDiskCreateDM(
        target="LINUX01", image_disk_number="0100", image_disk_device_type="3390", image_disk_allocation_type="AUTOG",
        allocation_area_name_or_volser="POOL1", allocation_unit_size=1, image_disk_size=20, image_disk_mode="MR",
        image_disk_formatting=1, image_disk_label="", read_password="", write_password="", multi_password="",
    )  # fmt: skip
    around(agent, "Image_Disk_Create_DM", before=lambda: agent.runner.smapi.call(theirs, lambda _: None))
    assert (await agent.refused(asked, step="old")).code == "disk-exists"
    assert any(line.startswith("MDISK 0100 3390") and " 20 " in line for line in entry(agent))


async def switch(agent: Agent) -> None:
    await agent.run(wanted(agent))
    await agent.run(CreateVswitch(name="VSW1", rdev=("NONE",)))
    await agent.run(CreateVswitch(name="VSW2", rdev=("NONE",)))


async def test_an_adapter_of_another_network_is_not_ours_where_the_answer_is_lost(agent: Agent) -> None:
    await switch(agent)
    await agent.run(replace(NIC, network="VSW2"))
    there = entry(agent)
    loses(agent, "Image_Definition_Update_DM", action="drop-before-id")
    assert (await agent.refused(NIC)).code == "device-exists"
    assert entry(agent) == there


async def test_an_adapter_that_z_vm_made_late_is_ours(agent: Agent) -> None:
    """The answer is lost, the looks see nothing yet, and the call that is sent again is refused because of it."""
    await switch(agent)
    agent.hurry()
    agent.simulator.faults.add(Rule(function="Image_Definition_Update_DM", action="delay", delay=0.7, count=1))
    agent.simulator.faults.add(Rule(function="Response_Recovery", rc=4, rs=4))
    real, sent = agent.runner.smapi.call, []

    async def call(request: Any, *more: Any, **how: Any) -> Any:
        if request.spec.name == "Image_Definition_Update_DM":
            sent.append(request)
            if len(sent) == 2:
                await asyncio.sleep(0.6)
        if request.spec.name == "Image_Query_DM" and len(sent) == 1:
            raise AgentError(503, "smapi-unreachable", "nobody can look")
        return await real(request, *more, **how)

    agent.runner.smapi.call = call  # type: ignore[method-assign]
    assert (await agent.run(NIC)).state == "done"
    assert len(sent) == 2


@pytest.mark.parametrize(
    ("operation", "function"),
    [
        (NIC, "Image_Definition_Update_DM"),
        (CreateNic(userid="LINUX01", vdev="1000"), "Virtual_Network_Adapter_Create_Extended_DM"),
        (DedicateFcps(userid="LINUX01", devices=("1A00",)), "Image_Device_Dedicate_DM"),
    ],
    ids=["nic.attach", "nic.create", "fcp.dedicate"],
)
async def test_a_device_that_z_vm_was_making_at_a_restart_is_ours(
    agent: Agent, operation: Operation, function: str
) -> None:
    await switch(agent)
    agent.simulator.faults.add(Rule(function=function, action="delay", delay=0.5, count=2))
    await agent.runner.submit("job", "restarted", 1, operation.kind, operation_json(operation))
    await struck(agent)
    await agent.runner.stop()
    agent.restart()
    assert (await agent.run(operation, step="restarted")).state == "done"


async def test_a_guest_that_z_vm_was_making_at_a_restart_and_held_locked_is_ours(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smapi_port, "BUSY_PAUSES", (0,))
    agent.simulator.faults.add(Rule(function="Image_Create_DM", action="delay", delay=0.8, count=1))
    ours = wanted(agent)
    await agent.runner.submit("job", "restarted", 1, ours.kind, operation_json(ours))
    await struck(agent)
    await agent.runner.stop()
    agent.restart()
    agent.simulator.faults.add(Rule(function="Image_Create_DM", rc=400, rs=12, count=2))
    assert (await agent.run(ours, step="restarted")).state == "done"
