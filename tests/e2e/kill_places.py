"""Where the kill campaign kills, and how its kills went."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

Snapshot = dict[str, str]


@dataclass(frozen=True, slots=True)
class Point:
    """Where somebody is killed: behind a ``call`` that reached z/VM, before or after a commit of an agent or of the
    ``manager``, or at a moment (``number`` of them is then the part of the usual time that has passed, in percent)."""

    where: str
    number: int
    victims: tuple[str, ...]
    label: str = ""
    when: str = "after"

    def __str__(self) -> str:
        place = f"{self.number} %" if self.where == "moment" else f"{self.where} {self.number} {self.label}".strip()
        return f"{'+'.join(self.victims)} killed {self.when} {place}"


@dataclass(frozen=True, slots=True)
class Called:
    """A call that reached z/VM, and the agent of that member."""

    function: str
    agent: str


@dataclass(slots=True)
class Known:
    """A case when nobody is killed: z/VM before and after, what was called and committed, and how long it took."""

    before: Snapshot
    after: Snapshot
    calls: list[Called]
    commits: dict[str, list[str]]
    seconds: float

    def boundaries(self) -> list[Point]:
        """Between any two steps, before the first, and behind the last one: the manager has just written it down."""
        ends = {"begin", "step", "resume", "close"}
        found = [place for place, label in enumerate(self.commits["manager"], 1) if label in ends]
        turns = itertools.cycle((("manager",), ("manager", *self.agents)))
        return [Point("manager", place, next(turns), self.commits["manager"][place - 1]) for place in found]

    @property
    def agents(self) -> list[str]:
        return [program for program in self.commits if program != "manager"]

    def inside(self) -> list[Point]:
        """All other places: around every commit of the two, and behind every call."""
        points = [
            Point(program, place, (program,), label, when)
            for program, labels in self.commits.items()
            for place, label in enumerate(labels, 1)
            for when in ("before", "after")
        ]
        for place, call in enumerate(self.calls):
            victims = ((call.agent,), (call.agent, "manager"), ("manager",))[place % 3]
            points.append(Point("call", place + 1, victims, call.function))
        return sorted(set(points) - set(self.boundaries()), key=str)


@dataclass(slots=True)
class Tally:
    """How the kills of an operation went."""

    kills: int = 0
    done: int = 0
    never: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


def told(job: dict[str, Any]) -> str:
    """A job in a few lines."""
    lines = [f"  {job['kind']} {job['state']} {json.dumps(job['error'] and job['error'].get('detail'))}"]
    for step in job["steps"]:
        calls = [f"{call['name']} {call['rc']}/{call['rs']}" for call in step["calls"]]
        lines.append(f"    {step['name']} {step['state']}, {step['attempts']} tries: {step['detail']} {calls}"[:1500])
    return "\n".join(lines)
