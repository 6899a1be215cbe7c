"""The journal of operations: what was asked, what it ended with, and what must be cleaned up after a crash.

One SQLite file in the state folder, written before an operation starts and when it ends. Parameters are kept as a
digest only (they may hold a password); whoever asks again sends them again. Four tables:

    operation   key, epoch, kind, digest of kind and parameters, state, outcome (JSON)
    note        key, name, value: what an operation is about to do, so that a second run knows its own traces
    link        vdev, owner, disk, run: disks that are linked; those left by a crash are detached at the start
    lock        userid, run: entries that are about to be locked; those left by a crash are unlocked at the start

`run` is the run of the agent that wrote the row: a row is deleted only by who means that very one.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zvmcloud.zhcp.errors import AgentError, Json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS operation (
  key TEXT PRIMARY KEY, job TEXT NOT NULL, epoch INTEGER NOT NULL, kind TEXT NOT NULL, digest TEXT NOT NULL,
  state TEXT NOT NULL, outcome TEXT NOT NULL DEFAULT '', changed REAL NOT NULL DEFAULT (julianday('now')));
CREATE TABLE IF NOT EXISTS note (key TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key, name));
CREATE TABLE IF NOT EXISTS link (
  vdev TEXT PRIMARY KEY, owner TEXT NOT NULL, disk TEXT NOT NULL, run TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS lock (userid TEXT PRIMARY KEY, run TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS fence (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL);
INSERT OR IGNORE INTO fence VALUES (1, 0);
"""
KEEP_DAYS = 30


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
    """What two requests have in common when they ask for the same."""
    body = json.dumps([kind, parameters], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()


class Journal:
    """Safe to use from several threads; each change is durable when the method returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._run = uuid.uuid4().hex
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)
        columns = [row[1] for row in self._db.execute("PRAGMA table_info(link)")]
        if "run" not in columns:  # a journal of an earlier version
            self._db.execute("ALTER TABLE link ADD COLUMN run TEXT NOT NULL DEFAULT ''")
        path.chmod(0o600)

    def close(self) -> None:
        """Close the file, when no other thread uses it."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def admit(self, job: str, step: str, epoch: int, kind: str, body_digest: str) -> Entry | None:
        """Register an operation: None when it must run now, its entry when it is known and over.

        An entry that says "running" is one a crash interrupted, or that runs in this process: the caller knows which.
        AgentError 409 `stale-epoch`, `operation-mismatch`.
        """
        key = f"{job}/{step}"
        with self._change() as db:
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
            row = self._row(key)
            if row is None:
                db.execute(
                    "INSERT INTO operation (key, job, epoch, kind, digest, state) VALUES (?, ?, ?, ?, ?, 'running')",
                    (key, job, epoch, kind, body_digest),
                )
                return None
            if row.digest != body_digest:
                raise AgentError(
                    409,
                    "operation-mismatch",
                    f"operation {key} is known as {row.kind} with other parameters",
                    remedy="use a new job or step for a new operation",
                )
            return row

    def _row(self, key: str) -> Entry | None:
        found = self._db.execute(
            "SELECT key, epoch, kind, digest, state, outcome FROM operation WHERE key = ?", (key,)
        ).fetchone()
        if found is None:
            return None
        known, epoch, kind, body_digest, state, outcome = found
        return Entry(known, epoch, kind, body_digest, state, json.loads(outcome) if outcome else {})

    def get(self, key: str) -> Entry | None:
        """The entry of an operation."""
        with self._lock:
            return self._row(key)

    def finish(self, key: str, state: str, outcome: dict[str, Json]) -> None:
        """Record the end of an operation; its notes are no longer needed."""
        with self._change() as db:
            db.execute(
                "UPDATE operation SET state = ?, outcome = ?, changed = julianday('now') WHERE key = ?",
                (state, json.dumps(outcome), key),
            )
            db.execute("DELETE FROM note WHERE key = ?", (key,))

    def note(self, key: str, name: str, value: str = "") -> None:
        """Record an intention before it is acted on."""
        with self._change() as db:
            db.execute("INSERT OR REPLACE INTO note VALUES (?, ?, ?)", (key, name, value))

    def notes(self, key: str) -> dict[str, str]:
        """Intentions of an earlier run of this operation."""
        with self._lock:
            return dict(self._db.execute("SELECT name, value FROM note WHERE key = ?", (key,)).fetchall())

    def linking(self, vdev: str, owner: str, disk: str) -> None:
        """A disk is about to be linked."""
        with self._change() as db:
            db.execute("INSERT OR REPLACE INTO link VALUES (?, ?, ?, ?)", (vdev, owner, disk, self._run))

    def unlinked(self, vdev: str, run: str | None = None) -> None:
        """A disk that this run (or the run named) linked is detached."""
        with self._change() as db:
            db.execute("DELETE FROM link WHERE vdev = ? AND run = ?", (vdev, self._run if run is None else run))

    def links(self) -> tuple[Linked, ...]:
        """Every link not yet given back."""
        with self._lock:
            rows = self._db.execute("SELECT vdev, owner, disk, run FROM link ORDER BY vdev").fetchall()
        return tuple(Linked(*row) for row in rows)

    def locking(self, userid: str) -> bool:
        """An entry is about to be locked. Whether a lock that was noted before may still be there."""
        with self._change() as db:
            known = db.execute("SELECT 1 FROM lock WHERE userid = ?", (userid,)).fetchone() is not None
            db.execute("INSERT OR REPLACE INTO lock VALUES (?, ?)", (userid, self._run))
            return known

    def unlocked(self, userid: str) -> None:
        """An entry is not locked by us any more. Only the one writer of the entry may say so."""
        with self._change() as db:
            db.execute("DELETE FROM lock WHERE userid = ?", (userid,))

    def locks(self) -> tuple[Locked, ...]:
        """Every lock not yet given back."""
        with self._lock:
            rows = self._db.execute("SELECT userid, run FROM lock ORDER BY userid").fetchall()
        return tuple(Locked(*row) for row in rows)

    def forget_old(self) -> int:
        """Drop operations that were over more than KEEP_DAYS ago; returns how many."""
        with self._change() as db:
            gone = db.execute(
                "DELETE FROM operation WHERE state != 'running' AND changed < julianday('now') - ?", (KEEP_DAYS,)
            )
            return gone.rowcount
