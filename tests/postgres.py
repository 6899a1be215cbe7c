"""A PostgreSQL server of the tests' own, in a folder of theirs, on a Unix socket; nothing of it stays.

PostgreSQL refuses to run as root, so then its programs run as nobody. Every test gets a database of its own, copied
from one whose schema was made once.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

_TEMPLATE = "template_zvm"
_OPTIONS = "-c listen_addresses='' -c fsync=off -c full_page_writes=off -c max_connections=200 -c max_wal_size=256MB"
_MEMORY = Path("/dev/shm")
_ROOM = 4 << 30
"""Bytes that must be free there: each worker has a server, whose log may have 256 MB."""


def programs() -> Path | None:
    """The folder with initdb and pg_ctl, the newest if there are several; Debian keeps them out of the path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name.split(".")[0]))
    found = shutil.which("initdb")
    candidates = [*reversed(folders), *([Path(found).resolve().parent] if found else [])]
    return next((folder for folder in candidates if (folder / "pg_ctl").exists()), None)


def patient(url: str) -> str:
    """The same database, where a transaction may stand still for a minute: tests share their event loop with much else,
    and a busy machine."""
    return f"{url}&options=-c%20idle_in_transaction_session_timeout%3D60s"


class Server:
    """A running server."""

    def __init__(self, bin_folder: Path, folder: Path) -> None:
        self._bin = bin_folder
        self.folder = folder
        self._count = 0

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://zvm@/{database}?host={self.folder}"

    def database(self) -> str:
        """The URL of a new database with the manager's schema."""
        self._count += 1
        name = f"test{self._count}"
        self._admin(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return self.url(name)

    def drop(self, url: str) -> None:
        self._admin(f"DROP DATABASE {sa.make_url(url).database} WITH (FORCE)")

    def copy(self, source: str, target: str) -> None:
        """Make the database `target` what `source` is (URLs); who is connected to one of them is not any more."""
        old, new = (str(sa.make_url(url).database) for url in (source, target))
        self._admin(f"DROP DATABASE IF EXISTS {new} WITH (FORCE)")
        self._admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name", name=old)
        self._admin(f"CREATE DATABASE {new} TEMPLATE {old}")

    def dump(self, url: str) -> bytes:
        """Everything in a database, as text."""
        name = str(sa.make_url(url).database)
        command = [str(self._bin / "pg_dump"), "-h", str(self.folder), "-U", "zvm", name]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def prepare(self) -> None:
        """Make the database that all others are copies of."""
        from zvmcloud.manager.database import _migrate

        self._admin(f"CREATE DATABASE {_TEMPLATE}")
        engine = sa.create_engine(self.url(_TEMPLATE))
        with engine.begin() as connection:
            _migrate(connection)
        engine.dispose()

    def _admin(self, statement: str, **values: str) -> None:
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(statement), values)
        engine.dispose()


class Kept:
    """A database of its own, of which copies are kept under names."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._copies: dict[str, str] = {}
        self.url = server.database()

    def save(self, name: str) -> None:
        """Keep what is in it."""
        self._copies[name] = f"{self.url.partition('?')[0].rpartition('/')[2]}_{len(self._copies)}"
        self._server.copy(self.url, self._server.url(self._copies[name]))

    def load(self, name: str) -> None:
        """Have it hold what was kept."""
        self._server.copy(self._server.url(self._copies[name]), self.url)


def _place() -> Path | None:
    """Memory, where there is enough: each database has some 300 files, and a disk's file system takes long to find room
    for files where as many were just removed. None: the usual folder."""
    with contextlib.suppress(OSError):
        if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
            return _MEMORY
    return None


@contextlib.contextmanager
def server(bin_folder: Path) -> Iterator[Server]:
    """Start a server; it ends with the block, and its folder goes."""
    folder = Path(tempfile.mkdtemp(prefix="zvm-postgres-", dir=_place()))
    nobody = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    if nobody is not None:
        os.chown(folder, nobody, -1)
    data = folder / "data"

    def run(*command: str | Path) -> None:
        subprocess.run(command, check=True, capture_output=True, user=nobody, cwd=folder)

    try:
        run(bin_folder / "initdb", "-D", data, "-U", "zvm", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        log = folder / "log"
        options = f"{_OPTIONS} -k {folder}"
        run(bin_folder / "pg_ctl", "-D", data, "-l", log, "-w", "-t", "60", "-o", options, "start")
        try:
            found = Server(bin_folder, folder)
            found.prepare()
            yield found
        finally:
            run(bin_folder / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
