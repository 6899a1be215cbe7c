"""The lists of what was seen, with the project that owns each guest and when each fact was seen last.

Whoever does not act on all projects sees what belongs to guests of its own; foreign guests belong to nobody.
"""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from zvmcloud.manager.inventory.marks import CLUSTER_KIND, DISK, NIC, SYSTEM, ZHCP, marked
from zvmcloud.manager.inventory.seen import CLUSTER
from zvmcloud.manager.inventory.tables import (
    certificates,
    drift,
    entry_versions,
    marks,
    seen_disks,
    seen_guests,
    seen_nics,
    seen_resources,
    sweeps,
)
from zvmcloud.manager.listing import Listing
from zvmcloud.manager.tables import guests, systems


def _owned(table: sa.Table, kind: str = "") -> sa.Subquery:
    """The table with ``project`` (null for what is nobody's), ``tags``, ``seen`` and ``source``. ``kind``: of the marks
    that have the tags; "": they are the guest's own."""
    joined = sa.outerjoin(table, guests, sa.and_(guests.c.system == table.c.system, guests.c.userid == table.c.userid))
    if not kind:
        return _dated(table, joined, guests.c.project, _tags(guests.c.tags))
    joined = sa.outerjoin(joined, marks, marked(kind, table.c.system, table.c.userid + "." + table.c.vdev))
    return _dated(table, joined, guests.c.project, _tags(marks.c.tags))


def _resources() -> sa.Subquery:
    found = seen_resources
    is_cluster = found.c.kind == CLUSTER
    joined = sa.outerjoin(
        found,
        marks,
        sa.and_(
            marks.c.kind == sa.case((is_cluster, CLUSTER_KIND), else_=found.c.kind),
            marks.c.system == sa.case((is_cluster, ""), else_=found.c.system),
            marks.c.name == found.c.name,
        ),
    )
    return _dated(found, joined, marks.c.project, _tags(marks.c.tags))


def _tags(column: sa.ColumnElement[object]) -> sa.ColumnElement[object]:
    return sa.func.coalesce(column, sa.literal({}, sa.JSON), type_=sa.JSON).label("tags")


def _dated(table: sa.Table, joined: sa.Join, *more: sa.ColumnElement[object]) -> sa.Subquery:
    seen = sa.func.coalesce(table.c.gone, sweeps.c.at) if "gone" in table.c else sweeps.c.at
    joined = sa.outerjoin(joined, sweeps, sweeps.c.system == table.c.system)
    return sa.select(*table.c, *more, seen.label("seen"), sweeps.c.source).select_from(joined).subquery()


def _of_systems(kind: str, *columns: sa.ColumnElement[object]) -> sa.Subquery:
    """A row for each system, with the marks of it or of its agent."""
    joined = sa.outerjoin(systems, sweeps, sweeps.c.system == systems.c.name)
    joined = sa.outerjoin(joined, certificates, certificates.c.system == systems.c.name)
    joined = sa.outerjoin(joined, marks, marked(kind, systems.c.name, systems.c.name))
    found = (systems.c.url, systems.c.origin, systems.c.added, sweeps.c.source, sweeps.c.at.label("seen"))
    return sa.select(*columns, *found, marks.c.project, _tags(marks.c.tags)).select_from(joined).subquery()


GUESTS = Listing(_owned(seen_guests), ("system", "userid"), time="changed")
DISKS = Listing(_owned(seen_disks, DISK), ("system", "userid", "vdev"))
NICS = Listing(_owned(seen_nics, NIC), ("system", "userid", "vdev"))
RESOURCES = Listing(_resources(), ("system", "kind", "name"), time="changed")
SYSTEMS = Listing(_of_systems(SYSTEM, systems.c.name), ("name",), project="")
ZHCPS = Listing(
    _of_systems(
        ZHCP, systems.c.name.label("system"), certificates.c.sha256.label("certificate"), certificates.c.expires
    ),
    ("system",),
    project="",
)
CLUSTERS = replace(RESOURCES, project="")
DRIFT = Listing(drift, ("system", "userid", "kind", "subject"), time="since")
VERSIONS = Listing(entry_versions, ("number",), descending=True, project="", time="at")
