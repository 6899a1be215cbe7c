"""POST and DELETE /guests with two states of the code in turn: the clone in the folder BEFORE, and this one.

    make bench ARGS=states BEFORE=../zvmcloud-before

The machine's speed changes within seconds, so a change of a few percent is seen only where both states are asked in
turn, often, in random order. Both run with this clone's Python and packages.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.connector import CHANGES, guest
from benchmarks.load import Generator, request
from benchmarks.stack import Stack, running
from benchmarks.table import Row

ROUNDS = 20
CLIENTS = (1, 8)
KINDS = ("POST /guests", "DELETE /guests/U")


@dataclass
class _State:
    """One of the two, and what was measured of it, by kind of call."""

    stack: Stack
    rates: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS, 0.0))

    def round(self, generator: Generator, clients: int) -> None:
        """Guests made, and deleted again."""
        userids = [f"B{number:07d}" for number in range(CHANGES[clients])]
        made = [request("POST", "/guests", guest(userid)) for userid in userids]
        deleted = [request("DELETE", f"/guests/{userid}") for userid in userids]
        for kind, requests in zip(KINDS, (made, deleted), strict=True):
            before = sum(self.stack.spent().values())
            self.rates[kind].append(generator.run(self.stack.port, requests, clients).rate)
            self.spent[kind] += (sum(self.stack.spent().values()) - before) / len(requests)


def run() -> list[Row]:
    before = os.environ.get("BEFORE", "")
    if not (Path(before) / "src" / "zvmcloud").is_dir():
        raise SystemExit(f"BEFORE={before!r}: name the folder of another clone, whose code is compared with this one")
    rows: list[Row] = []
    with Generator() as generator, running(0, Path(before).resolve()) as old, running(0) as new:
        for clients in CLIENTS:
            _State(old).round(generator, clients)
            _State(new).round(generator, clients)
            then, now = _State(old), _State(new)
            for _ in range(ROUNDS):
                for state in random.sample((then, now), 2):
                    state.round(generator, clients)
            for kind in KINDS:
                rows += _rows(f"{kind}, concurrency {clients}", kind, then, now)
    return rows


def _rows(label: str, kind: str, then: _State, now: _State) -> list[Row]:
    spent, before = (1000 * state.spent[kind] / ROUNDS for state in (now, then))
    ratios = [mine / other for mine, other in zip(now.rates[kind], then.rates[kind], strict=True)]
    return [
        Row(label, median(now.rates[kind]), "calls/s", median(then.rates[kind]), "before"),
        Row("    median of the rounds' ratios", median(ratios), "", 1.0, "the same"),
        Row("    processor time of a call", spent, "ms", before, "before", less_is_better=True),
    ]
