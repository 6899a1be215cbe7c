"""So many directory writers and image copies of a system at once; the queue is fair, and shared by all managers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from manager.fake_zhcp import FakeZhcp
from manager.support import running, settings
from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import JobCancelled, ManagerError
from zvmcloud.manager.identity.acting import act_for
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.jobs import turns as turns_of_manager
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.jobs.plan import JobRecord, Outcome, Plan, Step
from zvmcloud.manager.jobs.turns import DIRECTORY, IMAGE, NEEDED, Turns
from zvmcloud.manager.node import Node
from zvmcloud.zhcp.messages import OPERATIONS

COPY, UPDATE = "disk.clone", "guest.change"


@pytest.fixture
async def node(tmp_path: Path, database: str) -> AsyncIterator[Node]:
    found = settings(tmp_path / "state", database=database, limits={"directory_writers": 1, "image_copies": 2})
    async with running(FakeZhcp(), found) as opened:
        yield opened


class Queue:
    """Jobs that ask for turns, and the order in which they got them."""

    def __init__(self, node: Node, turns: Turns | None = None) -> None:
        self.node = node
        self.turns = turns or node.runner.turns
        self.served: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.records: dict[str, JobRecord] = {}

    async def ask(self, name: str, user: str, kind: str = COPY) -> None:
        """A job of a user, which asks for a turn; it is in the queue when this returns."""
        act_for(Caller(user, Role.MEMBER, {"default": Role.MEMBER}, "default"))
        step = Step("step", name, kind, {"userid": name, "vdev": "0100"})
        job = await self.node.journal.begin(Plan("guest.clone", name, "ZVM1", (step,), name, durable=True))
        await self.node.journal.started(job, 0)
        self.records[name] = await self.node.journal.get(job)
        await self.again(name, kind)

    async def begun(self, name: str, *, fails: bool = False) -> JobRecord:
        """An update that asks in the transaction in which it begins."""
        record = replace(self.records["A0"], id=new_job(), userid=name)

        async def also(connection: Connection) -> None:
            await self.turns.ask(connection, record, UPDATE)
            if fails:
                raise ConnectionError(name)

        step = Step("step", name, UPDATE, {"userid": name})
        await self.node.journal.begin(Plan("guest.change", name, "ZVM1", (step,), name), job=record.id, also=also)
        self.records[name] = record
        return record

    async def again(self, name: str, kind: str = COPY) -> None:
        async def wait() -> None:
            await self.turns.take(self.records[name], kind, cancels=True)
            self.served.append(name)

        before = sum(await self.asked(kind))
        task = self.tasks[name] = asyncio.create_task(wait())
        while sum(await self.asked(kind)) == before and not task.done():  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    async def asked(self, kind: str) -> tuple[int, int]:
        return (await self.turns.counts("ZVM1"))[NEEDED[kind]]

    async def over(self, name: str) -> None:
        async with self.node.core.database.write() as connection:
            await self.node.journal.finish(connection, self.records[name].id, "done")
        self.node.journal.published(self.records[name].id)

    async def until(self, count: int) -> list[str]:
        deadline = time.monotonic() + 30
        while len(self.served) < count:
            assert time.monotonic() < deadline, self.served
            await asyncio.sleep(0.005)
        return self.served

    async def detail(self, name: str) -> str:
        return (await self.node.journal.get(self.records[name].id)).steps[0].detail

    def end(self) -> None:
        for task in self.tasks.values():
            task.cancel()


@pytest.fixture
async def queue(node: Node) -> AsyncIterator[Queue]:
    found = Queue(node)
    yield found
    found.end()


async def test_no_more_copies_run_at_once_than_the_system_may_have(queue: Queue) -> None:
    for number in range(5):
        await queue.ask(f"A{number}", "anna")
    await queue.until(2)
    assert await queue.asked(COPY) == (2, 3)
    assert await queue.detail("A2") == "waiting: it is next for an image copy on ZVM1"
    assert await queue.detail("A4") == "waiting: 2 ahead of it for an image copy on ZVM1"
    assert await queue.detail("A0") == ""
    await queue.over("A1")
    assert await queue.until(3) == ["A0", "A1", "A2"]
    assert await queue.asked(COPY) == (2, 2)
    assert await queue.detail("A4") == "waiting: 1 ahead of it for an image copy on ZVM1"


async def test_who_asks_for_one_does_not_wait_for_the_many_of_another(queue: Queue) -> None:
    for number in range(20):
        await queue.ask(f"A{number:02}", "anna")
    await queue.ask("B0", "bert")
    await queue.until(2)
    await queue.over("A00")
    assert await queue.until(3) == ["A00", "A01", "B0"]
    await queue.over("A01")
    assert (await queue.until(4))[3] == "A02", "of one owner, first come, first served"


async def test_a_copy_does_not_wait_for_directory_updates(queue: Queue) -> None:
    await queue.ask("D0", "anna", UPDATE)
    await queue.ask("D1", "anna", UPDATE)
    await queue.ask("C0", "anna", COPY)
    assert await queue.until(2) == ["D0", "C0"]
    assert await queue.detail("D1") == "waiting: it is next for a directory update on ZVM1"


async def test_a_job_that_goes_on_at_another_system_leaves_the_queue_of_the_first(queue: Queue) -> None:
    await queue.ask("A0", "anna", UPDATE)
    await queue.ask("A1", "anna", UPDATE)
    await queue.until(1)
    there = replace(queue.records["A0"], system="ZVM2")
    await queue.turns.take(there, UPDATE, cancels=False)
    assert (await queue.turns.counts("ZVM2"))[DIRECTORY] == (1, 0)
    queue.turns.freed(there.id)
    assert await queue.until(2) == ["A0", "A1"]


async def test_what_was_begun_goes_on_before_what_was_not(queue: Queue) -> None:
    for number in range(3):
        await queue.ask(f"A{number}", "anna", UPDATE)
    await queue.until(1)
    async with queue.node.core.database.write() as connection:
        await queue.node.journal.ended(connection, queue.records["A0"].id, [(0, Outcome("done", 1.0))])
    await queue.again("A0", UPDATE)
    assert await queue.until(2) == ["A0", "A0"], "its second update comes before the first of the others"


async def test_a_job_that_is_cancelled_waits_no_longer(queue: Queue) -> None:
    for name in ("A0", "A1", "A2"):
        await queue.ask(name, "anna")
    await queue.until(2)
    await queue.node.runner.cancel(queue.records["A2"].id)
    with pytest.raises(JobCancelled):
        await queue.tasks["A2"]


async def test_a_turn_outlives_the_manager_that_had_it(queue: Queue) -> None:
    await queue.ask("A0", "anna", UPDATE)
    await queue.until(1)
    later = Turns(queue.node.core.database, queue.node.settings)
    await asyncio.wait_for(later.take(queue.records["A0"], UPDATE, cancels=True), 10)
    other = Queue(queue.node, later)
    await other.ask("A1", "anna", UPDATE)
    await other.detail("A1")
    await queue.over("A0")
    assert await other.until(1) == ["A1"], "given back by one manager, it is another one's within a second"
    other.end()
    await later.close()


async def test_a_limit_is_raised_while_jobs_wait(queue: Queue) -> None:
    for number in range(4):
        await queue.ask(f"A{number}", "anna")
    await queue.until(2)
    await queue.node.systems.limit(SOMEBODY, "zvm1", directory_writers=None, image_copies=3)
    assert await queue.until(3) == ["A0", "A1", "A2"]
    with pytest.raises(ManagerError, match="image_copies"):
        await queue.node.systems.limit(SOMEBODY, "zvm1", directory_writers=None, image_copies=65)
    await queue.node.systems.limit(SOMEBODY, "zvm1", directory_writers=None, image_copies=0)
    assert (await queue.turns.limits("ZVM1")).image_copies == 2, "as the settings say"


SOMEBODY = Caller("admin", Role.ADMIN)


def test_every_operation_that_needs_a_turn_is_one_of_the_agents() -> None:
    assert set(NEEDED) <= set(OPERATIONS)
    assert set(NEEDED.values()) == {DIRECTORY, IMAGE}


async def test_a_job_asks_for_its_turn_as_it_is_written_down(queue: Queue) -> None:
    turns = queue.turns
    await queue.ask("A0", "anna", UPDATE)
    with pytest.raises(ConnectionError):
        await queue.begun("C0", fails=True)
    assert await queue.asked(UPDATE) == (1, 0), "what was not written down has no place"
    await queue.begun("B0")
    assert await queue.asked(UPDATE) == (1, 1)
    waiting = asyncio.create_task(turns.take(queue.records["B0"], UPDATE, cancels=False))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await queue.over("A0")
    await asyncio.wait_for(waiting, 30)
    await queue.over("B0")
    await turns.take(await queue.begun("D0"), UPDATE, cancels=False)
    assert await queue.asked(UPDATE) == (1, 0), "it had its turn as it began"


async def test_the_end_of_a_job_hands_its_turn_to_the_next_in_one_transaction(queue: Queue) -> None:
    for name in ("A0", "A1", "A2"):
        await queue.ask(name, "anna", UPDATE)
    await queue.until(1)
    first = queue.records["A0"].id
    async with queue.node.core.database.write() as connection:
        await queue.node.journal.finish(connection, first, "done")
        await asyncio.sleep(0.01)
        assert queue.served == ["A0"], "not before it is known that the transaction counts"
    assert await queue.asked(UPDATE) == (1, 1), "the place of A0 is gone, and A1 has its turn"
    queue.node.journal.published(first)
    assert await queue.until(2) == ["A0", "A1"]


async def test_a_turn_that_was_handed_on_by_a_transaction_that_failed_is_nobodys(queue: Queue) -> None:
    for name in ("A0", "A1"):
        await queue.ask(name, "anna", UPDATE)
    await queue.until(1)
    first, database = queue.records["A0"].id, queue.node.core.database

    async def fail() -> None:
        async with database.write() as connection:
            await queue.node.journal.finish(connection, first, "done")
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await fail()
    assert await queue.asked(UPDATE) == (1, 1)
    async with database.write() as connection:
        await queue.node.journal.ended(connection, first, [(0, Outcome("done", 1.0))])
    queue.node.journal.published(first)
    assert await queue.until(2) == ["A0", "A1"]
    assert await queue.asked(UPDATE) == (1, 0), "who goes on has the turn in the database as well"


async def test_who_is_granted_a_turn_by_anothers_question_hears_of_it_at_once(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_of_manager, "_POLL", 60.0)
    for name in ("A0", "A1"):
        await queue.ask(name, "anna", UPDATE)
    await queue.until(1)
    async with queue.node.core.database.write() as connection:  # as another manager does, which tells nobody here
        await queue.node.journal.ended(connection, queue.records["A0"].id, [(0, Outcome("done", 1.0))])
    queue.tasks["A2"] = asyncio.create_task(queue.turns.take(await queue.begun("A2"), UPDATE, cancels=False))
    assert await queue.until(2) == ["A0", "A1"]
