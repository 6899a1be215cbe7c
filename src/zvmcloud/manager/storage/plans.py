"""Plans that make, wipe, copy, extend, rename, adopt and release volumes. None of them is of a guest."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from zvmcloud.manager.errors import BadInput, Conflict
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.images import Image
from zvmcloud.manager.jobs.plan import Json, Plan, Step
from zvmcloud.manager.storage import rows, steps
from zvmcloud.manager.storage.pool_file import Lun
from zvmcloud.manager.storage.rows import DELETING, GB, WRITING, Pool, Volume

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node

MOST_GB = 2**20
_BLOCK = 512
_ACCESS = "access"
_URL = re.compile(r"https?://[!-~]{1,1990}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_VALUE = re.compile(r"[ -~]{0,4000}")
_MOST_HEADERS = 32
DIGESTS = {"sha512": 128, "sha256": 64, "md5": 32}
"""Digests that an image may be known by, with their hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class NewVolume:
    """A volume to make: empty, with an image, or as a copy of ``source``."""

    name: str
    pool: str
    size_gb: int
    shared: bool = False
    image: str = ""
    source: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


async def known(node: Node, caller: Caller, system: str, name: str, role: Role = Role.MEMBER) -> Volume:
    """A volume that the caller may use so. Raises NotFound (volume-unknown), NotAllowed (role)."""
    async with node.core.database.read() as connection:
        found = await rows.volume(connection, system, name)
    caller.enters(found.project, role, f"volume {name}")
    return found


def checked_size(size_gb: int) -> int:
    """Raises BadInput."""
    if not 1 <= size_gb <= MOST_GB:
        raise BadInput("size_gb", size_gb, f"1 to {MOST_GB}")
    return size_gb


async def plan_create(node: Node, caller: Caller, system: str, wish: NewVolume) -> Plan:
    """Raises BadInput, NotFound (volume-pool-unknown, image-unknown, volume-unknown), Conflict (volume-exists,
    volume-pool-full, volume-busy, volume-attached, image-too-large, image-kind-mismatch)."""
    needed = checked_size(wish.size_gb) * GB
    if wish.image and wish.source:
        raise BadInput("source", wish.source, "either an image or a volume to copy, not both")
    image = await node.images.seen_by(caller, wish.image) if wish.image else None
    source = await known(node, caller, system, wish.source) if wish.source else None
    if image is not None:
        _check_image(image, needed * 2**20, wish.name)
    if source is not None:
        needed = max(needed, source.size_gb * GB)
    async with node.core.database.read() as connection:
        await rows.must_be_new(connection, system, wish.name)
        pool = await rows.pool(connection, system, wish.pool)
        lun = rows.smallest(await rows.luns(connection, pool.home, pool.name), pool.name, needed)
    words: dict[str, Json] = {
        "shared": wish.shared, "source": wish.source, "image": wish.image, "tags": dict(wish.tags), "was": "free",
    }  # fmt: skip
    where: dict[str, Json] = {"home": pool.home, "volume": wish.name}
    made = [_reserve(pool, wish.name, lun, wish.size_gb, words)]
    if image is not None:
        made.append(_write_image(wish.name, lun, image))
    if source is not None:
        made[:0], copy = await _copied(node, source, wish.name, lun)
        made.append(copy)
    made.append(Step("ready", f"volume {wish.name} is there", "manager.volume_ready", where))
    title = f"Make volume {wish.name} of {wish.size_gb} GB in pool {pool.name}"
    sha256 = image.sha256 if image is not None else None
    return Plan("volume.create", title, system, tuple(made), image_sha256=sha256)


async def plan_delete(node: Node, system: str, volume: Volume) -> Plan:
    """Wipe a volume as its pool wants it, and free its LUN. Raises Conflict (volume-busy, volume-attached)."""
    _must_be_alone(volume)
    async with node.core.database.read() as connection:
        pool = await rows.pool(connection, system, volume.pool)
    where = steps.place(volume)
    found = [_busy(volume, DELETING)]
    if pool.wipe != "none":
        found.append(_erase(volume, pool.wipe))
    title = f"forget volume {volume.name}; LUN {volume.lun.lun} is free"
    found.append(Step("gone", title, "manager.volume_gone", {**where, "kept": False}))
    return Plan("volume.delete", f"Delete volume {volume.name}", system, tuple(found))


async def plan_copy(node: Node, system: str, volume: Volume, source: Volume) -> Plan:
    """Overwrite a volume with the bytes of another. Raises BadInput, Conflict (volume-busy, volume-attached,
    volume-state, guest-active)."""
    if (volume.home, volume.name) == (source.home, source.name):
        raise BadInput("source", source.name, "another volume than the one that becomes the copy")
    _must_be_alone(volume)
    if source.size_gb > volume.size_gb:
        raise Conflict(
            f"volume {source.name} has {source.size_gb} GB, {volume.name} {volume.size_gb} GB",
            code="volume-too-small",
            remedy="extend it first, or copy to a larger one",
            subject=volume.name,
        )
    reading, copy = await _copied(node, source, volume.name, volume.lun)
    ready: dict[str, Json] = {**steps.place(volume), "source": source.name, "image": ""}
    last = Step("ready", f"volume {volume.name} is as {source.name} was", "manager.volume_ready", ready)
    found = (*reading, _busy(volume, WRITING), copy, last)
    return Plan("volume.copy", f"Copy volume {source.name} to {volume.name}", system, found)


def plan_extend(system: str, volume: Volume, size_gb: int) -> Plan:
    """A larger size, within that of the LUN. Raises BadInput, Conflict (volume-busy, volume-shrink, lun-too-small)."""
    checked_size(size_gb)
    if volume.job:
        raise steps.busy(volume, volume.job)
    if size_gb < volume.size_gb:
        raise Conflict(
            f"volume {volume.name} has {volume.size_gb} GB; it does not shrink",
            code="volume-shrink",
            remedy="make a smaller volume and copy in the guest",
            subject=volume.name,
        )
    if size_gb * GB > volume.lun.size_mb:
        limit = volume.lun.size_mb // GB
        raise Conflict(
            f"volume {volume.name} is on a LUN of {limit} GB",
            code="lun-too-small",
            remedy=f"ask for at most {limit} GB; when the LUN has grown in the array, export the pool, give "
            "the LUN's line the new size, and import that line",
            subject=volume.name,
        )
    where = steps.place(volume)
    title = f"volume {volume.name} has {size_gb} GB"
    before: dict[str, Json] = {**where, "size_gb": volume.size_gb}
    sized = Step(
        "size", title, "manager.volume_sized", {**where, "size_gb": size_gb}, "manager.volume_sized", before
    )  # fmt: skip
    return Plan("volume.extend", f"Extend volume {volume.name}", system, (sized,))


async def plan_rename(node: Node, system: str, volume: Volume, name: str) -> Plan:
    """Raises BadInput, Conflict (volume-exists, volume-busy)."""
    if volume.job:
        raise steps.busy(volume, volume.job)
    async with node.core.database.read() as connection:
        await rows.must_be_new(connection, system, name)
    where = {**steps.place(volume), "name": name}
    back: dict[str, Json] = {"home": volume.home, "volume": name, "name": volume.name}
    kind = "manager.volume_renamed"
    step = Step("rename", f"volume {volume.name} is called {name}", kind, where, kind, back)
    return Plan("volume.rename", f"Rename volume {volume.name}", system, (step,))


async def plan_adopt(node: Node, system: str, name: str, pool_name: str, lun_name: str, *, size_gb: int) -> Plan:
    """A LUN that is free or reserved becomes a volume with the bytes that it has. ``size_gb`` 0: that of the LUN.

    Raises BadInput, NotFound (volume-pool-unknown, lun-unknown), Conflict (volume-exists, lun-used).
    """
    async with node.core.database.read() as connection:
        await rows.must_be_new(connection, system, name)
        pool = await rows.pool(connection, system, pool_name)
        lun = await rows.one_lun(connection, pool, lun_name)
    if lun.state == "used":
        raise rows.lun_used(lun)
    largest = lun.size_mb // GB
    if size_gb and not 1 <= size_gb <= (largest or MOST_GB):
        raise BadInput("size_gb", size_gb, f"1 to {largest or MOST_GB}, or 0 for that of the LUN")
    words: dict[str, Json] = {
        "shared": False, "source": "", "image": "", "tags": {}, "was": lun.state, "owner": lun.owner,
    }  # fmt: skip
    taken = _reserve(pool, name, lun, size_gb or largest, words)
    ready = Step(
        "ready", f"volume {name} is there", "manager.volume_ready", {"home": pool.home, "volume": name}
    )  # fmt: skip
    return Plan("volume.adopt", f"Make LUN {lun.lun} of pool {pool.name} volume {name}", system, (taken, ready))


def plan_release(system: str, volume: Volume) -> Plan:
    """Forget a volume; its LUN keeps its bytes and is reserved. Raises Conflict (volume-busy, volume-attached)."""
    _must_be_alone(volume)
    title = f"forget volume {volume.name}; LUN {volume.lun.lun} keeps its bytes"
    gone = Step("gone", title, "manager.volume_gone", {**steps.place(volume), "kept": True})
    return Plan("volume.release", f"Release volume {volume.name}", system, (_busy(volume, DELETING), gone))


@dataclass(frozen=True, slots=True)
class Access:
    """A URL outside, and the headers that open it, which are secrets: both are in a file of the job, mode 0600 and gone
    when it is over, and not in the database."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def host(self) -> str:
        """What may be shown of it."""
        return urlsplit(self.url).hostname or ""

    def check(self) -> None:
        """Raises BadInput, which shows nothing of the values."""
        parts = urlsplit(self.url) if _URL.fullmatch(self.url) else None
        if parts is None or not parts.hostname or parts.username is not None:
            raise BadInput("url", "(not shown)", "http:// or https://, a host, no user, at most 2000 characters")
        if len(self.headers) > _MOST_HEADERS:
            raise BadInput("headers", len(self.headers), f"at most {_MOST_HEADERS}")
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name):
                raise BadInput("headers", "(not shown)", "names of letters, digits and '-', at most 64")
            if not _VALUE.fullmatch(value):
                raise BadInput(f"headers.{name}", "(not shown)", "printable characters, at most 4000")

    @property
    def files(self) -> Mapping[str, bytes]:
        """The file of the job."""
        return {_ACCESS: json.dumps({"url": self.url, "headers": dict(self.headers)}).encode()}


async def plan_send(node: Node, system: str, volume: Volume, access: Access) -> Plan:
    """Send the bytes of a volume that no running guest has, with one PUT. Raises BadInput, Conflict (volume-busy,
    volume-state, guest-active)."""
    access.check()
    reading = await _read(node, volume)
    parameters: dict[str, Json] = {
        "volume": lun_place(volume.lun), "raw": True, "least_bytes": volume.size_gb * 2**30, "stored": _ACCESS,
    }  # fmt: skip
    send = Step("send", f"send volume {volume.name} to {access.host}", "disk.read_image", parameters)
    return Plan("volume.send", f"Send volume {volume.name} to {access.host}", system, (reading, send))


def plan_write(
    system: str, volume: Volume, access: Access, *, digests: Mapping[str, str], size: int, disk_format: str
) -> Plan:
    """Overwrite a volume with an image from a URL. Raises BadInput, Conflict (volume-busy, volume-attached)."""
    access.check()
    given = {name: value.lower() for name, value in digests.items() if value}
    if not given:
        raise BadInput("sha256", "", f"one of {', '.join(DIGESTS)}")
    for name, value in given.items():
        if not re.fullmatch(rf"[0-9a-f]{{{DIGESTS[name]}}}", value):
            raise BadInput(name, value, f"{DIGESTS[name]} hexadecimal digits")
    if not 0 <= size <= 2**50:
        raise BadInput("bytes", size, f"0 to {2**50}")
    _must_be_alone(volume)
    source: dict[str, Json] = {**given, "bytes": size, "format": disk_format}
    place = {"volume": lun_place(volume.lun)}
    parameters: dict[str, Json] = {**place, "source": source, "stored": _ACCESS}
    write = Step("write", f"write what {access.host} sends to volume {volume.name}", "disk.write_image", parameters)
    write = replace(write, undo_kind="disk.erase", undo_parameters=place)
    ready: dict[str, Json] = {**steps.place(volume), "source": "", "image": ""}
    last = Step("ready", f"volume {volume.name} is written", "manager.volume_ready", ready)
    title = f"Write volume {volume.name} from {access.host}"
    return Plan("volume.write", title, system, (_busy(volume, WRITING), write, last))


def lun_place(lun: Lun) -> dict[str, Json]:
    """A LUN as the agent's operations name one; through the agent's own FCP devices."""
    return {"lun": lun.lun, "wwpns": list(lun.wwpns)}


def _reserve(pool: Pool, name: str, lun: Lun, size_gb: int, words: Mapping[str, Json]) -> Step:
    where: dict[str, Json] = {"home": pool.home, "volume": name}
    parameters = {**where, "pool": pool.name, "lun": lun.name, "size_gb": size_gb, **words}
    back = {**where, **{key: words[key] for key in ("was", "owner") if key in words}}
    title = f"LUN {lun.lun} of pool {pool.name} is for volume {name}"
    return Step("reserve", title, "manager.volume_reserved", parameters, "manager.volume_dropped", back)


def _busy(volume: Volume, state: str) -> Step:
    where = steps.place(volume)
    title = f"nobody else works on volume {volume.name}"
    was: dict[str, Json] = {**where, "was": volume.state}
    return Step("hold", title, "manager.volume_busy", {**where, "state": state}, "manager.volume_idle", was)


def _write_image(name: str, lun: Lun, image: Image) -> Step:
    place = {"volume": lun_place(lun)}
    source = {"image": image.name, "sha256": image.sha256, "bytes": image.bytes}
    parameters: dict[str, Json] = {**place, "source": source}
    title = f"write image {image.name} to volume {name}"
    return Step("write-image", title, "disk.write_image", parameters, "disk.erase", place)


async def _copied(node: Node, source: Volume, name: str, lun: Lun) -> tuple[tuple[Step, ...], Step]:
    """The step that has the source stay as it is, and the one that copies it."""
    reading = await _read(node, source)
    back = {"volume": lun_place(lun)}
    parameters: dict[str, Json] = {**back, "source_volume": lun_place(source.lun)}
    title = f"copy volume {source.name} to {name}"
    return (reading,), Step("copy", title, "disk.clone", parameters, "disk.erase", back)


async def _read(node: Node, source: Volume) -> Step:
    """The step that has a volume stay as it is, which no guest that is on has."""
    steps.must_be_available(source)
    for item in source.attachments:
        if await node.guests.is_on(item.system, item.userid):
            raise Conflict(
                f"volume {source.name} is attached to {item.userid} at {item.system}, which is on",
                code="guest-active",
                remedy="stop the guest or detach the volume: what is written meanwhile would be copied in part",
                subject=source.name,
            )
    return Step("read", f"volume {source.name} stays as it is", steps.READ, steps.place(source))


def _erase(volume: Volume, wipe: str) -> Step:
    parameters: dict[str, Json] = {"volume": lun_place(volume.lun), "method": wipe}
    return Step("wipe", f"wipe volume {volume.name} ({wipe})", "disk.erase", parameters)


def _must_be_alone(volume: Volume) -> None:
    if volume.job:
        raise steps.busy(volume, volume.job)
    if volume.attachments:
        raise steps.attached(volume)


def _check_image(image: Image, room: int, name: str) -> None:
    if image.disk_type == "ECKD":
        raise Conflict(
            f"image {image.name} is of an ECKD disk; a volume has blocks",
            code="image-kind-mismatch",
            remedy="use an image of an FBA or SCSI disk, or a raw one",
            subject=image.name,
        )
    size = (image.blocks or 0) * _BLOCK
    if size > room:
        raise Conflict(
            f"image {image.name} needs {-(-size // 2**30)} GB; volume {name} has {room // 2**30} GB",
            code="image-too-large",
            remedy="ask for a larger volume",
            subject=image.name,
        )
