"""Several pools: which one a disk goes to."""

import pytest

from zhcp.conftest import Agent
from zvmcloud.zhcp.disk_messages import AddDisks, NewDisk
from zvmcloud.zhcp.errors import AgentError, FieldError
from zvmcloud.zhcp.messages import parse_operation
from zvmcloud.zhcp.placement import Candidate, choose

POOLS = ("POOLA", "POOLB", "POOLC")


def known() -> dict[str, Candidate]:
    return {
        "POOLA": Candidate("POOLA", "ECKD", [100, 50], 0),
        "POOLB": Candidate("POOLB", "ECKD", [300], 3),
        "POOLC": Candidate("POOLC", "ECKD", [120, 120], 0),
        "POOLF": Candidate("POOLF", "FBA", [99999], 0),
    }


def where(placement: str, *sizes: int) -> list[str]:
    pools = known()
    disks = [
        NewDisk(vdev=f"010{number}", size_units=size, pools=POOLS, placement=placement)
        for number, size in enumerate(sizes)
    ]
    return [choose(disk, pools).pool for disk in disks]


def test_the_pool_with_most_space_is_taken_until_another_has_more() -> None:
    assert where("most-free", 50, 50, 50, 50) == ["POOLB", "POOLB", "POOLC", "POOLB"]


def test_spread_disks_go_to_the_pools_with_the_fewest() -> None:
    assert where("spread", 50, 50, 50, 50) == ["POOLC", "POOLA", "POOLC", "POOLA"]


def test_pools_are_filled_in_their_order() -> None:
    assert where("fill", 60, 60, 60, 60, 60) == ["POOLA", "POOLB", "POOLB", "POOLB", "POOLB"]


def test_a_disk_that_fits_nowhere_is_told_what_each_pool_has() -> None:
    disk = NewDisk(vdev="0100", size_units=400, pools=("POOLA", "POOLF"))
    with pytest.raises(AgentError) as caught:
        choose(disk, known())
    problem = caught.value.problem
    assert (problem.status, problem.code) == (409, "pool-full")
    assert "POOLA has 150 free, 100 in one piece; POOLF holds FBA volumes" in problem.detail


@pytest.mark.parametrize(
    ("disk", "named"),
    [
        ({"pool": "A", "pools": ["B"]}, "disks[0].pool"),
        ({}, "disks[0].pool"),
        ({"pools": ["A"], "volume": "LX0001"}, "disks[0].volume"),
        ({"pools": ["A"], "placement": "best"}, "parameters.disks[0].placement"),
        ({"pool": "A", "volume": "TOOLONG"}, "parameters.disks[0].volume"),
    ],
)
def test_what_a_placement_does_not_take_is_named(disk: dict[str, object], named: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_operation("disk.add", {"userid": "LINUX01", "disks": [{"vdev": "100", "size_units": 5, **disk}]})
    assert caught.value.field == named


async def test_a_disk_lies_on_the_volume_it_names_and_in_the_pool_that_is_chosen(agent: Agent) -> None:
    pool = await agent.client.pool("POOL1")
    volumes = [str(row["volume"]) for row in pool["volumes"] if isinstance(row, dict)]  # type: ignore[union-attr]
    await agent.run(agent.guest())
    disks = (
        NewDisk(vdev="0101", size_units=5, pool="POOL1", volume=volumes[-1]),
        NewDisk(vdev="0102", size_units=5, pools=("POOL1",), placement="spread"),
    )
    added = await agent.run(AddDisks(userid="LINUX01", disks=disks))
    assert added.result is not None
    assert [row["pool"] for row in added.result["disks"]] == ["POOL1", "POOL1"]  # type: ignore[union-attr,index,call-overload]
    facts = await agent.client.guest("LINUX01")
    rows = {row["vdev"]: row["volume"] for row in facts["disks"]}  # type: ignore[union-attr,index,call-overload]
    assert rows["0101"] == volumes[-1]
    assert rows["0102"] in volumes
    unknown = await agent.refused(
        AddDisks(userid="LINUX01", disks=(NewDisk(vdev="0103", size_units=5, pools=("NOPOOL",)),))
    )
    assert (unknown.status, unknown.code) == (404, "pool-unknown")
    full = NewDisk(vdev="0103", size_units=60_000, pool="POOL1", volume=volumes[-1])
    problem = await agent.refused(AddDisks(userid="LINUX01", disks=(full,)))
    assert (problem.status, problem.code) == (409, "pool-full")
    assert f"volume {volumes[-1]}" in problem.detail
