"""A SQLite file whose changes are made at once, and for whose disk nobody waits alone.

    change ──> commit, appended to SQLite's log (no disk) ──> who needs no more goes on
                          └──> fdatasync of the log, in a thread, for all who wait ──> they go on

A change takes microseconds and is made on the event loop; in WAL mode with `synchronous=NORMAL` SQLite waits for no
disk then, and what is committed survives the death of this process. What must survive a loss of power as well is
flushed by a thread: one flush serves every change that was committed before it began, and changes go on meanwhile.
The log is brought into the file by that thread too, while new changes wait.

SQLite reads its log after a loss of power up to the first frame whose checksum is wrong, and drops what was not
committed (sqlite.org, "WAL-mode File Format"), so a log of which only the beginning reached the disk is a good one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

LOG_LIMIT = 16 * 2**20
"""Bytes of the log after which it is brought into the file."""

T = TypeVar("T")


class Commits:
    """One open file. Of one event loop; what is read is committed."""

    def __init__(self, path: Path, schema: str) -> None:
        """Blocking. The file is made when it is not there, readable by its owner only."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path, isolation_level=None)
        """For reading; it is changed by :meth:`change` alone."""
        self.db.executescript(
            f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0; {schema}"
        )
        path.chmod(0o600)
        self._path = path
        self._log = os.open(path.with_name(path.name + "-wal"), os.O_RDONLY)
        os.fdatasync(self._log)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the names of the file and its log
        finally:
            os.close(folder)
        self._thread = ThreadPoolExecutor(1, "journal")
        self._waiting: list[asyncio.Future[None]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._emptying: asyncio.Future[None] | None = None
        self._lost: OSError | None = None

    async def close(self) -> None:
        """Finish what was begun and close the file."""
        while self._flushing is not None:
            await asyncio.wait([self._flushing])
        self._thread.shutdown()
        os.close(self._log)
        self.db.close()

    async def change(self, work: Callable[[sqlite3.Connection], T], *, sync: bool = True) -> T:
        """Run `work` in a transaction; when it raises it has changed nothing. `sync`: it is on the disk when this
        returns. OSError when the disk cannot be trusted: what is then in the log may be lost or not."""
        while self._emptying is not None:
            await asyncio.wait([self._emptying])
        self.db.execute("BEGIN IMMEDIATE")
        try:
            outcome = work(self.db)
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")
        if sync:
            await self._flushed()
        elif self._long:
            self._begin()
        return outcome

    @property
    def _long(self) -> bool:
        return self._lost is None and os.fstat(self._log).st_size > LOG_LIMIT

    def _begin(self) -> None:
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._work())

    async def _flushed(self) -> None:
        """Wait for a flush that begins from now on."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._begin()
        await future

    async def _work(self) -> None:
        """Flush for those who wait, until nobody does."""
        try:
            while True:
                await self._flush()
                if self._long:
                    await self._empty()
                if not self._waiting:
                    return
        finally:
            self._flushing = None

    async def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        if batch and self._lost is None:
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, os.fdatasync, self._log)
            except OSError as error:
                # What was not written is dropped by Linux, and the next flush would say that all is well.
                self._lost = error
        for future in batch:
            if future.done():  # who waited was cancelled
                continue
            if self._lost is not None:
                future.set_exception(self._lost)
            else:
                future.set_result(None)

    async def _empty(self) -> None:
        """Bring the log into the file. Nobody changes anything meanwhile: a log that grows is never begun anew."""
        self._emptying = asyncio.get_running_loop().run_in_executor(self._thread, _empty, self._path)
        try:
            with contextlib.suppress(sqlite3.Error):  # somebody reads it from outside: the next change tries again
                await self._emptying
        finally:
            self._emptying = None


def _empty(path: Path) -> None:
    connection = sqlite3.connect(path, timeout=0.1)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
