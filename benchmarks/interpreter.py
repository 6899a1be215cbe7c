"""How fast this Python runs plain Python here and now, measured before and after all others.

What we measure is mostly Python: a build of it without profile-guided optimization (that of pyenv, when nothing else is
asked for) makes a third fewer guests a second than that of a distribution, and so does a slow hour of a shared machine
(docs/performance.md).
"""

from __future__ import annotations

import time

from benchmarks.table import Row

SECONDS = 1.0
_RECORDS = (
    "USER LINUX01 LBYONLY 512M 64G G",
    "MDISK 0100 3390 1 10 VOL001 MR",
    "NICDEF 1000 TYPE QDIO LAN SYSTEM VSW1",
)


def run() -> list[Row]:
    """Of thousands of times that a few records of a directory are split and put together again, those in a second."""
    done, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < SECONDS:
        for _ in range(100):
            _turn()
        done += 100
    return [Row("this Python: plain Python, now", done / elapsed / 1000, "thousand turns/s")]


def _turn() -> str:
    found: dict[str, list[str]] = {}
    for record in _RECORDS:
        verb, *words = record.split()
        found.setdefault(verb, []).extend(_shown(word) for word in words)
    return ";".join(f"{verb}={','.join(words)}" for verb, words in found.items())


def _shown(word: str) -> str:
    return word.lower() if word.isalpha() else word
