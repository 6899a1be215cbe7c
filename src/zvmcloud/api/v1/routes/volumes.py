"""Volumes, the pools that they come from, and the FCP devices that guests reach them through."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Body, Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from zvmcloud.api.v1.context import Operator, Reader, TheNode
from zvmcloud.api.v1.document import ASKS
from zvmcloud.api.v1.paging import Cursor, Limit, Page, Tagged, key_of, page
from zvmcloud.manager import tables
from zvmcloud.manager.identity.roles import Role
from zvmcloud.manager.listing import Listing
from zvmcloud.manager.storage import plans, rows
from zvmcloud.manager.storage.homes import homes_of
from zvmcloud.manager.storage.pool_file import Lun
from zvmcloud.manager.storage.pools import PoolView

router = APIRouter(tags=["volumes"])

POOL = "/systems/{system}/volume-pools/{pool}"
VOLUMES = Listing(tables.volumes, ("name", "home"))
Wipe = Literal["none", "discard", "zero"]


class Attachment(BaseModel):
    """A guest that has a volume, through FCP devices. ``boot``: it boots from it."""

    guest: str
    system: str
    devices: list[str]
    boot: bool
    template: str
    mount_point: str


class Volume(BaseModel):
    """A volume on a LUN. ``size_gb`` was asked for, ``lun_size_gb`` is there. States: creating, available, in-use,
    writing, deleting, error (what is on it is not what was asked for). ``job``: that works on it, or null."""

    name: str
    pool: str
    state: str
    size_gb: int
    lun_size_gb: int
    lun: str
    lun_name: str
    wwpns: list[str]
    shared: bool
    project: str
    tags: dict[str, str]
    source: str
    image: str
    created: float
    job: str | None
    attachments: list[Attachment]

    @classmethod
    def of(cls, volume: rows.Volume) -> Volume:
        return cls(
            name=volume.name,
            pool=volume.pool,
            state=volume.shown_state,
            size_gb=volume.size_gb,
            lun_size_gb=volume.lun.size_mb // rows.GB,
            lun=volume.lun.lun,
            lun_name=volume.lun.name,
            wwpns=list(volume.lun.wwpns),
            shared=volume.shared,
            project=volume.project,
            tags=dict(volume.tags),
            source=volume.source,
            image=volume.image,
            created=volume.created,
            job=volume.job or None,
            attachments=[
                Attachment(
                    guest=item.userid,
                    system=item.system,
                    devices=list(item.fcps),
                    boot=item.boot,
                    template=item.template,
                    mount_point=item.mount_point,
                )
                for item in volume.attachments
            ],
        )


class PoolSummary(BaseModel):
    """A pool. ``systems``: that reach it; ``shared``: as members of one cluster. ``wipe``: what becomes of the bytes of
    a volume that is deleted. ``free``, ``used`` (by volumes) and ``reserved`` count LUNs; ``allocated_gb``: asked for
    by its volumes."""

    name: str
    systems: list[str]
    shared: bool
    wipe: Wipe
    total_gb: int
    free_gb: int
    allocated_gb: int
    free: int
    used: int
    reserved: int
    volumes: int

    @classmethod
    def of(cls, view: PoolView) -> PoolSummary:
        return cls(
            name=view.pool.name,
            systems=list(view.systems),
            shared=view.shared,
            wipe=view.pool.wipe,  # type: ignore[arg-type]  # one of WIPES
            total_gb=view.total_gb,
            free_gb=view.free_gb,
            allocated_gb=sum(item.size_gb for item in view.volumes.values()),
            free=view.count("free"),
            used=view.count("used"),
            reserved=view.count("reserved"),
            volumes=len(view.volumes),
        )


class PoolLun(BaseModel):
    """A LUN. ``size_mb`` 0 is unknown; ``devices``: FCP devices through which it may be reached, empty for all;
    ``volume``: that is on it; ``guests``: that have it."""

    name: str
    state: Literal["free", "reserved", "used"]
    lun: str
    wwpns: list[str]
    size_mb: int
    devices: str
    owner: str
    tag: str
    volume: str
    guests: list[str]

    @classmethod
    def of(cls, lun: Lun, volume: rows.Volume | None = None) -> PoolLun:
        return cls(
            name=lun.name,
            state=lun.state,  # type: ignore[arg-type]  # one of STATES
            lun=lun.lun,
            wwpns=list(lun.wwpns),
            size_mb=lun.size_mb,
            devices=lun.devices,
            owner=lun.owner,
            tag=lun.tag,
            volume=volume.name if volume is not None else "",
            guests=[item.userid for item in volume.attachments] if volume is not None else [],
        )


class Pool(PoolSummary):
    """A pool with its LUNs."""

    luns: list[PoolLun]

    @classmethod
    def of(cls, view: PoolView) -> Pool:
        luns = [PoolLun.of(lun, view.volumes.get(name)) for name, lun in view.luns.items()]
        return cls(**PoolSummary.of(view).model_dump(), luns=luns)


class PoolSettings(BaseModel):
    """What changes; null leaves it. ``shared``: all members of the system's cluster reach the pool."""

    wipe: Wipe | None = None
    shared: bool | None = None


class PoolFinding(BaseModel):
    """Something of a pool that is not as it should be. ``kind``: job-over, lun-state, guest-gone, connections,
    not-dedicated, device-lost; ``subject``: a volume, LUN or FCP device; ``mended``: it was."""

    kind: str
    subject: str
    detail: str
    mended: bool


class Discover(BaseModel):
    """``add``: take new LUNs into the pool, free, and the room of those that grew; ``luns``: only of these names."""

    add: bool = False
    luns: list[Annotated[str, Field(max_length=64)]] = Field(default_factory=list, max_length=4096)


class DiscoveredLun(BaseModel):
    """A LUN that the storage shows the agent's FCP devices, or that the pool has. ``state``: new, added, known, grown
    (larger than the pool says), elsewhere (in another pool), unseen (in the pool, and no path leads to it). ``uuid``:
    the disk's identifier (VPD page 83)."""

    name: str
    state: str
    lun: str
    wwpns: list[str]
    size_mb: int
    uuid: str
    pool: str


class FcpDevice(BaseModel):
    """An FCP device. ``state`` and ``owner`` are what z/VM said last; ``assigner`` is the guest it is kept for, at the
    virtual device number ``vdev``."""

    fcp: str
    use: Literal["free", "reserved", "used"]
    assigner: str
    vdev: str
    connections: int
    template: str
    npiv: str
    chpid: str
    pchid: str
    state: str
    owner: str
    expires: float | None


@router.get("/systems/{system}/fcp-devices")
async def fcp_devices(node: TheNode, _caller: Operator, system: str) -> list[FcpDevice]:
    """The FCP devices of a system, asked of z/VM now."""
    name = node.core.system(system)
    return [
        FcpDevice(
            fcp=item.fcp,
            use="used" if item.connections else "reserved" if item.allocated else "free",
            assigner=item.assigner,
            vdev=item.at if item.assigner else "",
            connections=item.connections,
            template=item.template,
            npiv=item.npiv,
            chpid=item.chpid,
            pchid=item.pchid,
            state=item.state,
            owner=item.owner,
            expires=item.expires,
        )
        for item in await node.fcp.devices(name)
    ]


@router.get("/systems/{system}/volumes", name="volume.list")
async def volumes(
    node: TheNode,
    caller: Reader,
    system: str,
    narrowed: Tagged,
    pool: Annotated[str, Query(max_length=64, description="only those of this pool")] = "",
    guest: Annotated[str, Query(max_length=8, description="only those that this guest of the system has")] = "",
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Page[Volume]:
    """The volumes that a system reaches."""
    name = node.core.system(system)
    async with node.core.database.read() as connection:
        homes = (await homes_of(connection, name)).own
    table, luns, having = VOLUMES.table, tables.pool_luns.c, tables.attachments.c
    where: list[sa.ColumnElement[bool]] = [table.c.home.in_(homes)]
    if pool:
        of_pool = sa.exists().where(luns.home == table.c.home, luns.name == table.c.lun, luns.pool == pool.lower())
        where.append(of_pool)
    if guest:
        its = (having.home == table.c.home, having.volume == table.c.name)
        where.append(sa.exists().where(*its, having.system == name, having.userid == guest.upper()))
    found = await VOLUMES.rows(
        node.core.database, caller, after=key_of(cursor, *VOLUMES.kinds), limit=limit, equal={}, where=where,
        narrowed=narrowed,
    )  # fmt: skip
    async with node.core.database.read() as connection:
        whole = {(item.home, item.name): item for item in await rows.whole(connection, found)}
    return page(found, limit, lambda row: Volume.of(whole[row["home"], row["name"]]), VOLUMES.key)


@router.get("/systems/{system}/volumes/{volume}", name="volume.show")
async def one_volume(node: TheNode, caller: Reader, system: str, volume: str) -> Volume:
    """A volume, its LUN and who has it."""
    return Volume.of(await plans.known(node, caller, node.core.system(system), volume, Role.READER))


@router.get("/systems/{system}/volume-pools", name="volume-pool.list")
async def pools(node: TheNode, _caller: Reader, system: str) -> list[PoolSummary]:
    """The pools of LUNs that a system reaches."""
    return [PoolSummary.of(view) for view in await node.pools.pools(node.core.system(system))]


@router.get(POOL, name="volume-pool.show")
async def pool(node: TheNode, _caller: Operator, system: str, pool: str) -> Pool:
    """A pool with its LUNs, and who uses which."""
    return Pool.of(await node.pools.pool(node.core.system(system), pool))


@router.patch(POOL, name="volume-pool.set")
async def change_pool(node: TheNode, _caller: Operator, system: str, pool: str, wanted: PoolSettings) -> PoolSummary:
    """Say how volumes are wiped, and whether the members of a cluster share the pool."""
    name = node.core.system(system)
    return PoolSummary.of(await node.pools.change(name, pool, wipe=wanted.wipe, shared=wanted.shared))


@router.get(f"{POOL}/file", name="volume-pool.export", response_class=PlainTextResponse)
async def export_pool(node: TheNode, _caller: Operator, system: str, pool: str) -> str:
    """The pool as zHCP's pool file."""
    return await node.pools.export(node.core.system(system), pool)


@router.put(f"{POOL}/file", name="volume-pool.import")
async def import_pool(
    node: TheNode, _caller: Operator, system: str, pool: str, file: Annotated[str, Body(media_type="text/plain")]
) -> Pool:
    """Take the LUNs of a pool file or a table over, all or none; LUNs that it does not name stay."""
    return Pool.of(await node.pools.load(node.core.system(system), pool, file))


@router.post(f"{POOL}/discover", name="volume-pool.discover")
async def discover(node: TheNode, _caller: Operator, system: str, pool: str, wanted: Discover) -> list[DiscoveredLun]:
    """Ask the storage for LUNs, through the FCP devices of the agent's machine, and say which are in a pool. New ones
    are added when that is asked for; look before: a LUN that somebody outside of the pools uses is told by nothing."""
    found = await node.discovering.discover(node.core.system(system), pool, add=wanted.add, only=wanted.luns)
    return [
        DiscoveredLun(
            name=item.lun.name, state=item.state, lun=item.lun.lun, wwpns=list(item.lun.wwpns),
            size_mb=item.lun.size_mb, uuid=item.uuid, pool=item.pool,
        )
        for item in found
    ]  # fmt: skip


@router.get(f"{POOL}/check", name="volume-pool.check")
async def check_pool(node: TheNode, _caller: Operator, system: str, pool: str) -> list[PoolFinding]:
    """What is recorded of a pool and is not so, by its jobs and by the entries of its guests."""
    found = await node.checking.check(node.core.system(system), pool, mend=False)
    return [PoolFinding(**dataclasses.asdict(item)) for item in found]


@router.post(f"{POOL}/repair", name="volume-pool.repair")
async def repair_pool(node: TheNode, _caller: Operator, system: str, pool: str) -> list[PoolFinding]:
    """The same, with the records mended that can be; nothing on z/VM is changed."""
    found = await node.checking.check(node.core.system(system), pool, mend=True)
    return [PoolFinding(**dataclasses.asdict(item)) for item in found]


@router.post(f"{POOL}/luns/{{lun}}/free", name="volume-pool.free", openapi_extra=ASKS)
async def free_lun(node: TheNode, _caller: Operator, system: str, pool: str, lun: str) -> PoolLun:
    """Let a reserved LUN be handed out again, with the bytes that it has."""
    return PoolLun.of(await node.pools.free(node.core.system(system), pool, lun))


@router.delete(f"{POOL}/luns/{{lun}}", name="volume-pool.remove", status_code=204)
async def remove_lun(node: TheNode, _caller: Operator, system: str, pool: str, lun: str) -> None:
    """Take a free LUN out of its pool."""
    await node.pools.remove(node.core.system(system), pool, lun)
