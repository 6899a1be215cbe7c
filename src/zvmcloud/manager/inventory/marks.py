"""Owner and tags of systems, agents, clusters, disks, adapters, networks, pools, volumes and devices.

Guests and images have a project and tags in their own rows. A disk or an adapter belongs to whom its guest belongs to,
so its mark has tags only. What is there is what was seen; a mark stays when the thing goes, and goes with its system.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from zvmcloud.manager.core import Core
from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import BadInput, NotFound
from zvmcloud.manager.identity.accounts import Accounts
from zvmcloud.manager.identity.audit import append
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.inventory.seen import CLUSTER
from zvmcloud.manager.inventory.tables import VOLUME_POOL, marks, seen_disks, seen_nics, seen_resources
from zvmcloud.manager.storage.pools import VolumePools

SYSTEM, ZHCP, CLUSTER_KIND, DISK, NIC = "system", "zhcp", "cluster", "disk", "nic"
_DEVICES = {DISK: seen_disks, NIC: seen_nics}
_RESOURCES = {
    CLUSTER_KIND: CLUSTER,
    "pool": "pool",
    "volume": "volume",
    "vswitch": "vswitch",
    "osa": "osa",
    "fcp": "fcp",
}
"""Kinds of marks, and what they are called among what was seen."""
KINDS = (SYSTEM, ZHCP, *_RESOURCES, *_DEVICES, VOLUME_POOL)
MOST = 64
_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Mark:
    """``name``: of a disk or adapter USERID.VDEV, of a system or its agent the system's. ``system`` of a cluster is "",
    because it is none of its members alone. ``project``: whose it is, None
    for nobody's. ``changed``: seconds since 1970, None when nothing was ever said of it."""

    kind: str
    system: str
    name: str
    project: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    changed: float | None = None
    actor: str = ""


def marked(kind: str, system: sa.ColumnElement[str], name: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """The join of a table with its marks."""
    return sa.and_(marks.c.kind == kind, marks.c.system == system, marks.c.name == name)


class Marks:
    """Shows and changes marks."""

    def __init__(self, core: Core, accounts: Accounts, pools: VolumePools) -> None:
        self._core = core
        self._accounts = accounts
        self._pools = pools

    async def get(self, caller: Caller, kind: str, system: str, name: str) -> Mark:
        """What is said of a thing. Raises NotFound when it was not seen or the caller does not see it."""
        system, name = await self._known(kind, system, name)
        found = await self._read(kind, system, name)
        if kind in _DEVICES:
            guest = await self._core.owned_or_none(system, name.partition(".")[0])
            found = _with_project(found, guest["project"] if guest is not None else None)
        if kind not in {SYSTEM, ZHCP, CLUSTER_KIND}:
            _sees(caller, found)
        return found

    async def change(
        self, caller: Caller, kind: str, system: str, name: str, *, project: str | None, tags: Mapping[str, str] | None
    ) -> Mark:
        """Set tags (all of them) and owner ("" for nobody); None leaves it. Members do it for disks and adapters of
        their guests, operators for the rest.

        Raises what :meth:`get` says, BadInput (tags, project), NotAllowed (role), NotFound (project-unknown).
        """
        before = await self.get(caller, kind, system, name)
        where = before.system or system
        if kind in _DEVICES and before.project is not None:
            caller.enters(before.project, Role.MEMBER, f"{kind} {name}")
        else:
            caller.needs(Role.OPERATOR)
        if project is not None and kind in _DEVICES:
            raise BadInput("project", project, f"nothing: a {kind} belongs to whom its guest belongs to")
        if project:
            await self._accounts.project(project)
        key = (marks.c.kind == kind, marks.c.system == before.system, marks.c.name == before.name)
        owner = (await self._read(kind, before.system, before.name)).project
        values: dict[str, object] = {
            "project": owner if project is None else project or None,
            "tags": dict(before.tags if tags is None else checked(tags)),
            "changed": time.time(),
            "actor": caller.user,
        }
        async with self._core.database.write() as connection:
            if not (await connection.execute(sa.update(marks).where(*key).values(**values))).rowcount:
                row = {"kind": kind, "system": before.system, "name": before.name, **values}
                await connection.execute(sa.insert(marks), row)
            detail = {"kind": kind, "project": values["project"], "tags": values["tags"]}
            subject = f"{before.system}/{before.name}"
            await append(connection, caller, "mark.change", subject, project=before.project or "", detail=detail)
        return await self.get(caller, kind, where, before.name)

    async def _read(self, kind: str, system: str, name: str) -> Mark:
        query = sa.select(marks).where(marks.c.kind == kind, marks.c.system == system, marks.c.name == name)
        async with self._core.database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return Mark(kind, system, name) if row is None else Mark(**row)

    async def _known(self, kind: str, system: str, name: str) -> tuple[str, str]:
        """System and name as they are kept. Raises BadInput (kind), NotFound."""
        if kind not in KINDS:
            raise BadInput("kind", kind, ", ".join(KINDS))
        system = self._core.system(system)
        if kind in {SYSTEM, ZHCP}:
            if name.upper() != system:
                raise _unknown(kind, system, name)
            return system, system
        if kind == VOLUME_POOL:
            if name not in {item.pool.name for item in await self._pools.pools(system)}:
                raise _unknown(kind, system, name)
            return system, name
        name = name.upper()
        if kind in _DEVICES:
            userid, _, vdev = name.partition(".")
            name = f"{userid}.{vdev.zfill(4)}"
        async with self._core.database.read() as connection:
            if not await _seen(connection, kind, system, name):
                raise _unknown(kind, system, name)
        return ("", name) if kind == CLUSTER_KIND else (system, name)


def checked(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Tags that can be kept. Raises BadInput (tags)."""
    if len(tags) > MOST:
        raise BadInput("tags", len(tags), f"at most {MOST}")
    for name, value in tags.items():
        if not name or len(name) > _LENGTH or len(value) > _LENGTH:
            raise BadInput("tags", f"{name}={value}"[:80], f"names of 1 to {_LENGTH}, values of at most {_LENGTH}")
    return tags


async def _seen(connection: Connection, kind: str, system: str, name: str) -> bool:
    if kind in _DEVICES:
        table = _DEVICES[kind]
        userid, _, vdev = name.partition(".")
        query = sa.select(table.c.vdev).where(table.c.system == system, table.c.userid == userid, table.c.vdev == vdev)
    else:
        found = seen_resources.c
        query = sa.select(found.name).where(
            found.system == system, found.kind == _RESOURCES[kind], found.name == name, found.gone.is_(None)
        )
    return (await connection.execute(query)).first() is not None


def _sees(caller: Caller, mark: Mark) -> None:
    if caller.sees is not None and (mark.project is None or mark.project not in caller.sees):
        raise _unknown(mark.kind, mark.system, mark.name)


def _with_project(mark: Mark, project: str | None) -> Mark:
    return Mark(mark.kind, mark.system, mark.name, project, mark.tags, mark.changed, mark.actor)


def _unknown(kind: str, system: str, name: str) -> NotFound:
    return NotFound(
        f"{system} has no {kind} {name}, or it is not in a project of yours",
        code="not-seen",
        remedy="see the lists below GET /v1/inventory",
        subject=name,
    )
