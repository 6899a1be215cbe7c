"""Fault rules: what a test tells the request server to do wrong, and when.

A rule says which requests it is about (function, target, requester; patterns with * and ?), how often it strikes
(probability, how many it lets pass first, how many it hits at most) and what happens then:

    delay             the request waits `delay` seconds longer; other rules still apply
    refuse            the answer is `rc`, `rs`; the function does not run
    drop-before-id    the connection is cut before the request id is sent; the function does not run
    drop-after-id     ... after the request id; the function does not run
    drop-after-work   ... when the function has run and its changes are on disk, without a reply
    partial           the function runs, the first `bytes` of the reply are sent, then the connection is cut
    hang              the request id is sent and then nothing, until the client goes; the function does not run

One action is about disks and not requests. When the agent's virtual machine brings a disk online (the machine port's
`device` and `scsi`), the function is DEVICE, and the target "LINUX01.0100", or "wwpn.lun" of a SCSI disk:

    disk-full         the storage behind the disk takes `bytes` more; what is written beyond is ENOSPC (images.diskfile)

Chance comes from a seeded generator: the same seed, rules and calls give the same faults.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase

from zvmcloud.simulator.errors import ModelError

DEVICE = "DEVICE"
DISK_FULL = "disk-full"
ACTIONS = ("delay", "refuse", "drop-before-id", "drop-after-id", "drop-after-work", "partial", "hang", DISK_FULL)


@dataclass(frozen=True, slots=True)
class Rule:
    """One fault rule; `matched` and `struck` count requests it was about and those it hit."""

    number: int = 0
    function: str = "*"
    target: str = "*"
    who: str = "*"
    action: str = "refuse"
    probability: float = 1.0
    skip: int = 0
    """So many matching requests pass first."""
    count: int = 0
    """It strikes so many times at most; 0: for ever."""
    delay: float = 0.0
    """Seconds; with any action."""
    rc: int = 596
    rs: int = 0
    text: str = ""
    bytes: int = 8
    """How much of the reply `partial` sends, or how much a disk takes until it is full."""
    matched: int = 0
    struck: int = 0

    @classmethod
    def of(cls, data: Mapping[str, object]) -> Rule:
        """A rule from JSON data. ModelError names the key that is unknown or wrong."""
        kinds = {field.name: type(field.default) for field in fields(cls)}
        values: dict[str, object] = {}
        for key, given in data.items():
            value = given
            if key not in kinds or key in ("number", "matched", "struck"):
                known = ", ".join(name for name in kinds if name not in ("number", "matched", "struck"))
                raise ModelError(f"fault.{key}", f"unknown key; known: {known}")
            kind = kinds[key]
            if kind is float and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ModelError(f"fault.{key}", f"{value!r} is not {'a text' if kind is str else 'a number'}")
            values[key] = value
        rule = cls(**values)  # type: ignore[arg-type]
        if rule.action not in ACTIONS:
            raise ModelError("fault.action", f"{rule.action!r} is not one of {', '.join(ACTIONS)}")
        if not 0.0 <= rule.probability <= 1.0:
            raise ModelError("fault.probability", f"{rule.probability} is not between 0 and 1")
        if not 0.0 <= rule.delay <= 86400.0:
            raise ModelError("fault.delay", f"{rule.delay} is not between 0 and 86400 seconds")
        if rule.action == "delay" and not rule.delay:
            raise ModelError("fault.delay", "is missing or 0; the action delay needs seconds")
        for key in ("skip", "count", "bytes", "rc", "rs"):
            if not 0 <= getattr(rule, key) <= 0x7FFFFFFF:
                raise ModelError(f"fault.{key}", f"{getattr(rule, key)} is not between 0 and 2147483647")
        return rule

    def data(self) -> dict[str, object]:
        """The rule as JSON data."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def about(self, function: str, target: str, who: str) -> bool:
        return (self.action == DISK_FULL) == (function == DEVICE) and all(
            fnmatchcase(value.upper(), pattern.upper())
            for value, pattern in ((function, self.function), (target, self.target), (who, self.who))
        )


@dataclass(frozen=True, slots=True)
class Strike:
    """What the rules do to one request: seconds to wait, and the action of the first rule that has one."""

    delay: float = 0.0
    rule: Rule | None = None

    @property
    def action(self) -> str:
        return self.rule.action if self.rule is not None else ""


NOTHING = Strike()


class Faults:
    """The rules of one simulator, tried in the order in which they were added."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 (chance of faults, not a secret)
        self._rules: dict[int, Rule] = {}
        self._next = 1

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(self._rules.values())

    def add(self, rule: Rule) -> Rule:
        """Add a rule; gives it with its number."""
        added = replace(rule, number=self._next, matched=0, struck=0)
        self._next += 1
        self._rules[added.number] = added
        return added

    def remove(self, number: int) -> bool:
        """Forget a rule; False when there is none with that number."""
        return self._rules.pop(number, None) is not None

    def clear(self) -> None:
        self._rules.clear()

    def strike(self, function: str, target: str, who: str) -> Strike:
        """What happens to a request, or to a disk that comes online; counts it."""
        if not self._rules:
            return NOTHING
        delay, chosen = 0.0, None
        for number, rule in list(self._rules.items()):
            if not rule.about(function, target, who):
                continue
            matched = replace(rule, matched=rule.matched + 1)
            self._rules[number] = matched
            spent = rule.count and rule.struck >= rule.count
            if spent or matched.matched <= rule.skip or self._random.random() >= rule.probability:
                continue
            struck = replace(matched, struck=rule.struck + 1)
            self._rules[number] = struck
            delay += rule.delay
            if rule.action != "delay":
                chosen = struck
                break
        return Strike(delay, chosen)
