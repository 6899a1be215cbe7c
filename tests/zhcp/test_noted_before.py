"""What an operation is about to make is on the disk before z/VM hears of it, although the request is made meanwhile."""

import asyncio
import errno
import json
import os
import threading
from collections.abc import Iterator

import pytest

from zhcp.conftest import Agent
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.disk_messages import AddDisks, NewDisk
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.network_messages import CreateNic


class Disk:
    """What the agent's journal waits for."""

    def __init__(self) -> None:
        self.asked, self.there, self.breaks = threading.Event(), threading.Event(), False
        self.there.set()

    def flush(self, file: int) -> None:
        self.asked.set()
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


def another_disk(size: int = 10) -> NewDisk:
    return NewDisk(vdev="0200", size_units=size, pool="POOL1")


@pytest.mark.parametrize(
    ("operation", "function"),
    [
        (None, "Image_Create_DM"),
        (AddDisks(userid="LINUX01", disks=(another_disk(),)), "Image_Disk_Create_DM"),
        (CreateNic(userid="LINUX01", vdev="1000"), "Virtual_Network_Adapter_Create_Extended_DM"),
    ],
)
async def test_nothing_is_asked_for_before_its_note_is_on_the_disk(
    agent: Agent, disk: Disk, operation: Operation | None, function: str
) -> None:
    if operation is None:
        await agent.runner.journal.fence(1)
    else:
        await agent.run(agent.guest("LINUX01", NewDisk(vdev="0101", vdisk_blocks=1000)))
    before = sent(agent, function)
    disk.there.clear()
    disk.asked.clear()
    making = asyncio.create_task(agent.run(operation or agent.guest()))
    assert await asyncio.to_thread(disk.asked.wait, 30)
    await asyncio.sleep(0.1)
    assert sent(agent, function) == before
    assert agent.runner.journal.notes(f"job/s{agent.steps}"), "what it is about to do is noted"
    disk.there.set()
    assert (await making).state == "done"
    assert sent(agent, function) == before + 1


async def test_on_a_disk_that_fails_nothing_is_made(agent: Agent, disk: Disk) -> None:
    await agent.runner.journal.fence(1)
    disk.breaks = True
    with pytest.raises(ZhcpError, match="Input/output error"):
        await agent.run(agent.guest())
    assert not sent(agent, "Image_Create_DM")
    assert {"userid": "LINUX01"} not in await agent.client.guests()
