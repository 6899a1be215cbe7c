"""How often SMAPI and CP are asked for what everybody does, beside what Feilong asks."""

import pytest
from benchmarks import agent


@pytest.fixture(scope="module")
def calls() -> dict[str, tuple[float, float]]:
    """By operation and kind of call: what this agent sends, and what Feilong does (`make bench ARGS=agent`)."""
    found: dict[str, tuple[float, float]] = {}
    operation = ""
    for row in agent.run():
        if row.reference is None:
            continue
        name, _, kind = row.what.rpartition(": ")
        operation = name or operation
        found[f"{operation}: {kind.strip()}"] = row.value, row.reference
    return found


@pytest.mark.parametrize(
    "operation",
    [
        "nic.attach with grant and VLAN, guest off",
        "nic.attach with grant and VLAN, guest on",
        "guest.create, two disks, one formatted",
    ],
)
def test_a_guest_and_an_adapter_take_fewer_round_trips_than_feilongs(
    calls: dict[str, tuple[float, float]], operation: str
) -> None:
    for kind in ("SMAPI", "CP"):
        ours, theirs = calls[f"{operation}: {kind}"]
        assert ours < theirs, f"{operation}: {ours} {kind}, Feilong {theirs}"


def test_a_disk_takes_no_more_calls_than_feilongs_and_fewer_commands(calls: dict[str, tuple[float, float]]) -> None:
    """With the look that Feilong does without: whether the number is taken already."""
    smapi, cp = (calls[f"disk.add, formatted, guest on: {kind}"] for kind in ("SMAPI", "CP"))
    assert smapi[0] <= smapi[1]
    assert cp[0] < cp[1]
