"""The database: the scripts make the tables the code uses, and a second start changes nothing."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from zvmcloud.manager import tables
from zvmcloud.manager.database import Database
from zvmcloud.manager.inventory import tables as inventory


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
