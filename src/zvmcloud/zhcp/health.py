"""How the agent's calls of SMAPI went, for GET /v1/smapi and its monitoring."""

from __future__ import annotations

import time
from dataclasses import dataclass

_UNHEALTHY = 5
"""Calls in a row without an answer."""


@dataclass(slots=True)
class Health:
    """How calls went. A refusal is an answer; only a request server that does not answer is a failure.

    Times are UTC, as in "2026-11-21 08:30:00"; empty while there was none.
    """

    answered: int = 0
    failed: int = 0
    failed_since_answer: int = 0
    last_answer: str = ""
    last_failure: str = ""

    @property
    def healthy(self) -> bool:
        """False after several failures in a row."""
        return self.failed_since_answer < _UNHEALTHY

    def answer(self) -> None:
        """SMAPI answered."""
        self.answered += 1
        self.failed_since_answer = 0
        self.last_answer = _now()

    def failure(self) -> None:
        """SMAPI did not answer."""
        self.failed += 1
        self.failed_since_answer += 1
        self.last_failure = _now()


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
