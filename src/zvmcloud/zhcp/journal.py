"""The journal of operations: what was asked, what it ended with, and what must be cleaned up after a crash.

One SQLite file in the state folder, written before an operation starts and when it ends. Parameters are kept as a
digest only (they may hold a password); whoever asks again sends them again. The tables:

    operation   key, epoch, kind, digest of kind and parameters, state, outcome (JSON)
    note        key, name, value: what an operation is about to do, so that a second run knows its own traces
    link        vdev, owner, disk, run: disks that are linked; those left by a crash are detached at the start
    volume      lun, place (JSON), run: SCSI volumes that are online in the agent's own machine; given back likewise
    granted     userid, vswitch: rights on VSWITCHes that were given to a userid, until its guest is deleted
    lock        userid, run: entries that are about to be locked; those left by a crash are unlocked at the start

`run` is the run of the agent that wrote the row: a row is deleted only by who means that very one.

The disk is waited for where z/VM could be left in a state that nobody knows of: for notes of what is about to be done,
links and locks, and for a new epoch; many operations wait for one flush (commits.py). The beginning and the end of an
operation, and notes of what was done, survive the death of this process; should the machine lose its power right
behind them, the operation is one that was cut off, and is sent again. An operation that was called off before it was
begun has a row that ends it and no digest: whatever is sent under its key later is answered with that end.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import sqlite3
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zvmcloud.zhcp.commits import Commits
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.seams import FcpPaths, Notes, Opened

_SCHEMA = """
CREATE TABLE IF NOT EXISTS operation (
  key TEXT PRIMARY KEY, job TEXT NOT NULL, epoch INTEGER NOT NULL, kind TEXT NOT NULL, digest TEXT NOT NULL,
  state TEXT NOT NULL, outcome TEXT NOT NULL DEFAULT '', changed REAL NOT NULL DEFAULT (julianday('now')));
CREATE TABLE IF NOT EXISTS note (
  key TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS link (
  vdev TEXT PRIMARY KEY, owner TEXT NOT NULL, disk TEXT NOT NULL, run TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS volume (lun TEXT PRIMARY KEY, place TEXT NOT NULL, run TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS lock (userid TEXT PRIMARY KEY, run TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS granted (userid TEXT NOT NULL, vswitch TEXT NOT NULL, PRIMARY KEY (userid, vswitch));
CREATE TABLE IF NOT EXISTS fence (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL);
INSERT OR IGNORE INTO fence VALUES (1, 0);
"""
KEEP_DAYS = 30
_CALLED_OFF = ""
"""The digest of an operation that was called off before anybody sent it."""
_ENDS, _PLACES = ("source", "target"), ("url", "headers")


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal row. `state` is running, done or failed; `outcome` is the document of an operation that is over."""

    key: str
    epoch: int
    kind: str
    digest: str
    state: str
    outcome: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Linked:
    """A disk that is, or may be, linked at `vdev`."""

    vdev: str
    owner: str
    disk: str
    run: str


@dataclass(frozen=True, slots=True)
class Locked:
    """An entry that is, or may be, locked by us."""

    userid: str
    run: str


def digest(kind: str, parameters: object) -> str:
    """What two requests have in common when they ask for the same.

    Where an image's bytes come from or go to is no part of that: another manager that goes on with a job has other
    addresses and credentials, and the image's digest says what it is.
    """
    if isinstance(parameters, dict):
        parameters = {
            name: {key: item for key, item in value.items() if key not in _PLACES}
            if name in _ENDS and isinstance(value, dict)
            else value
            for name, value in parameters.items()
        }
    body = json.dumps([kind, parameters], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()


class Journal(Notes):
    """Each change survives this process when its method returns. Of one event loop; what is read is committed."""

    def __init__(self, path: Path) -> None:
        """Blocking; so are the methods that read, which wait for no disk."""
        self._file = Commits(path, _SCHEMA)
        self._db = self._file.db
        self._run = uuid.uuid4().hex
        columns = [row[1] for row in self._db.execute("PRAGMA table_info(link)")]
        if "run" not in columns:  # a journal of an earlier version
            self._db.execute("ALTER TABLE link ADD COLUMN run TEXT NOT NULL DEFAULT ''")
        (self._epoch,) = self._db.execute("SELECT epoch FROM fence").fetchone()
        self._change = self._file.change
        self._admitting: set[str] = set()

    async def close(self) -> None:
        """Finish what was begun and close the file."""
        await self._file.close()

    async def fence(self, epoch: int) -> None:
        """See Notes."""
        if epoch != self._epoch:  # which is never higher than the journal's
            await self._change(lambda db: _fence(db, epoch))
            self._epoch = max(self._epoch, epoch)

    async def admit(self, job: str, step: str, epoch: int, kind: str, body_digest: str) -> Entry | None:
        """Register an operation: None when it must run now, its entry when it is known and over.

        An entry that says "running" is one a crash interrupted, or that runs in this process: the caller knows which.
        AgentError 409 `stale-epoch`, `operation-mismatch`. Answers come in the order of the questions.
        """
        key = f"{job}/{step}"

        def admit(db: sqlite3.Connection) -> Entry | None:
            _fence(db, epoch)
            row = _row(db, key)
            if row is None:
                db.execute(
                    "INSERT INTO operation (key, job, epoch, kind, digest, state) VALUES (?, ?, ?, ?, ?, 'running')",
                    (key, job, epoch, kind, body_digest),
                )
                return None
            if row.digest not in (body_digest, _CALLED_OFF):
                raise AgentError(
                    409,
                    "operation-mismatch",
                    f"operation {key} is known as {row.kind} with other parameters",
                    remedy="use a new job or step for a new operation",
                )
            return row

        # Of two equal requests the second one does not come back first, when only the first waits for the disk.
        sync = epoch > self._epoch or key in self._admitting
        if sync:
            self._admitting.add(key)
        try:
            known = await self._change(admit, sync=sync)
        finally:
            self._admitting.discard(key)
        self._epoch = max(self._epoch, epoch)
        return known

    async def call_off(self, job: str, step: str, epoch: int, outcome: str) -> None:
        """An operation that nobody has sent yet ends with this outcome, whenever it is sent; one that is known is left
        alone. AgentError 409 `stale-epoch`.

        It comes back behind every `admit` that was asked for before, so that who runs an operation knows it then.
        """
        row = (f"{job}/{step}", job, epoch, _CALLED_OFF, outcome)

        def call_off(db: sqlite3.Connection) -> None:
            _fence(db, epoch)
            db.execute(
                "INSERT OR IGNORE INTO operation (key, job, epoch, kind, digest, state, outcome)"
                " VALUES (?, ?, ?, '', ?, 'failed', ?)",
                row,
            )

        await self._change(call_off)
        self._epoch = max(self._epoch, epoch)

    def get(self, key: str) -> Entry | None:
        """The entry of an operation."""
        return _row(self._db, key)

    def unfinished(self) -> tuple[str, ...]:
        """The keys of operations that run, or were cut off."""
        return tuple(str(key) for (key,) in self._db.execute("SELECT key FROM operation WHERE state = 'running'"))

    async def finish(self, key: str, state: str, outcome: str) -> None:
        """Record the end of an operation, with its document in JSON; its notes are no longer needed."""

        def finish(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE operation SET state = ?, outcome = ?, changed = julianday('now') WHERE key = ?",
                (state, outcome, key),
            )
            db.execute("DELETE FROM note WHERE key = ?", (key,))

        await self._change(finish, sync=False)

    async def note(self, key: str, *names: str, sync: bool = True) -> None:
        """See Notes."""
        await self._change(_noting(key, names), sync=sync)

    async def noting(self, key: str, *names: str) -> asyncio.Future[None]:
        """See Notes."""
        return await self._file.flushing(_noting(key, names))

    def notes(self, key: str) -> dict[str, str]:
        """Intentions of an earlier run of this operation."""
        return dict(self._db.execute("SELECT name, value FROM note WHERE key = ?", (key,)).fetchall())

    def noted(self, start: str, *, but: str) -> frozenset[str]:
        """See Notes."""
        rows = self._db.execute("SELECT name FROM note WHERE name LIKE ? || '%' AND key != ?", (start, but)).fetchall()
        return frozenset(str(name).partition(" ")[2] for (name,) in rows)

    async def linking(self, vdev: str, owner: str, disk: str) -> None:
        """See Notes."""
        row = (vdev, owner, disk, self._run)
        await self._change(lambda db: db.execute("INSERT OR REPLACE INTO link VALUES (?, ?, ?, ?)", row))

    async def unlinked(self, vdev: str, run: str | None = None) -> None:
        """See Notes."""
        row = (vdev, self._run if run is None else run)
        await self._change(lambda db: db.execute("DELETE FROM link WHERE vdev = ? AND run = ?", row))

    def links(self) -> tuple[Linked, ...]:
        """Every link not yet given back."""
        rows = self._db.execute("SELECT vdev, owner, disk, run FROM link ORDER BY vdev").fetchall()
        return tuple(Linked(*row) for row in rows)

    async def opening(self, volume: Opened) -> None:
        """See Notes."""
        row = (volume.lun, json.dumps({"paths": volume.paths}), self._run)
        await self._change(lambda db: db.execute("INSERT OR REPLACE INTO volume VALUES (?, ?, ?)", row))

    async def closed(self, volume: Opened) -> None:
        """See Notes."""
        await self._change(lambda db: db.execute("DELETE FROM volume WHERE lun = ?", (volume.lun,)))

    def volumes(self) -> tuple[Opened, ...]:
        """Every SCSI volume not yet given back."""
        rows = self._db.execute("SELECT lun, place FROM volume ORDER BY lun").fetchall()
        return tuple(Opened(lun, _paths(json.loads(place))) for lun, place in rows)

    async def locking(self, userid: str) -> bool:
        """See Notes."""

        def locking(db: sqlite3.Connection) -> bool:
            known = db.execute("SELECT 1 FROM lock WHERE userid = ?", (userid,)).fetchone() is not None
            db.execute("INSERT OR REPLACE INTO lock VALUES (?, ?)", (userid, self._run))
            return known

        return await self._change(locking)

    async def unlocked(self, userid: str) -> None:
        """See Notes."""
        await self._change(lambda db: db.execute("DELETE FROM lock WHERE userid = ?", (userid,)))

    def locks(self) -> tuple[Locked, ...]:
        """Every lock not yet given back."""
        rows = self._db.execute("SELECT userid, run FROM lock ORDER BY userid").fetchall()
        return tuple(Locked(*row) for row in rows)

    async def granting(self, vswitch: str, userid: str) -> None:
        """See Notes."""
        row = (userid, vswitch)
        await self._change(lambda db: db.execute("INSERT OR IGNORE INTO granted VALUES (?, ?)", row))

    def granted(self, userid: str) -> tuple[str, ...]:
        """See Notes."""
        found = self._db.execute("SELECT vswitch FROM granted WHERE userid = ? ORDER BY vswitch", (userid,))
        return tuple(vswitch for (vswitch,) in found)

    async def revoked(self, userid: str) -> None:
        """See Notes."""
        await self._change(lambda db: db.execute("DELETE FROM granted WHERE userid = ?", (userid,)), sync=False)

    async def forget_old(self) -> int:
        """Drop operations that were over more than KEEP_DAYS ago; returns how many."""
        query = "DELETE FROM operation WHERE state != 'running' AND changed < julianday('now') - ?"
        return await self._change(lambda db: db.execute(query, (KEEP_DAYS,)).rowcount, sync=False)


def _paths(place: dict[str, list[list[str]]] | list[list[str]]) -> FcpPaths:
    """The paths of a row; an earlier version named the devices and the ports that it was going to try."""
    if isinstance(place, list):
        return tuple(itertools.product(*place))  # type: ignore[arg-type]  # two lists
    return tuple((device, wwpn) for device, wwpn in place["paths"])


def _noting(key: str, names: Sequence[str]) -> Callable[[sqlite3.Connection], object]:
    rows = [(key, name, "") for name in names]
    return lambda db: db.executemany("INSERT OR REPLACE INTO note VALUES (?, ?, ?)", rows)


def _fence(db: sqlite3.Connection, epoch: int) -> None:
    """Only the manager with the highest epoch may change anything."""
    (highest,) = db.execute("SELECT epoch FROM fence").fetchone()
    if epoch < highest:
        raise AgentError(
            409,
            "stale-epoch",
            f"epoch: {epoch} given, the highest seen is {highest}: another manager has taken over",
            remedy="stop this manager, or let it take over with a higher epoch",
        )
    if epoch > highest:
        db.execute("UPDATE fence SET epoch = ?", (epoch,))


def _row(db: sqlite3.Connection, key: str) -> Entry | None:
    found = db.execute(
        "SELECT key, epoch, kind, digest, state, outcome FROM operation WHERE key = ?", (key,)
    ).fetchone()
    if found is None:
        return None
    known, epoch, kind, body_digest, state, outcome = found
    return Entry(known, epoch, kind, body_digest, state, json.loads(outcome) if outcome else {})
