"""An operation whose SMAPI or CP call is refused, whichever it is, leaves z/VM as before or as if nothing was refused.

Without FAULTS one call of some operations is refused, with FAULTS=all (`make campaign-faults`) each call of each
operation in each state, one after the other; CASES=expression takes those cases whose names have a match.
"""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import repeatable
from api.operation_rig import CASES, Rig, Snapshot, rig, states
from api.refusing import KINDS, Refusals
from e2e.kill_cases import Case
from e2e.kill_states import STATES

WHOLE = os.environ.get("FAULTS") == "all"
WORD = os.environ.get("CASES", "")
EACH = 5
"""Without FAULTS one of so many cases is tried."""
MOST = 80
"""More calls than an operation makes."""
RUNS = {
    "guest.reboot", "guest.reset", "guest.shutdown", "guest.capture", "guest.netboot", "guest.start", "guest.delete",
}  # fmt: skip
GUESTS_OWN = ("memories", "spool file", "machines LINUX01", "content of LINUX01")
"""What a guest does when it is started again stays: files on its disk, its reader read (guest.delete purges it)."""


@dataclass(slots=True)
class Tally:
    """How the faults of an operation went."""

    faults: int = 0
    done: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


async def asked(zvm: Rig, case: Case) -> tuple[str, str]:
    """How the operation ended: done, failed, or that it was refused before it began; and what it said."""
    answer = await zvm.send(case.ask)
    if answer.status_code != 202:
        assert 400 <= answer.status_code <= 503, answer.text
        return "refused", answer.text
    job = await zvm.job(answer)
    return str(job["state"]), "; ".join(f"{step['name']} {step['state']}: {step['detail']}" for step in job["steps"])


async def struck(zvm: Rig, case: Case, refusals: Refusals, kind: str, number: int) -> tuple[bool, str, str]:
    """Refuse that call of the operation: whether there was one, how the operation ended, and what it said."""
    with refusals.of(zvm.zvm.simulator.faults, kind, number) as refused:
        state, said = await asked(zvm, case)
    return refused.hit, state, said


def own(case: Case, left: list[str]) -> list[str]:
    """Differences that are not the guest's own."""
    names = GUESTS_OWN if case.of in RUNS else ()
    return [text for text in left if not any(name in text.partition("\n")[0] for name in names)]


@pytest.mark.parametrize("state", sorted(CASES) if WHOLE else ["some"])
async def test_a_refused_call_leaves_z_vm_as_before_or_as_done(
    state: str, tmp_path: Path, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in repeatable.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    await (campaign(state, tmp_path, refusals) if WHOLE else a_few(tmp_path, refusals))


async def a_few(tmp_path: Path, refusals: Refusals) -> None:
    """One call of some operations."""
    cases = [case for state in states(cluster=False) for case in CASES[state]]
    async with rig(tmp_path) as zvm:
        for place, case in enumerate(cases[::EACH]):
            before = await zvm.bring(case.state)
            kind, number = KINDS[place % 2], place % 4 + 1
            _, ended, said = await struck(zvm, case, refusals, kind, number)
            if ended != "done":
                left = own(case, await zvm.becomes(before))
                assert not left, "\n".join((f"{case.name} {ended}: {kind} call {number}: {said}", *left))


async def campaign(state: str, tmp_path: Path, refusals: Refusals) -> None:
    """Each call of each operation in that state."""
    tallies: dict[str, Tally] = {}
    async with rig(tmp_path, cluster=STATES[state].cluster) as zvm:
        for case in (case for case in CASES[state] if re.search(WORD, case.name)):
            tally = tallies[case.name] = Tally()
            begun = time.monotonic()
            try:
                await each(zvm, case, refusals, tally)
            except AssertionError as problem:
                tally.wrong.append(f"{case.name}: the campaign could not go on: {problem}"[:8000])
            tally.seconds = time.monotonic() - begun
            sys.stdout.write(
                f"{case.name}: {tally.faults} faults, {tally.done} done all the same, {len(tally.wrong)} wrong, "
                f"{tally.seconds:.1f} s\n"
            )
            sys.stdout.flush()
    wrong = [text for tally in tallies.values() for text in tally.wrong]
    assert not wrong, "\n\n".join(wrong)


async def each(zvm: Rig, case: Case, refusals: Refusals, tally: Tally) -> None:
    """z/VM is as before when it failed, and as if nothing had been refused when it did not."""
    before = await zvm.bring(case.state)
    state, said = await asked(zvm, case)
    assert state == "done", said
    after = await zvm.settled()
    for kind in KINDS:
        for number in range(MOST):
            await zvm.bring(case.state)
            refusals.commands.clear()
            hit, ended, said = await struck(zvm, case, refusals, kind, number)
            if not hit:
                break
            tally.faults += 1
            tally.done += ended == "done"
            wanted: Snapshot = after if ended == "done" else before
            if left := own(case, await zvm.becomes(wanted)):
                commands = ", ".join(refusals.commands[-3:])
                told = f"{case.name} {ended}: {kind} call {number} (last commands: {commands}): {said}"
                tally.wrong.append("\n".join((told, *left)))
        else:
            raise AssertionError(f"{case.name}: more than {MOST} {kind} calls")
