"""Disks of guests and SCSI volumes that an operation has in the agent's machine for the time of a block.

What is linked or brought online stands in the journal before, so that a crash leaves nothing that nobody gives back.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from zvmcloud.cp import answers, commands
from zvmcloud.zhcp.errors import AgentError, FieldError, from_cp
from zvmcloud.zhcp.image_messages import Volume
from zvmcloud.zhcp.joining import to_its_end
from zvmcloud.zhcp.machine import CpAnswer
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.seams import Opened

log = logging.getLogger(__name__)

_TRIES = 32
_DETACH_PAUSES = (0.0, 0.5, 0.0)
"""Seconds after each try to detach a disk that failed."""
_VDEV_IN_USE = 92
_REFUSALS = (40, 53, 92, 101, 104, 105, 107, 110, 114, 118)


@asynccontextmanager
async def linked(
    context: Context, owner: str, disk: str, *, write: bool, blank: bool | Callable[[str], Awaitable[None]] = False
) -> AsyncIterator[tuple[str, Path]]:
    """Link a disk for the time of the block: (our device number, its file or block device).

    `blank`: its tracks are formatted first; a function is asked before, with our device number, and may refuse.
    For writing the link is exclusive: AgentError 409 `disk-in-use` when someone else has one. A rehearsal gets no path.
    """
    vdev, answer = await _link(context, owner, disk, "W" if write else "RR")
    if context.rehearsing:
        yield vdev, Path()
        await _detach(context, vdev)
        return
    try:
        if write and not answers.link(vdev, answer.lines):
            raise AgentError(
                409,
                "disk-in-use",
                f"disk {disk} of {owner} is linked by someone else: only reading is possible",
                retryable=True,
                remedy="stop the guest and whoever else has the disk linked",
            )
        if callable(blank):
            await blank(vdev)
        if blank:
            await context.machine.blank(vdev)
        yield vdev, await context.machine.device(vdev)
    finally:
        await to_its_end(_detach(context, vdev))


@asynccontextmanager
async def online(context: Context, volume: Volume) -> AsyncIterator[Path]:
    """Have a SCSI volume online for the time of the block: its file or block device.

    FieldError without FCP devices, AgentError 409 `disk-in-use` when another operation has it, `lun-unreachable`.
    A volume that cannot be taken offline keeps its row in the journal; the next start takes it offline.
    """
    devices = volume.devices or context.settings.storage.fcps
    if not devices:
        raise FieldError("volume.devices", "", "FCP devices of the agent, or storage.fcps in its settings")
    await context.recovery.disks()
    with context.links.only(volume.lun):
        online = await context.machine.volume_paths(devices, volume.wwpns, volume.lun)
        tried = itertools.product(devices, volume.wwpns)
        opened = Opened(volume.lun, tuple(path for path in tried if path not in online))
        await context.journal.opening(opened)
        given_back = AsyncExitStack()
        try:
            yield await given_back.enter_async_context(context.machine.volume(devices, volume.wwpns, volume.lun))
        finally:
            await to_its_end(_close(context, opened, given_back))


async def _close(context: Context, volume: Opened, given_back: AsyncExitStack) -> None:
    """Give a volume back as the machine does it, which leaves what was online before, and forget it."""
    try:
        await given_back.aclose()
    except AgentError as problem:
        log.error("LUN %s stays online: %s", volume.lun, problem)  # noqa: TRY400 (the problem says it all)
    else:
        await context.journal.closed(volume)


async def _link(context: Context, owner: str, disk: str, mode: str) -> tuple[str, CpAnswer]:
    """Link at a number of ours; one that is in use on z/VM all the same is passed over.

    Not before the disks are detached that a crash left linked: one of them may be the disk that is wanted.
    """
    await context.recovery.disks()
    for _ in range(_TRIES):
        vdev = context.links.take()
        try:
            await context.journal.linking(vdev, owner, disk)
        except BaseException:
            await to_its_end(_free(context, vdev))
            raise
        command = commands.link(owner, disk, vdev, mode)
        try:
            answer = await context.cp(command, allow=_REFUSALS)
        except BaseException:
            # A LINK that was cut off may have been done.
            await to_its_end(_detach(context, vdev))
            raise
        if not answer.rc:
            return vdev, answer
        await to_its_end(_free(context, vdev))
        if answer.rc != _VDEV_IN_USE:
            raise _refused(command, answer, owner, disk)
    detail = f"{_TRIES} device numbers of the agent are in use by others"
    raise AgentError(503, "links-exhausted", detail, remedy="detach what is linked at F000 to FEFF")


async def _detach(context: Context, vdev: str) -> None:
    """Tried three times, because the guest does not get a disk that we have. A link that cannot be given back keeps
    its number and its row in the journal; the next start detaches it."""
    for pause in _DETACH_PAUSES:
        try:
            await context.machine.release(vdev)
            await context.cp(commands.detach(vdev), allow=(40,))
        except AgentError as problem:
            log.error("disk %s stays linked: %s", vdev, problem)  # noqa: TRY400 (the problem says it all)
            await asyncio.sleep(pause)
        else:
            await _free(context, vdev)
            return


async def _free(context: Context, vdev: str) -> None:
    await context.journal.unlinked(vdev)
    context.links.give_back(vdev)


def _refused(command: str, answer: CpAnswer, owner: str, disk: str) -> AgentError:
    if answer.rc == 53:
        return from_cp(command, answer.rc, answer.lines, status=404, code="guest-unknown")
    if answer.rc in (40, 107):
        return from_cp(command, answer.rc, answer.lines, status=404, code="disk-unknown")
    if answer.rc in (101, 104, 105, 110):
        return from_cp(command, answer.rc, answer.lines, status=409, code="disk-in-use")
    if answer.rc in (114, 118):
        return from_cp(command, answer.rc, answer.lines, status=403, code="link-not-authorized")
    return from_cp(command, answer.rc, answer.lines)
