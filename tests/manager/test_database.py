"""The database: the scripts make the tables the code uses, and a second start changes nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from zvmcloud.manager import database as manager_database
from zvmcloud.manager import tables
from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.inventory import tables as inventory
from zvmcloud.manager.prepared import Prepared
from zvmcloud.sqlite_log import SqliteLog


async def test_the_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'manager.sqlite'}"
    for _ in range(2):
        database = await Database.open(url)
        async with database.read() as connection:
            assert (await connection.execute(sa.text("PRAGMA journal_mode"))).scalar_one() == "wal"
        await database.close()
        with sa.create_engine(url).connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), inventory.drift.metadata) == []


async def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'manager.sqlite'}")
    row = {"name": "ZVM1", "url": "http://zhcp", "added": 0.0}
    try:
        async with database.write() as connection:
            await connection.execute(sa.insert(tables.systems), row)
            raise RuntimeError("the process changes its mind")
    except RuntimeError:
        pass
    async with database.read() as connection:
        assert (await connection.execute(sa.select(tables.systems))).all() == []
    await database.close()


async def test_the_log_is_begun_anew_before_it_is_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, log = tmp_path / "manager.sqlite", tmp_path / "manager.sqlite-wal"
    await (await Database.open(f"sqlite:///{file}")).close()
    monkeypatch.setattr(manager_database, "_LOG_LIMIT", 100_000)
    opened = await Database.open(f"sqlite:///{file}")
    names, sizes = [f"ZVM{number}" for number in range(400)], []
    for number, name in enumerate(names, 1):
        async with opened.write() as connection:
            await connection.execute(sa.insert(tables.systems), {"name": name, "url": "http://zhcp", "added": 0.0})
        sizes.append(log.stat().st_size)
        if not number % 20:  # 160 kB; the disk takes what time it takes
            await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
    assert max(sizes) < 500_000, "all in all 3.2 MB were written"
    await opened.close()
    opened = await Database.open(f"sqlite:///{file}")
    async with opened.read() as connection:
        assert set((await connection.execute(sa.select(tables.systems.c.name))).scalars()) == set(names)
    await opened.close()


async def test_nobody_waits_while_the_most_of_the_log_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_database, "_LOG_LIMIT", 1)
    begun, may_end, saved = threading.Event(), threading.Event(), SqliteLog.save_most

    def slow(log: SqliteLog) -> None:
        begun.set()
        assert may_end.wait(30)
        saved(log)

    monkeypatch.setattr(SqliteLog, "save_most", slow)
    opened = await Database.open(f"sqlite:///{tmp_path / 'manager.sqlite'}")
    try:
        for name in ("ZVM1", "ZVM2", "ZVM3"):
            async with asyncio.timeout(10), opened.write() as connection:
                await connection.execute(sa.insert(tables.systems), {"name": name, "url": "http://zhcp", "added": 0.0})
            assert await asyncio.to_thread(begun.wait, 10)
    finally:
        may_end.set()
        await opened.close()


async def test_a_prepared_statement_does_what_the_statement_does(database: str, tmp_path: Path) -> None:
    url = database or f"sqlite:///{tmp_path / 'manager.sqlite'}"
    opened = await Database.open(url)
    table = tables.guests.c
    new = Prepared(sa.insert(tables.guests))
    some = Prepared(
        sa.select(table.userid, table.vcpus).where(table.vcpus.in_((1, 2)), table.system == sa.bindparam("on"))
    )
    grow = Prepared(
        sa.update(tables.guests).where(table.userid == sa.bindparam("name")).values(vcpus=4).returning(table.userid)
    )

    def guest(number: int) -> dict[str, object]:
        key = {"system": "ZVM1", "userid": f"L{number}", "id": f"id-{number}"}
        return {**key, "created": 1.5, "comments": {"a": [number]}, "vcpus": number, "net_set": number == 2}

    async def rows(connection: Connection) -> list[tuple[object, ...]]:
        query = sa.select(table.userid, table.comments, table.net_set, table.image_sha256).order_by(table.userid)
        return [tuple(row) for row in await connection.execute(query)]

    try:
        async with opened.write() as connection:
            assert await connection.run(new, guest(1)) == []
            await connection.run(new, [guest(2), guest(3)])
        async with opened.read() as connection:
            assert await rows(connection) == [
                ("L1", {"a": [1]}, False, None), ("L2", {"a": [2]}, True, None), ("L3", {"a": [3]}, False, None),
            ]  # fmt: skip
            assert sorted(await connection.run(some, {"on": "ZVM1"})) == [("L1", 1), ("L2", 2)]
            assert await connection.run(some, {"on": "ZVM2"}) == []

        async def twice() -> None:
            async with opened.write() as connection:
                assert await connection.run(grow, {"name": "L1"}) == [("L1",)]
                await connection.run(new, guest(2))

        with pytest.raises(sa.exc.IntegrityError):
            await twice()
        async with opened.read() as connection:
            assert ("L1", 1) in await connection.run(some, {"on": "ZVM1"}), "all of the block, or nothing"
    finally:
        await opened.close()


async def test_a_sqlite_that_is_too_old_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")
    with pytest.raises(BadInput, match=r"SQLite 3\.35 or newer, and this Python has 3\.34\.1; or take PostgreSQL"):
        await Database.open(f"sqlite:///{tmp_path / 'manager.sqlite'}")
    assert list(tmp_path.iterdir()) == []
