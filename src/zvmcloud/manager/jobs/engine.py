"""The durable engine: the only module that knows DBOS.

A durable job is one DBOS workflow whose id is the job's id; each step of the plan, each undo, and the closing are
DBOS steps. DBOS remembers which returned; after ``kill -9`` it runs the workflow again from the first step that did
not. What a step does, and what it did, lives in the journal, so DBOS stores nothing but ids and the words done,
failed, cancelled.

Workflows are coroutines of the manager's event loop, where the database and the agents live; DBOS' threads are only
borrowed while it reads or writes a row. So a job that waits (for a turn, for an agent that is away, for its children)
holds nothing that another one needs, however many there are.
When the manager stops on purpose, or learns that it was replaced, waiting steps leave with :class:`_Stopping`, a
BaseException that DBOS does not record: the workflow stays pending and continues at the next start, or elsewhere.

On SQLite DBOS has a file of its own in the state folder. On PostgreSQL it has a schema in the manager's database, so
that the jobs of a manager that died are there for the others: :meth:`Engine.adopt` puts them back into DBOS' queue,
from which exactly one manager takes each.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy.exc import SQLAlchemyError

from zvmcloud.manager.database import private_file
from zvmcloud.manager.errors import Replaced
from zvmcloud.manager.jobs.again import workflow
from zvmcloud.manager.jobs.plan import JobRecord
from zvmcloud.manager.jobs.runner import Runner
from zvmcloud.manager.settings import Settings

log = logging.getLogger(__name__)

_APPLICATION_VERSION = "1"
"""Recovery only takes up workflows of this version. Plans are data, so it changes only when `_workflow` below does."""
_AGAIN = 1.0
"""Seconds until a step whose end could not be written down is asked for again."""
_LEAVING = 10.0
"""Seconds for which a stop waits until no workflow is between two steps."""

T = TypeVar("T")


class _Stopping(BaseException):
    """The manager is going down; not an outcome."""


class SqliteOfToday(sqlite3.Connection):
    """With Python 3.12 and newer DBOS asks SQLite for `unixepoch('subsec')`, which SQLite has from 3.42 on; before, the
    answer is NULL (sqlite.org, "Date And Time Functions"). Debian 12 and RHEL 9 have older ones."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        if sqlite3.sqlite_version_info < (3, 42):
            self.create_function("unixepoch", 1, lambda _: round(time.time(), 3))


class Engine:
    """Starts and resumes durable jobs. One per process, because DBOS is.

    The manager's name must be the same after a restart: unfinished jobs are found again under it.
    """

    def __init__(self, runner: Runner, settings: Settings, *, threads: int = 64) -> None:
        self._runner = runner
        self._settings = settings
        self._threads = threads
        """Of DBOS, and of everything else on this event loop that is handed to a thread."""
        self._waiting: set[asyncio.Task[Any]] = set()
        self._under_way = 0
        """Workflows."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._known: set[str] = set()
        """Jobs that DBOS knows."""
        self._stopping = False

    async def start(self) -> None:
        """Launch DBOS (it resumes what was running) and submit jobs that were planned but never handed over."""
        global _engine  # noqa: PLW0603  DBOS itself is one per process
        _engine = self
        self._launch()
        await self._submit_all()

    async def adopt(self, members: Collection[str]) -> None:
        """Go on with the jobs of executors that are none of ``members``."""
        await asyncio.to_thread(_requeue, members)
        await self._submit_all()

    async def _submit_all(self) -> None:
        """Jobs of ours that DBOS was never told of."""
        for job in await self._runner.journal.unfinished(durable=True):
            if job in self._known:
                continue
            name = workflow(await self._runner.journal.get(job, with_calls=False))
            if await asyncio.to_thread(DBOS.get_workflow_status, name) is None:
                await self.submit(job)
            self._known.add(job)

    async def submit(self, job: str) -> None:
        """Hand a journaled durable job over; returns when DBOS has written it down."""
        record = await self._runner.journal.get(job, with_calls=False)
        # In a context of its own: a step that starts other jobs is in one where DBOS would not begin a workflow.
        await asyncio.create_task(_submit(record), context=contextvars.Context())
        self._known.add(job)

    async def forget(self, runs: Sequence[str]) -> None:
        """Remove what DBOS wrote of these runs, which are over; of one that it does not know it has nothing."""
        await asyncio.to_thread(DBOS.delete_workflows, list(runs))
        self._known.difference_update(runs)

    async def stop(self) -> None:
        """Leave running jobs as they are (they resume at the next start) and end DBOS' threads."""
        global _engine  # noqa: PLW0603
        self._stopping = True
        for task in self._waiting:
            task.cancel()
        with contextlib.suppress(TimeoutError):  # DBOS would take its own end for the failure of a workflow's next step
            await asyncio.wait_for(self._idle.wait(), _LEAVING)
        # DBOS made its threads those of this loop; the loop is used for a while after they have ended.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="manager"))
        await asyncio.to_thread(DBOS.destroy)
        _engine = None

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """A workflow runs."""
        if self._stopping:
            raise _Stopping
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def call(self, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """Do ``work`` of a step to its end; again while the database is away."""
        while not self._stopping:
            task = asyncio.create_task(work())
            self._waiting.add(task)
            try:
                return await task
            except (asyncio.CancelledError, Replaced):
                raise _Stopping from None
            except SQLAlchemyError:
                log.exception("the database does not take the end of a step; it is asked again")
                await asyncio.sleep(_AGAIN)
            finally:
                self._waiting.discard(task)
        raise _Stopping

    @property
    def runner(self) -> Runner:
        return self._runner

    def _launch(self) -> None:
        config: DBOSConfig = {
            "name": "zvmcloud",
            "system_database_url": self._settings.database_url,
            "dbos_system_schema": "dbos",
            "sys_db_idle_transaction_timeout_sec": 5.0,
            "executor_id": self._settings.node,
            "application_version": _APPLICATION_VERSION,
            "log_level": "WARNING",
            "console_log_level": "ERROR",
            "enable_otlp": False,
            "max_executor_threads": self._threads,
            "notification_listener_polling_interval_sec": 1.0,
        }
        if self._settings.database_url.startswith("sqlite"):
            private_file(file := self._settings.state / "dbos.sqlite")
            config["system_database_url"] = f"sqlite:///{file}"
            config["db_engine_kwargs"] = {"connect_args": {"factory": SqliteOfToday}}
        logging.getLogger("dbos").setLevel(logging.WARNING)
        DBOS(config=config)
        DBOS.launch()  # on the event loop, which it then knows for the workflows that it resumes


_engine: Engine | None = None


def _current() -> Engine:
    if _engine is None:
        raise _Stopping
    return _engine


async def _submit(record: JobRecord) -> None:
    with SetWorkflowID(workflow(record)):
        await DBOS.start_workflow_async(_backwards if record.backwards else _workflow, record.id, len(record.steps))


def _requeue(members: Collection[str]) -> None:
    pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    gone = {str(found.executor_id) for found in pending} - set(members)
    if gone:
        DBOS._recover_pending_workflows(sorted(gone))  # the recovery of its own management server


@DBOS.step(name="zvmcloud.step")
async def _step(job: str, number: int) -> str:
    engine = _current()
    return await engine.call(lambda: engine.runner.step(job, number))


@DBOS.step(name="zvmcloud.undo")
async def _undo(job: str, number: int) -> None:
    engine = _current()
    await engine.call(lambda: engine.runner.undo(job, number))


@DBOS.step(name="zvmcloud.close")
async def _close(job: str, state: str) -> None:
    engine = _current()
    await engine.call(lambda: engine.runner.close(job, state))


@DBOS.workflow(name="zvmcloud.job", max_recovery_attempts=1000)
async def _workflow(job: str, steps: int) -> str:
    """The steps in order; at the first that does not end as done, the finished ones are undone, last one first."""
    with _current().under_way():
        for number in range(steps):
            state = await _step(job, number)
            if state != "done":
                for done in reversed(range(number)):
                    await _undo(job, done)
                await _close(job, state)
                return state
        await _close(job, "done")
        return "done"


@DBOS.workflow(name="zvmcloud.undo_job", max_recovery_attempts=1000)
async def _backwards(job: str, steps: int) -> str:
    """The finished steps are taken back, the last one first."""
    with _current().under_way():
        for number in reversed(range(steps)):
            await _undo(job, number)
        await _close(job, "undone")
        return "undone"
