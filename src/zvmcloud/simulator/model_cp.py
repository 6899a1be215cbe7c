"""Values of the model that only CP commands make: what a user has set since its logon, FLASHCOPY relationships.

Conventions are those of `model`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UserSettings:
    """What SET and TERMINAL have changed for a machine; a row of an earlier logon counts for nothing."""

    userid: str
    logon_at: float
    values: tuple[tuple[str, ...], ...] = ()
    """Pairs of a setting and its value, for example RUN and ON."""
    secuser: str = ""
    """Who sees what the machine writes to its console, and may SEND to it."""
    observer: str = ""
    """Who sees what the machine writes to its console."""

    def get(self, name: str, default: str) -> str:
        return next((value for key, value in self.values if key == name), default)


@dataclass(frozen=True, slots=True)
class FlashRelation:
    """A FLASHCOPY relationship that lasts: files of the disks, first cylinders, number of cylinders."""

    source: str
    source_first: int
    target: str
    target_first: int
    size: int
