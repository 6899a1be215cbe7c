"""The lists of what was seen, with the project that owns each guest and when each fact was seen last.

Whoever does not act on all projects sees what belongs to guests of its own; foreign guests belong to nobody.
"""

from __future__ import annotations

import sqlalchemy as sa

from zvmcloud.manager.inventory.tables import (
    drift,
    entry_versions,
    seen_disks,
    seen_guests,
    seen_nics,
    seen_resources,
    sweeps,
)
from zvmcloud.manager.listing import Listing
from zvmcloud.manager.tables import guests


def _owned(table: sa.Table, *, gone: bool = False) -> sa.Subquery:
    """The table with ``project`` (null for what is nobody's), ``seen`` and ``source``."""
    owner = sa.and_(guests.c.system == table.c.system, guests.c.userid == table.c.userid)
    return _dated(table, sa.outerjoin(table, guests, owner), guests.c.project, gone=gone)


def _dated(table: sa.Table, joined: sa.Join | sa.Table, *more: sa.ColumnElement[str], gone: bool) -> sa.Subquery:
    seen = sa.func.coalesce(table.c.gone, sweeps.c.at) if gone else sweeps.c.at
    joined = sa.outerjoin(joined, sweeps, sweeps.c.system == table.c.system)
    return sa.select(*table.c, *more, seen.label("seen"), sweeps.c.source).select_from(joined).subquery()


GUESTS = Listing(_owned(seen_guests, gone=True), ("system", "userid"))
DISKS = Listing(_owned(seen_disks), ("system", "userid", "vdev"))
NICS = Listing(_owned(seen_nics), ("system", "userid", "vdev"))
RESOURCES = Listing(_dated(seen_resources, seen_resources, gone=True), ("system", "kind", "name"), project="")
DRIFT = Listing(drift, ("system", "userid", "kind", "subject"))
VERSIONS = Listing(entry_versions, ("number",), descending=True, project="")
