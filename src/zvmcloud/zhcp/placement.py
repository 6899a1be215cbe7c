"""Which of several pools a disk goes to. Only disks that name several are placed; the volume inside a pool is chosen
by the directory manager, unless the disk names one.

    most-free   the pool with the most free space after what this request takes
    spread      the pool with the fewest disks of this guest, its own and those of this request; then as most-free
    fill        the first pool of the list that has room
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from zvmcloud.zhcp import pools
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.pools import Pool


@dataclass(slots=True)
class Candidate:
    """A pool while disks are placed: its free extents, and how many disks of the guest it has."""

    name: str
    type: str
    free: list[int]
    disks: int

    @classmethod
    def of(cls, pool: Pool, userid: str) -> Candidate:
        """A pool as it is, for disks of a guest."""
        return cls(pool.name, pool.type, [e.size for e in pool.free], sum(e.owner == userid for e in pool.used))

    def room(self, size: int) -> bool:
        """Whether a disk of that size fits in one piece."""
        return max(self.free, default=0) >= size

    def take(self, size: int) -> None:
        """From the largest extent: the directory manager may take it from another, so this is the cautious guess."""
        at = self.free.index(max(self.free))
        self.free[at] -= size
        self.disks += 1


async def placed(
    context: Context, userid: str, disks: Sequence[NewDisk], have: frozenset[str] = frozenset()
) -> tuple[NewDisk, ...]:
    """The disks with one pool each; those in `have` are there already and stay where they are.

    Two SMAPI calls when there is something to choose, none otherwise. AgentError 404 `pool-unknown`, 409 `pool-full`
    tells what each pool has free.
    """
    if not any(disk.pools and disk.vdev not in have for disk in disks):
        return tuple(disks)
    known = {pool.name: Candidate.of(pool, userid) for pool in await pools.pools(context)}
    return tuple(disk if disk.vdev in have else choose(disk, known) for disk in disks)


def choose(disk: NewDisk, known: dict[str, Candidate]) -> NewDisk:
    """The disk in its pool, whose room is less by then."""
    if not disk.pools:
        if disk.pool in known and known[disk.pool].room(disk.size_units):
            known[disk.pool].take(disk.size_units)
        return disk
    unknown = [name for name in disk.pools if name not in known]
    if unknown:
        raise pools.unknown(unknown[0])
    candidates = [known[name] for name in disk.pools]
    fitting = [item for item in candidates if item.type == disk.type and item.room(disk.size_units)]
    if not fitting:
        raise _full(disk, candidates)
    if disk.placement == "fill":
        chosen = fitting[0]
    elif disk.placement == "spread":
        chosen = min(fitting, key=lambda item: (item.disks, -sum(item.free)))
    else:
        chosen = max(fitting, key=lambda item: sum(item.free))
    chosen.take(disk.size_units)
    return replace(disk, pool=chosen.name, pools=())


def _full(disk: NewDisk, candidates: Sequence[Candidate]) -> AgentError:
    unit = "cylinders" if disk.type == "ECKD" else "blocks"
    shown = "; ".join(
        f"{item.name} has {sum(item.free)} free, {max(item.free, default=0)} in one piece"
        if item.type == disk.type
        else f"{item.name} holds {item.type} volumes"
        for item in candidates
    )
    return AgentError(
        409, "pool-full", f"disk {disk.vdev} of {disk.size_units} {unit} fits none of its pools: {shown}",
        remedy="free space in one of them, name another pool, or ask for a smaller disk",
    )  # fmt: skip
