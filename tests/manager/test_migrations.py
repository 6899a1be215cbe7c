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
MOVED = {"tokens": "api_tokens"}
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
