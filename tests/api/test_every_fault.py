"""An operation whose SMAPI or CP call is refused, whichever it is, leaves z/VM as before or as if nothing was refused.

Without FAULTS one call of some operations is refused, with FAULTS=all (`make campaign-faults`) each
call of each operation in each state, one after the other.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from api.operation_rig import Rig, Snapshot, rig
from api.test_every_operation import CASES, states
from e2e.kill_cases import Case
from whole_system import differences
from zvmcloud.simulator.faults import Rule
from zvmcloud.zhcp.machine import CpAnswer, SimulatedMachine

WHOLE = os.environ.get("FAULTS") == "all"
EACH = 5
"""Without FAULTS one of so many cases is tried."""
MOST = 80
"""More calls than an operation makes."""
GUESTS_OWN = {"guest.reboot", "guest.reset", "guest.shutdown", "guest.capture", "guest.netboot", "guest.start"}
"""What a guest did when it ran stays: files on its disk, its reader read."""


@dataclass(slots=True)
class Commands:
    """Which CP command is refused next: the one after ``skip`` others; ``struck`` when it was."""

    skip: int = -1
    struck: bool = False
    seen: list[str] = field(default_factory=list)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    found, real = Commands(), SimulatedMachine.cp

    async def cp(self: SimulatedMachine, command: str) -> CpAnswer:
        found.seen.append(command)
        if found.skip == 0:
            found.skip, found.struck = -1, True
            return CpAnswer(1, (f"HCPCMD001E Unknown CP command: {command.split(maxsplit=1)[0]}",))
        found.skip -= 1
        return await real(self, command)

    monkeypatch.setattr(SimulatedMachine, "cp", cp)
    return found


async def asked(zvm: Rig, case: Case) -> str:
    """How the operation ended: done, failed, or that it was refused before it began."""
    answer = await zvm.send(case.ask)
    if answer.status_code != 202:
        assert 400 <= answer.status_code <= 503, answer.text
        return "refused"
    return str((await zvm.job(answer))["state"])


async def struck(zvm: Rig, case: Case, commands: Commands, kind: str, number: int) -> tuple[bool, str]:
    """Refuse that call of the operation: whether there was one, and how the operation ended."""
    rule = None
    if kind == "SMAPI":
        rule = zvm.zvm.simulator.faults.add(Rule(skip=number, count=1, rc=620, rs=77))
    else:
        commands.skip, commands.struck = number, False
    try:
        state = await asked(zvm, case)
        return commands.struck if rule is None else bool(zvm.zvm.simulator.faults._rules[rule.number].struck), state
    finally:
        zvm.zvm.simulator.faults.clear()
        commands.skip = -1


def own(case: Case, left: list[str]) -> list[str]:
    """Differences that are not the guest's own."""
    if case.of not in GUESTS_OWN:
        return left
    names = ("memories", "spool file", "machines LINUX01", "content of LINUX01")
    return [text for text in left if not any(name in text.partition("\n")[0] for name in names)]


async def held(zvm: Rig, case: Case, state: str, before: Snapshot, after: Snapshot, what: str) -> None:
    """z/VM is as before when it failed, and as if nothing had been refused when it did not."""
    now = await zvm.settled()
    left = own(case, differences(after if state == "done" else before, now))
    assert not left, "\n".join((f"{case.name} {state}: {what}", *left))


@pytest.mark.parametrize("cluster", [False, True] if WHOLE else [False], ids=lambda c: "cluster" if c else "alone")
async def test_a_refused_call_leaves_z_vm_as_before_or_as_done(
    cluster: bool, tmp_path: Path, commands: Commands
) -> None:
    cases = [case for state in states(cluster) for case in CASES[state]]
    async with rig(tmp_path, cluster=cluster) as zvm:
        for place, case in enumerate(cases if WHOLE else cases[::EACH]):
            if WHOLE:
                await each(zvm, case, commands)
            else:
                before = await zvm.bring(case.state)
                kind, number = ("SMAPI", "CP")[place % 2], place % 4 + 1
                _, ended = await struck(zvm, case, commands, kind, number)
                if ended != "done":
                    await held(zvm, case, ended, before, before, f"{kind} call {number}")


async def each(zvm: Rig, case: Case, commands: Commands) -> None:
    before = await zvm.bring(case.state)
    assert await asked(zvm, case) == "done", case.name
    after = await zvm.settled()
    for kind in ("SMAPI", "CP"):
        for number in range(MOST):
            await zvm.bring(case.state)
            hit, ended = await struck(zvm, case, commands, kind, number)
            if not hit:
                break
            await held(zvm, case, ended, before, after, f"{kind} call {number}: {commands.seen[-3:]}")
        else:
            raise AssertionError(f"{case.name}: more than {MOST} {kind} calls")
