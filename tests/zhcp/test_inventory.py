"""A whole system in a handful of calls, and entries that come back as they were."""

from __future__ import annotations

import json

import pytest

from zhcp.conftest import Agent
from zhcp.test_system_queries import rows
from zvmcloud.simulator.faults import Rule
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.entry_messages import ChangeGuest, RestoreGuest
from zvmcloud.zhcp.errors import Json
from zvmcloud.zhcp.guest_messages import StartGuest
from zvmcloud.zhcp.network_messages import CoupleNic, CreateNic, CreateVswitch, GrantVswitch


async def look(agent: Agent, known: str = "") -> dict[str, Json]:
    return await agent.client.ask("GET", "/v1/inventory", params={"known": known})


def entry_of(found: dict[str, Json], userid: str) -> dict[str, Json]:
    return next(row for row in rows(found, "entries") if row["userid"] == userid)


async def test_the_whole_system_is_told_in_a_handful_of_calls(agent: Agent) -> None:
    for number in range(3):
        await agent.run(agent.guest(f"LINUX{number:02}", NewDisk(vdev="0100", size_units=10, pool="POOL1")))
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",)))
    await agent.run(CreateNic(userid="LINUX01", vdev="1000"))
    await agent.run(CoupleNic(userid="LINUX01", vdev="1000", vswitch="VSW1"))
    await agent.run(GrantVswitch(name="VSW1", userid="LINUX01"))
    await agent.run(StartGuest(userid="LINUX02"))
    found = await look(agent)
    assert isinstance(found["calls"], int)
    assert found["calls"] <= 12, "and not more with more guests"
    mine = entry_of(found, "LINUX01")
    assert (mine["kind"], mine["vcpus"], mine["memory_mb"]) == ("USER", 2, 1024)
    assert [disk["vdev"] for disk in rows(mine, "disks")] == ["0100"]
    assert [nic["vswitch"] for nic in rows(mine, "nics")] == ["VSW1"]
    on = found["on"]
    assert isinstance(on, list)
    assert "LINUX02" in on
    assert "LINUX01" not in on
    assert {row["name"] for row in rows(found, "pools")} >= {"POOL1"}
    assert [row["name"] for row in rows(found, "vswitches")] == ["VSW1"]
    assert rows(found, "volumes")
    assert found["missing"] == {}


async def some(agent: Agent, *userids: str) -> dict[str, Json]:
    return await agent.client.ask("GET", "/v1/inventory", params={"userids": ",".join(userids)})


async def test_guests_by_name_are_told_as_in_the_whole(agent: Agent) -> None:
    for number in range(1, 8):
        await agent.run(agent.guest(f"LINUX{number:02}"))
    await agent.run(StartGuest(userid="LINUX02"))
    whole = await look(agent)
    alone = await some(agent, "LINUX02")
    assert (alone["entries"], alone["on"]) == ([entry_of(whole, "LINUX02")], ["LINUX02"])
    assert (await some(agent, "LINUX01"))["on"] == []
    names = [f"LINUX{number:02}" for number in range(1, 8)]
    found = await some(agent, *names, "NOBODY", "LINUX01")
    assert found["entries"] == [entry_of(whole, name) for name in names], "one that is not there is not told"
    assert found["on"] == ["LINUX02"]
    assert (await some(agent, "NOBODY"))["entries"] == []


@pytest.mark.parametrize("userids", ["", "LINUX01,", "NINECHARS", ",".join(f"L{n}" for n in range(201))])
async def test_names_that_cannot_be_asked_for_are_refused(agent: Agent, userids: str) -> None:
    with pytest.raises(ZhcpError) as caught:
        await some(agent, userids)
    assert caught.value.problem.code == "bad-parameter"
    assert "userid" in caught.value.problem.detail


async def test_an_unchanged_system_is_told_in_one_line(agent: Agent) -> None:
    await agent.run(agent.guest())
    first = await look(agent)
    again = await look(agent, str(first["tag"]))
    assert again["unchanged"] is True
    assert "entries" not in again
    await agent.run(ChangeGuest(userid="LINUX01", comments=("changed",)))
    changed = await look(agent, str(first["tag"]))
    assert changed["unchanged"] is False
    assert entry_of(changed, "LINUX01")["digest"] != entry_of(first, "LINUX01")["digest"]
    assert entry_of(changed, "MAINT")["digest"] == entry_of(first, "MAINT")["digest"]
    with pytest.raises(ZhcpError) as caught:
        await look(agent, "x")
    assert caught.value.problem.code == "bad-parameter"


async def test_passwords_never_leave_but_a_new_one_is_noticed(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(ChangeGuest(userid="LINUX01", password="SECRET1"))
    first = await look(agent)
    assert "SECRET1" not in json.dumps(first)
    await agent.run(ChangeGuest(userid="LINUX01", password="SECRET2"))
    second = await look(agent)
    assert entry_of(first, "LINUX01")["entry"] == entry_of(second, "LINUX01")["entry"]
    assert entry_of(first, "LINUX01")["digest"] != entry_of(second, "LINUX01")["digest"]


async def test_a_part_that_is_refused_hides_nothing_else(agent: Agent) -> None:
    agent.simulator.faults.add(Rule(function="Virtual_Network_OSA_Query", rc=100, rs=16))
    found = await look(agent)
    assert "osas" not in found
    missing = found["missing"]
    assert isinstance(missing, dict)
    assert list(missing) == ["osas"]
    assert rows(found, "entries")


async def test_without_the_directory_there_is_no_inventory(agent: Agent) -> None:
    agent.simulator.faults.add(Rule(function="Query_All_DM", rc=596, rs=3600))
    with pytest.raises(ZhcpError) as caught:
        await look(agent)
    assert caught.value.problem.smapi is not None
    assert caught.value.problem.smapi["function"] == "Query_All_DM"


# -- guest.restore ----------------------------------------------------------------------------------------------------


def texts(found: dict[str, Json]) -> tuple[str, ...]:
    entry = found["entry"]
    assert isinstance(entry, list)
    return tuple(str(text) for text in entry)


async def test_an_entry_comes_back_with_the_password_that_it_has_now(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(ChangeGuest(userid="LINUX01", password="FIRST"))
    before = entry_of(await look(agent), "LINUX01")
    await agent.run(ChangeGuest(userid="LINUX01", password="SECOND", max_cpus=4, comments=("by hand",)))
    now = entry_of(await look(agent), "LINUX01")
    await agent.run(RestoreGuest(userid="LINUX01", entry=texts(before), digest=str(now["digest"])))
    assert entry_of(await look(agent), "LINUX01")["entry"] == before["entry"]
    assert agent.simulator.system.entries["LINUX01"].entry.password == "SECOND"


async def test_an_entry_that_somebody_changed_meanwhile_is_left_alone(agent: Agent) -> None:
    await agent.run(agent.guest())
    before = entry_of(await look(agent), "LINUX01")
    await agent.run(ChangeGuest(userid="LINUX01", comments=("by hand",)))
    problem = await agent.refused(RestoreGuest(userid="LINUX01", entry=texts(before), digest=str(before["digest"])))
    assert (problem.status, problem.code) == (409, "entry-changed")
    assert "BY HAND" in " ".join(texts(entry_of(await look(agent), "LINUX01")))


async def test_disks_do_not_come_back_with_an_entry(agent: Agent) -> None:
    await agent.run(agent.guest())
    before = texts(entry_of(await look(agent), "LINUX01"))
    gone = tuple(text for text in before if not text.startswith("MDISK"))
    problem = await agent.refused(RestoreGuest(userid="LINUX01", entry=gone))
    assert (problem.status, problem.code) == (409, "disks-differ")
    other = tuple(text.replace("USER LINUX01", "USER LINUX02") for text in before)
    assert (await agent.refused(RestoreGuest(userid="LINUX01", entry=other))).code == "bad-parameter"
    assert (await agent.refused(RestoreGuest(userid="LINUX01", entry=("MDISK",)))).status == 400
    assert texts(entry_of(await look(agent), "LINUX01")) == before


@pytest.mark.parametrize("agent", [{"model": PRESETS["ssi4"]}], indirect=True)
async def test_a_member_of_a_cluster_is_unchanged_though_its_heart_beats(agent: Agent) -> None:
    first = await look(agent)
    cluster = first["ssi"]
    assert isinstance(cluster, dict)
    assert len(rows(cluster, "members")) == 4
    assert all("received_heartbeat" not in row and row["state"] for row in rows(cluster, "members"))
    assert "received_heartbeat" in str(await agent.client.ask("GET", "/v1/ssi")), "where it is asked for it is told"
    assert (await look(agent, str(first["tag"])))["unchanged"] is True
