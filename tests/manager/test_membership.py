"""Who works with a database: one manager with a SQLite file, several with a PostgreSQL server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

import postgres
from manager.fake_zhcp import FakeZhcp
from manager.support import running, settings
from zvmcloud.manager.database import Database, _migrate
from zvmcloud.manager.errors import AgentFailure, Conflict, Replaced
from zvmcloud.manager.idempotency import Answer, Idempotency
from zvmcloud.manager.jobs.journal import Journal
from zvmcloud.manager.jobs.plan import Plan, Step
from zvmcloud.manager.jobs.turns import Turns
from zvmcloud.manager.membership import MISSED, Membership
from zvmcloud.manager.tables import manager_nodes, systems

BEAT = 1.0


@pytest.fixture
def zhcp() -> FakeZhcp:
    return FakeZhcp()


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(f"sqlite:///{tmp_path / 'manager.sqlite'}")
    yield opened
    await opened.close()


@pytest.fixture
async def both(postgres_server: postgres.Server) -> AsyncIterator[tuple[Database, Database]]:
    """One PostgreSQL database, as two managers see it."""
    url = postgres_server.database()
    one, two = await Database.open(postgres.patient(url)), await Database.open(postgres.patient(url))
    yield one, two
    await one.close()
    await two.close()
    postgres_server.drop(url)


async def join(database: Database, node: str, own: str = "", shared: bytes = b"folder") -> Membership:
    return await Membership.join(database, node, own=(own or node).encode(), shared=shared, heartbeat=BEAT)


async def silence(database: Database, member: Membership) -> None:
    """The member's last heartbeat was long ago."""
    async with database.heart() as connection:
        query = sa.update(manager_nodes).where(manager_nodes.c.node == member.node)
        await connection.execute(query.values(heartbeat=time.time() - BEAT * MISSED - 60))


async def write(database: Database, name: str) -> None:
    async with database.write() as connection:
        await connection.execute(sa.insert(systems), {"name": name, "url": "http://zhcp", "added": 0.0})


def journal(database: Database, member: Membership) -> Journal:
    return Journal(database, member, Turns(database, settings(Path("no files of it are touched"))))


def start_guest() -> Plan:
    step = Step("start", "start", "guest.start", {"userid": "LINUX01"})
    return Plan("guest.start", "Start", "ZVM1", (step,), "LINUX01", durable=True)


async def test_a_manager_that_was_killed_starts_again_at_once(alone: Database) -> None:
    first = await join(alone, "one")
    assert (await join(alone, "one")).epoch > first.epoch


async def test_a_second_manager_of_the_same_name_does_not_start(alone: Database) -> None:
    first = await join(alone, "one")
    with pytest.raises(Conflict, match="'one' uses this database") as caught:
        await join(alone, "one", "another state folder")
    assert caught.value.code == "node-running"
    await first.renew()
    await first.leave()
    assert (await join(alone, "one", "another state folder")).epoch > first.epoch


async def test_a_sqlite_file_is_worked_with_by_one_manager(alone: Database) -> None:
    silent = await join(alone, "one")
    with pytest.raises(Conflict, match="'one' uses this database"):
        await join(alone, "two")
    await silence(alone, silent)
    other = await join(alone, "two")
    with pytest.raises(Replaced):
        await silent.renew()
    await silent.leave()
    await other.renew()
    assert await other.members() == ("two",)


async def test_two_managers_join_one_server_if_they_share_their_files(both: tuple[Database, Database]) -> None:
    one = await join(both[0], "one")
    with pytest.raises(Conflict) as caught:
        await join(both[1], "two", shared=b"another folder")
    assert caught.value.code == "folder-not-shared"
    with pytest.raises(Conflict) as caught:
        await join(both[1], "one", own="another state folder")
    assert caught.value.code == "node-running"
    two = await join(both[1], "two")
    assert sorted(await one.members()) == ["one", "two"]
    assert two.epoch > one.epoch
    await one.renew()
    assert one.epoch == two.epoch, "there is one epoch for all members"


async def test_whoever_fell_silent_writes_nothing_any_more(both: tuple[Database, Database]) -> None:
    silent, other = await join(both[0], "one"), await join(both[1], "two")
    job = await journal(both[0], silent).begin(start_guest())
    assert await other.bury() == ()
    await silence(both[1], silent)
    before = other.epoch
    assert await other.bury() == ("one",)
    assert other.epoch > before, "agents refuse the dead member from now on"
    assert await journal(both[1], other).unfinished(durable=True) == (job,)
    with pytest.raises(Replaced):
        await write(both[0], "ZVM9")
    with pytest.raises(Replaced):
        await silent.bury()
    await write(both[1], "ZVM9")


async def test_jobs_of_a_manager_that_left_are_taken_over_at_once(both: tuple[Database, Database]) -> None:
    one, two = await join(both[0], "one"), await join(both[1], "two")
    job = await journal(both[0], one).begin(start_guest())
    await two.bury()
    assert await journal(both[1], two).unfinished(durable=True) == ()
    await one.leave()
    assert await two.bury() == ()
    assert await journal(both[1], two).unfinished(durable=True) == (job,)


async def test_what_one_manager_has_for_itself_another_waits_for(both: tuple[Database, Database]) -> None:
    one, two = await join(both[0], "one"), await join(both[1], "two")
    had: list[str] = []

    async def work(member: Membership) -> None:
        async with member.alone_with("ZVM1.LINUX01"):
            had.append(f"{member.node} begins")
            await asyncio.sleep(0.1)
            had.append(f"{member.node} ends")

    await asyncio.gather(work(one), work(two))
    assert had in (
        ["one begins", "one ends", "two begins", "two ends"],
        ["two begins", "two ends", "one begins", "one ends"],
    )


async def test_what_a_dead_manager_had_for_itself_is_free(both: tuple[Database, Database]) -> None:
    one, two = await join(both[0], "one"), await join(both[1], "two")
    holding = one.alone_with("ZVM1.LINUX01")
    await holding.__aenter__()
    await silence(both[1], one)
    await two.bury()
    async with asyncio.timeout(5), two.alone_with("ZVM1.LINUX01"):
        pass
    with pytest.raises(Replaced):
        await holding.__aexit__(None, None, None)


async def test_a_manager_that_stands_still_in_a_transaction_keeps_others_waiting_for_seconds_only(
    monkeypatch: pytest.MonkeyPatch, postgres_server: postgres.Server
) -> None:
    monkeypatch.setattr("zvmcloud.manager.database._IDLE", 0.5)
    url = postgres_server.database()
    frozen, other = await Database.open(url), await Database.open(url)

    async def stands_still() -> None:
        async with frozen.write() as connection:
            await connection.execute(sa.select(sa.func.max(systems.c.added)))
            async with asyncio.timeout(5):
                await write(other, "ZVM9")
            await connection.execute(sa.select(sa.func.max(systems.c.added)))

    with pytest.raises(sa.exc.DBAPIError) as ended:
        await stands_still()
    assert ended.value.connection_invalidated, "the step is done again: nothing was wrong with it"
    await frozen.close()
    await other.close()
    postgres_server.drop(url)


async def test_bringing_the_schema_up_to_date_may_take_longer_than_a_step(
    monkeypatch: pytest.MonkeyPatch, postgres_server: postgres.Server
) -> None:
    monkeypatch.setattr("zvmcloud.manager.database._IDLE", 1.0)

    def slowly(connection: sa.Connection) -> None:
        time.sleep(2)
        _migrate(connection)

    monkeypatch.setattr("zvmcloud.manager.database._migrate", slowly)
    opened = await Database.open(url := postgres_server.database())
    async with opened.read() as connection:
        idle = (await connection.execute(sa.text("SHOW idle_in_transaction_session_timeout"))).scalar_one()
    assert idle == "1s"
    await opened.close()
    postgres_server.drop(url)


async def test_a_call_that_an_agent_refuses_for_its_epoch_is_made_again_with_the_newest(
    both: tuple[Database, Database],
) -> None:
    one = await join(both[0], "one")
    two = await join(both[1], "two")
    used: list[int] = []

    async def call(epoch: int) -> str:
        used.append(epoch)
        if epoch < two.epoch:
            raise AgentFailure({"status": 409, "code": "stale-epoch", "detail": "another manager has taken over"})
        return "done"

    assert await one.under_epoch(call) == "done"
    assert used == [one.joined, two.epoch]
    await silence(both[1], one)
    await two.bury()
    with pytest.raises(Replaced):
        await one.under_epoch(call)
    assert used[2:] == [two.joined], "it was refused, and not made again"


async def test_a_request_under_way_at_a_living_manager_is_not_done_again(both: tuple[Database, Database]) -> None:
    one, two = await join(both[0], "one"), await join(both[1], "two")
    here, there = Idempotency(both[0], one.joined), Idempotency(both[1], two.joined)
    assert await here.begin("key", "request") is None
    with pytest.raises(Conflict) as caught:
        await there.begin("key", "request")
    assert caught.value.code == "idempotency-running"
    await silence(both[1], one)
    await two.bury()
    assert await there.begin("key", "request") is None, "whoever began it is dead"
    await there.end("key", Answer(200, {}, "{}"))
    assert await there.begin("key", "request") == Answer(200, {}, "{}")


async def test_a_node_that_is_replaced_says_that_it_must_end(
    tmp_path: Path, zhcp: FakeZhcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings(tmp_path / "state")
    async with running(zhcp, found) as opened:
        monkeypatch.setattr(opened.journal.membership, "heartbeat", 0.02)
        async with opened.core.database.write() as connection:
            await connection.execute(sa.update(manager_nodes).values(epoch=manager_nodes.c.epoch + 1))
        async with asyncio.timeout(5):
            await opened.replaced.wait()
