"""FCP devices: what the system has, given to a guest and taken back, in its entry and at once."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from zhcp.conftest import Agent
from zhcp.test_road import until_up
from zvmcloud.simulator.faults import Rule
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.fcp_messages import ConfigureGuest, DedicateFcps, FollowFcps, UndedicateFcps, VaryFcps
from zvmcloud.zhcp.guest_messages import StartGuest
from zvmcloud.zhcp.machine import GuestAnswer
from zvmcloud.zhcp.messages import operation_json, parse_operation
from zvmcloud.zhcp.operations import fcps as operations
from zvmcloud.zhcp.reader_messages import PunchFiles, ReaderFile


async def fcps(agent: Agent) -> dict[str, dict[str, Any]]:
    found: Any = (await agent.client.ask("GET", "/v1/fcps"))["fcps"]
    return {row["fcp"]: row for row in found}


async def dedicated(agent: Agent, userid: str = "LINUX01") -> list[str]:
    entry: Any = (await agent.client.guest(userid))["entry"]
    return [line for line in entry if line.startswith("DEDICATE")]


def refuse(agent: Agent, function: str, skip: int = 0) -> None:
    agent.simulator.faults.add(Rule(function=function, skip=skip, rc=396, rs=1))


async def running(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)


async def test_devices_are_listed_with_their_channels(agent: Agent) -> None:
    found = await fcps(agent)
    assert {"1a00", "1b03"} <= set(found)
    device = found["1a00"]
    assert (device["state"], device["owner"], len(device["npiv"])) == ("free", "", 16)
    assert len(device["pchid"]) == 4
    assert device["chpid"] != found["1b00"]["chpid"]


async def test_a_guest_that_is_off_gets_them_at_its_logon(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(DedicateFcps(userid="LINUX01", devices=("1a00", "1b00")))
    assert await dedicated(agent) == ["DEDICATE 1A00 1A00", "DEDICATE 1B00 1B00"]
    assert (await fcps(agent))["1a00"]["owner"] == ""
    await agent.run(UndedicateFcps(userid="LINUX01", devices=("1a00", "1b00")))
    assert await dedicated(agent) == []
    await agent.run(UndedicateFcps(userid="LINUX01", devices=("1a00",)))


async def test_a_running_guest_gets_them_at_once(agent: Agent) -> None:
    await running(agent)
    await agent.run(DedicateFcps(userid="LINUX01", devices=("1a00",)))
    assert (await fcps(agent))["1a00"]["owner"] == "LINUX01"
    await agent.run(UndedicateFcps(userid="LINUX01", devices=("1a00",)))
    assert (await fcps(agent))["1a00"]["owner"] == ""
    assert await dedicated(agent) == []


async def test_a_device_of_another_guest_is_refused_before_anything_changes(agent: Agent) -> None:
    await running(agent)
    await agent.run(DedicateFcps(userid="LINUX01", devices=("1a00",)))
    await agent.run(agent.guest("LINUX02"))
    problem = await agent.refused(DedicateFcps(userid="LINUX02", devices=("1b00", "1a00")))
    assert (problem.status, problem.code) == (409, "fcp-in-use")
    assert "LINUX01" in problem.detail
    assert await dedicated(agent, "LINUX02") == []
    assert (await agent.refused(DedicateFcps(userid="LINUX02", devices=("9999",)))).code == "fcp-unknown"


async def test_the_guest_reads_its_files_when_it_is_up_and_not_before(agent: Agent) -> None:
    await agent.run(agent.guest())
    off = await agent.run(ConfigureGuest(userid="LINUX01", scripts="volume"))
    assert off.result is not None
    assert off.result["configured"] is False
    await agent.run(agent.write_image())
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)
    on = await agent.run(ConfigureGuest(userid="LINUX01", scripts="volume"))
    assert on.result is not None
    assert on.result["configured"] is True


async def test_a_device_that_cp_keeps_stays_in_the_entry(agent: Agent) -> None:
    await running(agent)
    await agent.run(DedicateFcps(userid="LINUX01", devices=("1a00", "1b00")))
    refuse(agent, "Image_Device_Undedicate", skip=1)
    problem = await agent.refused(UndedicateFcps(userid="LINUX01", devices=("1a00", "1b00")))
    assert problem.smapi is not None
    assert sorted(await dedicated(agent)) == ["DEDICATE 1A00 1A00", "DEDICATE 1B00 1B00"]
    found = await fcps(agent)
    assert {found["1a00"]["owner"], found["1b00"]["owner"]} == {"LINUX01"}


async def test_a_dedicate_that_fails_half_way_leaves_neither_half(agent: Agent) -> None:
    await running(agent)
    refuse(agent, "Image_Device_Dedicate", skip=1)
    await agent.refused(DedicateFcps(userid="LINUX01", devices=("1a00", "1b00")))
    assert await dedicated(agent) == []
    assert {row["owner"] for row in (await fcps(agent)).values()} == {""}


async def test_a_device_that_cannot_be_taken_back_live_is_not_freed_in_the_directory(agent: Agent) -> None:
    """CP gives the first, refuses the second, and keeps the first: its entry must go on saying so."""
    await running(agent)
    refuse(agent, "Image_Device_Dedicate", skip=1)
    refuse(agent, "Image_Device_Undedicate", skip=1)
    problem = await agent.refused(DedicateFcps(userid="LINUX01", devices=("1a00", "1b00")))
    assert "could not undo: device 1A00 of LINUX01" in problem.detail
    assert await dedicated(agent) == ["DEDICATE 1A00 1A00"]
    assert (await fcps(agent))["1a00"]["owner"] == "LINUX01"


async def test_a_device_that_a_guest_gets_at_its_next_logon_is_not_free(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.guest("LINUX02"))
    await agent.run(DedicateFcps(userid="LINUX01", devices=("1a00",)))
    problem = await agent.refused(DedicateFcps(userid="LINUX02", devices=("1a00",)))
    assert (problem.code, "LINUX01" in problem.detail) == ("fcp-in-use", True)


async def test_a_guest_has_a_device_at_another_number_and_an_undo_gives_it_back_there(agent: Agent) -> None:
    await running(agent)
    await agent.run(DedicateFcps(userid="LINUX01", devices=("1a00", "1b00"), reals=("1a02", "1b00")))
    assert await dedicated(agent) == ["DEDICATE 1A00 1A02", "DEDICATE 1B00 1B00"]
    found = await fcps(agent)
    assert (found["1a02"]["owner"], found["1a02"]["vdev"], found["1a00"]["owner"]) == ("LINUX01", "1a00", "")
    refuse(agent, "Image_Device_Undedicate", skip=1)
    await agent.refused(UndedicateFcps(userid="LINUX01", devices=("1a00", "1b00")))
    assert sorted(await dedicated(agent)) == ["DEDICATE 1A00 1A02", "DEDICATE 1B00 1B00"]
    assert (await fcps(agent))["1a02"]["vdev"] == "1a00"


async def test_what_guests_of_other_members_are_promised_are_devices_of_theirs(agent: Agent) -> None:
    for name in ("LINUX01", "LINUX02"):
        await agent.run(agent.guest(name))
    await agent.run(DedicateFcps(userid="LINUX01", devices=("1a00",)))
    await agent.run(DedicateFcps(userid="LINUX02", devices=("1a00",), elsewhere=("linux01",)))
    assert await dedicated(agent, "LINUX02") == ["DEDICATE 1A00 1A00"]


async def test_the_entry_of_a_guest_that_comes_dedicates_devices_of_this_member(agent: Agent) -> None:
    for name in ("LINUX01", "LINUX02"):
        await agent.run(agent.guest(name))
    await agent.run(DedicateFcps(userid="LINUX01", devices=("1a00", "1b00")))
    await agent.run(DedicateFcps(userid="LINUX02", devices=("1a03",)))
    taken = FollowFcps(userid="LINUX01", devices=("1a00",), reals=("1a03",))
    assert (await agent.refused(taken)).code == "fcp-in-use"
    assert (await agent.refused(FollowFcps(userid="NOBODY"))).code == "guest-unknown"
    moved = await agent.run(FollowFcps(userid="LINUX01", devices=("1a00", "1b00"), reals=("1a02", "1b00")))
    assert sorted(await dedicated(agent)) == ["DEDICATE 1A00 1A02", "DEDICATE 1B00 1B00"]
    assert moved.result is not None
    assert moved.result["devices"] == [["1a00", "1a02"], ["1b00", "1b00"]]
    refuse(agent, "Image_Replace_DM")
    await agent.refused(FollowFcps(userid="LINUX01", devices=("1a00",), reals=("1a01",)))
    assert sorted(await dedicated(agent)) == ["DEDICATE 1A00 1A02", "DEDICATE 1B00 1B00"]


async def test_a_running_guest_s_entry_names_what_z_vm_gave_it(agent: Agent) -> None:
    await running(agent)
    await agent.run(DedicateFcps(userid="LINUX01", devices=("1a00",)))
    wish = FollowFcps(userid="LINUX01", devices=("1a00",), reals=("1a02",))
    assert (await agent.refused(wish)).code == "guest-active"
    same = await agent.run(FollowFcps(userid="LINUX01"))
    assert same.result is not None
    assert (same.result["devices"], await dedicated(agent)) == ([["1a00", "1a00"]], ["DEDICATE 1A00 1A00"])


async def test_devices_that_nobody_has_go_offline_and_come_back(agent: Agent) -> None:
    await running(agent)
    await agent.run(DedicateFcps(userid="LINUX01", devices=("1a00",)))
    told = await agent.run(VaryFcps(devices=("1a00", "1a01"), online=False))
    assert told.result is not None
    assert told.result["devices"] == ["1a01"], "the other one is LINUX01's"
    states = {name: row["state"] for name, row in (await fcps(agent)).items()}
    assert (states["1a00"], states["1a01"]) == ("active", "offline")
    await agent.run(VaryFcps(devices=("1a00", "1a01"), online=True))
    assert (await fcps(agent))["1a01"]["state"] == "free"
    assert (await agent.refused(VaryFcps(devices=("1a01", "9999"), online=False))).status == 502
    assert (await fcps(agent))["1a01"]["state"] == "free", "it is undone"


@pytest.mark.parametrize("words", [{"devices": ["1a00"]}, {"devices": ["1a00"], "reals": ["1a01", "1a02"]}])
def test_there_are_as_many_real_devices_as_virtual_ones(words: dict[str, Any]) -> None:
    with pytest.raises(FieldError, match="reals"):
        parse_operation("fcp.follow", {"userid": "LINUX01", **words})


async def test_of_two_guests_that_want_a_device_at_once_one_gets_it(agent: Agent) -> None:
    names = ("LINUX01", "LINUX02", "LINUX03")
    for name in names:
        await agent.run(agent.guest(name))
    wishes = (agent.run(DedicateFcps(userid=name, devices=("1a00", "1b00"))) for name in names)
    ended = await asyncio.gather(*wishes, return_exceptions=True)
    assert sorted(isinstance(item, ZhcpError) for item in ended) == [False, True, True]
    assert sorted([len(await dedicated(agent, name)) for name in names]) == [0, 0, 2]


@pytest.mark.parametrize(
    ("scripts", "said"),
    [
        ("volume", "ended with status 3: no target WWPN can be reached"),
        ("disks", "ended with status 3"),
        ("network", "ended with status 3"),
    ],
)
async def test_a_script_that_fails_is_told_with_whose_it_was(agent: Agent, scripts: str, said: str) -> None:
    """An exit status means something in the scripts of a volume only."""
    await running(agent)
    file = ReaderFile(base64.b64encode(b"#!/bin/bash\nexit 3\n").decode(), "TEST", "SH")
    await agent.run(PunchFiles(userid="LINUX01", files=(file,)))
    problem = await agent.refused(ConfigureGuest(userid="LINUX01", scripts=scripts))
    assert (problem.status, problem.code) == (409, f"{scripts}-script-failed")
    assert problem.detail.endswith(said)


@pytest.mark.parametrize("how", ["cancelled", "failed"])
async def test_what_a_guest_has_done_in_a_step_that_does_not_end_well_is_taken_back(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    await running(agent)
    real, began, runs = agent.runner.machine.guest, asyncio.Event(), 0

    async def guest(userid: str, command: str) -> GuestAnswer:
        nonlocal runs
        answer = await real(userid, command)
        if command != operations._START:
            return answer
        runs += 1
        began.set()
        await asyncio.sleep(0.2)
        return answer if how == "cancelled" or runs > 1 else GuestAnswer(1, "")

    monkeypatch.setattr(agent.runner.machine, "guest", guest)
    script = base64.b64encode(b"#!/bin/bash\necho back\n").decode()
    wish = ConfigureGuest(userid="LINUX01", scripts="volume", back=script)
    await agent.runner.submit("job", "step", 1, wish.kind, operation_json(wish))
    await asyncio.wait_for(began.wait(), 60)
    if how == "cancelled":
        await agent.client.cancel("job", "step", epoch=1)
    over = await agent.runner.outcome("job/step", 60)
    assert over.error is not None
    assert over.error.code == ("cancelled" if how == "cancelled" else "volume-script-failed")
    assert runs == 2, "the script that takes it back has run"
    punched = [call for call in over.calls if call.kind == "punch"]
    assert [call.name for call in punched] == ["CONFIG"]
