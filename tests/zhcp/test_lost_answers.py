"""An entry or a disk that is found where the answer of z/VM is missing: whose it is. guest.create of a guest that boots
from a minidisk of its own asks without a look before; others are looked for, and so are the disks of disk.add."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest

from zhcp.conftest import Agent
from zhcp.dying import Dying
from zhcp.test_cut_off import struck
from zvmcloud.simulator.faults import Rule
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import IMPATIENT
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.disk_messages import AddDisks, NewDisk
from zvmcloud.zhcp.entry_messages import DefineGuest
from zvmcloud.zhcp.guest_messages import CreateGuest
from zvmcloud.zhcp.journal import digest
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.operations import context as operation_context
from zvmcloud.zhcp.operations.linked import linked


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The documented pauses last minutes."""
    monkeypatch.setattr(operation_context, "OBSERVE_PAUSES", (0, 0.05))


def wanted(agent: Agent, **changes: object) -> CreateGuest:
    """A guest with a password and a disk, changed as named."""
    return replace(agent.guest(), **{"password": "SECRET", **changes})  # type: ignore[arg-type]


def entry(agent: Agent) -> tuple[str, ...]:
    """LINUX01 in the simulated directory, with its password."""
    return agent.simulator.system.entries["LINUX01"].entry.render()


OTHERS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "another": ({"vcpus": 4, "disks": ()}, {}),
    "the same": ({}, {}),
    "the same without disks": ({"disks": ()}, {"disks": ()}),
    "the same without disks, that boots from elsewhere": ({"disks": (), "ipl": "CMS"}, {"ipl": "CMS"}),
}
"""By kind: what somebody else's guest has, and what is asked for now."""


async def another(agent: Agent, kind: str) -> tuple[CreateGuest, tuple[str, ...]]:
    """LINUX01 is made by somebody else, with another password: what is asked for now, and that entry."""
    theirs, ours = OTHERS[kind]
    await agent.run(wanted(agent, password="OTHERS", **theirs))
    return wanted(agent, **ours), entry(agent)


def looks(operation: CreateGuest) -> bool:
    """Whether it looks for the entry before it asks for it."""
    return operation.ipl != "0100" or not operation.disks


def loses(agent: Agent, function: str = "Image_Create_DM", **rule: object) -> None:
    """The answer to a function is lost, and not told later."""
    agent.hurry()
    agent.simulator.faults.add(Rule.of({"function": function, "count": 1, **rule}))
    agent.simulator.faults.add(Rule(function="Response_Recovery", rc=4, rs=4))


async def state(agent: Agent) -> dict[str, str]:
    """How the operation stands that is cancelled."""
    answer = await agent.http.get("/v1/operations/job/cancelled", params={"wait": 0})
    found: dict[str, str] = {"detail": "", **answer.json()}
    return found


async def cancelled(agent: Agent, operation: CreateGuest) -> str:
    """Cancel an operation while z/VM works on the call that the fault meets; the code that it ends with."""
    going = asyncio.create_task(agent.refused(operation, step="cancelled"))
    await struck(agent)
    await agent.client.cancel("job", "cancelled", epoch=1)
    return (await going).code


async def test_a_guest_is_made_without_a_look(agent: Agent) -> None:
    done = await agent.run(wanted(agent))
    assert [call.name for call in done.calls if call.kind == "smapi"] == ["Image_Create_DM", "Image_Disk_Create_DM"]


@pytest.mark.parametrize("kind", list(OTHERS))
async def test_an_entry_that_was_there_is_left_alone_by_a_run_after_a_crash(agent: Agent, kind: str) -> None:
    """The agent dies when z/VM has refused the userid, before anybody has heard of it."""
    operation, there = await another(agent, kind)
    first = Dying(agent)
    first.after_function("Image_Query_DM" if looks(operation) else "Image_Create_DM")
    await first.begin(operation, "dying")
    problem = await agent.refused(operation, step="dying")
    assert (problem.code, "a crash" in problem.detail) == ("guest-exists", not looks(operation))
    assert entry(agent) == there
    await first.bury()


@pytest.mark.parametrize("action", ["drop-before-id", "drop-after-id", "drop-after-work", "hang"])
@pytest.mark.parametrize("kind", list(OTHERS))
async def test_an_entry_that_was_there_is_left_alone_when_the_answer_is_lost(
    agent: Agent, action: str, kind: str
) -> None:
    operation, there = await another(agent, kind)
    loses(agent, action=action)
    problem = await agent.refused(operation)
    assert (problem.code, "could not undo" in problem.detail) == ("guest-exists", not looks(operation))
    assert entry(agent) == there


@pytest.mark.parametrize("kind", list(OTHERS))
async def test_an_entry_that_was_there_is_left_alone_by_a_cancel(agent: Agent, kind: str) -> None:
    operation, there = await another(agent, kind)
    agent.simulator.faults.add(Rule(function="Image_*", action="delay", delay=0.3))
    assert await cancelled(agent, operation) in ("guest-exists", "cancelled")
    assert entry(agent) == there


@pytest.mark.parametrize("action", ["drop-before-id", "drop-after-id", "drop-after-work", "hang"])
async def test_a_lost_answer_is_made_good(agent: Agent, action: str) -> None:
    loses(agent, action=action)
    await agent.run(wanted(agent))
    assert sum(line.startswith("MDISK 0100") for line in entry(agent)) == 1


async def test_an_entry_that_may_be_ours_goes_with_what_failed(agent: Agent) -> None:
    """z/VM makes it, and then answers nobody any more until the operation is undone."""
    loses(agent, action="drop-after-work", count=2)
    agent.simulator.faults.add(Rule(function="Image_Query_DM", rc=596, rs=9999, count=4))
    problem = await agent.refused(wanted(agent))
    assert "could not undo" not in problem.detail
    assert {"userid": "LINUX01"} not in await agent.client.guests()


@pytest.mark.parametrize("function", ["Image_Create_DM", "Image_Disk_Create_DM"])
@pytest.mark.parametrize("agent", [{}, {"asynchronous": True}], indirect=True, ids=["at once", "in the background"])
async def test_a_cancel_waits_for_what_z_vm_is_making_and_undoes_it(agent: Agent, function: str) -> None:
    agent.simulator.faults.add(Rule(function=function, action="delay", delay=0.3, count=1))
    assert await cancelled(agent, wanted(agent)) == "cancelled"
    await asyncio.sleep(0.5)
    assert "LINUX01" not in agent.simulator.system.entries


async def test_a_cancel_undoes_what_z_vm_confirmed_whatever_is_in_it(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "made_of", lambda *_: False)  # a directory manager that rewrites statements
    agent.simulator.faults.add(Rule(function="Image_Create_DM", action="delay", delay=0.3, count=1))
    assert await cancelled(agent, wanted(agent)) == "cancelled"
    assert "LINUX01" not in agent.simulator.system.entries


async def test_a_cancel_waits_until_it_is_known_whether_a_lost_call_was_done(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation_context, "OBSERVE_PAUSES", (0, 0.3, 1))
    agent.runner.smapi._client._patience = replace(IMPATIENT, reply_timeout=0.2)
    agent.simulator.faults.add(Rule(function="Image_Create_DM", action="delay", delay=0.8, count=1))
    going = asyncio.create_task(agent.refused(wanted(agent), step="cancelled"))
    await struck(agent)
    await asyncio.sleep(0.35)
    await agent.client.cancel("job", "cancelled", epoch=1)
    assert (await going).code == "cancelled"
    await asyncio.sleep(1)
    assert "LINUX01" not in agent.simulator.system.entries


@pytest.mark.parametrize("agent", [{"asynchronous": True}], indirect=True)
async def test_a_refusal_to_tell_how_accepted_work_goes_on_is_an_answer_that_is_missing(agent: Agent) -> None:
    agent.simulator.faults.add(Rule(function="Query_Asynchronous_Operation_DM", rc=500, rs=4, count=1))
    done = await agent.run(wanted(agent))
    assert [call.name for call in done.calls].count("Image_Create_DM") == 1


async def test_a_disk_that_another_added_after_a_crash_is_not_formatted(agent: Agent) -> None:
    """The agent dies between its note and the call."""
    await agent.run(wanted(agent, disks=()))
    journal = agent.runner.journal
    added = AddDisks(userid="LINUX01", disks=(replace(DISK, format="ext4"),))
    await journal.admit("job", "old", 1, "disk.add", digest("disk.add", operation_json(added)))
    await journal.note("job/old", "disk-0100")
    await agent.run(AddDisks(userid="LINUX01", disks=(replace(DISK, size_units=20),)))
    there = await content(agent)
    assert (await agent.refused(added, step="old")).code == "disk-exists"
    assert await content(agent) == there


async def test_a_stop_does_not_wait_for_an_answer_that_a_cancel_waits_for(agent: Agent) -> None:
    agent.simulator.faults.add(Rule(function="Image_Create_DM", action="hang", count=1))
    await agent.runner.submit("job", "cancelled", 1, "guest.create", operation_json(wanted(agent)))
    await struck(agent)
    await agent.runner.cancel("job", "cancelled", 1, 0.1)
    async with asyncio.timeout(5):
        await agent.runner.stop()
    agent.restart()
    assert (await state(agent))["state"] == "running"


async def test_a_cancel_that_waits_is_told(agent: Agent) -> None:
    agent.simulator.faults.add(Rule(function="Image_Create_DM", action="delay", delay=0.5, count=1))
    ending = asyncio.create_task(cancelled(agent, wanted(agent)))
    async with asyncio.timeout(20):
        while "waits for z/VM" not in (await state(agent))["detail"]:  # noqa: ASYNC110 (it has no event)
            await asyncio.sleep(0.01)
    assert await ending == "cancelled"


async def test_a_cancel_reaches_what_waits_to_be_sent_at_once(agent: Agent) -> None:
    async with agent.runner.smapi._long, agent.runner.smapi._long:
        going = asyncio.create_task(agent.refused(wanted(agent), step="cancelled"))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(2):
            await agent.client.cancel("job", "cancelled", epoch=1)
            problem = await going
    assert (problem.code, [call.name for call in problem.calls]) == ("cancelled", [])


DISK = NewDisk(vdev="0100", size_units=10, pool="POOL1")
SMALL = CreateGuest(userid="LINUX01", vcpus=1, memory_mb=512, ipl="0100", disks=(DISK,))
RESTARTED: dict[str, tuple[Operation, str]] = {
    "guest.create": (SMALL, "Image_Create_DM"),
    "its disk": (SMALL, "Image_Disk_Create_DM"),
    "guest.define": (DefineGuest(userid="LINUX01", entry=("USER LINUX01 NOLOG 1G 2G G",)), "Image_Create_DM"),
    "disk.add": (AddDisks(userid="LINUX01", disks=(DISK,)), "Image_Disk_Create_DM"),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(RESTARTED))
async def test_a_run_after_a_restart_finds_what_z_vm_was_still_making(agent: Agent, kind: str) -> None:
    """It looks before the first call is over, and is refused because of it."""
    operation, function = RESTARTED[kind]
    if kind == "disk.add":
        await agent.run(wanted(agent, disks=()))
    agent.simulator.faults.add(Rule(function=function, action="delay", delay=0.5, count=2))
    await agent.runner.submit("job", "restarted", 1, operation.kind, operation_json(operation))
    await struck(agent)
    await agent.runner.stop()
    agent.restart()
    done = await agent.run(operation, step="restarted")
    assert [call.rc for call in done.calls if call.name == function] != [0], "it was refused"
    assert sum(line.startswith("MDISK 0100") for line in entry(agent)) == (kind != "guest.define")


async def test_what_an_older_agent_had_noted_before_it_made_the_disk_is_known(agent: Agent) -> None:
    """It had looked, and noted the entry and the disk before it asked z/VM."""
    await agent.run(wanted(agent))
    journal = agent.runner.journal
    await journal.admit("job", "old", 1, "guest.create", digest("guest.create", operation_json(wanted(agent))))
    await journal.note("job/old", "entry", "disk-0100")
    await agent.run(wanted(agent), step="old")


@pytest.mark.parametrize("function", ["Image_Create_DM", "Image_Disk_Create_DM"])
async def test_a_run_after_a_crash_goes_on_with_its_own_entry(agent: Agent, function: str) -> None:
    first = Dying(agent)
    first.after_function(function)
    done = await first.run(wanted(agent))
    assert "Image_Create_DM" not in [call.name for call in done.calls]
    assert sum(line.startswith("MDISK 0100") for line in entry(agent)) == 1
    await first.bury()


async def test_a_run_after_a_crash_undoes_its_own_entry(agent: Agent) -> None:
    first = Dying(agent)
    first.after_function("Image_Create_DM")
    await first.begin(wanted(agent), "dying")
    agent.simulator.faults.add(Rule(function="Image_Disk_Create_DM", rc=596, rs=9999))
    await agent.refused(wanted(agent), step="dying")
    assert {"userid": "LINUX01"} not in await agent.client.guests()
    await first.bury()


@pytest.mark.parametrize("password", ["SECRET", "LBYONLY"])
async def test_what_the_directory_manager_moves_hides_and_adds_does_not_count(agent: Agent, password: str) -> None:
    first = Dying(agent)
    first.after_function("Image_Create_DM")
    operation = wanted(agent, comments=("of the shop",), password=password)
    await first.begin(operation, "dying")
    header, *records = entry(agent)
    moved = (header.replace(password, "XXXXXXXX"), "*DVHOPT LNK0 LOG1 RCM1 SMS0", *reversed(records))
    for request in (f.ImageLockDM(target="LINUX01"), f.ImageReplaceDM(target="LINUX01", image_record_array=moved)):
        await agent.runner.smapi.call(request, lambda _: None)
    assert "Image_Create_DM" not in [call.name for call in (await agent.run(operation, step="dying")).calls]
    await first.bury()


async def test_disks_that_somebody_added_keep_an_unconfirmed_entry(agent: Agent) -> None:
    first = Dying(agent)
    first.after_function("Image_Create_DM")
    await first.begin(wanted(agent), "dying")
    await agent.run(AddDisks(userid="LINUX01", disks=wanted(agent).disks))
    there = entry(agent)
    assert (await agent.refused(wanted(agent), step="dying")).code == "guest-exists"
    assert entry(agent) == there
    await first.bury()


async def content(agent: Agent) -> str:
    """What is on disk 0100 of LINUX01."""
    async with linked(agent.runner.context("test"), "LINUX01", "0100", write=False) as (_, path):
        return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_a_disk_that_was_there_is_not_taken_for_ours_and_formatted(agent: Agent) -> None:
    """The agent would die when z/VM has refused the number, or lose that answer: so z/VM is not asked for the disk."""
    await agent.run(wanted(agent))
    await agent.run(agent.write_image())
    there = await content(agent)
    first = Dying(agent)
    first.after_function("Image_Disk_Create_DM")
    loses(agent, "Image_Disk_Create_DM", action="drop-after-work")
    formatted = replace(wanted(agent).disks[0], format="ext4")
    assert (await agent.refused(AddDisks(userid="LINUX01", disks=(formatted,)))).code == "disk-exists"
    assert not first.there.is_set()
    assert await content(agent) == there
