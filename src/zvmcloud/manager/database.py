"""The database of a manager: one way to read, one way to write, migrations at start-up.

SQLite runs in WAL mode on the event loop itself: a statement takes microseconds, and handing it to a thread and back
takes ten times as long as running it (docs/decisions/0010). No statement waits for the disk: a commit only appends to
the log, and the log is brought into the file by a thread. Readers never wait for a writer; writers of this process
queue on a lock instead of on SQLite's busy handler, which sleeps. PostgreSQL (``postgresql+psycopg://``) is asked
without blocking.

Writers on PostgreSQL queue as well, those of all managers: a choice that is read and then written (the next free
device) holds as it does on SQLite. A manager that stands still in the middle of a transaction loses it after
:data:`_IDLE` seconds, so it keeps nobody waiting for longer.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import functools
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVarTuple, cast, overload

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.selectable import TypedReturnsRows

from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.prepared import Prepared
from zvmcloud.sqlite_log import SqliteLog

log = logging.getLogger(__name__)

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOG_LIMIT = 32 * 2**20
"""Bytes of SQLite's write-ahead log after which it is brought into the database file. A POST of a guest writes 167 KB
of log, most of it the same pages; after a crash the log is read once."""

_OLDEST = (3, 35)
"""Of SQLite: the first with RETURNING and DROP COLUMN (sqlite.org, release notes of 3.35.0)."""
_READERS = 8
"""Connections to a SQLite file that are kept for reading."""
_IDLE = 5.0
"""Seconds after which PostgreSQL ends a transaction whose manager does nothing with it."""
_IDLE_MIGRATING = 60
"""The same for the transaction that brings the schema up to date, which thinks between its statements."""
_STOOD_STILL = "25P03"
"""What PostgreSQL then calls it: idle_in_transaction_session_timeout (its manual, appendix A)."""
_WRITERS = 0x7A766D01
_MIGRATING = 0x7A766D02
"""Advisory locks of PostgreSQL, of one database each: who writes; who changes the schema."""

DatabaseError = sa.exc.SQLAlchemyError
"""What callers catch when a statement cannot be run: the database is gone, full, or of another version."""

_Columns = TypeVarTuple("_Columns")
Parameters = Mapping[str, object] | Sequence[Mapping[str, object]]
"""Values of one row, or of many."""


class Connection:
    """A transaction under way."""

    def __init__(self, connection: sa.Connection | AsyncConnection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> sa.Dialect:
        """Which database it is."""
        return self._connection.dialect

    @overload
    async def execute(
        self, statement: TypedReturnsRows[*_Columns], parameters: Parameters | None = None
    ) -> sa.CursorResult[*_Columns]: ...

    @overload
    async def execute(
        self, statement: sa.Executable, parameters: Parameters | None = None
    ) -> sa.CursorResult[*tuple[Any, ...]]: ...

    async def execute(
        self, statement: sa.Executable, parameters: Parameters | None = None
    ) -> sa.CursorResult[*tuple[Any, ...]]:
        """Run a statement, once for each row of parameters. Raises SQLAlchemyError when the database refuses it."""
        if isinstance(self._connection, AsyncConnection):
            return await self._connection.execute(statement, parameters)
        return self._connection.execute(statement, parameters)

    async def run(self, prepared: Prepared, parameters: Parameters | None = None) -> Sequence[tuple[Any, ...]]:
        """Run a prepared statement, once for each row of parameters; what it gives back, in the order of its columns.
        Raises SQLAlchemyError."""
        result = await self.execute(prepared.statement, parameters)
        return [tuple(row) for row in result] if result.returns_rows else []


class _Direct(Connection):
    """A transaction of SQLite: prepared statements go past SQLAlchemy."""

    def __init__(self, connection: sa.Connection, driver: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._driver = driver
        self._dialect = connection.dialect

    async def run(self, prepared: Prepared, parameters: Parameters | None = None) -> Sequence[tuple[Any, ...]]:
        """See Connection."""
        if parameters is None or isinstance(parameters, dict):  # what a Mapping is takes longer to find out
            rows: Sequence[Mapping[str, object]] = (parameters or {},)
        else:
            rows = (parameters,) if isinstance(parameters, Mapping) else parameters
        form = prepared.form(tuple(rows[0]), self._dialect)
        try:
            if len(rows) > 1:
                self._driver.executemany(form.sql, map(form.values, rows))
                return []
            return self._driver.execute(form.sql, form.values(rows[0])).fetchall()
        except sqlite3.IntegrityError as error:
            raise sa.exc.IntegrityError(form.sql, None, error) from error
        except sqlite3.Error as error:
            raise sa.exc.OperationalError(form.sql, None, error) from error


class Database(abc.ABC):
    """An open database. ``read()`` and ``write()`` are the only two ways in; each block is one transaction."""

    shared = False
    """Whether several managers can work with it."""
    guard: Callable[[Connection], Awaitable[None]] | None = None
    """What every write to a shared database begins with; it raises when this manager may write no more."""

    @staticmethod
    async def open(url: str) -> Database:
        """Bring the schema up to date, then open. A SQLite file is readable by its owner only. Raises BadInput."""
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return await _Sqlite.opened(parsed)
        return await _Server.opened(parsed)

    @abc.abstractmethod
    def read(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """See one state of the database, whatever others write meanwhile."""

    @abc.abstractmethod
    def write(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """Change the database: everything in the block, or nothing when it raises."""

    @abc.abstractmethod
    def heart(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A write that waits for no other manager and is not guarded: only for saying that one lives."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Close the connections."""


class _Sqlite(Database):
    """A file that this process has for itself; a command line tool may write to it for a moment.

    A transaction begins and ends at the driver. SQLAlchemy's own, which costs more than the statements of a short job,
    is made only where a statement goes through SQLAlchemy, and joins the one that is there (see `_begin`).
    """

    def __init__(self, engine: sa.Engine, file: Path) -> None:
        self._engine = engine
        self._writes = engine.connect()
        """Kept, because there is one writer at a time: taking a connection costs as much as the transaction."""
        self._readers: list[sa.Connection] = []
        """Kept as well: those that nobody reads with just now."""
        self._file = file
        self._log = SqliteLog(file, _driver_of(self._writes))
        self._writer = asyncio.Lock()
        self._checkpoint: asyncio.Task[None] | None = None

    @classmethod
    async def opened(cls, url: sa.URL) -> Self:
        if not url.database or url.database == ":memory:":
            raise BadInput("database", url.render_as_string(), "a file: jobs must outlive the manager")
        if sqlite3.sqlite_version_info < _OLDEST:
            wanted = f"SQLite {'.'.join(map(str, _OLDEST))} or newer, and this Python has {sqlite3.sqlite_version}"
            raise BadInput("database", url.render_as_string(), f"{wanted}; or take PostgreSQL")
        file = Path(url.database)
        await asyncio.to_thread(private_file, file)
        engine = sa.create_engine(url.set(drivername="sqlite"), max_overflow=-1, json_serializer=_json)
        sa.event.listen(engine, "connect", _prepare)
        sa.event.listen(engine, "begin", _begin)
        with engine.begin() as connection:
            _migrate(connection)
        return cls(engine, file)

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        connection = self._readers.pop() if self._readers else self._engine.connect()
        driver = _driver_of(connection)
        _run(driver, "BEGIN")
        try:
            yield _Direct(connection, driver)
        finally:
            _end(connection, driver)
            if len(self._readers) < _READERS:
                self._readers.append(connection)
            else:
                connection.close()

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        async with self._writer:
            driver = _driver_of(self._writes)
            _run(driver, "BEGIN IMMEDIATE")
            try:
                yield _Direct(self._writes, driver)
                if self._writes.in_transaction():
                    self._writes.commit()
                else:
                    _run(driver, "COMMIT")
            except BaseException:
                _end(self._writes, driver)
                raise
        idle = self._checkpoint is None or self._checkpoint.done()
        if idle and self._log.unsaved > _LOG_LIMIT:
            self._checkpoint = asyncio.create_task(self._save_log())

    def heart(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        return self.write()

    async def close(self) -> None:
        if self._checkpoint is not None:
            await asyncio.wait([self._checkpoint])
        for connection in (self._writes, *self._readers):
            connection.close()
        self._engine.dispose()
        self._log.close()

    async def _save_log(self) -> None:
        """Most of it while others write, the rest while nobody does: without that it would begin anew only if it
        happened to stand still."""
        try:
            await asyncio.to_thread(self._log.save_most)
            async with self._writer:
                await asyncio.to_thread(self._log.save)
        except sqlite3.Error:
            log.exception("the log of %s cannot be brought into it", self._file)


class _Server(Database):
    """PostgreSQL."""

    shared = True

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer = asyncio.Lock()
        """Before the server's own lock, so that those who wait take no connection each."""

    @classmethod
    async def opened(cls, url: sa.URL) -> Self:
        options = {} if "options" in url.query else {"options": f"-c idle_in_transaction_session_timeout={_IDLE:g}s"}
        engine = create_async_engine(url, connect_args=options)
        sa.event.listen(engine.sync_engine, "handle_error", _server_hung_up)
        async with engine.begin() as connection:
            if options:
                idle = f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE_MIGRATING}s'"
                await connection.execute(sa.text(idle))
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATING)))
            await connection.run_sync(_migrate)
        return cls(engine)

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        async with self._engine.connect() as connection:
            yield Connection(connection)

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        async with self._writer, self._engine.begin() as opened:
            connection = Connection(opened)
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITERS)))
            if self.guard is not None:
                await self.guard(connection)
            yield connection

    @contextlib.asynccontextmanager
    async def heart(self) -> AsyncIterator[Connection]:
        async with self._engine.begin() as connection:
            yield Connection(connection)

    async def close(self) -> None:
        await self._engine.dispose()


def _server_hung_up(context: sa.engine.ExceptionContext) -> None:
    """A transaction that stood still for too long was ended with its connection: nothing is wrong with what it did."""
    if getattr(context.original_exception, "sqlstate", None) == _STOOD_STILL:
        context.is_disconnect = True


def private_file(path: Path) -> None:
    """Make ``path`` and its folder readable by the owner only, before SQLite makes them readable by all. Blocking."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.chmod(0o600)


_JSON = json.JSONEncoder()
_EMPTY = {dict: "{}", list: "[]", type(None): "null"}


def _json(value: object) -> str:
    """As json.dumps; much of what a job writes down is empty."""
    empty = _EMPTY.get(type(value)) if not value else None
    return _JSON.encode(value) if empty is None else empty


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    """Transactions begin where we say so, and not where sqlite3 thinks; nobody but `_save_log` saves the log."""
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "busy_timeout=10000",
        "wal_autocheckpoint=0",
        "cache_size=-16384",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: sa.Connection) -> None:
    driver = _driver_of(connection)
    if not driver.in_transaction:
        _run(driver, "BEGIN")


def _end(connection: sa.Connection, driver: sqlite3.Connection) -> None:
    """Take the transaction back, SQLAlchemy's and the driver's."""
    if connection.in_transaction():
        connection.rollback()
    if driver.in_transaction:
        driver.rollback()


def _driver_of(connection: sa.Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


def _run(driver: sqlite3.Connection, command: str) -> None:
    try:
        driver.execute(command)
    except sqlite3.Error as error:
        raise sa.exc.OperationalError(command, None, error) from error


def _migrate(connection: sa.Connection) -> None:
    """Bring the schema up to date; nothing is done, and little time taken, when it is."""
    if MigrationContext.configure(connection).get_current_revision() == _newest():
        return
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@functools.cache
def _newest() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
