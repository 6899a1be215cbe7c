"""Local steps of the image repository: names come and go, each in the transaction that ends its job's step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import sqlalchemy as sa

from zvmcloud.manager.core import CAPTURED
from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import Conflict, ImageUnusable
from zvmcloud.manager.events import log as events
from zvmcloud.manager.identity import audit
from zvmcloud.manager.identity.acting import actor
from zvmcloud.manager.jobs.local import LocalContext, local
from zvmcloud.manager.jobs.plan import FINAL, Json
from zvmcloud.manager.placing import into_place
from zvmcloud.manager.tables import guests, images, jobs, uploads

RECEIVED = "received"
"""The file of a job that holds an image as it came in."""
_FACTS = ("sha256", "md5", "bytes", "format", "size", "disk_type", "cylinders", "blocks", "kind", "units", "boot")


@local("manager.image_added")
async def image_added(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """A new name for bytes that are in their place. Raises Conflict (image-exists): somebody else was faster."""
    await _name(context.connection, parameters, context.job)
    return None


@local("manager.image_received")
async def image_received(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """What came in for this job and was checked gets its place and its name. Raises Conflict (image-exists)."""
    await _place(context, RECEIVED, context.results["check"], parameters)
    await context.connection.execute(sa.delete(uploads).where(uploads.c.id == context.job))
    return None


@local("manager.image_captured")
async def image_captured(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The image that the agent sent for this job gets its name. Raises Conflict (image-exists)."""
    received = context.results["read-image"]["received"]
    if not isinstance(received, Mapping):
        raise ImageUnusable("the agent did not say what it sent", code="image-tag", subject=str(parameters["name"]))
    created = await _place(context, CAPTURED, received, parameters)
    return {"sha256": received["sha256"], "created": created}


@local("manager.image_deleted")
async def image_deleted(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """A name goes. Raises Conflict (image-in-use) when a job began to read it meanwhile."""
    name = str(parameters["name"])
    found = sa.select(images.c.sha256, images.c.project).where(images.c.name == name)
    row = (await context.connection.execute(found)).one_or_none()
    if row is not None:
        if (job := await reader_of(context.connection, row.sha256)) is not None:
            raise in_use(name, job)
        await _forget(context.connection, name, row.project, row.sha256, context.job)
    return None


async def take_back(connection: Connection, name: str, created: float, job: str) -> None:
    """A name goes that was made then; when it has gone, or is another's by now, nothing does. Raises Conflict
    (image-in-use, image-protected)."""
    query = sa.select(images.c.sha256, images.c.project, images.c.protected)
    row = (await connection.execute(query.where(images.c.name == name, images.c.created == created))).one_or_none()
    if row is None:
        return
    if row.protected:
        raise protected(name)
    if (reader := await reader_of(connection, row.sha256)) is not None:
        raise in_use(name, reader)
    others = sa.select(images.c.name).where(images.c.sha256 == row.sha256, images.c.name != name).limit(1)
    deployed = sa.select(guests.c.userid).where(guests.c.image_sha256 == row.sha256).limit(1)
    guest = (await connection.execute(deployed)).scalar_one_or_none()
    if guest is not None and (await connection.execute(others)).first() is None:
        raise Conflict(
            f"image {name} is in use: guest {guest} was made from it",
            code="image-in-use",
            remedy="delete the image, if no other guest is to be made from it",
            subject=name,
        )
    await _forget(connection, name, row.project, row.sha256, job)


async def _forget(connection: Connection, name: str, project: str, sha256: str, job: str) -> None:
    await connection.execute(sa.delete(images).where(images.c.name == name))
    told = {"sha256": sha256}
    await audit.append(connection, actor(), "image.delete", name, project=project, job=job, detail=told)
    await tell(connection, "image.deleted", name, project, sha256, job)


async def tell(connection: Connection, kind: str, name: str, project: str, sha256: str, job: str = "") -> None:
    """An event about an image."""
    await events.append(connection, kind, subject=name, project=project, job=job, data={"sha256": sha256})


async def reader_of(connection: Connection, sha256: str) -> str | None:
    """The id of a job that is not over and reads these bytes, if there is one."""
    query = sa.select(jobs.c.id).where(jobs.c.image_sha256 == sha256, jobs.c.state.not_in(FINAL)).limit(1)
    return (await connection.execute(query)).scalar_one_or_none()


def protected(name: str) -> Conflict:
    """The image is kept whatever happens."""
    return Conflict(
        f"image {name} is protected", code="image-protected", remedy="take the protection off first", subject=name
    )


def in_use(name: str, job: str) -> Conflict:
    """A job reads the image."""
    return Conflict(
        f"image {name} is in use: job {job} is reading it",
        code="image-in-use",
        remedy=f"wait for the job to end, or cancel it (zvm job show {job})",
        subject=name,
    )


def taken(name: str) -> Conflict:
    """There is an image of that name."""
    return Conflict(
        f"Image import error: image name {name} already exist in image database", code="image-exists", subject=name
    )


async def _place(context: LocalContext, file: str, found: Mapping[str, Json], parameters: Mapping[str, Json]) -> float:
    """Bytes and name in one transaction; when the name was made. Harmless when the file is in its place already."""
    sha256, size = str(found["sha256"]), int(str(found["bytes"]))
    target = context.folder / "images" / sha256[:2] / sha256
    await asyncio.to_thread(into_place, context.folder / "jobs" / context.job / file, target, size, keep=True)
    return await _name(context.connection, {**{name: found[name] for name in _FACTS}, **parameters}, context.job)


async def _name(connection: Connection, row: Mapping[str, Json], job: str) -> float:
    now = time.time()
    same = sa.select(images.c.name).where(images.c.name == row["name"])
    if (await connection.execute(same)).first() is not None:
        raise taken(str(row["name"]))
    made = sa.insert(images).values({**row, "created": now, "last_used": now}).returning(images.c.project)
    project = (await connection.execute(made)).scalar_one()
    await tell(connection, "image.created", str(row["name"]), project, str(row["sha256"]), job)
    return now
