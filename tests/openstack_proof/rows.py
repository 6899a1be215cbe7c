"""The rows of z/VM's model that count when two looks at it are compared: all of them, as they are.

What does not count is declared here, with the reason: members of rows that tell when something was done or how often,
collections that remember what was asked (both as for all comparisons of whole systems), and the rows of `TOLERANCES`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from whole_system import UNTOLD, VOLATILE, scrubbed
from zvmcloud.simulator import guest_memory
from zvmcloud.simulator.system import System
from zvmcloud.simulator.values import to_json

TIMES = VOLATILE | {"ipl_at", "heard"}
"""Beside the usual ones: when a member was started, and when the others of its cluster last heard of it."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Rows of a collection, by a pattern of their keys. ``counts``: what of a row counts; None when nothing does.
    ``why`` it may differ although z/VM is the same."""

    collection: str
    keys: str
    why: str
    counts: Callable[[System, str, Row], Row | None]


def _own_devices(_system: System, _key: str, row: Row) -> Row:
    return {**row, "fcps": []}


def _lines(_system: System, _key: str, row: Row) -> Row:
    return {**row, "lines": sorted(row["lines"])}


def _alive(system: System, key: str, row: Row) -> Row | None:
    return row if guest_memory.get(system, key) == system.memories.get(key) else None


TOLERANCES = (
    Tolerance("machines", "ZHCP", "an agent leaves its own FCP devices online", _own_devices),
    Tolerance("texts", "*SYSTEM CONFIG", "a changed VSWITCH is written behind the others", _lines),
    Tolerance("memories", "*", "what a guest kept on a disk that somebody else has written since is lost", _alive),
)


def rows(system: System) -> dict[str, str]:
    """The rows of a system and of what its cluster shares, by collection and key. Collections of a member have its
    name before theirs (``ZVM1:machines``)."""
    found: dict[str, str] = {}
    for name, collection in system.store._collections.items():
        kind = name.rpartition(":")[2]
        if kind in UNTOLD:
            continue
        for key, value in collection.items():
            row = _counting(system, kind, key, scrubbed(to_json(value), TIMES))
            if row is not None:
                found[f"{name} {key}"] = json.dumps(row, sort_keys=True)
    return found


def _counting(system: System, kind: str, key: str, row: Row) -> Row | None:
    for tolerance in TOLERANCES:
        if tolerance.collection == kind and fnmatchcase(key, tolerance.keys):
            return tolerance.counts(system, key, row)
    return row
