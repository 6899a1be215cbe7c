"""How long jobs and plans are kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from asgi import AsgiDoor
from manager.fake_zhcp import FakeZhcp
from manager.support import running, settings
from zvmcloud.manager import tables
from zvmcloud.manager.agents import Agent, Agents
from zvmcloud.manager.identity.roles import SYSTEM
from zvmcloud.manager.identity.tables import audit
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.jobs.plan import Plan, Step
from zvmcloud.manager.node import Node
from zvmcloud.manager.operations import OPERATIONS, Target
from zvmcloud.manager.operations.guests import NewGuest
from zvmcloud.manager.plans import KEPT
from zvmcloud.manager.settings import SettingsError

DAY = 86400.0
KIND = "manager.nothing"


@pytest.fixture
async def node(tmp_path: Path, database: str) -> AsyncIterator[Node]:
    async with running(FakeZhcp(), settings(tmp_path / "state", database=database)) as found:
        yield found


def plan(kind: str = "guest.start") -> Plan:
    return Plan(kind, "a job", "ZVM1", (Step("one", "nothing", KIND, {}, KIND),), durable=True)


async def ended(node: Node, job: str, days: float, state: str = "done") -> None:
    """The job is over since so many days."""
    values = {"state": state, "finished": time.time() - days * DAY}
    async with node.core.database.write() as connection:
        await connection.execute(sa.update(tables.jobs).where(tables.jobs.c.id == job).values(values))


async def kept(node: Node) -> set[str]:
    async with node.core.database.read() as connection:
        return set((await connection.execute(sa.select(tables.jobs.c.id))).scalars())


async def rows(node: Node, table: sa.Table) -> int:
    async with node.core.database.read() as connection:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def test_jobs_go_a_while_after_their_end_with_all_that_belongs_to_them(node: Node) -> None:
    old, young, open_job = [await node.journal.begin(plan()) for _ in range(3)]
    await node.journal.started(old, 0)  # a line of its log
    await asyncio.to_thread(node.core.materials.store, old, "file", b"bytes")
    await ended(node, old, 31, "failed")
    await ended(node, young, 29)
    told = await rows(node, audit)
    await node.forget_old()
    assert await kept(node) == {young, open_job}
    assert await rows(node, tables.job_steps) == 2
    assert await rows(node, tables.job_log) == 0
    assert not (node.settings.folder / "jobs" / old).exists()
    assert await rows(node, audit) == told, "what was done is told for ever"
    assert await node.audit.verify() is None


async def test_a_tree_goes_when_all_of_it_is_old(node: Node) -> None:
    first, second = new_job(), new_job()
    parent = await node.journal.begin(plan("bulk.power"), children=[(first, plan()), (second, plan())])
    for job in (parent, first):
        await ended(node, job, 40)
    await ended(node, second, 3)
    await node.forget_old()
    assert await kept(node) == {parent, first, second}
    await ended(node, second, 40, "undone")
    await node.forget_old()
    assert await kept(node) == set()


async def test_a_job_that_runs_again_is_not_forgotten(node: Node) -> None:
    job = await node.journal.begin(plan())
    await ended(node, job, 40)
    await node.journal.again(await node.journal.get(job), backwards=True)
    await node.forget_old()
    assert await kept(node) == {job}


async def test_for_how_long_is_a_setting(tmp_path: Path, database: str) -> None:
    found = settings(tmp_path / "state", database=database, job_days=0)
    async with running(FakeZhcp(), found) as node:
        job = await node.journal.begin(plan())
        await ended(node, job, 4000)
        await node.forget_old()
        assert await kept(node) == {job}
    with pytest.raises(SettingsError, match="job_days: -1 is not between 0 and 36500"):
        settings(tmp_path, job_days=-1)


async def test_the_engine_forgets_its_runs_too(tmp_path: Path, database: str) -> None:
    found = settings(tmp_path / "state", database=database)
    zhcp = FakeZhcp()
    agents = Agents([Agent(found.systems[0], AsgiDoor(httpx.ASGITransport(zhcp.app)))])
    node = await Node.open(found, agents=agents)
    await node.start()
    try:
        job = new_job()
        await node.core.begin(plan(), "", job)
        for _ in range(3000):
            if (await node.journal.get(job)).over:
                break
            await asyncio.sleep(0.01)
        assert await engine_rows(found.database_url, tmp_path / "state" / "dbos.sqlite", job) > 0
        await ended(node, job, 31)
        await node.forget_old()
        assert await engine_rows(found.database_url, tmp_path / "state" / "dbos.sqlite", job) == 0
        assert await kept(node) == set()
    finally:
        await node.close()


async def engine_rows(url: str, file: Path, job: str) -> int:
    """Rows of the engine about a job."""
    embedded = url.startswith("sqlite")
    engine = sa.create_engine(f"sqlite:///{file}" if embedded else url)

    def count() -> int:
        schema = None if embedded else "dbos"
        with engine.connect() as connection:
            total = 0
            for name in ("workflow_status", "operation_outputs"):
                table = sa.Table(name, sa.MetaData(), autoload_with=connection, schema=schema)
                mine = sa.select(sa.func.count()).select_from(table).where(table.c.workflow_uuid == job)
                total += int(connection.execute(mine).scalar_one())
            return total

    try:
        return await asyncio.to_thread(count)
    finally:
        engine.dispose()


async def test_plans_that_can_be_applied_no_more_are_forgotten_with_their_files(node: Node) -> None:
    operation, target = OPERATIONS["guest.create"], Target("ZVM1")
    made = [
        await node.plans.make(operation, SYSTEM, target, NewGuest(userid=name, vcpus=1, project="default"))
        for name in ("OLD1", "NEW1")
    ]
    for one in made:
        await asyncio.to_thread(node.core.materials.store, one.id, "file", b"bytes")
    async with node.core.database.write() as connection:
        past = sa.update(tables.plans).where(tables.plans.c.id == made[0].id)
        await connection.execute(past.values(expires=made[0].expires - KEPT - 1))
    await node.plans.expire()
    async with node.core.database.read() as connection:
        left = list((await connection.execute(sa.select(tables.plans.c.id))).scalars())
    assert left == [made[1].id]
    folder = node.settings.folder / "jobs"
    assert not (folder / made[0].id).exists()
    assert (folder / made[1].id).exists()


async def test_the_files_of_a_plan_that_was_applied_belong_to_its_job(node: Node) -> None:
    target = Target("ZVM1")
    wanted = NewGuest(userid="OLD1", vcpus=1, project="default")
    made = await node.plans.make(OPERATIONS["guest.create"], SYSTEM, target, wanted)
    await node.journal.begin(made.plan, job=made.id)
    await asyncio.to_thread(node.core.materials.store, made.id, "file", b"bytes")
    async with node.core.database.write() as connection:
        await connection.execute(sa.update(tables.plans).values(expires=0.0))
    await node.plans.expire()
    assert (node.settings.folder / "jobs" / made.id / "file").exists()
