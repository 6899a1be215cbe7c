"""What was seen in z/VM: guests, disks, adapters, resources, clusters; drift; the history of entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import sqlalchemy as sa
from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from zvmcloud.api.v1.context import Reader, TheNode
from zvmcloud.api.v1.paging import Cursor, InTime, Limit, Page, Tagged, TaggedInTime, key_of, page
from zvmcloud.manager.core import userid as checked_userid
from zvmcloud.manager.errors import NotFound
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.inventory import drifting, listings
from zvmcloud.manager.listing import ALL, Listing, Narrowed, begins
from zvmcloud.manager.node import Node

router = APIRouter(tags=["inventory"])

Model = TypeVar("Model", bound=BaseModel)

HISTORY = "/guests/{system}/{userid}/history"
System = Annotated[str, Query(description="only of this system")]
Userid = Annotated[str, Query(max_length=10, description="only of this userid")]


class SeenGuest(BaseModel):
    """An entry of a directory. ``project`` is null for a foreign one. ``seen`` is when it was there last and ``source``
    who told it; ``gone``: since when it is not there. Times are seconds since 1970, sizes MiB."""

    system: str
    userid: str
    kind: str
    state: str
    project: str | None
    vcpus: int
    max_cpus: int
    memory_mb: int
    max_memory_mb: int
    disk_mb: int
    profile: str
    ipl: str
    digest: str
    unreadable: str
    first: float
    changed: float
    gone: float | None
    tags: dict[str, str]
    seen: float | None
    source: str | None


class SeenDisk(BaseModel):
    """A minidisk. ``size`` and ``start`` in ``unit``: cylinders (CYL) or 512-byte blocks (BLK)."""

    system: str
    userid: str
    vdev: str
    type: str
    device_type: str
    size: int | None
    unit: str
    volume: str
    start: int | None
    mode: str
    project: str | None
    tags: dict[str, str]
    seen: float | None
    source: str | None


class SeenNic(BaseModel):
    """An adapter, as the directory defines it."""

    system: str
    userid: str
    vdev: str
    adapter_type: str
    lan_owner: str
    lan_name: str
    mac_id: str
    vlan: str
    project: str | None
    tags: dict[str, str]
    seen: float | None
    source: str | None


class Resource(BaseModel):
    """A pool, volume, VSWITCH, OSA or FCP device, or an SSI cluster: what the agent tells of it. ``project``: whose it
    is, null for nobody's."""

    system: str
    kind: str
    name: str
    facts: dict[str, object]
    first: float
    changed: float
    gone: float | None
    project: str | None
    tags: dict[str, str]
    seen: float | None
    source: str | None


class Cluster(BaseModel):
    """An SSI cluster: its state as the member of it that was looked at last tells it. ``systems``: those of its members
    that are managed here."""

    name: str
    mode: str
    members: list[dict[str, object]]
    systems: list[str]
    project: str | None
    tags: dict[str, str]
    seen: float | None
    source: str | None


class Zhcp(BaseModel):
    """The agent of a system. ``source``: the virtual machine it runs in, and the name that its system gives itself;
    ``seen``: when it answered a look last;
    ``certificate``: the SHA-256 of what it got when it was enrolled, null for one that was not; ``expires``: when that
    ends. Times are seconds since 1970."""

    system: str
    url: str
    origin: str
    source: str | None
    certificate: str | None
    expires: float | None
    seen: float | None
    project: str | None
    tags: dict[str, str]


class Drift(BaseModel):
    """Where z/VM is not as recorded; ``since``: the look that noticed it."""

    system: str
    userid: str
    kind: str
    subject: str
    project: str
    since: float
    detail: dict[str, object]


class Version(BaseModel):
    """A version of a directory entry. ``cause``: first (there at the first look), job (which one), or outside."""

    system: str
    userid: str
    number: int
    digest: str
    at: float
    cause: str
    job: str
    gone: bool


class VersionEntry(Version):
    """With its statements, passwords masked."""

    entry: list[str]


@dataclass(frozen=True, slots=True)
class _Pages:
    """Who asks for which page of a list."""

    node: Node
    caller: Caller
    limit: int
    cursor: str
    narrowed: Narrowed = ALL

    async def of(
        self,
        model: type[Model],
        listing: Listing,
        equal: Mapping[str, object],
        where: Sequence[sa.ColumnElement[bool]] = (),
    ) -> Page[Model]:
        """The page, each row as a model whose members are columns. Raises BadInput (cursor)."""
        after = key_of(self.cursor, *listing.kinds)
        rows = await listing.rows(
            self.node.core.database,
            self.caller,
            after=after,
            limit=self.limit,
            equal=equal,
            where=where,
            narrowed=self.narrowed,
        )
        return page(rows, self.limit, lambda row: _of(model, row), listing.key)


@router.get("/inventory/guests", name="inventory.guests")
async def guests(
    node: TheNode,
    caller: Reader,
    narrowed: TaggedInTime,
    system: System = "",
    userid: Annotated[str, Query(max_length=10, description="begins with this")] = "",
    state: Literal["", "on", "off"] = "",
    kind: str = "",
    project: str = "",
    profile: str = "",
    foreign: bool | None = None,
    gone: bool = False,
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Page[SeenGuest]:
    """Entries of all directories; ``since`` and ``until``: when they changed last; ``foreign`` true or false for those
    that are nobody's or somebody's, ``gone`` for those that are not there any more."""
    table = listings.GUESTS.table.c
    where: list[sa.ColumnElement[bool]] = [table.gone.is_not(None) if gone else table.gone.is_(None)]
    if foreign is not None:
        where.append(table.project.is_(None) if foreign else table.project.is_not(None))
    where += begins(table.userid, userid)
    equal = {"system": system.upper(), "state": state, "kind": kind.upper(), "project": project, "profile": profile}
    return await _Pages(node, caller, limit, cursor, narrowed).of(SeenGuest, listings.GUESTS, equal, where)


@router.get("/inventory/disks", name="inventory.disks")
async def disks(
    node: TheNode,
    caller: Reader,
    narrowed: Tagged,
    system: System = "",
    userid: Userid = "",
    volume: str = "",
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Page[SeenDisk]:
    """Minidisks of all directories."""
    equal = {"system": system.upper(), "userid": userid.upper(), "volume": volume.upper()}
    return await _Pages(node, caller, limit, cursor, narrowed).of(SeenDisk, listings.DISKS, equal)


@router.get("/inventory/nics", name="inventory.nics")
async def nics(
    node: TheNode,
    caller: Reader,
    narrowed: Tagged,
    system: System = "",
    userid: Userid = "",
    network: Annotated[str, Query(description="VSWITCH or guest LAN")] = "",
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Page[SeenNic]:
    """Adapters of all directories."""
    equal = {"system": system.upper(), "userid": userid.upper(), "lan_name": network.upper()}
    return await _Pages(node, caller, limit, cursor, narrowed).of(SeenNic, listings.NICS, equal)


@router.get("/inventory/resources", name="inventory.resources")
async def resources(
    node: TheNode,
    caller: Reader,
    narrowed: TaggedInTime,
    system: System = "",
    kind: Literal["", "pool", "volume", "vswitch", "osa", "fcp", "ssi"] = "",
    name: str = "",
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Page[Resource]:
    """Pools, volumes, VSWITCHes, OSA and FCP devices, clusters: those of the caller's projects, all for operators.
    ``since`` and ``until``: when it changed last."""
    equal = {"system": system.upper(), "kind": kind, "name": name}
    return await _Pages(node, caller, limit, cursor, narrowed).of(Resource, listings.RESOURCES, equal)


@router.get("/inventory/clusters", name="inventory.clusters")
async def clusters(node: TheNode, caller: Reader) -> list[Cluster]:
    """SSI clusters, and which of our systems are in them."""
    table = listings.CLUSTERS.table.c
    rows = await listings.CLUSTERS.rows(
        node.core.database, caller, after=None, limit=1000, equal={"kind": "ssi"}, where=[table.gone.is_(None)]
    )
    found: dict[str, Cluster] = {}
    for row in sorted(rows, key=lambda row: row["seen"] or 0):
        facts = row["facts"]
        known = found.get(row["name"])
        found[row["name"]] = Cluster(
            name=row["name"],
            mode=str(facts.get("mode", "")),
            members=list(facts.get("members", [])),
            systems=sorted([*(known.systems if known else []), row["system"]]),
            project=row["project"],
            tags=row["tags"],
            seen=row["seen"],
            source=row["source"],
        )
    return [found[name] for name in sorted(found)]


@router.get("/inventory/zhcps", name="inventory.zhcps")
async def zhcps(node: TheNode, caller: Reader, narrowed: Tagged, limit: Limit = 100, cursor: Cursor = "") -> Page[Zhcp]:
    """The agents, one for each system, and their certificates."""
    return await _Pages(node, caller, limit, cursor, narrowed).of(Zhcp, listings.ZHCPS, {})


@router.get("/drift", name="drift.list")
async def drift(
    node: TheNode,
    caller: Reader,
    narrowed: InTime,
    system: System = "",
    userid: Userid = "",
    kind: Annotated[str, Query(description=", ".join(drifting.KINDS))] = "",
    project: str = "",
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Page[Drift]:
    """Where z/VM is not as recorded, at the last look at each system."""
    equal = {"system": system.upper(), "userid": userid.upper(), "kind": kind, "project": project}
    return await _Pages(node, caller, limit, cursor, narrowed).of(Drift, listings.DRIFT, equal)


@router.get(HISTORY, name="guest.history")
async def history(
    node: TheNode, caller: Reader, system: str, userid: str, limit: Limit = 100, cursor: Cursor = ""
) -> Page[Version]:
    """The versions of a directory entry, the newest first."""
    system, userid = await _entered(node, caller, system, userid)
    table = listings.VERSIONS.table.c
    where = [table.system == system, table.userid == userid]
    found = await _Pages(node, caller, limit, cursor).of(Version, listings.VERSIONS, {}, where)
    if not found.items and not cursor:
        await node.history.version(system, userid, 0)
    return found


@router.get(f"{HISTORY}/{{number}}", name="guest.version")
async def version(node: TheNode, caller: Reader, system: str, userid: str, number: int) -> VersionEntry:
    """One version, with the entry's statements."""
    system, userid = await _entered(node, caller, system, userid)
    return _of(VersionEntry, await node.history.version(system, userid, max(number, -1) or -1))


@router.get(f"{HISTORY}/{{number}}/diff", name="guest.diff", response_class=PlainTextResponse)
async def diff(
    node: TheNode,
    caller: Reader,
    system: str,
    userid: str,
    number: int,
    against: Annotated[int | None, Query(ge=0, description="the older version; the one before if left out")] = None,
) -> str:
    """What this version changed, as a unified diff; nothing when only a password did."""
    system, userid = await _entered(node, caller, system, userid)
    return await node.history.diff(system, userid, max(number, -1) or -1, against)


async def _entered(node: Node, caller: Caller, system: str, userid: str) -> tuple[str, str]:
    """System and userid of a guest that the caller may read about; foreign ones are for who acts on all projects."""
    name, owner = node.core.system(system), checked_userid(userid)
    row = await node.core.owned_or_none(name, owner)
    if row is not None:
        caller.enters(row["project"], Role.READER, f"guest {owner}")
    elif caller.sees is not None:
        raise NotFound(f"guest {owner} does not exist, or is not in a project of {caller.user}", subject=owner)
    return name, owner


def _of(model: type[Model], row: sa.RowMapping) -> Model:
    return model(**{name: row[name] for name in model.model_fields})
