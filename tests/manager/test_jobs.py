"""Jobs that something goes wrong with outside their steps: the engine, a silent agent, files that are gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from manager.fake_zhcp import FakeZhcp, Refused
from manager.support import all_jobs, image_file, running, settings
from zvmcloud.manager.agents import Agent
from zvmcloud.manager.deploys import DeployRequest
from zvmcloud.manager.errors import AgentUnreachable, Conflict, ManagerError, NotFound
from zvmcloud.manager.jobs import remote, runner
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.jobs.plan import JobRecord, Json, Plan, Step
from zvmcloud.manager.node import Node
from zvmcloud.manager.settings_file import build
from zvmcloud.manager.tables import guests, manager_nodes


@pytest.fixture
def zhcp() -> FakeZhcp:
    fake = FakeZhcp()
    fake.guests["LINUX01"] = {
        "state": "off",
        "vcpus": 1,
        "memory_mb": 512,
        "max_memory_mb": 512,
        "reader": [],
        "nics": {},
        "disks": [{"vdev": "0100", "size_units": 10, "type": "ECKD", "pool": "POOL1"}],
        "ipl": "0100",
    }
    return fake


@pytest.fixture
async def node(tmp_path: Path, zhcp: FakeZhcp, database: str) -> AsyncIterator[Node]:
    async with running(zhcp, settings(tmp_path / "state", database=database)) as opened:
        await opened.images.import_url("sample", image_file(tmp_path).as_uri(), "rhel9")
        yield opened


def punch() -> Plan:
    """A plan whose one step sends a file that lies in the job's folder."""
    files: list[Json] = [{"name": "F", "type": "SH", "class": "X", "stored": "f", "bytes": 1}]
    step = Step("punch", "punch", "reader.punch", {"userid": "LINUX01", "files": files})
    return Plan("disks.config", "Punch", "ZVM1", (step,), "LINUX01")


async def begun(node: Node) -> str:
    """A job whose first step was begun."""
    job = new_job()
    await node.journal.begin(deploy(), job=job)
    assert await node.journal.started(job, 0)
    return job


async def begin(node: Node, plan: Plan) -> str:
    job = new_job()
    node.core.materials.store(job, "f", b"x")
    await node.journal.begin(plan, job=job)
    return job


def deploy(durable_step: str = "write") -> Plan:
    step = Step(durable_step, "start", "guest.start", {"userid": "LINUX01"})
    return Plan("guest.deploy", "Deploy", "ZVM1", (step,), "LINUX01", durable=True)


async def over(node: Node, job: str) -> str:
    async with asyncio.timeout(5):
        async for record in node.journal.watch(job, interval=0.05):
            if record.over:
                return record.state
    raise AssertionError


async def test_a_job_that_the_engine_does_not_take_has_failed(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_job: str) -> None:
        raise RuntimeError("no engine")

    monkeypatch.setattr(node.core.engine, "submit", broken)
    with pytest.raises(ManagerError, match="engine did not take"):
        await node.core.begin(deploy(), "", job := new_job(), {"f": b"x"})
    record = await node.journal.get(job)
    assert (record.state, (record.error or {})["code"]) == ("failed", "engine")
    assert await node.journal.changing("ZVM1", "LINUX01") is None
    assert not (node.settings.state / "jobs" / job).exists()


async def test_a_caller_that_goes_away_leaves_no_job_that_nobody_runs(node: Node) -> None:
    job = new_job()
    caller = asyncio.create_task(node.core.begin(deploy(), "", job))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    async with asyncio.timeout(60):
        while job not in {found.id for found in await all_jobs(node)}:  # noqa: ASYNC110 (the journal has no event)
            await asyncio.sleep(0.01)
    assert await over(node, job) == "done"


async def test_cancel_closes_a_job_that_never_began(node: Node, zhcp: FakeZhcp) -> None:
    job = new_job()
    await node.journal.begin(deploy(), job=job)
    assert (await node.runner.cancel(job)).state == "cancelled"
    assert await node.runner.step(job, 0) == "cancelled", "the engine that has it after all does nothing"
    assert zhcp.ran == []


async def test_a_step_that_was_begun_before_a_crash_is_asked_for_its_end_though_the_job_is_cancelled(
    node: Node, zhcp: FakeZhcp
) -> None:
    """The manager died in it, and the job was cancelled before it went on: what was done must be known to be undone."""
    job = await begun(node)
    operation = "guest.start", {"userid": "LINUX01"}
    await node.core.agents["ZVM1"].run(job, "write", node.journal.epoch, *operation, wanted=_always)
    await node.journal.request_cancel(job)
    assert await node.runner.step(job, 0) == "done"
    assert zhcp.kinds() == ["guest.start"]


async def test_a_later_try_that_was_under_way_before_a_crash_is_asked_for_its_end_as_well(
    node: Node, zhcp: FakeZhcp
) -> None:
    job = await begun(node)
    operation = "guest.start", {"userid": "LINUX01"}
    zhcp.refuse_next = Refused(502, "smapi-refused", "busy", retryable=True)
    for name in ("write", "write.2"):
        await node.core.agents["ZVM1"].run(job, name, node.journal.epoch, *operation, wanted=_always)
    await node.journal.request_cancel(job)
    assert await node.runner.step(job, 0) == "done", "the second try did it"
    assert len(zhcp.ran) == 2


async def _always() -> bool:
    return True


async def test_an_undo_that_fails_by_a_mistake_of_ours_leaves_no_job_running(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake")

    step = Step("start", "start", "guest.start", {"userid": "LINUX01"}, "guest.stop", {"userid": "LINUX01"})
    job = new_job()
    await node.journal.begin(Plan("guest.start", "Start", "ZVM1", (step,), "LINUX01", durable=True), job=job)
    assert await node.runner.step(job, 0) == "done"
    with monkeypatch.context() as patch:
        patch.setattr(node.runner.turns, "take", broken)
        await node.runner.undo(job, 0)
    (item,) = (await node.journal.get(job)).steps
    assert item.state == "done"
    assert "the manager failed" in item.detail


async def test_the_files_of_an_interrupted_job_are_kept_until_it_is_over(
    node: Node, zhcp: FakeZhcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object, **__: object) -> None:
        raise AgentUnreachable("it does not answer")

    job = new_job()
    node.core.materials.store(job, "f", b"x")
    with monkeypatch.context() as patch:
        patch.setattr(Agent, "run", silent)
        with pytest.raises(AgentUnreachable):
            await node.runner.run(punch(), job=job)
    assert (await node.journal.get(job)).state == "interrupted"
    assert (node.settings.state / "jobs" / job / "f").exists()
    await node.runner.recover()
    assert (await node.journal.get(job)).state == "done"
    assert zhcp.guests["LINUX01"]["reader"][0]["data"] == b"x"
    assert not (node.settings.state / "jobs" / job).exists()


async def test_a_file_that_is_gone_fails_its_job_and_no_other(node: Node) -> None:
    first, second = await begin(node, punch()), await begin(node, punch())
    (node.settings.state / "jobs" / first / "f").unlink()
    await node.runner.recover()
    assert ((await node.journal.get(first)).error or {})["code"] == "job-file"
    assert (await node.journal.get(second)).state == "done"


async def test_recovery_goes_on_after_a_job_that_cannot_be_read(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = await begin(node, punch()), await begin(node, punch())
    resume = node.runner.resume

    async def picky(job: str, record: JobRecord | None = None) -> object:
        if job == first:
            raise RuntimeError("unreadable")
        return await resume(job, record)

    monkeypatch.setattr(node.runner, "resume", picky)
    await node.runner.recover()
    assert (await node.journal.get(first)).state == "running"
    assert (await node.journal.get(second)).state == "done"


async def test_a_durable_step_is_not_called_failed_while_its_agent_is_silent(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_AWAY_POLL", 0.02)
    away = True
    run, get = Agent.run, Agent.get

    async def silent_run(self: Agent, *arguments: object, **more: object) -> object:
        if away:
            raise AgentUnreachable("it does not answer")
        return await run(self, *arguments, **more)  # type: ignore[arg-type]

    async def silent_get(self: Agent, path: str, **query: str | int) -> Json:
        if away:
            raise AgentUnreachable("it does not answer")
        return await get(self, path, **query)

    monkeypatch.setattr(Agent, "run", silent_run)
    monkeypatch.setattr(Agent, "get", silent_get)
    job = new_job()
    await node.core.begin(deploy(), "", job, {"f": b"x"})
    async with asyncio.timeout(60):
        while (await node.journal.get(job)).state != "interrupted":  # noqa: ASYNC110 (the journal has no event)
            await asyncio.sleep(0.01)
    assert (node.settings.state / "jobs" / job / "f").exists()
    away = False
    assert await over(node, job) == "done"


async def test_a_request_that_never_left_is_a_failure(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **__: object) -> None:
        error = AgentUnreachable("nobody listens")
        error.sent = False
        raise error

    monkeypatch.setattr(Agent, "run", refused)
    job = new_job()
    await node.core.begin(deploy(), "", job)
    assert await over(node, job) == "failed"


async def test_two_nodes_do_not_share_a_file(tmp_path: Path, zhcp: FakeZhcp) -> None:
    file = f"sqlite:///{tmp_path / 'manager.sqlite'}"
    first = settings(tmp_path / "first", node="one", database=file)
    second = settings(tmp_path / "second", node="two", database=file)
    async with running(zhcp, first):
        with pytest.raises(Conflict, match="'one' uses this database"):
            await Node.open(second)
    async with running(zhcp, second) as opened:
        assert opened.journal.epoch >= int(time.time()) - 5, "the first one said that it went"


async def test_the_heart_beats_while_a_recovery_hangs(
    tmp_path: Path, zhcp: FakeZhcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(_self: runner.Runner) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(runner.Runner, "recover", hangs)
    async with running(zhcp, settings(tmp_path / "beating", heartbeat_seconds=1)) as opened:
        begun = time.time()
        await asyncio.sleep(1.5)
        async with opened.core.database.read() as connection:
            beat = (await connection.execute(sa.select(manager_nodes.c.heartbeat))).scalar_one()
        assert beat > begun


async def test_a_deploy_and_a_deletion_of_its_image_do_not_both_happen(node: Node) -> None:
    guest = {"system": "ZVM1", "userid": "LINUX01", "id": "1", "created": 0.0, "os_version": "", "net_set": False}
    async with node.core.database.write() as connection:
        await connection.execute(sa.insert(guests), {**guest, "comments": {}})
    image = await node.images.get("sample")
    async with node.core.image_lock(image.sha256):
        deleting = asyncio.create_task(node.images.delete("sample"))
        await asyncio.sleep(0.1)
        request = DeployRequest("LINUX01", "sample", vdev="0100", hostname="h")
        deploying = asyncio.create_task(node.deploys.begin_deploy("ZVM1", request))
        await asyncio.sleep(0.2)
        assert not deploying.done()
    await deleting
    with pytest.raises(NotFound, match="sample"):
        await deploying
    assert await node.journal.changing("ZVM1", "LINUX01") is None


def test_the_settings_of_exports_and_downloads_are_narrow_by_default(tmp_path: Path) -> None:
    found = build({"state": str(tmp_path)})
    assert (found.export_folders, found.import_hosts) == ((), ())
