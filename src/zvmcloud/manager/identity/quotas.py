"""Quotas of projects: what a project uses, and whether more fits.

Use is counted from what the manager recorded when it made things (guests with their vCPUs, storage and disks; volumes,
which count as disks by the size that was asked for; images), from the FCP devices assigned to guests of the project,
and from what jobs that were accepted will use, each until its step has recorded that.

What a job uses less is not counted as free before it is recorded. A job that is undone is never refused; what it takes
again counts from the moment in which its undo is accepted.

What uses more is written inside of :func:`kept`, which counts before and behind it in the same transaction. Writers
queue, those of all managers of a database (:mod:`zvmcloud.manager.database`), so of two requests that fit alone and not
together one is refused. :meth:`Quotas.check` says the same early, before a plan is made, and holds nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Protocol

import sqlalchemy as sa

from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.errors import QuotaExceeded
from zvmcloud.manager.identity.accounts import QUOTAS
from zvmcloud.manager.identity.tables import projects
from zvmcloud.manager.jobs.plan import OPEN
from zvmcloud.manager.prepared import Prepared
from zvmcloud.manager.tables import attachments, fcp_devices, guests, images, job_steps, jobs, uploads, volumes

_RECORDING = (
    "manager.guest_created", "manager.guest_adopted", "manager.guest_sized", "manager.volume_reserved",
    "manager.volume_sized", "manager.volume_attached", "manager.image_received", "manager.image_captured",
    "manager.image_added", "manager.guest_forgotten", "manager.fcp_connected",
)  # fmt: skip
"""Steps behind which a job's use is in other tables."""
_LIMITED = Prepared(
    sa.select(sa.literal(1)).where(
        projects.c.name == sa.bindparam("its_name"), sa.cast(projects.c.quota, sa.String) != "{}"
    )
)


def megabytes(size: int) -> int:
    """Bytes as quotas count them: in MiB, a begun one is a whole one."""
    return -(-size // 2**20)


class Amounts(Protocol):
    """How much of each quota."""

    @property
    def guests(self) -> int: ...
    @property
    def vcpus(self) -> int: ...
    @property
    def memory_mb(self) -> int: ...
    @property
    def disk_mb(self) -> int: ...
    @property
    def fcp_devices(self) -> int: ...
    @property
    def image_mb(self) -> int: ...


class Quotas:
    """Reads use and compares it with the limits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def used(self, project: str) -> Mapping[str, int]:
        """What the project uses now, by quota: its guests, and its images (each file once) with the uploads that are
        under way."""
        async with self._database.read() as connection:
            return await _used(connection, project)

    async def check(self, project: str, more: Amounts) -> None:
        """Raises QuotaExceeded (quota), naming the first limit that ``more`` would break."""
        wanted = {name: getattr(more, name) for name in QUOTAS}
        async with self._database.read() as connection:
            limits = await _limits(connection, project)
            if any(wanted[name] and name in limits for name in QUOTAS):
                _fits(project, limits, await _used(connection, project), wanted)

    async def use(self, job: str, project: str, uses: Mapping[str, int]) -> None:
        """A job that is under way uses so much, which was not known when it began. Raises QuotaExceeded (quota)."""
        async with self._database.write() as connection, kept(connection, [project]):
            await connection.execute(sa.update(jobs).where(jobs.c.id == job).values(uses=dict(uses)))


@contextlib.asynccontextmanager
async def kept(connection: Connection, of: Collection[str]) -> AsyncIterator[None]:
    """What is written in the block keeps within the quotas of the projects; else QuotaExceeded (quota), with which the
    transaction is to end. Use that was over a limit before, and does not grow, is no matter."""
    before: dict[str, tuple[Mapping[str, int], Mapping[str, int]]] = {}
    for project in of:
        if await connection.run(_LIMITED, {"its_name": project}):
            before[project] = await _limits(connection, project), await _used(connection, project)
    yield
    for project, (limits, used) in before.items():
        now = await _used(connection, project)
        _fits(project, limits, used, {name: now[name] - used[name] for name in QUOTAS})


def _fits(project: str, limits: Mapping[str, int], used: Mapping[str, int], wanted: Mapping[str, int]) -> None:
    for name in QUOTAS:
        if wanted[name] > 0 and name in limits and used[name] + wanted[name] > limits[name]:
            raise QuotaExceeded(
                f"project {project} may use {limits[name]} {name} and uses {used[name]}; this needs {wanted[name]}",
                code="quota",
                remedy="delete what is not needed, or ask an admin for a larger quota",
                subject=name,
            )


async def _limits(connection: Connection, project: str) -> Mapping[str, int]:
    found = await connection.execute(sa.select(projects.c.quota).where(projects.c.name == project))
    return found.scalar_one_or_none() or {}


async def _used(connection: Connection, project: str) -> Mapping[str, int]:
    row = (
        await connection.execute(
            sa.select(
                sa.func.count(),
                sa.func.coalesce(sa.func.sum(guests.c.vcpus), 0),
                sa.func.coalesce(sa.func.sum(guests.c.memory_mb), 0),
                sa.func.coalesce(sa.func.sum(guests.c.disk_mb), 0),
            ).where(guests.c.project == project)
        )
    ).one()
    own = sa.and_(guests.c.system == fcp_devices.c.system, guests.c.userid == fcp_devices.c.assigner)
    assigned = sa.select(sa.func.count()).select_from(fcp_devices).join(guests, own).where(guests.c.project == project)
    fcps = (await connection.execute(assigned)).scalar_one()
    size = sa.select(sa.func.coalesce(sa.func.sum(volumes.c.size_gb), 0)).where(volumes.c.project == project)
    disk_mb = int(row[3] + (await connection.execute(size)).scalar_one() * 1024)  # PostgreSQL's sum is a Decimal
    file = sa.select(images.c.sha256, images.c.bytes).where(images.c.project == project).distinct().subquery()
    image_bytes = (await connection.execute(sa.select(sa.func.sum(file.c.bytes)))).scalar_one() or 0
    coming = sa.select(sa.func.sum(uploads.c.bytes)).where(uploads.c.project == project)
    image_bytes += (await connection.execute(coming)).scalar_one() or 0
    used = dict(zip(QUOTAS, (*row[:3], disk_mb, fcps, megabytes(int(image_bytes))), strict=True))
    for uses, backwards in await _accepted(connection, project):
        for name in QUOTAS:
            more = uses.get(name, 0)
            used[name] += max(-more if backwards else more, 0)
    return used


async def _accepted(connection: Connection, project: str) -> list[tuple[Mapping[str, int], bool]]:
    """What jobs of the project that are not over will use, and that nothing else tells yet: no step has recorded it,
    and it was not claimed when the job began. Of those that are undone (True): what they have recorded and not yet
    taken back."""

    def recorded(*states: str) -> sa.ColumnElement[bool]:
        steps = sa.select(job_steps.c.number).where(job_steps.c.job_id == jobs.c.id, job_steps.c.kind.in_(_RECORDING))
        return steps.where(job_steps.c.state.in_(states)).correlate(jobs).exists()

    claims = [sa.select(table.c.job).where(table.c.job == jobs.c.id) for table in (volumes, attachments)]
    claimed = sa.or_(*(found.correlate(jobs).exists() for found in claims))
    query = sa.select(jobs.c.uses, jobs.c.backwards).where(
        jobs.c.project == project,
        jobs.c.state.in_(OPEN),
        jobs.c.uses.is_not(None),
        sa.or_(jobs.c.backwards & recorded("done"), ~jobs.c.backwards & ~recorded("done", "undone") & ~claimed),
    )
    return [(row.uses, row.backwards) for row in await connection.execute(query) if row.uses]
