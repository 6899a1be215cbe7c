"""disk.erase: make a minidisk or a SCSI volume as empty as a new one; the undo of an image that was written."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.images.tracks import TRACKS_PER_CYLINDER
from zvmcloud.zhcp.errors import Json
from zvmcloud.zhcp.image_messages import EraseDisk
from zvmcloud.zhcp.joining import in_thread
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.places import opened


async def erase(context: Context, request: EraseDisk) -> dict[str, Json]:
    """Nothing of what was on the disk can be read or IPLed afterwards."""
    why = "the disk of a guest that is off is erased"
    async with opened(context, request.place, why, write=True) as disk:
        started = time.monotonic()
        if not context.rehearsing:
            await in_thread(partial(erase_disk, disk.path, disk.kind, request.method))
        took = (time.monotonic() - started) * 1000
        context.did("disk", "erase", took, **disk.named)
    context.report(1.0, f"erased {disk.name}")
    return {**disk.facts, "kind": disk.kind}


def erase_disk(path: Path, kind: str, method: str = "zero") -> None:
    """Empty a linked disk; in a thread. `method`: discard is for SCSI volumes alone."""
    if kind == "ECKD":
        with EckdDisk(path, writable=True) as disk:
            disk.clear(0, disk.cylinders * TRACKS_PER_CYLINDER - 1)
            disk.flush()
    else:
        with FbaDisk(path, writable=True) as blocks:
            if not (kind == "SCSI" and method == "discard" and blocks.discard()):
                blocks.clear(0, blocks.blocks)
            blocks.flush()
