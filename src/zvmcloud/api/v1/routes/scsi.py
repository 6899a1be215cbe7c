"""Pools of LUNs, and the FCP devices that guests reach them through."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from zvmcloud.api.v1.context import Operator, Reader, TheNode
from zvmcloud.manager.scsi_file import Volume

router = APIRouter(tags=["SCSI"])

POOL = "/systems/{system}/scsi-pools/{pool}"


class ScsiPool(BaseModel):
    """A pool, and how many of its LUNs are in each state."""

    name: str
    free: int
    reserved: int
    used: int


class ScsiVolume(BaseModel):
    """A LUN. ``size_mb`` 0 is unknown; ``devices`` are the FCP devices allowed; ``expires``: when its reservation
    ends, in seconds since 1970."""

    name: str
    state: Literal["free", "reserved", "used"]
    lun: str
    wwpns: list[str]
    size_mb: int
    devices: str
    owner: str
    channels: list[str]
    tag: str
    expires: float | None

    @classmethod
    def of(cls, volume: Volume) -> ScsiVolume:
        return cls(
            name=volume.name,
            state=volume.state,  # type: ignore[arg-type]  # one of STATES
            lun=volume.lun,
            wwpns=list(volume.wwpns),
            size_mb=volume.size_mb,
            devices=volume.devices,
            owner=volume.owner,
            channels=list(volume.channels),
            tag=volume.tag,
            expires=volume.expires,
        )


class FcpDevice(BaseModel):
    """An FCP device. ``state`` and ``owner`` are what z/VM said last; ``assigner`` is the guest it is kept for."""

    fcp: str
    use: Literal["free", "reserved", "used"]
    assigner: str
    connections: int
    template: str
    npiv: str
    chpid: str
    pchid: str
    state: str
    owner: str
    expires: float | None


class Reservation(BaseModel):
    """Whom a LUN is kept for, and which: named, or the smallest free one of ``size_mb``. ``seconds``: how long, unless
    it is attached; 0 for ever, null for the manager's setting."""

    owner: str
    size_mb: int = 0
    volume: str = ""
    seconds: int | None = None


@router.get("/systems/{system}/fcp-devices")
async def fcp_devices(node: TheNode, _caller: Operator, system: str) -> list[FcpDevice]:
    """The FCP devices of a system, asked of z/VM now."""
    name = node.core.system(system)
    return [
        FcpDevice(
            fcp=item.fcp,
            use="used" if item.connections else "reserved" if item.allocated else "free",
            assigner=item.assigner,
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


@router.get("/systems/{system}/scsi-pools")
async def scsi_pools(node: TheNode, _caller: Reader, system: str) -> list[ScsiPool]:
    """The pools of LUNs of a system."""
    found = await node.scsi.pools(node.core.system(system))
    return [
        ScsiPool(name=name, free=states["free"], reserved=states["reserved"], used=states["used"])
        for name, states in found.items()
    ]


@router.get(POOL)
async def scsi_pool(node: TheNode, _caller: Operator, system: str, pool: str) -> list[ScsiVolume]:
    """The LUNs of a pool."""
    return [ScsiVolume.of(volume) for volume in await node.scsi.volumes(node.core.system(system), pool)]


@router.get(f"{POOL}/file", name="scsi-pool.export", response_class=PlainTextResponse)
async def export_pool(node: TheNode, _caller: Operator, system: str, pool: str) -> str:
    """The pool as zHCP's pool file."""
    return await node.scsi.export(node.core.system(system), pool)


@router.put(f"{POOL}/file", name="scsi-pool.import")
async def import_pool(
    node: TheNode, _caller: Operator, system: str, pool: str, file: Annotated[str, Body(media_type="text/plain")]
) -> list[ScsiVolume]:
    """Take the LUNs of a pool file over, all or none; LUNs that it does not name stay."""
    return [ScsiVolume.of(volume) for volume in await node.scsi.load(node.core.system(system), pool, file)]


@router.post(f"{POOL}/reservations", name="scsi-pool.reserve", status_code=201)
async def reserve(node: TheNode, _caller: Operator, system: str, pool: str, wanted: Reservation) -> ScsiVolume:
    """Keep a LUN for a guest."""
    found = await node.scsi.reserve(
        node.core.system(system),
        pool,
        wanted.owner,
        size_mb=wanted.size_mb,
        volume=wanted.volume,
        seconds=wanted.seconds,
    )
    return ScsiVolume.of(found)


@router.delete("/systems/{system}/scsi-volumes/{volume}/reservation", name="scsi-volume.release")
async def release(node: TheNode, _caller: Operator, system: str, volume: str) -> ScsiVolume:
    """Give a reserved LUN back; nothing on it is erased."""
    return ScsiVolume.of(await node.scsi.release(node.core.system(system), volume))


@router.delete("/systems/{system}/scsi-volumes/{volume}", status_code=204)
async def remove(node: TheNode, _caller: Operator, system: str, volume: str) -> None:
    """Take a free LUN out of its pool."""
    await node.scsi.remove(node.core.system(system), volume)
