"""The model's memory: keyed collections of frozen values, one transaction at a time, SQLite behind them.

Reads touch dictionaries only. A change notes what was there before; when the transaction's body raises, everything is
put back as if it had never run, and when it ends, the changed rows are written in one SQLite commit before control
returns. So an acknowledged change is on disk, and a kill at any moment leaves the state before or after a transaction,
never between. (WAL with synchronous=NORMAL: this holds for a killed process; after a power failure the last commits
may be missing, but nothing is torn.)

Files that belong to the model are made inside a transaction (`on_rollback` removes them) and removed after it
(`after_commit`); what a kill leaves behind is swept at the next start.
"""

from __future__ import annotations

import gc
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from zvmcloud.simulator.values import from_json, to_json

_LOG_PAGES = 8192
"""Pages of SQLite's log after which it is brought into the file. Who commits does that, and everybody waits."""

V = TypeVar("V")
Observer = Callable[[str, V | None, V | None], None]


class StoreError(RuntimeError):
    """The store was used outside its rules, or its file is not one of ours."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Run the body without Python's garbage collector.

    While a system is filled or loaded nothing becomes garbage, and with ten thousand guests looking for it takes a
    third of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Collection(Generic[V]):
    """Values of one kind by key. Changes need an open transaction of the store."""

    def __init__(self, store: Store, name: str, kind: type[V]) -> None:
        self.name = name
        self.kind = kind
        self._store = store
        self._rows: dict[str, V] = {}
        self._observers: list[Observer[V]] = []

    def observe(self, observer: Observer[V]) -> None:
        """Call with (key, before, after) at every change, also when a change is taken back. Must not raise."""
        self._observers.append(observer)

    def get(self, key: str) -> V | None:
        return self._rows.get(key)

    def __getitem__(self, key: str) -> V:
        return self._rows[key]

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def values(self) -> list[V]:
        return list(self._rows.values())

    def items(self) -> list[tuple[str, V]]:
        return list(self._rows.items())

    def put(self, key: str, value: V) -> None:
        """Add or replace."""
        self._change(key, value)

    def remove(self, key: str) -> None:
        """Remove; KeyError when it is not there."""
        if key not in self._rows:
            raise KeyError(key)
        self._change(key, None)

    def _change(self, key: str, value: V | None) -> None:
        before = self._rows.get(key)
        if before is value or before == value:
            return
        self._store.note(self, key, before)
        self._set(key, before, value)

    def _set(self, key: str, before: V | None, value: V | None) -> None:
        if value is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = value
        for observer in self._observers:
            observer(key, before, value)

    def restore(self, key: str, value: V | None) -> None:
        """Put back what was there; used by the transaction."""
        self._set(key, self._rows.get(key), value)

    def load(self, key: str, text: str) -> None:
        """Take a row from disk; used at start."""
        self._set(key, None, from_json(self.kind, json.loads(text)))


class Store:
    """All collections of one system and their transaction. One thread; a body must not await."""

    def __init__(self, path: Path | None) -> None:
        """Open the SQLite file, made if missing; None keeps everything in memory only."""
        self._collections: dict[str, Collection[object]] = {}
        self._undo: list[tuple[Collection[object], str, object | None]] = []
        self._dirty: dict[tuple[str, str], None] = {}
        self._depth = 0
        self._after_commit: list[Callable[[], None]] = []
        self._on_rollback: list[Callable[[], None]] = []
        self._database: sqlite3.Connection | None = None
        if path is not None:
            # The rows hold passwords: nobody else reads the file (SQLite gives its side files the same mode).
            path.touch(mode=0o600)
            database = sqlite3.connect(path, isolation_level=None)
            try:
                database.execute("PRAGMA journal_mode=WAL")
                database.execute("PRAGMA synchronous=NORMAL")
                database.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
                database.execute(
                    "CREATE TABLE IF NOT EXISTS rows "
                    "(number INTEGER PRIMARY KEY, collection TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, "
                    "UNIQUE (collection, key))"
                )
            except sqlite3.DatabaseError as error:
                database.close()
                raise StoreError(f"{path} is not a simulator state file: {error}") from error
            self._database = database

    def collection(self, name: str, kind: type[V]) -> Collection[V]:
        """Declare a collection; done once for each, before `load`."""
        made: Collection[V] = Collection(self, name, kind)
        self._collections[name] = made  # type: ignore[assignment]
        return made

    def peek(self, name: str, kind: type[V]) -> dict[str, V]:
        """The values that a collection has on disk, before any collection is declared."""
        if self._database is None:
            return {}
        rows = self._database.execute("SELECT key, value FROM rows WHERE collection = ? ORDER BY number", (name,))
        return {key: from_json(kind, json.loads(text)) for key, text in rows}

    def load(self) -> int:
        """Fill the collections from disk; gives the number of rows."""
        if self._database is None:
            return 0
        count = 0
        for name, key, text in self._database.execute("SELECT collection, key, value FROM rows ORDER BY number"):
            found = self._collections.get(name)
            if found is None:
                raise StoreError(f"the state has a collection {name!r} that this version does not know")
            found.load(key, text)
            count += 1
        return count

    @property
    def in_transaction(self) -> bool:
        return self._depth > 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Inside another transaction it becomes a part of that one."""
        if self._depth:
            yield
            return
        self._depth = 1
        try:
            yield
            self._write()
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._depth = 0
        actions, self._after_commit = self._after_commit, []
        self._on_rollback.clear()
        self._undo.clear()
        self._dirty.clear()
        for action in actions:
            action()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Inside a transaction: what the body changed is taken back when it raises, and the transaction goes on."""
        undo, actions, rollbacks = len(self._undo), len(self._after_commit), len(self._on_rollback)
        try:
            yield
        except BaseException:
            for collection, key, before in reversed(self._undo[undo:]):
                collection.restore(key, before)
            for action in reversed(self._on_rollback[rollbacks:]):
                action()
            del self._undo[undo:], self._after_commit[actions:], self._on_rollback[rollbacks:]
            raise

    def note(self, collection: Collection[V], key: str, before: V | None) -> None:
        """Remember what a key held before a change."""
        if not self._depth:
            raise StoreError(f"{collection.name}: changed outside a transaction")
        self._undo.append((collection, key, before))  # type: ignore[arg-type]
        self._dirty[collection.name, key] = None

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run the action when the transaction is on disk; it must not raise."""
        self._after_commit.append(action)

    def on_rollback(self, action: Callable[[], None]) -> None:
        """Run the action when the transaction is taken back; it must not raise."""
        self._on_rollback.append(action)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _write(self) -> None:
        if not self._dirty or self._database is None:
            return
        removed: list[tuple[str, str]] = []
        written: list[tuple[str, str, str]] = []
        for name, key in self._dirty:
            value = self._collections[name].get(key)
            if value is None:
                removed.append((name, key))
            else:
                written.append((name, key, json.dumps(to_json(value), separators=(",", ":"), ensure_ascii=False)))
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            if removed:
                database.executemany("DELETE FROM rows WHERE collection = ? AND key = ?", removed)
            if written:
                database.executemany(
                    "INSERT INTO rows (collection, key, value) VALUES (?, ?, ?) "
                    "ON CONFLICT (collection, key) DO UPDATE SET value = excluded.value",
                    written,
                )
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise

    def _roll_back(self) -> None:
        for collection, key, before in reversed(self._undo):
            collection.restore(key, before)
        for action in reversed(self._on_rollback):
            action()
        self._undo.clear()
        self._dirty.clear()
        self._after_commit.clear()
        self._on_rollback.clear()
