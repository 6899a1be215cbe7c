"""A SQLite file whose changes are made at once, and for whose disk nobody waits alone.

    change ──> commit, appended to SQLite's log (no disk) ──> who needs no more goes on
                          └──> fdatasync of the log, in a thread, for all who wait ──> they go on

A change takes microseconds and is made on the event loop; in WAL mode with `synchronous=NORMAL` SQLite waits for no
disk then, and what is committed survives the death of this process. What must survive a loss of power as well is
flushed by a thread: one flush serves every change that was committed before it began, and changes go on meanwhile.
What nobody waits for goes with the next of them, and one begins within LAG seconds.
The log is brought into the file by that thread too, while new changes wait, and is then written over.

SQLite reads its log after a loss of power up to the first frame whose checksum is wrong, and drops what was not
committed (sqlite.org, "WAL-mode File Format"), so a log of which only the beginning reached the disk is a good one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from zvmcloud.sqlite_log import SqliteLog

LOG_LIMIT = 16 * 2**20
"""Bytes of the log after which it is brought into the file."""
LOG_STEP = 512 * 2**10
"""Bytes by which the log is made longer, up to that limit (see :mod:`zvmcloud.sqlite_log`)."""
LAG = 0.05
"""Seconds in which changes gather that nobody waits for. A loss of power takes those of that time and of a flush: less
than a directory manager takes for a change (judgement)."""

T = TypeVar("T")
_Then = Callable[[Exception | None], object]


class Commits:
    """One open file. Of one event loop; what is read is committed."""

    def __init__(self, path: Path, schema: str) -> None:
        """Blocking. The file is made when it is not there, readable by its owner only."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path, isolation_level=None)
        """For reading; it is changed by :meth:`change` and :meth:`flushing` alone."""
        self.db.executescript(
            f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0; {schema}"
        )
        path.chmod(0o600)
        self._log = SqliteLog(path, self.db)
        self._log.flush()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the names of the file and its log
        finally:
            os.close(folder)
        self._disk = _Thread("journal")
        self._waiting: list[asyncio.Future[None]] = []
        self._emptying: asyncio.Future[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._lost: OSError | None = None
        self._later: asyncio.TimerHandle | None = None

    async def close(self) -> None:
        """Finish what was begun and close the file."""
        while self._later is not None or not self._idle.is_set():
            if self._later is not None:
                self._later.cancel()
                self._flush_unwaited()
            await self._idle.wait()
        self._disk.end()
        self.db.close()
        self._log.close()

    async def change(self, work: Callable[[sqlite3.Connection], T], *, sync: bool = True) -> T:
        """Run `work` in a transaction; when it raises it has changed nothing. `sync`: it is on the disk when this
        returns; otherwise a flush begins within LAG seconds. OSError when the disk cannot be trusted: what is then in
        the log may be lost or not."""
        outcome = await self._commit(work)
        if sync:
            await self._flush()
            return outcome
        if self._long:
            self._begin()
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(LAG, self._flush_unwaited)
        return outcome

    async def flushing(self, work: Callable[[sqlite3.Connection], object]) -> asyncio.Future[None]:
        """Run `work` in a transaction, as :meth:`change`, and begin a flush: the future tells its end. OSError now or
        in the future."""
        await self._commit(work)
        flushed = self._flush()
        flushed.add_done_callback(_heard)
        return flushed

    async def _commit(self, work: Callable[[sqlite3.Connection], T]) -> T:
        while self._emptying is not None:
            await asyncio.wait([self._emptying])
        self.db.execute("BEGIN IMMEDIATE")
        try:
            outcome = work(self.db)
            with contextlib.suppress(OSError):  # it is for speed only
                self._log.lengthen(LOG_STEP)
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")
        return outcome

    def _flush_unwaited(self) -> None:
        self._later = None
        with contextlib.suppress(OSError):  # told to whoever changes something next and waits
            self._flush().add_done_callback(_heard)

    @property
    def _long(self) -> bool:
        return self._lost is None and self._log.unsaved > LOG_LIMIT

    def _flush(self) -> asyncio.Future[None]:
        """A flush that begins from now on. OSError when an earlier one has failed."""
        if self._lost is not None:
            raise self._lost
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._begin()
        return future

    def _begin(self) -> None:
        if self._idle.is_set():
            self._idle.clear()
            self._go_on(may_empty=not self._waiting)

    def _go_on(self, *, may_empty: bool) -> None:
        """Give the thread its next work: a flush for those who wait; before further ones, a log that became long."""
        if self._waiting and not (may_empty and self._long):
            batch, self._waiting = self._waiting, []
            self._disk.do(self._log.flush, partial(self._over, batch))
        elif may_empty and self._long:
            self._emptying = asyncio.get_running_loop().create_future()
            self._disk.do(self._log.save, self._emptied)
        else:
            self._idle.set()

    def _over(self, batch: list[asyncio.Future[None]], error: Exception | None) -> None:
        """A flush is over."""
        if isinstance(error, OSError):
            # What was not written is dropped by Linux, and the next flush would say that all is well.
            self._lost = error
            batch, self._waiting = batch + self._waiting, []
        for future in batch:
            if future.done():  # who waited was cancelled
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(None)
        self._go_on(may_empty=True)

    def _emptied(self, _: Exception | None) -> None:
        """The log was brought into the file, or somebody reads it from outside: then the next change tries again.

        Nobody has changed anything meanwhile: a log that grows is never begun anew.
        """
        if self._emptying is not None:
            self._emptying.set_result(None)
            self._emptying = None
        self._go_on(may_empty=False)


def _heard(flushed: asyncio.Future[None]) -> None:
    """Nobody may wait for it by now: whoever changes something next is told as well."""
    if not flushed.cancelled():
        flushed.exception()


class _Thread:
    """Does one thing after the other, and tells the event loop; the futures of a pool cost more than that."""

    def __init__(self, name: str) -> None:
        self._work: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, Callable[[], object], _Then] | None]
        self._work = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], object], then: _Then) -> None:
        """Do the work; ``then`` is called in the event loop, with what the work raised."""
        self._work.put((asyncio.get_running_loop(), work, then))

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            loop, work, then = item
            problem: Exception | None = None
            try:
                work()
            except Exception as error:  # noqa: BLE001 (told to who asked for the work)
                problem = error
            with contextlib.suppress(RuntimeError):  # the event loop is closed, and so is what was waited for
                loop.call_soon_threadsafe(then, problem)

    def end(self) -> None:
        """Finish what was begun. Blocking."""
        self._work.put(None)
        self._thread.join()
