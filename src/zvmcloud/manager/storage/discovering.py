"""The LUNs that the storage shows the agent's FCP devices, against the pools.

    new         in no pool
    added       it was new, and is free in this pool now
    known       in this pool
    grown       in this pool, with more room than the pool says; adding says so in the pool too
    elsewhere   in another pool of the system, or of its cluster
    unseen      in this pool, and no path led to it

Paths lead to one LUN when they end at a disk of the same identifier (VPD page 83); one that has different numbers
behind different ports is known by the number that most ports give it. Nothing is read of the LUNs: whether somebody
outside of the pools uses one, the storage's masking says, and who has it added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from zvmcloud.manager.core import Core
from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.facts import Document
from zvmcloud.manager.storage import pool_file, rows
from zvmcloud.manager.storage.homes import homes_of
from zvmcloud.manager.storage.pool_file import Lun
from zvmcloud.manager.storage.pools import VolumePools

NEW, ADDED, KNOWN, GROWN, ELSEWHERE, UNSEEN = "new", "added", "known", "grown", "elsewhere", "unseen"
_MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Found:
    """A LUN. ``pool``: that has it; ``uuid``: the disk's identifier, "" of one that was not seen."""

    state: str
    lun: Lun
    uuid: str
    pool: str


def joined(paths: Sequence[Document]) -> tuple[tuple[str, Lun], ...]:
    """The disks at the ends of paths, each with its identifier, by number."""
    disks: dict[str, list[tuple[str, str, int]]] = {}
    for path in paths:
        key = path.text("uuid") or f"{path.text('lun')}-{path.text('wwpn')}"
        disks.setdefault(key, []).append((path.text("lun"), path.text("wwpn"), path.number("bytes")))
    found = []
    for key, ends in disks.items():
        by_number = Counter(lun for lun, _ in {(lun, wwpn) for lun, wwpn, _ in ends})
        number = min(by_number, key=lambda lun: (-by_number[lun], lun))
        wwpns = sorted({wwpn for lun, wwpn, _ in ends if lun == number})
        found.append((key, Lun("free", tuple(wwpns), number, min(size for *_, size in ends) // _MEGABYTE)))
    return tuple(sorted(found, key=lambda item: (item[1].lun, item[1].wwpns)))


class Discovering:
    """Looks for LUNs."""

    def __init__(self, core: Core, pools: VolumePools) -> None:
        self._core = core
        self._pools = pools

    async def discover(
        self, system: str, name: str, *, add: bool = False, only: Sequence[str] = ()
    ) -> tuple[Found, ...]:
        """What is there, and in which pools it is. ``add``: take new LUNs of at least a megabyte into the pool, which
        is made when it is missing, and the room of those that grew; ``only``: of these names.

        Raises BadInput, Conflict (lun-elsewhere), AgentFailure (lun-unreachable), AgentUnreachable.
        """
        pool = rows.pool_name(name)
        told = Document(await self._core.agent(system).get("/v1/luns"))
        seen = joined(told.documents("luns"))
        names = {lun.name for _, lun in seen}
        for item in only:
            if item not in names:
                raise BadInput("luns", item, "names of LUNs that were found")
        found = await self._compared(system, pool, seen)
        taken = [item for item in found if item.state in (NEW, GROWN) and (not only or item.lun.name in only)]
        taken = [item for item in taken if item.lun.size_mb]
        if not add or not taken:
            return found
        file = pool_file.render([await self._line(system, item) for item in taken])
        await self._pools.load(system, pool, file, action="volume-pool.discover")
        done = {item.lun.name for item in taken}
        return tuple(_added(item, pool) if item.lun.name in done else item for item in found)

    async def _compared(self, system: str, pool: str, seen: Sequence[tuple[str, Lun]]) -> tuple[Found, ...]:
        async with self._core.database.read() as connection:
            homes = await homes_of(connection, system)
            mine = (await rows.pools(connection, system)).get(pool)
            there = {
                (home, lun.name): (in_pool, lun)
                for home in homes.family
                for in_pool, lun in await rows.luns_by_pool(connection, home)
            }
        found = []
        used: set[tuple[str, str]] = set()
        for uuid, lun in seen:
            where = next((key for key, (_, other) in there.items() if other.same(lun)), None)
            if where is None:
                found.append(Found(NEW, lun, uuid, ""))
                continue
            used.add(where)
            in_pool, old = there[where]
            state = ELSEWHERE
            if mine is not None and (where[0], in_pool) == (mine.home, pool):
                state = GROWN if lun.size_mb > old.size_mb else KNOWN
            found.append(Found(state, replace(old, size_mb=lun.size_mb), uuid, in_pool))
        lost = [
            Found(UNSEEN, lun, "", pool)
            for (home, key), (in_pool, lun) in there.items()
            if mine is not None and (home, in_pool) == (mine.home, pool) and (home, key) not in used
        ]
        return (*found, *lost)

    async def _line(self, system: str, item: Found) -> Lun:
        """The LUN as the pool's file is to have it."""
        if item.state == NEW:
            return item.lun
        exported = pool_file.parse(await self._pools.export(system, item.pool))
        return replace(next(lun for lun in exported if lun.name == item.lun.name), size_mb=item.lun.size_mb)


def _added(item: Found, pool: str) -> Found:
    return replace(item, state=ADDED if item.state == NEW else KNOWN, pool=pool)
