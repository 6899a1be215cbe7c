"""One manager at a time works with a database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from manager.fake_zhcp import FakeZhcp
from manager.support import running, settings
from zvmcloud.manager import node as node_module
from zvmcloud.manager.database import Database
from zvmcloud.manager.errors import Conflict
from zvmcloud.manager.lease import FRESH, Lease
from zvmcloud.manager.tables import manager_nodes


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(f"sqlite:///{tmp_path / 'manager.sqlite'}")
    yield opened
    await opened.close()


async def test_a_manager_that_was_killed_starts_again_at_once(database: Database) -> None:
    first = await Lease.take(database, "one", b"state folder")
    second = await Lease.take(database, "one", b"state folder")
    assert second.epoch > first.epoch


async def test_a_second_manager_of_the_same_name_does_not_start(database: Database) -> None:
    first = await Lease.take(database, "one", b"state folder")
    with pytest.raises(Conflict, match="'one' uses this database") as caught:
        await Lease.take(database, "one", b"another state folder")
    assert caught.value.code == "node-running"
    await first.renew()
    await first.release()
    assert (await Lease.take(database, "one", b"another state folder")).epoch > first.epoch


async def test_a_manager_that_fell_silent_is_replaced_and_learns_of_it(database: Database) -> None:
    silent = await Lease.take(database, "one", b"state folder")
    async with database.write() as connection:
        await connection.execute(sa.update(manager_nodes).values(heartbeat=time.time() - FRESH - 1))
    other = await Lease.take(database, "two", b"another state folder")
    with pytest.raises(Conflict) as caught:
        await silent.renew()
    assert caught.value.code == "node-replaced"
    await silent.release()
    await other.renew()


async def test_a_node_that_is_replaced_says_that_it_must_end(
    tmp_path: Path, zhcp: FakeZhcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_module, "HEARTBEAT", 0.02)
    async with running(zhcp, settings(tmp_path / "state")) as opened:
        await asyncio.sleep(0.1)
        assert not opened.replaced.is_set()
        async with opened.core.database.write() as connection:
            await connection.execute(sa.update(manager_nodes).values(epoch=manager_nodes.c.epoch + 1))
        async with asyncio.timeout(5):
            await opened.replaced.wait()


@pytest.fixture
def zhcp() -> FakeZhcp:
    return FakeZhcp()
