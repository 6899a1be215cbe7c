"""From every state that the schema ever had to the present one, with rows in all tables: on SQLite and PostgreSQL.

A chain: before each step every table that there is has a row, made from nothing but the table's columns. After the
last step all of them are there, with what was in the columns that are left.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import postgres
from zvmcloud.manager.database import _config, _migrate
from zvmcloud.manager.inventory import tables as inventory

REVISIONS = [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]
MOVED = {"tokens": "api_tokens", "scsi_volumes": "pool_luns"}
"""Tables that are no more, and where their rows went."""
Row = dict[str, object]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """A database without tables."""
    if request.param == "sqlite":
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'old.sqlite'}")
        yield engine
        engine.dispose()
        return
    server: postgres.Server = request.getfixturevalue("postgres_server")
    url = server.database()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    yield engine
    engine.dispose()
    server.drop(url)


def upgraded(connection: sa.Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def value(column: sa.Column[object], known: dict[str, Row]) -> object:
    """Something that fits; what refers to another table's row refers to the one that is there."""
    for key in column.foreign_keys:
        return known[key.column.table.name][key.column.name]
    kind = column.type
    if isinstance(kind, sa.Boolean):
        return True
    if isinstance(kind, sa.JSON):
        return {"kept": column.name}
    if isinstance(kind, sa.Integer):
        return 7
    if isinstance(kind, sa.Float):
        return 1.5
    return f"old {column.name}"[: getattr(kind, "length", None) or 20]


def filled(connection: sa.Connection, known: dict[str, Row]) -> None:
    """Give every table that has no row one."""
    found = sa.MetaData()
    found.reflect(connection)
    for table in found.sorted_tables:
        if table.name == "alembic_version" or table.name in known:
            continue
        row = connection.execute(sa.select(table).limit(1)).mappings().one_or_none()
        if row is None:
            connection.execute(sa.insert(table), {column.name: value(column, known) for column in table.columns})
            row = connection.execute(sa.select(table).limit(1)).mappings().one()
        known[table.name] = dict(row)


def test_rows_of_every_version_are_kept(empty: sa.Engine) -> None:
    known: dict[str, Row] = {}
    for revision in REVISIONS:
        with empty.begin() as connection:
            upgraded(connection, revision)
            filled(connection, known)
    assert len(known) > 20
    with empty.begin() as connection:
        _migrate(connection)
        assert MigrationContext.configure(connection).get_current_revision() == REVISIONS[-1]
        assert compare_metadata(MigrationContext.configure(connection), inventory.drift.metadata) == []
        present = sa.MetaData()
        present.reflect(connection)
        assert not set(known) - set(present.tables) - set(MOVED), "a table went: what became of its rows?"
        for name, row in known.items():
            table = present.tables[MOVED.get(name, name)]
            rows = [dict(item) for item in connection.execute(sa.select(table)).mappings()]
            assert any(all(found[column] == old for column, old in row.items() if column in found) for found in rows), (
                f"{name}: {row} became {rows}"
            )


def test_a_lun_that_a_guest_had_becomes_its_volume(empty: sa.Engine) -> None:
    """One that was kept for a time is free; one that was kept for good stays kept."""
    row = {"system": "ZVM1", "pool": "p1", "wwpns": ["5005076306138411"], "size_mb": 2048, "channels": ["1a00"]}
    with empty.begin() as connection:
        upgraded(connection, "0015")
        old = sa.Table("scsi_volumes", sa.MetaData(), autoload_with=connection)
        before = [("used", "LINUX01", None), ("reserved", "LINUX01", 5.0), ("reserved", "LINUX02", None)]
        before.append(("free", "", None))
        for number, (state, owner, expires) in enumerate(before):
            words = {"volume": f"l{number}", "lun": "1" * 16, "state": state, "owner": owner, "expires": expires}
            connection.execute(sa.insert(old), {**row, **words})
        upgraded(connection, "0016")
        luns = connection.execute(sa.text("SELECT name, state, owner FROM pool_luns ORDER BY name")).all()
        assert [tuple(item) for item in luns] == [
            ("l0", "used", ""), ("l1", "free", ""), ("l2", "reserved", "LINUX02"), ("l3", "free", ""),
        ]  # fmt: skip
        made = connection.execute(sa.text("SELECT home, name, lun, size_gb, state FROM volumes")).one()
        assert tuple(made) == ("ZVM1", "l0", "l0", 2, "available")
        had = connection.execute(sa.text("SELECT volume, system, userid FROM attachments")).one()
        assert tuple(had) == ("l0", "ZVM1", "LINUX01")
        assert connection.execute(sa.text("SELECT home, pool, wipe FROM volume_pools")).all() == [
            ("ZVM1", "p1", "zero")
        ]


def test_a_job_knows_the_guest_that_was_there_when_it_was_over(empty: sa.Engine) -> None:
    with empty.begin() as connection:
        upgraded(connection, "0020")
        known: dict[str, Row] = {}
        old = sa.MetaData()
        old.reflect(connection)
        for name, times in (
            ("guests", [("G1", 100.0)]),
            ("jobs", [("G1", 90.0), ("G1", 150.0), ("G1", None), ("G2", 150.0)]),
        ):
            table = old.tables[name]
            for number, (userid, moment) in enumerate(times):
                row = {column.name: value(column, known) for column in table.columns}
                row |= {"id": f"{name}{number}", "system": "ZVM1", "userid": userid}
                row |= {"created": moment} if name == "guests" else {"created": 1.0, "finished": moment}
                connection.execute(sa.insert(table), row)
        upgraded(connection, "0021")
        found = connection.execute(sa.text("SELECT guest FROM jobs ORDER BY id")).scalars().all()
        assert found == [None, "guests0", "guests0", None]
