"""Clusters and fleets over their ports: SMAPI and the machine port of each member, and kill -9 during a move."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulator.cluster_support import add_guest, on_exactly
from simulator.support import Agent
from zvmcloud.simulator import Simulator, storage
from zvmcloud.simulator.presets import PRESETS, find_preset
from zvmcloud.simulator.system import Timing
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import IMPATIENT, Client
from zvmcloud.smapi.connection import encode_request
from zvmcloud.smapi.errors import SmapiError, TransportError

GUEST = "LINUX01"
SLOW = Timing(boot=0.05, relocation=0.5, quiesce=0.05)


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Simulator]:
    async with Simulator(state=tmp_path / "state", model=PRESETS["ssi4"], timing=SLOW) as simulator:
        add_guest(simulator.cluster)
        yield simulator


def client(sim: Simulator, name: str) -> Client:
    port = sim.member(name).smapi_port
    return Client("127.0.0.1", port, userid="MAINT", password="MAINT", patience=IMPATIENT)


async def agent(sim: Simulator, name: str) -> Agent:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.member(name).machine_port, limit=1 << 24)
    found = Agent(reader, writer)
    answer = await found.ask(op="logon", userid="ZHCP", password="ZHCP")
    assert answer["system"] == name
    return found


async def refused(client: Client, request: f.VMRELOCATE | f.VMRELOCATEModify) -> tuple[int, int, tuple[str, ...]]:
    with pytest.raises(SmapiError) as caught:
        await client.call(request)
    return caught.value.rc, caught.value.rs, tuple(caught.value.text)


async def test_ssi_query_tells_the_same_on_every_member(sim: Simulator) -> None:
    for member in sim.members:
        reply = (await client(sim, member.name).call(f.SSIQuery(target="ALL"))).reply
        assert (reply.ssi_name, reply.ssi_mode, reply.cross_system_timeouts) == ("SSI", "Stable", "Enabled")
        assert reply.ssi_pdr == "SSICOM_on_5100"
        assert [line.split()[:3] for line in reply.ssi_info_array] == [
            [str(number), f"VM{number}", "Joined"] for number in range(1, 5)
        ]


async def test_a_system_alone_is_no_member(tmp_path: Path) -> None:
    async with Simulator(state=tmp_path) as alone:
        maint = Client("127.0.0.1", alone.smapi_port, userid="MAINT", password="MAINT", patience=IMPATIENT)
        answer = await maint.call(f.SSIQuery(target="ALL"), allow=((4, 3008),))
        assert (answer.rc, answer.rs) == (4, 3008)
        status = await maint.call(f.VMRELOCATEStatus(target="ALL"), allow=((4, 3001),))
        assert (status.rc, status.rs) == (4, 3001)
        with pytest.raises(RuntimeError):
            _ = alone.cluster
        assert [member.name for member in alone.members] == ["ZVM1"]


async def test_what_one_member_creates_is_listed_on_the_others(sim: Simulator) -> None:
    records = ("USER LINUX02 LBYONLY 1G 2G G", "INCLUDE LNXDFLT", "MDISK 0100 3390 AUTOG 5 POOL1 MR")
    await client(sim, "VM2").call(f.ImageCreateDM(target="LINUX02", image_record_array=records))
    reply = (await client(sim, "VM3").call(f.ImageQueryDM(target="LINUX02"))).reply
    assert any(line.startswith("MDISK 0100 3390") for line in reply.image_record_array)


async def test_a_guest_of_another_member_is_neither_activated_nor_deleted(sim: Simulator) -> None:
    two = client(sim, "VM2")
    answer = await two.call(f.ImageActivate(target=GUEST), allow=((200, 8),))
    assert (answer.rc, answer.rs) == (200, 8)
    deleted = await two.call(f.ImageDeleteDM(target=GUEST), allow=((596, 6831),))
    assert (deleted.rc, deleted.rs) == (596, 6831)
    assert on_exactly(sim.cluster, GUEST) == "VM1"


async def test_a_move_is_answered_when_the_guest_has_arrived(sim: Simulator) -> None:
    one, two = client(sim, "VM1"), client(sim, "VM2")
    moving = asyncio.create_task(one.call(f.VMRELOCATE(target=GUEST, destination="VM2", action="MOVE")))
    await asyncio.sleep(0.2)
    for other in (one, two):
        (line,) = (await other.call(f.VMRELOCATEStatus(target="ALL"))).reply.VMRELOCATE_status_array
        assert line.split()[:4] == [GUEST, "VM1", "VM2", "MAINT"]
        assert len(line.split()) == 6
    answer = await two.call(f.VMRELOCATEStatus(target="ALL", status_target="OUTGOING"), allow=((4, 3001),))
    assert answer.rs == 3001
    assert on_exactly(sim.cluster, GUEST) == "VM1"
    await moving
    assert on_exactly(sim.cluster, GUEST) == "VM2"
    here = (await two.call(f.ImageStatusQuery(target=GUEST))).reply.image_name_array
    gone = await one.call(f.ImageStatusQuery(target=GUEST), allow=((0, 12),))
    assert (here, gone.rs) == ((GUEST,), 12)
    views = [await (await agent(sim, name)).cp(f"QUERY USER {GUEST}") for name in ("VM1", "VM2")]
    assert views == [(0, ["LINUX01  - SSI"]), (0, ["LINUX01  - DSC"])]
    answer = await one.call(f.VMRELOCATEStatus(target="ALL"), allow=((4, 3001),))
    assert answer.rs == 3001


async def test_a_test_gives_the_numbers_of_the_reasons(sim: Simulator) -> None:
    with sim.cluster.transaction():
        sim.member("VM2").system.vswitches.remove("VSW1")
    request = f.VMRELOCATE(target=GUEST.lower(), destination="vm2", action="test", force="domain storage")
    assert await refused(client(sim, "VM1"), request) == (4, 3000, ("1940 1952",))
    request = f.VMRELOCATE(target=GUEST, destination="VM2", action="MOVE")
    assert await refused(client(sim, "VM1"), request) == (8, 3000, ("1940 1952",))
    await client(sim, "VM1").call(f.VMRELOCATE(target=GUEST, destination="VM3"))
    assert on_exactly(sim.cluster, GUEST) == "VM1"


async def test_the_recorded_relocations_are_answered_as_recorded(tmp_path: Path) -> None:
    # The guest of the recordings has two links to MAINT's disks and a dedicated disk.
    async with Simulator(state=tmp_path, model=PRESETS["recorded71"]) as recorded:
        maint = Client("127.0.0.1", recorded.smapi_port, userid="maint", password="maint", patience=IMPATIENT)
        test = f.VMRELOCATE(target="gt@pong", destination="vm2", action="test", force="domain storage")
        assert await refused(maint, test) == (4, 3000, ("1940 1996 1996 1981",))
        move = f.VMRELOCATE(target="gt@pong", destination="vm1", action="move", force="domain storage", immediate="yes")
        assert (await maint.call(move)).rc == 0
        modify = f.VMRELOCATEModify(target="gt@pong", max_total="500", max_quiesce="400")
        assert await refused(maint, modify) == (8, 3010, ("1926",))
        attributes = f.VMRELOCATEImageAttributes(
            target="gt@pong", relocation_setting="ON", domain_name="SSI", archforce="NO"
        )
        assert (await maint.call(attributes)).rc == 0


async def test_a_move_is_cancelled_and_modified_from_another_connection(sim: Simulator) -> None:
    one, three = client(sim, "VM1"), client(sim, "VM3")
    modify = f.VMRELOCATEModify(target=GUEST, max_total="500", max_quiesce="400")
    assert await refused(one, modify) == (8, 3010, ("1926",))
    move = f.VMRELOCATE(target=GUEST, destination="VM2", action="MOVE", max_total="100", max_quiesce="")
    moving = asyncio.create_task(refused(one, move))
    await asyncio.sleep(0.2)
    await three.call(modify)
    await three.call(f.VMRELOCATE(target=GUEST, action="CANCEL"))
    assert await moving == (8, 3000, ("1929",))
    assert on_exactly(sim.cluster, GUEST) == "VM1"
    assert await refused(one, f.VMRELOCATE(target=GUEST, action="CANCEL")) == (8, 3000, ("1926",))


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"action": "MOVE"}, (8, 3004)),
        ({"action": "MOVE", "destination": "VM2", "force": "EVERYTHING"}, (8, 3003)),
        ({"action": "MOVE", "destination": "VM2", "max_total": "soon"}, (8, 3003)),
        ({"action": "MOVE", "destination": "VM2", "max_quiesce": "0"}, (8, 3003)),
        ({"action": "MOVE", "destination": "VM9"}, (8, 3000)),
    ],
)
async def test_a_wrong_value_is_refused(sim: Simulator, values: dict[str, str], code: tuple[int, int]) -> None:
    rc, rs, _ = await refused(client(sim, "VM1"), f.VMRELOCATE(target=GUEST, **values))
    assert (rc, rs) == code


async def test_attributes_of_a_guest(sim: Simulator) -> None:
    one = client(sim, "VM1")

    async def code(target: str, setting: str, domain: str = "SSI") -> tuple[int, int]:
        request = f.VMRELOCATEImageAttributes(target=target, relocation_setting=setting, domain_name=domain)
        try:
            answer = await one.call(request)
        except SmapiError as error:
            return error.rc, error.rs
        return answer.rc, answer.rs

    assert await code(GUEST, "OFF") == (0, 0)
    test = f.VMRELOCATE(target=GUEST, destination="VM2", action="TEST")
    assert await refused(one, test) == (4, 3000, ("1940 1941",))
    assert await code(GUEST, "ON") == (0, 0)
    assert (await one.call(test)).rc == 0
    assert await code(GUEST, "ON", "NOWHERE") == (8, 1821)
    assert await code("DIRMAINT", "ON") == (8, 1823)
    assert await code("NOBODY", "ON") == (8, 12)


async def test_ports_of_a_member_close_and_open_with_it(sim: Simulator) -> None:
    sim.cluster.take_down("VM4")
    await sim.settle()
    four = client(sim, "VM4")
    with pytest.raises(TransportError):
        await four.call(f.SSIQuery(target="ALL"))
    lines = (await client(sim, "VM1").call(f.SSIQuery(target="ALL"))).reply.ssi_info_array
    assert lines[3].split()[:3] == ["4", "VM4", "Down"]
    sim.cluster.bring_up("VM4")
    await sim.settle()
    await four.call(f.SSIQuery(target="ALL"))


async def test_links_of_all_members_are_shown(sim: Simulator) -> None:
    three = await agent(sim, "VM3")
    assert (await three.cp(f"LINK {GUEST} 100 F100 RR"))[0] == 0
    reply = (await client(sim, "VM2").call(f.ImageMDISKLinkQuery(target=GUEST, vdev="0100"))).reply
    assert [line.split() for line in reply.link_array] == [
        ["VM1", GUEST, "0100", "WRITE"],
        ["VM3", "ZHCP", "F100", "READ"],
    ]


async def test_a_cluster_that_is_not_stable_takes_no_volumes(sim: Simulator) -> None:
    sim.cluster.take_down("VM4", abend=True)
    request = f.PageOrSpoolVolumeAdd(target="MAINT", vol_addr="7000", volume_label="M01P02", volume_use="PAGE")
    answer = await client(sim, "VM1").call(request, allow=((8, 3006),))
    assert (answer.rc, answer.rs) == (8, 3006)


async def test_each_system_of_a_fleet_answers_for_itself(tmp_path: Path) -> None:
    async with Simulator(state=tmp_path, model=find_preset("fleet:2x2")) as fleet:
        await client(fleet, "ZVM1").call(f.ImageDeactivate(target="L00001", force_time="IMMED"))
        assert "L00001" not in fleet.member("ZVM1").system.machines
        assert "L00001" in fleet.member("ZVM2").system.machines


RUN = [sys.executable, "-c", "from zvmcloud.simulator.program import app; app()", "run", "--host", "127.0.0.1"]


def start(state: Path, preset: str, *options: str) -> tuple[subprocess.Popen[str], list[str]]:
    command = [*RUN, "--state", str(state), "--preset", preset, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    lines: list[str] = []
    while not (lines and lines[-1].endswith("ready\n")):
        line = process.stdout.readline()
        assert line, lines
        lines.append(line)
    return process, lines


def stop(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(10)
    if process.stdout is not None:
        process.stdout.close()


def test_the_program_prints_a_line_for_every_member_and_port(tmp_path: Path) -> None:
    process, lines = start(tmp_path, "ssi4", "--smapi-port", "0", "--machine-port", "0")
    stop(process)
    lines = [line for line in lines if " TCP " in line]
    heads = [line.split()[:3] for line in lines]
    assert heads == [[f"VM{n}", kind, "TCP"] for n in range(1, 5) for kind in ("SMAPI", "machine")]
    assert len({line.rpartition(":")[2] for line in lines}) == 8


@pytest.mark.parametrize("after", [0.02, 0.1, 0.155, 0.18])
def test_a_kill_during_a_move_leaves_the_guest_on_exactly_one_member(tmp_path: Path, after: float) -> None:
    asyncio.run(_with_guest(tmp_path))
    process, lines = start(tmp_path, "ssi4", "--smapi-port", "0", "--machine-port", "0", "--latency", "zero")
    port = int(lines[0].rpartition(":")[2])
    request = encode_request(f.VMRELOCATE(target=GUEST, destination="VM2", action="MOVE"), "MAINT", "MAINT")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        connection.settimeout(after)
        try:
            while connection.recv(4096):
                pass
        except TimeoutError:
            pass
    stop(process)
    asyncio.run(_finish(tmp_path))


async def _with_guest(state: Path) -> None:
    async with Simulator(state=state, model=PRESETS["ssi4"]) as sim:
        add_guest(sim.cluster)


async def _finish(state: Path) -> None:
    async with Simulator(state=state) as sim:
        assert on_exactly(sim.cluster, GUEST) in ("VM1", "VM2")
        await asyncio.sleep(0.3)
        where = on_exactly(sim.cluster, GUEST)
        links = [(storage.open_devices(m.system, GUEST) / "0.0.0100").exists() for m in sim.members[:2]]
        assert links == [where == "VM1", where == "VM2"]
        assert len(sim.cluster.relocations) == 0


async def test_every_member_keeps_its_ports_when_a_saved_cluster_is_loaded(sim: Simulator, tmp_path: Path) -> None:
    before = [(member.name, member.smapi_port, member.machine_port) for member in sim.members]
    await asyncio.to_thread(sim.save, tmp_path / "cluster.tar")
    await sim.load(tmp_path / "cluster.tar")
    assert [(member.name, member.smapi_port, member.machine_port) for member in sim.members] == before
