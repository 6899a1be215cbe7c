"""kill -9 of the manager and of the agent in the middle of operations: afterwards z/VM is as if the operation was
done, or as if nobody had ever asked for it.

Every operation has a case (kill_cases). A campaign kills at every boundary between the steps of each, and beyond that
at KILLS places inside steps: around commits of the two programs, behind calls that reached z/VM, and at moments that
nobody chose. `make campaign-kills` does so; CASES=word takes those cases whose names have the word, KILLS=all every
place there is, KILLS=0 nobody. `make test` does six kills.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
from pathlib import Path

import pytest

from e2e.kill_cases import CASES, CHANGES_NO_ZVM, STATES, Case, wanted
from e2e.kill_rig import Known, Point, Rig, Tally, rig
from zvmcloud.api.connector.routes import RULES
from zvmcloud.api.connector.schemas import ACTIONS

SMALL = ("guest.provision (base)", "vswitch.create (base)", "POST /guests (base)")
KILLS = os.environ.get("KILLS", "")


def test_every_operation_has_a_case() -> None:
    assert {case.of for case in CASES} == wanted()
    assert {f"{rule.method} {rule.path}" for rule in RULES} | {f"action {name}" for name in ACTIONS} >= CHANGES_NO_ZVM
    names = [case.name for case in CASES]
    assert sorted(names) == sorted(set(names))
    assert {case.state for case in CASES} <= set(STATES)


def chosen(cases: tuple[Case, ...], known: Known, number: int, rng: random.Random) -> list[Point]:
    """Where a case is killed in a campaign: at its boundaries, and inside so often that all cases have their number
    of kills."""
    boundaries, inside = known.boundaries(), known.inside()
    if KILLS == "all":
        return [*boundaries, *inside]
    if KILLS == "0":
        return []
    each = -(-int(KILLS) // len(cases))
    wanted_inside = max(1, each - len(boundaries))
    moment = Point("moment", rng.randrange(5, 100), (("zhcp",), ("manager",), ("zhcp", "manager"))[number % 3], when="at")
    return [*boundaries, *rng.sample(inside, min(len(inside), wanted_inside)), moment]


async def killed(found: Rig, case: Case, known: Known, points: list[Point], tally: Tally) -> None:
    """All these kills, each from where the case begins."""
    clean = False
    for point in points:
        if not clean:
            await found.back(STATES[case.state])
        clean = await found.kill(case, known, point, tally)


def table(tallies: dict[str, Tally]) -> str:
    width = max(len(name) for name in tallies)
    lines = [f"{'operation':{width}}  kills   done  never  wrong  seconds"]
    total = Tally()
    for name, tally in tallies.items():
        lines.append(
            f"{name:{width}}  {tally.kills:5}  {tally.done:5}  {tally.never:5}  {len(tally.wrong):5}  {tally.seconds:7.1f}"
        )
        total.kills, total.done, total.never = (
            total.kills + tally.kills, total.done + tally.done, total.never + tally.never,
        )  # fmt: skip
        total.seconds += tally.seconds
        total.wrong += tally.wrong
    lines.append(
        f"{'all':{width}}  {total.kills:5}  {total.done:5}  {total.never:5}  {len(total.wrong):5}  {total.seconds:7.1f}"
    )
    return "\n".join(lines)


@pytest.mark.parametrize("cluster", [False, True], ids=["one system", "a cluster"])
@pytest.mark.skipif(not KILLS, reason="the campaign: make campaign-kills")
async def test_after_every_kill_it_was_done_or_never_asked_for(tmp_path: Path, cluster: bool) -> None:
    rng = random.Random(int(os.environ.get("SEED", "1")))
    word = os.environ.get("CASES", "")
    mine = [case for case in CASES if STATES[case.state].cluster == cluster and word in case.name]
    order = list(STATES)
    mine.sort(key=lambda case: order.index(case.state))
    tallies: dict[str, Tally] = {}
    async with rig(tmp_path / "rig", cluster=cluster) as found:
        for number, case in enumerate(mine):
            tally = tallies[case.name] = Tally()
            try:
                known = await found.known(case)
                await killed(found, case, known, chosen(CASES, known, number, rng), tally)
            except (AssertionError, TimeoutError) as problem:
                tally.wrong.append(f"{case.name}: the campaign could not go on: {problem!r}"[:8000])
            for text in tally.wrong:
                sys.stdout.write(f"{text}\n")
            sys.stdout.write(f"{case.name}: {tally.kills} kills, {tally.done} done, {len(tally.wrong)} wrong\n")
            sys.stdout.flush()
    sys.stdout.write(table(tallies) + "\n")
    wrong = list(itertools.chain.from_iterable(tally.wrong for tally in tallies.values()))
    assert not wrong, f"{len(wrong)} wrong: see above"


@pytest.mark.skipif(bool(KILLS), reason="the campaign kills more")
async def test_a_few_kills_leave_nothing_half_done(tmp_path: Path) -> None:
    rng = random.Random(int(os.environ.get("SEED", "1")))
    cases = {case.name: case for case in CASES}
    async with rig(tmp_path / "rig") as found:
        for name in SMALL:
            case, tally = cases[name], Tally()
            known = await found.known(case)
            points = [rng.choice(known.boundaries()), rng.choice(known.inside())]
            await killed(found, case, known, points, tally)
            assert tally.kills == len(points)
            assert not tally.wrong, "\n\n".join(tally.wrong)
