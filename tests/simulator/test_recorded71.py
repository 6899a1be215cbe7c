"""The preset `recorded71` answers as the z/VM 7.1 of the recordings did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from zvmcloud.simulator import Simulator
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.simulator.replay_exceptions import EXCEPTIONS
from zvmcloud.smapi.recording import load
from zvmcloud.smapi.replay import Comparison, Report, replay

RECORDING = Path(__file__).parents[1] / "smapi" / "recorded.jsonl"


async def replayed(tmp_path: Path, rounds: int) -> Report:
    async with Simulator(state=tmp_path / "state", model=PRESETS["recorded71"]) as simulator:
        return await replay(load(RECORDING), "127.0.0.1", simulator.smapi_port, rounds=rounds)


def shares(found: Sequence[Comparison]) -> tuple[float, float]:
    count = len(found)
    return sum(item.same_codes for item in found) / count, sum(item.same_structure for item in found) / count


async def test_what_depends_on_a_request_further_down_is_answered_as_recorded_behind_it(tmp_path: Path) -> None:
    report = await replayed(tmp_path, 3)
    codes, structure = shares(report.last)
    assert codes >= 0.95, [item.label for item in report.last if not item.same_codes]
    assert structure >= 0.95, [(item.label, item.differences) for item in report.last if not item.same_structure]
    assert report.first != report.last


async def test_in_the_order_of_the_file_each_other_answer_is_one_that_is_explained(tmp_path: Path) -> None:
    found = (await replayed(tmp_path, 1)).first
    others = {item.label for item in found if not item.same}
    assert others == set(EXCEPTIONS)
    assert min(shares(found)) >= 0.92


@pytest.mark.parametrize("name", ["VM1", "VM2"])
async def test_it_is_a_cluster_of_two_members(tmp_path: Path, name: str) -> None:
    async with Simulator(state=tmp_path / "state", model=PRESETS["recorded71"]) as simulator:
        assert simulator.member(name).is_up
        assert simulator.member(name).system.facts.level == 710
