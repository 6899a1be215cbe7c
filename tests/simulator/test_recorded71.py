"""The preset `recorded71` answers as the z/VM 7.1 of the recordings did."""

from __future__ import annotations

from pathlib import Path

import pytest

from zvmcloud.simulator import Simulator
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.simulator.replay_exceptions import EXCEPTIONS
from zvmcloud.smapi.recording import Exchange, load
from zvmcloud.smapi.replay import Comparison, replay

RECORDING = Path(__file__).parents[1] / "smapi" / "recorded.jsonl"
#: Requests that belong before others: the recording is sorted by name, not by time.
BEFORE = (
    ("Shared_Memory_Replace/1.test", "Shared_Memory_Access_Remove_DM/1.test"),
    ("Virtual_Network_Adapter_Create/1.test", "Virtual_Network_Adapter_Connect_LAN/1.test"),
    ("Virtual_Network_Adapter_Delete/1.test", "Virtual_Network_Adapter_Create/1.test"),
    ("Virtual_Network_Adapter_Create_Extended/1.test", "Virtual_Network_Adapter_Connect_Vswitch/1.test"),
    ("Virtual_Network_Adapter_Create_Extended_DM/1.test", "Virtual_Network_Adapter_Connect_Vswitch_DM/1.test"),
    ("Virtual_Network_Adapter_Query/1.test", "Virtual_Network_Adapter_Disconnect/1.test"),
)


def ordered(exchanges: list[Exchange]) -> list[Exchange]:
    """The exchanges in an order in which they can have been made."""
    for first, second in BEFORE:
        labels = [exchange.label for exchange in exchanges]
        if labels.index(first) > labels.index(second):
            exchanges.insert(labels.index(second), exchanges.pop(labels.index(first)))
    return exchanges


async def compared(tmp_path: Path, exchanges: list[Exchange]) -> list[Comparison]:
    async with Simulator(state=tmp_path / "state", model=PRESETS["recorded71"]) as simulator:
        return await replay(exchanges, "127.0.0.1", simulator.smapi_port)


def shares(found: list[Comparison]) -> tuple[float, float]:
    count = len(found)
    return sum(item.same_codes for item in found) / count, sum(item.same_structure for item in found) / count


async def test_in_an_order_in_which_they_can_have_been_made_the_answers_are_those_recorded(tmp_path: Path) -> None:
    found = await compared(tmp_path, ordered(load(RECORDING)))
    codes, structure = shares(found)
    assert codes >= 0.95, [item.label for item in found if not item.same_codes]
    assert structure >= 0.95, [(item.label, item.differences) for item in found if not item.same_structure]


async def test_in_the_order_of_the_file_each_other_answer_is_one_that_is_explained(tmp_path: Path) -> None:
    found = await compared(tmp_path, load(RECORDING))
    others = {item.label for item in found if not (item.same_codes and item.same_structure)}
    assert others == set(EXCEPTIONS)
    assert min(shares(found)) >= 0.92


@pytest.mark.parametrize("name", ["VM1", "VM2"])
async def test_it_is_a_cluster_of_two_members(tmp_path: Path, name: str) -> None:
    async with Simulator(state=tmp_path / "state", model=PRESETS["recorded71"]) as simulator:
        assert simulator.member(name).is_up
        assert simulator.member(name).system.facts.level == 710
