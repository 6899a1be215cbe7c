"""The disk of an image operation, open for the time of it: a linked minidisk, or a SCSI volume that is online."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from zvmcloud.cp import answers, commands
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.images.sparsefile import DiskFileError
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.image_messages import Place, Volume
from zvmcloud.zhcp.joining import in_thread
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.linked import linked, online
from zvmcloud.zhcp.operations.states import must_be_off


@dataclass(frozen=True, slots=True)
class Disk:
    """`kind`: ECKD, FBA or SCSI. `size` counts cylinders or 512-byte blocks. `alias`: where it is linked, "" for SCSI.
    `facts`: what names it in results."""

    name: str
    kind: str
    size: int
    path: Path
    alias: str
    facts: dict[str, Json]
    userid: str = ""

    @property
    def named(self) -> dict[str, Json]:
        """What names it in reports."""
        return {"userid": self.userid, **self.facts}

    @property
    def unit(self) -> str:
        """CYL or BLK."""
        return "CYL" if self.kind == "ECKD" else "BLK"

    @property
    def units(self) -> str:
        """The unit in words."""
        return "cylinders" if self.kind == "ECKD" else "blocks"


@asynccontextmanager
async def opened(
    context: Context, place: Place, why: str, *, write: bool, check: Callable[[str, int], None] | None = None
) -> AsyncIterator[Disk]:
    """The disk, its guest being off (`why` says what for).

    `check` is told its kind and size before anything is done to it (formatting tracks that nobody has formatted), and
    raises when it is not wanted. AgentError as `must_be_off`, Context.linked and Context.volume; 409 `not-a-disk`.
    """
    if place.userid:
        await must_be_off(context, place.userid, why)
    if place.volume is not None and context.rehearsing:
        yield Disk(str(place), "SCSI", 0, Path(), "", {"lun": place.volume.lun}, place.userid)
        return
    if place.volume is not None:
        async with online(context, place.volume) as path:
            disk = replace(await _volume(place.volume, path), userid=place.userid)
            if check is not None:
                check(disk.kind, disk.size)
            yield disk
        return
    found: list[answers.Dasd] = []

    async def look(alias: str) -> None:
        seen = await context.cp(commands.query_virtual(alias))
        dasd = answers.query_virtual(seen.lines)
        if dasd is None:
            what = f"device {place.vdev} of {place.userid}"
            raise AgentError(409, "not-a-disk", f"{what} is no disk: {' / '.join(seen.lines)}")
        found.append(dasd)
        if check is not None:
            check(_kind(dasd), dasd.size)

    blank = look if check is not None else False
    async with linked(context, place.userid, place.vdev, write=write, blank=blank) as (alias, path):
        if not found:
            await look(alias)
        facts: dict[str, Json] = {"vdev": place.vdev}
        yield Disk(str(place), _kind(found[0]), found[0].size, path, alias, facts, place.userid)


async def _volume(volume: Volume, path: Path) -> Disk:
    def blocks() -> int:
        with FbaDisk(path) as disk:
            return disk.blocks

    name = f"LUN 0x{volume.lun}"
    try:
        return Disk(name, "SCSI", await in_thread(blocks), path, "", {"lun": volume.lun})
    except DiskFileError as problem:
        raise AgentError(502, "disk-unreadable", f"{name}: {problem}") from problem


def _kind(disk: answers.Dasd) -> str:
    return "ECKD" if disk.units == "CYL" else "FBA"
