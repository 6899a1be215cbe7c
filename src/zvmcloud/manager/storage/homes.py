"""Where pools are: at one system, or at the SSI cluster whose members all reach the same LUNs.

A home is the name of a system, or "ssi:NAME". Which cluster a system is in is what its agent said last: a member that
is down stays one.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from zvmcloud.manager.database import Connection
from zvmcloud.manager.inventory.seen import CLUSTER
from zvmcloud.manager.inventory.tables import seen_resources

PREFIX = "ssi:"


@dataclass(frozen=True, slots=True)
class Homes:
    """Of one system. ``own``: those whose pools it reaches; ``family``: with those of the other members, where a LUN
    may be in no second pool, nor a name at a second volume."""

    system: str
    cluster: str
    members: tuple[str, ...]

    @property
    def own(self) -> tuple[str, ...]:
        return (self.system, self.cluster) if self.cluster else (self.system,)

    @property
    def family(self) -> tuple[str, ...]:
        return (*self.members, self.cluster) if self.cluster else (self.system,)


async def homes_of(connection: Connection, system: str) -> Homes:
    """The homes of a system."""
    found = seen_resources.c
    latest = sa.select(found.system, found.name).where(found.kind == CLUSTER).order_by(found.changed)
    clusters = {row.system: row.name for row in await connection.execute(latest)}
    mine = clusters.get(system)
    if mine is None:
        return Homes(system, "", (system,))
    members = tuple(sorted(name for name, cluster in clusters.items() if cluster == mine))
    return Homes(system, f"{PREFIX}{mine}", members)
