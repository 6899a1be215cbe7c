"""z/VM refuses one call of an operation, whichever it is: its n-th SMAPI call, or its n-th CP command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from zvmcloud.simulator.faults import Faults, Rule
from zvmcloud.zhcp.machine import CpAnswer, SimulatedMachine

KINDS = ("SMAPI", "CP")
_UNKNOWN = (620, 77)
"""rc and rs that no function has, so that nothing takes them for an answer that it knows."""


@dataclass(slots=True)
class Refused:
    """A refusal, and whether a call was hit by it."""

    hit: bool = False


@dataclass(slots=True)
class Refusals:
    """Refuses a call of the agents over a simulated z/VM. ``commands``: the CP commands that they gave."""

    commands: list[str] = field(default_factory=list)
    _passing: int = -1
    _hit: bool = False

    @contextmanager
    def of(self, faults: Faults, kind: str, number: int) -> Iterator[Refused]:
        """Call ``number`` of ``kind``, counted from 0, is refused in the block, if there is such a call."""
        refused = Refused()
        if kind == "SMAPI":
            faults.add(Rule(skip=number, count=1, rc=_UNKNOWN[0], rs=_UNKNOWN[1]))
        else:
            self._passing, self._hit = number, False
        try:
            yield refused
            refused.hit = self._hit if kind == "CP" else any(rule.struck for rule in faults.rules)
        finally:
            faults.clear()
            self._passing = -1

    def _refuses(self, command: str) -> bool:
        self.commands.append(command)
        self._passing -= 1
        if self._passing != -1:
            return False
        self._hit = True
        return True

    def listen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """From now on every CP command of every agent comes by here."""
        real, mine = SimulatedMachine.cp, self

        async def cp(self: SimulatedMachine, command: str) -> CpAnswer:
            if mine._refuses(command):
                return CpAnswer(1, (f"HCPCMD001E Unknown CP command: {command.split(maxsplit=1)[0]}",))
            return await real(self, command)

        monkeypatch.setattr(SimulatedMachine, "cp", cp)
