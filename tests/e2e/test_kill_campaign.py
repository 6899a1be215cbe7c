"""kill -9 of the manager and of the agent in the middle of operations: afterwards z/VM is as if the operation was
done, or as if nobody had ever asked for it.

Every operation has a case (kill_cases). A campaign kills at every boundary between the steps of each, and beyond that
at KILLS places inside steps: around commits of the two programs, behind calls that reached z/VM, and at moments that
nobody chose. `make campaign-kills` does so; CASES=word takes those cases whose names have the word, KILLS=all every
place there is, KILLS=0 nobody; DATABASE=postgresql has the manager keep its tables there. `make test` does six kills,
two with PostgreSQL, and one of a manager whose job is cancelled when it is back.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import postgres
from e2e.kill_cases import CASES, CHANGES_NO_ZVM, Case, wanted
from e2e.kill_places import Known, Point, Snapshot, Tally
from e2e.kill_rig import Rig, rig
from e2e.kill_states import STATES
from e2e.programs import nursery
from whole_system import differences
from zvmcloud.api.connector.routes import RULES
from zvmcloud.api.connector.schemas import ACTIONS
from zvmcloud.manager.operations import OPERATIONS

SMALL = ("guest.provision (base)", "vswitch.create (base)", "POST /guests (base)")
KILLS = os.environ.get("KILLS", "")
DATABASES = (os.environ.get("DATABASE") or "sqlite",) if KILLS else ("sqlite", "postgresql")


def test_every_operation_has_a_case() -> None:
    assert {case.of for case in CASES} == wanted()
    known = {f"{rule.method} {rule.path}" for rule in RULES} | {f"action {name}" for name in ACTIONS} | set(OPERATIONS)
    assert known >= CHANGES_NO_ZVM
    names = [case.name for case in CASES]
    assert sorted(names) == sorted(set(names))
    assert {case.state for case in CASES} <= set(STATES)


def chosen(cases: tuple[Case, ...], known: Known, rng: random.Random) -> list[Point]:
    """Where a case is killed in a campaign: at its boundaries, and inside so often that all cases have their number
    of kills."""
    boundaries, inside = known.boundaries(), known.inside()
    if KILLS == "all":
        return [*boundaries, *inside]
    if KILLS == "0":
        return []
    each = -(-int(KILLS) // len(cases))
    wanted_inside = max(1, each - len(boundaries))
    victims = rng.choice((tuple(known.agents), ("manager",), (*known.agents, "manager")))
    moment = Point("moment", rng.randrange(5, 100), victims, when="at")
    return [*boundaries, *rng.sample(inside, min(len(inside), wanted_inside)), moment]


async def killed(found: Rig, case: Case, known: Known, points: list[Point], tally: Tally) -> None:
    """All these kills, each from where the case begins."""
    clean = False
    for point in points:
        if not clean:
            await found.back(STATES[case.state])
        clean = await found.kill(case, known, point, tally)


def table(tallies: dict[str, Tally]) -> str:
    total = Tally(
        sum(tally.kills for tally in tallies.values()),
        sum(tally.done for tally in tallies.values()),
        sum(tally.never for tally in tallies.values()),
        sum(tally.seconds for tally in tallies.values()),
        [text for tally in tallies.values() for text in tally.wrong],
    )
    width = max(len(name) for name in tallies)
    lines = [f"{'operation':{width}}  kills  done  never  wrong  seconds"]
    for name, tally in {**tallies, "all": total}.items():
        counts = f"{tally.kills:5}  {tally.done:4}  {tally.never:5}  {len(tally.wrong):5}  {tally.seconds:7.1f}"
        lines.append(f"{name:{width}}  {counts}")
    return "\n".join(lines)


async def worked_off(found: Rig, cases: list[Case], tallies: dict[str, Tally]) -> None:
    """The kills of these cases, one after the other."""
    for case in cases:
        tally = tallies[case.name] = Tally()
        rng = random.Random(f"{os.environ.get('SEED', '1')} {case.name}")
        try:
            known = await found.known(case)
            await killed(found, case, known, chosen(CASES, known, rng), tally)
        except (AssertionError, TimeoutError) as problem:
            tally.wrong.append(f"{case.name}: the campaign could not go on: {problem!r}"[:8000])
        for text in tally.wrong:
            sys.stdout.write(f"{text}\n")
        sys.stdout.write(f"{case.name}: {tally.kills} kills, {tally.done} done, {len(tally.wrong)} wrong\n")
        sys.stdout.flush()


@pytest.fixture(params=DATABASES)
def server(request: pytest.FixtureRequest) -> postgres.Server | None:
    """Where managers keep their tables; None for SQLite in their state folder."""
    if request.param == "sqlite":
        return None
    found: postgres.Server = request.getfixturevalue("postgres_server")
    return found


async def test_after_every_kill_it_was_done_or_never_asked_for(tmp_path: Path, server: postgres.Server | None) -> None:
    """`make campaign-kills` kills often; without it, a few kills."""
    if KILLS:
        await campaign(tmp_path, server)
    else:
        await a_few(tmp_path, server, SMALL if server is None else SMALL[:1])


async def campaign(tmp_path: Path, server: postgres.Server | None) -> None:
    """Four at a time: most of the time goes by while a manager waits for an agent that is away."""
    word, order = os.environ.get("CASES", ""), list(STATES)
    mine = sorted((case for case in CASES if word in case.name), key=lambda case: order.index(case.state))
    alone = [case for case in mine if not STATES[case.state].cluster]
    size = max(1, -(-len(alone) // 4))
    shares = [alone[start : start + size] for start in range(0, len(alone), size)]
    shares.append([case for case in mine if STATES[case.state].cluster])
    tallies: dict[str, Tally] = {}

    async def share(number: int, cases: list[Case]) -> None:
        if cases:
            cluster = STATES[cases[0].state].cluster
            async with rig(tmp_path / str(number), programs, server, cluster=cluster) as found:
                await worked_off(found, cases, tallies)

    with nursery(tmp_path) as programs:
        async with asyncio.TaskGroup() as tasks:
            for number, cases in enumerate(shares):
                tasks.create_task(share(number, cases))
    sys.stdout.write(table(tallies) + "\n")
    wrong = [text for tally in tallies.values() for text in tally.wrong]
    assert not wrong, f"{len(wrong)} wrong: see above"


async def a_few(tmp_path: Path, server: postgres.Server | None, names: Sequence[str]) -> None:
    """Of some cases, one kill at a boundary and one inside a step."""
    rng = random.Random(int(os.environ.get("SEED", "1")))
    cases = {case.name: case for case in CASES}
    with nursery(tmp_path) as programs:
        async with rig(tmp_path / "rig", programs, server) as found:
            befores: dict[str, Snapshot] = {}
            for name in names:
                case, tally = cases[name], Tally()
                known = await found.known(case)
                befores[name] = known.before
                points = [rng.choice(known.boundaries()), rng.choice(known.inside())]
                await killed(found, case, known, points, tally)
                assert tally.kills == len(points)
                assert not tally.wrong, "\n\n".join(tally.wrong)
            if server is None:
                await cancelled(found, cases[names[0]], befores[names[0]])


async def cancelled(found: Rig, case: Case, before: Snapshot) -> None:
    """The manager dies in a step, which the agent does to its end; a job that is cancelled then is undone all the same:
    nobody takes the step for one that was never begun."""
    await found.back(STATES[case.state])
    job = await found.cut_off(case, "Image_Create_DM")
    assert job["state"] == "cancelled"
    assert [(step["state"], step["attempts"]) for step in job["steps"][:2]] == [("undone", 2), ("pending", 0)]
    left = differences(before, await found.becomes(before))
    assert not left, "\n".join(left)
