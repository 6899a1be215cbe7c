"""What a rehearsal tells is what the operation then does, and a rehearsal changes nothing."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from zhcp.conftest import Agent
from zhcp.test_resize import running
from zvmcloud.zhcp.boot_messages import BootFile, ConfigDrive, NetBoot
from zvmcloud.zhcp.disk_messages import AddDisks, NewDisk, RemoveDisks
from zvmcloud.zhcp.entry_messages import ChangeGuest, DefineGuest
from zvmcloud.zhcp.errors import Call, Json
from zvmcloud.zhcp.guest_messages import (
    DeleteGuest,
    PauseGuest,
    RebootGuest,
    ResetGuest,
    ShutdownGuest,
    StartGuest,
    StopGuest,
)
from zvmcloud.zhcp.image_messages import CloneDisk, EraseDisk
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.network_messages import (
    AttachNic,
    ChangeVswitch,
    CoupleNic,
    CreateLan,
    CreateNic,
    CreateVswitch,
    DeleteLan,
    DeleteNic,
    DeleteVswitch,
    GrantVswitch,
    RevokeVswitch,
    UncoupleNic,
)
from zvmcloud.zhcp.reader_messages import OrderFiles, PunchFiles, PurgeFiles, ReaderFile, TransferFiles
from zvmcloud.zhcp.rehearsal.kinds import changes
from zvmcloud.zhcp.rehearsal.rehearse import shown
from zvmcloud.zhcp.resource_messages import ResizeCpus, ResizeMemory

DATA = base64.b64encode(b"echo hello\n").decode()
DISK = NewDisk(vdev="0101", size_units=5, pool="POOL1", format="none")
SECOND = NewDisk(vdev="0100", size_units=10, pool="POOL1")


async def rehearsed(agent: Agent, *operations: Operation) -> list[dict[str, Any]]:
    document = [{"kind": item.kind, "parameters": operation_json(item)} for item in operations]
    answer = await agent.http.post("/v1/operations/rehearse", json={"operations": document})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["operations"]
    return found


def told(calls: list[Any], new: tuple[str, ...] = ()) -> list[tuple[str, str, dict[str, Json]]]:
    """Calls as they are compared: of what is done to a disk only which disk it is, the rest is known afterwards."""
    found = []
    for call in calls:
        call = call if isinstance(call, Call) else Call(call["kind"], call["name"], call["parameters"])  # noqa: PLW2901
        if not changes(call):
            continue
        call = shown(call, new)  # noqa: PLW2901
        parameters = call.parameters
        if call.kind == "disk":
            parameters = {key: parameters[key] for key in ("userid", "vdev")}
        found.append((call.kind, call.name, parameters))
    return found


OFF: dict[str, tuple[Operation, ...]] = {
    "create": (DefineGuest(userid="LINUX09", entry=("USER LINUX09 NOLOG 1G 2G G", "INCLUDE LNXDFLT")),),
    "change": (ChangeGuest(userid="LINUX01", share="RELATIVE 300", comments=("web",), ipl="0101"),),
    "delete": (DeleteGuest(userid="LINUX01"),),
    "start and stop": (StartGuest(userid="LINUX01"), StopGuest(userid="LINUX01")),
    "disks": (AddDisks(userid="LINUX01", disks=(DISK,)), RemoveDisks(userid="LINUX01", vdevs=("0101",))),
    "formatted disk": (AddDisks(userid="LINUX01", disks=(NewDisk("0101", 5, pool="POOL1", format="ext4"),)),),
    "erase": (EraseDisk(userid="LINUX01", vdev="0100"),),
    "nic": (
        CreateNic(userid="LINUX01", vdev="0600"),
        CoupleNic(userid="LINUX01", vdev="0600", vswitch="VSW1"),
        UncoupleNic(userid="LINUX01", vdev="0600"),
        DeleteNic(userid="LINUX01", vdev="0600"),
    ),
    "two nics of one vswitch": (
        AttachNic(userid="LINUX01", vdev="0600", network="VSW1"),
        AttachNic(userid="LINUX01", vdev="0700", network="VSW1"),
    ),
    "vswitch": (
        GrantVswitch(name="VSW1", userid="LINUX01"),
        GrantVswitch(name="VSW1", userid="LINUX01"),
        RevokeVswitch(name="VSW1", userid="LINUX01"),
        ChangeVswitch(name="VSW1", isolation="ON"),
        CreateVswitch(name="NEWSW", connection="DISCONNECT"),
        DeleteVswitch(name="NEWSW"),
    ),
    "lan": (CreateLan(name="LAN1"), DeleteLan(name="LAN1")),
    "punch": (PunchFiles(userid="LINUX01", files=(ReaderFile(data=DATA, name="RUN", type="SH"),)),),
    "more processors": (ResizeCpus(userid="LINUX01", count=4),),
    "more memory": (ResizeMemory(userid="LINUX01", memory_mb=2048),),
    "smaller": (ResizeCpus(userid="LINUX01", count=1),),
    "config drive": (ConfigDrive(userid="LINUX01", hostname="web01"),),
    "netboot": (
        NetBoot(userid="LINUX01", kernel=BootFile(data=DATA), initrd=BootFile(data=DATA), parm="ro", start=False),
    ),
}


@pytest.mark.parametrize("name", OFF)
async def test_what_is_rehearsed_is_what_is_done(agent: Agent, name: str) -> None:
    await agent.run(agent.guest())
    await agent.run(CreateVswitch(name="VSW1"))
    before = agent.simulator.system.entries["LINUX01"].entry
    told_before = await rehearsed(agent, *OFF[name])
    assert agent.simulator.system.entries["LINUX01"].entry == before
    for operation, found in zip(OFF[name], told_before, strict=True):
        done = await agent.run(operation)
        new = ("0001", "0002", "0003") if isinstance(operation, NetBoot) else ()
        assert told(found["calls"]) == told([*done.calls], new), operation.kind


async def test_a_deploy_from_nothing_is_rehearsed_as_a_whole(agent: Agent) -> None:
    punch = PunchFiles(userid="LINUX01", files=(ReaderFile(data=DATA, name="RUN", type="SH"),))
    nic = AttachNic(userid="LINUX01", vdev="0600", network="VSW1")
    steps = (agent.guest(), nic, agent.write_image(), punch, StartGuest(userid="LINUX01"))
    await agent.run(CreateVswitch(name="VSW1"))
    found = await rehearsed(agent, *steps)
    assert "LINUX01" not in agent.simulator.system.entries
    added = [line for step in found for item in step["entries"] for line in item["added"]]
    assert "MDISK 0100 3390 AUTOG 10 POOL1 MR" in added
    assert "NICDEF 0600 TYPE QDIO LAN SYSTEM VSW1 DEVICES 3" in added
    for operation, one in zip(steps, found, strict=True):
        assert told(one["calls"]) == told([*(await agent.run(operation)).calls]), operation.kind
    written = [call for call in found[2]["calls"] if call["kind"] == "cp"]
    assert [call["name"] for call in written] == ["LINK LINUX01 0100 AS vvvv W", "DETACH vvvv"]


async def test_a_clone_is_rehearsed_with_the_flashcopy_that_it_asks_for(agent: Agent) -> None:
    await agent.run(agent.guest())
    steps = (agent.guest("LINUX02", SECOND), CloneDisk("LINUX02", "0100", "LINUX01", "0100"))
    found = await rehearsed(agent, *steps)
    for operation, one in zip(steps, found, strict=True):
        assert told(one["calls"]) == told([*(await agent.run(operation)).calls]), operation.kind


async def test_operations_of_a_running_guest_are_rehearsed(agent: Agent) -> None:
    await running(agent)
    await agent.run(CreateVswitch(name="VSW1"))
    live: tuple[Operation, ...] = (
        ResizeCpus(userid="LINUX01", count=3, live=True),
        AttachNic(userid="LINUX01", vdev="0600", network="VSW1", active=True),
        AddDisks(userid="LINUX01", disks=(DISK,)),
        PauseGuest(userid="LINUX01"),
        ResetGuest(userid="LINUX01"),
    )
    for operation in live:
        (found,) = await rehearsed(agent, operation)
        assert told(found["calls"]) == told([*(await agent.run(operation)).calls]), operation.kind
    for ending in (RebootGuest(userid="LINUX01"), ShutdownGuest(userid="LINUX01", poll=1)):
        (found,) = await rehearsed(agent, ending)
        assert found["calls"]


async def test_reader_files_are_rehearsed_by_their_numbers(agent: Agent) -> None:
    for userid in ("LINUX01", "LINUX02"):
        await agent.run(agent.guest(userid))
    for name in ("A", "B"):
        await agent.run(PunchFiles(userid="LINUX01", files=(ReaderFile(data=DATA, name=name, type="SH"),)))
    files = (await agent.http.get("/v1/guests/LINUX01/reader")).json()["files"]
    first, second = (file["spoolid"] for file in files)
    for operation in (
        OrderFiles(userid="LINUX01", spoolids=(second,)),
        TransferFiles(userid="LINUX01", to="LINUX02", spoolids=(second,)),
        PurgeFiles(userid="LINUX01", spoolids=(first,)),
    ):
        (found,) = await rehearsed(agent, operation)
        assert told(found["calls"]) == told([*(await agent.run(operation)).calls]), operation.kind


async def test_what_would_be_refused_is_refused_in_the_rehearsal(agent: Agent) -> None:
    await agent.run(agent.guest())
    big = NewDisk(vdev="0101", size_units=60_000, pool="POOL1")
    for operation, code in (
        (agent.guest(), "guest-exists"),
        (AddDisks(userid="LINUX01", disks=(big,)), "pool-full"),
        (AddDisks(userid="LINUX01", disks=(SECOND,)), "disk-exists"),
        (AttachNic(userid="LINUX01", vdev="0600", network="NOSUCH"), "vswitch-unknown"),
        (ResizeMemory(userid="LINUX01", memory_mb=9999), "memory-limit"),
        (PauseGuest(userid="LINUX01"), "guest-inactive"),
        (agent.write_image(vdev="0199"), "disk-unknown"),
        (StartGuest(userid="NOBODY"), "guest-unknown"),
    ):
        document = {"kind": operation.kind, "parameters": operation_json(operation)}
        answer = await agent.http.post("/v1/operations/rehearse", json={"operations": [document]})
        assert (answer.status_code // 100, answer.json()["code"]) == (4, code), operation


@pytest.mark.parametrize("body", [{}, {"operations": []}, {"operations": [1]}, {"operation": 1}, {"operations": 7}])
async def test_a_rehearsal_of_nothing_names_the_field(agent: Agent, body: dict[str, Any]) -> None:
    answer = await agent.http.post("/v1/operations/rehearse", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-parameter")
