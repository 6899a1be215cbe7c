"""Which entries a transaction changed: for subscribers, and for the object directory while changes are offline.

The source directory is what the directory manager edits (`system.entries`); the object directory is what CP reads at
logon and LINK. Online they say the same. Offline, the object directory keeps what it had: its records of every entry
that has changed since are in `system.in_effect`, until the changes are put online.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zvmcloud.directory import Entry, statements
from zvmcloud.simulator.model import DirectoryEntry
from zvmcloud.simulator.model_directory import DirectoryMode, InEffect
from zvmcloud.simulator.store import Collection, Store
from zvmcloud.smapi.events import DirectoryChanged

ADD, PURGE, REPLACE = "ADD", "PURGE", "REPLACE"
_MODE = "directory"


@dataclass(frozen=True, slots=True)
class Change:
    """An entry that is not what it was. `word` is the command that did it: ADD, PURGE, REPLACE, AMDISK ..."""

    userid: str
    word: str


class DirectoryChanges:
    """Watches the entries of one system."""

    def __init__(
        self,
        store: Store,
        entries: Collection[DirectoryEntry],
        in_effect: Collection[InEffect],
        modes: Collection[DirectoryMode],
    ) -> None:
        self._store = store
        self._entries = entries
        self._in_effect = in_effect
        self._modes = modes
        self._before: dict[str, DirectoryEntry | None] = {}
        self.word = REPLACE
        """What subscribers are told about a changed entry; set by whoever runs the function."""
        self.listeners: list[Callable[[list[Change]], None]] = []
        entries.observe(self._noted)

    @property
    def mode(self) -> DirectoryMode:
        return self._modes.get(_MODE) or DirectoryMode()

    def set_mode(self, mode: DirectoryMode) -> None:
        """Inside a transaction. Going online does not bring waiting changes into effect: see `put_into_effect`."""
        self._modes.put(_MODE, mode)

    @property
    def waiting(self) -> bool:
        """Whether the object directory is behind the source directory."""
        return len(self._in_effect) > 0

    def put_into_effect(self) -> None:
        """The object directory becomes what the source directory says; inside a transaction."""
        for name in list(self._in_effect):
            self._in_effect.remove(name)

    def entry(self, name: str) -> Entry | None:
        """An entry as the object directory has it."""
        old = self._in_effect.get(name)
        if old is not None:
            return Entry(statements.split(old.records, verbatim=True)) if old.records else None
        found = self._entries.get(name)
        return found.entry if found else None

    def _noted(self, key: str, before: DirectoryEntry | None, _after: DirectoryEntry | None) -> None:
        if not self._store.in_transaction:
            return
        if not self._before:
            self._store.after_commit(self._flush)
            self._store.on_rollback(self._before.clear)
        self._before.setdefault(key, before)

    def before_commit(self) -> None:
        """Keep what the object directory has of every entry that changes while changes are offline."""
        if not self._before or self.mode.online:
            return
        for name, before in self._before.items():
            now = self._entries.get(name)
            if name not in self._in_effect and _content(before) != _content(now):
                self._in_effect.put(name, InEffect(before.entry.render() if before else ()))

    def _flush(self) -> None:
        changes = []
        for name, before in self._before.items():
            after = self._entries.get(name)
            if _content(before) != _content(after):
                word = ADD if before is None else PURGE if after is None else self.word
                changes.append(Change(name, word))
        self._before.clear()
        self.word = REPLACE
        if changes:
            for listener in self.listeners:
                listener(changes)


def _content(record: DirectoryEntry | None) -> object:
    """What a lock does not change."""
    return None if record is None else (record.entry, record.tags)


def events(changes: list[Change]) -> list[DirectoryChanged]:
    """The changes as events of the stream."""
    return [DirectoryChanged(change.userid, change.word) for change in changes]
