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
        "disk.add, formatted, guest on",
    ],
)
def test_an_adapter_and_a_disk_take_fewer_round_trips_than_feilongs(
    calls: dict[str, tuple[float, float]], operation: str
) -> None:
    for kind in ("SMAPI", "CP"):
        ours, theirs = calls[f"{operation}: {kind}"]
        assert ours < theirs, f"{operation}: {ours} {kind}, Feilong {theirs}"


def test_a_guest_with_two_disks_takes_no_more_calls_than_feilongs_and_fewer_commands(
    calls: dict[str, tuple[float, float]],
) -> None:
    smapi, cp = (calls[f"guest.create, two disks, one formatted: {kind}"] for kind in ("SMAPI", "CP"))
    assert smapi[0] <= smapi[1]
    assert cp[0] < cp[1]
