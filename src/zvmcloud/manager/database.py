"""The database of a manager: one asyncio engine, one way to write, migrations at start-up.

SQLite runs in WAL mode, so readers never wait for a writer; writers of this process queue on a lock instead of on
SQLite's busy handler, which polls. PostgreSQL (``postgresql+psycopg://``) takes the same path without the lock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

_MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """An open database. ``read()`` and ``write()`` are the only two ways in; a ``write()`` block is one transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer: contextlib.AbstractAsyncContextManager[object] = (
            asyncio.Lock() if engine.dialect.name == "sqlite" else contextlib.nullcontext()
        )

    @classmethod
    async def open(cls, url: str) -> Database:
        """Bring the schema up to date, then open. A SQLite file is readable by its owner only."""
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
            await asyncio.to_thread(private_file, Path(parsed.database))
        engine = create_async_engine(parsed)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine.sync_engine, "connect", _sqlite_pragmas)
        async with engine.begin() as connection:
            await connection.run_sync(_migrate)
        return cls(engine)

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with self._writer, self._engine.begin() as connection:
            yield connection

    async def close(self) -> None:
        await self._engine.dispose()


def private_file(path: Path) -> None:
    """Make ``path`` and its folder readable by the owner only, before SQLite makes them readable by all. Blocking."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.chmod(0o600)


def _sqlite_pragmas(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]  # DBAPI connections have no static type
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _migrate(connection: sa.Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
