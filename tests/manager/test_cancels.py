"""A cancel counts from when it is written down, whether the agent is there or not: what the agent has never begun is
never begun, and what it did is taken back. Over a real agent and a simulated z/VM, with a road that loses requests."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from manager.over_simulator import managed
from manager.support import settings
from zvmcloud.manager.agents import Agent
from zvmcloud.manager.errors import AgentUnreachable, ManagerError
from zvmcloud.manager.jobs import remote
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.jobs.plan import NOTHING, JobRecord, Plan, Step
from zvmcloud.manager.node import Node
from zvmcloud.zhcp.http import Answer, Door, LostError


@dataclass
class Road:
    """The way to an agent: closed (nothing leaves), losing the answers of operations, or keeping operations back."""

    door: Door
    closed: bool = False
    loses: bool = False
    keeps: bool = False
    late: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Operations that were sent, and have not arrived."""
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def exchange(self, method: str, target: str, body: bytes, headers: Mapping[str, str], wait: float) -> Answer:
        if self.closed:
            raise LostError("nobody listens", sent=False)
        if method == "PUT" and self.keeps:
            self.late.append((method, target, body))
            raise LostError("no answer", sent=True)
        if method == "PUT":
            await self.go_on.wait()
        answer = await self.door.exchange(method, target, body, headers, wait)
        if method == "PUT" and self.loses:
            self.closed = True
            raise LostError("no answer", sent=True)
        return answer

    async def arrive(self) -> list[Answer]:
        """What is under way arrives."""
        return [await self.door.exchange(*request, {}, 60) for request in self.late]

    async def close(self) -> None:
        await self.door.close()


@dataclass
class World:
    node: Node
    road: Road

    def plan(self, *names: str, durable: bool = True) -> Plan:
        """VSWITCHes, one after the other."""
        steps = tuple(
            Step(name, name, "vswitch.create", {"name": name}, "vswitch.delete", {"name": name}) for name in names
        )
        return Plan("vswitch.create", "VSWITCHes", "ZVM1", steps, durable=durable)

    async def begin(self, *names: str) -> str:
        await self.node.core.begin(self.plan(*names), "", job := new_job())
        return job

    async def until(self, job: str, *states: str) -> JobRecord:
        async with asyncio.timeout(60):
            async for found in self.node.journal.watch(job, interval=0.05):
                if found.state in states:
                    return found
        raise AssertionError

    async def ended_there(self, job: str) -> None:
        """Wait until the agent knows the end of the step."""
        async with asyncio.timeout(60):
            for pause in itertools.repeat(0.01):
                with contextlib.suppress(ManagerError):
                    found = await self.node.core.agents["ZVM1"].get(f"/v1/operations/{job}/OURS1", wait=0)
                    if isinstance(found, dict) and found["state"] != "running":
                        return
                await asyncio.sleep(pause)

    async def vswitches(self) -> list[str]:
        """Those that are there and not IBM's own."""
        self.road.closed = False
        answer = await self.node.core.agents["ZVM1"].get("/v1/vswitches", fields="name")
        assert isinstance(answer, dict)
        rows: Any = answer["vswitches"]
        return [row["name"] for row in rows if row["name"].startswith("OURS")]


async def true(what: Callable[[], bool]) -> None:
    """Wait until it is."""
    async with asyncio.timeout(60):
        while not what():  # noqa: ASYNC110 (the road has no event)
            await asyncio.sleep(0.01)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(remote, "_AWAY_POLL", 0.02)
    monkeypatch.setattr(remote, "_INLINE_PATIENCE", 0.1)
    found = settings(tmp_path / "state")
    async with managed(tmp_path, found) as opened:
        node = opened.node
        road = Road(node.core.agents["ZVM1"]._client._door)
        road.go_on.set()
        node.core.agents.add(Agent(found.systems[0], road))
        yield World(node, road)


async def test_what_never_left_the_manager_is_cancelled_while_the_agent_is_away(world: World) -> None:
    world.road.closed = True
    job = await world.begin("OURS1")
    await world.until(job, "running")
    assert (await world.node.runner.cancel(job)).cancel, "it is accepted"
    assert (await world.until(job, "cancelled", "done", "failed")).state == "cancelled"
    assert await world.vswitches() == []


async def test_what_may_be_under_way_is_cancelled_once_the_agent_is_back(world: World) -> None:
    world.road.keeps = True
    job = await world.begin("OURS1")
    await true(lambda: bool(world.road.late))
    world.road.closed = True
    assert (await world.node.runner.cancel(job)).cancel
    found = await world.until(job, "interrupted", "done", "failed", "cancelled")
    assert found.state == "interrupted", "nobody knows whether the agent has it"
    world.road.closed = False
    ended = await world.until(job, "cancelled", "done", "failed")
    assert (ended.state, [step.state for step in ended.steps]) == ("cancelled", ["failed"])
    late = [b'"cancelled"' in answer.body for answer in await world.road.arrive()]
    assert late
    assert all(late)
    assert await world.vswitches() == []


async def test_a_cancel_that_overtakes_its_operation_wins(world: World) -> None:
    world.road.go_on.clear()
    job = await world.begin("OURS1")
    await world.until(job, "running")
    assert (await world.node.runner.cancel(job)).cancel
    await world.ended_there(job)
    world.road.go_on.set()
    assert (await world.until(job, "cancelled", "done", "failed")).state == "cancelled"
    assert await world.vswitches() == []


async def test_a_cancel_that_another_manager_was_asked_for_is_heard(world: World) -> None:
    world.road.go_on.clear()
    job = await world.begin("OURS1")
    await world.until(job, "running")
    await world.node.journal.request_cancel(job)
    await world.ended_there(job)
    world.road.go_on.set()
    assert (await world.until(job, "cancelled", "done", "failed")).state == "cancelled"
    assert await world.vswitches() == []


async def test_what_was_done_unheard_is_taken_back(world: World) -> None:
    world.road.loses = True
    job = await world.begin("OURS1", "OURS2")
    await true(lambda: world.road.closed)
    assert (await world.node.runner.cancel(job)).cancel
    await world.until(job, "interrupted")
    world.road.loses = world.road.closed = False
    ended = await world.until(job, "cancelled", "done", "failed")
    assert (ended.state, [step.state for step in ended.steps]) == ("cancelled", ["undone", "pending"])
    assert await world.vswitches() == []


async def test_a_manager_that_takes_over_asks_before_it_sends(world: World) -> None:
    """The one before it may have sent the step; nobody knows whether it arrived."""
    job = new_job()
    await world.node.journal.begin(world.plan("OURS1"), job=job)
    assert await world.node.journal.started(job, 0)
    await world.node.journal.request_cancel(job)
    assert await world.node.runner.step(job, 0) == "failed"
    await world.node.runner.close(job, "failed")
    assert (await world.node.journal.get(job)).state == "cancelled"
    assert await world.vswitches() == []


@pytest.mark.parametrize("arrived", [False, True])
async def test_an_interrupted_job_that_was_answered_in_its_request_is_cancelled(world: World, arrived: bool) -> None:
    world.road.loses, world.road.keeps = arrived, not arrived
    job = new_job()
    with pytest.raises(AgentUnreachable):
        await world.node.runner.run(world.plan("OURS1", "OURS2", durable=False), job=job)
    world.road.loses = world.road.keeps = False
    world.road.closed = True
    assert (await world.node.runner.cancel(job)).cancel
    await world.node.runner.recover()
    assert (await world.node.journal.get(job)).state == "interrupted", "nobody knows whether the agent has it"
    world.road.closed = False
    await world.until(job, "cancelled", "done", "failed")
    assert (await world.node.journal.get(job)).state == "cancelled"
    late = [b'"cancelled"' in answer.body for answer in await world.road.arrive()]
    assert all(late)
    assert bool(late) is not arrived
    assert await world.vswitches() == []


async def test_an_interrupted_job_is_not_called_failed_because_the_agent_is_still_away(world: World) -> None:
    world.road.loses = True
    job = new_job()
    with pytest.raises(AgentUnreachable):
        await world.node.runner.run(world.plan("OURS1", durable=False), job=job)
    world.road.loses = False
    await world.node.runner.recover()
    assert (await world.node.journal.get(job)).state == "interrupted"
    world.road.closed = False
    assert (await world.until(job, "done", "failed", "cancelled")).state == "done"
    assert await world.vswitches() == ["OURS1"]


def recorded(*, undo: str, durable: bool = False) -> Plan:
    """A VSWITCH, and then a step in the manager's own database."""
    make = Step("OURS1", "OURS1", "vswitch.create", {"name": "OURS1"}, undo, {"name": "OURS1"} if undo else {})
    return Plan("vswitch.create", "VSWITCH", "ZVM1", (make, Step("note", "note", NOTHING, {})), durable=durable)


async def cancelled_behind_the_first_step(world: World, monkeypatch: pytest.MonkeyPatch, plan: Plan) -> JobRecord:
    """The job, run in its request, when the cancel is written down as the agent's answer comes."""
    job, arrive = new_job(), world.road.exchange

    async def exchange(method: str, target: str, body: bytes, headers: Mapping[str, str], wait: float) -> Answer:
        answer = await arrive(method, target, body, headers, wait)
        if method == "PUT" and not (await world.node.journal.get(job)).cancel:
            assert (await world.node.runner.cancel(job)).cancel
        return answer

    monkeypatch.setattr(world.road, "exchange", exchange)
    with contextlib.suppress(ManagerError):
        await world.node.runner.run(plan, job=job)
    return await world.node.journal.get(job)


async def test_a_local_step_behind_a_cancel_is_not_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await cancelled_behind_the_first_step(world, monkeypatch, recorded(undo="vswitch.delete"))
    assert (found.state, [step.state for step in found.steps]) == ("cancelled", ["undone", "failed"])
    assert await world.vswitches() == []


async def test_what_cannot_be_taken_back_is_written_down(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await cancelled_behind_the_first_step(world, monkeypatch, recorded(undo=""))
    assert (found.state, [step.state for step in found.steps]) == ("done", ["done", "done"])
    assert await world.vswitches() == ["OURS1"]


@pytest.mark.parametrize(
    ("undo", "ends"),
    [
        ("", ("done", ["done", "done"])),
        ("vswitch.delete", ("cancelled", ["done", "pending"])),
        (NOTHING, ("cancelled", ["done", "pending"])),
    ],
)
async def test_a_durable_job_too_writes_down_what_cannot_be_taken_back(
    world: World, undo: str, ends: tuple[str, list[str]]
) -> None:
    """The cancel comes between the step that cannot be taken back and the one that records it."""
    job, runner = new_job(), world.node.runner
    await world.node.journal.begin(recorded(undo=undo, durable=True), job=job)
    assert await runner.step(job, 0) == "done"
    await runner.cancel(job)
    assert await runner.step(job, 1) == ends[0]
    await runner.close(job, ends[0])
    found = await world.node.journal.get(job)
    assert (found.state, [step.state for step in found.steps]) == ends


async def test_what_a_durable_job_has_only_got_for_itself_is_not_kept_when_it_is_cancelled(world: World) -> None:
    """As the file of an image, whose next step gives it its place."""
    job, runner = new_job(), world.node.runner
    steps = (Step("get", "get", NOTHING, {}), Step("keep", "keep", NOTHING, {}))
    await world.node.journal.begin(Plan("image.import", "Image", "", steps, durable=True), job=job)
    assert await runner.step(job, 0) == "done"
    await runner.cancel(job)
    assert await runner.step(job, 1) == "cancelled"


@pytest.mark.parametrize("begun", [False, True])
async def test_a_cancel_between_the_look_and_the_beginning_of_a_step_counts(
    world: World, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """Before a durable step begins, and between its beginning and the transaction of what it does locally."""
    job, journal = new_job(), world.node.journal
    steps = recorded(undo="vswitch.delete", durable=True).steps
    await journal.begin(Plan("vswitch.create", "VSWITCH", "ZVM1", (steps[1], steps[0]), durable=True), job=job)
    begin = journal.started

    async def started(job: str, number: int, *, heeds: bool = True) -> bool:
        if not begun:
            await journal.request_cancel(job)
        found = await begin(job, number, heeds=heeds)
        await journal.request_cancel(job)
        return found

    monkeypatch.setattr(journal, "started", started)
    assert await world.node.runner.step(job, 0) == ("failed" if begun else "cancelled")
    assert (await journal.get(job)).steps[0].state == ("failed" if begun else "pending")
