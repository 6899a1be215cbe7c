"""What an operation is about to make is on the disk before z/VM hears of it, although the request is made meanwhile."""

import asyncio
import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from zhcp.conftest import Agent
from zhcp.test_resize import running
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client
from zvmcloud.smapi.line import Plain
from zvmcloud.zhcp.disk_messages import AddDisks, NewDisk
from zvmcloud.zhcp.errors import Call
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.network_messages import CreateNic
from zvmcloud.zhcp.operations import context

DISK = NewDisk(vdev="0200", size_units=10, pool="POOL1")
ADD_DISK = AddDisks(userid="LINUX01", disks=(DISK,))


class Disk:
    """What the agent's journal waits for. While it is not ``there``, flushes do not end."""

    def __init__(self) -> None:
        self.there, self.breaks = threading.Event(), False
        self.there.set()

    def flush(self, file: int) -> None:
        del file
        self.there.wait(30)
        if self.breaks:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    found = Disk()
    monkeypatch.setattr(os, "fdatasync", found.flush)
    yield found
    found.there.set()


def sent(agent: Agent, function: str) -> int:
    """How many requests for the function z/VM has got."""
    lines = [line for file in (agent.folder / "zvm").rglob("journal.jsonl") for line in file.read_text().splitlines()]
    return sum(json.loads(line)["function"] == function for line in lines)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 (what is waited for tells nobody)
            await asyncio.sleep(0.005)


async def begun(agent: Agent, disk: Disk, operation: Operation) -> asyncio.Task[Any]:
    """The operation, as far as it comes with a disk that does not write."""
    await agent.runner.journal.fence(1)
    disk.there.clear()
    making = asyncio.create_task(agent.run(operation, step="noted"))
    await until(lambda: agent.runner.journal.notes("job/noted"))
    await asyncio.sleep(0.05)
    return making


@pytest.mark.parametrize("slow", [False, True], ids=["a moment", "longer than a call keeps its turn"])
@pytest.mark.parametrize(
    ("operation", "function"),
    [
        (None, "Image_Create_DM"),
        (ADD_DISK, "Image_Disk_Create_DM"),
        (CreateNic(userid="LINUX01", vdev="1000"), "Virtual_Network_Adapter_Create_Extended_DM"),
    ],
)
async def test_nothing_is_asked_for_before_its_note_is_on_the_disk(
    agent: Agent,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    operation: Operation | None,
    function: str,
    slow: bool,
) -> None:
    monkeypatch.setattr(context, "_OVERLAP", 0.01 if slow else 30)
    if operation is not None:
        await agent.run(agent.guest("LINUX01", NewDisk(vdev="0101", vdisk_blocks=1000)))
    before = sent(agent, function)
    making = await begun(agent, disk, operation or agent.guest())
    assert sent(agent, function) == before
    disk.there.set()
    outcome = await making
    assert outcome.state == "done"
    assert sent(agent, function) == before + 1
    assert [call.name for call in outcome.calls].count(function) == 1


@pytest.mark.parametrize("operation", [ADD_DISK, CreateNic(userid="LINUX01", vdev="1000", active=True)])
async def test_of_a_running_guest_neither(agent: Agent, monkeypatch: pytest.MonkeyPatch, operation: Operation) -> None:
    """Whatever is sent on the way, all notes of before are on the disk by then."""
    await running(agent)
    noted: list[asyncio.Future[None]] = []
    late: list[str] = []
    noting, answer = agent.runner.journal.noting, Client._answer

    async def note(key: str, *names: str) -> asyncio.Future[None]:
        noted.append(await noting(key, *names))
        return noted[-1]

    async def send(self: Client, line: Any, wire: bytes, request: Any) -> Any:
        late.extend(request.spec.name for future in noted if not future.done())
        return await answer(self, line, wire, request)

    monkeypatch.setattr(agent.runner.journal, "noting", note)
    monkeypatch.setattr(Client, "_answer", send)
    await agent.run(operation)
    assert len(noted) == 2, "one for the entry, one for the guest"
    assert late == []


async def test_on_a_disk_that_fails_nothing_is_made_and_nothing_is_said_to_be_asked(agent: Agent, disk: Disk) -> None:
    making = await begun(agent, disk, agent.guest())
    disk.breaks = True
    disk.there.set()
    with pytest.raises(Exception, match="Input/output error") as caught:
        await making
    assert caught.value.problem.calls == ()  # type: ignore[attr-defined]
    assert not sent(agent, "Image_Create_DM")
    assert {"userid": "LINUX01"} not in await agent.client.guests()


async def test_a_cancel_while_the_disk_writes_sends_nothing(agent: Agent, disk: Disk) -> None:
    operation = agent.guest()
    await agent.runner.journal.fence(1)
    disk.there.clear()
    await agent.runner.submit("job", "noted", 1, operation.kind, operation_json(operation))
    await until(lambda: agent.runner.journal.notes("job/noted"))
    await asyncio.sleep(0.05)
    agent.runner._running["job/noted"].cancel()
    await until(lambda: "job/noted" not in agent.runner._running)
    disk.there.set()
    outcome = await agent.runner.outcome("job/noted", 30)
    assert (outcome.error.code if outcome.error else "", outcome.calls) == ("cancelled", ())
    assert not sent(agent, "Image_Create_DM")


async def test_a_slow_disk_holds_no_turn_and_no_connection(
    agent: Agent, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may cut a connection that brings nothing: then nobody would know whether the adapter was made, and the
    undo would take away the one that somebody else has made."""
    await running(agent)
    port, calls = agent.runner.smapi, list[Call]()
    adapter = {"target": "LINUX01", "image_device_number": "1000"}
    await port.call(f.VirtualNetworkAdapterCreateExtended(**adapter, adapter_type="QDIO", devices="3"), calls.append)
    lines: list[Plain] = []
    noting, close, connect = agent.runner.journal.noting, Plain.close, Client._connect

    async def note(key: str, *names: str) -> asyncio.Future[None]:
        if names == ("live",):
            disk.there.clear()
        return await noting(key, *names)

    async def connected(self: Client) -> Any:
        lines.append(line := await connect(self))  # type: ignore[arg-type]
        return line

    async def closed(self: Plain) -> None:
        lines.remove(self)
        await close(self)

    monkeypatch.setattr(agent.runner.journal, "noting", note)
    monkeypatch.setattr(Client, "_connect", connected)
    monkeypatch.setattr(Plain, "close", closed)
    making = asyncio.create_task(agent.refused(CreateNic(userid="LINUX01", vdev="1000", active=True)))
    await until(lambda: not disk.there.is_set())
    await until(lambda: not lines and port._short._value == 8)
    await asyncio.sleep(context._OVERLAP)
    assert (lines, port._short._value, making.done()) == ([], 8, False)
    disk.there.set()
    assert (await making).code == "device-exists"
    found = await port.call(f.VirtualNetworkAdapterQuery(**adapter), calls.append)
    assert found.rc == 0, "the other's adapter is there"
