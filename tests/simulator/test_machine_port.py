"""The machine port: the agent's own virtual machine over one connection."""

from __future__ import annotations

import asyncio
import base64
import json
import re

import pytest

from simulator.support import Agent
from zvmcloud.simulator import Simulator
from zvmcloud.simulator.faults import Rule


async def test_logging_on_tells_the_system_and_where_devices_appear(sim: Simulator, agent: Agent) -> None:
    answer = await agent.ask(op="logon", userid="zhcp", password="zhcp")
    assert answer == {"ok": True, "userid": "ZHCP", "system": "ZVM1", "devices": str(agent.devices)}
    assert agent.devices.is_dir()
    assert "ZHCP" in sim.system.machines


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ({"op": "cp", "command": "Q USERID"}, "logon"),
        ({"op": "logon", "userid": "ZHCP", "password": "WRONG"}, "wrong"),
        ({"op": "logon", "userid": "TCPIP", "password": "AUTOONLY"}, "wrong"),
        ({"op": "dance"}, "dance"),
        ({"op": "logon"}, "userid"),
        ([], "object"),
    ],
)
async def test_a_stranger_is_refused(sim: Simulator, request_: object, word: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.machine_port)
    writer.write(json.dumps(request_).encode() + b"\n{broken\n")
    first, second = json.loads(await reader.readline()), json.loads(await reader.readline())
    writer.close()
    assert (first["ok"], second["ok"]) == (False, False)
    assert word in first["error"]


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ({"op": "punch", "name": "../x", "type": "ISO", "class": "X", "data": ""}, "name"),
        ({"op": "punch", "name": "x", "type": "ISO", "class": "XX", "data": ""}, "class"),
        ({"op": "punch", "name": "x", "type": "ISO", "class": "X", "data": "?"}, "base64"),
        ({"op": "receive", "spoolid": "9999"}, "9999"),
        ({"op": "guest", "userid": "TOOLONGNAME", "command": "pwd"}, "userid"),
        ({"op": "guest", "userid": "LINUX01", "command": "pwd"}, "unreachable"),
        ({"op": "cp"}, "command"),
    ],
)
async def test_bad_requests_name_what_is_wrong(agent: Agent, request_: dict[str, object], word: str) -> None:
    answer = await agent.ask(**request_)
    assert answer["ok"] is False
    assert word in str(answer["error"])


async def test_a_punched_file_is_listed_and_received_once(agent: Agent) -> None:
    data = bytes(range(256)) * 5000
    punched = await agent.ask(
        op="punch", name="CFGDRIVE", type="ISO", **{"class": "X"}, data=base64.b64encode(data).decode()
    )
    spoolid = punched["spoolid"]
    listed = (await agent.ask(op="reader"))["files"]
    assert isinstance(listed, list)
    assert re.fullmatch(r"\d\d/\d\d \d\d:\d\d:\d\d", listed[0].pop("created"))
    assert listed == [
        {
            "spoolid": spoolid,
            "origin": "ZHCP",
            "class": "X",
            "type": "PUN",
            "name": "CFGDRIVE",
            "filetype": "ISO",
            "records": len(data) // 80,
        }
    ]
    held = await agent.ask(op="receive", spoolid=spoolid, hold=True)
    assert base64.b64decode(str(held["data"])) == data
    assert " USER " in str(await agent.cp(f"QUERY RDR {spoolid}")), "it stays, in user hold"
    received = await agent.ask(op="receive", spoolid=spoolid)
    assert base64.b64decode(str(received["data"])) == data
    assert (await agent.ask(op="receive", spoolid=spoolid))["ok"] is False


async def test_links_survive_the_connection(sim: Simulator, agent: Agent) -> None:
    assert (await agent.cp("LINK MAINT 0190 F000 RR"))[0] == 0
    agent.writer.close()
    await agent.writer.wait_closed()
    assert (agent.devices / "0.0.f000").is_symlink()
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.machine_port)
    again = Agent(reader, writer)
    await again.ask(op="logon", userid="ZHCP", password="ZHCP")
    assert (await again.cp("DETACH F000")) == (0, ["DASD F000 DETACHED"])
    assert not (agent.devices / "0.0.f000").is_symlink()
    writer.close()


async def test_a_disk_comes_online_as_large_as_the_fault_rules_leave_it(sim: Simulator, agent: Agent) -> None:
    assert (await agent.ask(op="device", vdev="F000"))["error"] == "ZHCP has no disk F000"
    assert "four hexadecimal digits" in str((await agent.ask(op="device", vdev="F000F"))["error"])
    assert (await agent.cp("LINK MAINT 0190 F000 RR"))[0] == 0
    rule = sim.faults.add(Rule(action="disk-full", target="MAINT.0190", who="ZHCP", skip=1, bytes=4096))
    sim.faults.add(Rule(action="refuse"))
    room = agent.devices / "0.0.f000.room"
    for expected in (False, True):
        assert await agent.ask(op="device", vdev="f000") == {"ok": True, "device": "0.0.f000"}
        assert room.exists() == expected
    assert room.read_text() == "4096"
    assert sim.faults.strike("Image_Query_DM", "MAINT.0190", "ZHCP").action == "refuse", "requests are not about disks"
    sim.faults.remove(rule.number)
    await agent.ask(op="device", vdev="F000")
    assert not room.exists()
    assert (await agent.cp("DETACH F000"))[0] == 0
    assert not list(agent.devices.glob("0.0.f000*"))
