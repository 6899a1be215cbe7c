"""Handlers for images and files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from starlette.responses import Response, StreamingResponse

from zvmcloud.api.connector.ask import Ask, text
from zvmcloud.api.connector.envelope import Code, Reply, failure
from zvmcloud.api.connector.errors import FILE
from zvmcloud.manager import confined
from zvmcloud.manager.distributions import Distribution
from zvmcloud.manager.errors import BadInput, ManagerError, NotSupported
from zvmcloud.manager.identity.acting import actor
from zvmcloud.manager.images import Image, handed
from zvmcloud.manager.jobs.plan import Json

_FLUSH = 1 << 20


async def import_image(ask: Ask) -> Reply:
    image = ask.member("image")
    meta = image["image_meta"]
    meta = meta if isinstance(meta, dict) else {}
    await ask.node.images.must_be_new(text(image["image_name"]))
    is_coreos = Distribution.of(text(meta["os_version"])).is_coreos
    disk_type = "SCSI" if text(meta.get("disk_type")).upper() == "SCSI" else "ECKD"
    job = await ask.node.images.import_url(
        text(image["image_name"]),
        text(image["url"]),
        text(meta["os_version"]),
        md5=text(meta.get("md5sum")),
        remote_host=text(image.get("remote_host")),
        coreos_on=disk_type if is_coreos else "",
        origin=ask.origin,
    )
    return Reply(job=job.id)


async def query_images(ask: Ask) -> Reply:
    name = ask.query.get("imagename", "")
    images, caller = ask.node.images, ask.caller
    found = (await images.seen_by(caller, name),) if name else await images.list(caller)
    return Reply([_image(ask, image) for image in found])


async def delete_image(ask: Ask) -> Reply:
    """Deleting an image that is not there is a success, as clients expect."""
    try:
        job = await ask.node.images.delete(ask.path["name"], origin=ask.origin)
    except ManagerError as error:
        if error.code == "image-unknown":
            return Reply()
        raise
    return Reply(job=job.id)


async def root_disk_size(ask: Ask) -> Reply:
    """The number of cylinders or blocks as a string; clients hand it back as a disk's size."""
    return Reply(str((await ask.node.images.get(ask.path["name"])).units))


async def export_image(ask: Ask) -> Reply:
    """Copy an image's bytes to a new file below one of the export folders."""
    location = ask.member("location")
    image = await ask.node.images.get(ask.path["name"])
    try:
        url = urlsplit(text(location["dest_url"]))
    except ValueError:
        raise BadInput("dest_url", "it", "file:///path") from None
    if url.scheme != "file":
        raise NotSupported("images are exported to file:// URLs; fetch other copies with GET /v1/images/{name}/content")
    source = ask.node.images.path(image)
    await ask.node.images.files.export(source, unquote(url.path), remote_host=text(location.get("remote_host")))
    told = {"to": unquote(url.path)}
    await ask.node.audit.note(actor(), "image.export", image.name, project=image.project, detail=told)
    return Reply(
        {
            "image_name": image.name,
            "image_path": text(location["dest_url"]),
            "os_version": image.os_version,
            "md5sum": image.md5,
            "comments": image.comments,
        }
    )


async def import_file(ask: Ask) -> Reply | Response:
    """Keep the request's body as a file; the URL in the answer can be imported as an image."""
    announced = ask.request.headers.get("content-length", "")
    try:
        kept = await handed.keep(
            ask.node.settings,
            ask.caller.project,
            ask.request.stream(),
            int(announced) if announced.isdecimal() and len(announced) < 20 else 0,
        )
    except handed.TooMuch as error:
        return _not_kept(error.status, f"{error.detail} Remedy: {error.remedy}" if error.remedy else error.detail)
    except OSError as error:
        return _not_kept(500, error.strerror or "input/output error")
    told = {"bytes": kept.length, "md5": kept.md5}
    await ask.node.audit.note(actor(), "file.import", kept.path.name, project=ask.caller.project, detail=told)
    return Reply({"filesize_in_bytes": kept.length, "dest_url": kept.path.as_uri(), "md5sum": kept.md5})


def _not_kept(status: int, why: str) -> Response:
    return failure(status, Code(300, FILE, 300, 1), f"File import operation failed: {why}")


async def export_file(ask: Ask) -> Reply | Response:
    """Stream a file of the file folder or the image folder; no other path is readable from here."""
    name = text(ask.body["source_file"]).removeprefix("file://")
    found = await asyncio.to_thread(confined.existing, name, (_files(ask), ask.node.images.folder))
    try:
        file = await asyncio.to_thread(found.open) if found is not None else None
    except OSError:
        file = None
    if file is None:
        return failure(
            500,
            Code(300, FILE, 300, 2),
            f"File export operation failed: {name[:200]} is not a file this manager hands out",
        )
    headers = {"cache-control": "no-cache", "content-length": str(os.fstat(file.fileno()).st_size)}
    return StreamingResponse(_pieces(file), media_type="application/octet-stream", headers=headers)


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    """The bytes of an open file, which is closed at the end."""
    try:
        while piece := await asyncio.to_thread(file.read, _FLUSH):
            yield piece
    finally:
        file.close()


def _files(ask: Ask) -> Path:
    return ask.node.settings.folder / "files"


def _image(ask: Ask, image: Image) -> dict[str, Json]:
    return {
        "imagename": image.name,
        "imageosdistro": image.os_version,
        "md5sum": image.md5,
        "disk_size_units": f"{image.units}:{image.kind}",
        "image_size_in_bytes": str(image.bytes),
        "type": image.type,
        "comments": image.comments,
        "last_access_time": image.last_used,
        "image_path": str(ask.node.images.path(image)),
    }
