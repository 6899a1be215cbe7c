"""Health and readiness, and the z/VM systems: which there are, how the last look at each went, enrolling agents."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from zvmcloud import __version__
from zvmcloud.api.v1.context import TELLS_SECRET, Admin, Operator, Reader, TheNode, address_of
from zvmcloud.api.v1.models import Health, System
from zvmcloud.api.v1.paging import Tagged
from zvmcloud.api.v1.problems import Problem
from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.inventory import listings
from zvmcloud.manager.inventory.tables import certificates, sweeps
from zvmcloud.manager.jobs.turns import DIRECTORY, IMAGE
from zvmcloud.manager.listing import ALL, Narrowed
from zvmcloud.manager.node import Node
from zvmcloud.manager.settings import MOST_AT_ONCE
from zvmcloud.manager.systems.authority import REQUEST_LIMIT

router = APIRouter(tags=["systems"])


class Look(BaseModel):
    """The last look at a system. ``at``: when z/VM was seen last, ``tried``: when it was last asked, in seconds since
    1970; ``error``: why that failed, if it did; ``missing``: parts that z/VM refused to tell, and why."""

    at: float | None
    tried: float
    took_ms: float
    calls: int
    source: str
    missing: dict[str, str]
    error: Problem | None


class Certificate(BaseModel):
    """The certificate of an enrolled agent; ``sha256`` is its fingerprint."""

    serial: str
    sha256: str
    issued: float
    expires: float


class Queue(BaseModel):
    """How many jobs do a thing on a system at once: ``limit`` at most, ``running`` now, while ``waiting`` wait."""

    limit: int
    running: int
    waiting: int


class SystemDetail(System):
    """``origin``: settings, api, or enrolled. ``directory_writers``: jobs that change the directory;
    ``image_copies``: jobs that copy an image or a disk."""

    origin: str
    added: float
    directory_writers: Queue
    image_copies: Queue
    look: Look | None
    certificate: Certificate | None


class NewSystem(BaseModel):
    """A system whose agent is there already: ``http://``, ``https://`` (of a public authority) or ``unix:/path``."""

    model_config = ConfigDict(extra="forbid")

    name: str
    url: str


class SystemChange(BaseModel):
    """How many jobs at once, 1 to 64; 0 for what the settings say, null to leave it."""

    model_config = ConfigDict(extra="forbid")

    directory_writers: int | None = Field(default=None, ge=0, le=MOST_AT_ONCE)
    image_copies: int | None = Field(default=None, ge=0, le=MOST_AT_ONCE)


class Invitation(BaseModel):
    """How long the token holds, in seconds."""

    model_config = ConfigDict(extra="forbid")

    seconds: int = Field(default=3600, ge=60, le=7 * 86400)


class EnrollmentToken(BaseModel):
    """``token`` is shown once; it works once, until ``expires``."""

    system: str
    token: str
    expires: float


class EnrollRequest(BaseModel):
    """An agent's own words: its token, its certificate request in PEM, and the URL at which it will listen."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=256)
    csr: str = Field(max_length=REQUEST_LIMIT)
    url: str = Field(max_length=512)


class Enrolled(BaseModel):
    """The agent's certificate and the authority that clients must be of, in PEM."""

    system: str
    certificate: str
    ca: str


class Ready(BaseModel):
    """``ready``: the database answers; ``agents``: of how many systems; ``agents_well``: of how many the last look
    at z/VM went well."""

    ready: bool
    database: bool
    agents: int
    agents_well: int


@router.get("/health")
async def health(node: TheNode) -> Health:
    """Whether this manager serves; needs no token."""
    return Health(version=__version__, epoch=node.journal.epoch)


@router.get("/ready", response_model=Ready, responses={503: {"model": Ready}})
async def ready(node: TheNode) -> JSONResponse:
    """Whether requests can be served: 503 while the database does not answer. Needs no token, and names no system;
    of the agents it says how the last look at each went, so asking often costs z/VM nothing."""
    names = node.core.agents.names
    well = 0
    try:
        async with node.core.database.read() as connection:
            query = sa.select(sa.func.count()).where(sweeps.c.system.in_(names), sweeps.c.error.is_(None))
            well = (await connection.execute(query.where(sweeps.c.at.is_not(None)))).scalar_one()
        database = True
    except (sa.exc.SQLAlchemyError, OSError):
        database = False
    found = {"ready": database, "database": database, "agents": len(names), "agents_well": well}
    return JSONResponse(found, 200 if database else 503)


@router.get("/systems")
async def systems(node: TheNode, caller: Reader, narrowed: Tagged) -> list[System]:
    """The z/VM systems, and whether each one's agent answers now."""
    rows = await _rows(node, caller, narrowed)
    names = [name for name in node.core.agents.names if name in rows]
    reachable = await asyncio.gather(*(_reachable(node, name) for name in names))
    default = node.core.system() if names else ""
    return [
        System(**{item: rows[name][item] for item in _KEPT}, default=name == default, reachable=up)
        for name, up in zip(names, reachable, strict=True)
    ]


@router.post("/systems", status_code=201)
async def add(node: TheNode, caller: Admin, body: NewSystem) -> SystemDetail:
    """Add a system whose agent is there already; agents on other machines are better enrolled."""
    await node.systems.add(caller, body.name, body.url)
    return await _detail(node, caller, body.name)


@router.get("/systems/{system}")
async def system(node: TheNode, caller: Reader, system: str) -> SystemDetail:
    """One system."""
    return await _detail(node, caller, system)


@router.patch("/systems/{system}")
async def change(node: TheNode, caller: Admin, system: str, body: SystemChange) -> SystemDetail:
    """Change how many jobs at once change the directory of a system, and copy images there."""
    await node.systems.limit(caller, system, directory_writers=body.directory_writers, image_copies=body.image_copies)
    return await _detail(node, caller, system)


@router.delete("/systems/{system}", status_code=204)
async def remove(node: TheNode, caller: Admin, system: str) -> None:
    """Forget a system that was added at run time and has no guests of ours; z/VM stays as it is."""
    await node.systems.remove(caller, system)


@router.post("/systems/{system}/enrollment", name="system.invite", status_code=201, dependencies=[TELLS_SECRET])
async def invite(node: TheNode, caller: Admin, system: str, body: Invitation) -> EnrollmentToken:
    """A one-time token with which an agent enrolls as this system, new or not: `zvm zhcp enroll`."""
    token, expires = await node.enrollment.invite(caller, system, body.seconds)
    return EnrollmentToken(system=system.upper(), token=token, expires=expires)


@router.post("/systems/{system}/look")
async def look(node: TheNode, caller: Operator, system: str) -> SystemDetail:
    """Look at the whole system now, and bring the inventory and the drift report up to date."""
    await node.looks.look(node.core.system(system))
    return await _detail(node, caller, system)


@router.post("/enroll", name="agent.enroll", status_code=201)
async def enroll(node: TheNode, request: Request, body: EnrollRequest) -> Enrolled:
    """An agent comes in: its one-time token is what lets it."""
    found = await node.enrollment.enroll(body.token, body.csr, body.url, address_of(request))
    return Enrolled(system=found.system, certificate=found.certificate, ca=found.ca)


_KEPT = ("name", "url", "project", "tags", "seen")


async def _rows(node: Node, caller: Caller, narrowed: Narrowed = ALL) -> dict[str, sa.RowMapping]:
    """Systems by name, with owner and tags. There are never many, so they have no pages."""
    found = await listings.SYSTEMS.rows(
        node.core.database, caller, after=None, limit=10_000, equal={}, narrowed=narrowed
    )
    return {row["name"]: row for row in found}


async def _detail(node: Node, caller: Caller, name: str) -> SystemDetail:
    name = (await node.systems.row(name))["name"]
    row = (await _rows(node, caller))[name]
    async with node.core.database.read() as connection:
        last = (await connection.execute(sa.select(sweeps).where(sweeps.c.system == name))).mappings().one_or_none()
        query = sa.select(certificates).where(certificates.c.system == name)
        certificate = (await connection.execute(query)).mappings().one_or_none()
    limits, counts = await node.runner.turns.limits(name), await node.runner.turns.counts(name)
    writing, copying = counts[DIRECTORY], counts[IMAGE]
    return SystemDetail(
        **{item: row[item] for item in _KEPT},
        directory_writers=Queue(limit=limits.directory_writers, running=writing[0], waiting=writing[1]),
        image_copies=Queue(limit=limits.image_copies, running=copying[0], waiting=copying[1]),
        default=name == node.core.system(),
        reachable=await _reachable(node, name),
        origin=row["origin"],
        added=row["added"],
        look=Look(**{item: last[item] for item in Look.model_fields}) if last else None,
        certificate=Certificate(**{item: certificate[item] for item in Certificate.model_fields})
        if certificate
        else None,
    )


async def _reachable(node: Node, system: str) -> bool:
    try:
        return await node.hosts.healthy(system)
    except ManagerError:
        return False
