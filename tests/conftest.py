"""What all tests share: programs that a machine may lack are asked for by `need`, and in CI nothing may lack."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

import postgres
from zvmcloud.manager.database import Database

#: Of our own; where the package is installed anew, its entry point names it as well.
pytest_plugins = ["zvmcloud.simulator.pytest_plugin"]

# How fast a machine that others use as well is just now tells nothing about the code.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")


def pytest_xdist_auto_num_workers() -> int:
    """Of `-n auto`, which `make test` uses: tests wait for a third of their time, for guests to boot and programs to
    start."""
    processors = len(os.sched_getaffinity(0))
    return processors + processors // 2


def pytest_collection_finish() -> None:
    """What is loaded stays: looking at all of it again and again took a tenth of the tests' processor time."""
    gc.collect()
    gc.freeze()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes are named by their length: what gzip makes has the time in it, and all workers must find the same tests."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


def _missing(programs: str, package: str) -> NoReturn:
    """Skip with the package to install; where CI is set, nothing is skipped."""
    message = f"{programs} not installed (Debian package {package})"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def need() -> Callable[[str, str], str]:
    """`need("fence_zvmip", "fence-agents")`: the path of a program, or a skip that names the package to install."""

    def find(program: str, package: str) -> str:
        return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or _missing(program, package)

    return find


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """A PostgreSQL server of our own, or a skip that names the package to install."""
    with postgres.server(postgres.programs() or _missing("initdb and pg_ctl", "postgresql")) as found:
        yield found


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the manager's schema and nothing in it; made once, because making it takes a while."""
    path = tmp_path_factory.mktemp("schema") / "manager.sqlite"

    async def make() -> None:
        await (await Database.open(f"sqlite:///{path}")).close()

    asyncio.run(make())
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> Iterator[str]:
    """The setting `database` of a manager: "" for SQLite in its state folder `tmp_path / "state"`, and a new database
    of a server."""
    if request.param == "sqlite":
        state = tmp_path / "state"
        state.mkdir(mode=0o700)
        shutil.copy(sqlite_template, state / "manager.sqlite")
        yield ""
        return
    server: postgres.Server = request.getfixturevalue("postgres_server")
    url = server.database()
    yield postgres.patient(url)
    server.drop(url)


@pytest.fixture
def stored(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Callable[[], bytes]:
    """Every byte that the manager with its state in `tmp_path / "state"` keeps in its database."""

    def read() -> bytes:
        if database:
            server: postgres.Server = request.getfixturevalue("postgres_server")
            return server.dump(database)
        return b"".join(path.read_bytes() for path in (tmp_path / "state").glob("manager.sqlite*"))

    return read
