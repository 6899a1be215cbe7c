"""Quotas of projects: what a project uses, and whether more fits.

Use is counted from what the manager recorded when it made things (guests with their vCPUs, storage and disks; volumes,
which count as disks by the size that was asked for; images), from the FCP devices assigned to guests of the project,
and from what jobs that were accepted will use: of those that wait all of it, of those that make a guest until it is
recorded. Two requests at the same moment are counted one after the other only within one manager; see
:meth:`Quotas.check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import sqlalchemy as sa

from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.errors import QuotaExceeded
from zvmcloud.manager.identity.accounts import QUOTAS
from zvmcloud.manager.identity.tables import projects
from zvmcloud.manager.jobs.plan import OPEN
from zvmcloud.manager.tables import fcp_devices, guests, images, jobs, uploads, volumes


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
            fcps = await connection.execute(
                sa.select(sa.func.count())
                .select_from(fcp_devices)
                .join(
                    guests, sa.and_(guests.c.system == fcp_devices.c.system, guests.c.userid == fcp_devices.c.assigner)
                )
                .where(guests.c.project == project)
            )
            size = sa.select(sa.func.coalesce(sa.func.sum(volumes.c.size_gb), 0)).where(volumes.c.project == project)
            disk_mb = row[3] + (await connection.execute(size)).scalar_one() * 1024
            kept = sa.select(images.c.sha256, images.c.bytes).where(images.c.project == project).distinct().subquery()
            image_bytes = (await connection.execute(sa.select(sa.func.sum(kept.c.bytes)))).scalar_one() or 0
            coming = sa.select(sa.func.sum(uploads.c.bytes)).where(uploads.c.project == project)
            image_bytes += (await connection.execute(coming)).scalar_one() or 0
            used = dict(zip(QUOTAS, (*row[:3], disk_mb, fcps.scalar_one(), megabytes(int(image_bytes))), strict=True))
            for uses in await _accepted(connection, project):
                for name in QUOTAS:
                    used[name] += uses.get(name, 0)
            return used

    async def check(self, project: str, more: Amounts) -> None:
        """Raises QuotaExceeded (quota), naming the first limit that ``more`` would break."""
        async with self._database.read() as connection:
            found = await connection.execute(sa.select(projects.c.quota).where(projects.c.name == project))
            limits: Mapping[str, int] = found.scalar_one_or_none() or {}
        wanted = {name: getattr(more, name) for name in QUOTAS}
        if not any(wanted[name] and name in limits for name in QUOTAS):
            return
        used = await self.used(project)
        for name in QUOTAS:
            if wanted[name] and name in limits and used[name] + wanted[name] > limits[name]:
                raise QuotaExceeded(
                    f"project {project} may use {limits[name]} {name} and uses {used[name]}; this needs {wanted[name]}",
                    code="quota",
                    remedy="delete what is not needed, or ask an admin for a larger quota",
                    subject=name,
                )


async def _accepted(connection: Connection, project: str) -> list[Mapping[str, int]]:
    """What jobs of the project that are not over will use, and that nothing else tells yet."""
    own = sa.and_(guests.c.system == jobs.c.system, guests.c.userid == jobs.c.userid)
    query = (
        sa.select(jobs.c.state, jobs.c.uses, guests.c.id)
        .outerjoin(guests, own)
        .where(jobs.c.project == project, jobs.c.state.in_(OPEN), jobs.c.uses.is_not(None), ~jobs.c.backwards)
    )
    return [
        row.uses
        for row in await connection.execute(query)
        if row.state == "pending" or (row.uses.get("guests") and row.id is None)
    ]
