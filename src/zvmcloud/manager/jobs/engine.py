"""The durable engine: the only module that knows DBOS.

A durable job is one DBOS workflow whose id is the job's id; each step of the plan, each undo, and the closing are
DBOS steps. DBOS remembers which returned; after ``kill -9`` it runs the workflow again from the first step that did
not. What a step does, and what it did, lives in the journal, so DBOS stores nothing but ids and the words done,
failed, cancelled.

Workflows run on DBOS' threads; their steps hop onto the manager's event loop, where the database and the agents live.
When the manager stops on purpose, waiting steps leave with :class:`_Stopping`, a BaseException that DBOS does not
record: the workflow stays pending and continues at the next start.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from pathlib import Path

from dbos import DBOS, DBOSConfig, SetWorkflowID

from zvmcloud.manager.database import private_file
from zvmcloud.manager.jobs.runner import Runner

log = logging.getLogger(__name__)

_APPLICATION_VERSION = "1"
"""Recovery only takes up workflows of this version. Plans are data, so it changes only when `_workflow` below does."""


class _Stopping(BaseException):
    """The manager is going down; not an outcome."""


class Engine:
    """Starts and resumes durable jobs. One per process, because DBOS is.

    ``executor`` must be the same after a restart: it is the name under which unfinished jobs are found again.
    """

    def __init__(self, runner: Runner, folder: Path, executor: str, *, threads: int = 128) -> None:
        self._runner = runner
        self._file = folder / "dbos.sqlite"
        self._executor = executor
        self._threads = threads
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[Future[object]] = set()
        self._lock = threading.Lock()
        self._stopping = False

    async def start(self) -> None:
        """Launch DBOS (it resumes what was running) and submit jobs that were planned but never handed over."""
        global _engine  # noqa: PLW0603  DBOS itself is one per process
        self._loop = asyncio.get_running_loop()
        _engine = self
        await asyncio.to_thread(self._launch)
        for job in await self._runner.journal.unfinished(durable=True):
            if await asyncio.to_thread(DBOS.get_workflow_status, job) is None:
                await self.submit(job)

    async def submit(self, job: str) -> None:
        """Hand a journaled durable job over; returns when DBOS has written it down."""
        steps = len((await self._runner.journal.get(job, with_calls=False)).steps)
        await asyncio.to_thread(_submit, job, steps)

    async def stop(self) -> None:
        """Leave running jobs as they are (they resume at the next start) and end DBOS' threads."""
        global _engine  # noqa: PLW0603
        with self._lock:
            self._stopping = True
            waiting = tuple(self._waiting)
        for future in waiting:
            future.cancel()
        await asyncio.to_thread(DBOS.destroy)
        _engine = None

    def call(self, work: Coroutine[object, object, object]) -> object:
        """From a DBOS thread: run ``work`` on the manager's loop and wait for it."""
        with self._lock:
            if self._stopping or self._loop is None or self._loop.is_closed():
                work.close()
                raise _Stopping
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._waiting.add(future)
        try:
            return future.result()
        except CancelledError:
            raise _Stopping from None
        finally:
            with self._lock:
                self._waiting.discard(future)

    @property
    def runner(self) -> Runner:
        return self._runner

    def _launch(self) -> None:
        private_file(self._file)
        config: DBOSConfig = {
            "name": "zvmcloud",
            "system_database_url": f"sqlite:///{self._file}",
            "executor_id": self._executor,
            "application_version": _APPLICATION_VERSION,
            "log_level": "WARNING",
            "console_log_level": "ERROR",
            "enable_otlp": False,
            "max_executor_threads": self._threads,
            "notification_listener_polling_interval_sec": 1.0,
        }
        logging.getLogger("dbos").setLevel(logging.WARNING)
        DBOS(config=config)
        DBOS.launch()


_engine: Engine | None = None


def _current() -> Engine:
    if _engine is None:
        raise _Stopping
    return _engine


def _submit(job: str, steps: int) -> None:
    with SetWorkflowID(job):
        DBOS.start_workflow(_workflow, job, steps)


@DBOS.step(name="zvmcloud.step")
def _step(job: str, number: int) -> str:
    engine = _current()
    return str(engine.call(engine.runner.step(job, number)))


@DBOS.step(name="zvmcloud.undo")
def _undo(job: str, number: int) -> None:
    engine = _current()
    engine.call(engine.runner.undo(job, number))


@DBOS.step(name="zvmcloud.close")
def _close(job: str, state: str) -> None:
    engine = _current()
    engine.call(engine.runner.close(job, state))


@DBOS.workflow(name="zvmcloud.job", max_recovery_attempts=1000)
def _workflow(job: str, steps: int) -> str:
    """The steps in order; at the first that does not end as done, the finished ones are undone, last one first."""
    for number in range(steps):
        state = _step(job, number)
        if state != "done":
            for done in reversed(range(number)):
                _undo(job, done)
            _close(job, state)
            return state
    _close(job, "done")
    return "done"
