"""A thread that works on a disk is waited for, however often the operation is cancelled."""

import asyncio
import threading
from pathlib import Path

import pytest

from zhcp.conftest import Agent
from zvmcloud.zhcp import formatting
from zvmcloud.zhcp.disk_messages import AddDisks, NewDisk
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.image_writer import ImageWriter
from zvmcloud.zhcp.joining import in_thread
from zvmcloud.zhcp.messages import operation_json


class Slow:
    """Work in a thread that ends when it is told to."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.ended = False

    def __call__(self) -> str:
        self.begun.set()
        assert self.go_on.wait(10)
        self.ended = True
        return "result"


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


async def test_however_often_it_is_cancelled_the_thread_ends_first() -> None:
    work = Slow()
    dropped: list[str] = []
    task = asyncio.create_task(in_thread(work, dropped.append))
    await until(work.begun)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
    work.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended
    assert dropped == ["result"], "a file that was opened is closed, though nobody gets it"


async def test_a_full_disk_is_named() -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(AgentError) as caught:
        await in_thread(full)
    assert (caught.value.problem.status, caught.value.problem.code) == (507, "disk-write-failed")


async def test_the_disk_stays_linked_and_the_file_open_until_formatting_has_ended(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agent.run(agent.guest())
    work = Slow()
    copy = formatting._copy_eckd
    errors: list[BaseException] = []

    def slow_copy(descriptor: int, size: int, path: Path) -> None:
        work()
        try:
            copy(descriptor, size, path)
        except BaseException as error:
            errors.append(error)
            raise

    monkeypatch.setattr(formatting, "_copy_eckd", slow_copy)
    disk = NewDisk(vdev="0101", size_units=20, pool="POOL1", format="ext4")
    add = operation_json(AddDisks(userid="LINUX01", disks=(disk,)))
    body = {"epoch": 1, "kind": "disk.add", "parameters": add}
    await agent.http.put("/v1/operations/j/add", params={"wait": 0}, json=body)
    await until(work.begun)
    ending = asyncio.create_task(agent.http.delete("/v1/operations/j/add?epoch=1"))
    await asyncio.sleep(0.1)
    assert len(agent.runner.journal.links()) == 1, "no DETACH while the thread copies"
    work.go_on.set()
    ended = (await ending).json()
    assert (ended["state"], ended["error"]["code"]) == ("failed", "cancelled")
    assert errors == []
    assert agent.runner.journal.links() == ()
    assert [call["name"].split()[0] for call in ended["calls"]][-2:] == ["DETACH", "Image_Disk_Delete_DM"]
    assert list((agent.settings.state / "scratch").iterdir()) == []


async def test_a_second_cancel_does_not_close_the_disk_that_is_being_erased(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agent.run(agent.guest())
    feeding, aborting = Slow(), Slow()
    order: list[str] = []
    abort, close = ImageWriter.abort, ImageWriter.close

    def slow_feed(_: ImageWriter, __: bytes) -> None:
        feeding()

    def slow_abort(writer: ImageWriter) -> None:
        aborting()
        abort(writer)
        order.append("erased")

    def noted_close(writer: ImageWriter) -> None:
        order.append("closed")
        close(writer)

    monkeypatch.setattr(ImageWriter, "feed", slow_feed)
    monkeypatch.setattr(ImageWriter, "abort", slow_abort)
    monkeypatch.setattr(ImageWriter, "close", noted_close)
    body = {"epoch": 1, "kind": "disk.write_image", "parameters": operation_json(agent.write_image())}
    await agent.http.put("/v1/operations/j/write", params={"wait": 0}, json=body)
    await until(feeding.begun)
    first = asyncio.create_task(agent.http.delete("/v1/operations/j/write?epoch=1"))
    await asyncio.sleep(0.05)
    feeding.go_on.set()
    await until(aborting.begun)
    running = agent.runner._running["j/write"]
    assert running.task is not None
    running.task.cancel()
    second = asyncio.create_task(agent.http.delete("/v1/operations/j/write?epoch=1"))
    await asyncio.sleep(0.05)
    assert order == []
    aborting.go_on.set()
    assert [(await answer).json()["state"] for answer in (first, second)] == ["failed", "failed"]
    assert order == ["erased", "closed"]
