"""After a crash: what it left linked or locked is given back, and nothing else."""

import sqlite3
from pathlib import Path

import pytest

from zhcp.conftest import Agent
from zvmcloud.simulator.faults import Rule
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import smapi_port
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.journal import Journal, digest
from zvmcloud.zhcp.machine import CpAnswer, SimulatedMachine
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.network_messages import CoupleNic, CreateNic, CreateVswitch
from zvmcloud.zhcp.operations.linked import linked
from zvmcloud.zhcp.seams import Opened

UNREACHABLE = AgentError(503, "machine-unreachable", "nobody is there", retryable=True)
COUPLE = CoupleNic(userid="LINUX01", vdev="1000", vswitch="VSW1", vlan=12)


async def test_the_number_of_a_leftover_is_given_to_nobody_before_it_is_detached(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.guest("OTHER"))
    await agent.runner.machine.cp("LINK OTHER 0100 AS F000 RR")
    await agent.runner.journal.linking("F000", "OTHER", "0100")
    agent.restart()
    taken = agent.runner._links.take()
    assert taken == "F001"
    agent.runner._links.give_back(taken)
    await agent.run(agent.write_image())
    assert agent.runner.journal.links() == ()
    answer = await agent.runner.machine.cp("DETACH F000")
    assert answer.rc == 40, "the operation itself has detached it first"


async def test_recovery_that_comes_late_leaves_the_disks_of_running_operations_alone(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agent.run(agent.guest())
    await agent.runner.machine.cp("LINK LINUX01 0100 AS F005 RR")
    await agent.runner.journal.linking("F005", "LINUX01", "0100")
    agent.restart()
    cp = SimulatedMachine.cp
    reachable = False

    async def lost(machine: SimulatedMachine, command: str) -> CpAnswer:
        if not reachable and command.startswith("DETACH"):
            raise UNREACHABLE
        return await cp(machine, command)

    monkeypatch.setattr(SimulatedMachine, "cp", lost)
    with pytest.raises(AgentError):
        await agent.runner.recover()
    early = await agent.refused(agent.write_image())
    assert (early.status, early.retryable) == (503, True)
    assert not any(call.name.startswith("LINK") for call in early.calls), "nothing is linked before recovery has ended"
    reachable = True
    async with linked(agent.runner.context("job/step"), "LINUX01", "0100", write=True) as (vdev, path):
        again = await agent.runner.recover()
        assert again == ()
        assert [link.vdev for link in agent.runner.journal.links()] == [vdev]
        assert path.exists()


async def test_a_leftover_that_cp_refuses_to_detach_stays_in_the_journal_and_out_of_use(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agent.run(agent.guest())
    await agent.runner.journal.linking("F000", "OTHER", "0100")
    agent.restart()
    cp = SimulatedMachine.cp

    async def refuses(machine: SimulatedMachine, command: str) -> CpAnswer:
        return CpAnswer(6, ("HCPDET006E",)) if command == "DETACH F000" else await cp(machine, command)

    monkeypatch.setattr(SimulatedMachine, "cp", refuses)
    outcome = await agent.run(agent.write_image())
    assert "LINK LINUX01 0100 AS F001 W" in [call.name for call in outcome.calls]
    assert [link.vdev for link in agent.runner.journal.links()] == ["F000"]


async def test_a_journal_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "j.sqlite")
    db.execute("CREATE TABLE link (vdev TEXT PRIMARY KEY, owner TEXT NOT NULL, disk TEXT NOT NULL)")
    db.execute("INSERT INTO link VALUES ('F000', 'A', '0100')")
    db.execute("CREATE TABLE volume (lun TEXT PRIMARY KEY, place TEXT NOT NULL, run TEXT NOT NULL)")
    db.execute("""INSERT INTO volume VALUES ('L', '[["1A00", "1B00"], ["5005"]]', 'R')""")
    db.commit()
    db.close()
    journal = Journal(tmp_path / "j.sqlite")
    (link,) = journal.links()
    assert (link.vdev, link.owner, link.disk, link.run) == ("F000", "A", "0100", "")
    await journal.unlinked(link.vdev, link.run)
    assert journal.links() == ()
    assert journal.volumes() == (Opened("L", (("1A00", "5005"), ("1B00", "5005"))),)


async def with_nic(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",), vid="AWARE"))
    await agent.run(CreateNic(userid="LINUX01", vdev="1000"))


async def lock(agent: Agent) -> None:
    await agent.runner.context("test").call(f.ImageLockDM(target="LINUX01"))


async def is_locked(agent: Agent) -> bool:
    answer = await agent.runner.context("test").call(f.ImageLockQueryDM(target="LINUX01"), allow=((0, 24),))
    return answer.rs != 24


async def test_a_lock_that_a_crash_left_is_released_at_the_start(agent: Agent) -> None:
    await with_nic(agent)
    await agent.runner.journal.locking("LINUX01")
    await lock(agent)
    agent.restart()
    assert await is_locked(agent)
    await agent.runner.recover()
    assert not await is_locked(agent)
    assert agent.runner.journal.locks() == ()
    await agent.run(COUPLE)


async def test_an_operation_that_is_taken_up_again_knows_its_lock(agent: Agent) -> None:
    await with_nic(agent)
    journal = agent.runner.journal
    await journal.admit("j", "couple", 1, "nic.couple", digest("nic.couple", operation_json(COUPLE)))
    await journal.locking("LINUX01")
    await lock(agent)
    agent.restart()
    body = {"epoch": 1, "kind": "nic.couple", "parameters": operation_json(COUPLE)}
    answer = (await agent.http.put("/v1/operations/j/couple", json=body)).json()
    assert answer["state"] == "done"
    assert not await is_locked(agent)
    assert agent.runner.journal.locks() == ()


async def test_the_lock_of_another_is_respected_and_not_released(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smapi_port, "BUSY_PAUSES", (0,))
    await with_nic(agent)
    await lock(agent)
    problem = await agent.refused(COUPLE)
    assert problem.code == "guest-locked"
    assert agent.runner.journal.locks() == ()
    assert await is_locked(agent)


async def test_a_replacement_that_is_refused_releases_the_lock(agent: Agent) -> None:
    await with_nic(agent)
    agent.simulator.faults.add(Rule(function="Image_Replace_DM", rc=596, rs=3, count=1))
    await agent.refused(COUPLE)
    assert not await is_locked(agent)
    assert agent.runner.journal.locks() == ()


async def test_a_lock_that_cannot_be_released_stays_noted_and_is_ours_the_next_time(agent: Agent) -> None:
    await with_nic(agent)
    agent.simulator.faults.add(Rule(function="Image_Replace_DM", rc=596, rs=3, count=1))
    agent.simulator.faults.add(Rule(function="Image_Unlock_DM", rc=596, rs=3))
    await agent.refused(COUPLE)
    assert [lock.userid for lock in agent.runner.journal.locks()] == ["LINUX01"]
    agent.simulator.faults.clear()
    await agent.run(COUPLE)
    assert not await is_locked(agent)
    assert agent.runner.journal.locks() == ()
