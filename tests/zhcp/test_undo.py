"""Undo: it always ends, nobody cuts it off, and the entry belongs to the operation until it is undone."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from zhcp.conftest import Agent
from zhcp.dying import Dying
from zhcp.test_program import program, settings
from zhcp.test_road import until_up
from zvmcloud.simulator.embed import Simulator
from zvmcloud.simulator.faults import Rule
from zvmcloud.zhcp.client import ZhcpClient, ZhcpError
from zvmcloud.zhcp.disk_messages import AddDisks, NewDisk
from zvmcloud.zhcp.entry_messages import ChangeGuest, RestoreGuest
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.guest_messages import CreateGuest, StartGuest
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.machine import CpAnswer
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.network_messages import CoupleNic, CreateNic, CreateVswitch
from zvmcloud.zhcp.operations import handlers
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.runner import Runner

PATH = "/v1/operations/j/s"
START = {"epoch": 1, "kind": "guest.start", "parameters": {"userid": "LINUX01"}}
SMALL = (
    NewDisk(vdev="0201", size_units=5, pool="POOL1"),
    NewDisk(vdev="0202", size_units=5, pool="POOL1"),
)


class Work:
    """An operation that runs until it is cancelled, and an undo that waits for the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.undoing, self.go_on = asyncio.Event(), asyncio.Event()
        self.undone: list[str] = []
        monkeypatch.setitem(handlers.HANDLERS, "guest.start", self.run)

    async def run(self, context: Context, _: Operation) -> dict[str, Json]:
        context.on_undo("the first", self.undo("first"))
        context.on_undo("the broken", self.broken)
        context.on_undo("the refused", self.refused)
        context.on_undo("the last", self.undo("last"))
        async with context.writing("LINUX01"):
            await asyncio.Event().wait()
        return {}

    def undo(self, name: str):  # type: ignore[no-untyped-def]
        async def action() -> None:
            self.undoing.set()
            await self.go_on.wait()
            self.undone.append(name)

        return action

    @staticmethod
    async def broken() -> None:
        raise ValueError("an answer nobody understands")

    @staticmethod
    async def refused() -> None:
        raise AgentError(409, "refused", "z/VM said no")


async def test_a_second_delete_waits_for_the_undo_and_every_action_is_tried(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(monkeypatch)
    await agent.http.put(PATH, params={"wait": 0.05}, json=START)
    deletes = [asyncio.create_task(agent.http.delete(PATH, params={"epoch": 1}))]
    await work.undoing.wait()
    deletes += [asyncio.create_task(agent.http.delete(PATH, params={"epoch": 1})) for _ in range(2)]
    await asyncio.sleep(0.05)
    assert not any(delete.done() for delete in deletes)
    work.go_on.set()
    for delete in deletes:
        ended = (await delete).json()
        assert (ended["state"], ended["error"]["code"]) == ("failed", "cancelled")
        assert "the broken: ValueError: an answer nobody understands" in ended["detail"]
        assert "the refused: z/VM said no" in ended["detail"]
    assert work.undone == ["last", "first"]
    known = agent.runner.journal.get("j/s")
    assert known is not None
    assert known.state == "failed"


async def test_a_delete_that_is_given_up_does_not_end_the_undo(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(monkeypatch)
    await agent.http.put(PATH, params={"wait": 0.05}, json=START)
    delete = asyncio.create_task(agent.runner.cancel("j", "s", 1, 60))
    await work.undoing.wait()
    delete.cancel()
    await asyncio.wait([delete])
    work.go_on.set()
    assert (await agent.http.get(PATH)).json()["state"] == "failed"
    assert work.undone == ["last", "first"]


async def test_a_stop_lets_an_undo_that_was_asked_for_end(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(monkeypatch)
    await agent.http.put(PATH, params={"wait": 0.05}, json=START)
    delete = asyncio.create_task(agent.http.delete(PATH, params={"epoch": 1}))
    await work.undoing.wait()
    stopping = asyncio.create_task(agent.runner.stop())
    await asyncio.sleep(0.05)
    work.go_on.set()
    await stopping
    await delete
    agent.restart()
    assert (await agent.http.get(PATH)).json()["state"] == "failed"


async def test_the_entry_is_changed_by_nobody_else_until_the_undo_has_ended(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(monkeypatch)
    await agent.run(agent.guest())
    await agent.http.put(PATH, params={"wait": 0.05}, json=START)
    delete = asyncio.create_task(agent.http.delete(PATH, params={"epoch": 1}))
    await work.undoing.wait()
    nic = asyncio.create_task(agent.run(CreateNic(userid="LINUX01", vdev="1000")))
    await asyncio.sleep(0.1)
    assert not nic.done()
    work.go_on.set()
    await delete
    assert (await nic).state == "done"


async def nics(agent: Agent) -> list[str]:
    lines = (await agent.client.guest("LINUX01"))["entry"]
    assert isinstance(lines, list)
    return [str(line) for line in lines if str(line).startswith("NICDEF")]


async def test_an_undone_coupling_keeps_what_another_operation_did_to_the_entry(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The live half of the coupling is refused while another adapter waits to be defined."""
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",), vid="AWARE"))
    await agent.run(CreateNic(userid="LINUX01", vdev="1000"))
    before = await nics(agent)
    await agent.run(StartGuest(userid="LINUX01"))
    undo = Runner._undo
    defined: list[asyncio.Task[object]] = []

    async def slow_undo(context: Context, problem: object) -> object:
        defined.append(asyncio.create_task(agent.run(CreateNic(userid="LINUX01", vdev="2000"))))
        await asyncio.sleep(0.2)
        return await undo(context, problem)  # type: ignore[arg-type]

    monkeypatch.setattr(Runner, "_undo", staticmethod(slow_undo))
    await agent.refused(CoupleNic(userid="LINUX01", vdev="1000", vswitch="VSW1", vlan=12, active=True))
    await defined[0]
    after = await nics(agent)
    assert [line for line in after if "NICDEF 1000" in line] == before
    assert any("NICDEF 2000" in line for line in after)


async def started(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)


async def test_a_second_live_attach_that_is_refused_takes_the_first_disk_from_the_guest_again(agent: Agent) -> None:
    await started(agent)
    used = (await agent.client.pool("POOL1"))["used"]
    agent.simulator.faults.add(Rule(function="Image_Disk_Create", skip=1, count=1, rc=596, rs=9))
    problem = await agent.refused(AddDisks(userid="LINUX01", disks=SMALL))
    names = [call.name for call in problem.calls]
    assert names[-3:] == ["Image_Disk_Delete", "Image_Disk_Delete_DM", "Image_Disk_Delete_DM"]
    assert all(call.rc == 0 for call in problem.calls[-3:])
    assert (await agent.client.pool("POOL1"))["used"] == used
    await agent.run(AddDisks(userid="LINUX01", disks=SMALL))


async def test_a_disk_that_the_guest_does_not_give_back_keeps_its_extent(agent: Agent) -> None:
    await started(agent)
    agent.simulator.faults.add(Rule(function="Image_Disk_Create", skip=1, count=1, rc=596, rs=9))
    agent.simulator.faults.add(Rule(function="Image_Disk_Delete", rc=596, rs=7))
    problem = await agent.refused(AddDisks(userid="LINUX01", disks=SMALL))
    assert "the running LINUX01 still has it" in problem.detail
    disks = (await agent.client.guest("LINUX01"))["disks"]
    assert isinstance(disks, list)
    assert [disk["vdev"] for disk in disks if isinstance(disk, dict)] == ["0100", "0201"]


CHANGE = ChangeGuest(userid="LINUX01", account="DEPT7", share="RELATIVE 300", comments=("x",), live=True)
COUPLE = CoupleNic(userid="LINUX01", vdev="1000", vswitch="VSW1", active=True)


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        ("Image_Replace_DM", CHANGE),
        ("Image_Replace_DM", replace(CHANGE, password="NEWPASS")),
        ("Image_Replace_DM", replace(COUPLE, vlan=12)),
        ("Virtual_Network_Adapter_Connect_Vswitch_DM", COUPLE),
    ],
    ids=["guest.change", "with a password", "nic.couple with a VLAN", "nic.couple"],
)
async def test_what_was_changed_before_a_crash_is_undone_after_it(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, function: str, operation: Operation
) -> None:
    """The agent dies when the entry is changed; the next one goes on, and the running guest refuses."""
    await started(agent)
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",), vid="AWARE"))
    await agent.run(CreateNic(userid="LINUX01", vdev="1000"))
    before = (await agent.client.guest("LINUX01"))["entry"]
    first = Dying(agent)
    first.after_function(function)
    await first.begin(operation, "dying")
    assert (await agent.client.guest("LINUX01"))["entry"] != before
    real = agent.runner.machine.cp

    async def cp(command: str) -> CpAnswer:
        return CpAnswer(31, ("HCPSHR031E refused",)) if command.startswith("SET SHARE") else await real(command)

    monkeypatch.setattr(agent.runner.machine, "cp", cp)
    with pytest.raises(ZhcpError) as caught:
        await agent.run(operation, step="dying")
    assert (await agent.client.guest("LINUX01"))["entry"] == before
    lost = "password of LINUX01: a crash came in between, and the journal keeps no passwords"
    assert (lost in caught.value.problem.detail) == (getattr(operation, "password", None) is not None)
    assert agent.runner.journal.locks() == ()
    await first.bury()


@pytest.mark.parametrize(
    ("function", "left"), [("Image_Lock_DM", "FIRST"), ("Image_Replace_DM", "SECOND")], ids=["before", "after"]
)
async def test_of_a_change_of_only_a_password_it_is_said_when_the_one_of_before_is_lost(
    agent: Agent, function: str, left: str
) -> None:
    """Without its passwords the entry is the same before and after; the agent dies before or after it is replaced."""
    await agent.run(agent.guest())
    await agent.run(ChangeGuest(userid="LINUX01", password="FIRST"))
    operation = ChangeGuest(userid="LINUX01", password="SECOND")
    first = Dying(agent)
    first.after_function(function)
    await first.begin(operation, "dying")
    agent.simulator.faults.add(Rule(function="Image_Lock_DM", rc=596, rs=77, count=1))
    with pytest.raises(ZhcpError) as caught:
        await agent.run(operation, step="dying")
    detail = caught.value.problem.detail
    assert ("password of LINUX01: a crash came in between" in detail) == (left == "SECOND")
    assert ("give it the password that is wanted" in detail) == (left == "SECOND")
    record = agent.simulator.system.entries["LINUX01"]
    assert (record.entry.password, record.locked_by) == (left, "")
    await first.bury()


# -- a crash in guest.restore -----------------------------------------------------------------------------------------


async def to_restore(agent: Agent, begun_with: str = "FIRST") -> tuple[RestoreGuest, list[str]]:
    """An entry that was changed, its restoration, and the entry as it is now."""
    await agent.run(agent.guest())
    await agent.run(ChangeGuest(userid="LINUX01", password=begun_with))
    before = texts(await agent.client.guest("LINUX01"))
    await agent.run(ChangeGuest(userid="LINUX01", password="SECOND", max_cpus=4, comments=("by hand",)))
    return RestoreGuest(userid="LINUX01", entry=tuple(before)), texts(await agent.client.guest("LINUX01"))


def texts(guest: dict[str, Json]) -> list[str]:
    entry = guest["entry"]
    assert isinstance(entry, list)
    return [str(text) for text in entry]


@pytest.mark.parametrize("function", ["Image_Lock_DM", "Image_Replace_DM"])
async def test_a_restoration_goes_on_after_a_crash(agent: Agent, function: str) -> None:
    operation, _ = await to_restore(agent)
    first = Dying(agent)
    first.after_function(function)
    outcome = await first.run(operation)
    assert outcome.result is not None
    assert (outcome.result["userid"], outcome.result["changed"]) == ("LINUX01", True)
    assert texts(await agent.client.guest("LINUX01")) == list(operation.entry)
    record = agent.simulator.system.entries["LINUX01"]
    assert (record.entry.password, record.locked_by) == ("SECOND", "")
    assert agent.runner.journal.locks() == ()
    await first.bury()


@pytest.mark.parametrize("password", ["FIRST", "LBYONLY"])
async def test_a_restoration_that_cannot_go_on_after_a_crash_is_undone(agent: Agent, password: str) -> None:
    """A password that the restored entry did not have is lost then, and the error says so."""
    operation, before = await to_restore(agent, password)
    first = Dying(agent)
    first.after_function("Image_Replace_DM")
    await first.begin(operation, "dying")
    assert texts(await agent.client.guest("LINUX01")) == list(operation.entry)
    agent.simulator.faults.add(Rule(function="Image_Lock_DM", rc=596, rs=77, count=1))
    with pytest.raises(ZhcpError) as caught:
        await agent.run(operation, step="dying")
    is_lost = password == "LBYONLY"
    assert ("password of LINUX01: a crash came in between" in caught.value.problem.detail) == is_lost
    assert texts(await agent.client.guest("LINUX01"))[is_lost:] == before[is_lost:]
    record = agent.simulator.system.entries["LINUX01"]
    assert (record.entry.password, record.locked_by) == ("LBYONLY" if is_lost else "SECOND", "")
    assert agent.runner.journal.locks() == ()
    await first.bury()


@pytest.mark.parametrize("again", [True, False], ids=["sent again", "given up"])
async def test_an_agent_killed_in_a_restoration_leaves_no_lock(tmp_path: Path, again: bool) -> None:
    """It is killed while SMAPI has the new entry and does not answer."""
    guest = CreateGuest(userid="LINUX01", vcpus=1, memory_mb=512)
    async with Simulator(state=tmp_path / "zvm") as simulator:
        entries = simulator.system.entries
        (tmp_path / "zhcp.toml").write_text(settings(simulator, 'unix = "zhcp.sock"'))
        async with program(tmp_path / "zhcp.toml") as (process, _), ZhcpClient(f"unix:{tmp_path}/zhcp.sock") as client:
            await client.run(job="j", step="guest", epoch=1, operation=guest)
            wanted = texts(await client.guest("LINUX01"))
            change = ChangeGuest(userid="LINUX01", comments=("by hand",))
            await client.run(job="j", step="change", epoch=1, operation=change)
            simulator.faults.add(Rule(function="Image_Replace_DM", action="hang", count=1))
            restore = operation_json(RestoreGuest(userid="LINUX01", entry=tuple(wanted)))
            await client.submit(job="j", step="r", epoch=1, kind="guest.restore", parameters=restore, wait=0)
            async with asyncio.timeout(30):
                while not simulator.faults.rules[0].struck:  # noqa: ASYNC110 (another program does it)
                    await asyncio.sleep(0.02)
            process.kill()
            await process.wait()
        assert entries["LINUX01"].locked_by == "ZHCP"
        async with program(tmp_path / "zhcp.toml"), ZhcpClient(f"unix:{tmp_path}/zhcp.sock") as client:
            if again:
                outcome = await client.submit(
                    job="j", step="r", epoch=1, kind="guest.restore", parameters=restore, wait=30
                )
                assert outcome.state == "done", outcome
            async with asyncio.timeout(30):
                while entries["LINUX01"].locked_by:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            found = texts(await client.guest("LINUX01"))
        assert (found == wanted) == again
        assert any("BY HAND" in text for text in found) != again
